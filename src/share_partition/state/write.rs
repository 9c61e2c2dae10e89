//! The state on its way to the share coordinator.

use super::ShareState;
use super::span::AckId;
use crate::coordinator::share::StateBatch;
use crate::types::{ErrorCode, LeaderEpoch, Offset};

/// What the coordinator is to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateWrite {
    /// The epoch of the state, as it was read.
    pub state_epoch: i32,
    /// The epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Where the group begins.
    pub start: Offset,
    /// Records behind that which the group is done with.
    pub delivery_complete_count: i32,
    /// What has changed.
    pub batches: Vec<StateBatch>,
}

impl ShareState {
    /// What has to be kept now, if anything has and no write is under way. It shows the state in which the partition will be
    /// once it is kept.
    pub fn begin_write(&mut self) -> Option<StateWrite> {
        let due = self.start_unsaved
            || self.resync
            || !self.open_acks.is_empty()
            || self.spans.values().any(|span| span.unsaved);
        if self.writing.is_some() || !due {
            return None;
        }
        let mut start = self.start;
        for span in self.spans.values().take_while(|span| span.prospect().is_terminal()) {
            start = span.last + 1;
        }
        let mut write = StateWrite {
            state_epoch: self.state_epoch,
            leader_epoch: self.leader_epoch,
            start,
            delivery_complete_count: 0,
            batches: Vec::new(),
        };
        let mut complete: i64 = 0;
        for (&first, span) in &mut self.spans {
            let changed = span.wanted.is_some() || span.unsaved || self.resync;
            span.unsaved = false;
            if span.last < start {
                continue;
            }
            let (state, last) = (span.prospect().code(), span.last);
            if span.prospect().is_terminal() {
                complete += last - first + 1;
            }
            if changed {
                push(&mut write.batches, StateBatch { first, last, state, count: span.count });
            }
        }
        write.delivery_complete_count = i32::try_from(complete).unwrap_or(i32::MAX);
        self.writing = Some(AckId(self.last_ack));
        (self.start_unsaved, self.resync) = (false, false);
        self.join_all();
        Some(write)
    }

    /// True while a write is under way.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// The write that was under way has ended. Names the acknowledgements that went with it. After a failure their records are
    /// held as before; whether the coordinator has them is not known.
    pub fn end_write(&mut self, outcome: Result<(), ErrorCode>) -> Vec<(AckId, Result<(), ErrorCode>)> {
        let Some(up_to) = self.writing.take() else { return Vec::new() };
        for span in self.spans.values_mut() {
            let Some(wanted) = span.wanted.take_if(|wanted| wanted.ack <= up_to) else { continue };
            if outcome.is_ok() {
                span.phase = wanted.phase;
            }
        }
        self.resync |= outcome.is_err();
        self.join_all();
        self.advance_start();
        self.open_acks.extract_if(.., |ack| *ack <= up_to).map(|ack| (ack, outcome)).collect()
    }

    /// The state is given up: names the acknowledgements whose outcome will never be known.
    pub fn abandon(&mut self) -> Vec<AckId> {
        self.writing = None;
        std::mem::take(&mut self.open_acks)
    }
}

/// Adds a batch, joined with the one before if they are alike.
fn push(batches: &mut Vec<StateBatch>, batch: StateBatch) {
    match batches.last_mut() {
        Some(before)
            if before.last + 1 == batch.first
                && (before.state, before.count) == (batch.state, batch.count) =>
        {
            before.last = batch.last;
        }
        _ => batches.push(batch),
    }
}
