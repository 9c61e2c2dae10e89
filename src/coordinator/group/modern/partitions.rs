//! Sets of partitions by the ids of their topics.

use std::sync::Arc;

use crate::types::{PartitionIndex, TopicId};

/// A partition by the id of its topic.
pub type TopicIdPartition = (TopicId, PartitionIndex);

/// A set of partitions, in order. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(Arc<[TopicIdPartition]>);

impl Partitions {
    /// None.
    pub fn none() -> Partitions {
        Partitions::default()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if `of` is among them.
    pub fn contains(&self, of: TopicIdPartition) -> bool {
        self.0.binary_search(&of).is_ok()
    }

    /// Each, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TopicIdPartition> + '_ {
        self.0.iter().copied()
    }

    /// By topic.
    pub fn by_topic(
        &self,
    ) -> impl Iterator<Item = (TopicId, impl Iterator<Item = PartitionIndex> + '_)> + '_ {
        by_topic(&self.0, |p| p.0).map(|(topic, run)| (topic, run.iter().map(|p| p.1)))
    }
}

impl FromIterator<TopicIdPartition> for Partitions {
    fn from_iter<I: IntoIterator<Item = TopicIdPartition>>(all: I) -> Partitions {
        let mut all: Vec<_> = all.into_iter().collect();
        if !all.is_sorted() {
            all.sort_unstable();
        }
        all.dedup();
        Partitions(all.into())
    }
}

/// Runs of one topic in what is sorted by it.
pub fn by_topic<T>(sorted: &[T], topic: impl Fn(&T) -> TopicId) -> impl Iterator<Item = (TopicId, &[T])> {
    let mut rest = sorted;
    std::iter::from_fn(move || {
        let id = topic(rest.first()?);
        let end = rest.iter().position(|one| topic(one) != id).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((id, run))
    })
}
