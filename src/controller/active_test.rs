//! Three controllers on a simulated network: whoever is asked, the one that leads decides.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::client::{ConnectionSettings, Pool};
use crate::config::{Layers, Props};
use crate::controller::command::ControllerRegistration;
use crate::controller::{ControllerConfig, Rules};
use crate::env::{Disk as _, Env, Listener, Seeds, Tasks};
use crate::quorum::{QuorumConfig, Voter};
use crate::schema::api::{ControllerRegistrationRequest, ControllerRegistrationResponse};
use crate::schema::messages::raft::*;
use crate::sim::clock::SimClock;
use crate::sim::disk::SimDisk;
use crate::sim::net::SimNet;
use crate::types::{NodeId, Rng};
use crate::wire::frame;
use crate::wire::header::{RequestHeader, encode_response};

const PORT: u16 = 9093;
const DIR: &str = "/data";
const NOT_CONTROLLER: i16 = 41;

struct Node {
    env: Env,
    net: SimNet,
    quorum: Quorum,
    active: ActiveController,
}

fn voters() -> BTreeMap<NodeId, Voter> {
    let endpoint = |id| ("CONTROLLER".to_owned(), format!("host{id}"), PORT);
    (1..=3).map(|id| (id, Voter { directory: Uuid::nil(), endpoints: vec![endpoint(id)] })).collect()
}

async fn start(id: NodeId, net: SimNet) -> Node {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let env = Env {
        clock: Arc::new(SimClock::new()),
        disk: Arc::new(disk),
        net: Arc::new(net.clone()),
        seeds: Seeds::from_seed(id as u64),
        tasks: Tasks::simulated(),
    };
    let config = QuorumConfig {
        cluster_id: "c".to_owned(),
        node_id: id,
        log_dir: DIR.into(),
        directory_id: Uuid::from_u128(1000 + id as u128),
        voters: voters(),
        segment_bytes: 1 << 30,
        snapshot_bytes: 1 << 30,
        snapshot_interval_ms: 0,
        kept_entries: 100,
        election_timeout_ms: 1000,
        fetch_timeout_ms: 2000,
    };
    let listener = env.net.listen("", PORT).await.unwrap();
    let quorum = Quorum::start(&env, config, Publisher::new()).await.unwrap();
    let rules = Rules {
        node_id: id,
        cluster_id: "c".into(),
        default_partitions: 1,
        default_replication_factor: 1,
        layers: Layers::new(Props::new()),
        features: Vec::new(),
    };
    let config = ControllerConfig { rules, session_timeout_ms: 9000, bootstrap: Vec::new() };
    let local = crate::controller::start(&env, quorum.clone(), config);
    let named = quorum.clone();
    let to = ToController::new(
        &env,
        Pool::new(&env, ConnectionSettings::default()),
        Arc::new(move || named.leader_endpoint().map(|(_, host, port)| (host, port))),
        (1..=3).map(|id| (format!("host{id}").into(), PORT)).collect(),
    );
    let active = ActiveController::new(Some(local), quorum.clone(), Some(to));
    env.tasks.spawn("listener", serve(listener, env.clone(), quorum.clone(), active.clone()));
    Node { env, net, quorum, active }
}

/// Serves what controllers ask each other.
async fn serve(listener: Box<dyn Listener>, env: Env, quorum: Quorum, active: ActiveController) {
    while let Ok(conn) = listener.accept().await {
        let (quorum, active) = (quorum.clone(), active.clone());
        env.tasks.spawn("connection", async move {
            let mut inbox = BytesMut::new();
            loop {
                while let Some(request) = frame::take(&mut inbox, 64 << 20).unwrap() {
                    let answer = answer(&quorum, &active, request).await;
                    let mut left = &answer[..];
                    while !left.is_empty() {
                        if std::future::poll_fn(|cx| conn.poll_write_ready(cx)).await.is_err() {
                            return;
                        }
                        match conn.try_write(&[IoSlice::new(left)], false) {
                            Ok(written) => left = &left[written..],
                            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                            Err(_) => return,
                        }
                    }
                }
                if std::future::poll_fn(|cx| conn.poll_read_ready(cx)).await.is_err() {
                    return;
                }
                let mut buf = vec![0; 1 << 14];
                match conn.try_read(&mut buf) {
                    Ok(0) => return,
                    Ok(read) => inbox.extend_from_slice(&buf[..read]),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        });
    }
}

async fn answer(quorum: &Quorum, active: &ActiveController, request: Bytes) -> Bytes {
    let mut body = request;
    let header = RequestHeader::decode(&mut body).unwrap();
    let mut out = BytesMut::new();
    let begun = frame::begin(&mut out);
    encode_response(&mut out, header.api.response_header_version(header.version), header.correlation_id);
    match header.api.key {
        10_000 => {
            let request = RaftVoteRequest::decode(&mut body, 0).unwrap();
            quorum.raft_vote(request).await.encode(&mut out, 0).unwrap();
        }
        10_001 => {
            let request = RaftAppendEntriesRequest::decode(&mut body, 0).unwrap();
            quorum.raft_append_entries(request).await.encode(&mut out, 0).unwrap();
        }
        70 => {
            let request = ControllerRegistrationRequest::decode(&mut body, 0).unwrap();
            let command = register(request.controller_id, request.incarnation_id);
            let deadline = Instant::now() + Duration::from_secs(10);
            let done = active.submit_here(command, deadline).await;
            let code = if done.is_ok() { 0 } else { NOT_CONTROLLER };
            let response = ControllerRegistrationResponse::default().with_error_code(code);
            response.with_error_message(None).encode(&mut out, 0).unwrap();
        }
        other => panic!("nobody sends {other}"),
    }
    frame::finish(&mut out, begun, 0).unwrap();
    out.freeze()
}

fn register(id: NodeId, incarnation: Uuid) -> Command {
    let (endpoints, features) = (Vec::new(), Vec::new());
    Command::RegisterController(ControllerRegistration { id, incarnation, endpoints, features })
}

async fn submit(node: &Node, id: NodeId, within: Duration) -> Result<Reply, ControllerError> {
    node.active.submit(register(id, Uuid::from_u128(id as u128)), Instant::now() + within).await
}

const LONG: Duration = Duration::from_secs(60);

async fn started(seed: u64) -> BTreeMap<NodeId, Node> {
    let net = SimNet::new(Rng::new(seed), 5);
    let mut nodes = BTreeMap::new();
    for id in 1..=3 {
        nodes.insert(id, start(id, net.host(&format!("host{id}"))).await);
    }
    nodes
}

async fn leader(nodes: &BTreeMap<NodeId, Node>) -> NodeId {
    let deadline = Instant::now() + LONG;
    loop {
        let leads = |node: &Node| node.quorum.leadership().borrow().is_me;
        if let Some((id, _)) = nodes.iter().find(|(_, node)| leads(node)) {
            return *id;
        }
        assert!(Instant::now() < deadline, "nobody leads");
        sleep(Duration::from_millis(10)).await;
    }
}

/// The process is gone, and its sockets with it.
async fn kill(node: Node) {
    node.env.tasks.kill();
    node.env.tasks.ended().await;
    node.net.reset();
}

fn simulate<F: Future<Output = ()>>(test: impl Fn(u64) -> F) {
    for seed in 1..5 {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test(seed));
    }
}

#[test]
fn whoever_is_asked_the_leader_decides() {
    simulate(async |seed| {
        let nodes = started(seed).await;
        // Before anybody is elected too: it is waited for.
        for (id, node) in &nodes {
            assert_eq!(submit(node, 50 + id, LONG).await, Ok(Reply::Done), "seed {seed}");
        }
        let leader = leader(&nodes).await;
        let image = nodes[&leader].quorum.image();
        assert!((51..=53).all(|id| image.controllers().get(id).is_some()));
    });
}

#[test]
fn a_command_survives_a_change_of_leader() {
    simulate(async |seed| {
        let mut nodes = started(seed).await;
        submit(&nodes[&1], 50, LONG).await.unwrap();
        let old = leader(&nodes).await;
        kill(nodes.remove(&old).unwrap()).await;
        // At once, while everybody believes in the one that is gone.
        for (id, node) in &nodes {
            assert_eq!(submit(node, 60 + id, LONG).await, Ok(Reply::Done), "seed {seed}");
        }
        let leader = leader(&nodes).await;
        let image = nodes[&leader].quorum.image();
        assert!(nodes.keys().all(|id| image.controllers().get(60 + id).is_some()));
    });
}

#[test]
fn the_deadline_is_kept_without_a_majority() {
    simulate(async |seed| {
        let mut nodes = started(seed).await;
        submit(&nodes[&1], 50, LONG).await.unwrap();
        let old = leader(&nodes).await;
        kill(nodes.remove(&old).unwrap()).await;
        let (_, other) = nodes.pop_first().unwrap();
        kill(other).await;
        let (_, last) = nodes.pop_first().unwrap();
        for within in [Duration::from_secs(3), Duration::from_secs(20)] {
            let began = Instant::now();
            let outcome = submit(&last, 70, within).await;
            let expected = [ControllerError::NotController(None), ControllerError::TimedOut];
            assert!(outcome.as_ref().is_err_and(|e| expected.contains(e)), "seed {seed}: {outcome:?}");
            assert!(began.elapsed() <= within + Duration::from_millis(1), "{:?}", began.elapsed());
        }
    });
}
