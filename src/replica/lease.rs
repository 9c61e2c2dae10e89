//! For how long this broker may act as a leader without hearing from the active controller.
//!
//! A broker that was stopped for a while, or cut off, cannot know whether others lead meanwhile what it led. So it answers
//! for its partitions only while its lease holds. Each heartbeat that the controller has answered extends it, counted from
//! the moment the heartbeat was *sent*; the controller gives a broker up only after a longer time, counted from the moment
//! it *arrived*. So the lease always ends first, whatever happens to the answer. Time is the process's monotonic clock.
//!
//! What is appended with acks=all is safe without a lease. What the lease protects are appends with acks=1, which another
//! leader would know nothing of, and reads, which would tell what is old.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::types::ErrorCode;

/// The end of a lease that has none.
const UNLIMITED: u64 = u64::MAX;

/// A broker's lease.
#[derive(Debug)]
pub struct Lease {
    began: Instant,
    /// Nanoseconds after `began`.
    ends: AtomicU64,
}

impl Lease {
    /// A lease that holds for ever, for a node that is alone. The first [`Lease::extend`] limits it.
    pub fn unlimited() -> Lease {
        Lease { began: Instant::now(), ends: AtomicU64::new(UNLIMITED) }
    }

    /// From now on it holds until `until`, or for as long as it holds already if that is longer. A broker of a cluster calls
    /// this once with the present before it leads anything, and then with every heartbeat that is answered.
    pub fn extend(&self, until: Instant) {
        let until = self.since_began(until);
        let longer = |ends: u64| match ends {
            UNLIMITED => Some(until),
            ends if until > ends => Some(until),
            _ => None,
        };
        // It holds for longer already, otherwise.
        let _before = self.ends.fetch_update(Ordering::AcqRel, Ordering::Acquire, longer);
    }

    /// Ends it at once: the controller has said that this broker is fenced, or does not know it.
    pub fn end(&self) {
        self.ends.store(0, Ordering::Release);
    }

    /// Whether it holds at `now`.
    pub fn holds(&self, now: Instant) -> bool {
        match self.ends.load(Ordering::Acquire) {
            UNLIMITED => true,
            ends => self.since_began(now) < ends,
        }
    }

    /// `NOT_LEADER_OR_FOLLOWER` if it does not hold now. Without a limit, this does not look at the clock.
    pub fn check(&self) -> Result<(), ErrorCode> {
        match self.ends.load(Ordering::Acquire) {
            UNLIMITED => Ok(()),
            ends if self.since_began(Instant::now()) < ends => Ok(()),
            _over => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    fn since_began(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        // Five hundred years are enough.
        u64::try_from(nanos).unwrap_or(UNLIMITED).min(UNLIMITED - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_holds_until_its_end_and_no_longer() {
        let lease = Lease::unlimited();
        assert!(lease.holds(Instant::now() + Duration::from_secs(1 << 40)));
        lease.extend(Instant::now());
        assert_eq!(lease.check(), Err(ErrorCode::NotLeaderOrFollower), "limited, and over");
        let sent = Instant::now();
        lease.extend(sent + Duration::from_secs(2));
        assert!(
            lease.holds(sent + Duration::from_millis(1999)) && !lease.holds(sent + Duration::from_secs(2))
        );
        lease.extend(sent + Duration::from_secs(1));
        assert!(lease.holds(sent + Duration::from_millis(1999)), "answers may come in another order");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(lease.check(), Err(ErrorCode::NotLeaderOrFollower));
        lease.extend(Instant::now() + Duration::from_secs(2));
        assert_eq!(lease.check(), Ok(()));
        lease.end();
        assert_eq!(lease.check(), Err(ErrorCode::NotLeaderOrFollower));
    }
}
