//! One partition for one share group, and the task that looks after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::client::StateClient;
use super::manager::SharePartitions;
use super::settings::{GroupSettings, SettingsOf};
use super::state::{AckBatch, AckId, DeadLetter, ShareState};
use crate::config::property::ShareOffsetReset;
use crate::coordinator::share::ShareKey;
use crate::env::net::BoxFuture;
use crate::replica::{FetchWaiter, Isolation, OffsetQuery, Partition, WaitingFetches};
use crate::types::{ErrorCode, LeaderEpoch, Ms, Offset};

/// How long after a write that failed the next one begins.
const WRITE_AGAIN: Duration = Duration::from_millis(500);
/// How long after a load that failed the next one begins.
const LOAD_AGAIN: Duration = Duration::from_millis(500);

/// See the module.
pub struct SharePartition {
    key: ShareKey,
    partition: Arc<Partition>,
    /// The epoch in which this broker leads the partition.
    leader_epoch: LeaderEpoch,
    settings_of: SettingsOf,
    /// Where the monotonic clock of the state counts from.
    began: Instant,
    pub(super) inner: Mutex<Inner>,
    /// Tells the task that there is something to do.
    changed: Notify,
}

/// What is behind the lock, which nobody holds while waiting.
pub(super) struct Inner {
    pub(super) phase: Phase,
    /// Fetches of the group that wait for anything to change here.
    pub(super) waiters: WaitingFetches,
    /// Who waits for which acknowledgement.
    acks: BTreeMap<AckId, oneshot::Sender<Result<(), ErrorCode>>>,
    /// True while a fetch reads the log: two would read the same records.
    pub(super) is_read: bool,
    /// True if another fetch came by meanwhile.
    pub(super) passed_by: bool,
    /// True once nobody of the group has a session here: it is forgotten as soon as it is at rest.
    retires: bool,
}

/// A share partition's life.
pub(super) enum Phase {
    /// Its state is being read.
    Loading,
    /// It serves.
    Active(ShareState),
    /// It is over.
    Ended(ErrorCode),
}

impl SharePartition {
    pub(super) fn new(
        key: ShareKey,
        partition: Arc<Partition>,
        leader_epoch: LeaderEpoch,
        settings_of: SettingsOf,
        began: Instant,
    ) -> Arc<SharePartition> {
        let inner = Inner {
            phase: Phase::Loading,
            waiters: WaitingFetches::default(),
            acks: BTreeMap::new(),
            is_read: false,
            passed_by: false,
            retires: false,
        };
        Arc::new(SharePartition {
            key,
            partition,
            leader_epoch,
            settings_of,
            began,
            inner: Mutex::new(inner),
            changed: Notify::new(),
        })
    }

    /// Which partition it is, and for whom.
    pub fn key(&self) -> &ShareKey {
        &self.key
    }

    /// The partition.
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// The group's settings, as they are now.
    pub fn settings(&self) -> GroupSettings {
        (self.settings_of)(&self.key.group)
    }

    /// The monotonic clock.
    pub(super) fn now(&self) -> Ms {
        self.began.elapsed().as_millis() as Ms
    }

    pub(super) fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// True if it is `partition` in this epoch, and not over.
    pub(super) fn is_of(&self, partition: &Arc<Partition>, epoch: LeaderEpoch) -> bool {
        Arc::ptr_eq(&self.partition, partition)
            && self.leader_epoch == epoch
            && !matches!(self.inner.lock().phase, Phase::Ended(_))
    }

    /// Somebody has a session again, or nobody has one any more.
    pub(super) fn set_retires(&self, retires: bool) {
        self.inner.lock().retires = retires;
        if retires {
            self.changed.notify_one();
        }
    }

    /// Tells the task that there is something to do.
    pub(super) fn has_changed(&self) {
        self.changed.notify_one();
    }

    /// A fetch gave up waiting here.
    pub fn forget_waiter(&self, waiter: &Arc<FetchWaiter>) {
        self.partition.forget_waiter(waiter);
        self.inner.lock().waiters.forget(waiter);
    }

    /// Takes in what a member says of its records. Waits until that is kept.
    ///
    /// # Errors
    ///
    /// As [`ShareState::acknowledge`]; `UNKNOWN_TOPIC_OR_PARTITION` if nothing was given out here, `NOT_LEADER_OR_FOLLOWER`
    /// and others if it cannot be kept.
    pub async fn acknowledge(&self, member: &str, batches: &[AckBatch]) -> Result<(), ErrorCode> {
        let limits = self.settings().limits;
        let kept = {
            let mut inner = self.inner.lock();
            let now = self.now();
            let Inner { phase, acks, .. } = &mut *inner;
            match phase {
                Phase::Loading => return Err(ErrorCode::UnknownTopicOrPartition),
                Phase::Ended(error) => return Err(*error),
                Phase::Active(state) => match state.acknowledge(member, batches, now, &limits)? {
                    None => None,
                    Some(ack) => {
                        let (to, kept) = oneshot::channel();
                        acks.insert(ack, to);
                        Some(kept)
                    }
                },
            }
        };
        // A renewed lock changes the next deadline.
        self.changed.notify_one();
        match kept {
            None => Ok(()),
            Some(kept) => kept.await.unwrap_or(Err(ErrorCode::NotLeaderOrFollower)),
        }
    }

    /// Takes back what a member holds that has gone away.
    pub(super) fn release_member(&self, member: &str) {
        let limits = self.settings().limits;
        let mut inner = self.inner.lock();
        let Inner { phase: Phase::Active(state), waiters, .. } = &mut *inner else { return };
        if state.release_member(member, &limits) {
            waiters.wake_all();
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Ends it. Whoever waits hears of `error`.
    pub(super) fn end(&self, error: ErrorCode) {
        let mut inner = self.inner.lock();
        if matches!(inner.phase, Phase::Ended(_)) {
            return;
        }
        inner.phase = Phase::Ended(error);
        for (_, to) in std::mem::take(&mut inner.acks) {
            // Who has gone away is not told.
            let _gone = to.send(Err(error));
        }
        inner.waiters.wake_all();
        drop(inner);
        self.changed.notify_one();
    }

    /// Looks after it until it is over.
    pub(super) async fn run(self: Arc<Self>, of: Arc<SharePartitions>) {
        match self.load(&of).await {
            Ok(state) => {
                let mut inner = self.inner.lock();
                if matches!(inner.phase, Phase::Loading) {
                    tracing::debug!(key = %self.key, start = state.start(), end = state.end(), "share state loaded");
                    inner.phase = Phase::Active(state);
                    inner.waiters.wake_all();
                }
            }
            Err(error) => {
                tracing::info!(key = %self.key, %error, "share state cannot be loaded");
                self.end(error);
            }
        }
        self.serve(&of).await;
        of.forget(&self);
    }

    async fn load(&self, of: &SharePartitions) -> Result<ShareState, ErrorCode> {
        let found = loop {
            match of.states.read(&self.key, self.leader_epoch).await {
                Err(error) if !is_final(error) && self.is_awaited() => {
                    tracing::debug!(key = %self.key, %error, "share state is not there yet");
                    tokio::time::sleep(LOAD_AGAIN).await;
                }
                found => break found.map_err(of_coordinator)?,
            }
        };
        let is_new = found.start_offset == -1;
        let start = if is_new { self.first_offset(of).await? } else { found.start_offset };
        let state = ShareState::load(found.state_epoch, self.leader_epoch, start, &found.batches);
        let mut state = state.map_err(|bad| {
            tracing::error!(key = %self.key, "{bad}");
            ErrorCode::UnknownServerError
        })?;
        if is_new {
            // Where the group begins would be somewhere else tomorrow.
            state.save_start();
        }
        Ok(state)
    }

    /// True while somebody has a session that may want it.
    fn is_awaited(&self) -> bool {
        let inner = self.inner.lock();
        matches!(inner.phase, Phase::Loading) && !inner.retires
    }

    /// Where the group begins: `share.auto.offset.reset`.
    async fn first_offset(&self, of: &SharePartitions) -> Result<Offset, ErrorCode> {
        let latest = OffsetQuery::Latest(Isolation::ReadUncommitted);
        let query = match self.settings().offset_reset {
            ShareOffsetReset::Earliest => OffsetQuery::Earliest,
            ShareOffsetReset::Latest => latest,
            ShareOffsetReset::ByDuration(ms) => {
                OffsetQuery::AtOrAfter(of.clock.now().saturating_sub(ms), Isolation::ReadUncommitted)
            }
        };
        self.partition.settled().await;
        let (partition, epoch) = (Arc::clone(&self.partition), self.leader_epoch);
        let look_up = move || match partition.find_offset(query, epoch)? {
            Some(at) => Ok(Some(at)),
            None => partition.find_offset(latest, epoch),
        };
        let found = of.tasks.run_blocking(look_up).await.unwrap_or(Err(ErrorCode::NotLeaderOrFollower))?;
        found.map(|at| at.offset).ok_or(ErrorCode::UnknownServerError)
    }

    async fn serve(self: &Arc<Self>, of: &Arc<SharePartitions>) {
        let mut writing: Option<BoxFuture<'static, Result<(), ErrorCode>>> = None;
        let mut not_before = Instant::now();
        loop {
            let (write, letters, deadline) = {
                let mut inner = self.inner.lock();
                let Phase::Active(state) = &mut inner.phase else { return };
                let may_write = writing.is_none() && not_before <= Instant::now();
                let write = if may_write { state.begin_write() } else { None };
                (write, state.take_dead_letters(), state.next_deadline())
            };
            if let Some(write) = write {
                let (states, key): (Arc<StateClient>, _) = (Arc::clone(&of.states), self.key.clone());
                writing = Some(Box::pin(async move { states.write(&key, write).await }));
            }
            for letter in letters {
                self.send(of, letter);
            }
            if writing.is_none() && self.retires() && of.retire(self) {
                return;
            }
            let mut wake = deadline.map(|at| self.began + Duration::from_millis(at.max(0) as u64));
            if writing.is_none() && not_before > Instant::now() {
                wake = Some(wake.map_or(not_before, |at| at.min(not_before)));
            }
            tokio::select! {
                biased;
                outcome = or_never(&mut writing) => {
                    writing = None;
                    if outcome.is_err() {
                        not_before = Instant::now() + WRITE_AGAIN;
                    }
                    self.wrote(outcome);
                },
                () = self.changed.notified() => {},
                () = sleep_until(wake) => self.on_deadline(),
            }
        }
    }

    fn retires(&self) -> bool {
        let inner = self.inner.lock();
        inner.retires && !inner.is_read && matches!(&inner.phase, Phase::Active(state) if state.is_at_rest())
    }

    /// Ends it if nobody needs it; true if so.
    pub(super) fn end_if_at_rest(&self) -> bool {
        if !self.retires() {
            return false;
        }
        self.end(ErrorCode::NotLeaderOrFollower);
        true
    }

    fn wrote(&self, outcome: Result<(), ErrorCode>) {
        if let Err(error) = outcome {
            tracing::info!(key = %self.key, %error, "share state cannot be kept");
        }
        {
            let mut inner = self.inner.lock();
            let Inner { phase: Phase::Active(state), waiters, acks, .. } = &mut *inner else { return };
            for (ack, outcome) in state.end_write(outcome.map_err(of_coordinator)) {
                if let Some(to) = acks.remove(&ack) {
                    let _gone = to.send(outcome);
                }
            }
            waiters.wake_all();
        }
        if let Err(error) = outcome
            && is_final(error)
        {
            self.end(of_coordinator(error));
        }
    }

    fn on_deadline(&self) {
        let limits = self.settings().limits;
        let now = self.now();
        let mut inner = self.inner.lock();
        let Inner { phase: Phase::Active(state), waiters, .. } = &mut *inner else { return };
        if state.on_deadline(now, &limits) {
            waiters.wake_all();
        }
    }

    /// Has records written to the dead-letter queue. They are given up then, whether that succeeds or not.
    fn send(self: &Arc<Self>, of: &SharePartitions, letter: DeadLetter) {
        let (me, queues) = (Arc::clone(self), Arc::clone(&of.dead_letters));
        of.tasks.spawn("dead letters", async move {
            let settings = me.settings();
            if let Err(error) = queues.write(&me.key, &me.partition, &settings, &letter).await {
                tracing::error!(key = %me.key, ?letter, "dead letters are lost: {error}");
            }
            let mut inner = me.inner.lock();
            let Inner { phase: Phase::Active(state), waiters, .. } = &mut *inner else { return };
            state.dead_letter_done(letter.first, letter.last);
            waiters.wake_all();
            drop(inner);
            me.changed.notify_one();
        });
    }
}

/// True if a coordinator will not say anything else.
fn is_final(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::FencedLeaderEpoch
            | ErrorCode::FencedStateEpoch
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::InvalidRequest
            | ErrorCode::GroupIdNotFound
    )
}

/// What a member is told of an error of a coordinator.
fn of_coordinator(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::FencedLeaderEpoch => ErrorCode::NotLeaderOrFollower,
        // The state is not there: it was never begun, or the group was deleted.
        ErrorCode::InvalidRequest => ErrorCode::UnknownTopicOrPartition,
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorLoadInProgress => {
            ErrorCode::CoordinatorNotAvailable
        }
        other => other,
    }
}

async fn or_never<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
