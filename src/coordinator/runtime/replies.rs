//! Replies that wait for the replicas.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Refused;
use crate::types::Offset;

/// Where a reply goes.
pub(super) type ReplyTo<R> = oneshot::Sender<Result<R, Refused>>;

/// Replies in the order of what they wait for.
pub(super) struct Replies<R> {
    waiting: VecDeque<Waiting<R>>,
    timeout: Duration,
}

struct Waiting<R> {
    /// The high watermark that lets it go.
    until: Offset,
    expires: Instant,
    to: ReplyTo<R>,
    reply: R,
}

impl<R> Replies<R> {
    /// None yet; each waits no longer than `timeout`.
    pub(super) fn new(timeout: Duration) -> Replies<R> {
        Replies { waiting: VecDeque::new(), timeout }
    }

    /// Holds a reply until the high watermark reaches `until`, which never goes back from one to the next.
    pub(super) fn hold(&mut self, until: Offset, to: ReplyTo<R>, reply: R) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.until <= until), "in order");
        let expires = Instant::now() + self.timeout;
        self.waiting.push_back(Waiting { until, expires, to, reply });
    }

    /// Sends what the high watermark lets go, or refuses it where this broker is not certain to lead. Who has gone away
    /// meanwhile is not told.
    pub(super) fn release(&mut self, high_watermark: Offset, is_certain: impl FnOnce() -> bool) {
        if self.waiting.front().is_none_or(|w| w.until > high_watermark) {
            return;
        }
        let is_certain = is_certain();
        while let Some(waiting) = self.waiting.pop_front_if(|w| w.until <= high_watermark) {
            let answer = if is_certain { Ok(waiting.reply) } else { Err(Refused::NotCoordinator) };
            let _ = waiting.to.send(answer);
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
            let _ = waiting.to.send(Err(Refused::TimedOut));
        }
    }

    /// Refuses all.
    pub(super) fn refuse(&mut self, why: Refused) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.to.send(Err(why));
        }
    }
}
