//! What a follower does next with a partition. Pure: the log is described by values, time comes in as an argument.
//!
//! A follower fetches from its log end on and says which epoch its last record has. A leader whose log does not continue
//! that answers with the largest epoch that both may have and where it ends (KIP-595); the follower cuts its log back to
//! where the two agree, and asks again, as often as it takes (KIP-279). Leaders that cannot answer so are asked for the
//! end of the epoch before anything is fetched (KIP-101). Cutting back to the high watermark instead would lose what was
//! acknowledged, or leave logs that differ.
//!
//! Invariant: nothing is fetched from an offset whose predecessor the leader has not been asked about in this leader epoch,
//! but for logs that know no epoch at all, which are cut back to the high watermark first.

use crate::types::{Bug, ErrorCode, LeaderEpoch, Ms, Offset};

/// The first wait after a failure; each one that follows is twice as long. A leader that has not heard yet of its election
/// hears of it within milliseconds.
const BACKOFF_MS_MIN: Ms = 20;

/// The follower's own log, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogView {
    /// The log start offset.
    pub start: Offset,
    /// Offset behind the last record.
    pub end: Offset,
    /// Epoch of the last record; `None` if there is none, or the log does not know.
    pub last_epoch: Option<LeaderEpoch>,
    /// The high watermark.
    pub high_watermark: Offset,
}

/// What to ask the leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Records from `offset` on.
    Fetch {
        /// The log end.
        offset: Offset,
        /// The epoch of the record before it, or -1.
        last_fetched_epoch: LeaderEpoch,
    },
    /// Where `epoch` ends (OffsetForLeaderEpoch).
    EpochEnd {
        /// The epoch of the last record here.
        epoch: LeaderEpoch,
    },
    /// The first and the last offset of its log (ListOffsets).
    Bounds,
    /// Nothing before this time.
    WaitUntil(Ms),
    /// Nothing until the metadata names another leader or epoch.
    AwaitMetadata,
    /// Nothing any more: the log is out of use.
    Offline,
}

/// What an answer calls for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Todo {
    /// Append what came, if anything, and take over the leader's high watermark and log start. Then
    /// [`Following::log_changed`].
    Take,
    /// Remove every record from this offset on. Then [`Following::log_changed`].
    Truncate(Offset),
    /// Remove everything; the next record has this offset. Then [`Following::log_changed`].
    StartOver(Offset),
    /// Nothing.
    Nothing,
}

/// What of a fetch's answer concerns a partition, besides the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// Kafka's error.
    pub error: ErrorCode,
    /// Where the logs diverge: the largest epoch at or below the one that was named, and its end.
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

/// Why what was fetched could not be appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendFailure {
    /// Damaged, or not what continues the log: to be fetched again.
    Refused,
    /// The disk: the log is out of use.
    Disk,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Fetching,
    AskEpochEnd(LeaderEpoch),
    AskBounds,
    AwaitMetadata,
    Offline,
}

/// A followed partition, in one leader epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Following {
    leader_epoch: LeaderEpoch,
    leader_tells_divergence: bool,
    backoff_ms_max: Ms,
    phase: Phase,
    offset: Offset,
    last_epoch: Option<LeaderEpoch>,
    /// Failures in a row.
    failures: u32,
    due_at: Ms,
}

impl Following {
    /// Begins to follow in `leader_epoch`. `leader_tells_divergence` says that its fetch answers do (KIP-595);
    /// `backoff_ms_max` is `replica.fetch.backoff.ms`. The log may have to be cut back first.
    pub fn begin(
        leader_epoch: LeaderEpoch,
        leader_tells_divergence: bool,
        backoff_ms_max: Ms,
        log: LogView,
    ) -> (Following, Todo) {
        let mut following = Following {
            leader_epoch,
            leader_tells_divergence,
            backoff_ms_max,
            phase: Phase::Fetching,
            offset: log.end,
            last_epoch: log.last_epoch,
            failures: 0,
            due_at: Ms::MIN,
        };
        let todo = match log.last_epoch {
            Some(epoch) if !leader_tells_divergence => {
                following.phase = Phase::AskEpochEnd(epoch);
                Todo::Nothing
            }
            // A log without epochs can only be trusted as far as it was acknowledged.
            None if log.end > log.high_watermark.max(log.start) => {
                Todo::Truncate(log.high_watermark.max(log.start))
            }
            Some(_) | None => Todo::Nothing,
        };
        (following, todo)
    }

    /// The leader epoch that is followed.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// What to ask the leader now.
    pub fn next(&self, now: Ms) -> Next {
        match self.phase {
            Phase::Offline => Next::Offline,
            Phase::AwaitMetadata => Next::AwaitMetadata,
            _ if now < self.due_at => Next::WaitUntil(self.due_at),
            Phase::Fetching => {
                let last_epoch = self.last_epoch.filter(|_| !Bug::NoTruncation.is_planted());
                Next::Fetch { offset: self.offset, last_fetched_epoch: last_epoch.unwrap_or(-1) }
            }
            Phase::AskEpochEnd(epoch) => Next::EpochEnd { epoch },
            Phase::AskBounds => Next::Bounds,
        }
    }

    /// Takes in the answer to a fetch from `offset`. `own_end_of` gives the largest epoch at or below the asked one in this
    /// log, and its end.
    pub fn on_fetched(
        &mut self,
        offset: Offset,
        answer: Fetched,
        log_end: Offset,
        own_end_of: impl FnOnce(LeaderEpoch) -> Option<(LeaderEpoch, Offset)>,
        now: Ms,
    ) -> Todo {
        if offset != self.offset || self.phase != Phase::Fetching {
            // Asked before the log changed.
            return Todo::Nothing;
        }
        if answer.error.is_err() {
            self.failed(answer.error, now);
            return Todo::Nothing;
        }
        self.failures = 0;
        match answer.diverging {
            None => Todo::Take,
            Some((epoch, end)) => {
                let to = truncation(epoch, end, own_end_of(epoch), log_end).to;
                if to >= log_end {
                    // It diverges from a record that is not there: the leader errs, and may come to itself.
                    self.wait(now);
                    return Todo::Nothing;
                }
                Todo::Truncate(to)
            }
        }
    }

    /// Takes in the answer to [`Next::EpochEnd`]: the largest epoch at or below the asked one that the leader knows, and its
    /// end; `None` if it knows none.
    pub fn on_epoch_end(
        &mut self,
        answer: Result<Option<(LeaderEpoch, Offset)>, ErrorCode>,
        log: LogView,
        own_end_of: impl FnOnce(LeaderEpoch) -> Option<(LeaderEpoch, Offset)>,
        now: Ms,
    ) -> Todo {
        if !matches!(self.phase, Phase::AskEpochEnd(_)) {
            return Todo::Nothing;
        }
        match answer {
            Err(error) => {
                self.failed(error, now);
                Todo::Nothing
            }
            Ok(None) => {
                // It knows nothing of epochs; what was acknowledged is all that can be trusted.
                self.phase = Phase::Fetching;
                Todo::Truncate(log.high_watermark.max(log.start).min(log.end))
            }
            Ok(Some((epoch, end))) => {
                self.failures = 0;
                let truncation = truncation(epoch, end, own_end_of(epoch), log.end);
                // Until the epochs agree, whatever is last after the cut is asked for next.
                self.phase = match truncation.agreed {
                    true => Phase::Fetching,
                    false => Phase::AskEpochEnd(epoch),
                };
                Todo::Truncate(truncation.to)
            }
        }
    }

    /// Takes in the answer to [`Next::Bounds`]: the leader's log start and log end.
    pub fn on_bounds(&mut self, answer: Result<(Offset, Offset), ErrorCode>, log: LogView, now: Ms) -> Todo {
        if self.phase != Phase::AskBounds {
            return Todo::Nothing;
        }
        match answer {
            Err(error) => {
                self.failed(error, now);
                Todo::Nothing
            }
            Ok((start, end)) => {
                self.phase = Phase::Fetching;
                // Not at once: a leader that contradicts itself would be asked without end.
                self.wait(now);
                if end < log.end {
                    Todo::Truncate(end)
                } else if start > log.end {
                    Todo::StartOver(start)
                } else {
                    Todo::Nothing
                }
            }
        }
    }

    /// The log has been appended to or cut as was asked for.
    pub fn log_changed(&mut self, log: LogView) {
        self.offset = log.end;
        self.last_epoch = log.last_epoch;
        if let Phase::AskEpochEnd(_) = self.phase {
            self.phase = log.last_epoch.map_or(Phase::Fetching, Phase::AskEpochEnd);
        }
    }

    /// What came could not be appended.
    pub fn append_failed(&mut self, failure: AppendFailure, log: LogView, now: Ms) {
        match failure {
            AppendFailure::Disk => self.phase = Phase::Offline,
            AppendFailure::Refused => {
                self.log_changed(log);
                self.wait(now);
            }
        }
    }

    /// The leader could not be asked at all.
    pub fn unreachable(&mut self, now: Ms) {
        self.wait(now);
    }

    fn failed(&mut self, error: ErrorCode, now: Ms) {
        match error {
            // The leader is at a newer epoch, of which the metadata will tell.
            ErrorCode::FencedLeaderEpoch => self.phase = Phase::AwaitMetadata,
            ErrorCode::OffsetOutOfRange if self.phase == Phase::Fetching => self.phase = Phase::AskBounds,
            // It has not heard yet that it leads, or of the topic; it has moved on and the metadata will tell; its disk has
            // failed; or something else that asking again may mend.
            _any_other => self.wait(now),
        }
    }

    fn wait(&mut self, now: Ms) {
        let backoff = BACKOFF_MS_MIN << self.failures.min(16);
        self.failures += 1;
        self.due_at = now + backoff.min(self.backoff_ms_max.max(1));
    }
}

/// Where to cut, and whether the logs agree below.
struct Truncation {
    to: Offset,
    agreed: bool,
}

/// KIP-279: the leader's log ends `epoch` (the largest at or below the one that was asked for) at `end`; `own` is the largest
/// epoch at or below that in this log, and its end.
fn truncation(
    epoch: LeaderEpoch,
    end: Offset,
    own: Option<(LeaderEpoch, Offset)>,
    log_end: Offset,
) -> Truncation {
    match own {
        Some((own_epoch, own_end)) if own_epoch != epoch => {
            // This log does not know the leader's epoch: cut to the end of the one before and ask again.
            Truncation { to: own_end.min(log_end), agreed: false }
        }
        Some((_same, own_end)) => Truncation { to: own_end.min(end).min(log_end), agreed: true },
        // Epochs begin here above the leader's: it has told the end of all that could be common.
        None => Truncation { to: end.min(log_end), agreed: true },
    }
}

#[cfg(test)]
#[path = "follower_test.rs"]
mod tests;
