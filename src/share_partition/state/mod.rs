//! One partition as one share group sees it, on the leader: what is in flight (KIP-932; pure).
//!
//! Everything from the **start offset** (Kafka's SPSO: before it the group is done) up to the **end offset** (from there on
//! nothing was delivered yet) is covered by spans: ranges of records that are available, acquired by a member,
//! acknowledged, on their way to the dead-letter queue, or archived.
//!
//! Records are taken by [`acquire`](ShareState::acquire). What members say of them
//! ([`acknowledge`](ShareState::acknowledge)) counts only once the share coordinator has kept it: until then a record is
//! *acquired and wanted something else*, and if that fails, it is acquired again. What happens by itself (locks that run
//! out, members that go away) counts at once and is kept afterwards: losing it delivers a record once more.
//!
//! There is one write to the coordinator at a time ([`begin_write`](ShareState::begin_write),
//! [`end_write`](ShareState::end_write)); what changes meanwhile goes with the next. When one fails, nobody knows what the
//! coordinator has, so the next one carries everything.
//!
//! Invariants:
//! * spans are without gaps and overlaps from start to end;
//! * the first span is not terminal, or something about it is under way;
//! * no record is acquired whose delivery count has reached the limit.

mod acknowledge;
mod acquire;
mod span;
mod write;

use std::collections::BTreeMap;

pub use acknowledge::{AckBatch, AckType};
pub use acquire::{Acquire, Acquired, Fetched, Mode};
pub use span::{AckId, Cause, MemberId};
use span::{Phase, Span};
pub use write::StateWrite;

use crate::coordinator::share::StateBatch;
use crate::types::{LeaderEpoch, Ms, Offset};

/// The group's settings, which may change at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a member holds a record: `share.record.lock.duration.ms`.
    pub lock_ms: Ms,
    /// How often a record is delivered: `share.delivery.count.limit`.
    pub deliveries_max: i16,
    /// Records in flight: `share.partition.max.record.locks`.
    pub records_max: i64,
    /// True if records that are given up go to a dead-letter queue.
    pub has_dead_letters: bool,
}

/// Records on their way to the dead-letter queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Offset of the first.
    pub first: Offset,
    /// Offset of the last.
    pub last: Offset,
    /// How often they were delivered.
    pub count: i16,
    /// Why they are there.
    pub cause: Cause,
}

/// A state that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the share partition's state makes no sense")]
pub struct BadState;

/// See the module.
#[derive(Clone, Debug)]
pub struct ShareState {
    /// The epoch of the state, as it was read.
    state_epoch: i32,
    /// The epoch in which this broker leads the partition.
    leader_epoch: LeaderEpoch,
    start: Offset,
    end: Offset,
    spans: BTreeMap<Offset, Span>,
    /// Acknowledgements whose outcome nobody knows yet.
    open_acks: Vec<AckId>,
    last_ack: u64,
    /// Set while a write is under way: acknowledgements up to here go with it.
    writing: Option<AckId>,
    /// The start offset has to be written, whatever else there is.
    start_unsaved: bool,
    /// The next write has to carry everything.
    resync: bool,
}

impl ShareState {
    /// The state that the coordinator has given out. What it does not mention behind `start` was not delivered yet, as far as
    /// anybody remembers.
    ///
    /// # Errors
    ///
    /// If batches overlap, run backwards, or are in a state that there is not.
    pub fn load(
        state_epoch: i32,
        leader_epoch: LeaderEpoch,
        start: Offset,
        batches: &[StateBatch],
    ) -> Result<ShareState, BadState> {
        let mut state = ShareState {
            state_epoch,
            leader_epoch,
            start,
            end: start,
            spans: BTreeMap::new(),
            open_acks: Vec::new(),
            last_ack: 0,
            writing: None,
            start_unsaved: false,
            resync: false,
        };
        for batch in batches.iter().filter(|batch| batch.last >= start) {
            let first = batch.first.max(start);
            if first < state.end || batch.last < first || batch.last == Offset::MAX {
                return Err(BadState);
            }
            let phase = match batch.state {
                0 => Phase::Available,
                2 => Phase::Acknowledged,
                3 => Phase::Archiving { cause: Cause::Rejected, handed: false },
                4 => Phase::Archived,
                _ => return Err(BadState),
            };
            state.fill_to(first, Phase::Available);
            state.spans.insert(first, Span::new(batch.last, phase, batch.count.max(0)));
            state.end = batch.last + 1;
        }
        state.advance_start();
        Ok(state)
    }

    /// Where the group begins: before it, it is done.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// From here on nothing was delivered yet.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The epoch of the state.
    pub fn state_epoch(&self) -> i32 {
        self.state_epoch
    }

    /// The epoch of the leader.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Records between start and end, whatever they are.
    pub fn in_flight(&self) -> i64 {
        self.end - self.start
    }

    /// The first record that may be delivered, or where new ones begin.
    pub fn next_fetch_offset(&self) -> Offset {
        let available = self.spans.iter().find(|(_, span)| span.is_available());
        available.map_or(self.end, |(&first, _)| first)
    }

    /// True if it makes sense to read for a member.
    pub fn can_acquire(&self, limits: &Limits) -> bool {
        self.in_flight() < limits.records_max || self.next_fetch_offset() < self.end
    }

    /// Where the group begins has to be kept: it was found out here.
    pub fn save_start(&mut self) {
        self.start_unsaved = true;
    }

    /// The log begins at `to` now: the group is done with everything before.
    pub fn log_start_moved(&mut self, to: Offset) {
        if to <= self.start {
            return;
        }
        self.split(to);
        self.spans = self.spans.split_off(&to);
        self.start = to;
        self.end = self.end.max(to);
        self.start_unsaved = true;
        self.advance_start();
    }

    /// When the first lock runs out; `None` if no record is locked.
    pub fn next_deadline(&self) -> Option<Ms> {
        let locks = self.spans.values().filter_map(|span| match &span.phase {
            Phase::Acquired { until, .. } if span.wanted.is_none() => Some(*until),
            _ => None,
        });
        locks.min()
    }

    /// Takes records back whose locks have run out. True if any may be delivered again, or there is room for others.
    pub fn on_deadline(&mut self, now: Ms, limits: &Limits) -> bool {
        self.take_back(limits, |_, until| (until <= now).then_some(0))
    }

    /// Takes back what a member holds that has gone away. It counts as not delivered. True as with
    /// [`on_deadline`](ShareState::on_deadline).
    pub fn release_member(&mut self, member: &str, limits: &Limits) -> bool {
        self.take_back(limits, |holder, _| (**holder == *member).then_some(1))
    }

    /// Takes back every record for which `taken` gives how many deliveries count as none.
    fn take_back(&mut self, limits: &Limits, taken: impl Fn(&MemberId, Ms) -> Option<i16>) -> bool {
        let mut any = false;
        for span in self.spans.values_mut().filter(|span| span.wanted.is_none()) {
            let Phase::Acquired { member, until } = &span.phase else { continue };
            let Some(undone) = taken(member, *until) else { continue };
            span.count = (span.count - undone).max(0);
            span.phase = if span.count >= limits.deliveries_max {
                given_up(Cause::DeliveryCount, limits)
            } else {
                Phase::Available
            };
            span.unsaved = true;
            any = true;
        }
        if any {
            self.join_all();
            self.advance_start();
        }
        any
    }

    /// True if nothing is held, kept or given up any more: the coordinator knows all there is.
    pub fn is_at_rest(&self) -> bool {
        let is_busy = |span: &Span| {
            span.unsaved || matches!(span.phase, Phase::Acquired { .. } | Phase::Archiving { .. })
        };
        self.writing.is_none()
            && self.open_acks.is_empty()
            && !self.start_unsaved
            && !self.resync
            && !self.spans.values().any(is_busy)
    }

    /// Records that are to be written to the dead-letter queue, each named once. The caller answers with
    /// [`dead_letter_done`](ShareState::dead_letter_done).
    pub fn take_dead_letters(&mut self) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        for (&first, span) in &mut self.spans {
            if let Phase::Archiving { cause, handed } = &mut span.phase
                && !*handed
            {
                *handed = true;
                letters.push(DeadLetter { first, last: span.last, count: span.count, cause: *cause });
            }
        }
        letters
    }

    /// Records have reached the dead-letter queue, or never will.
    pub fn dead_letter_done(&mut self, first: Offset, last: Offset) {
        self.split(first);
        self.split(last + 1);
        for (_, span) in self.spans.range_mut(first..=last) {
            if matches!(span.phase, Phase::Archiving { .. }) {
                span.phase = Phase::Archived;
                span.unsaved = true;
            }
        }
        self.join_all();
        self.advance_start();
    }

    /// Makes `offset` the first of a span, if one covers it.
    fn split(&mut self, offset: Offset) {
        let Some((_, span)) = self.spans.range_mut(..offset).next_back() else { return };
        if span.last >= offset {
            let rest = span.clone();
            span.last = offset - 1;
            self.spans.insert(offset, rest);
        }
    }

    /// Covers what is between the end and `to`.
    fn fill_to(&mut self, to: Offset, phase: Phase) {
        if self.end < to {
            self.spans.insert(self.end, Span::new(to - 1, phase, 0));
            self.end = to;
        }
    }

    /// Joins neighbours that are alike.
    fn join_all(&mut self) {
        let mut joined: Vec<(Offset, Span)> = Vec::with_capacity(self.spans.len());
        for (first, span) in std::mem::take(&mut self.spans) {
            match joined.last_mut() {
                Some((_, before)) if before.is_like(&span) => {
                    before.last = span.last;
                }
                _ => joined.push((first, span)),
            }
        }
        self.spans = joined.into_iter().collect();
    }

    /// Moves the start past everything that the group is done with.
    fn advance_start(&mut self) {
        while let Some(first) = self.spans.first_entry()
            && first.get().phase.is_terminal()
        {
            self.start = first.get().last + 1;
            // What moved it may be known to nobody else.
            self.start_unsaved |= first.remove().unsaved;
        }
        if self.spans.is_empty() {
            self.start = self.end;
        }
        self.check();
    }

    /// That the invariants hold.
    fn check(&self) {
        if cfg!(debug_assertions) {
            let mut at = self.start;
            for (&first, span) in &self.spans {
                assert_eq!(first, at, "spans follow each other");
                assert!(span.last >= first, "spans are not empty");
                at = span.last + 1;
            }
            assert_eq!(at, self.end, "spans reach the end");
        }
    }
}

/// What becomes of a record that is not delivered any more.
fn given_up(cause: Cause, limits: &Limits) -> Phase {
    if limits.has_dead_letters { Phase::Archiving { cause, handed: false } } else { Phase::Archived }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
