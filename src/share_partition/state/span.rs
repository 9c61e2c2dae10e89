//! Ranges of records in one state.

use std::sync::Arc;

use crate::types::{Ms, Offset};

/// A member of a share group.
pub type MemberId = Arc<str>;

/// Why a record is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A consumer rejected it.
    Rejected,
    /// It was delivered as often as it may be.
    DeliveryCount,
}

/// What a record is to the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// To be delivered.
    Available,
    /// Delivered to a member, which holds it until then, on the monotonic clock.
    Acquired { member: MemberId, until: Ms },
    /// Processed.
    Acknowledged,
    /// Given up, and on its way to the dead-letter queue (KIP-1191). `handed` once it is somebody's to write it there.
    Archiving { cause: Cause, handed: bool },
    /// Given up, or not there at all.
    Archived,
}

impl Phase {
    /// Kafka's number. That a record is acquired is not kept: a new leader delivers it again.
    pub(super) fn code(&self) -> i8 {
        match self {
            Phase::Available | Phase::Acquired { .. } => 0,
            Phase::Acknowledged => 2,
            Phase::Archiving { .. } => 3,
            Phase::Archived => 4,
        }
    }

    /// True if the group is done with the record.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Phase::Acknowledged | Phase::Archived)
    }
}

/// Names one request that acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AckId(pub u64);

/// What acknowledged records become once that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) ack: AckId,
    pub(super) phase: Phase,
}

/// Records of one range that are in the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Offset of the last; that of the first is the key.
    pub(super) last: Offset,
    pub(super) phase: Phase,
    /// How often they were delivered.
    pub(super) count: i16,
    /// Set while an acknowledgement of an acquired record is being kept.
    pub(super) wanted: Option<Wanted>,
    /// True if the coordinator has yet to be told of the state.
    pub(super) unsaved: bool,
}

impl Span {
    pub(super) fn new(last: Offset, phase: Phase, count: i16) -> Span {
        Span { last, phase, count, wanted: None, unsaved: false }
    }

    /// True if it may be delivered now.
    pub(super) fn is_available(&self) -> bool {
        self.phase == Phase::Available
    }

    /// The state that it is in once what is under way has succeeded.
    pub(super) fn prospect(&self) -> &Phase {
        self.wanted.as_ref().map_or(&self.phase, |wanted| &wanted.phase)
    }

    /// True if the next span may be joined with it.
    pub(super) fn is_like(&self, next: &Span) -> bool {
        (&self.phase, self.count, &self.wanted, self.unsaved)
            == (&next.phase, next.count, &next.wanted, next.unsaved)
    }
}
