//! How fast replicas may catch up, so that moving them does not take the network and the disks from clients (KIP-73).
//!
//! A broker has two rates, `leader.replication.throttled.rate` for what it sends and `follower.replication.throttled.rate`
//! for what it fetches; topics name the replicas that they hold. Records of those count, and while the rate is exceeded
//! they are not sent or fetched, unless the follower is in sync: what acknowledgements wait for is never held back. Kafka
//! measures the rate over eleven seconds; here it is a bucket that fills at the rate, which comes to the same in the
//! long run and never stands still for seconds.

use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use super::partition::Partition;
use crate::config::ThrottledReplicas;
use crate::types::{Ms, NodeId, PartitionIndex};

/// The rate that limits nothing.
pub const UNLIMITED: i64 = i64::MAX;

/// What may still be taken at once, filled at a rate. Pure: time comes in as an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bucket {
    /// Thousandths of bytes, so that no millisecond is lost to rounding; negative after more was taken than was there,
    /// which is paid off before anything is to be had again.
    credit: i128,
    /// When it was last filled.
    filled_at: Ms,
}

impl Bucket {
    /// With a second's worth in it.
    fn full(rate: i64, now: Ms) -> Bucket {
        Bucket { credit: i128::from(rate) * 1000, filled_at: now }
    }

    /// Fills it with what `rate` (bytes each second) has brought since the last time: a second's worth at most.
    fn fill(&mut self, rate: i64, now: Ms) {
        let passed = now.saturating_sub(self.filled_at).max(0);
        self.filled_at = self.filled_at.max(now);
        let brought = i128::from(rate) * i128::from(passed);
        self.credit = (self.credit + brought).min(i128::from(rate) * 1000);
    }

    fn take(&mut self, bytes: i64) {
        self.credit -= i128::from(bytes) * 1000;
    }

    fn is_empty(&self) -> bool {
        self.credit <= 0
    }

    /// How long until something is to be had again; `None` for never.
    fn empty_for(&self, rate: i64) -> Option<Ms> {
        if !self.is_empty() {
            return Some(0);
        }
        let rate = u128::try_from(rate).ok().filter(|rate| *rate > 0)?;
        let missing = self.credit.unsigned_abs() + 1;
        Some(Ms::try_from(missing.div_ceil(rate)).unwrap_or(Ms::MAX))
    }
}

/// One of a broker's two rates.
pub(super) struct Quota {
    /// Bytes each second, or [`UNLIMITED`].
    rate: AtomicI64,
    bucket: Mutex<Bucket>,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota { rate: AtomicI64::new(UNLIMITED), bucket: Mutex::new(Bucket { credit: 0, filled_at: 0 }) }
    }
}

impl Quota {
    /// A new rate holds from now on, with a second's worth in stock.
    fn set(&self, rate: i64, now: Ms) {
        if self.rate.swap(rate.max(0), Ordering::AcqRel) != rate.max(0) {
            *self.bucket.lock() = Bucket::full(rate.max(0), now);
        }
    }

    /// The rate, if there is one. Looks at nothing else, so a broker without one pays nothing.
    fn limited(&self) -> Option<i64> {
        Some(self.rate.load(Ordering::Acquire)).filter(|rate| *rate != UNLIMITED)
    }

    /// For how long nothing is to be had; `None` if something is. A rate of 0 is asked again after a second.
    fn holds_back_for(&self, now: Ms) -> Option<Ms> {
        let rate = self.limited()?;
        let mut bucket = self.bucket.lock();
        bucket.fill(rate, now);
        bucket.is_empty().then(|| bucket.empty_for(rate).unwrap_or(WAIT_MS_MAX).clamp(1, WAIT_MS_MAX))
    }

    fn take(&self, bytes: i64, now: Ms) {
        if let Some(rate) = self.limited() {
            let mut bucket = self.bucket.lock();
            bucket.fill(rate, now);
            bucket.take(bytes);
        }
    }
}

/// The longest that a follower waits before it looks again: rates and what they hold may have changed.
const WAIT_MS_MAX: Ms = 1000;

/// A broker's rates.
#[derive(Default)]
pub(super) struct Throttles {
    leader: Quota,
    follower: Quota,
}

fn holds(replicas: &ThrottledReplicas, partition: PartitionIndex, node: NodeId) -> bool {
    match replicas {
        ThrottledReplicas::All => true,
        ThrottledReplicas::Some(pairs) => pairs.contains(&(partition, node)),
    }
}

impl Partition {
    /// True if `follower` gets nothing of what this broker leads now: it is not in sync, and too much was sent to such.
    pub fn holds_back(&self, follower: NodeId) -> bool {
        let quota = &self.shared.throttles.leader;
        quota.limited().is_some()
            && self.throttles_leader()
            && self.isr().is_some_and(|isr| !isr.contains(&follower))
            && quota.holds_back_for(self.shared.now()).is_some()
    }

    /// So many bytes of records go to a follower.
    pub fn sent_to_follower(&self, bytes: u32) {
        let quota = &self.shared.throttles.leader;
        if bytes > 0 && quota.limited().is_some() && self.throttles_leader() {
            quota.take(i64::from(bytes), self.shared.now());
        }
    }

    /// For how long nothing is to be fetched here; `None` if something is.
    pub(super) fn is_held_back_for(&self) -> Option<Ms> {
        let quota = &self.shared.throttles.follower;
        quota.limited()?;
        if !self.throttles_follower() || self.follows_in_sync() {
            return None;
        }
        quota.holds_back_for(self.shared.now())
    }

    /// So many bytes of records have come from the leader.
    pub(super) fn took_from_leader(&self, bytes: usize) {
        let quota = &self.shared.throttles.follower;
        if bytes > 0 && quota.limited().is_some() && self.throttles_follower() {
            quota.take(bytes as i64, self.shared.now());
        }
    }

    fn throttles_leader(&self) -> bool {
        holds(&self.settings.load().leader_throttled, self.index(), self.shared.node_id)
    }

    fn throttles_follower(&self) -> bool {
        holds(&self.settings.load().follower_throttled, self.index(), self.shared.node_id)
    }
}

impl super::ReplicaManager {
    /// The rates from now on, in bytes each second: `leader.replication.throttled.rate` and
    /// `follower.replication.throttled.rate`; [`UNLIMITED`] where there is none.
    pub fn set_throttled_rates(&self, leader: i64, follower: i64) {
        let now = self.shared.now();
        self.shared.throttles.leader.set(leader, now);
        self.shared.throttles.follower.set(follower, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_in_the_long_run() {
        let mut bucket = Bucket::full(1000, 0);
        let (mut now, mut taken) = (0, 0);
        while now < 100_000 {
            bucket.fill(1000, now);
            if bucket.is_empty() {
                now += bucket.empty_for(1000).unwrap();
            } else {
                bucket.take(2500);
                taken += 2500;
            }
        }
        assert!((100_000..=104_000).contains(&taken), "{taken}");
    }

    #[test]
    fn what_is_owed_is_paid_off_and_no_more_than_a_second_is_saved() {
        let mut bucket = Bucket { credit: 0, filled_at: 0 };
        bucket.take(500);
        assert_eq!(bucket.empty_for(100), Some(5001));
        bucket.fill(100, 5000);
        assert!(bucket.is_empty());
        bucket.fill(100, 5001);
        assert!(!bucket.is_empty());
        bucket.fill(100, 1_000_000);
        assert_eq!(bucket.credit, 100_000);
        bucket.fill(100, 5);
        assert_eq!(bucket.credit, 100_000, "the clock never goes back, and if it does nothing is taken");
    }

    #[test]
    fn a_slow_rate_is_not_lost_in_rounding() {
        let mut bucket = Bucket { credit: 0, filled_at: 0 };
        (1..=10_000).for_each(|now| bucket.fill(3, now));
        assert_eq!(bucket.credit, 3000);
        bucket.take(3 + 20);
        (10_001..=17_000).for_each(|now| bucket.fill(3, now));
        assert_eq!(bucket.credit, 1000);
    }

    #[test]
    fn a_quota_without_a_rate_holds_nothing_back_and_one_of_nothing_everything() {
        let quota = Quota::default();
        quota.take(i64::MAX, 0);
        assert_eq!(quota.holds_back_for(0), None);
        quota.set(100, 0);
        assert_eq!(quota.holds_back_for(0), None);
        quota.take(150, 0);
        assert_eq!(quota.holds_back_for(0), Some(501));
        quota.set(100, 0);
        assert_eq!(quota.holds_back_for(0), Some(501), "the same rate changes nothing");
        quota.set(0, 0);
        assert_eq!(quota.holds_back_for(1 << 40), Some(WAIT_MS_MAX));
        quota.set(UNLIMITED, 0);
        assert_eq!(quota.holds_back_for(0), None);
    }

    #[test]
    fn replicas_are_named_by_partition_and_broker() {
        let some = ThrottledReplicas::Some(vec![(0, 1), (2, 3)]);
        assert!(holds(&some, 2, 3) && !holds(&some, 2, 1) && !holds(&some, 0, 3));
        assert!(holds(&ThrottledReplicas::All, 7, 7));
    }
}
