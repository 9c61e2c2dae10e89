//! What nodes take the cluster's metadata to be: images of the same offset are the same, whoever has them, and in a
//! leader epoch a partition has one leader.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::metadata::MetadataImage;
use crate::types::{LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId};

/// How many images are kept to compare others with.
const IMAGES_MAX: usize = 300;

/// All that was seen. Clones are the same.
#[derive(Clone, Default)]
pub struct Images {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    by_offset: BTreeMap<Offset, (NodeId, Arc<MetadataImage>)>,
    latest: BTreeMap<NodeId, Offset>,
    leaders: BTreeMap<(TopicId, PartitionIndex, LeaderEpoch), NodeId>,
}

impl Images {
    /// Looks at what a node has now, which is in its life number `life`.
    pub fn see(&self, node: NodeId, image: Arc<MetadataImage>) -> Result<(), String> {
        let seen = &mut *self.seen.lock();
        let offset = image.offset();
        if seen.latest.insert(node, offset) == Some(offset) {
            return Ok(());
        }
        for topic in image.topics().iter() {
            for (index, partition) in topic.iter().filter(|(_, partition)| partition.leader >= 0) {
                let key = (topic.id, index, partition.leader_epoch);
                let first = *seen.leaders.entry(key).or_insert(partition.leader);
                if first != partition.leader {
                    return Err(format!(
                        "{}-{index}: {first} and {} lead in epoch {}",
                        topic.name, partition.leader, partition.leader_epoch
                    ));
                }
            }
        }
        if let Some((other, first)) = seen.by_offset.get(&offset) {
            if **first != *image {
                return Err(format!("nodes {other} and {node} have different metadata at offset {offset}"));
            }
            return Ok(());
        }
        seen.by_offset.insert(offset, (node, image));
        if seen.by_offset.len() > IMAGES_MAX {
            seen.by_offset.pop_first();
        }
        Ok(())
    }
}
