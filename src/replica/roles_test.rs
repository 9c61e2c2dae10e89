//! Partitions of a broker one of whose log directories cannot be used.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::*;
use crate::config::topic::TopicConfig;
use crate::env::disk::OpenMode;
use crate::env::{Disk as _, Env, Seeds, Tasks};
use crate::schema::metadata::{MetadataRecord, PartitionRecord, TopicRecord};
use crate::sim::clock::SimClock;
use crate::sim::disk::SimDisk;
use crate::storage::test_log::make_log;
use crate::storage::{Manager, ManagerConfig};
use crate::types::Rng;

const ME: i32 = 1;
const DIRS: [&str; 2] = ["/d0", "/d1"];

fn id_of(topic: &str) -> TopicId {
    TopicId(Uuid::from_u128(1000 + u128::from(topic.as_bytes()[0])))
}

/// The broker with whatever is on `disk`, as it is before it knows of any topic.
fn start(disk: &SimDisk) -> Arc<ReplicaManager> {
    let env = Env {
        clock: Arc::new(SimClock::new()),
        disk: Arc::new(disk.clone()),
        net: Env::os().net,
        seeds: Seeds::from_seed(1),
        tasks: Tasks::simulated_late(Rng::new(1), 5),
    };
    let settings = PartitionSettings::from(&TopicConfig::default());
    let log_settings = Arc::clone(&settings.log);
    let logs =
        Manager::open(Arc::clone(&env.disk), &DIRS.map(PathBuf::from), ManagerConfig::default(), 0).unwrap();
    logs.recover_here(|_| Arc::clone(&log_settings));
    ReplicaManager::new(ME, &env, Arc::new(logs), Box::new(move |_, _| settings.clone()))
}

/// Makes topics of one partition, which is on this broker alone.
fn make_topics(replicas: &ReplicaManager, image: &mut MetadataImage, names: &[&str]) {
    let mut delta = MetadataDelta::from(&*image);
    for name in names {
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: id_of(name).0,
            replicas: vec![ME],
            isr: vec![ME],
            leader: ME,
            directories: vec![Uuid::from_u128(1000)],
            ..PartitionRecord::default()
        };
        let topic: MetadataRecord = TopicRecord { name: (*name).into(), topic_id: id_of(name).0 }.into();
        for record in [topic, partition.into()] {
            image.apply(&record, &mut delta).unwrap();
        }
    }
    replicas.apply(image, &delta);
}

#[test]
fn what_may_be_in_a_directory_out_of_use_is_not_made_anew() {
    let disk = SimDisk::new();
    make_log(&disk, Path::new("/d0/a-0"), Some(id_of("a")), b"");
    make_log(&disk, Path::new("/d1/b-0"), Some(id_of("b")), b"");
    disk.rename(Path::new("/d1"), Path::new("/elsewhere")).unwrap();
    disk.open(Path::new("/d1"), OpenMode::Create).unwrap();
    disk.settle();

    let (replicas, mut image) = (start(&disk), MetadataImage::empty());
    make_topics(&replicas, &mut image, &["a", "b"]);
    replicas.caught_up(&image);
    make_topics(&replicas, &mut image, &["c"]);
    let what_is = |replicas: &ReplicaManager, topic| replicas.partition(topic, 0).map(|_| ());
    assert_eq!(what_is(&replicas, "a"), Ok(()));
    assert_eq!(what_is(&replicas, "b"), Err(ErrorCode::KafkaStorageError));
    assert_eq!(what_is(&replicas, "c"), Ok(()), "it has never been in the other directory");
    drop(replicas);

    disk.kill();
    disk.remove_file(Path::new("/d1")).unwrap();
    disk.rename(Path::new("/elsewhere"), Path::new("/d1")).unwrap();
    let (replicas, mut image) = (start(&disk), MetadataImage::empty());
    make_topics(&replicas, &mut image, &["a", "b"]);
    for topic in ["a", "b"] {
        assert_eq!(what_is(&replicas, topic), Ok(()));
    }
    assert!(replicas.logs().found().is_empty(), "both have the logs that were there");
}
