//! For how long no leader has been heard.
//!
//! Two things follow from it. A voter whose leader has been silent for its whole lease asks for its own election, in turns
//! with the others, where openraft alone would wait for a random time besides. And whoever is elected knows until when
//! the word of an earlier leader may hold: of any majority that an earlier leader has heard, one voter is among those who
//! have elected this one, and each of them says with its vote for how long it had taken nothing from any leader. A
//! controller need not wait for longer than what is left of the leases that were given out on such a word.
//!
//! A voter that has just started may have taken something before it ended: its silence counts from its start.

use std::time::Duration;

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::Quorum;
use crate::env::Env;
use crate::types::LeaderEpoch;

/// What one voter leaves the next one for its attempt.
const TURN: Duration = Duration::from_millis(100);
/// How long after a lease its end is certain for all who have heard the same message.
const MARGIN: Duration = Duration::from_millis(20);
/// How long whoever was given a vote is left to make something of it.
const CANDIDATE: Duration = Duration::from_millis(300);
/// After so many attempts the pause between them grows no further.
const ATTEMPTS_MAX: u32 = 10;

/// When a leader was last heard.
pub(super) struct Silence {
    began: Mutex<Instant>,
    /// Somebody has this node's vote and is to be left alone until then.
    candidate_until: Mutex<Instant>,
}

impl Silence {
    /// Counts from now on.
    pub(super) fn new() -> Silence {
        let now = Instant::now();
        Silence { began: Mutex::new(now), candidate_until: Mutex::new(now) }
    }

    /// This node has given its vote to another.
    pub(super) fn voted(&self) {
        *self.candidate_until.lock() = Instant::now() + CANDIDATE;
    }

    /// A leader speaks, or this node has been one until now. To be called before what it says is taken.
    pub(super) fn ends(&self) {
        *self.began.lock() = Instant::now();
    }

    /// When it began.
    pub(super) fn began(&self) -> Instant {
        *self.began.lock()
    }

    /// For how long it lasts.
    pub(super) fn lasts(&self) -> Duration {
        self.began().elapsed()
    }
}

/// What voters said of their silence when they gave this node their votes.
#[derive(Default)]
pub(super) struct Ballot(Mutex<Option<Count>>);

#[derive(Clone, Copy)]
struct Count {
    term: u64,
    /// When any of the voters last took something from a leader, at the latest.
    last_word: Instant,
}

impl Ballot {
    /// A voter has given its vote for `term` and says that it has been `silent` for so long.
    pub(super) fn note(&self, term: u64, silent: Duration) {
        let now = Instant::now();
        let last_word = now.checked_sub(silent).unwrap_or(now);
        let mut count = self.0.lock();
        match &mut *count {
            Some(known) if known.term > term => {}
            Some(known) if known.term == term => known.last_word = known.last_word.max(last_word),
            _ => *count = Some(Count { term, last_word }),
        }
    }

    fn last_word(&self, term: u64) -> Option<Instant> {
        self.0.lock().filter(|count| count.term == term).map(|count| count.last_word)
    }
}

impl Quorum {
    /// When a majority has last taken something from the leaders before this node, at the latest; for the leader of `epoch`.
    /// Nobody elects anybody else for a lease after it has taken something.
    pub fn last_word_before(&self, epoch: LeaderEpoch) -> Instant {
        let Some(part) = self.voter() else { return Instant::now() };
        // Where no vote was counted, as in a quorum of one, this node's own silence is all there is to go by.
        let of_voters = u64::try_from(epoch).ok().and_then(|term| part.links.ballot.last_word(term));
        let own = part.silence.began();
        of_voters.map_or(own, |last_word| last_word.max(own))
    }

    /// For how long, from now on, what this leader says may hold: `longest` from when a majority has last heard it. Zero if
    /// it does not lead.
    pub fn word_holds(&self, longest: Duration) -> Duration {
        let Some(part) = self.voter().filter(|_| self.leadership.borrow().is_me) else {
            return Duration::ZERO;
        };
        // It hears itself: where it is elected anew, or elects another, this counts.
        part.silence.ends();
        let metrics = part.raft.metrics();
        let seen = metrics.borrow_watched();
        if seen.membership_config.membership().voter_ids().nth(1).is_none() {
            return longest;
        }
        let acked = seen.last_quorum_acked.as_ref();
        acked.map_or(Duration::ZERO, |at| longest.saturating_sub(at.elapsed()))
    }

    /// Has this node ask for its election when the leader's lease is over, in turns with the others.
    pub(super) fn spawn_silence(&self, env: &Env) {
        let quorum = self.clone();
        env.tasks.spawn("metadata-quorum-silence", async move {
            let Some(part) = quorum.voter() else { return };
            let mut leadership = quorum.leadership.clone();
            let (mut led, mut attempts) = (false, 0);
            loop {
                let leads = leadership.borrow_and_update().is_me;
                if led && !leads {
                    // Whoever is elected in its place is given as much time as after any leader's word.
                    part.silence.ends();
                }
                led = leads;
                let leader = leadership.borrow().leader;
                let (before, after) = part.turns(|id| Some(id) != leader);
                let lease_ends = part.silence.began() + part.leader_lease + MARGIN + TURN * before;
                let due = lease_ends.max(*part.silence.candidate_until.lock());
                let now = Instant::now();
                let next = if now < due {
                    attempts = 0;
                    due
                } else {
                    if !leads {
                        tracing::debug!("no leader is heard: asking for an election");
                        // Where this fails the node is going down.
                        if part.raft.trigger().elect(true).await.is_err() {
                            return;
                        }
                    }
                    attempts = (attempts + 1).min(ATTEMPTS_MAX);
                    now + TURN * (before + 1 + after) * attempts
                };
                tokio::select! {
                    biased;
                    changed = leadership.changed() => if changed.is_err() { return },
                    () = sleep_until(next), if !leads => {}
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_voter_that_heard_a_leader_last_counts() {
        let ballot = Ballot::default();
        assert_eq!(ballot.last_word(5), None);
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(2)).await;
        ballot.note(5, Duration::from_millis(1500));
        ballot.note(5, Duration::from_millis(700));
        ballot.note(5, Duration::from_millis(900));
        assert_eq!(ballot.last_word(5), Some(began + Duration::from_millis(1300)));
        ballot.note(4, Duration::ZERO);
        assert_eq!(
            ballot.last_word(5),
            Some(began + Duration::from_millis(1300)),
            "of an election that is over"
        );
        ballot.note(6, Duration::from_secs(1));
        assert_eq!((ballot.last_word(5), ballot.last_word(6)), (None, Some(began + Duration::from_secs(1))));
        ballot.note(6, Duration::from_secs(1 << 40));
        assert_eq!(ballot.last_word(6), Some(began + Duration::from_secs(1)), "none is before the clock");
    }
}
