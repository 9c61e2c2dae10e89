//! Quorums of several nodes on simulated disks and a simulated network, each run from one seed.

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable as _, Encodable as _};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::*;
use crate::env::net::BoxFuture;
use crate::env::{Conn, Listener, Net, Seeds, Tasks};
use crate::schema::api::{FetchRequest, FetchSnapshotRequest};
use crate::schema::messages::raft::*;
use crate::schema::metadata::TopicRecord;
use crate::sim::clock::SimClock;
use crate::sim::disk::SimDisk;
use crate::sim::net::SimNet;
use crate::types::{ErrorCode, Rng};
use crate::wire::header::{RequestHeader, encode_response};
use crate::wire::{frame, guard};

const DIR: &str = "/data";
const PORTS: u16 = 9000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The nodes that are cut off from the others.
type Cut = Arc<Mutex<BTreeSet<NodeId>>>;

/// The network as one node sees it: a node has a port, and between the two sides of a cut nothing arrives.
struct HostNet {
    net: SimNet,
    me: NodeId,
    cut: Cut,
}

/// A connection that ends for good once something was lost on it.
struct CutConn {
    conn: Box<dyn Conn>,
    ends: (NodeId, NodeId),
    cut: Cut,
    lost: AtomicBool,
}

impl CutConn {
    fn is_cut(&self) -> bool {
        let cut = self.cut.lock();
        cut.contains(&self.ends.0) != cut.contains(&self.ends.1)
    }
}

impl Net for HostNet {
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        self.net.listen(host, port)
    }
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            let ends = (self.me, NodeId::from(port - PORTS));
            let (cut, lost) = (Arc::clone(&self.cut), AtomicBool::new(false));
            let conn = CutConn { conn: self.net.connect(host, port).await?, ends, cut, lost };
            if conn.is_cut() {
                std::future::pending::<()>().await;
            }
            Ok(Box::new(conn) as Box<dyn Conn>)
        })
    }
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.net.resolve(host)
    }
}

impl Conn for CutConn {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn.poll_read_ready(cx)
    }
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.conn.try_read(buf)?;
        if self.is_cut() && read > 0 {
            self.lost.store(true, Ordering::Relaxed);
        }
        match self.lost.load(Ordering::Relaxed) {
            false => Ok(read),
            true if self.is_cut() && read > 0 => Err(io::ErrorKind::WouldBlock.into()),
            true => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn.poll_write_ready(cx)
    }
    fn try_write(&self, parts: &[IoSlice<'_>], more_follows: bool) -> io::Result<usize> {
        if self.is_cut() {
            self.lost.store(true, Ordering::Relaxed);
            return Ok(parts.iter().map(|part| part.len()).sum());
        }
        if self.lost.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.conn.try_write(parts, more_follows)
    }
    fn try_send_file(&self, _: BorrowedFd<'_>, _: u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.conn.peer_addr()
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.conn.local_addr()
    }
}

/// Serves the calls between nodes, as a listener of a controller does.
async fn serve(listener: Box<dyn Listener>, env: Env, quorum: Quorum) {
    while let Ok(conn) = listener.accept().await {
        let quorum = quorum.clone();
        env.tasks.spawn("connection", async move {
            let mut inbox = BytesMut::new();
            loop {
                while let Some(request) = frame::take(&mut inbox, 64 << 20).unwrap() {
                    let answer = answer(&quorum, request).await;
                    let mut left = &answer[..];
                    while !left.is_empty() {
                        std::future::poll_fn(|cx| conn.poll_write_ready(cx)).await.unwrap();
                        match conn.try_write(&[IoSlice::new(left)], false) {
                            Ok(written) => left = &left[written..],
                            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                            Err(_) => return,
                        }
                    }
                }
                std::future::poll_fn(|cx| conn.poll_read_ready(cx)).await.unwrap();
                let mut buf = vec![0; 1 << 16];
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

async fn answer(quorum: &Quorum, request: Bytes) -> Bytes {
    let mut body = request;
    let header = RequestHeader::decode(&mut body).unwrap();
    let version = header.version;
    guard::check(header.api.key, version, &body, &guard::Limits::default()).unwrap();
    let mut out = BytesMut::new();
    let begun = frame::begin(&mut out);
    encode_response(&mut out, header.api.response_header_version(version), header.correlation_id);
    match header.api.key {
        10_000 => {
            let request = RaftVoteRequest::decode(&mut body, 0).unwrap();
            quorum.raft_vote(request).await.encode(&mut out, 0).unwrap();
        }
        10_001 => {
            let request = RaftAppendEntriesRequest::decode(&mut body, 0).unwrap();
            quorum.raft_append_entries(request).await.encode(&mut out, 0).unwrap();
        }
        10_002 => {
            let request = RaftSnapshotRequest::decode(&mut body, 0).unwrap();
            quorum.raft_snapshot(request).await.encode(&mut out, 0).unwrap();
        }
        10_003 => {
            let request = RaftTransferLeaderRequest::decode(&mut body, 0).unwrap();
            quorum.raft_transfer_leader(request).await.encode(&mut out, 0).unwrap();
        }
        1 => {
            let request = FetchRequest::decode(&mut body, version).unwrap();
            quorum.fetch(version, request).await.encode(&mut out, version).unwrap();
        }
        59 => {
            let request = FetchSnapshotRequest::decode(&mut body, version).unwrap();
            quorum.fetch_snapshot(request).await.encode(&mut out, version).unwrap();
        }
        other => panic!("nobody sends {other}"),
    }
    frame::finish(&mut out, begun, 0).unwrap();
    out.freeze()
}

struct Machine {
    disk: SimDisk,
    directory: Uuid,
    running: Option<(Env, Quorum)>,
}

impl Machine {
    /// With a log directory that is there for good, as formatting leaves it.
    fn new(directory: Uuid) -> Machine {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new(DIR)).unwrap();
        disk.settle();
        Machine { disk, directory, running: None }
    }
}

struct Cluster {
    net: SimNet,
    clock: Arc<SimClock>,
    cut: Cut,
    rng: Rng,
    voters: BTreeMap<NodeId, Voter>,
    machines: BTreeMap<NodeId, Machine>,
    snapshot_bytes: u64,
    kept_entries: u64,
    topics: u128,
}

impl Cluster {
    fn new(size: NodeId, mut rng: Rng) -> Cluster {
        let endpoint = |id: NodeId| ("CONTROLLER".to_owned(), format!("host{id}"), PORTS + id as u16);
        let voters = (1..=size)
            .map(|id| (id, Voter { directory: Uuid::nil(), endpoints: vec![endpoint(id)] }))
            .collect();
        let machine = |id| Machine::new(Uuid::from_u128(1000 + id as u128));
        Cluster {
            net: SimNet::new(rng.split(), 5),
            clock: Arc::new(SimClock::new()),
            cut: Cut::default(),
            rng,
            voters,
            machines: (1..=size).map(|id| (id, machine(id))).collect(),
            snapshot_bytes: 1 << 30,
            kept_entries: 0,
            topics: 0,
        }
    }

    async fn started(size: NodeId, rng: Rng) -> Cluster {
        let mut cluster = Cluster::new(size, rng);
        for id in 1..=size {
            cluster.start(id).await;
        }
        cluster
    }

    fn env(&mut self, id: NodeId) -> Env {
        Env {
            clock: self.clock.clone(),
            disk: Arc::new(self.machines[&id].disk.clone()),
            net: Arc::new(HostNet { net: self.net.clone(), me: id, cut: Arc::clone(&self.cut) }),
            seeds: Seeds::from_seed(self.rng.next_u64()),
            tasks: Tasks::simulated_late(self.rng.split(), 5),
        }
    }

    fn config(&self, id: NodeId) -> QuorumConfig {
        QuorumConfig {
            cluster_id: "cluster".to_owned(),
            node_id: id,
            log_dir: DIR.into(),
            directory_id: self.machines[&id].directory,
            voters: self.voters.clone(),
            segment_bytes: 1 << 30,
            snapshot_bytes: self.snapshot_bytes,
            snapshot_interval_ms: 0,
            kept_entries: self.kept_entries,
            election_timeout_ms: 1000,
            fetch_timeout_ms: 2000,
        }
    }

    async fn start(&mut self, id: NodeId) {
        let config = self.config(id);
        self.start_with(id, config).await;
    }

    async fn start_with(&mut self, id: NodeId, config: QuorumConfig) {
        let env = self.env(id);
        let listener = env.net.listen("", PORTS + id as u16).await.unwrap();
        let quorum = Quorum::start(&env, config, Publisher::new()).await.unwrap();
        env.tasks.spawn("listener", serve(listener, env.clone(), quorum.clone()));
        self.machines.get_mut(&id).unwrap().running = Some((env, quorum));
    }

    /// Starts a node without a vote, which is told of one controller only.
    async fn observe(&mut self, id: NodeId, directory: u128) {
        let directory = Uuid::from_u128(directory);
        self.machines.entry(id).or_insert_with(|| Machine::new(directory));
        let env = self.env(id);
        let config = QuorumConfig { voters: BTreeMap::new(), ..self.config(id) };
        let bootstrap = vec![("host1".to_owned(), PORTS + 1), ("host2".to_owned(), PORTS + 2)];
        let quorum = Quorum::observe(&env, config, bootstrap, Publisher::new()).await.unwrap();
        self.machines.get_mut(&id).unwrap().running = Some((env, quorum));
    }

    /// Ends a node without a word, and what it had not synced is lost in part.
    async fn crash(&mut self, id: NodeId) {
        let machine = self.machines.get_mut(&id).unwrap();
        let (env, quorum) = machine.running.take().unwrap();
        machine.disk.lose_power_at(machine.disk.calls());
        env.tasks.kill();
        env.tasks.ended().await;
        // What openraft began meets a disk without power.
        if let Some(part) = quorum.voter() {
            let _ = part.raft.shutdown().await;
        }
        machine.disk.crash(&mut self.rng);
    }

    async fn stop(&mut self, id: NodeId) {
        let (env, quorum) = self.machines.get_mut(&id).unwrap().running.take().unwrap();
        quorum.stop().await;
        env.tasks.kill();
        env.tasks.ended().await;
    }

    fn quorum(&self, id: NodeId) -> &Quorum {
        &self.machines[&id].running.as_ref().unwrap().1
    }

    /// Voters that run.
    fn running(&self) -> Vec<NodeId> {
        let running = self.machines.iter().filter(|(_, m)| m.running.is_some()).map(|(id, _)| *id);
        running.filter(|id| self.voters.contains_key(id)).collect()
    }

    /// The leader that serves `among`, once all of them know it.
    async fn leader_of(&self, among: &[NodeId]) -> NodeId {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen: BTreeSet<Option<NodeId>> =
                among.iter().map(|id| self.quorum(*id).leadership().borrow().leader).collect();
            if let [Some(leader)] = seen.into_iter().collect::<Vec<_>>()[..]
                && among.contains(&leader)
                && self.quorum(leader).barrier().await.is_ok()
            {
                return leader;
            }
            assert!(Instant::now() < deadline, "no leader among {among:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn leader(&self) -> NodeId {
        self.leader_of(&self.running()).await
    }

    fn topic(&mut self, bytes: usize) -> MetadataRecord {
        self.topics += 1;
        let name = format!("{:010}{}", self.topics, "x".repeat(bytes));
        TopicRecord { name, topic_id: Uuid::from_u128(self.topics) }.into()
    }

    /// Proposes `count` records on `leader`, each in an entry of its own; returns the offset of the last.
    async fn propose(&mut self, leader: NodeId, count: usize) -> Offset {
        let mut last = -1;
        for _ in 0..count {
            let record = self.topic(20);
            last = self.quorum(leader).propose(&[record]).await.unwrap();
        }
        last
    }

    async fn wait_for(&self, ids: &[NodeId], offset: Offset) {
        for id in ids {
            let waited = tokio::time::timeout(PATIENCE, self.quorum(*id).publisher().wait_for(offset)).await;
            assert!(waited.is_ok(), "node {id} has {} of {offset}", self.quorum(*id).image().offset());
        }
    }

    /// Waits until the running nodes have written down whose directory is which, so that the log is at rest.
    async fn wait_until_named(&self) {
        let deadline = Instant::now() + PATIENCE;
        for id in self.running() {
            let named = |id| {
                let voters = self.quorum(id).describe().voters;
                self.running().iter().all(|n| voters.iter().any(|v| v.id == *n && !v.directory.is_nil()))
            };
            while !named(id) {
                assert!(Instant::now() < deadline, "{:?}", self.quorum(id).describe());
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    fn log_start(&self, id: NodeId) -> Offset {
        match &self.quorum(id).part {
            Part::Voter(part) => part.log.with_log(|log| log.start_offset()),
            Part::Observer(_) => 0,
        }
    }

    /// The bytes of a node's log from its segments, in order.
    fn log_bytes(&self, id: NodeId) -> Vec<u8> {
        let dir = Path::new(DIR).join(METADATA_LOG_DIR);
        let disk = &self.machines[&id].disk;
        let mut names: Vec<String> = disk.list(&dir).unwrap().into_iter().map(|e| e.name).collect();
        names.retain(|name| name.ends_with(".log"));
        names.sort();
        names.iter().flat_map(|name| read_file(disk, &dir.join(name), 1 << 30).unwrap()).collect()
    }

    /// All running nodes have the same image and the same bytes.
    async fn assert_same(&self) {
        let ids = self.running();
        let leader = self.leader().await;
        let end = self.quorum(leader).image().offset();
        self.wait_for(&ids, end).await;
        let topics = |id| -> Vec<String> {
            self.quorum(id).image().topics().iter().map(|t| t.name.to_string()).collect()
        };
        for id in &ids {
            assert_eq!(topics(*id), topics(leader), "images of {id} and {leader}");
            // Behind a snapshot a log may begin with a segment whose first batches are in the snapshot too.
            let mut logs = [self.log_bytes(*id), self.log_bytes(leader)];
            logs.sort_by_key(Vec::len);
            assert!(!logs[0].is_empty() && logs[1].ends_with(&logs[0]), "logs of {id} and {leader} differ");
            let starts = [*id, leader].map(|id| self.log_start(id));
            assert!(logs[0] == logs[1] || starts != [0, 0], "logs of {id} and {leader} differ");
        }
    }

    fn assert_has_topics(&self, id: NodeId, up_to: u128) {
        let image = self.quorum(id).image();
        let found: BTreeSet<u128> = image.topics().iter().map(|t| t.id.0.as_u128()).collect();
        let missing: Vec<u128> = (1..=up_to).filter(|n| !found.contains(n)).collect();
        assert!(missing.is_empty(), "node {id} lacks {missing:?}");
    }
}

/// Runs a test on virtual time, for a few seeds; a failure names its seed.
fn simulate<F: Future<Output = ()>>(seeds: std::ops::Range<u64>, test: impl Fn(Rng) -> F) {
    for seed in seeds {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let rng_seed = tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes());
        let runtime = builder.enable_time().start_paused(true).rng_seed(rng_seed).build().unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(test(Rng::new(seed)));
        }));
        if let Err(panic) = outcome {
            tracing::error!("seed {seed}");
            panic!("with seed {seed}: {:?}", panic.downcast_ref::<String>());
        }
    }
}

#[test]
fn three_and_five_voters_elect_a_leader_and_keep_the_same_bytes() {
    for size in [3, 5] {
        simulate(0..3, async |rng| {
            let mut cluster = Cluster::started(size, rng).await;
            let leader = cluster.leader().await;
            cluster.propose(leader, 50).await;
            cluster.wait_until_named().await;
            cluster.assert_same().await;
            let info = cluster.quorum(leader).describe();
            assert_eq!(info.voters.len(), size as usize);
            assert!(info.voters.iter().all(|v| v.directory == Uuid::from_u128(1000 + v.id as u128)));
            for id in cluster.running().into_iter().filter(|id| *id != leader) {
                let record = cluster.topic(0);
                let refused = cluster.quorum(id).propose(&[record]).await;
                assert_eq!(refused, Err(ProposeError::NotLeader(Some(leader))));
            }
        });
    }
}

#[test]
fn another_leads_when_the_leader_dies_and_nothing_committed_is_lost() {
    simulate(10..14, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        for _ in 0..3 {
            let leader = cluster.leader().await;
            let last = cluster.propose(leader, 20).await;
            let epoch = cluster.quorum(leader).describe().leader_epoch;
            cluster.crash(leader).await;
            let next = cluster.leader().await;
            assert_ne!(next, leader);
            assert!(cluster.quorum(next).describe().leader_epoch > epoch);
            assert!(cluster.quorum(next).image().offset() >= last);
            cluster.assert_has_topics(next, cluster.topics);
            cluster.propose(next, 5).await;
            cluster.start(leader).await;
            cluster.assert_same().await;
        }
    });
}

#[test]
fn a_minority_makes_no_progress_and_comes_back() {
    simulate(20..23, async |rng| {
        let mut cluster = Cluster::started(5, rng).await;
        let old = cluster.leader().await;
        cluster.propose(old, 10).await;
        let other = cluster.running().into_iter().find(|id| *id != old).unwrap();
        let minority = [old, other];
        cluster.cut.lock().extend(minority);
        let lost = cluster.topic(5);
        let stuck = cluster.quorum(old).clone();
        let proposal =
            tokio::time::timeout(Duration::from_secs(20), stuck.propose(std::slice::from_ref(&lost)));
        let majority: Vec<NodeId> =
            cluster.running().into_iter().filter(|id| !minority.contains(id)).collect();
        let (outcome, new) = tokio::join!(proposal, cluster.leader_of(&majority));
        assert!(!matches!(outcome, Ok(Ok(_))), "a minority commits");
        assert!(!minority.contains(&new));
        let epoch_of_cut_off = cluster.quorum(other).describe().leader_epoch;
        cluster.propose(new, 10).await;
        sleep(Duration::from_secs(30)).await;
        // Pre-vote: who cannot win does not raise the epoch.
        assert_eq!(cluster.quorum(other).describe().leader_epoch, epoch_of_cut_off);
        let epoch = cluster.quorum(new).describe().leader_epoch;
        cluster.cut.lock().clear();
        let healed = cluster.leader().await;
        assert_eq!((healed, cluster.quorum(healed).describe().leader_epoch), (new, epoch));
        cluster.propose(healed, 5).await;
        cluster.assert_same().await;
    });
}

#[test]
fn a_follower_far_behind_gets_a_snapshot() {
    simulate(30..33, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        let leader = cluster.leader().await;
        cluster.propose(leader, 5).await;
        cluster.wait_until_named().await;
        let behind = cluster.running().into_iter().find(|id| *id != leader).unwrap();
        cluster.crash(behind).await;
        // More than one piece.
        for _ in 0..3 {
            let records: Vec<MetadataRecord> = (0..15).map(|_| cluster.topic(30_000)).collect();
            cluster.quorum(leader).propose(&records).await.unwrap();
        }
        let last = cluster.propose(leader, 20).await;
        cluster.quorum(leader).snapshot().await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while cluster.log_start(leader) == 0 {
            assert!(Instant::now() < deadline, "the log is not shortened");
            sleep(Duration::from_millis(20)).await;
        }
        cluster.start(behind).await;
        cluster.wait_for(&[behind], last).await;
        cluster.assert_has_topics(behind, cluster.topics);
        assert!(cluster.log_start(behind) > 0, "it came by entries");
        cluster.propose(leader, 5).await;
        cluster.assert_same().await;
        // It starts from that snapshot.
        cluster.crash(behind).await;
        cluster.start(behind).await;
        cluster.propose(leader, 5).await;
        cluster.assert_same().await;
    });
}

#[test]
fn all_crash_and_come_back() {
    simulate(40..43, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        for _ in 0..2 {
            let leader = cluster.leader().await;
            cluster.propose(leader, 15).await;
            for id in 1..=3 {
                cluster.crash(id).await;
            }
            for id in [3, 1, 2] {
                cluster.start(id).await;
            }
            let leader = cluster.leader().await;
            cluster.assert_has_topics(leader, cluster.topics);
            cluster.assert_same().await;
        }
    });
}

#[test]
fn a_leader_that_stops_hands_over_at_once() {
    simulate(50..53, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        let leader = cluster.leader().await;
        cluster.propose(leader, 5).await;
        let began = Instant::now();
        cluster.stop(leader).await;
        let next = cluster.leader().await;
        assert_ne!(next, leader);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    });
}

#[test]
fn who_lost_its_disk_is_not_the_voter_any_more() {
    simulate(60..63, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        let leader = cluster.leader().await;
        cluster.propose(leader, 5).await;
        cluster.wait_until_named().await;
        let lost = cluster.running().into_iter().find(|id| *id != leader).unwrap();
        let third = cluster.running().into_iter().find(|id| *id != leader && *id != lost).unwrap();
        cluster.crash(lost).await;
        cluster.machines.insert(lost, Machine::new(Uuid::from_u128(9999)));
        cluster.start(lost).await;
        sleep(Duration::from_secs(20)).await;
        assert_eq!(cluster.quorum(lost).image().offset(), -1, "it takes nothing");
        // The two others are a majority still; with one of them there is none, whatever the third says.
        assert_eq!(cluster.leader_of(&[leader, third]).await, leader);
        cluster.crash(leader).await;
        sleep(Duration::from_secs(60)).await;
        for id in [lost, third] {
            assert!(!cluster.quorum(id).leadership().borrow().is_me, "{id} leads");
        }
        cluster.start(leader).await;
        cluster.leader_of(&[leader, third]).await;
    });
}

#[test]
fn an_observer_follows_through_changes_of_leader_and_restarts() {
    simulate(90..93, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        let leader = cluster.leader().await;
        cluster.propose(leader, 20).await;
        cluster.observe(7, 7777).await;
        let last = cluster.propose(leader, 20).await;
        cluster.wait_for(&[7], last).await;
        let observed = cluster.quorum(7).leader_endpoint().unwrap();
        assert_eq!((observed.0, observed.2), (leader, PORTS + leader as u16));
        let record = cluster.topic(0);
        let refused = cluster.quorum(7).propose(&[record]).await;
        assert_eq!(refused, Err(ProposeError::NotLeader(Some(leader))));
        cluster.topics -= 1;
        let seen = cluster.quorum(leader).describe().observers;
        assert_eq!(
            seen.iter().map(|o| (o.id, o.directory)).collect::<Vec<_>>(),
            [(7, Uuid::from_u128(7777))]
        );

        cluster.crash(leader).await;
        let next = cluster.leader().await;
        let last = cluster.propose(next, 10).await;
        cluster.wait_for(&[7], last).await;
        cluster.start(leader).await;
        cluster.crash(7).await;
        let last = cluster.propose(next, 10).await;
        cluster.observe(7, 7777).await;
        cluster.wait_for(&[7], last).await;
        cluster.assert_has_topics(7, cluster.topics);
        assert!(cluster.log_bytes(7) == cluster.log_bytes(next));
        cluster.stop(7).await;
    });
}

#[test]
fn an_observer_far_behind_gets_a_snapshot_and_writes_its_own() {
    simulate(100..103, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        let leader = cluster.leader().await;
        cluster.observe(7, 7777).await;
        let last = cluster.propose(leader, 5).await;
        cluster.wait_for(&[7], last).await;
        cluster.wait_until_named().await;
        cluster.crash(7).await;
        for _ in 0..3 {
            let records: Vec<MetadataRecord> = (0..15).map(|_| cluster.topic(30_000)).collect();
            cluster.quorum(leader).propose(&records).await.unwrap();
        }
        cluster.quorum(leader).snapshot().await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while cluster.log_start(leader) == 0 {
            assert!(Instant::now() < deadline, "the log is not shortened");
            sleep(Duration::from_millis(20)).await;
        }
        let last = cluster.propose(leader, 5).await;
        cluster.snapshot_bytes = 1000;
        cluster.observe(7, 7777).await;
        cluster.wait_for(&[7], last).await;
        let last = cluster.propose(leader, 50).await;
        cluster.wait_for(&[7], last).await;
        cluster.assert_has_topics(7, cluster.topics);
        let dir = Path::new(DIR).join(METADATA_LOG_DIR);
        let files = cluster.machines[&7].disk.list(&dir).unwrap();
        let snapshots: Vec<&str> =
            files.iter().map(|f| f.name.as_str()).filter(|name| name.ends_with(".checkpoint")).collect();
        let leaders = cluster.quorum(leader).voter().unwrap().log.snapshot().unwrap().1;
        assert!(
            snapshots.len() == 1 && !snapshots[0].starts_with(&format!("{leaders:020}")),
            "{snapshots:?}"
        );
        // From that it starts again.
        cluster.crash(7).await;
        cluster.observe(7, 7777).await;
        cluster.assert_has_topics(7, cluster.topics);
        let last = cluster.propose(leader, 5).await;
        cluster.wait_for(&[7], last).await;
        // With an empty disk as well.
        cluster.crash(7).await;
        cluster.machines.remove(&7);
        cluster.observe(7, 7778).await;
        cluster.wait_for(&[7], last).await;
        cluster.assert_has_topics(7, cluster.topics);
    });
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    simulate(70..71, async |rng| {
        let mut cluster = Cluster::new(3, rng);
        for id in [1, 2] {
            cluster.start(id).await;
        }
        let config = QuorumConfig { cluster_id: "another".to_owned(), ..cluster.config(3) };
        cluster.start_with(3, config).await;
        let leader = cluster.leader_of(&[1, 2]).await;
        cluster.propose(leader, 5).await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(cluster.quorum(3).image().offset(), -1);
        assert_eq!(cluster.quorum(3).leadership().borrow().leader, None);
        let part = cluster.quorum(3);
        let head = RaftHead { cluster_id: "cluster".into(), target_id: 3, ..Default::default() };
        let answer = part.raft_vote(RaftVoteRequest { head, ..Default::default() }).await;
        assert_eq!(answer.error_code, ErrorCode::InconsistentClusterId.code());
        let head = RaftHead { cluster_id: "another".into(), target_id: 2, ..Default::default() };
        let answer = part.raft_append_entries(RaftAppendEntriesRequest { head, ..Default::default() }).await;
        assert_eq!(answer.error_code, ErrorCode::InvalidVoterKey.code());
    });
}

#[test]
fn the_same_seed_does_the_same_twice() {
    let traces = Mutex::new(Vec::new());
    for _ in 0..2 {
        simulate(80..81, async |rng| {
            let mut cluster = Cluster::started(3, rng).await;
            let mut trace = Vec::new();
            for _ in 0..3 {
                let leader = cluster.leader().await;
                cluster.propose(leader, 3).await;
                trace.push((leader, cluster.clock.elapsed(), cluster.quorum(leader).describe()));
                cluster.crash(leader).await;
                cluster.leader().await;
                cluster.start(leader).await;
            }
            traces.lock().push(trace);
        });
    }
    let traces = traces.lock();
    assert_eq!(traces[0], traces[1]);
}

/// How a node is started that is told of no voters.
fn to_be_added(cluster: &Cluster, id: NodeId) -> QuorumConfig {
    QuorumConfig { voters: BTreeMap::new(), ..cluster.config(id) }
}

fn as_voter(cluster: &Cluster, id: NodeId) -> Voter {
    let endpoint = ("CONTROLLER".to_owned(), format!("host{id}"), PORTS + id as u16);
    Voter { directory: cluster.machines[&id].directory, endpoints: vec![endpoint] }
}

fn voter_ids(cluster: &Cluster, seen_by: NodeId) -> Vec<NodeId> {
    cluster.quorum(seen_by).describe().voters.iter().map(|voter| voter.id).collect()
}

#[test]
fn controllers_get_a_vote_and_lose_it_while_the_quorum_goes_on() {
    simulate(110..113, async |rng| {
        let mut cluster = Cluster::new(1, rng);
        // Who is alone knows its directory.
        cluster.voters.insert(1, as_voter(&cluster, 1));
        cluster.start(1).await;
        cluster.propose(1, 20).await;
        for id in [4, 5] {
            cluster.machines.insert(id, Machine::new(Uuid::from_u128(1000 + id as u128)));
            let config = to_be_added(&cluster, id);
            cluster.start_with(id, config).await;
            let voter = as_voter(&cluster, id);
            let soon = Instant::now() + PATIENCE;
            cluster.quorum(1).add_voter(id, voter.clone(), soon).await.unwrap();
            let again = cluster.quorum(1).add_voter(id, voter, soon).await;
            assert!(matches!(again, Err(VoterChangeError::Duplicate(..))), "{again:?}");
        }
        let last = cluster.propose(1, 20).await;
        cluster.wait_for(&[4, 5], last).await;
        assert_eq!(voter_ids(&cluster, 1), [1, 4, 5]);
        for id in [4, 5] {
            cluster.voters.insert(id, as_voter(&cluster, id));
        }

        // They do for a majority, and they remember.
        cluster.crash(1).await;
        let leader = cluster.leader().await;
        assert_eq!(voter_ids(&cluster, leader), [1, 4, 5]);
        cluster.propose(leader, 5).await;
        cluster.crash(4).await;
        cluster.start(1).await;
        let config = to_be_added(&cluster, 4);
        cluster.start_with(4, config).await;
        let leader = cluster.leader().await;
        let last = cluster.propose(leader, 5).await;
        cluster.wait_for(&[1, 4, 5], last).await;
        cluster.assert_same().await;

        // The leader goes by itself; who goes by another directory is not the voter.
        let soon = Instant::now() + PATIENCE;
        let directory = cluster.machines[&leader].directory;
        let stranger = cluster.quorum(leader).remove_voter(leader, Uuid::from_u128(1), soon).await;
        assert!(matches!(stranger, Err(VoterChangeError::NotFound(..))), "{stranger:?}");
        cluster.quorum(leader).remove_voter(leader, directory, soon).await.unwrap();
        cluster.stop(leader).await;
        cluster.voters.remove(&leader);
        let next = cluster.leader().await;
        assert_eq!(voter_ids(&cluster, next).len(), 2);
        let last = cluster.propose(next, 5).await;
        let left = cluster.running();
        cluster.wait_for(&left, last).await;
        let topics = cluster.topics;
        left.iter().for_each(|id| cluster.assert_has_topics(*id, topics));
    });
}

#[test]
fn a_voter_that_is_not_there_is_not_added_and_holds_nothing_up() {
    simulate(120..123, async |rng| {
        let mut cluster = Cluster::started(3, rng).await;
        let leader = cluster.leader().await;
        cluster.wait_until_named().await;
        cluster.machines.insert(9, Machine::new(Uuid::from_u128(9)));
        let voter = as_voter(&cluster, 9);
        let began = Instant::now();
        let adding = {
            let quorum = cluster.quorum(leader).clone();
            let voter = voter.clone();
            async move { quorum.add_voter(9, voter, began + Duration::from_secs(10)).await }
        };
        let meanwhile = async {
            sleep(Duration::from_secs(1)).await;
            cluster.propose(leader, 20).await;
            let busy = cluster.quorum(leader).add_voter(8, voter.clone(), began + PATIENCE).await;
            assert_eq!(busy, Err(VoterChangeError::Busy));
        };
        let (added, ()) = tokio::join!(adding, meanwhile);
        assert_eq!(added, Err(VoterChangeError::Lagging(9)));
        assert!(began.elapsed() < Duration::from_secs(15));
        let info = cluster.quorum(leader).describe();
        assert_eq!((info.voters.len(), info.observers.len()), (3, 0));
        let follower = cluster.running().into_iter().find(|id| *id != leader).unwrap();
        let elsewhere = cluster.quorum(follower).add_voter(9, voter, began + PATIENCE).await;
        assert_eq!(elsewhere, Err(VoterChangeError::NotLeader));
        // Where a voter listens is written down.
        let mut moved = as_voter(&cluster, follower);
        moved.endpoints.push(("OTHER".to_owned(), "h".to_owned(), 1));
        let soon = Instant::now() + PATIENCE;
        cluster.quorum(leader).update_voter(follower, moved.clone(), soon).await.unwrap();
        let info = cluster.quorum(leader).describe();
        let told = info.voters.iter().find(|voter| voter.id == follower).unwrap();
        assert_eq!(told.endpoints, moved.endpoints);
        cluster.propose(leader, 5).await;
        cluster.assert_same().await;
    });
}
