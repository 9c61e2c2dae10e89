//! Ranges: of each topic its readers, in one order, get runs of partitions as equal as can be.

use std::collections::BTreeMap;

use super::{Candidate, Sizes};
use crate::coordinator::group::modern::Partitions;
use crate::types::{PartitionIndex, TopicId};

/// What is left of a topic to hand out.
struct Topic {
    size: PartitionIndex,
    readers: PartitionIndex,
    next: PartitionIndex,
    served: PartitionIndex,
}

impl Topic {
    /// The next reader's range. The first ones get one more where it does not come out even.
    fn take(&mut self) -> std::ops::Range<PartitionIndex> {
        let (share, extra) = (self.size / self.readers, self.size % self.readers);
        let from = self.next;
        self.next += share + PartitionIndex::from(self.served < extra);
        self.served += 1;
        from..self.next
    }
}

/// See [`super::assign`].
pub(super) fn assign(candidates: &[Candidate<'_>], sizes: &Sizes) -> Vec<Partitions> {
    let mut topics: BTreeMap<TopicId, Topic> = BTreeMap::new();
    for candidate in candidates {
        for id in candidate.topics.iter() {
            let Some(&size) = sizes.get(id) else { continue };
            topics.entry(*id).or_insert(Topic { size, readers: 0, next: 0, served: 0 }).readers += 1;
        }
    }
    // Static members come first, by their names: those outlast restarts, so their ranges do too.
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|&at| {
        let candidate = &candidates[at];
        (candidate.instance_id.is_none(), candidate.instance_id, candidate.id)
    });
    let mut assigned = vec![Partitions::none(); candidates.len()];
    for at in order {
        let mut own = Vec::new();
        for id in candidates[at].topics.iter() {
            if let Some(topic) = topics.get_mut(id) {
                own.extend(topic.take().map(|index| (*id, index)));
            }
        }
        assigned[at] = own.into_iter().collect();
    }
    assigned
}
