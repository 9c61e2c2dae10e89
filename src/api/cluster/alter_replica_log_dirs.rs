//! AlterReplicaLogDirs: which directory a replica is to lie in (KIP-113).
//!
//! Replicas are not moved yet. A node with one log directory has nothing to move, so there the answer is whole and the
//! API is served; on a node with several it is not.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use kafka_protocol::protocol::StrBytes;

use crate::api::{Api, Broker, On, RequestContext};
use crate::replica::ReplicaManager;
use crate::schema::api::alter_replica_log_dirs_request::AlterReplicaLogDir;
use crate::schema::api::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use crate::schema::api::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use crate::types::{ErrorCode, PartitionIndex};

/// Key 34.
pub struct AlterReplicaLogDirs;

impl Api for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    type Response = AlterReplicaLogDirsResponse;
    const KEY: i16 = 34;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=2;
    const ON: On = On::Broker;

    fn is_served_by(broker: &Broker) -> bool {
        broker.config.log_dirs.len() == 1
    }

    async fn handle(cx: &RequestContext, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
        let replicas = &cx.broker.replicas;
        let results = wanted(request.dirs).into_iter().map(|(topic, partitions)| {
            let each = partitions.into_iter().map(|(index, dir)| {
                let error = place(replicas, &topic, index, OsStr::new(&*dir)).err();
                AlterReplicaLogDirPartitionResult::default()
                    .with_partition_index(index)
                    .with_error_code(error.unwrap_or(ErrorCode::None).code())
            });
            let partitions = each.collect();
            AlterReplicaLogDirTopicResult::default().with_topic_name(topic.into()).with_partitions(partitions)
        });
        AlterReplicaLogDirsResponse::default().with_results(results.collect())
    }
}

/// The directory that each replica is to lie in. One that is named twice goes where it is named last.
fn wanted(dirs: Vec<AlterReplicaLogDir>) -> BTreeMap<StrBytes, BTreeMap<PartitionIndex, StrBytes>> {
    let mut wanted: BTreeMap<StrBytes, BTreeMap<PartitionIndex, StrBytes>> = BTreeMap::new();
    for dir in dirs {
        for topic in dir.topics {
            let partitions = topic.partitions.into_iter().map(|index| (index, dir.path.clone()));
            wanted.entry(topic.name.0).or_default().extend(partitions);
        }
    }
    wanted
}

/// Puts a replica into the only directory there is, where it lies already. The directory is looked at first, as by
/// Kafka, and its name must be, to the letter,
/// the one that DescribeLogDirs shows.
fn place(
    replicas: &ReplicaManager,
    topic: &str,
    index: PartitionIndex,
    dir: &OsStr,
) -> Result<(), ErrorCode> {
    let logs = replicas.logs();
    if logs.unusable().iter().any(|(path, _fault)| path.as_os_str() == dir) {
        return Err(ErrorCode::KafkaStorageError);
    }
    match logs.dirs().iter().find(|known| known.path().as_os_str() == dir) {
        None => return Err(ErrorCode::LogDirNotFound),
        Some(known) if known.is_failed() => return Err(ErrorCode::KafkaStorageError),
        Some(_) => {}
    }
    replicas.partition(topic, index).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::api::alter_replica_log_dirs_request::AlterReplicaLogDirTopic;

    #[test]
    fn the_last_directory_counts() {
        let dir = |path: &'static str, partitions: Vec<i32>| {
            let topic = AlterReplicaLogDirTopic::default()
                .with_name(StrBytes::from_static_str("t").into())
                .with_partitions(partitions);
            AlterReplicaLogDir::default().with_path(StrBytes::from_static_str(path)).with_topics(vec![topic])
        };
        let wanted = wanted(vec![dir("/a", vec![0, 1, 1]), dir("/b", vec![1])]);
        let found: Vec<_> = wanted.values().flatten().map(|(index, path)| (*index, &**path)).collect();
        assert_eq!(found, [(0, "/a"), (1, "/b")]);
    }
}
