use proptest::prelude::*;

use super::*;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::metadata::{MetadataRecord, RegisterBrokerRecord};

const RULES: Rules = Rules { durability: Durability::Replicated, min_insync_replicas: 1, lag_ms_max: 30_000 };
const FSYNC: Rules = Rules { durability: Durability::Fsync, ..RULES };

/// Brokers by id, broker epoch, fenced, shutting down.
fn brokers(registered: &[(NodeId, BrokerEpoch, bool, bool)]) -> MetadataImage {
    let mut image = MetadataImage::empty();
    for &(broker_id, broker_epoch, fenced, in_controlled_shutdown) in registered {
        let record: MetadataRecord = RegisterBrokerRecord {
            broker_id,
            broker_epoch,
            fenced,
            in_controlled_shutdown,
            ..RegisterBrokerRecord::default()
        }
        .into();
        image.apply(&record, &mut MetadataDelta::default()).unwrap();
    }
    image
}

fn three() -> MetadataImage {
    brokers(&[(1, 10, false, false), (2, 20, false, false), (3, 30, false, false)])
}

fn registration(isr: &[NodeId], leader_epoch: LeaderEpoch, partition_epoch: i32) -> Registration {
    Registration {
        replicas: [1, 2, 3].into(),
        isr: isr.into(),
        removing: [].into(),
        adding: [].into(),
        elr: [].into(),
        last_known_elr: [].into(),
        directories: [].into(),
        leader: 1,
        leader_epoch,
        partition_epoch,
        recovering: false,
    }
}

fn fetch(node: NodeId, offset: Offset, synced: Option<Offset>) -> FollowerFetch {
    FollowerFetch { node, broker_epoch: i64::from(node) * 10, offset, log_start: 0, synced }
}

/// A leader of three replicas, its log end and its high watermark, driven line by line.
struct Script {
    image: MetadataImage,
    rules: Rules,
    leader: Leader,
    local: Local,
    high_watermark: Offset,
    now: Ms,
}

impl Script {
    fn new(isr: &[NodeId], rules: Rules, log_end: Offset) -> Script {
        Script {
            image: three(),
            rules,
            leader: Leader::begin(1, &registration(isr, 5, 7), log_end, 1000),
            local: Local { log_end, synced: log_end },
            high_watermark: 0,
            now: 1000,
        }
    }

    fn append(&mut self, count: Offset) {
        self.local.log_end += count;
        self.local.synced = self.local.log_end;
    }

    fn fetches(&mut self, node: NodeId, offset: Offset) -> Offset {
        self.fetches_synced(node, offset, None)
    }

    fn fetches_synced(&mut self, node: NodeId, offset: Offset, synced: Option<Offset>) -> Offset {
        let fetch = fetch(node, offset, synced);
        self.leader.on_fetch(&fetch, self.local.log_end, self.image.brokers(), self.now).unwrap();
        self.advance()
    }

    fn advance(&mut self) -> Offset {
        let to = self.leader.high_watermark(self.local, &self.rules, self.image.brokers(), self.now);
        self.high_watermark = self.high_watermark.max(to.unwrap_or(UNKNOWN));
        self.high_watermark
    }

    fn shrink(&mut self) -> Option<Proposal> {
        self.leader.propose_shrink(self.local.log_end, &self.rules, 10, self.now)
    }

    fn expand(&mut self, node: NodeId) -> Option<Proposal> {
        self.leader.propose_expand(node, self.high_watermark, &self.rules, self.image.brokers(), 10)
    }
}

fn altered(isr: &[NodeId], partition_epoch: i32) -> Altered {
    Altered { leader_epoch: 5, partition_epoch, isr: isr.to_vec() }
}

#[test]
fn nothing_is_readable_until_every_in_sync_follower_has_fetched_in_this_epoch() {
    let mut script = Script::new(&[1, 2, 3], RULES, 10);
    assert_eq!(script.advance(), 0);
    assert_eq!(script.fetches(2, 10), 0);
    assert_eq!(script.fetches(3, 4), 4);
    assert_eq!(script.fetches(3, 10), 10);
    script.append(5);
    script.fetches(2, 15);
    assert_eq!(script.fetches(3, 12), 12);
    assert_eq!(script.fetches(3, 8), 12, "a follower that lost records does not take back what was readable");
}

#[test]
fn a_single_replica_counts_alone() {
    let single = Registration { replicas: [1].into(), ..registration(&[1], 5, 7) };
    let leader = Leader::begin(1, &single, 10, 0);
    let image = three();
    let local = Local { log_end: 10, synced: 6 };
    let two = Rules { min_insync_replicas: 2, ..RULES };
    assert!(leader.is_alone());
    assert_eq!(leader.high_watermark(local, &two, image.brokers(), 0), Some(10));
    assert_eq!(leader.high_watermark(local, &FSYNC, image.brokers(), 0), Some(6));
    assert_eq!(leader.check_before_append(&two), Ok(()), "no more can be in sync than there are");
}

#[test]
fn with_fsync_a_replica_counts_what_is_on_its_disk() {
    let mut script = Script::new(&[1, 2], FSYNC, 10);
    assert_eq!(script.fetches_synced(2, 10, Some(4)), 4);
    let now = script.now;
    assert!(script.leader.on_synced(2, 20, 9, 10, now));
    assert_eq!(script.advance(), 9);
    assert!(!script.leader.on_synced(2, 20, 9, 10, now), "known already");
    assert!(!script.leader.on_synced(2, 19, 10, 10, now), "from another life of the broker");
    assert!(!script.leader.on_synced(3, 30, 10, 10, now), "has not fetched in this epoch");
    assert!(!script.leader.on_synced(4, 30, 10, 10, now), "holds no replica");
    assert!(script.leader.on_synced(2, 20, 99, 10, now));
    script.local = Local { log_end: 12, synced: 11 };
    assert_eq!(script.advance(), 10, "no more than it has fetched");
    assert_eq!(script.fetches_synced(2, 12, Some(12)), 11, "the leader's own disk counts too");
    script.local.synced = 12;
    assert_eq!(script.fetches_synced(2, 12, None), 12, "who tells nothing counts by the fetch");
}

#[test]
fn consumers_are_sent_to_the_follower_in_their_rack_that_has_most() {
    let mut script = Script::new(&[1, 2, 3], RULES, 10);
    let anywhere = |_| true;
    assert_eq!(script.leader.readable_follower(0, anywhere), None, "nobody has fetched yet");
    script.fetches(2, 8);
    script.fetches(3, 9);
    assert_eq!(script.leader.readable_follower(5, anywhere), Some(3));
    assert_eq!(script.leader.readable_follower(5, |node| node == 2), Some(2));
    assert_eq!(script.leader.readable_follower(9, |node| node == 2), None, "it is not there yet");
    script.fetches(2, 9);
    assert_eq!(
        script.leader.readable_follower(9, anywhere),
        Some(2),
        "the lower id, where nothing else tells"
    );
    assert_eq!(script.leader.low_watermark(4, script.image.brokers()), 0);
    let out = Registration { partition_epoch: 8, ..registration(&[1, 3], 5, 8) };
    script.leader.update(&out);
    assert_eq!(script.leader.readable_follower(9, anywhere), Some(3), "who is out of sync may lag behind");
}

#[test]
fn news_of_a_sync_may_overtake_the_fetch() {
    let mut script = Script::new(&[1, 2], FSYNC, 12);
    assert_eq!(script.fetches_synced(2, 10, Some(10)), 10);
    let now = script.now;
    assert!(script.leader.on_synced(2, 20, 12, 12, now), "its fetch from 12 on is on the way still");
    assert_eq!(script.advance(), 10, "what it has not fetched does not count");
    assert_eq!(script.fetches_synced(2, 12, Some(10)), 12, "the fetch was sent before the sync had ended");
    assert_eq!(script.fetches_synced(2, 11, Some(9)), 12, "a high watermark stays");
    let follower = script.leader.followers().iter().find(|f| f.node == 2).map(|f| f.synced);
    assert_eq!(follower, Some(Some(9)), "what was told of a longer log says nothing of this one");
}

#[test]
fn a_follower_that_is_joining_counts_before_the_controller_has_answered() {
    let mut script = Script::new(&[1, 2], RULES, 10);
    script.fetches(2, 10);
    assert_eq!(script.expand(3), None, "has not fetched");
    script.fetches(3, 9);
    assert_eq!((script.high_watermark, script.expand(3)), (10, None), "below the high watermark");
    script.fetches(3, 10);
    let proposal = script.expand(3).expect("caught up");
    assert_eq!(proposal.isr, [(1, 10), (2, 20), (3, 30)]);
    assert_eq!((proposal.leader_epoch, proposal.partition_epoch), (5, 7));
    // 3 goes silent; it may be in the set already, so nothing moves past it however long that takes.
    script.append(5);
    script.now += 100_000;
    assert_eq!(script.fetches(2, 15), 10);
    assert_eq!(script.expand(3), None, "one change at a time");
    assert_eq!(script.shrink(), None, "one change at a time");
    assert_eq!(script.leader.on_answer(&proposal, Ok(&altered(&[1, 2, 3], 8))), AfterAnswer::Settled);
    assert_eq!((script.leader.isr(), script.leader.partition_epoch()), (&[1, 2, 3][..], 8));
    assert_eq!(script.advance(), 10);
    let proposal = script.shrink().expect("3 lags");
    assert_eq!((&proposal.isr, proposal.partition_epoch), (&vec![(1, 10), (2, 20)], 8));
}

#[test]
fn a_follower_that_is_leaving_counts_until_the_controller_has_answered() {
    let mut script = Script::new(&[1, 2, 3], RULES, 10);
    script.fetches(2, 10);
    script.fetches(3, 10);
    script.append(5);
    assert_eq!(script.fetches(2, 15), 10);
    script.now += 30_000;
    assert_eq!(script.shrink(), None, "30 seconds are allowed");
    script.fetches(2, 15);
    script.now += 1;
    let proposal = script.shrink().expect("3 lags");
    assert_eq!(proposal.isr, [(1, 10), (2, 20)]);
    assert_eq!(script.advance(), 10, "3 may be elected still");
    assert_eq!(script.leader.on_answer(&proposal, Err(ErrorCode::RequestTimedOut)), AfterAnswer::SendAgain);
    assert_eq!(script.advance(), 10);
    assert_eq!(script.leader.on_answer(&proposal, Ok(&altered(&[1, 2], 8))), AfterAnswer::Settled);
    assert_eq!(script.advance(), 15);
    let again = script.leader.on_answer(&proposal, Ok(&altered(&[1, 2], 8)));
    assert_eq!(again, AfterAnswer::Stale);
}

#[test]
fn kafkas_rule_says_who_is_caught_up() {
    let mut script = Script::new(&[1, 2, 3], RULES, 10);
    // 2 always has what was there at its fetch before, never everything: it keeps up.
    for step in 0..10 {
        script.append(10);
        script.now += 10_000;
        script.fetches(2, 10 + 10 * step);
        script.fetches(3, 10);
    }
    let proposal = script.shrink().expect("3 lags");
    assert_eq!(proposal.isr, [(1, 10), (2, 20)]);
    // Where nothing is written, who has everything is in sync however long it is silent.
    let mut script = Script::new(&[1, 2], RULES, 10);
    script.fetches(2, 10);
    script.now += 1_000_000;
    assert_eq!(script.shrink(), None);
}

#[test]
fn a_follower_whose_disk_hangs_leaves_where_syncs_count() {
    let mut script = Script::new(&[1, 2], FSYNC, 10);
    script.fetches_synced(2, 10, Some(10));
    for _ in 0..5 {
        script.append(10);
        script.now += 10_000;
        let end = script.local.log_end;
        script.fetches_synced(2, end, Some(10));
    }
    assert_eq!(script.advance(), 10);
    let proposal = script.shrink().expect("it fetches on, but nothing gets to its disk");
    assert_eq!(proposal.isr, [(1, 10)]);
    // A disk that is always a little behind keeps up.
    let mut script = Script::new(&[1, 2], FSYNC, 10);
    for _ in 0..100 {
        script.append(10);
        script.now += 1000;
        let end = script.local.log_end;
        script.fetches_synced(2, end, Some(end - 35));
    }
    assert_eq!(script.shrink(), None);
}

#[test]
fn who_may_not_lead_does_not_join() {
    let mut script = Script::new(&[1, 2], RULES, 10);
    script.fetches(2, 10);
    for (registered, why) in [
        ((3, 30, true, false), "fenced (KIP-841)"),
        ((3, 30, false, true), "shutting down"),
        ((4, 30, false, false), "not registered"),
    ] {
        script.image = brokers(&[(1, 10, false, false), registered]);
        script.fetches(3, 10);
        assert_eq!(script.expand(3), None, "{why}");
    }
    script.image = brokers(&[(3, 31, false, false)]);
    let refused = script.leader.on_fetch(&fetch(3, 10, None), 10, script.image.brokers(), 1000);
    assert_eq!(refused, Err(ErrorCode::NotLeaderOrFollower), "a fetch of the life before (KIP-903)");
    assert_eq!(script.expand(3), None, "what it told in the life before counts no more (KIP-903)");
    let anew = FollowerFetch { broker_epoch: 31, ..fetch(3, 10, None) };
    script.leader.on_fetch(&anew, 10, script.image.brokers(), 1000).unwrap();
    assert_eq!(script.expand(3).map(|p| p.isr), Some(vec![(1, 10), (2, 20), (3, 31)]));
}

#[test]
fn a_caught_up_replica_that_may_join_holds_the_high_watermark() {
    let mut script = Script::new(&[1, 2], RULES, 10);
    script.fetches(3, 10);
    script.append(5);
    assert_eq!(script.fetches(2, 15), 10, "3 had everything just now");
    script.now += 30_001;
    script.fetches(2, 15);
    assert_eq!(script.advance(), 15, "but not for ever");
    script.image = brokers(&[(3, 30, true, false)]);
    let mut fenced = Script::new(&[1, 2], RULES, 10);
    fenced.image = brokers(&[(2, 20, false, false), (3, 30, true, false)]);
    fenced.fetches(3, 10);
    fenced.append(5);
    assert_eq!(fenced.fetches(2, 15), 15, "who may not join holds nothing");
}

#[test]
fn joining_needs_the_start_of_the_epoch() {
    let mut script = Script::new(&[1, 2], RULES, 10);
    script.fetches(3, 4);
    assert_eq!(
        (script.high_watermark, script.expand(3)),
        (0, None),
        "above the high watermark is not enough"
    );
    script.fetches(3, 10);
    assert!(script.expand(3).is_some());
    let mut script = Script::new(&[1, 2], FSYNC, 10);
    script.fetches_synced(3, 10, Some(9));
    assert_eq!(script.expand(3), None, "nor is what is not on the disk");
}

#[test]
fn min_insync_replicas_holds_before_and_after_the_append() {
    let rules = Rules { min_insync_replicas: 2, ..RULES };
    let mut script = Script::new(&[1, 2, 3], rules, 10);
    assert_eq!(script.leader.check_before_append(&rules), Ok(()));
    script.fetches(2, 10);
    script.fetches(3, 10);
    script.append(5);
    script.leader.update(&registration(&[1], 5, 8));
    assert_eq!(script.leader.check_before_append(&rules), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(script.leader.check_after_append(&rules), Err(ErrorCode::NotEnoughReplicasAfterAppend));
    assert_eq!(script.advance(), 10, "KIP-966: too few are in sync, so nothing more is readable");
    script.fetches(2, 15);
    script.expand(2).expect("caught up");
    assert_eq!(script.leader.check_before_append(&rules), Err(ErrorCode::NotEnoughReplicas), "not committed");
    assert_eq!(
        script.leader.check_after_append(&rules),
        Ok(()),
        "whoever is joining counts here, as in Kafka"
    );
}

#[test]
fn each_answer_of_the_controller_has_its_meaning() {
    use AfterAnswer::*;
    use ErrorCode::*;
    let cases = [
        (OperationNotAttempted, Settled),
        (IneligibleReplica, Settled),
        (UnknownTopicOrPartition, AwaitMetadata),
        (UnknownTopicId, AwaitMetadata),
        (FencedLeaderEpoch, AwaitMetadata),
        (InvalidUpdateVersion, AwaitMetadata),
        (InvalidRequest, AwaitMetadata),
        (NewLeaderElected, AwaitMetadata),
        (NotController, SendAgain),
        (RequestTimedOut, SendAgain),
        (StaleBrokerEpoch, SendAgain),
        (UnknownServerError, SendAgain),
    ];
    for (error, meaning) in cases {
        let mut script = Script::new(&[1, 2], RULES, 10);
        script.fetches(2, 10);
        script.fetches(3, 10);
        let proposal = script.expand(3).expect("caught up");
        assert_eq!(script.leader.on_answer(&proposal, Err(error)), meaning, "{error:?}");
        assert_eq!(script.leader.is_isr_pending(), meaning != Settled, "{error:?}");
        assert_eq!(script.leader.isr(), [1, 2]);
        // The metadata settles it in any case.
        script.leader.update(&registration(&[1, 2, 3], 5, 8));
        assert!(!script.leader.is_isr_pending());
        assert_eq!(script.leader.isr(), [1, 2, 3]);
        assert_eq!(script.leader.on_answer(&proposal, Err(error)), Stale);
    }
}

#[test]
fn old_metadata_does_not_undo_what_is_under_way() {
    let mut script = Script::new(&[1, 2], RULES, 10);
    script.fetches(2, 10);
    script.fetches(3, 10);
    let proposal = script.expand(3).expect("caught up");
    script.leader.update(&registration(&[1, 2], 5, 7));
    script.leader.update(&registration(&[1, 2], 5, 6));
    assert!(script.leader.is_isr_pending(), "the same epoch, told again by a snapshot, settles nothing");
    script.leader.on_answer(&proposal, Ok(&altered(&[1, 2, 3], 8)));
    script.leader.update(&registration(&[1, 2], 5, 7));
    assert_eq!(script.leader.isr(), [1, 2, 3], "the answer was ahead of the metadata");
    let stale = Altered { partition_epoch: 6, ..altered(&[1, 2], 6) };
    script.now += 40_000;
    script.append(1);
    let proposal = script.shrink().expect("both lag");
    assert_eq!(script.leader.on_answer(&proposal, Ok(&stale)), AfterAnswer::AwaitMetadata);
}

#[test]
fn replicas_come_and_go_with_reassignments() {
    let mut script = Script::new(&[1, 2], RULES, 10);
    script.fetches(2, 10);
    assert_eq!(script.leader.check_follower(4, true), Err(ErrorCode::UnknownLeaderEpoch));
    assert_eq!(script.leader.check_follower(4, false), Err(ErrorCode::NotLeaderOrFollower));
    let grown = Registration { replicas: [1, 2, 4].into(), ..registration(&[1, 2], 5, 8) };
    script.leader.update(&grown);
    assert_eq!(script.leader.check_follower(4, true), Ok(()));
    assert_eq!(script.leader.check_follower(3, true), Err(ErrorCode::UnknownLeaderEpoch));
    assert_eq!(script.leader.followers()[0].log_end, 10, "what 2 told stays");
    script.append(5);
    assert_eq!(script.fetches(2, 15), 15, "4 holds nothing yet");
}

/// What a follower of the model really has.
#[derive(Clone, Copy, Default, Debug)]
struct Real {
    end: Offset,
    synced: Offset,
}

#[derive(Clone, Debug)]
enum Op {
    Append(Offset),
    SyncLeader,
    /// A follower takes up to so many records, its disk so many of them, and it fetches.
    Fetch(usize, Offset, Offset),
    /// A follower's disk catches up, and it says so.
    Synced(usize),
    Wait(Ms),
    Shrink,
    Expand(usize),
    /// The controller takes the proposal in, or refuses it, without an answer having come yet.
    Decide(bool),
    /// The answer comes, or is lost.
    Answer(bool),
    Metadata,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1i64..5).prop_map(Op::Append),
        2 => Just(Op::SyncLeader),
        6 => (0usize..2, 0i64..8, 0i64..8).prop_map(|(f, n, s)| Op::Fetch(f, n, s)),
        2 => (0usize..2).prop_map(Op::Synced),
        2 => (0i64..20_000).prop_map(Op::Wait),
        2 => Just(Op::Shrink),
        3 => (0usize..2).prop_map(Op::Expand),
        3 => any::<bool>().prop_map(Op::Decide),
        3 => any::<bool>().prop_map(Op::Answer),
        1 => Just(Op::Metadata),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whoever is in the controller's set may be elected at any moment, so the high watermark is never past what any of
    /// them has; and it never goes back.
    #[test]
    fn whoever_may_be_elected_has_everything_below_the_high_watermark(
        fsync in any::<bool>(), ops in proptest::collection::vec(op(), 1..120),
    ) {
        let rules = if fsync { FSYNC } else { RULES };
        let mut script = Script::new(&[1, 2, 3], rules, 0);
        let mut real = [Real::default(); 2];
        // What the controller has, and what it was asked for.
        let (mut isr, mut partition_epoch) = (vec![1, 2, 3], 7);
        let mut asked: Option<Proposal> = None;
        let mut decided: Option<Result<Altered, ErrorCode>> = None;
        for op in ops {
            match op {
                Op::Append(count) => script.local.log_end += count,
                Op::SyncLeader => script.local.synced = script.local.log_end,
                Op::Fetch(at, count, synced) => {
                    let follower = &mut real[at];
                    follower.end = (follower.end + count).min(script.local.log_end);
                    follower.synced = (follower.synced + synced).min(follower.end);
                    let (node, follower) = (at as NodeId + 2, *follower);
                    script.fetches_synced(node, follower.end, fsync.then_some(follower.synced));
                }
                Op::Synced(at) => {
                    let node = at as NodeId + 2;
                    real[at].synced = real[at].end;
                    let (end, now) = (script.local.log_end, script.now);
                    script.leader.on_synced(node, i64::from(node) * 10, real[at].synced, end, now);
                }
                Op::Wait(ms) => script.now += ms,
                Op::Shrink => asked = script.shrink().or(asked),
                Op::Expand(at) => asked = script.expand(at as NodeId + 2).or(asked),
                Op::Decide(accepts) => {
                    // A proposal is decided on once.
                    let (Some(proposal), None) = (&asked, &decided) else { continue };
                    let outcome = if proposal.partition_epoch < partition_epoch {
                        Err(ErrorCode::InvalidUpdateVersion)
                    } else if accepts {
                        isr = proposal.isr.iter().map(|(node, _)| *node).collect();
                        partition_epoch += 1;
                        Ok(altered(&isr, partition_epoch))
                    } else {
                        Err(ErrorCode::IneligibleReplica)
                    };
                    decided = Some(outcome);
                }
                Op::Answer(arrives) => {
                    let (Some(proposal), Some(answer)) = (asked.clone(), decided.take()) else { continue };
                    let answer = if arrives { answer } else { Err(ErrorCode::RequestTimedOut) };
                    if script.leader.on_answer(&proposal, answer.as_ref().map_err(|e| *e)) != AfterAnswer::SendAgain {
                        asked = None;
                    }
                }
                Op::Metadata => script.leader.update(&registration(&isr, 5, partition_epoch)),
            }
            let before = script.high_watermark;
            script.advance();
            prop_assert!(script.high_watermark >= before);
            prop_assert!(script.high_watermark <= script.local.log_end);
            for node in &isr {
                let has = match (*node, fsync) {
                    (1, true) => script.local.synced,
                    (1, false) => script.local.log_end,
                    (node, true) => real[node as usize - 2].synced,
                    (node, false) => real[node as usize - 2].end,
                };
                prop_assert!(
                    script.high_watermark <= has,
                    "{} is past {} of {} in {:?}", script.high_watermark, has, node, isr
                );
            }
        }
    }
}
