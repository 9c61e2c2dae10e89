use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::config::{Layers, Props};
use crate::controller::command::{BrokerRegistration, NewTopic, TopicRef};
use crate::controller::{ActiveController, registration};
use crate::metadata::Endpoint;
use crate::metadata::features::METADATA_VERSION;
use crate::quorum::{Publisher, QuorumConfig, Voter};
use crate::schema::metadata::FeatureLevelRecord;

/// 4.3-IV0, which a running Apache Kafka 4.3 can take over.
const METADATA_VERSION_MAX: i16 = 30;

pub(crate) fn quorum_config(dir: &std::path::Path) -> QuorumConfig {
    let directory_id = Uuid::from_u128(4711);
    let voter =
        Voter { directory: directory_id, endpoints: vec![("CONTROLLER".into(), "127.0.0.1".into(), 9093)] };
    QuorumConfig {
        cluster_id: "cluster".to_owned(),
        kept_entries: 0,
        node_id: 1,
        log_dir: dir.to_owned(),
        directory_id,
        voters: BTreeMap::from([(1, voter)]),
        segment_bytes: 1 << 30,
        snapshot_bytes: 20 << 20,
        snapshot_interval_ms: 3_600_000,
        election_timeout_ms: 1000,
        fetch_timeout_ms: 2000,
    }
}

fn rules() -> Rules {
    Rules {
        node_id: 1,
        cluster_id: "c".into(),
        default_partitions: 1,
        default_replication_factor: 1,
        layers: Layers::new(Props::new()),
        features: Vec::new(),
    }
}

fn bootstrap() -> Vec<MetadataRecord> {
    vec![FeatureLevelRecord { name: METADATA_VERSION.into(), feature_level: METADATA_VERSION_MAX }.into()]
}

struct Node {
    env: Env,
    quorum: Quorum,
    controller: ActiveController,
}

async fn start_node(dir: &std::path::Path) -> Node {
    let env = Env::os();
    let quorum = Quorum::start(&env, quorum_config(dir), Publisher::new()).await.unwrap();
    let config = ControllerConfig { rules: rules(), session_timeout_ms: 9000, bootstrap: bootstrap() };
    let controller = ActiveController::new(Some(start(&env, quorum.clone(), config)), quorum.clone(), None);
    Node { env, quorum, controller }
}

fn ids(image: &MetadataImage) -> Vec<(crate::types::TopicId, usize)> {
    image.topics().iter().map(|t| (t.id, t.partitions.len())).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

impl Node {
    fn registration(&self) -> BrokerRegistration {
        let features = vec![crate::metadata::FeatureRange {
            name: METADATA_VERSION.into(),
            min: 7,
            max: METADATA_VERSION_MAX,
        }];
        BrokerRegistration {
            id: 1,
            cluster_id: "c".into(),
            incarnation: self.env.seeds.rng().uuid(),
            endpoints: vec![Endpoint {
                listener: "PLAINTEXT".into(),
                host: "h".into(),
                port: 9092,
                security_protocol: 0,
            }],
            features,
            rack: None,
            log_dirs: vec![Uuid::from_u128(4711)],
            previous_epoch: -1,
        }
    }

    async fn join(&self) -> i64 {
        let wanted = self.registration();
        let epoch = registration::register_broker(&self.controller, wanted, soon()).await.unwrap();
        let offset = self.quorum.image().offset();
        assert!(registration::unfence(&self.controller, 1, epoch, offset, soon()).await.unwrap());
        epoch
    }

    async fn create(&self, name: &str, partitions: i32) -> Result<(), ApiError> {
        let topics =
            vec![NewTopic { name: name.into(), partitions, replication_factor: 1, ..NewTopic::default() }];
        let command = Command::CreateTopics { topics, validate_only: false };
        match self.controller.submit(command, soon()).await.unwrap() {
            Reply::CreateTopics(mut answers) => answers.remove(0).1.map(|_| ()),
            other => panic!("{other:?}"),
        }
    }

    async fn stop(self) {
        self.quorum.stop().await;
        self.env.tasks.kill();
        self.env.tasks.ended().await;
    }
}

#[tokio::test]
async fn a_quorum_of_one_commits_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let node = start_node(dir.path()).await;
    node.join().await;
    node.create("a", 3).await.unwrap();
    node.create("b", 1).await.unwrap();
    assert_eq!(node.create("a", 3).await.unwrap_err().code, ErrorCode::TopicAlreadyExists);
    let delete = Command::DeleteTopics(vec![TopicRef::Name("b".into())]);
    node.controller.submit(delete, soon()).await.unwrap();
    let before = node.quorum.image();
    assert_eq!(before.topics().iter().map(|t| &*t.name).collect::<Vec<_>>(), ["a"]);
    node.stop().await;

    let node = start_node(dir.path()).await;
    node.join().await;
    let after = node.quorum.image();
    assert_eq!(ids(&after), ids(&before));
    assert!(after.topics().iter().all(|t| t.iter().all(|(_, p)| p.leader == 1)));
    assert!(after.offset() > before.offset());
    assert_eq!(after.brokers().len(), 1);
    // A snapshot takes the place of the log.
    node.quorum.snapshot().await.unwrap();
    let log_dir = dir.path().join(crate::quorum::METADATA_LOG_DIR);
    let snapshots = || {
        let names = Env::os().disk.list(&log_dir).unwrap();
        names.iter().filter(|e| e.name.ends_with(".checkpoint")).count()
    };
    while snapshots() == 0 || Env::os().disk.exists(&log_dir.join(format!("{:020}.log", 0))) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.create("c", 2).await.unwrap();
    let before = node.quorum.image();
    node.stop().await;

    let node = start_node(dir.path()).await;
    node.quorum.publisher().wait_for(before.offset()).await;
    assert_eq!(node.quorum.image().topics(), before.topics());
    node.create("d", 1).await.unwrap();
    let info = node.quorum.describe();
    assert_eq!((info.leader, info.voters.len()), (Some(1), 1));
    assert_eq!(info.voters[0].log_end_offset, info.high_watermark);
    node.stop().await;
}

#[tokio::test]
async fn subscribers_see_every_change_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let node = start_node(dir.path()).await;
    let seen = Arc::new(parking_lot::Mutex::new((Vec::new(), -1)));
    let names = seen.clone();
    node.quorum.publisher().subscribe(Box::new(move |delta, image| {
        let mut names = names.lock();
        assert!(image.offset() > names.1);
        names.1 = image.offset();
        names.0.extend(delta.topics_created.values().cloned());
    }));
    node.join().await;
    for name in ["x", "y", "z"] {
        node.create(name, 1).await.unwrap();
    }
    assert_eq!(seen.lock().0.iter().map(|n| &**n).collect::<Vec<_>>(), ["x", "y", "z"]);
    node.stop().await;
}

#[tokio::test]
async fn five_thousand_partitions_are_made_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let node = start_node(dir.path()).await;
    println!("start: {:?}", started.elapsed());
    node.join().await;
    let started = Instant::now();
    node.create("big", 5000).await.unwrap();
    println!("one topic of 5000 partitions: {:?}", started.elapsed());
    let started = Instant::now();
    let all = (0..50).map(|i| {
        let name = format!("t{i}");
        let node = &node;
        async move { node.create(&name, 100).await.unwrap() }
    });
    futures_util::future::join_all(all).await;
    println!("50 topics of 100 partitions: {:?}", started.elapsed());
    assert_eq!(node.quorum.image().topics().partition_count(), 10_000);
    node.stop().await;
}

/// What the decisions cost that look at every partition.
#[test]
#[ignore = "a measurement; wants an optimised build"]
fn decisions_about_brokers_among_a_hundred_thousand_partitions() {
    use crate::controller::command::BrokerHeartbeat;
    use crate::schema::metadata::{PartitionRecord, RegisterBrokerRecord, TopicRecord};

    const BROKERS: i32 = 5;
    let (mut image, mut delta) = (MetadataImage::empty(), MetadataDelta::default());
    let mut apply = |record: MetadataRecord| image.apply(&record, &mut delta).unwrap();
    for id in 0..BROKERS {
        let broker = RegisterBrokerRecord { broker_id: id, broker_epoch: 1, ..Default::default() };
        apply(RegisterBrokerRecord { fenced: id == 4, ..broker }.into());
    }
    let began = Instant::now();
    for topic in 0..1000u128 {
        let topic_id = Uuid::from_u128(1000 + topic);
        apply(TopicRecord { name: format!("t{topic}"), topic_id }.into());
        for partition_id in 0..100 {
            let replicas: Vec<i32> = (0..3).map(|at| (partition_id + at) % BROKERS).collect();
            let isr: Vec<i32> = replicas.iter().copied().filter(|id| *id != 4).collect();
            let directories = vec![Uuid::nil(); 3];
            let (leader, rest) = (isr[0], PartitionRecord::default());
            let new = PartitionRecord { partition_id, topic_id, replicas, isr, leader, directories, ..rest };
            apply(new.into());
        }
    }
    println!("100,000 partitions applied: {:?}", began.elapsed());
    image.set_position(1_000_000, 1);
    let began = Instant::now();
    let copies: Vec<MetadataImage> = (0..1000).map(|_| image.clone()).collect();
    println!("a copy of the image: {:?}", began.elapsed() / 1000);
    drop(copies);
    let (rules, live) = (rules(), Liveness::new(1000));
    let beat = |id, want_shut_down| {
        let (epoch, current_offset, want_fence) = (1, i64::MAX, false);
        Command::BrokerHeartbeat(BrokerHeartbeat { id, epoch, current_offset, want_fence, want_shut_down })
    };
    for (what, command) in [
        ("fencing", Command::FenceBroker { broker: 0, epoch: 1 }),
        ("unfencing", beat(4, false)),
        ("controlled shutdown", beat(0, true)),
        ("a heartbeat", beat(0, false)),
        ("balancing", Command::BalanceLeaders),
    ] {
        let facts = Facts {
            image: &image,
            live: &live,
            now: 0,
            monotonic_ms: 0,
            next_offset: 1_000_001,
            rules: &rules,
        };
        let began = Instant::now();
        let decision = decide::decide(&facts, &command, &mut Rng::new(1)).unwrap();
        let decided = began.elapsed();
        let mut after = image.clone();
        for record in &decision.records {
            after.apply(record, &mut MetadataDelta::default()).unwrap();
        }
        let records = decision.records.len();
        println!(
            "{what}: {records} records decided in {decided:?}, applied in {:?}",
            began.elapsed() - decided
        );
    }
}

/// What a controller takes for many partitions: to make them, to elect when a broker dies, to start again. Prints the
/// figures; linear is the promise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; wants an optimised build"]
async fn a_controller_of_many_partitions() {
    const PER_TOPIC: i32 = 1000;
    // The most first: those that follow live in the memory that it has left.
    for partitions in [100_000, 50_000, 10_000] {
        let dir = tempfile::tempdir().unwrap();
        let node = start_node(dir.path()).await;
        let mut epochs = Vec::new();
        for id in 1..=3 {
            let wanted = BrokerRegistration {
                id,
                log_dirs: vec![Uuid::from_u128(4711 + id as u128)],
                ..node.registration()
            };
            let epoch = registration::register_broker(&node.controller, wanted, soon()).await.unwrap();
            let offset = node.quorum.image().offset();
            assert!(registration::unfence(&node.controller, id, epoch, offset, soon()).await.unwrap());
            epochs.push(epoch);
        }
        let before = memory_bytes();
        let began = Instant::now();
        for topic in 0..partitions / PER_TOPIC {
            let topics = vec![NewTopic {
                name: format!("t{topic}"),
                partitions: PER_TOPIC,
                replication_factor: 3,
                ..NewTopic::default()
            }];
            let command = Command::CreateTopics { topics, validate_only: false };
            let Ok(Reply::CreateTopics(made)) = node.controller.submit(command, soon()).await else {
                panic!()
            };
            assert!(made[0].1.is_ok());
        }
        let created = began.elapsed();
        let bytes = memory_bytes().saturating_sub(before) / partitions as u64;
        let began = Instant::now();
        let fence = Command::FenceBroker { broker: 2, epoch: epochs[1] };
        assert_eq!(node.controller.submit(fence, soon()).await, Ok(Reply::Done));
        let elected = began.elapsed();
        let image = node.quorum.image();
        assert!(image.topics().iter().all(|t| t.iter().all(|(_, p)| p.leader != 2 && p.leader >= 0)));
        node.quorum.snapshot().await.unwrap();
        node.stop().await;
        let began = Instant::now();
        let node = start_node(dir.path()).await;
        node.quorum.publisher().wait_for(image.offset()).await;
        assert_eq!(node.quorum.image().topics().partition_count(), partitions as usize);
        println!(
            "{partitions} partitions: made in {created:?}, leaders elected in {elected:?}, started again in {:?}, \
             {bytes} bytes of memory each",
            began.elapsed()
        );
        node.stop().await;
    }
}

/// What this process has in memory.
#[allow(clippy::disallowed_methods)] // The system's word on this very process.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
