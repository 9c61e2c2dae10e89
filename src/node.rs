//! The composition root: an environment and a configuration become a running broker and controller.
//!
//! Starting goes from the ground up: sockets are bound, so that a taken port is known at once; the metadata log is
//! opened and the controller elected; logs are recovered with the settings that the metadata gives them; the broker
//! registers; partitions and coordinators come to life as the image names them; and only then are connections taken in.
//! Stopping goes the other way.

mod coordinators;
mod dynamic_config;
mod maintenance;
#[cfg(test)]
#[path = "node/fixture_test.rs"]
mod test_node;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{Broker, ListenerInfo, ProducerIdStock, RateLimit};
use crate::config::{BrokerConfig, Endpoint, Setup};
use crate::controller::command::{BrokerRegistration, ControllerRegistration};
use crate::controller::{self, ActiveController, ControllerConfig, ControllerError, Rules, registration};
use crate::env::Env;
use crate::env::disk::read_file;
use crate::metadata::checkpoint_file::{BOOTSTRAP_FILE, Checkpoint};
use crate::metadata::supported::SUPPORTED;
use crate::metadata::{self, FeatureRange, MetadataImage};
use crate::quorum::{self, Publisher, Quorum, QuorumConfig, QuorumError};
use crate::replica::{PartitionSettings, ReplicaManager, ShardedSessions};
use crate::server::{ConnectionLimits, ConnectionSettings, ListenerSettings, RequestMemory, Server};
use crate::storage::{Manager as LogManager, ManagerConfig, RecoveryProgress, StorageError};
use crate::types::BrokerEpoch;
use crate::wire::guard;

/// The line that containers wait for; Kafka's own words.
pub const READY_LINE: &str = "Transitioning from RECOVERY to RUNNING";
/// How long a step of the start may take that only the node itself has a part in.
const START_STEP: Duration = Duration::from_secs(60);
/// How long answers under way may take when the node stops.
const STOP_ANSWERS: Duration = Duration::from_secs(5);
/// How often it is looked whether a log directory is still in use.
const LOG_DIRS_CHECK: Duration = Duration::from_secs(1);
/// How many lines a second the log may take for clients that are refused.
const REFUSALS_PER_SECOND: u32 = 5;
/// `bootstrap.checkpoint` holds feature levels and credentials; this is room for thousands of them.
const BOOTSTRAP_BYTES_MAX: u64 = 16 << 20;

/// Why a node does not start. One line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A listener's socket.
    #[error("cannot listen on {endpoint}: {source}")]
    Listen {
        /// What was to be bound.
        endpoint: String,
        /// What the system says.
        source: io::Error,
    },
    /// The log directories.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The metadata log.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// `bootstrap.checkpoint`.
    #[error("{BOOTSTRAP_FILE} cannot be read: {0}")]
    Bootstrap(String),
    /// The controller did not take the broker in.
    #[error("the broker cannot register: {0}")]
    Register(#[from] ControllerError),
    /// The node died meanwhile.
    #[error("the node was stopped while it started")]
    Stopped,
}

/// A running node.
pub struct Node {
    env: Env,
    config: Arc<BrokerConfig>,
    epoch: BrokerEpoch,
    broker: Arc<Broker>,
    controller: ActiveController,
    quorum: Quorum,
    logs: Arc<LogManager>,
    /// Cancelled first: no new connection, no new request.
    accepting: CancellationToken,
    limits: Arc<ConnectionLimits>,
    /// Where clients reach it, with the ports that were really bound.
    endpoints: Vec<Endpoint>,
}

impl Node {
    /// Starts a node. When this returns, it serves.
    pub async fn start(env: &Env, setup: &Setup) -> Result<Node, NodeError> {
        let config = Arc::clone(&setup.config);
        let began = Instant::now();
        let (servers, endpoints) = bind(env, &config).await?;

        let publisher = Publisher::new();
        let quorum = Quorum::start(env, quorum_config(setup), publisher.clone()).await?;
        let features: Vec<FeatureRange> =
            SUPPORTED.iter().map(|f| FeatureRange { name: f.name.into(), min: f.min, max: f.max }).collect();
        let controller = start_controller(env, setup, &quorum, &features).await?;
        tracing::debug!(elapsed = ?began.elapsed(), "the metadata quorum is up");

        let layers = Arc::new(ArcSwap::from_pointee(setup.layers.clone()));
        // From here on the layers have what the metadata log says of this broker.
        let changes = dynamic_config::subscribe(&publisher, config.node_id, &layers);
        let settings_of = dynamic_config::settings_of(Arc::clone(&layers));
        let logs = open_logs(env, &config, publisher.image(), &layers).await?;
        let replicas = ReplicaManager::new(config.node_id, env, Arc::clone(&logs), settings_of);
        let broker = Arc::new(Broker {
            cluster_id: setup.cluster_id.as_str().into(),
            config: Arc::clone(&config),
            layers: Arc::clone(&layers),
            clock: Arc::clone(&env.clock),
            tasks: env.tasks.clone(),
            metadata: publisher.shared(),
            controller: controller.clone(),
            quorum: quorum.clone(),
            replicas: Arc::clone(&replicas),
            groups: coordinators::start_groups(env, &config),
            fetch_sessions: ShardedSessions::new(
                config.max_incremental_fetch_session_cache_slots,
                &mut env.seeds.rng(),
            ),
            producer_ids: ProducerIdStock::default(),
            guard_limits: guard::Limits::default(),
            refusals: RateLimit::new(REFUSALS_PER_SECOND),
        });

        let epoch = register(env, setup, &controller, &endpoints, &features).await?;
        publisher.subscribe(Box::new({
            let (replicas, mut strays_are_known) = (Arc::clone(&replicas), false);
            move |delta, image| {
                replicas.apply(image, delta);
                if !strays_are_known && image.offset() >= epoch {
                    strays_are_known = true;
                    replicas.set_strays_aside(image);
                }
            }
        }));
        coordinators::subscribe(&publisher, &broker);
        maintenance::start(env, &config, &layers, &replicas);
        unfence(&config, &controller, &publisher, epoch).await?;

        let accepting = CancellationToken::new();
        let limits = dynamic_config::connection_limits(env, changes, &config).await;
        let settings = Arc::new(ConnectionSettings {
            request_bytes_max: config.socket_request_max_bytes,
            idle: (config.connections_max_idle_ms >= 0)
                .then(|| Duration::from_millis(config.connections_max_idle_ms as u64)),
            memory: RequestMemory::new(config.queued_max_request_bytes),
            tasks: env.tasks.clone(),
            stopping: accepting.clone(),
        });
        for server in servers {
            let (broker, settings, limits) =
                (Arc::clone(&broker), Arc::clone(&settings), Arc::clone(&limits));
            server.start(env, broker, settings, limits, accepting.clone());
        }
        tracing::info!(elapsed = ?began.elapsed(), "node {} serves", config.node_id);
        let (env, controller) = (env.clone(), controller.clone());
        Ok(Node { env, config, epoch, broker, controller, quorum, logs, accepting, limits, endpoints })
    }

    /// Where clients reach it, with the ports that were really bound.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The metadata as far as this node knows it.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.broker.image()
    }

    /// Waits until the node cannot go on, and says why: its metadata log has failed, or all of its log directories have.
    pub async fn failed(&self) -> String {
        tokio::select! {
            biased;
            why = self.quorum.failed() => why,
            () = self.log_dirs_failed() => "all log directories have failed".to_owned(),
        }
    }

    /// Waits until no log directory is in use any more, as Kafka's brokers do to end then.
    async fn log_dirs_failed(&self) {
        while !self.logs.dirs().iter().all(|dir| dir.is_failed()) {
            tokio::time::sleep(LOG_DIRS_CHECK).await;
        }
    }

    /// Stops in order: takes in nothing new, answers what is under way, writes everything out.
    pub async fn stop(self) -> Result<(), StorageError> {
        let deadline = Instant::now() + STOP_ANSWERS;
        self.accepting.cancel();
        while self.limits.connections() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let offset = self.broker.image().offset();
        let id = self.config.node_id;
        // A node that is alone is let go at once; with others, leaders move first.
        if let Err(e) = registration::shut_down(&self.controller, id, self.epoch, offset, deadline).await {
            tracing::warn!("the controller was not told of the stop: {e}");
        }
        coordinators::stop(&self.broker);
        self.quorum.stop().await;
        let (logs, epoch) = (Arc::clone(&self.logs), self.epoch);
        let replicas = Arc::clone(&self.broker.replicas);
        let stopped = self.env.tasks.run_blocking(move || {
            replicas.close();
            logs.close(epoch)
        });
        let outcome = stopped.await.unwrap_or(Ok(()));
        self.env.tasks.kill();
        outcome
    }
}

/// Binds every listener; the endpoints that clients are told get the ports that were really bound.
async fn bind(env: &Env, config: &BrokerConfig) -> Result<(Vec<Server>, Vec<Endpoint>), NodeError> {
    let mut servers = Vec::new();
    let mut endpoints = Vec::new();
    for endpoint in &config.listeners {
        let is_controller = config.controller_listener_names.contains(&endpoint.listener);
        let principal = config.listener_principals.get(&endpoint.listener);
        let info = Arc::new(ListenerInfo {
            name: endpoint.listener.as_str().into(),
            security_protocol: endpoint.protocol as i16,
            is_controller,
            principal: principal
                .map_or_else(|| "User:ANONYMOUS".into(), |p| format!("{}:{}", p.kind, p.name).into()),
        });
        let settings = ListenerSettings {
            info,
            host: endpoint.host.clone().unwrap_or_default(),
            port: endpoint.port,
            send_buffer_bytes: config.socket_send_buffer_bytes,
        };
        let failed = |source| NodeError::Listen { endpoint: endpoint.to_string(), source };
        let server = Server::bind(env, &settings).await.map_err(failed)?;
        let port = server.local_addr().map_err(failed)?.port();
        servers.push(server);
        if !is_controller {
            let advertised = config.advertised_listeners.iter().find(|a| a.listener == endpoint.listener);
            if let Some(advertised) = advertised {
                let port = if advertised.port == 0 { port } else { advertised.port };
                endpoints.push(Endpoint { port, ..advertised.clone() });
            }
        }
    }
    Ok((servers, endpoints))
}

/// Entries of the metadata log that are kept behind a snapshot where there are several controllers.
const METADATA_ENTRIES_KEPT: u64 = 10_000;

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
        election_timeout_ms: 1000,
        fetch_timeout_ms: 2000,
    }
}

fn quorum_voters(setup: &Setup) -> BTreeMap<i32, quorum::Voter> {
    let config = &setup.config;
    let listener = config.controller_listener_names.first().cloned().unwrap_or_default();
    // Of others only they themselves know the directory.
    let alone = config.controller_quorum_voters.len() <= 1;
    let directory = if alone { setup.metadata_directory.id } else { uuid::Uuid::nil() };
    let voter = |id, host: String, port| {
        (id, quorum::Voter { directory, endpoints: vec![(listener.clone(), host, port)] })
    };
    if config.controller_quorum_voters.is_empty() {
        let own = config.advertised_controller_listeners.first();
        let host = own.and_then(|e| e.host.clone()).unwrap_or_else(|| "localhost".to_owned());
        return BTreeMap::from([voter(config.node_id, host, own.map_or(0, |e| e.port))]);
    }
    let voters = config.controller_quorum_voters.iter();
    voters.map(|v| voter(v.id, v.host.clone(), v.port)).collect()
}

async fn start_controller(
    env: &Env,
    setup: &Setup,
    quorum: &Quorum,
    features: &[FeatureRange],
) -> Result<ActiveController, NodeError> {
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
    let local = controller::start(
        env,
        quorum.clone(),
        ControllerConfig { rules, session_timeout_ms: 9000, bootstrap },
    );
    let handle = ActiveController::new(Some(local), quorum.clone(), None);
    let own: Vec<metadata::Endpoint> =
        config.advertised_controller_listeners.iter().map(wire_endpoint).collect();
    let registration = ControllerRegistration {
        id: config.node_id,
        incarnation: env.seeds.rng().uuid(),
        endpoints: own,
        features: features.to_vec(),
    };
    once_there_is_a_controller(|deadline| {
        registration::register_controller(&handle, registration.clone(), deadline)
    })
    .await?;
    Ok(handle)
}

async fn open_logs(
    env: &Env,
    config: &BrokerConfig,
    image: Arc<MetadataImage>,
    layers: &Arc<ArcSwap<crate::config::Layers>>,
) -> Result<Arc<LogManager>, NodeError> {
    let manager_config = ManagerConfig {
        checkpoint_interval_ms: config.log_flush_offset_checkpoint_interval_ms,
        retention_interval_ms: config.log_retention_check_interval_ms,
        initial_delay_ms: config.log_initial_task_delay_ms,
    };
    let (disk, dirs, now) = (Arc::clone(&env.disk), config.log_dirs.clone(), env.clock.now());
    let opened = env.tasks.run_blocking(move || LogManager::open(disk, &dirs, manager_config, now)).await;
    let logs = Arc::new(opened.ok_or(NodeError::Stopped)??);
    if logs.needs_recovery() {
        let settings_of = dynamic_config::settings_of(Arc::clone(layers));
        let config_of = move |topic: &str| -> Arc<crate::storage::LogConfig> {
            let settings: PartitionSettings = settings_of(&image, topic);
            settings.log
        };
        let progress = |progress: RecoveryProgress| {
            tracing::debug!("recovered {} of {} logs", progress.done, progress.total);
        };
        let threads = usize::try_from(layers.load().number("num.recovery.threads.per.data.dir")).unwrap_or(1);
        logs.recover(&env.tasks, threads, Arc::new(config_of), Arc::new(progress)).await;
    }
    Ok(logs)
}

async fn register(
    env: &Env,
    setup: &Setup,
    controller: &ActiveController,
    endpoints: &[Endpoint],
    features: &[FeatureRange],
) -> Result<BrokerEpoch, NodeError> {
    let registration = BrokerRegistration {
        id: setup.config.node_id,
        cluster_id: setup.cluster_id.clone(),
        incarnation: env.seeds.rng().uuid(),
        endpoints: endpoints.iter().map(wire_endpoint).collect(),
        features: features.to_vec(),
        rack: setup.config.broker_rack.clone(),
        log_dirs: setup.log_directories.iter().map(|dir| dir.id).collect(),
    };
    let register = |deadline| registration::register_broker(controller, registration.clone(), deadline);
    Ok(once_there_is_a_controller(register).await?)
}

/// Asks until some controller is active: a controller that has just been elected first makes sure that it knows all.
async fn once_there_is_a_controller<T, F>(mut ask: impl FnMut(Instant) -> F) -> Result<T, ControllerError>
where
    F: Future<Output = Result<T, ControllerError>>,
{
    let deadline = Instant::now() + START_STEP;
    loop {
        match ask(deadline).await {
            Err(ControllerError::NotController(_) | ControllerError::Busy) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn unfence(
    config: &BrokerConfig,
    controller: &ActiveController,
    publisher: &Publisher,
    epoch: BrokerEpoch,
) -> Result<(), NodeError> {
    let deadline = Instant::now() + START_STEP;
    loop {
        let offset = publisher.image().offset();
        if registration::unfence(controller, config.node_id, epoch, offset, deadline).await? {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(ControllerError::TimedOut.into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn wire_endpoint(endpoint: &Endpoint) -> metadata::Endpoint {
    metadata::Endpoint {
        listener: endpoint.listener.as_str().into(),
        host: endpoint.host.as_deref().unwrap_or("localhost").into(),
        port: endpoint.port,
        security_protocol: endpoint.protocol as i16,
    }
}

#[cfg(test)]
#[path = "node/clients_gone_test.rs"]
mod clients_gone;

#[cfg(test)]
#[path = "node/topic_again_test.rs"]
mod topic_again;

#[cfg(test)]
#[path = "node/strays_test.rs"]
mod strays;

#[cfg(test)]
#[path = "node/remote_controller_test.rs"]
mod remote_controller;
