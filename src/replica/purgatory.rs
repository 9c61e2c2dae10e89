//! Requests that wait: fetches for data, produces for the high watermark.
//!
//! A waiter belongs to whoever waits; partitions hold a reference and tell it. Wakers are called outside of any
//! partition's lock. Nothing here has a timer: who waits brings a deadline of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::types::{ErrorCode, Offset};

/// What a connection's fetches wait with. A connection has one, for all its fetches: only one of them is under way at a
/// time, so a partition needs to know it only once however often it is asked.
pub struct FetchWaiter {
    /// Counts up over the life of the process: waiters are told in this order, the same in every run.
    id: u64,
    /// Bytes that are still missing before the wait is worth ending.
    missing: AtomicI64,
    /// The connection is gone.
    dead: AtomicBool,
    /// Who fetches wants its answer now, whatever has arrived.
    over: AtomicBool,
    notify: Arc<Notify>,
}

impl FetchWaiter {
    /// A waiter that nobody wakes yet.
    pub fn new() -> Arc<FetchWaiter> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Arc::new(FetchWaiter {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            missing: AtomicI64::new(0),
            dead: AtomicBool::new(false),
            over: AtomicBool::new(false),
            notify: Arc::default(),
        })
    }

    /// Begins a pass over partitions: from now on what arrives counts towards `bytes`. Take [`FetchWaiter::woken`]
    /// before, and await it after, so that nothing that arrives in between is missed.
    pub fn arm(&self, bytes: i64) {
        self.missing.store(bytes, Ordering::Release);
        self.over.store(false, Ordering::Release);
    }

    /// Done once enough has arrived, or something else has happened that the fetch must see.
    pub fn woken(&self) -> OwnedNotified {
        Arc::clone(&self.notify).notified_owned()
    }

    /// Ends the wait that is under way, whatever has arrived.
    pub fn end_wait(&self) {
        self.over.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// True if the wait was ended by [`FetchWaiter::end_wait`], until it is armed again.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// No fetch will come any more; partitions may forget the waiter.
    pub fn retire(&self) {
        self.dead.store(true, Ordering::Release);
    }

    /// Counts `bytes` that have become readable. True if that was enough.
    fn arrived(&self, bytes: i64) -> bool {
        let enough = self.missing.fetch_sub(bytes, Ordering::AcqRel) <= bytes;
        if enough {
            self.notify.notify_waiters();
        }
        enough
    }
}

/// How many waiters a partition has before it looks for the first time whether some of them are gone.
const SWEEP_FROM: usize = 4;

/// The fetches that wait at one partition, or for one share group at it. Thousands may, and each that comes or goes costs little.
#[derive(Default)]
pub struct WaitingFetches {
    waiters: BTreeMap<u64, Arc<FetchWaiter>>,
    /// With so many, those that are gone are looked for.
    sweep_at: usize,
}

impl WaitingFetches {
    /// Adds a waiter; one that is there already is there once.
    pub fn add(&mut self, waiter: &Arc<FetchWaiter>) {
        if self.waiters.len() >= self.sweep_at.max(SWEEP_FROM) && !self.waiters.contains_key(&waiter.id) {
            // At an idle partition only connections that are gone could make it grow for ever.
            self.waiters.retain(|_, known| !known.dead.load(Ordering::Acquire));
            self.sweep_at = 2 * self.waiters.len();
        }
        self.waiters.entry(waiter.id).or_insert_with(|| Arc::clone(waiter));
    }

    /// Forgets a waiter that waits no more.
    pub fn forget(&mut self, waiter: &FetchWaiter) {
        self.waiters.remove(&waiter.id);
    }

    /// How many waiters there are.
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// True if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Tells every waiter that `bytes` more can be read; those that have enough are forgotten.
    pub(super) fn arrived(&mut self, bytes: i64) {
        if !self.waiters.is_empty() {
            self.waiters.retain(|_, waiter| !waiter.arrived(bytes));
        }
    }

    /// Wakes every waiter, whatever it waits for.
    pub fn wake_all(&mut self) {
        self.arrived(i64::MAX / 2);
        self.waiters.clear();
    }
}

/// A produce with acks=all that waits until the high watermarks of its partitions have passed what it appended.
pub struct ProduceWait {
    parts: Mutex<Parts>,
    notify: Notify,
}

/// The partitions of a produce that waits, by their place in it.
#[derive(Default)]
struct Parts {
    open: Vec<usize>,
    failed: Vec<(usize, ErrorCode)>,
}

impl ProduceWait {
    /// A wait for as many partitions as are added to it.
    pub fn new() -> Arc<ProduceWait> {
        Arc::new(ProduceWait { parts: Mutex::default(), notify: Notify::new() })
    }

    /// One more partition has to be waited for.
    fn expect(&self, index: usize) {
        self.parts.lock().open.push(index);
    }

    /// Waits for every partition that was added.
    pub async fn done(&self) {
        loop {
            let done = self.notify.notified();
            if self.parts.lock().open.is_empty() {
                return;
            }
            done.await;
        }
    }

    /// What went wrong: the index that the partition was added with, and the error.
    pub fn failures(&self) -> Vec<(usize, ErrorCode)> {
        std::mem::take(&mut self.parts.lock().failed)
    }

    /// What went wrong so far, and `error` for every partition that is not done yet.
    pub fn unfinished(&self, error: ErrorCode) -> Vec<(usize, ErrorCode)> {
        let mut parts = self.parts.lock();
        let mut failures = std::mem::take(&mut parts.failed);
        failures.extend(parts.open.iter().map(|&index| (index, error)));
        failures
    }

    /// Ends one wait for a partition. It may be waited for twice, for its replicas and for its own disk, and is done when both
    /// are; one failure is enough for it.
    fn end(&self, index: usize, error: Option<ErrorCode>) {
        let mut parts = self.parts.lock();
        let Some(at) = parts.open.iter().position(|&open| open == index) else { return };
        match error {
            None => {
                parts.open.swap_remove(at);
            }
            Some(error) => {
                parts.open.retain(|&open| open != index);
                parts.failed.push((index, error));
            }
        }
        if parts.open.is_empty() {
            self.notify.notify_waiters();
        }
    }
}

/// Room for a [`ProduceWait`], which most produces never need.
#[derive(Default)]
pub struct ProduceWaitSlot(Option<Arc<ProduceWait>>);

impl ProduceWaitSlot {
    pub(super) fn get(&mut self) -> &Arc<ProduceWait> {
        self.0.get_or_insert_with(ProduceWait::new)
    }

    /// What there is to wait for, if anything.
    pub fn into_wait(self) -> Option<Arc<ProduceWait>> {
        self.0
    }
}

/// One partition's part of a produce that waits.
struct WaitingProduce {
    /// The high watermark that ends the wait.
    until: Offset,
    /// Which of the produce's partitions this is.
    index: usize,
    wait: Arc<ProduceWait>,
}

/// The produces that wait at one partition.
#[derive(Default)]
pub(super) struct WaitingProduces {
    waits: Vec<WaitingProduce>,
}

impl WaitingProduces {
    /// Adds a wait for the high watermark to reach `until`.
    pub(super) fn add(&mut self, until: Offset, index: usize, wait: &Arc<ProduceWait>) {
        wait.expect(index);
        self.waits.push(WaitingProduce { until, index, wait: Arc::clone(wait) });
    }

    /// Ends the waits that `high_watermark` has passed, with `error` if set.
    pub(super) fn passed(&mut self, high_watermark: Offset, error: Option<ErrorCode>) {
        if self.waits.is_empty() {
            return;
        }
        self.waits.retain(|waiting| {
            let over = waiting.until <= high_watermark;
            if over {
                waiting.wait.end(waiting.index, error);
            }
            !over
        });
    }

    /// Ends every wait with an error.
    pub(super) fn fail(&mut self, error: ErrorCode) {
        for waiting in std::mem::take(&mut self.waits) {
            waiting.wait.end(waiting.index, Some(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_fetch_wakes_when_enough_has_arrived_over_all_partitions() {
        let waiter = FetchWaiter::new();
        let (mut one, mut two) = (WaitingFetches::default(), WaitingFetches::default());
        let mut woken = pin!(waiter.woken());
        woken.as_mut().enable();
        waiter.arm(100);
        one.add(&waiter);
        one.add(&waiter);
        two.add(&waiter);
        one.arrived(60);
        assert_eq!(one.waiters.len(), 1, "known once, and not yet satisfied");
        two.arrived(40);
        tokio::time::timeout(Duration::from_secs(5), woken).await.expect("100 bytes have arrived");
        assert!(two.waiters.is_empty());
    }

    #[test]
    fn connections_that_are_gone_are_forgotten() {
        let mut fetches = WaitingFetches::default();
        for _ in 0..1000 {
            let waiter = FetchWaiter::new();
            fetches.add(&waiter);
            waiter.retire();
        }
        assert!(fetches.len() <= 8, "{} are kept", fetches.len());
    }

    #[tokio::test]
    async fn a_partition_that_waits_for_its_replicas_and_its_disk_waits_for_both() {
        let (mut replicas, mut disk) = (WaitingProduces::default(), WaitingProduces::default());
        for error in [None, Some(ErrorCode::NotEnoughReplicasAfterAppend)] {
            let wait = ProduceWait::new();
            replicas.add(5, 0, &wait);
            disk.add(5, 0, &wait);
            disk.passed(5, None);
            assert_eq!(wait.unfinished(ErrorCode::RequestTimedOut), [(0, ErrorCode::RequestTimedOut)]);
            replicas.passed(5, error);
            tokio::time::timeout(Duration::from_secs(5), wait.done()).await.expect("both have passed");
            assert_eq!(wait.failures(), error.map(|error| (0, error)).into_iter().collect::<Vec<_>>());
        }
        let wait = ProduceWait::new();
        replicas.add(5, 0, &wait);
        disk.add(5, 0, &wait);
        replicas.fail(ErrorCode::NotLeaderOrFollower);
        disk.fail(ErrorCode::NotLeaderOrFollower);
        assert_eq!(wait.failures(), [(0, ErrorCode::NotLeaderOrFollower)], "told once");
    }

    #[tokio::test]
    async fn a_produce_ends_when_all_its_partitions_have() {
        let (mut one, mut two) = (WaitingProduces::default(), WaitingProduces::default());
        let wait = ProduceWait::new();
        one.add(5, 0, &wait);
        two.add(9, 1, &wait);
        one.passed(4, None);
        assert_eq!(one.waits.len(), 1);
        one.passed(5, None);
        two.fail(ErrorCode::KafkaStorageError);
        tokio::time::timeout(Duration::from_secs(5), wait.done()).await.expect("both partitions have ended");
        assert_eq!(wait.failures(), [(1, ErrorCode::KafkaStorageError)]);
    }
}
