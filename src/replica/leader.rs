//! What a leader knows of its followers, and what follows from it. Pure: time comes in as an argument.
//!
//! Three questions are answered here: how far the **high watermark** may go, which replicas are to leave or join the
//! in-sync set, and whether enough of them are there for an acks=all append.
//!
//! The in-sync set is the controller's. A leader proposes changes of it one at a time, and until it knows what became of a
//! proposal it must assume the worse: a replica that is joining may be elected already, one that is leaving may be elected
//! still. The high watermark therefore counts over the **maximal** set, the committed one and whoever is joining.
//!
//! What counts of a replica depends on `acks.all.durability`: with `replicated` its log end, as Kafka has it; with
//! `fsync` what it has told to be on its disk. A follower that tells nothing of syncs counts by its log end.
//!
//! Invariants, within one leader epoch: an offset above what any member of the maximal in-sync set counts is never given
//! as high watermark; a follower that has not fetched in this epoch counts nothing.

use crate::config::topic::Durability;
use crate::metadata::{Brokers, Partition as Registration};
use crate::types::{BrokerEpoch, Bug, ErrorCode, LeaderEpoch, Ms, NodeId, Offset};

/// An offset that nobody has told yet.
const UNKNOWN: Offset = -1;
/// A time before any other: "never".
const NEVER: Ms = Ms::MIN / 4;

/// What a leader goes by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `acks.all.durability`.
    pub durability: Durability,
    /// `min.insync.replicas`, at least 1. More than there are replicas counts as all of them.
    pub min_insync_replicas: usize,
    /// `replica.lag.time.max.ms`.
    pub lag_ms_max: Ms,
}

/// The leader's own log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// Offset behind the last record.
    pub log_end: Offset,
    /// Everything below it is on the disk.
    pub synced: Offset,
}

impl Local {
    /// How far the leader itself counts for the high watermark.
    pub fn counted(self, durability: Durability) -> Offset {
        match durability {
            Durability::Fsync if Bug::CountsUnsynced.is_planted() => self.log_end,
            Durability::Fsync => self.synced,
            Durability::Replicated => self.log_end,
        }
    }
}

/// What a follower says of itself with a fetch that found its log to be a prefix of the leader's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FollowerFetch {
    /// Who fetches.
    pub node: NodeId,
    /// The epoch of its registration, or -1 if it does not say (KIP-903).
    pub broker_epoch: BrokerEpoch,
    /// The offset it wants next: its log end.
    pub offset: Offset,
    /// Its log start offset, or -1.
    pub log_start: Offset,
    /// Everything below it is on its disk; `None` if it does not tell.
    pub synced: Option<Offset>,
}

/// Where a follower stands, for metrics and for those who ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Follower {
    /// Who it is.
    pub node: NodeId,
    /// Its log end; -1 until it fetched in this leader epoch.
    pub log_end: Offset,
    /// Its log start offset; -1 if not known.
    pub log_start: Offset,
    /// What is on its disk, if it tells. May be ahead of its log end: one of the two has overtaken the other.
    pub synced: Option<Offset>,
    /// The broker epoch that it fetched with last, or -1.
    pub broker_epoch: BrokerEpoch,
    /// When it last had all that the leader had.
    caught_up_at: Ms,
    /// When it fetched last.
    fetched_at: Ms,
    /// The leader's log end when it fetched last.
    leader_end_then: Offset,
    /// The same for what is on its disk: when that last was all that the leader had ...
    synced_up_at: Ms,
    /// ... and the leader's log end, with its time, that its disk has to reach next.
    sync_goal: (Offset, Ms),
}

impl Follower {
    /// A follower of a new leader. One that is in sync is given the time to fetch.
    fn new(node: NodeId, in_sync: bool, now: Ms) -> Follower {
        let since = if in_sync { now } else { NEVER };
        Follower {
            node,
            log_end: UNKNOWN,
            log_start: UNKNOWN,
            synced: None,
            broker_epoch: -1,
            caught_up_at: since,
            fetched_at: NEVER,
            leader_end_then: UNKNOWN,
            synced_up_at: since,
            sync_goal: (UNKNOWN, NEVER),
        }
    }

    /// How far it counts for the high watermark.
    fn counted(&self, durability: Durability) -> Offset {
        match (durability, self.synced) {
            (Durability::Fsync, Some(_)) if Bug::CountsUnsynced.is_planted() => self.log_end,
            (Durability::Fsync, Some(synced)) => synced.min(self.log_end),
            (Durability::Fsync, None) | (Durability::Replicated, _) => self.log_end,
        }
    }

    /// Kafka's rule: it has everything now, or had everything not long ago. Where syncs count, its disk has to keep up too:
    /// one that hangs would hold the high watermark for as long as its owner goes on fetching.
    fn is_caught_up(&self, leader_end: Offset, rules: &Rules, now: Ms) -> bool {
        let recent = |at: Ms| now - at <= rules.lag_ms_max;
        let has_all = self.log_end == leader_end || recent(self.caught_up_at);
        let counted = self.counted(rules.durability);
        has_all && (counted == self.log_end || counted == leader_end || recent(self.synced_up_at))
    }

    fn note_synced(&mut self, leader_end: Offset, now: Ms) {
        let synced = self.counted(Durability::Fsync);
        if synced >= leader_end {
            self.synced_up_at = self.synced_up_at.max(now);
        } else if synced < self.sync_goal.0 {
            // Not there yet; what came since does not push the goal away.
            return;
        } else {
            self.synced_up_at = self.synced_up_at.max(self.sync_goal.1);
        }
        self.sync_goal = (leader_end, now);
    }
}

/// The in-sync set as the leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Isr {
    /// As the controller has said last.
    Committed(Box<[NodeId]>),
    /// One replica more was proposed.
    PendingExpand { committed: Box<[NodeId]>, joining: NodeId },
    /// Fewer replicas were proposed.
    PendingShrink { committed: Box<[NodeId]>, staying: Box<[NodeId]> },
}

impl Isr {
    fn committed(&self) -> &[NodeId] {
        match self {
            Isr::Committed(isr)
            | Isr::PendingExpand { committed: isr, .. }
            | Isr::PendingShrink { committed: isr, .. } => isr,
        }
    }

    /// True if it may be in the set that the controller has.
    fn may_contain(&self, node: NodeId) -> bool {
        self.committed().contains(&node)
            || matches!(self, Isr::PendingExpand { joining, .. } if *joining == node)
    }

    fn maximal_len(&self) -> usize {
        self.committed().len() + usize::from(matches!(self, Isr::PendingExpand { .. }))
    }
}

/// A change of the in-sync set to ask the controller for: AlterPartition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition's epoch that the change is based on.
    pub partition_epoch: i32,
    /// The wanted set, each with the broker epoch that the leader knows it by, or -1.
    pub isr: Vec<(NodeId, BrokerEpoch)>,
}

/// The partition as the controller says it is after a proposal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Altered {
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition's epoch.
    pub partition_epoch: i32,
    /// The in-sync set.
    pub isr: Vec<NodeId>,
}

/// What an answer to a proposal means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterAnswer {
    /// The set is settled; the high watermark may have moved.
    Settled,
    /// The leader has gone on meanwhile; the answer says nothing any more.
    Stale,
    /// What became of it will be in the metadata. Until then the proposal counts as pending.
    AwaitMetadata,
    /// Ask again: whether it was done is not known.
    SendAgain,
}

/// One partition's leader, in one epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leader {
    me: NodeId,
    epoch: LeaderEpoch,
    epoch_start: Offset,
    partition_epoch: i32,
    replicas: usize,
    isr: Isr,
    followers: Box<[Follower]>,
}

impl Leader {
    /// Begins the epoch that `registration` names. `log_end` is where it begins. Nothing that followers told another leader,
    /// or this one in an earlier epoch, is taken over: they may have truncated since.
    pub fn begin(me: NodeId, registration: &Registration, log_end: Offset, now: Ms) -> Leader {
        let others = registration.replicas.iter().filter(|&&node| node != me);
        let followers = others.map(|&node| Follower::new(node, registration.isr.contains(&node), now));
        Leader {
            me,
            epoch: registration.leader_epoch,
            epoch_start: log_end,
            partition_epoch: registration.partition_epoch,
            replicas: registration.replicas.len(),
            isr: Isr::Committed(registration.isr.clone()),
            followers: followers.collect(),
        }
    }

    /// Takes in what the metadata says, in the same leader epoch. What is older than what the leader knows by an answer of
    /// the controller is passed over, and so is what it knows already: another proposal may be under way on top of it.
    pub fn update(&mut self, registration: &Registration) {
        if registration.leader_epoch != self.epoch || registration.partition_epoch <= self.partition_epoch {
            return;
        }
        self.partition_epoch = registration.partition_epoch;
        self.replicas = registration.replicas.len();
        self.isr = Isr::Committed(registration.isr.clone());
        let others = registration.replicas.iter().filter(|&&node| node != self.me);
        let known = |node: NodeId| self.followers.iter().find(|f| f.node == node).copied();
        // Who is new to the partition has been in sync with nothing.
        self.followers = others.map(|&n| known(n).unwrap_or_else(|| Follower::new(n, false, 0))).collect();
    }

    /// The leader epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Where the log ended when the epoch began.
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// The partition epoch that the committed in-sync set belongs to.
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// The in-sync set that the controller has committed, as far as is known.
    pub fn isr(&self) -> &[NodeId] {
        self.isr.committed()
    }

    /// Every other replica.
    pub fn followers(&self) -> &[Follower] {
        &self.followers
    }

    /// True while a change of the in-sync set is under way.
    pub fn is_isr_pending(&self) -> bool {
        !matches!(self.isr, Isr::Committed(_))
    }

    /// True if nobody else is or may be in sync.
    pub fn is_alone(&self) -> bool {
        self.isr.maximal_len() <= 1
    }

    fn effective_min_isr(&self, rules: &Rules) -> usize {
        rules.min_insync_replicas.min(self.replicas)
    }

    /// Whether an acks=all append may be made: `NOT_ENOUGH_REPLICAS` if too few are in sync for sure.
    pub fn check_before_append(&self, rules: &Rules) -> Result<(), ErrorCode> {
        let enough = self.isr.committed().len() >= self.effective_min_isr(rules);
        if enough { Ok(()) } else { Err(ErrorCode::NotEnoughReplicas) }
    }

    /// Whether an append that the high watermark has passed is acknowledged: `NOT_ENOUGH_REPLICAS_AFTER_APPEND` if too few
    /// are left.
    pub fn check_after_append(&self, rules: &Rules) -> Result<(), ErrorCode> {
        let enough = self.isr.maximal_len() >= self.effective_min_isr(rules);
        if enough { Ok(()) } else { Err(ErrorCode::NotEnoughReplicasAfterAppend) }
    }

    /// How far the high watermark may be now; the caller never lets it go back. `None` if it has to stay where it is, since
    /// too few are in sync (KIP-966).
    ///
    /// A replica that is caught up and may join holds it too, or it could never get in: the high watermark would always be
    /// ahead of it.
    pub fn high_watermark(&self, local: Local, rules: &Rules, brokers: &Brokers, now: Ms) -> Option<Offset> {
        if self.check_before_append(rules).is_err() {
            return None;
        }
        let mut lowest = local.counted(rules.durability);
        for follower in &self.followers {
            let counted = follower.counted(rules.durability);
            if Bug::AcksWithoutFollowers.is_planted() || self.is_dropped_early(follower.node) {
                continue;
            }
            if counted < lowest
                && (self.isr.may_contain(follower.node)
                    || (follower.is_caught_up(local.log_end, rules, now) && may_join(follower, brokers)))
            {
                lowest = counted;
            }
        }
        (lowest >= 0).then_some(lowest)
    }

    /// A bug: true of a replica that the leader wants to be without, before the controller has agreed.
    fn is_dropped_early(&self, node: NodeId) -> bool {
        Bug::HighWatermarkFromProposedIsr.is_planted()
            && matches!(&self.isr, Isr::PendingShrink { staying, .. } if !staying.contains(&node))
    }

    /// That `node` holds a replica: else `UNKNOWN_LEADER_EPOCH` for one that names the epoch, since it knows of an assignment
    /// that has not come here yet, and `NOT_LEADER_OR_FOLLOWER` for others.
    pub fn check_follower(&self, node: NodeId, names_epoch: bool) -> Result<(), ErrorCode> {
        match self.followers.iter().any(|f| f.node == node) {
            true => Ok(()),
            false if names_epoch => Err(ErrorCode::UnknownLeaderEpoch),
            false => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// The in-sync follower among those that `fits`, from which `offset` can be read, with the largest log end; of several
    /// the one that was caught up last.
    pub fn readable_follower(&self, offset: Offset, fits: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let readable = self.followers.iter().filter(|f| {
            self.isr.committed().contains(&f.node)
                && f.log_end >= offset
                && (0..=offset).contains(&f.log_start)
                && fits(f.node)
        });
        readable.max_by_key(|f| (f.log_end, f.caught_up_at, std::cmp::Reverse(f.node))).map(|f| f.node)
    }

    /// The first offset that no replica has deleted, of `own_start` and of the followers that run.
    pub fn low_watermark(&self, own_start: Offset, brokers: &Brokers) -> Offset {
        let runs = |node| brokers.get(node).is_some_and(|broker| !broker.fenced);
        let starts = self.followers.iter().filter(|f| runs(f.node)).map(|f| f.log_start);
        starts.fold(own_start, Offset::min)
    }

    /// Takes in a fetch. Only for one that has found the follower's log to be a prefix of this one; who diverges has not told
    /// anything yet. `NOT_LEADER_OR_FOLLOWER` if it comes from an earlier life of the broker (KIP-903).
    pub fn on_fetch(
        &mut self,
        fetch: &FollowerFetch,
        log_end: Offset,
        brokers: &Brokers,
        now: Ms,
    ) -> Result<(), ErrorCode> {
        let registered = brokers.get(fetch.node).map(|broker| broker.epoch);
        if fetch.broker_epoch != -1 && registered.is_some_and(|epoch| epoch > fetch.broker_epoch) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let Some(follower) = self.followers.iter_mut().find(|f| f.node == fetch.node) else {
            return Err(ErrorCode::NotLeaderOrFollower);
        };
        if fetch.offset >= log_end {
            follower.caught_up_at = follower.caught_up_at.max(now);
        } else if fetch.offset >= follower.leader_end_then {
            follower.caught_up_at = follower.caught_up_at.max(follower.fetched_at);
        }
        // News of a sync may have overtaken the fetch, which was sent before the sync had ended. It holds for as long as
        // nothing of that log was taken away again.
        let goes_on = fetch.offset >= follower.log_end && fetch.broker_epoch == follower.broker_epoch;
        let known = follower.synced.filter(|_| goes_on).unwrap_or(UNKNOWN);
        follower.synced = fetch.synced.map(|synced| synced.min(fetch.offset).max(known));
        follower.log_end = fetch.offset;
        follower.log_start = fetch.log_start;
        follower.broker_epoch = fetch.broker_epoch;
        follower.fetched_at = now;
        follower.leader_end_then = follower.leader_end_then.max(log_end);
        follower.note_synced(log_end, now);
        Ok(())
    }

    /// Takes in that a follower's disk has caught up to `synced`, in this leader epoch. False if that says nothing: who has
    /// not fetched in this epoch may still have to truncate, and another life of the broker had another log.
    pub fn on_synced(
        &mut self,
        node: NodeId,
        broker_epoch: BrokerEpoch,
        synced: Offset,
        log_end: Offset,
        now: Ms,
    ) -> bool {
        let Some(follower) = self.followers.iter_mut().find(|f| f.node == node) else { return false };
        if follower.log_end == UNKNOWN || follower.broker_epoch != broker_epoch {
            return false;
        }
        if follower.synced.is_some_and(|known| known >= synced) {
            return false;
        }
        // It may be more than the leader knows the follower to have: the fetch that says so comes by another connection. Until
        // then only what was fetched counts.
        follower.synced = Some(synced);
        follower.note_synced(log_end, now);
        true
    }

    /// The change that takes followers out of the in-sync set which have not kept up, if there are any and no other change is
    /// under way. `own_epoch` is this broker's epoch.
    pub fn propose_shrink(
        &mut self,
        log_end: Offset,
        rules: &Rules,
        own_epoch: BrokerEpoch,
        now: Ms,
    ) -> Option<Proposal> {
        let Isr::Committed(committed) = &self.isr else { return None };
        let stays = |node: &NodeId| match self.followers.iter().find(|f| f.node == *node) {
            Some(follower) => follower.is_caught_up(log_end, rules, now),
            // This broker itself, or one that a reassignment has taken away: the controller's affair.
            None => true,
        };
        let staying: Box<[NodeId]> = committed.iter().copied().filter(stays).collect();
        if staying.len() == committed.len() {
            return None;
        }
        let proposal = self.proposal(&staying, own_epoch);
        self.isr = Isr::PendingShrink { committed: committed.clone(), staying };
        Some(proposal)
    }

    /// The change that takes `node` into the in-sync set, if it has everything that was ever acknowledged, may lead, and no
    /// other change is under way.
    pub fn propose_expand(
        &mut self,
        node: NodeId,
        high_watermark: Offset,
        rules: &Rules,
        brokers: &Brokers,
        own_epoch: BrokerEpoch,
    ) -> Option<Proposal> {
        let Isr::Committed(committed) = &self.isr else { return None };
        if committed.contains(&node) {
            return None;
        }
        let follower = self.followers.iter().find(|f| f.node == node)?;
        let counted = follower.counted(rules.durability);
        if counted < high_watermark || counted < self.epoch_start || !may_join(follower, brokers) {
            return None;
        }
        let mut wanted = committed.to_vec();
        wanted.push(node);
        let proposal = self.proposal(&wanted, own_epoch);
        self.isr = Isr::PendingExpand { committed: committed.clone(), joining: node };
        Some(proposal)
    }

    fn proposal(&self, isr: &[NodeId], own_epoch: BrokerEpoch) -> Proposal {
        let epoch_of = |node: NodeId| match self.followers.iter().find(|f| f.node == node) {
            Some(follower) => follower.broker_epoch,
            None if node == self.me => own_epoch,
            None => -1,
        };
        Proposal {
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            isr: isr.iter().map(|&node| (node, epoch_of(node))).collect(),
        }
    }

    fn is_pending(&self, proposal: &Proposal) -> bool {
        let wanted = proposal.isr.iter().map(|(node, _)| *node);
        proposal.leader_epoch == self.epoch
            && proposal.partition_epoch == self.partition_epoch
            && match &self.isr {
                Isr::Committed(_) => false,
                Isr::PendingExpand { committed, joining } => {
                    wanted.eq(committed.iter().copied().chain([*joining]))
                }
                Isr::PendingShrink { staying, .. } => wanted.eq(staying.iter().copied()),
            }
    }

    /// Takes in the controller's answer. An error of the way there (no answer came) is `SendAgain` to everybody: pass
    /// `REQUEST_TIMED_OUT`.
    pub fn on_answer(&mut self, proposal: &Proposal, answer: Result<&Altered, ErrorCode>) -> AfterAnswer {
        if !self.is_pending(proposal) {
            return AfterAnswer::Stale;
        }
        match answer {
            Ok(altered) => {
                if altered.leader_epoch != self.epoch || altered.partition_epoch < self.partition_epoch {
                    // An answer that belongs to no state known here: whatever it was will come as metadata.
                    return AfterAnswer::AwaitMetadata;
                }
                self.partition_epoch = altered.partition_epoch;
                self.isr = Isr::Committed(altered.isr.as_slice().into());
                AfterAnswer::Settled
            }
            // The controller says that the partition epoch is right and that nothing was done. No controller can have done it
            // before, nor do it later.
            Err(ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica) => {
                self.isr = Isr::Committed(self.isr.committed().into());
                AfterAnswer::Settled
            }
            Err(
                ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected,
            ) => AfterAnswer::AwaitMetadata,
            Err(_unexpected_or_passing) => AfterAnswer::SendAgain,
        }
    }
}

/// Whether a replica may be taken into the in-sync set: registered, not fenced (KIP-841), not shutting down, and in the life
/// in which it fetched (KIP-903).
fn may_join(follower: &Follower, brokers: &Brokers) -> bool {
    brokers.get(follower.node).is_some_and(|broker| {
        !broker.fenced
            && !broker.in_controlled_shutdown
            && (follower.broker_epoch == -1
                || follower.broker_epoch == broker.epoch
                || Bug::IsrWithoutBrokerEpoch.is_planted())
    })
}

#[cfg(test)]
#[path = "leader_test.rs"]
mod tests;
