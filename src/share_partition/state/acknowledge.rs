//! What members say of the records they hold.

use super::span::{AckId, Cause, Phase, Wanted};
use super::{Limits, ShareState, given_up};
use crate::types::{ErrorCode, Ms, Offset};

/// What a member says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckType {
    /// There is no such record.
    Gap,
    /// It is processed.
    Accept,
    /// Somebody may try again.
    Release,
    /// It cannot be processed.
    Reject,
    /// It takes longer (KIP-1222).
    Renew,
}

impl AckType {
    /// Kafka's number.
    pub fn from_code(code: i8) -> Option<AckType> {
        match code {
            0 => Some(AckType::Gap),
            1 => Some(AckType::Accept),
            2 => Some(AckType::Release),
            3 => Some(AckType::Reject),
            4 => Some(AckType::Renew),
            _ => None,
        }
    }
}

/// What a member says of a range of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckBatch {
    /// Offset of the first.
    pub first: Offset,
    /// Offset of the last.
    pub last: Offset,
    /// One for all of them, or one for each.
    pub types: Vec<AckType>,
}

impl AckBatch {
    /// The same in ranges of one type each.
    fn runs(&self) -> Vec<(Offset, Offset, AckType)> {
        match self.types.as_slice() {
            [] => Vec::new(),
            [one] => vec![(self.first, self.last, *one)],
            each => {
                let mut runs: Vec<(Offset, Offset, AckType)> = Vec::new();
                for (offset, &kind) in (self.first..=self.last).zip(each) {
                    match runs.last_mut() {
                        Some(run) if run.2 == kind => run.1 = offset,
                        _ => runs.push((offset, offset, kind)),
                    }
                }
                runs
            }
        }
    }
}

impl ShareState {
    /// Takes in what `member` says: all of it or nothing. `Ok(None)` if that is all; else it counts once
    /// [`end_write`](ShareState::end_write) names the id.
    ///
    /// # Errors
    ///
    /// `INVALID_REQUEST` if records are named that nobody was given, or batches are not in order; `INVALID_RECORD_STATE` if
    /// the member does not hold a record (any more), or has said something of it that is not kept yet.
    pub fn acknowledge(
        &mut self,
        member: &str,
        batches: &[AckBatch],
        now: Ms,
        limits: &Limits,
    ) -> Result<Option<AckId>, ErrorCode> {
        let mut before = Offset::MIN;
        for batch in batches {
            if batch.first < 0 || batch.first > batch.last || batch.first <= before {
                return Err(ErrorCode::InvalidRequest);
            }
            before = batch.last;
            if batch.last >= self.start {
                self.check_held(member, batch.first.max(self.start), batch.last)?;
            }
        }
        let ack = AckId(self.last_ack + 1);
        let mut any = false;
        for (first, last, kind) in batches.iter().flat_map(AckBatch::runs) {
            if last < self.start {
                continue;
            }
            self.set(first.max(self.start), last, |span| {
                let phase = match kind {
                    AckType::Renew => {
                        if let Phase::Acquired { until, .. } = &mut span.phase {
                            *until = now + limits.lock_ms;
                        }
                        return;
                    }
                    AckType::Gap => Phase::Archived,
                    AckType::Accept => Phase::Acknowledged,
                    AckType::Release if span.count < limits.deliveries_max => Phase::Available,
                    AckType::Release => given_up(Cause::DeliveryCount, limits),
                    AckType::Reject => given_up(Cause::Rejected, limits),
                };
                span.wanted = Some(Wanted { ack, phase });
                any = true;
            });
        }
        self.join_all();
        self.check();
        if !any {
            return Ok(None);
        }
        self.last_ack = ack.0;
        self.open_acks.push(ack);
        Ok(Some(ack))
    }

    fn check_held(&self, member: &str, first: Offset, last: Offset) -> Result<(), ErrorCode> {
        if last >= self.end {
            return Err(ErrorCode::InvalidRequest);
        }
        let from = self.spans.range(..=first).next_back().map_or(first, |(&from, _)| from);
        let is_held = self.spans.range(from..=last).all(|(_, span)| {
            span.wanted.is_none()
                && matches!(&span.phase, Phase::Acquired { member: holder, .. } if **holder == *member)
        });
        if is_held { Ok(()) } else { Err(ErrorCode::InvalidRecordState) }
    }
}
