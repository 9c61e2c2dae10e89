//! Records are handed out.

use std::ops::ControlFlow;

use super::span::{Cause, MemberId, Phase, Span};
use super::{Limits, ShareState, given_up};
use crate::types::{Ms, Offset};

/// How closely the number of records is kept to (KIP-1206).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batches of the log stay whole, so a few more records may be handed out than asked for.
    BatchOptimized,
    /// Never more records than asked for.
    RecordLimit,
}

impl Mode {
    /// Kafka's number.
    pub fn from_code(code: i8) -> Option<Mode> {
        match code {
            0 => Some(Mode::BatchOptimized),
            1 => Some(Mode::RecordLimit),
            _ => None,
        }
    }
}

/// A batch of the log that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its base offset.
    pub first: Offset,
    /// Offset of its last record.
    pub last: Offset,
    /// True if its records are for nobody: markers, and what transactions took back.
    pub is_void: bool,
}

/// What a member asks for, and what the log has.
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'a> {
    /// Who asks.
    pub member: &'a MemberId,
    /// Where the log was read from: [`ShareState::next_fetch_offset`] then.
    pub from: Offset,
    /// What was found there, in order.
    pub fetched: &'a [Fetched],
    /// The most records.
    pub records_max: i64,
    /// Records per range that is handed out, where they can be told apart by batches of the log.
    pub batch_records: i64,
    /// How closely to keep to that.
    pub mode: Mode,
}

/// A range of records that a member holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// Offset of the first.
    pub first: Offset,
    /// Offset of the last.
    pub last: Offset,
    /// How often they were delivered, this time included.
    pub count: i16,
}

/// What was handed out so far.
struct Taken {
    ranges: Vec<Acquired>,
    records: i64,
    /// New records that may still be brought in.
    room: i64,
}

impl ShareState {
    /// Hands out records: first those that are available again, then new ones. All of them are acquired by the member for
    /// the lock's duration.
    ///
    /// Records that have failed often are handed out in smaller and smaller ranges, and alone for the last time, so that one
    /// that cannot be processed does not take others with it.
    pub fn acquire(&mut self, ask: &Acquire<'_>, now: Ms, limits: &Limits) -> Vec<Acquired> {
        let (Some(front), true) = (ask.fetched.first(), ask.records_max > 0) else { return Vec::new() };
        // What was expected before the first batch has been compacted away.
        self.archive_available(ask.from, front.first - 1);
        if self.spans.is_empty() && front.first > self.end {
            (self.start, self.end) = (front.first, front.first);
        }
        let room = (limits.records_max - self.in_flight()).max(0);
        let mut taken = Taken { ranges: Vec::new(), records: 0, room };
        let mut before = front.first - 1;
        for batch in ask.fetched {
            self.archive_available(before + 1, batch.first - 1);
            before = batch.last;
            if batch.last < self.start {
                continue;
            }
            if self.acquire_of_batch(ask, batch, now, limits, &mut taken).is_break() {
                break;
            }
        }
        self.join_all();
        self.advance_start();
        taken.ranges
    }

    /// Breaks once nothing more is to be handed out.
    fn acquire_of_batch(
        &mut self,
        ask: &Acquire<'_>,
        batch: &Fetched,
        now: Ms,
        limits: &Limits,
        taken: &mut Taken,
    ) -> ControlFlow<()> {
        if taken.records >= ask.records_max {
            return ControlFlow::Break(());
        }
        let first = batch.first.max(self.start);
        if batch.is_void {
            self.archive_available(first, batch.last);
            if batch.last >= self.end && taken.room > 0 {
                self.fill_to(batch.last + 1, Phase::Archived);
            }
            return ControlFlow::Continue(());
        }
        // A range is not begun anew within a batch, unless something is in between.
        let begins = taken.ranges.last().is_some_and(|range| batch.first - range.first >= ask.batch_records);
        let mut split_here = begins && ask.mode == Mode::BatchOptimized;
        let mut at = first;
        while at <= batch.last && at < self.end {
            self.split(at);
            let Some((&from, span)) = self.spans.range(at..).next() else { break };
            let (last, count) = (span.last.min(batch.last), span.count);
            at = last + 1;
            if !span.is_available() {
                continue;
            }
            if count >= limits.deliveries_max {
                self.set(from, last, |span| {
                    span.phase = given_up(Cause::DeliveryCount, limits);
                    span.unsaved = true;
                });
                continue;
            }
            let length = batch.last - batch.first + 1;
            let isolated = isolated(count, length, limits);
            if isolated.is_some() && taken.records > 0 {
                return ControlFlow::Break(());
            }
            let mut last = last.min(from + isolated.unwrap_or(i64::MAX).min(last - from + 1) - 1);
            if ask.mode == Mode::RecordLimit {
                last = last.min(from + (ask.records_max - taken.records) - 1);
            }
            let until = now + limits.lock_ms;
            self.set(from, last, |span| {
                span.phase = Phase::Acquired { member: ask.member.clone(), until };
                span.count += 1;
            });
            taken.add(Acquired { first: from, last, count: count + 1 }, &mut split_here);
            let is_full = ask.mode == Mode::RecordLimit && taken.records >= ask.records_max;
            if isolated.is_some() || is_full {
                return ControlFlow::Break(());
            }
            at = last + 1;
        }
        if batch.last < self.end {
            return ControlFlow::Continue(());
        }
        if taken.room == 0 {
            return ControlFlow::Break(());
        }
        // In between is nothing that the log still has.
        self.fill_to(first, Phase::Archived);
        let from = self.end;
        let mut last = batch.last;
        if ask.mode == Mode::RecordLimit {
            last = last.min(from + (ask.records_max - taken.records).min(taken.room) - 1);
        }
        if last < from {
            return ControlFlow::Break(());
        }
        let phase = Phase::Acquired { member: ask.member.clone(), until: now + limits.lock_ms };
        self.spans.insert(from, Span::new(last, phase, 1));
        self.end = last + 1;
        taken.room = (taken.room - (last - from + 1)).max(0);
        taken.add(Acquired { first: from, last, count: 1 }, &mut split_here);
        ControlFlow::Continue(())
    }

    /// Archives what is available between two offsets.
    fn archive_available(&mut self, first: Offset, last: Offset) {
        let first = first.max(self.start);
        if last < first || first >= self.end {
            return;
        }
        self.set(first, last, |span| {
            if span.is_available() {
                span.phase = Phase::Archived;
                span.unsaved = true;
            }
        });
    }

    /// Changes the spans between two offsets.
    pub(super) fn set(&mut self, first: Offset, last: Offset, mut change: impl FnMut(&mut Span)) {
        self.split(first);
        self.split(last + 1);
        self.spans.range_mut(first..=last).for_each(|(_, span)| change(span));
    }
}

impl Taken {
    fn add(&mut self, range: Acquired, split_here: &mut bool) {
        self.records += range.last - range.first + 1;
        match self.ranges.last_mut() {
            Some(before) if before.last + 1 == range.first && before.count == range.count && !*split_here => {
                before.last = range.last;
            }
            _ => self.ranges.push(range),
        }
        *split_here = false;
    }
}

/// How many records that were delivered `count` times may be handed out together, if fewer than usual, and then nothing
/// else with them.
fn isolated(count: i16, batch_records: i64, limits: &Limits) -> Option<i64> {
    // With two deliveries, every second one would be alone.
    if limits.deliveries_max <= 2 {
        return None;
    }
    if count >= limits.deliveries_max - 1 {
        return Some(1);
    }
    let throttled_from = (limits.deliveries_max + 1) / 2;
    (count >= throttled_from).then(|| (batch_records >> (count - throttled_from + 1).min(62)).max(1))
}
