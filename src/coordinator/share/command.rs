//! What the share coordinator is asked, and what it answers: the requests' content without their wire form.

use std::sync::Arc;

use super::state::StateBatch;
use crate::types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

/// A request to a shard. All share partitions named in it belong to the shard's partition.
#[derive(Clone, Debug)]
pub enum Command {
    /// InitializeShareGroupState.
    Initialize(Of<Initialize>),
    /// ReadShareGroupState.
    Read(Of<LeaderEpoch>),
    /// WriteShareGroupState.
    Write(Of<Write>),
    /// DeleteShareGroupState.
    Delete(Of<()>),
    /// ReadShareGroupStateSummary. Kafka takes the leader's epoch with it and does not look at it.
    Summarize(Of<()>),
    /// Has states written anew whose snapshots lie far behind, so that what is before can be deleted.
    SnapshotCold,
    /// Asks up to where the log is of no use any more.
    Redundant,
}

/// What is asked about partitions that one group reads.
#[derive(Clone, Debug)]
pub struct Of<T> {
    /// The group.
    pub group: Arc<str>,
    /// The partitions, and what is asked about each.
    pub partitions: Vec<(TopicId, PartitionIndex, T)>,
}

impl<T> Of<T> {
    /// The same partitions, of each of which something else is asked.
    pub fn map<R>(self, mut to: impl FnMut(T) -> R) -> Of<R> {
        let partitions = self.partitions.into_iter().map(|(topic, index, what)| (topic, index, to(what)));
        Of { group: self.group, partitions: partitions.collect() }
    }
}

/// Begins a state, or begins it again under a higher epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initialize {
    /// The epoch that the state has from now on, 0 and up.
    pub state_epoch: i32,
    /// Where the group begins; -1 leaves it to the leader and `share.auto.offset.reset`.
    pub start_offset: Offset,
}

/// Adds to a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The epoch that the leader read.
    pub state_epoch: i32,
    /// The leader's own epoch.
    pub leader_epoch: LeaderEpoch,
    /// Where the group begins now; -1 leaves it as it is.
    pub start_offset: Offset,
    /// How many records from there on are done with; -1 where the leader does not tell (version 0).
    pub delivery_complete_count: i32,
    /// What has changed. Later ones count where they overlap.
    pub batches: Vec<StateBatch>,
}

/// A state as its leader reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The state's epoch.
    pub state_epoch: i32,
    /// Where the group begins; -1 where nobody has said so yet.
    pub start_offset: Offset,
    /// The records from there on of which something is known, in order.
    pub batches: Vec<StateBatch>,
}

/// A state in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The state's epoch.
    pub state_epoch: i32,
    /// The epoch of the leader that wrote last.
    pub leader_epoch: LeaderEpoch,
    /// Where the group begins; -1 where nobody has said so yet.
    pub start_offset: Offset,
    /// How many records from there on are done with; -1 where that is not known.
    pub delivery_complete_count: i32,
}

impl Summary {
    /// What is said of a state that was never initialised.
    pub const UNINITIALIZED: Summary =
        Summary { state_epoch: 0, leader_epoch: 0, start_offset: -1, delivery_complete_count: -1 };
}

/// One answer per partition, as asked.
pub type Each<T> = Vec<(TopicId, PartitionIndex, Result<T, ErrorCode>)>;

/// The answer to a [`Command`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Command::Initialize`], [`Command::Write`] and [`Command::Delete`].
    Done(Each<()>),
    /// To [`Command::Read`].
    Found(Each<Found>),
    /// To [`Command::Summarize`].
    Summaries(Each<Summary>),
    /// To [`Command::SnapshotCold`]: how many states were written anew, or forgotten because their topic is gone.
    Snapshots(usize),
    /// To [`Command::Redundant`]: nothing before this offset is needed.
    Redundant(Offset),
}
