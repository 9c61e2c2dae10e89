use std::collections::BTreeMap;

use super::*;
use crate::coordinator::share::state::overlay;
use crate::types::{ErrorCode, Rng};

const LIMITS: Limits = Limits { lock_ms: 100, deliveries_max: 3, records_max: 200, has_dead_letters: false };

fn fresh(start: Offset) -> ShareState {
    ShareState::load(0, 1, start, &[]).expect("an empty state")
}

fn batches(of: &[(Offset, Offset)]) -> Vec<Fetched> {
    of.iter().map(|&(first, last)| Fetched { first, last, is_void: false }).collect()
}

/// Acquires for `member` out of a log with batches `log`.
fn acquire(
    state: &mut ShareState,
    member: &str,
    log: &[(Offset, Offset)],
    records_max: i64,
    mode: Mode,
    now: Ms,
) -> Vec<(Offset, Offset, i16)> {
    let from = state.next_fetch_offset();
    let fetched: Vec<_> = batches(log).into_iter().filter(|batch| batch.last >= from).collect();
    let member = MemberId::from(member);
    let ask = Acquire { member: &member, from, fetched: &fetched, records_max, batch_records: 10, mode };
    state.acquire(&ask, now, &LIMITS).iter().map(|a| (a.first, a.last, a.count)).collect()
}

fn ack(first: Offset, last: Offset, kind: AckType) -> AckBatch {
    AckBatch { first, last, types: vec![kind] }
}

fn keep(state: &mut ShareState) -> StateWrite {
    let write = state.begin_write().expect("something to write");
    assert!(state.begin_write().is_none(), "one at a time");
    assert!(state.end_write(Ok(())).iter().all(|(_, outcome)| outcome.is_ok()));
    write
}

const LOG: &[(Offset, Offset)] = &[(0, 4), (5, 9), (10, 19), (20, 29)];

#[test]
fn batches_stay_whole_unless_records_are_counted() {
    let mut state = fresh(0);
    assert_eq!(acquire(&mut state, "a", LOG, 7, Mode::BatchOptimized, 0), [(0, 9, 1)]);
    assert_eq!(acquire(&mut state, "b", LOG, 7, Mode::RecordLimit, 0), [(10, 16, 1)]);
    assert_eq!(acquire(&mut state, "b", LOG, 7, Mode::RecordLimit, 0), [(17, 23, 1)], "over batches");
    assert_eq!(acquire(&mut state, "a", LOG, 7, Mode::BatchOptimized, 0), [(24, 29, 1)]);
    assert_eq!(acquire(&mut state, "a", LOG, 7, Mode::BatchOptimized, 0), [], "there is no more");
}

#[test]
fn ranges_begin_anew_at_batches_once_they_are_large_enough() {
    let mut state = fresh(0);
    let acquired = acquire(&mut state, "a", LOG, 100, Mode::BatchOptimized, 0);
    assert_eq!(acquired, [(0, 9, 1), (10, 19, 1), (20, 29, 1)]);
}

#[test]
fn what_is_accepted_moves_the_start_once_it_is_kept() {
    let mut state = fresh(0);
    acquire(&mut state, "a", LOG, 10, Mode::BatchOptimized, 0);
    let id = state.acknowledge("a", &[ack(0, 4, AckType::Accept)], 0, &LIMITS).expect("held");
    assert!(id.is_some());
    assert_eq!(state.start(), 0);
    let again = state.acknowledge("a", &[ack(0, 4, AckType::Accept)], 0, &LIMITS);
    assert_eq!(again, Err(ErrorCode::InvalidRecordState), "it is under way");
    let write = keep(&mut state);
    assert_eq!((write.start, write.delivery_complete_count, write.batches), (5, 0, vec![]));
    assert_eq!(state.start(), 5);
    let late = state.acknowledge("a", &[ack(0, 4, AckType::Accept)], 0, &LIMITS);
    assert_eq!(late, Ok(None), "what is done is done");
    state.acknowledge("a", &[ack(7, 8, AckType::Accept)], 0, &LIMITS).expect("held");
    let write = keep(&mut state);
    assert_eq!((write.start, write.delivery_complete_count), (5, 2));
    assert_eq!(write.batches, [StateBatch { first: 7, last: 8, state: 2, count: 1 }]);
}

#[test]
fn only_holders_acknowledge_and_all_or_nothing() {
    let mut state = fresh(0);
    acquire(&mut state, "a", LOG, 5, Mode::BatchOptimized, 0);
    acquire(&mut state, "b", LOG, 5, Mode::BatchOptimized, 0);
    let of_others = [ack(0, 4, AckType::Accept), ack(5, 5, AckType::Accept)];
    assert_eq!(state.acknowledge("a", &of_others, 0, &LIMITS), Err(ErrorCode::InvalidRecordState));
    assert!(state.begin_write().is_none(), "nothing of it has happened");
    let beyond = state.acknowledge("b", &[ack(5, 10, AckType::Accept)], 0, &LIMITS);
    assert_eq!(beyond, Err(ErrorCode::InvalidRequest));
    let disorder = [ack(5, 6, AckType::Accept), ack(6, 7, AckType::Accept)];
    assert_eq!(state.acknowledge("b", &disorder, 0, &LIMITS), Err(ErrorCode::InvalidRequest));
}

#[test]
fn released_records_come_back_until_the_limit() {
    let mut state = fresh(0);
    for count in 1..=3 {
        let got = acquire(&mut state, "a", &[(0, 0)], 5, Mode::BatchOptimized, 0);
        assert_eq!(got, [(0, 0, count)]);
        state.acknowledge("a", &[ack(0, 0, AckType::Release)], 0, &LIMITS).expect("held");
        keep(&mut state);
    }
    assert_eq!((state.start(), state.end()), (1, 1), "it is given up");
}

#[test]
fn locks_run_out_unless_they_are_renewed() {
    let mut state = fresh(0);
    acquire(&mut state, "a", LOG, 10, Mode::BatchOptimized, 0);
    assert_eq!(state.next_deadline(), Some(100));
    assert_eq!(state.acknowledge("a", &[ack(5, 9, AckType::Renew)], 60, &LIMITS), Ok(None));
    assert!(state.on_deadline(100, &LIMITS));
    assert_eq!(state.next_deadline(), Some(160));
    let late = state.acknowledge("a", &[ack(0, 4, AckType::Accept)], 100, &LIMITS);
    assert_eq!(late, Err(ErrorCode::InvalidRecordState));
    assert_eq!(acquire(&mut state, "b", LOG, 5, Mode::BatchOptimized, 100), [(0, 4, 2)]);
}

#[test]
fn what_a_member_held_that_went_away_counts_as_not_delivered() {
    let mut state = fresh(0);
    acquire(&mut state, "a", LOG, 5, Mode::BatchOptimized, 0);
    acquire(&mut state, "b", LOG, 5, Mode::BatchOptimized, 0);
    assert!(state.release_member("a", &LIMITS));
    assert!(!state.release_member("a", &LIMITS));
    assert_eq!(acquire(&mut state, "b", LOG, 5, Mode::BatchOptimized, 0), [(0, 4, 1)]);
}

#[test]
fn records_on_their_last_delivery_come_alone() {
    let mut state = fresh(0);
    for _ in 0..2 {
        acquire(&mut state, "a", LOG, 5, Mode::BatchOptimized, 0);
        state.on_deadline(1000, &LIMITS);
    }
    assert_eq!(acquire(&mut state, "a", LOG, 5, Mode::BatchOptimized, 0), [(0, 0, 3)]);
    assert_eq!(acquire(&mut state, "a", LOG, 5, Mode::BatchOptimized, 0), [(1, 1, 3)]);
}

#[test]
fn no_more_is_brought_in_than_may_be_in_flight() {
    let limits = Limits { records_max: 10, ..LIMITS };
    let mut state = fresh(0);
    let member = MemberId::from("a");
    let fetched = batches(LOG);
    let ask = |state: &ShareState| Acquire {
        member: &member,
        from: state.next_fetch_offset(),
        fetched: &fetched,
        records_max: 100,
        batch_records: 100,
        mode: Mode::RecordLimit,
    };
    let first = ask(&state);
    assert_eq!(state.acquire(&first, 0, &limits), [Acquired { first: 0, last: 9, count: 1 }]);
    assert!(!state.can_acquire(&limits));
    state.acknowledge("a", &[ack(3, 4, AckType::Release)], 0, &limits).expect("held");
    keep(&mut state);
    assert!(state.can_acquire(&limits), "what came back is in flight already");
    let again = ask(&state);
    assert_eq!(state.acquire(&again, 0, &limits), [Acquired { first: 3, last: 4, count: 2 }]);
}

#[test]
fn gaps_of_the_log_are_nobodys() {
    let mut state = fresh(0);
    let got = acquire(&mut state, "a", &[(3, 4), (8, 9)], 100, Mode::BatchOptimized, 0);
    assert_eq!(got, [(3, 4, 1), (8, 9, 1)]);
    assert_eq!(state.start(), 3);
    state.on_deadline(1000, &LIMITS);
    // Compaction has taken the first batch meanwhile.
    assert_eq!(acquire(&mut state, "a", &[(8, 9)], 100, Mode::BatchOptimized, 0), [(8, 9, 2)]);
    assert_eq!(state.start(), 8);
}

#[test]
fn void_batches_are_passed_over() {
    let mut state = fresh(0);
    let member = MemberId::from("a");
    let fetched = [
        Fetched { first: 0, last: 4, is_void: true },
        Fetched { first: 5, last: 6, is_void: false },
        Fetched { first: 7, last: 7, is_void: true },
    ];
    let ask = Acquire {
        member: &member,
        from: 0,
        fetched: &fetched,
        records_max: 100,
        batch_records: 100,
        mode: Mode::BatchOptimized,
    };
    assert_eq!(state.acquire(&ask, 0, &LIMITS), [Acquired { first: 5, last: 6, count: 1 }]);
    assert_eq!((state.start(), state.end()), (5, 8));
}

#[test]
fn the_log_start_takes_everything_before_it_along() {
    let mut state = fresh(0);
    acquire(&mut state, "a", LOG, 10, Mode::BatchOptimized, 0);
    let id = state.acknowledge("a", &[ack(0, 4, AckType::Accept)], 0, &LIMITS).expect("held");
    state.log_start_moved(7);
    assert_eq!((state.start(), state.end()), (7, 10));
    let write = state.begin_write().expect("the start has moved");
    assert_eq!(write.start, 7);
    assert_eq!(state.end_write(Ok(())), [(id.expect("one"), Ok(()))], "who waits is told");
    state.log_start_moved(50);
    assert_eq!((state.start(), state.end()), (50, 50));
}

#[test]
fn a_write_that_failed_is_followed_by_one_of_everything() {
    let mut state = fresh(0);
    acquire(&mut state, "a", LOG, 10, Mode::BatchOptimized, 0);
    let id = state.acknowledge("a", &[ack(2, 2, AckType::Accept)], 0, &LIMITS).expect("held").expect("one");
    state.begin_write().expect("due");
    let error = ErrorCode::CoordinatorNotAvailable;
    assert_eq!(state.end_write(Err(error)), [(id, Err(error))]);
    let write = keep(&mut state);
    assert_eq!(write.batches, [StateBatch { first: 0, last: 9, state: 0, count: 1 }]);
    state.acknowledge("a", &[ack(2, 2, AckType::Accept)], 0, &LIMITS).expect("it is held as before");
}

#[test]
fn rejected_records_go_to_the_dead_letter_queue() {
    let limits = Limits { has_dead_letters: true, ..LIMITS };
    let mut state = fresh(0);
    acquire(&mut state, "a", LOG, 5, Mode::BatchOptimized, 0);
    state.acknowledge("a", &[ack(0, 1, AckType::Reject)], 0, &limits).expect("held");
    assert!(state.take_dead_letters().is_empty(), "not before that is kept");
    let write = keep(&mut state);
    assert_eq!(write.batches, [StateBatch { first: 0, last: 1, state: 3, count: 1 }]);
    let letter = DeadLetter { first: 0, last: 1, count: 1, cause: Cause::Rejected };
    assert_eq!(state.take_dead_letters(), [letter]);
    assert!(state.take_dead_letters().is_empty(), "each once");
    assert_eq!(state.start(), 0);
    // Another leader takes over in between.
    let mut other = ShareState::load(0, 2, 0, &write.batches).expect("sensible");
    assert_eq!(other.take_dead_letters(), [letter]);
    state.dead_letter_done(0, 1);
    assert_eq!(state.start(), 2);
    assert_eq!(keep(&mut state).start, 2);
}

#[test]
fn states_that_make_no_sense_are_refused() {
    let batch = |first, last, state| StateBatch { first, last, state, count: 1 };
    for bad in [
        vec![batch(0, 5, 0), batch(5, 6, 0)],
        vec![batch(5, 4, 0)],
        vec![batch(0, 1, 1)],
        vec![batch(0, Offset::MAX, 0)],
    ] {
        assert!(ShareState::load(0, 0, 0, &bad).is_err(), "{bad:?}");
    }
    let state = ShareState::load(0, 0, 3, &[batch(0, 5, 2), batch(8, 9, 0)]).expect("sensible");
    assert_eq!((state.start(), state.end(), state.next_fetch_offset()), (6, 10, 6));
}

/// The coordinator, as far as it matters here.
#[derive(Default)]
struct Kept {
    start: Offset,
    batches: Vec<StateBatch>,
}

impl Kept {
    fn take(&mut self, write: &StateWrite) {
        self.start = write.start;
        overlay(&mut self.batches, &write.batches, self.start);
    }
}

/// What the members were told, and have said.
#[derive(Default, Clone)]
struct Told {
    deliveries: i16,
    accepted_for_good: bool,
    said_enough: bool,
}

const RECORDS: Offset = 60;

/// Members that acquire, acknowledge, forget and vanish, writes that fail or get lost after they were carried out, and leaders
/// that change: no record is lost, none that was accepted for good comes again, and none comes more often than it may.
#[test]
fn every_record_is_accepted_or_delivered_again_whatever_happens() {
    for seed in 0..300 {
        run(seed);
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let log: Vec<(Offset, Offset)> = {
        let mut at = 0;
        let mut log = Vec::new();
        while at < RECORDS {
            let last = (at + rng.below(7) as Offset).min(RECORDS - 1);
            log.push((at, last));
            at = last + 1;
        }
        log
    };
    let limits = Limits { records_max: 20 + rng.below(50) as i64, ..LIMITS };
    let mut kept = Kept::default();
    let mut state = ShareState::load(0, 0, 0, &[]).expect("sensible");
    let mut told: Vec<Told> = vec![Told::default(); RECORDS as usize];
    let mut acks: BTreeMap<AckId, Vec<(Offset, AckType)>> = BTreeMap::new();
    let mut held: BTreeMap<(usize, Offset), ()> = BTreeMap::new();
    let mut now: Ms = 0;
    let mut pending: Option<StateWrite> = None;
    let mut epoch = 0;
    let members: Vec<MemberId> = ["a", "b", "c"].map(MemberId::from).to_vec();
    let mut steps = 0;
    while state.start() < RECORDS {
        steps += 1;
        assert!(steps < 20_000, "seed {seed}: no progress at {}", state.start());
        // After a while everything goes well, and then everything must come to an end.
        let calm = steps > 400;
        let who = rng.below(3) as usize;
        now += rng.below(20) as Ms;
        match rng.below(if calm { 6 } else { 10 }) {
            0 | 1 => {
                let from = state.next_fetch_offset();
                let fetched: Vec<_> = batches(&log).into_iter().filter(|b| b.last >= from).collect();
                let mode = if rng.below(2) == 0 { Mode::BatchOptimized } else { Mode::RecordLimit };
                let records_max = 1 + rng.below(12) as i64;
                let ask = Acquire {
                    member: &members[who],
                    from,
                    fetched: &fetched,
                    records_max,
                    batch_records: 5,
                    mode,
                };
                let got = state.acquire(&ask, now, &limits);
                let records: i64 = got.iter().map(|a| a.last - a.first + 1).sum();
                assert!(mode == Mode::BatchOptimized || records <= records_max, "seed {seed}");
                for range in got {
                    assert!(range.count <= limits.deliveries_max, "seed {seed}: {range:?}");
                    for offset in range.first..=range.last {
                        let record = &mut told[offset as usize];
                        assert!(!record.accepted_for_good, "seed {seed}: {offset} comes again");
                        record.deliveries += 1;
                        held.insert((who, offset), ());
                    }
                }
            }
            2 | 3 => {
                let mine: Vec<Offset> = held.keys().filter(|(of, _)| *of == who).map(|(_, o)| *o).collect();
                let mut said = Vec::new();
                for offset in mine {
                    if rng.below(3) > 0 || calm {
                        let kind = match rng.below(if calm { 2 } else { 6 }) {
                            0..=2 => AckType::Accept,
                            3 => AckType::Release,
                            4 => AckType::Reject,
                            _ => AckType::Renew,
                        };
                        said.push((offset, kind));
                    }
                }
                for (offset, kind) in said {
                    if let Ok(id) =
                        state.acknowledge(&members[who], &[ack(offset, offset, kind)], now, &limits)
                    {
                        if matches!(kind, AckType::Accept | AckType::Reject) {
                            told[offset as usize].said_enough = true;
                        }
                        if let Some(id) = id {
                            acks.entry(id).or_default().push((offset, kind));
                        }
                    }
                    if kind != AckType::Renew {
                        held.remove(&(who, offset));
                    }
                }
            }
            4 => {
                if pending.is_none() {
                    pending = state.begin_write();
                }
            }
            5 => {
                let Some(write) = pending.take() else { continue };
                let fate = if calm { 0 } else { rng.below(4) };
                let outcome = match fate {
                    0 | 1 => Ok(()),
                    _ => Err(ErrorCode::CoordinatorNotAvailable),
                };
                if fate != 3 {
                    kept.take(&write);
                }
                for (id, outcome) in state.end_write(outcome) {
                    for (offset, kind) in acks.remove(&id).unwrap_or_default() {
                        if outcome.is_ok() && kind == AckType::Accept {
                            told[offset as usize].accepted_for_good = true;
                        }
                    }
                }
            }
            6 => {
                state.on_deadline(now, &limits);
            }
            7 => {
                state.release_member(&members[who], &limits);
                held.retain(|(of, _), ()| *of != who);
            }
            8 => now += 60,
            _ => {
                // Another leader. A write under way may have reached the coordinator.
                if let Some(write) = pending.take()
                    && rng.below(2) == 0
                {
                    kept.take(&write);
                }
                epoch += 1;
                acks.clear();
                held.clear();
                state = ShareState::load(0, epoch, kept.start, &kept.batches).expect("sensible");
            }
        }
        if calm {
            // Locks of those who have forgotten what they hold run out.
            now += 20;
            state.on_deadline(now, &limits);
        }
    }
    for (offset, record) in told.iter().enumerate() {
        let given_up = record.deliveries >= limits.deliveries_max;
        assert!(record.said_enough || given_up, "seed {seed}: {offset} is lost: {}", record.deliveries);
    }
    // In the end the coordinator knows what the leader knows.
    if let Some(write) = pending.take() {
        kept.take(&write);
        state.end_write(Ok(()));
    }
    while let Some(write) = state.begin_write() {
        kept.take(&write);
        state.end_write(Ok(()));
    }
    assert_eq!((kept.start, kept.batches.len()), (state.start(), 0), "seed {seed}");
}
