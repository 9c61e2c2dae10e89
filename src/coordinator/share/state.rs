//! What `__share_group_state` says. Changed by replay only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::types::{LeaderEpoch, Ms, Offset, PartitionIndex, TopicId, uuid_from_base64};

/// A partition as one share group sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareKey {
    /// The group.
    pub group: Arc<str>,
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
}

impl ShareKey {
    /// Reads the text form, which FindCoordinator carries; `None` if it is none.
    pub fn parse(text: &str) -> Option<ShareKey> {
        let (rest, partition) = text.rsplit_once(':')?;
        let (group, topic) = rest.rsplit_once(':')?;
        let partition = partition.parse().ok().filter(|&index: &PartitionIndex| index >= 0)?;
        let topic = TopicId(uuid_from_base64(topic)?);
        (!group.is_empty()).then(|| ShareKey { group: group.into(), topic, partition })
    }
}

impl fmt::Display for ShareKey {
    /// `group:topicId:partition`, of which the hash says which partition keeps the state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group, self.topic, self.partition)
    }
}

/// Records that are in the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    /// Offset of the first.
    pub first: Offset,
    /// Offset of the last.
    pub last: Offset,
    /// Kafka's number of the state: 0 available, 2 acknowledged, 3 on its way to the dead-letter queue, 4 archived.
    pub state: i8,
    /// How often they were delivered.
    pub count: i16,
}

impl StateBatch {
    fn is_followed_by(&self, next: &StateBatch) -> bool {
        self.last + 1 == next.first && (self.state, self.count) == (next.state, next.count)
    }
}

/// Where one group is in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareState {
    /// Counts the snapshots.
    pub snapshot_epoch: i32,
    /// Grows whenever the state is begun anew.
    pub state_epoch: i32,
    /// The highest epoch of a leader that has read or written the state.
    pub leader_epoch: LeaderEpoch,
    /// Where the group begins; -1 if nobody has said so yet.
    pub start_offset: Offset,
    /// How many records from there on are done with; -1 if nobody has said so.
    pub delivery_complete_count: i32,
    /// When the state was first written.
    pub created: Ms,
    /// What is known of records from there on: in order, without overlaps.
    pub batches: Vec<StateBatch>,
    /// Updates since the snapshot.
    pub updates: u32,
    /// Offset of the snapshot: what is before it is not needed for this state.
    pub snapshot_at: Offset,
}

/// The hard state of a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hard {
    /// Every state there is.
    pub states: BTreeMap<ShareKey, ShareState>,
    /// Offset after the last record.
    pub end: Offset,
}

impl Hard {
    /// The first offset that is needed.
    pub fn lowest_needed(&self) -> Offset {
        self.states.values().map(|state| state.snapshot_at).min().unwrap_or(self.end)
    }
}

/// Lays `new` over `batches`, of which what is before `start` is dropped. `batches` is in order and without overlaps, and
/// is so again afterwards; of `new` the later ones count where they overlap.
///
/// What is written last counts, also where it delivered a record less often: writes of one leader come in order, and
/// those of another are fenced.
pub fn overlay(batches: &mut Vec<StateBatch>, new: &[StateBatch], start: Offset) {
    for batch in new.iter().filter(|batch| batch.first <= batch.last && batch.last >= start) {
        let from = batches.partition_point(|old| old.last < batch.first);
        let to = batches.partition_point(|old| old.first <= batch.last);
        let before = batches.get(from).filter(|old| from < to && old.first < batch.first);
        let before = before.map(|old| StateBatch { last: batch.first - 1, ..*old });
        let after = batches.get(to.wrapping_sub(1)).filter(|old| from < to && old.last > batch.last);
        let after = after.map(|old| StateBatch { first: batch.last + 1, ..*old });
        batches.splice(from..to, before.into_iter().chain([*batch]).chain(after));
        // Its neighbours may be like it now: itself is at `from`, or behind what was left before it.
        let at = from + usize::from(before.is_some());
        join(batches, at);
        if at > 0 {
            join(batches, at - 1);
        }
    }
    let gone = batches.partition_point(|old| old.last < start);
    batches.drain(..gone);
    if let Some(first) = batches.first_mut() {
        first.first = first.first.max(start);
    }
}

/// Joins the batch at `at` with the one behind it if they are alike.
fn join(batches: &mut Vec<StateBatch>, at: usize) {
    if let (Some(one), Some(next)) = (batches.get(at), batches.get(at + 1))
        && one.is_followed_by(next)
    {
        let last = next.last;
        batches[at].last = last;
        batches.remove(at + 1);
    }
}
