use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::leader::{FollowerFetch, Leader, Local, Rules};
use super::*;
use crate::config::topic::Durability;
use crate::metadata::{MetadataDelta, MetadataImage, Partition as Registration};
use crate::schema::metadata::{MetadataRecord, RegisterBrokerRecord};
use crate::storage::leader_epochs::LeaderEpochs;
use crate::types::NodeId;

const BACKOFF_MS: Ms = 1000;

/// A log of records that are told apart by their values.
#[derive(Clone, Default, Debug)]
struct MemoryLog {
    records: Vec<(LeaderEpoch, u32)>,
    synced: usize,
    high_watermark: Offset,
}

impl MemoryLog {
    fn of(epochs: &[LeaderEpoch]) -> MemoryLog {
        let records = epochs.iter().enumerate().map(|(at, &epoch)| (epoch, at as u32)).collect();
        MemoryLog { records, ..MemoryLog::default() }
    }

    fn end(&self) -> Offset {
        self.records.len() as Offset
    }

    fn epochs(&self) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::new();
        for (offset, &(epoch, _)) in (0..).zip(&self.records) {
            epochs.assign(epoch, offset);
        }
        epochs
    }

    fn end_of(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs().end_offset_for(epoch, self.end())
    }

    fn view(&self) -> LogView {
        LogView {
            start: 0,
            end: self.end(),
            last_epoch: self.records.last().map(|(epoch, _)| *epoch),
            high_watermark: self.high_watermark,
        }
    }

    fn truncate(&mut self, to: Offset) {
        self.records.truncate(to as usize);
        self.synced = self.synced.min(self.records.len());
        self.high_watermark = self.high_watermark.min(to);
    }

    /// What a leader in `epoch` answers to who names the epoch of its last record.
    fn divergence(
        &self,
        offset: Offset,
        last: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Option<(LeaderEpoch, Offset)> {
        if last < 0 {
            return None;
        }
        let (largest, end) = self.end_as_leader(last, epoch);
        (largest < last || end < offset).then_some((largest, end))
    }

    /// A leader notes the beginning of its epoch, with or without records.
    fn end_as_leader(&self, asked: LeaderEpoch, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let mut epochs = self.epochs();
        epochs.assign(epoch, self.end());
        epochs.end_offset_for(asked, self.end()).expect("no follower is ahead of the leader's epoch")
    }
}

fn ok(diverging: Option<(LeaderEpoch, Offset)>) -> Fetched {
    Fetched { error: ErrorCode::None, diverging }
}

fn failed(error: ErrorCode) -> Fetched {
    Fetched { error, diverging: None }
}

/// Follows `leader` until nothing is left to do; gives back the requests it took.
fn follow(
    follower: &mut MemoryLog,
    leader: &MemoryLog,
    epoch: LeaderEpoch,
    tells_divergence: bool,
) -> Vec<Next> {
    let (mut following, todo) = Following::begin(epoch, tells_divergence, BACKOFF_MS, follower.view());
    let mut asked = Vec::new();
    let mut todo = Some(todo);
    for now in (0..).step_by(10_000).take(100) {
        if let Some(Todo::Truncate(to)) = todo {
            follower.truncate(to);
            following.log_changed(follower.view());
        }
        let next = following.next(now);
        asked.push(next);
        todo = match next {
            Next::Fetch { offset, last_fetched_epoch } => {
                if tells_divergence {
                    let diverging = leader.divergence(offset, last_fetched_epoch, epoch);
                    let log = follower.clone();
                    let todo = following.on_fetched(offset, ok(diverging), log.end(), |e| log.end_of(e), now);
                    if todo != Todo::Take {
                        Some(todo)
                    } else if offset == leader.end() {
                        return asked;
                    } else {
                        follower.records.push(leader.records[offset as usize]);
                        following.log_changed(follower.view());
                        None
                    }
                } else if offset == leader.end() {
                    return asked;
                } else {
                    assert_eq!(
                        following.on_fetched(offset, ok(None), follower.end(), |_| None, now),
                        Todo::Take
                    );
                    follower.records.push(leader.records[offset as usize]);
                    following.log_changed(follower.view());
                    None
                }
            }
            Next::EpochEnd { epoch: of } => {
                let log = follower.clone();
                let answer = Ok(Some(leader.end_as_leader(of, epoch)));
                Some(following.on_epoch_end(answer, follower.view(), |e| log.end_of(e), now))
            }
            other => panic!("{other:?}"),
        };
    }
    panic!("no end in sight: {asked:?}");
}

#[test]
fn truncation_to_the_high_watermark_would_lose_records() {
    // KIP-101, scenario 1: the follower has record 1, but does not know yet that it was acknowledged. It restarts, and the
    // leader dies right after it. Nothing may be cut on the way.
    let leader = MemoryLog { high_watermark: 2, ..MemoryLog::of(&[0, 0]) };
    let mut follower = MemoryLog { high_watermark: 1, ..MemoryLog::of(&[0, 0]) };
    for tells_divergence in [true, false] {
        follow(&mut follower, &leader, 0, tells_divergence);
        assert_eq!(follower.records, leader.records);
    }
    let (_, todo) = Following::begin(0, true, BACKOFF_MS, follower.view());
    assert_eq!(todo, Todo::Nothing, "the high watermark says nothing about what to keep");
}

#[test]
fn logs_that_diverged_at_the_same_length_are_found_out() {
    // KIP-101, scenario 2: both lost power; B came back first and led in epoch 1 where A had record 1 of epoch 0.
    for tells_divergence in [true, false] {
        let leader = MemoryLog { records: vec![(0, 0), (1, 100)], ..MemoryLog::default() };
        let mut follower = MemoryLog::of(&[0, 0]);
        let asked = follow(&mut follower, &leader, 1, tells_divergence);
        assert_eq!(follower.records, leader.records, "{asked:?}");
    }
}

#[test]
fn two_fast_leader_changes_are_found_out() {
    // KIP-279: the follower wrote in epoch 1, another in epoch 2, and the one with neither leads in epoch 3. The largest
    // epoch at or below the asked one is named, and asked for again.
    for tells_divergence in [true, false] {
        let leader = MemoryLog { records: vec![(0, 0), (0, 1), (2, 50), (3, 51)], ..MemoryLog::default() };
        let mut follower =
            MemoryLog { records: vec![(0, 0), (0, 1), (1, 80), (1, 81), (1, 82)], ..MemoryLog::default() };
        follow(&mut follower, &leader, 3, tells_divergence);
        assert_eq!(follower.records, leader.records);
        // It takes several rounds where epochs are interleaved.
        let leader =
            MemoryLog { records: vec![(0, 0), (2, 1), (4, 2), (6, 3), (8, 4)], ..MemoryLog::default() };
        let mut follower =
            MemoryLog { records: vec![(0, 0), (1, 11), (3, 12), (5, 13), (7, 14)], ..MemoryLog::default() };
        let asked = follow(&mut follower, &leader, 8, tells_divergence);
        assert_eq!(follower.records, leader.records);
        assert!(asked.len() > 5, "{asked:?}");
    }
}

#[test]
fn a_log_without_epochs_is_trusted_as_far_as_it_was_acknowledged() {
    let log = LogView { start: 2, end: 9, last_epoch: None, high_watermark: 5 };
    assert_eq!(Following::begin(3, true, BACKOFF_MS, log).1, Todo::Truncate(5));
    let log = LogView { high_watermark: 0, ..log };
    assert_eq!(Following::begin(3, true, BACKOFF_MS, log).1, Todo::Truncate(2));
    let empty = LogView { start: 0, end: 0, last_epoch: None, high_watermark: 0 };
    assert_eq!(Following::begin(3, false, BACKOFF_MS, empty).1, Todo::Nothing);
    let log = LogView { start: 2, end: 9, last_epoch: Some(2), high_watermark: 5 };
    let (mut following, _) = Following::begin(3, false, BACKOFF_MS, log);
    assert_eq!(following.next(0), Next::EpochEnd { epoch: 2 });
    assert_eq!(following.on_epoch_end(Ok(None), log, |_| None, 0), Todo::Truncate(5));
}

#[test]
fn each_error_has_its_meaning() {
    let log = LogView { start: 0, end: 10, last_epoch: Some(2), high_watermark: 5 };
    let fetch = Next::Fetch { offset: 10, last_fetched_epoch: 2 };
    let after = |error: ErrorCode| {
        let (mut following, _) = Following::begin(3, true, BACKOFF_MS, log);
        assert_eq!(following.next(0), fetch);
        let todo = following.on_fetched(10, failed(error), 10, |_| None, 100);
        assert_eq!(todo, Todo::Nothing);
        following
    };
    assert_eq!(after(ErrorCode::FencedLeaderEpoch).next(9999), Next::AwaitMetadata);
    assert_eq!(after(ErrorCode::OffsetOutOfRange).next(100), Next::Bounds);
    for passing in [
        ErrorCode::UnknownLeaderEpoch,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::UnknownTopicId,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::InconsistentTopicId,
        ErrorCode::KafkaStorageError,
        ErrorCode::UnknownServerError,
    ] {
        let following = after(passing);
        assert_eq!(following.next(119), Next::WaitUntil(120), "{passing:?}");
        assert_eq!(following.next(120), fetch, "{passing:?}");
    }
    // Waits grow to the longest, and a success ends that.
    let mut following = after(ErrorCode::NotLeaderOrFollower);
    for _ in 0..100 {
        following.on_fetched(10, failed(ErrorCode::NotLeaderOrFollower), 10, |_| None, 200);
    }
    assert_eq!(following.next(200), Next::WaitUntil(1200));
    assert_eq!(following.on_fetched(10, ok(None), 10, |_| None, 1200), Todo::Take);
    following.unreachable(1200);
    assert_eq!(following.next(1200), Next::WaitUntil(1220));
}

#[test]
fn who_is_out_of_the_leaders_range_asks_for_it() {
    let log = LogView { start: 0, end: 10, last_epoch: Some(2), high_watermark: 5 };
    let asking = || {
        let (mut following, _) = Following::begin(3, true, BACKOFF_MS, log);
        following.on_fetched(10, failed(ErrorCode::OffsetOutOfRange), 10, |_| None, 0);
        following
    };
    assert_eq!(asking().on_bounds(Ok((0, 7)), log, 0), Todo::Truncate(7), "an unclean leader has less");
    assert_eq!(asking().on_bounds(Ok((20, 30)), log, 0), Todo::StartOver(20), "all of this is deleted there");
    let mut following = asking();
    assert_eq!(following.on_bounds(Ok((5, 30)), log, 0), Todo::Nothing);
    assert!(matches!(following.next(0), Next::WaitUntil(_)), "the leader contradicts itself");
    let mut following = asking();
    assert_eq!(following.on_bounds(Err(ErrorCode::FencedLeaderEpoch), log, 0), Todo::Nothing);
    assert_eq!(following.next(9999), Next::AwaitMetadata);
}

#[test]
fn what_cannot_be_appended_is_fetched_again_or_ends_it() {
    let log = LogView { start: 0, end: 10, last_epoch: Some(2), high_watermark: 5 };
    let (mut following, _) = Following::begin(3, true, BACKOFF_MS, log);
    following.append_failed(AppendFailure::Refused, LogView { end: 12, ..log }, 0);
    assert_eq!(following.next(20), Next::Fetch { offset: 12, last_fetched_epoch: 2 });
    assert_eq!(
        following.on_fetched(10, ok(None), 12, |_| None, 20),
        Todo::Nothing,
        "an answer to a fetch before"
    );
    following.append_failed(AppendFailure::Disk, log, 20);
    assert_eq!(following.next(9999), Next::Offline);
}

/// Three replicas, the partition as the controller has it, and who knows what of it.
struct Model {
    rules: Rules,
    image: MetadataImage,
    broker_epochs: BTreeMap<NodeId, i64>,
    logs: BTreeMap<NodeId, MemoryLog>,
    alive: BTreeSet<NodeId>,
    registration: Registration,
    leader: Option<Leader>,
    following: BTreeMap<NodeId, Following>,
    /// Every record that was ever below a high watermark: acknowledged, and read.
    acknowledged: Vec<(LeaderEpoch, u32)>,
    next_value: u32,
    now: Ms,
}

impl Model {
    fn new(durability: Durability) -> Model {
        let registration = Registration {
            replicas: [1, 2, 3].into(),
            isr: [1, 2, 3].into(),
            removing: [].into(),
            adding: [].into(),
            elr: [].into(),
            last_known_elr: [].into(),
            directories: [].into(),
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            recovering: false,
        };
        let mut model = Model {
            rules: Rules { durability, min_insync_replicas: 1, lag_ms_max: 30_000 },
            image: MetadataImage::empty(),
            broker_epochs: BTreeMap::new(),
            logs: (1..=3).map(|node| (node, MemoryLog::default())).collect(),
            alive: BTreeSet::new(),
            registration,
            leader: None,
            following: BTreeMap::new(),
            acknowledged: Vec::new(),
            next_value: 0,
            now: 0,
        };
        (1..=3).for_each(|node| model.register(node));
        model.everybody_hears();
        model
    }

    fn register(&mut self, node: NodeId) {
        self.alive.insert(node);
        let epoch = self.broker_epochs.values().max().unwrap_or(&0) + 1;
        self.broker_epochs.insert(node, epoch);
        let record: MetadataRecord = RegisterBrokerRecord {
            broker_id: node,
            broker_epoch: epoch,
            fenced: false,
            ..RegisterBrokerRecord::default()
        }
        .into();
        self.image.apply(&record, &mut MetadataDelta::default()).unwrap();
    }

    /// Every broker that lives takes the role that the controller gives it.
    fn everybody_hears(&mut self) {
        let led_by = self.registration.leader;
        let epoch = self.registration.leader_epoch;
        if self.alive.contains(&led_by) {
            let same = self.leader.as_mut().filter(|leader| leader.epoch() == epoch);
            match same {
                Some(leader) => leader.update(&self.registration),
                None => {
                    let end = self.logs[&led_by].end();
                    self.leader = Some(Leader::begin(led_by, &self.registration, end, self.now));
                }
            }
            self.following.remove(&led_by);
        } else {
            self.leader = None;
        }
        for node in 1..=3 {
            let knows = self.following.get(&node).is_some_and(|f| f.leader_epoch() == epoch);
            if node == led_by || knows || !self.alive.contains(&node) {
                continue;
            }
            let log = self.logs.get_mut(&node).unwrap();
            let (mut following, todo) = Following::begin(epoch, true, BACKOFF_MS, log.view());
            if let Todo::Truncate(to) = todo {
                log.truncate(to);
                following.log_changed(log.view());
            }
            self.following.insert(node, following);
        }
    }

    fn elect(&mut self, node: NodeId) {
        if self.registration.isr.contains(&node) && self.alive.contains(&node) {
            self.registration.leader = node;
            self.registration.leader_epoch += 1;
            self.registration.partition_epoch += 1;
            self.leader = None;
            self.everybody_hears();
        }
    }

    /// The process ends; with `power` lost, what is not on the disk is gone. The controller elects another leader.
    fn crash(&mut self, node: NodeId, power: bool) {
        if !self.alive.remove(&node) {
            return;
        }
        let log = self.logs.get_mut(&node).unwrap();
        // High watermarks are written down now and then; this one was not.
        log.high_watermark = 0;
        if power {
            log.records.truncate(log.synced);
        }
        log.synced = log.records.len();
        self.following.remove(&node);
        self.leader = self.leader.take().filter(|_| self.registration.leader != node);
        let isr: Vec<NodeId> = self.registration.isr.iter().copied().filter(|&id| id != node).collect();
        if !isr.is_empty() {
            self.registration.isr = isr.into();
            self.registration.partition_epoch += 1;
        }
        if self.registration.leader == node {
            let next = self.registration.isr.iter().copied().find(|id| self.alive.contains(id));
            self.registration.leader = -1;
            next.into_iter().for_each(|next| self.elect(next));
        }
        self.everybody_hears();
    }

    fn restart(&mut self, node: NodeId) {
        if self.alive.contains(&node) {
            return;
        }
        self.register(node);
        if self.registration.leader == -1 {
            self.elect(node);
        }
        self.everybody_hears();
    }

    fn append(&mut self, count: usize) {
        let Some(leader) = &self.leader else { return };
        let log = self.logs.get_mut(&self.registration.leader).unwrap();
        for _ in 0..count {
            log.records.push((leader.epoch(), self.next_value));
            self.next_value += 1;
        }
    }

    fn sync(&mut self, node: NodeId) {
        let log = self.logs.get_mut(&node).unwrap();
        log.synced = log.records.len();
    }

    /// One request of a follower, answered at once, up to `count` records.
    fn fetch(&mut self, node: NodeId, count: usize) {
        self.now += 2000;
        let (Some(leader), Some(following)) = (&mut self.leader, self.following.get_mut(&node)) else {
            return;
        };
        if following.leader_epoch() != leader.epoch() {
            return;
        }
        let led = self.logs[&self.registration.leader].clone();
        let log = self.logs.get_mut(&node).unwrap();
        let next = following.next(self.now);
        let todo = match next {
            Next::Fetch { offset, last_fetched_epoch } => {
                let diverging = led.divergence(offset, last_fetched_epoch, leader.epoch());
                let error = if diverging.is_none() && offset > led.end() {
                    ErrorCode::OffsetOutOfRange
                } else {
                    ErrorCode::None
                };
                if diverging.is_none() && error == ErrorCode::None {
                    let fetch = FollowerFetch {
                        node,
                        broker_epoch: self.broker_epochs[&node],
                        offset,
                        log_start: 0,
                        synced: Some(log.synced as Offset),
                    };
                    leader.on_fetch(&fetch, led.end(), self.image.brokers(), self.now).unwrap();
                }
                let own = log.clone();
                let fetched = Fetched { error, diverging };
                following.on_fetched(offset, fetched, log.end(), |e| own.end_of(e), self.now)
            }
            Next::Bounds => following.on_bounds(Ok((0, led.end())), log.view(), self.now),
            other => panic!("{other:?}"),
        };
        match todo {
            Todo::Take => {
                let from = log.records.len();
                log.records.extend(led.records[from..].iter().take(count));
                log.high_watermark = log.high_watermark.max(led.high_watermark.min(log.end()));
            }
            Todo::Truncate(to) => log.truncate(to),
            Todo::StartOver(_) => panic!("nothing was deleted"),
            Todo::Nothing => {}
        }
        following.log_changed(log.view());
    }

    /// The leader asks for a change of the in-sync set, which the controller makes at once.
    fn alter(&mut self, joining: Option<NodeId>) {
        let Some(leader) = &mut self.leader else { return };
        let log = &self.logs[&self.registration.leader];
        let proposal = match joining {
            Some(node) => {
                leader.propose_expand(node, log.high_watermark, &self.rules, self.image.brokers(), -1)
            }
            None => leader.propose_shrink(log.end(), &self.rules, -1, self.now),
        };
        if let Some(proposal) = proposal {
            let alive = proposal.isr.iter().all(|(node, _)| self.alive.contains(node));
            if proposal.partition_epoch == self.registration.partition_epoch && alive {
                self.registration.isr = proposal.isr.iter().map(|(node, _)| *node).collect();
                self.registration.partition_epoch += 1;
                self.everybody_hears();
            } else {
                let _meaning = leader.on_answer(&proposal, Err(ErrorCode::IneligibleReplica));
            }
        }
    }

    /// The leader raises its high watermark; everything that can be checked is.
    fn check(&mut self) -> Result<(), TestCaseError> {
        if let Some(leader) = &self.leader {
            let log = self.logs.get_mut(&self.registration.leader).unwrap();
            let local = Local { log_end: log.end(), synced: log.synced as Offset };
            let to = leader.high_watermark(local, &self.rules, self.image.brokers(), self.now);
            log.high_watermark = log.high_watermark.max(to.unwrap_or(0));
        }
        for (node, log) in &self.logs {
            let below = &log.records[..log.high_watermark as usize];
            let known = below.len().min(self.acknowledged.len());
            prop_assert_eq!(
                &below[..known],
                &self.acknowledged[..known],
                "{} differs from what was read",
                node
            );
            self.acknowledged.extend(&below[known..]);
        }
        if let Some(leader) = self.leader.as_ref().map(|_| self.registration.leader) {
            let has = &self.logs[&leader].records;
            prop_assert!(
                has.starts_with(&self.acknowledged),
                "{} leads without what was acknowledged",
                leader
            );
        }
        // Whoever is in sync has it all, and on its disk where that counts.
        for node in &self.registration.isr {
            let log = &self.logs[node];
            let safe = match self.rules.durability {
                Durability::Fsync => log.synced,
                Durability::Replicated => log.records.len(),
            };
            prop_assert!(
                log.records[..safe].starts_with(&self.acknowledged),
                "{} is in sync without all",
                node
            );
        }
        Ok(())
    }

    /// Everybody comes back and is left in peace; all logs become the same.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        (1..=3).for_each(|node| self.restart(node));
        if self.registration.leader == -1 {
            (1..=3).for_each(|node| self.elect(node));
        }
        for _ in 0..60 {
            for node in 1..=3 {
                self.sync(node);
                self.fetch(node, 1000);
                self.alter(Some(node));
                self.check()?;
            }
        }
        let leader = &self.logs[&self.registration.leader];
        prop_assert_eq!(leader.high_watermark, leader.end(), "everything becomes readable again");
        prop_assert_eq!(self.registration.isr.len(), 3);
        for log in self.logs.values() {
            prop_assert_eq!(&log.records, &leader.records);
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Sync(NodeId),
    Fetch(NodeId, usize),
    Elect(NodeId),
    Kill(NodeId),
    LosePower(NodeId),
    AllLosePower,
    Restart(NodeId),
    Wait(Ms),
    Shrink,
    Expand(NodeId),
}

fn op() -> impl Strategy<Value = Op> {
    let node = || 1i32..=3;
    prop_oneof![
        6 => (1usize..4).prop_map(Op::Append),
        6 => node().prop_map(Op::Sync),
        12 => (node(), 0usize..5).prop_map(|(n, c)| Op::Fetch(n, c)),
        3 => node().prop_map(Op::Elect),
        2 => node().prop_map(Op::Kill),
        2 => node().prop_map(Op::LosePower),
        1 => Just(Op::AllLosePower),
        5 => node().prop_map(Op::Restart),
        2 => (0i64..40_000).prop_map(Op::Wait),
        3 => Just(Op::Shrink),
        5 => node().prop_map(Op::Expand),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever leaders come and go, logs are the same below the high watermark, and nothing acknowledged is lost: with
    /// `fsync` even if power fails everywhere at once, with `replicated` as long as only processes end.
    #[test]
    fn nothing_acknowledged_is_lost_whoever_leads(
        fsync in any::<bool>(), ops in proptest::collection::vec(op(), 1..150),
    ) {
        let mut model = Model::new(if fsync { Durability::Fsync } else { Durability::Replicated });
        for op in ops {
            match op {
                Op::Append(count) => model.append(count),
                Op::Sync(node) => model.sync(node),
                Op::Fetch(node, count) => model.fetch(node, count),
                Op::Elect(node) => model.elect(node),
                Op::Kill(node) => model.crash(node, false),
                Op::LosePower(node) => model.crash(node, fsync),
                Op::AllLosePower => (1..=3).for_each(|node| model.crash(node, fsync)),
                Op::Restart(node) => model.restart(node),
                Op::Wait(ms) => model.now += ms,
                Op::Shrink => model.alter(None),
                Op::Expand(node) => model.alter(Some(node)),
            }
            model.check()?;
        }
        model.settle()?;
    }
}
