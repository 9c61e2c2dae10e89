use std::path::Path;

use super::*;
use crate::metadata::scram::SHA_256;
use crate::schema::metadata::{RemoveTopicRecord, TopicRecord};

/// A log directory as Apache Kafka 4.3.1 left it: one node, topics made and deleted, a user with a password.
const KAFKAS: &[(&str, &[u8])] = &[
    ("00000000000000000000.log", include_bytes!("../../tests/fixtures/metadata-log/segment.log")),
    ("quorum-state", include_bytes!("../../tests/fixtures/metadata-log/quorum-state")),
    ("leader-epoch-checkpoint", include_bytes!("../../tests/fixtures/metadata-log/leader-epoch-checkpoint")),
    ("partition.metadata", include_bytes!("../../tests/fixtures/metadata-log/partition.metadata")),
];

fn config(dir: &Path) -> QuorumConfig {
    QuorumConfig {
        cluster_id: "cluster".to_owned(),
        kept_entries: 0,
        node_id: 1,
        log_dir: dir.to_owned(),
        directory_id: Uuid::from_u128(4711),
        voters: BTreeMap::from([(1, Voter::default())]),
        segment_bytes: 1 << 30,
        snapshot_bytes: 20 << 20,
        snapshot_interval_ms: 0,
        election_timeout_ms: 1000,
        fetch_timeout_ms: 2000,
    }
}

async fn start(dir: &Path) -> (Env, Quorum) {
    let env = Env::os();
    let quorum = Quorum::start(&env, config(dir), Publisher::new()).await.unwrap();
    quorum.barrier().await.unwrap();
    (env, quorum)
}

async fn stop((env, quorum): (Env, Quorum)) {
    quorum.stop().await;
    env.tasks.kill();
    env.tasks.ended().await;
}

#[tokio::test]
async fn a_log_that_kafka_wrote_is_read_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Env::os().disk;
    disk.create_dir_all(&dir.path().join(METADATA_LOG_DIR)).unwrap();
    for (name, content) in KAFKAS {
        let path = dir.path().join(METADATA_LOG_DIR).join(name);
        crate::env::disk::replace_file(&*disk, &path, content).unwrap();
    }
    let node = start(dir.path()).await;
    let image = node.1.image();
    let alpha = image.topics().get("alpha").unwrap().clone();
    assert_eq!(alpha.partitions.len(), 3);
    assert!(image.topics().get("beta.one").is_none());
    assert_eq!(image.features().metadata_version(), 30);
    assert_eq!(image.scram().get("alice", SHA_256).unwrap().iterations, 4096);
    assert_eq!(image.brokers().get(1).unwrap().endpoint("PLAINTEXT").unwrap().port, 31400);
    assert_eq!(image.controllers().iter().count(), 1);
    assert_eq!(node.1.describe().leader_epoch, 2);
    let gone = RemoveTopicRecord { topic_id: alpha.id.0 };
    let new = TopicRecord { name: "gamma".into(), topic_id: Uuid::from_u128(99) };
    let offset = node.1.propose(&[gone.into(), new.into()]).await.unwrap();
    // One record for the change of leader, and two of ours.
    assert_eq!(offset, image.offset() + 2);
    stop(node).await;

    let node = start(dir.path()).await;
    let names: Vec<String> = node.1.image().topics().iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["gamma"]);
    assert_eq!(node.1.describe().leader_epoch, 3);
    stop(node).await;
}

#[tokio::test]
async fn nothing_is_written_while_nothing_happens() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.fetch_timeout_ms = 40;
    config.election_timeout_ms = 20;
    let env = Env::os();
    let quorum = Quorum::start(&env, config, Publisher::new()).await.unwrap();
    quorum.barrier().await.unwrap();
    let before = quorum.describe();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(quorum.describe(), before);
    stop((env, quorum)).await;
}

#[tokio::test]
async fn proposals_are_bounded_and_refused_in_full() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let before = node.1.image().offset();
    let long = TopicRecord { name: "x".repeat(40 << 20), topic_id: Uuid::from_u128(99) };
    assert!(matches!(node.1.propose(&[long.into()]).await, Err(ProposeError::TooLarge(_))));
    assert_eq!(node.1.image().offset(), before);
    stop(node).await;
}

#[tokio::test]
async fn a_damaged_log_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    for id in 1..20u128 {
        let new = TopicRecord { name: id.to_string(), topic_id: Uuid::from_u128(id) };
        node.1.propose(&[new.into()]).await.unwrap();
    }
    stop(node).await;
    let path = dir.path().join(METADATA_LOG_DIR).join(format!("{:020}.log", 0));
    let file = Env::os().disk.open(&path, crate::env::disk::OpenMode::Write).unwrap();
    file.write_at(file.len().unwrap() / 2, &[io::IoSlice::new(&[0xaa; 3])]).unwrap();
    let error = Quorum::start(&Env::os(), config(dir.path()), Publisher::new()).await.err().unwrap();
    assert!(matches!(error, QuorumError::Log(MetadataLogError::Damaged { .. })), "{error}");
}
