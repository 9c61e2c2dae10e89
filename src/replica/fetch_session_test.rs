use super::*;

const CONSUMER: Fetcher = Fetcher { uses_topic_ids: false, is_follower: false };
const FOLLOWER: Fetcher = Fetcher { uses_topic_ids: false, is_follower: true };

fn key(partition: PartitionIndex) -> FetchKey {
    FetchKey { topic_id: TopicId::NIL, topic: Arc::from("t"), partition }
}

fn wanted(fetch_offset: Offset) -> Wanted {
    Wanted {
        fetch_offset,
        log_start_offset: -1,
        max_bytes: 1 << 20,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        synced_end_offset: None,
    }
}

fn told(high_watermark: Offset, record_bytes: u64) -> Told {
    Told { high_watermark, log_start_offset: 0, record_bytes, has_news: false }
}

fn begin(sessions: &mut Sessions, partitions: i32, now: Ms) -> i32 {
    begin_as(CONSUMER, sessions, partitions, now)
}

fn begin_as(fetcher: Fetcher, sessions: &mut Sessions, partitions: i32, now: Ms) -> i32 {
    let added = (0..partitions).map(|p| (key(p), wanted(0)));
    match sessions.plan(0, INITIAL_EPOCH, fetcher, added, std::iter::empty(), now) {
        Plan::Full(id) => id,
        other => panic!("a first fetch is full, not {other:?}"),
    }
}

fn next(sessions: &mut Sessions, id: i32, epoch: i32) -> Plan {
    sessions.plan(id, epoch, CONSUMER, std::iter::empty(), std::iter::empty(), 1)
}

fn order(sessions: &mut Sessions, id: i32) -> Vec<PartitionIndex> {
    sessions.get_mut(id).unwrap().wanted().map(|(key, _)| key.partition).collect()
}

#[test]
fn a_session_answers_only_news() {
    let mut sessions = Sessions::new(10, Rng::new(1));
    let id = begin(&mut sessions, 2, 0);
    assert!(id > 0);
    let session = sessions.get_mut(id).unwrap();
    assert!(session.is_news(&key(0), &told(0, 0)), "the first answer is always news");
    session.tell(&key(0), &told(0, 0));
    assert!(!session.is_news(&key(0), &told(0, 0)));
    assert!(session.is_news(&key(0), &told(1, 0)), "the high watermark has moved");
    assert!(session.is_news(&key(0), &Told { log_start_offset: 1, ..told(0, 0) }));
    assert!(session.is_news(&key(0), &told(0, 10)));
    let failed = Told { has_news: true, ..told(0, 0) };
    session.tell(&key(0), &failed);
    assert!(session.is_news(&key(0), &told(0, 0)), "that an error is over is news");
}

#[test]
fn epochs_are_checked_and_wrap_to_one() {
    let mut sessions = Sessions::new(10, Rng::new(1));
    let id = begin(&mut sessions, 1, 0);
    assert!(matches!(next(&mut sessions, id, 2), Plan::Refused(ErrorCode::InvalidFetchSessionEpoch)));
    assert!(matches!(next(&mut sessions, id, 1), Plan::Incremental(_)));
    assert!(matches!(next(&mut sessions, id + 1, 1), Plan::Refused(ErrorCode::FetchSessionIdNotFound)));
    sessions.get_mut(id).unwrap().epoch = i32::MAX;
    assert!(matches!(next(&mut sessions, id, i32::MAX), Plan::Incremental(_)));
    assert!(matches!(next(&mut sessions, id, 1), Plan::Incremental(_)));
}

#[test]
fn ids_and_names_do_not_mix() {
    let mut sessions = Sessions::new(10, Rng::new(1));
    let id = begin(&mut sessions, 1, 0);
    let by_id = Fetcher { uses_topic_ids: true, ..CONSUMER };
    let plan = sessions.plan(id, 1, by_id, std::iter::empty(), std::iter::empty(), 1);
    assert!(matches!(plan, Plan::Refused(ErrorCode::FetchSessionTopicIdError)));
}

#[test]
fn partitions_with_data_take_turns() {
    let mut sessions = Sessions::new(10, Rng::new(1));
    let id = begin(&mut sessions, 3, 0);
    assert_eq!(order(&mut sessions, id), [0, 1, 2]);
    sessions.get_mut(id).unwrap().tell(&key(0), &told(5, 100));
    assert_eq!(order(&mut sessions, id), [1, 2, 0]);
    sessions.get_mut(id).unwrap().tell(&key(2), &told(5, 0));
    assert_eq!(order(&mut sessions, id), [1, 2, 0]);
}

#[test]
fn a_session_without_partitions_ends() {
    let mut sessions = Sessions::new(10, Rng::new(1));
    let id = begin(&mut sessions, 1, 0);
    let plan = sessions.plan(id, 1, CONSUMER, std::iter::empty(), std::iter::once(key(0)), 1);
    assert!(matches!(plan, Plan::Sessionless));
    assert!(sessions.is_empty());
    let id = begin(&mut sessions, 1, 0);
    assert!(matches!(next(&mut sessions, id, FINAL_EPOCH), Plan::Sessionless));
    assert!(sessions.is_empty());
}

#[test]
fn only_sessions_long_unused_lose_their_place() {
    let mut sessions = Sessions::new(2, Rng::new(1));
    let first = begin(&mut sessions, 1, 0);
    let second = begin(&mut sessions, 1, 10);
    assert_eq!(begin(&mut sessions, 1, EVICTION_MS_MIN), 0, "both are in use");
    let third = begin(&mut sessions, 1, EVICTION_MS_MIN + 1);
    assert!(third > 0);
    assert!(sessions.get_mut(first).is_none());
    assert!(sessions.get_mut(second).is_some());
    assert_eq!(sessions.len(), 2);
}

#[test]
fn consumers_make_room_for_followers() {
    let mut sessions = Sessions::new(2, Rng::new(1));
    let consumer = begin(&mut sessions, 1, 0);
    let follower = begin_as(FOLLOWER, &mut sessions, 1, 10);
    let other = begin_as(FOLLOWER, &mut sessions, 1, 20);
    assert!(follower > 0 && other > 0 && sessions.get_mut(consumer).is_none());
    assert_eq!(begin_as(FOLLOWER, &mut sessions, 1, 30), 0, "followers do not drive each other out");
    assert_eq!(begin(&mut sessions, 1, 30), 0);
    assert_eq!(sessions.len(), 2);
}
