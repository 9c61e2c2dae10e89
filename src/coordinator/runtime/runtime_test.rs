use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory_log::MemoryLog;
use super::*;
use crate::coordinator::group::command::*;
use crate::coordinator::group::{Command, GroupConfigs, GroupShard, Reply};
use crate::coordinator::shard::Producer;
use crate::env::Env;
use crate::metadata::MetadataImage;
use crate::types::TopicId;
use crate::wire::compress::{Codec, Compression};
use crate::wire::control::EndTxnMarker;

type Groups = Arc<Coordinator<GroupShard>>;

fn groups(codec: Codec) -> Groups {
    let settings = Settings {
        name: "groups",
        queue: 16,
        write_timeout: Duration::from_secs(5),
        compression: Compression::new(codec),
        load_chunk_bytes: 1 << 20,
        load_retry: Duration::from_secs(1),
    };
    Coordinator::new(&Env::os(), settings, Arc::new(GroupConfigs::default()), MetadataImage::empty())
}

async fn elected(groups: &Groups, log: Arc<MemoryLog>) {
    groups.elected(0, log);
    while !groups.is_active(0) {
        tokio::task::yield_now().await;
    }
}

fn commit(offset: i64) -> Command {
    commit_of("g", -1, offset)
}

fn commit_of(group: &str, generation: i32, offset: i64) -> Command {
    let one = CommitPartition { index: 0, offset, leader_epoch: -1, metadata: "".into() };
    Command::Commit(OffsetCommit {
        producer: None,
        group: group.into(),
        generation,
        member: "".into(),
        instance_id: None,
        retention_ms: -1,
        topics: vec![CommitTopic { name: "t".into(), id: TopicId::NIL, partitions: vec![one] }],
        knows_member_epochs: true,
    })
}

async fn fetched(groups: &Groups) -> i64 {
    let fetch = OffsetFetch {
        group: "g".into(),
        member: None,
        member_epoch: -1,
        topics: Some(vec![FetchTopic { name: "t".into(), id: TopicId::NIL, partitions: vec![0] }]),
        require_stable: false,
    };
    match groups.request(0, Command::Fetch(fetch)).await {
        Ok(Reply::Fetch(Ok(topics))) => topics[0].partitions[0].offset,
        other => panic!("{other:?}"),
    }
}

fn join() -> Command {
    Command::Join(Join {
        group: "g".into(),
        member: "".into(),
        instance_id: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: Bytes::new() }],
        requires_known_member_id: false,
        can_skip_assignment: true,
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_found_again_by_the_next_leader() {
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        let first = groups(codec);
        assert_eq!(first.request(0, commit(1)).await, Err(Refused::NotCoordinator));
        let log = Arc::new(MemoryLog::new(0));
        elected(&first, log.clone()).await;
        for offset in 1..=5 {
            assert!(matches!(first.request(0, commit(offset)).await, Ok(Reply::Commit(Ok(_)))));
        }
        assert_eq!(fetched(&first).await, 5);
        first.resigned(0, Some(1));
        assert_eq!(first.request(0, commit(9)).await, Err(Refused::NotCoordinator));
        let second = groups(codec);
        elected(&second, Arc::new(log.led_again(1))).await;
        assert_eq!(fetched(&second).await, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_unknown_types_and_damaged_ones_do_not_keep_a_partition_from_loading() {
    let log = Arc::new(MemoryLog::new(0));
    let first = groups(Codec::None);
    elected(&first, log.clone()).await;
    first.request(0, commit(1)).await.unwrap();
    first.resigned(0, Some(1));
    let mut strange = crate::wire::records::BatchBuilder::new(0);
    // A type of some later version; an offset of a version that there is not; a key too short for a type; no key.
    strange.append(0, Some(&[0, 99, 1, 2, 3]), Some(&[7]));
    strange.append(0, Some(&[0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 0]), Some(&[0, 77, 1]));
    strange.append(0, Some(&[0]), None);
    strange.append(0, None, Some(&[1]));
    log.append(strange.finish(), Verification::default()).unwrap();
    let mut hard = <GroupShard as crate::coordinator::shard::Shard>::Hard::default();
    let loaded = loader::load::<GroupShard>(&*log, 1 << 20, &mut hard).await.unwrap();
    assert_eq!((loaded.records, loaded.ignored, loaded.unreadable), (1, 1, 3));
    let second = groups(Codec::None);
    elected(&second, Arc::new(log.led_again(1))).await;
    assert_eq!(fetched(&second).await, 1);
    second.request(0, commit(2)).await.unwrap();
    assert_eq!(fetched(&second).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_what_was_not_synced_is_led_on() {
    let first = groups(Codec::None);
    let log = Arc::new(MemoryLog::new(0));
    elected(&first, log.clone()).await;
    assert!(matches!(first.request(0, commit(7)).await, Ok(Reply::Commit(Ok(_)))));
    let again = Arc::new(log.led_again(1));
    // Its first segment came back empty and the next one, which begins at the end, as it was.
    again.empty();
    let second = groups(Codec::None);
    elected(&second, again).await;
    assert_eq!(fetched(&second).await, -1);
    assert!(matches!(second.request(0, commit(1)).await, Ok(Reply::Commit(Ok(_)))));
    assert_eq!(fetched(&second).await, 1);
}

#[tokio::test(start_paused = true)]
async fn no_reply_leaves_before_what_it_saw_is_replicated() {
    let groups = groups(Codec::None);
    let log = Arc::new(MemoryLog::new(0));
    log.replicates.store(false, Ordering::Relaxed);
    elected(&groups, log.clone()).await;
    let (writer, reader) = (groups.clone(), groups.clone());
    let mut write = Box::pin(async move { writer.request(0, commit(7)).await });
    let mut read = Box::pin(async move { fetched(&reader).await });
    let brief = Duration::from_millis(100);
    assert!(tokio::time::timeout(brief, &mut write).await.is_err(), "the write waits");
    assert!(tokio::time::timeout(brief, &mut read).await.is_err(), "and so does who reads it");
    // A second write is decided while the first waits.
    let more = groups.clone();
    let mut second = Box::pin(async move { more.request(0, commit(8)).await });
    assert!(tokio::time::timeout(brief, &mut second).await.is_err());
    assert_eq!(log.end_offset(), 2);
    log.replicate();
    assert!(matches!(write.await, Ok(Reply::Commit(Ok(_)))));
    assert_eq!(read.await, 7);
    assert!(matches!(second.await, Ok(Reply::Commit(Ok(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_not_replicated_in_time_is_refused() {
    let groups = groups(Codec::None);
    let log = Arc::new(MemoryLog::new(0));
    log.replicates.store(false, Ordering::Relaxed);
    elected(&groups, log).await;
    let began = tokio::time::Instant::now();
    assert_eq!(groups.request(0, commit(7)).await, Err(Refused::TimedOut));
    assert_eq!(began.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_append_that_fails_changes_nothing() {
    let groups = groups(Codec::None);
    let log = Arc::new(MemoryLog::new(0));
    elected(&groups, log.clone()).await;
    groups.request(0, commit(1)).await.unwrap();
    // Both pass: a shard that gave up for them would never be elected again.
    for (at, passing) in [(10, AppendError::NotEnoughReplicas), (20, AppendError::Full)] {
        let before = fetched(&groups).await;
        *log.fail.lock() = Some(passing);
        assert_eq!(groups.request(0, commit(at)).await, Err(Refused::NotAvailable));
        assert_eq!(fetched(&groups).await, before);
        *log.fail.lock() = None;
        groups.request(0, commit(at + 1)).await.unwrap();
        assert_eq!(fetched(&groups).await, at + 1);
    }
    *log.fail.lock() = Some(AppendError::NotLeader);
    assert_eq!(groups.request(0, commit(4)).await, Err(Refused::NotCoordinator));
    assert_eq!(groups.request(0, commit(5)).await, Err(Refused::NotCoordinator));
}

#[tokio::test(start_paused = true)]
async fn time_completes_a_round_and_lost_leadership_refuses_who_waits() {
    let groups = groups(Codec::None);
    elected(&groups, Arc::new(MemoryLog::new(0))).await;
    let began = tokio::time::Instant::now();
    let Ok(Reply::Join(joined)) = groups.request(0, join()).await else { panic!("joins") };
    assert_eq!((joined.error, joined.generation), (ErrorCode::None, 1));
    assert_eq!(began.elapsed().as_secs(), 3, "the first round's delay");
    let waiting = groups.clone();
    let mut second = Box::pin(async move { waiting.request(0, join()).await });
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut second).await.is_err());
    groups.resigned(0, None);
    assert_eq!(second.await, Err(Refused::NotCoordinator));
}

/// Requests all at once, or each when the one before is answered. Gives back what was answered and what the log says.
fn answers(commands: &[(u8, u8)], at_once: bool, fails: bool) -> (Vec<String>, String, usize) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let groups = groups(Codec::None);
        let log = Arc::new(MemoryLog::new(0));
        elected(&groups, log.clone()).await;
        groups.request(0, commit_of("group 0", -1, 77)).await.unwrap();
        let before = log.batches();
        *log.fail.lock() = fails.then_some(AppendError::Full);
        let command = |i: usize| {
            let (kind, group) = commands[i];
            let group = format!("group {}", group % 4);
            match kind % 10 {
                0 => Command::Delete(vec![group.as_str().into()]),
                1 => Command::DeleteOffsets(OffsetDelete {
                    group: group.as_str().into(),
                    topics: vec![("t".into(), vec![0])],
                }),
                2 => commit_of(&group, 5, i as i64),
                3 => Command::List(ListGroups::default()),
                _ => commit_of(&group, -1, i as i64),
            }
        };
        let one = |i: usize| {
            let (groups, command) = (groups.clone(), command(i));
            async move { format!("{:?}", groups.request(0, command).await) }
        };
        let mut answers = Vec::new();
        if at_once {
            // The queue is full before the shard's task runs.
            answers = futures_util::future::join_all((0..commands.len()).map(one)).await;
        } else {
            for i in 0..commands.len() {
                answers.push(one(i).await);
            }
        }
        let mut hard = <GroupShard as crate::coordinator::shard::Shard>::Hard::default();
        loader::load::<GroupShard>(&*log, 1 << 20, &mut hard).await.unwrap();
        let mut found = String::new();
        for (group, topics) in hard.offsets.iter() {
            for (topic, partitions) in topics {
                let offsets: Vec<_> = partitions.iter().map(|(i, o)| (i, o.offset, o.at)).collect();
                found += &format!("{group} {topic} {offsets:?}, ");
            }
        }
        found += &format!("{:?}", hard.groups.keys());
        (answers, found, log.batches() - before)
    })
}

proptest::proptest! {
    #[test]
    fn commits_that_share_an_append_come_to_the_same(
        commands in proptest::collection::vec((proptest::num::u8::ANY, proptest::num::u8::ANY), 0..40),
        fails in proptest::bool::weighted(0.1),
    ) {
        let (one_by_one, at_once) = (answers(&commands, false, fails), answers(&commands, true, fails));
        proptest::prop_assert_eq!(one_by_one.0, at_once.0);
        proptest::prop_assert_eq!(one_by_one.1, at_once.1);
        proptest::prop_assert!(at_once.2 <= one_by_one.2);
    }
}

#[test]
fn commits_that_are_queued_together_share_an_append() {
    let commits = [(9, 0); 12];
    assert_eq!(answers(&commits, false, false).2, 12);
    assert_eq!(answers(&commits, true, false).2, 1);
}

#[tokio::test]
async fn what_may_be_old_is_not_said() {
    let groups = groups(Codec::None);
    let log = Arc::new(MemoryLog::new(1));
    elected(&groups, log.clone()).await;
    assert!(groups.request(0, commit(5)).await.is_ok());
    log.certain.store(false, Ordering::Relaxed);
    assert_eq!(groups.request(0, commit(6)).await.err(), Some(Refused::NotCoordinator));
    let fetch = OffsetFetch {
        group: "g".into(),
        member: None,
        member_epoch: -1,
        topics: None,
        require_stable: false,
    };
    assert_eq!(groups.request(0, Command::Fetch(fetch)).await.err(), Some(Refused::NotCoordinator));
    log.certain.store(true, Ordering::Relaxed);
    assert_eq!(fetched(&groups).await, 6, "written, though nobody was told");
}

fn in_transaction(producer: i64, offset: i64) -> Command {
    let Command::Commit(commit) = commit(offset) else { unreachable!("a commit") };
    Command::Commit(OffsetCommit { producer: Some(Producer { id: producer, epoch: 0 }), ..commit })
}

/// What is committed, as far as no transaction may replace it.
async fn stable(groups: &Groups) -> Result<i64, ErrorCode> {
    let fetch = OffsetFetch {
        group: "g".into(),
        member: None,
        member_epoch: -1,
        topics: Some(vec![FetchTopic { name: "t".into(), id: TopicId::NIL, partitions: vec![0] }]),
        require_stable: true,
    };
    match groups.request(0, Command::Fetch(fetch)).await {
        Ok(Reply::Fetch(Ok(topics))) => match topics[0].partitions[0].error {
            ErrorCode::None => Ok(topics[0].partitions[0].offset),
            error => Err(error),
        },
        other => panic!("{other:?}"),
    }
}

fn end(producer_id: i64, commit: bool) -> TxnEnd {
    let marker = EndTxnMarker { commit, coordinator_epoch: 0 };
    TxnEnd { producer_id, producer_epoch: 0, marker, txn_version: 0 }
}

#[tokio::test(start_paused = true)]
async fn offsets_of_a_transaction_count_once_it_commits() {
    let log = Arc::new(MemoryLog::new(0));
    let first = groups(Codec::Zstd);
    assert_eq!(first.end_transaction(0, end(7, true)).await.err(), Some(Refused::NotCoordinator));
    elected(&first, log.clone()).await;
    first.request(0, commit(1)).await.unwrap();
    let guard = Verification { is_required: true, guard: None };
    first.request_verified(0, in_transaction(7, 10), guard).await.unwrap();
    assert_eq!(*log.last_verification.lock(), guard);
    first.request(0, in_transaction(8, 20)).await.unwrap();
    assert_eq!(*log.last_verification.lock(), Verification::default());
    assert_eq!((fetched(&first).await, stable(&first).await), (1, Err(ErrorCode::UnstableOffsetCommit)));
    // The next leader finds it so.
    first.resigned(0, Some(1));
    let second = groups(Codec::None);
    let log = Arc::new(log.led_again(1));
    elected(&second, log.clone()).await;
    assert_eq!((fetched(&second).await, stable(&second).await), (1, Err(ErrorCode::UnstableOffsetCommit)));
    let ended = second.end_transaction(0, end(8, false)).await.unwrap().await.unwrap();
    assert_eq!(ended, Ok(()));
    assert_eq!((fetched(&second).await, stable(&second).await), (1, Err(ErrorCode::UnstableOffsetCommit)));
    let ended = second.end_transaction(0, end(7, true)).await.unwrap().await.unwrap();
    assert_eq!(ended, Ok(()));
    assert_eq!((fetched(&second).await, stable(&second).await), (10, Ok(10)));
    second.resigned(0, Some(2));
    let third = groups(Codec::None);
    elected(&third, Arc::new(log.led_again(2))).await;
    assert_eq!(stable(&third).await, Ok(10));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_transaction_keeps_its_place_and_is_told_once_it_is_replicated() {
    let log = Arc::new(MemoryLog::new(0));
    let groups = groups(Codec::None);
    elected(&groups, log.clone()).await;
    groups.request(0, in_transaction(7, 10)).await.unwrap();
    log.replicates.store(false, Ordering::Relaxed);
    // Queued at once, a commit behind the end of the transaction counts as the later one.
    let ended = groups.end_transaction(0, end(7, true)).await.unwrap();
    let mut later = std::pin::pin!(groups.request(0, commit(11)));
    assert!(tokio::time::timeout(Duration::from_secs(1), later.as_mut()).await.is_err());
    let mut ended = std::pin::pin!(ended);
    assert!(tokio::time::timeout(Duration::from_millis(1), ended.as_mut()).await.is_err());
    log.replicate();
    assert_eq!(ended.await.unwrap(), Ok(()));
    assert!(matches!(later.await, Ok(Reply::Commit(Ok(_)))));
    log.replicates.store(true, Ordering::Relaxed);
    assert_eq!(stable(&groups).await, Ok(11));

    // A marker that the log refuses changes nothing, and ends nothing.
    groups.request(0, in_transaction(7, 12)).await.unwrap();
    *log.fail.lock() = Some(AppendError::Producer(ErrorCode::InvalidProducerEpoch));
    let refused = groups.end_transaction(0, end(7, true)).await.unwrap().await.unwrap();
    assert_eq!(refused, Err(Refused::Producer(ErrorCode::InvalidProducerEpoch)));
    let refused = groups.request(0, in_transaction(7, 13)).await;
    assert_eq!(refused, Err(Refused::Producer(ErrorCode::InvalidProducerEpoch)));
    *log.fail.lock() = None;
    assert_eq!((fetched(&groups).await, stable(&groups).await), (11, Err(ErrorCode::UnstableOffsetCommit)));
}
