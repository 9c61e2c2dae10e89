//! This node's part in the metadata quorum: a voter with a controller on it, or an observer.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::{NodeError, pool, wire_endpoint};
use crate::client::ToController;
use crate::config::Setup;
use crate::controller::command::{Command, ControllerRegistration};
use crate::controller::{self, ActiveController, ControllerConfig, ControllerHandle, Rules};
use crate::env::Env;
use crate::env::disk::read_file;
use crate::metadata::checkpoint_file::{BOOTSTRAP_FILE, Checkpoint};
use crate::metadata::{self, FeatureRange};
use crate::quorum::{self, Publisher, Quorum, QuorumConfig};

/// `bootstrap.checkpoint` holds feature levels and credentials; this is room for thousands of them.
const BOOTSTRAP_BYTES_MAX: u64 = 16 << 20;
/// Entries of the metadata log that are kept behind a snapshot where there are several controllers.
const METADATA_ENTRIES_KEPT: u64 = 10_000;
/// How long one attempt to register the controller may take.
const REGISTRATION_ATTEMPT: Duration = Duration::from_secs(5);
/// How long to wait after an attempt that failed.
const REGISTRATION_PAUSE: Duration = Duration::from_millis(100);

/// Opens the metadata log and takes part: with a vote on a controller, without one on a broker.
pub(super) async fn take_part(env: &Env, setup: &Setup, publisher: Publisher) -> Result<Quorum, NodeError> {
    let config = quorum_config(setup);
    let of = env.clone();
    let started = if setup.config.is_controller {
        let start = async move { Quorum::start(&of, config, publisher).await };
        env.tasks.run("metadata-quorum-start", start).await
    } else {
        let bootstrap = bootstrap_servers(setup)?;
        let observe = async move { Quorum::observe(&of, config, bootstrap, publisher).await };
        env.tasks.run("metadata-quorum-start", observe).await
    };
    Ok(started.ok_or(NodeError::Stopped)??)
}

/// `controller.quorum.bootstrap.servers` as places.
fn bootstrap_servers(setup: &Setup) -> Result<Vec<(String, u16)>, NodeError> {
    let place = |text: &String| {
        let place = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let strip = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
        place.map(|(host, port)| (strip(host), port)).ok_or_else(|| NodeError::BootstrapServer(text.clone()))
    };
    setup.config.controller_quorum_bootstrap_servers.iter().map(place).collect()
}

fn quorum_config(setup: &Setup) -> QuorumConfig {
    let config = &setup.config;
    QuorumConfig {
        cluster_id: setup.cluster_id.clone(),
        node_id: config.node_id,
        log_dir: setup.metadata_directory.path.clone(),
        directory_id: setup.metadata_directory.id,
        voters: quorum_voters(setup),
        segment_bytes: config.metadata_log_segment_bytes.max(0) as u64,
        snapshot_bytes: config.metadata_log_max_record_bytes_between_snapshots.max(0) as u64,
        snapshot_interval_ms: config.metadata_log_max_snapshot_interval_ms,
        kept_entries: METADATA_ENTRIES_KEPT,
        election_timeout_ms: config.controller_quorum_election_timeout_ms.max(0) as u64,
        fetch_timeout_ms: config.controller_quorum_fetch_timeout_ms.max(0) as u64,
    }
}

fn quorum_voters(setup: &Setup) -> BTreeMap<i32, quorum::Voter> {
    let config = &setup.config;
    let listener = config.controller_listener_names.first().cloned().unwrap_or_default();
    // Of others only they themselves know the directory.
    let directory = if config.is_alone() { setup.metadata_directory.id } else { uuid::Uuid::nil() };
    let voter = |id, host: String, port| {
        (id, quorum::Voter { directory, endpoints: vec![(listener.clone(), host, port)] })
    };
    if config.is_controller && config.controller_quorum_voters.is_empty() {
        if !config.is_alone() {
            // The log says who the voters are, or they add this node to them (KIP-853).
            return BTreeMap::new();
        }
        let own = config.advertised_controller_listeners.first();
        let host = own.and_then(|e| e.host.clone()).unwrap_or_else(|| "localhost".to_owned());
        return BTreeMap::from([voter(config.node_id, host, own.map_or(0, |e| e.port))]);
    }
    let voters = config.controller_quorum_voters.iter();
    voters.map(|v| voter(v.id, v.host.clone(), v.port)).collect()
}

/// Starts the controller of a voter. It decides while this node leads the quorum.
fn start_controller(
    env: &Env,
    setup: &Setup,
    quorum: &Quorum,
    features: &[FeatureRange],
) -> Result<ControllerHandle, NodeError> {
    let config = &setup.config;
    let path = setup.metadata_directory.path.join(BOOTSTRAP_FILE);
    let bootstrap = match read_file(&*env.disk, &path, BOOTSTRAP_BYTES_MAX) {
        Ok(bytes) => {
            let file = Checkpoint::parse(&bytes.into()).map_err(|e| NodeError::Bootstrap(e.to_string()))?;
            file.records
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(NodeError::Bootstrap(e.to_string())),
    };
    let rules = Rules {
        node_id: config.node_id,
        cluster_id: setup.cluster_id.clone(),
        default_partitions: config.num_partitions,
        default_replication_factor: config.default_replication_factor,
        layers: setup.layers.clone(),
        features: features.to_vec(),
    };
    // A broker leads no longer than its lease on the word of a heartbeat, so it need not be believed in for longer.
    let session_timeout_ms = config.broker_session_timeout_ms.min(config.broker_lease_ms);
    let config = ControllerConfig { rules, session_timeout_ms, bootstrap };
    Ok(controller::start(env, quorum.clone(), config))
}

/// The way to the active controller, which may be this node's own.
pub(super) fn way_to_controller(
    env: &Env,
    setup: &Setup,
    quorum: &Quorum,
    features: &[FeatureRange],
) -> Result<ActiveController, NodeError> {
    let config = &setup.config;
    let local = config.is_controller.then(|| start_controller(env, setup, quorum, features)).transpose()?;
    let remote = (!config.is_alone()).then(|| to_controller(env, setup, quorum)).transpose()?;
    Ok(ActiveController::new(local, quorum.clone(), remote))
}

/// The way to the active controller over connections of its own.
pub(super) fn to_controller(env: &Env, setup: &Setup, quorum: &Quorum) -> Result<ToController, NodeError> {
    let voters = setup.config.controller_quorum_voters.iter().map(|v| (v.host.clone(), v.port));
    let places = voters.chain(bootstrap_servers(setup)?).map(|(host, port)| (host.into(), port)).collect();
    let of = quorum.clone();
    let named = Arc::new(move || of.leader_endpoint().map(|(_, host, port)| (host, port)));
    Ok(ToController::new(env, pool(env, &setup.config), named, places))
}

/// Makes the controller of this node known (KIP-919), for as long as it takes.
pub(super) async fn register_controller(controller: ActiveController, registration: ControllerRegistration) {
    loop {
        let deadline = Instant::now() + REGISTRATION_ATTEMPT;
        match controller.submit(Command::RegisterController(registration.clone()), deadline).await {
            Ok(_done) => return,
            Err(e) => tracing::debug!("the controller is not registered yet: {e}"),
        }
        tokio::time::sleep(REGISTRATION_PAUSE).await;
    }
}

/// What the controller of this node says of itself.
pub(super) fn controller_registration(
    env: &Env,
    setup: &Setup,
    features: &[FeatureRange],
) -> ControllerRegistration {
    let own: Vec<metadata::Endpoint> =
        setup.config.advertised_controller_listeners.iter().map(wire_endpoint).collect();
    ControllerRegistration {
        id: setup.config.node_id,
        incarnation: env.seeds.rng().uuid(),
        endpoints: own,
        features: features.to_vec(),
    }
}
