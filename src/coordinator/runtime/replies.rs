//! Replies that wait for the replicas.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Refused;
use crate::types::Offset;

/// Where a reply goes.
pub(super) type ReplyTo<R> = oneshot::Sender<Result<R, Refused>>;

/// What is held back, and from whom.
pub(super) enum Held<R> {
    /// The answer to a command.
    Reply(ReplyTo<R>, R),
    /// That the end of a transaction is written.
    TxnEnded(ReplyTo<()>),
}

impl<R> Held<R> {
    /// Lets it go. Who has gone away meanwhile is not told.
    fn send(self) {
        let _gone = match self {
            Held::Reply(to, reply) => to.send(Ok(reply)).is_err(),
            Held::TxnEnded(to) => to.send(Ok(())).is_err(),
        };
    }

    fn refuse(self, why: Refused) {
        let _gone = match self {
            Held::Reply(to, _) => to.send(Err(why)).is_err(),
            Held::TxnEnded(to) => to.send(Err(why)).is_err(),
        };
    }
}

/// Replies in the order of what they wait for.
pub(super) struct Replies<R> {
    waiting: VecDeque<Waiting<R>>,
    timeout: Duration,
}

struct Waiting<R> {
    /// The high watermark that lets it go.
    until: Offset,
    expires: Instant,
    what: Held<R>,
}

impl<R> Replies<R> {
    /// None yet; each waits no longer than `timeout`.
    pub(super) fn new(timeout: Duration) -> Replies<R> {
        Replies { waiting: VecDeque::new(), timeout }
    }

    /// Holds something until the high watermark reaches `until`, which never goes back from one to the next.
    pub(super) fn hold(&mut self, until: Offset, what: Held<R>) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.until <= until), "in order");
        let expires = Instant::now() + self.timeout;
        self.waiting.push_back(Waiting { until, expires, what });
    }

    /// Sends what the high watermark lets go, or refuses it where this broker is not certain to lead.
    pub(super) fn release(&mut self, high_watermark: Offset, is_certain: impl FnOnce() -> bool) {
        if self.waiting.front().is_none_or(|w| w.until > high_watermark) {
            return;
        }
        let is_certain = is_certain();
        while let Some(waiting) = self.waiting.pop_front_if(|w| w.until <= high_watermark) {
            if is_certain {
                waiting.what.send();
            } else {
                waiting.what.refuse(Refused::NotCoordinator);
            }
        }
    }

    /// When the first has waited too long.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.waiting.front().map(|w| w.expires)
    }

    /// Refuses what has waited too long.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        while let Some(waiting) = self.waiting.pop_front_if(|w| w.expires <= now) {
            waiting.what.refuse(Refused::TimedOut);
        }
    }

    /// Refuses all.
    pub(super) fn refuse(&mut self, why: Refused) {
        for waiting in self.waiting.drain(..) {
            waiting.what.refuse(why);
        }
    }
}
