//! DescribeLogDirs: log directories, the replicas in them and their sizes (KIP-113, KIP-827).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use crate::api::{Api, On, RequestContext};
use crate::replica::ReplicaManager;
use crate::schema::api::describe_log_dirs_request::DescribableLogDirTopic;
use crate::schema::api::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::schema::api::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use crate::types::{ErrorCode, PartitionIndex, TopicName};

/// Key 35.
pub struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    type Response = DescribeLogDirsResponse;
    const KEY: i16 = 35;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=5;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
        let replicas = Arc::clone(&cx.broker.replicas);
        let wanted = request.topics.map(Wanted::of);
        // Sizes are asked of the disk, which may be slow.
        let described = cx.broker.tasks.run_blocking(move || describe(&replicas, wanted.as_ref())).await;
        match described {
            Some(dirs) => {
                let results = dirs.into_iter().map(|(path, dir)| dir.wire(&path)).collect();
                DescribeLogDirsResponse { results, ..Default::default() }
            }
            None => {
                let error_code = ErrorCode::KafkaStorageError.code();
                DescribeLogDirsResponse { error_code, ..Default::default() }
            }
        }
    }
}

/// The replicas asked for.
struct Wanted(BTreeMap<TopicName, BTreeSet<PartitionIndex>>);

impl Wanted {
    fn of(topics: Vec<DescribableLogDirTopic>) -> Wanted {
        let mut wanted: BTreeMap<TopicName, BTreeSet<PartitionIndex>> = BTreeMap::new();
        for topic in topics {
            wanted.entry((&**topic.topic).into()).or_default().extend(topic.partitions);
        }
        Wanted(wanted)
    }

    fn has(&self, topic: &str, index: PartitionIndex) -> bool {
        self.0.get(topic).is_some_and(|partitions| partitions.contains(&index))
    }
}

/// One log directory.
#[derive(Default)]
struct Described {
    failed: bool,
    /// Bytes of its file system, if known: all, and free.
    space: Option<(u64, u64)>,
    /// Bytes of the replicas in it.
    sizes: BTreeMap<TopicName, BTreeMap<PartitionIndex, u64>>,
}

/// The directories and, in those that work, the replicas that were asked for; `None` asks for all.
fn describe(replicas: &ReplicaManager, wanted: Option<&Wanted>) -> BTreeMap<PathBuf, Described> {
    let logs = replicas.logs();
    let mut dirs: BTreeMap<PathBuf, Described> = BTreeMap::new();
    for dir in logs.dirs() {
        let failed = dir.is_failed();
        let space =
            || Some((dir.disk().total_space(dir.path()).ok()?, dir.disk().free_space(dir.path()).ok()?));
        let space = if failed { None } else { space() };
        dirs.insert(dir.path().to_owned(), Described { failed, space, ..Described::default() });
    }
    for (path, _fault) in logs.unusable() {
        dirs.insert(path.clone(), Described { failed: true, ..Described::default() });
    }
    for topic in replicas.topics() {
        for partition in topic.iter() {
            let index = partition.index();
            if wanted.is_some_and(|wanted| !wanted.has(&topic.name, index)) {
                continue;
            }
            let Some((path, size)) = partition.log_size() else { continue };
            if let Some(dir) = dirs.get_mut(&path).filter(|dir| !dir.failed) {
                dir.sizes.entry(Arc::clone(&topic.name)).or_default().insert(index, size);
            }
        }
    }
    dirs
}

impl Described {
    fn wire(self, path: &Path) -> DescribeLogDirsResult {
        let log_dir = StrBytes::from_string(path.to_string_lossy().into_owned());
        if self.failed {
            let error_code = ErrorCode::KafkaStorageError.code();
            return DescribeLogDirsResult { error_code, log_dir, ..Default::default() };
        }
        let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let topics = self.sizes.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(partition_index, size)| DescribeLogDirsPartition {
                partition_index,
                partition_size: bytes(size),
                ..Default::default()
            });
            DescribeLogDirsTopic {
                name: StrBytes::from_string(name.to_string()).into(),
                partitions: partitions.collect(),
            }
        });
        DescribeLogDirsResult {
            log_dir,
            topics: topics.collect(),
            total_bytes: self.space.map_or(-1, |(total, _)| bytes(total)),
            usable_bytes: self.space.map_or(-1, |(_, free)| bytes(free)),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_lists_its_replicas_or_its_failure() {
        let mut dir = Described { space: Some((10, 4)), ..Described::default() };
        dir.sizes.entry("t".into()).or_default().extend([(1, 7), (0, u64::MAX)]);
        let shown = dir.wire(Path::new("/a"));
        assert_eq!((&*shown.log_dir, shown.total_bytes, shown.usable_bytes), ("/a", 10, 4));
        let sizes: Vec<_> =
            shown.topics[0].partitions.iter().map(|p| (p.partition_index, p.partition_size)).collect();
        assert_eq!(sizes, [(0, i64::MAX), (1, 7)]);
        let failed = Described { failed: true, ..Described::default() }.wire(Path::new("/b"));
        assert_eq!((failed.error_code, failed.total_bytes), (ErrorCode::KafkaStorageError.code(), -1));
    }

    #[test]
    fn only_replicas_that_were_asked_for_are_had() {
        let topic = |name: &'static str, partitions: Vec<i32>| DescribableLogDirTopic {
            topic: StrBytes::from_static_str(name).into(),
            partitions,
        };
        let wanted = Wanted::of(vec![topic("t", vec![0]), topic("t", vec![2])]);
        assert!(wanted.has("t", 0) && wanted.has("t", 2));
        assert!(!wanted.has("t", 1) && !wanted.has("u", 0));
    }
}
