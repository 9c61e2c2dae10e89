//! Producers: retries, fencing, transactions and snapshots.

use proptest::prelude::*;

use super::*;
use crate::wire::control::end_txn_batch;
use crate::wire::records::BatchBuilder;

const DAY: Ms = 86_400_000;

/// A batch of `count` records of producer 1.
fn batch(base_offset: Offset, epoch: ProducerEpoch, sequence: i32, count: i32) -> Vec<u8> {
    build(BatchBuilder::new(base_offset).producer(1, epoch, sequence), count)
}

fn txn_batch(
    base_offset: Offset,
    id: ProducerId,
    epoch: ProducerEpoch,
    sequence: i32,
    count: i32,
) -> Vec<u8> {
    build(BatchBuilder::new(base_offset).producer(id, epoch, sequence).transactional(), count)
}

fn build(mut builder: BatchBuilder, count: i32) -> Vec<u8> {
    for i in 0..count {
        builder.append(1000 + Ms::from(i), None, Some(b"v"));
    }
    builder.finish()
}

fn marker(offset: Offset, id: ProducerId, epoch: ProducerEpoch, commit: bool) -> Vec<u8> {
    end_txn_batch(offset, 0, id, epoch, EndTxnMarker { commit, coordinator_epoch: 3 }, 5000)
}

fn header(bytes: &[u8]) -> BatchHeader<'_> {
    BatchHeader::new(bytes).unwrap()
}

fn check(state: &ProducerState, bytes: &[u8]) -> Result<Verdict, ErrorCode> {
    state.check(header(bytes), AppendOrigin::Client, None, false).map_err(|error| error.code())
}

fn replay(state: &mut ProducerState, bytes: &[u8]) -> Option<CompletedTxn> {
    state.replay(&Batch::first_of(bytes).unwrap()).unwrap()
}

#[test]
fn retries_are_answered_with_their_offsets_and_gaps_refused() {
    let mut state = ProducerState::default();
    for i in 0..7 {
        let bytes = batch(100 + i64::from(i) * 10, 0, i * 10, 10);
        assert_eq!(check(&state, &bytes), Ok(Verdict::Append));
        replay(&mut state, &bytes);
    }
    assert_eq!(state.end_offset(), 170);
    for i in 2..7 {
        let Ok(Verdict::Duplicate(found)) = check(&state, &batch(0, 0, i * 10, 10)) else {
            panic!("batch {i} of the last five is known");
        };
        assert_eq!(found.first_offset(), 100 + i64::from(i) * 10);
        assert_eq!(found.timestamp, 1009);
    }
    // Older than the last five, overlapping, and ahead.
    for (sequence, count) in [(10, 10), (60, 9), (65, 10), (71, 10), (0, 10)] {
        let found = check(&state, &batch(0, 0, sequence, count));
        assert_eq!(found, Err(ErrorCode::OutOfOrderSequenceNumber), "{sequence}");
    }
    assert_eq!(check(&state, &batch(0, 0, 70, 10)), Ok(Verdict::Append));
}

#[test]
fn epochs_fence_and_begin_at_zero() {
    let mut state = ProducerState::default();
    // Unknown producers may begin anywhere.
    assert_eq!(check(&state, &batch(0, 5, 77, 1)), Ok(Verdict::Append));
    replay(&mut state, &batch(0, 5, 77, 1));
    assert_eq!(check(&state, &batch(0, 4, 78, 1)), Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(check(&state, &batch(0, 6, 78, 1)), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(check(&state, &batch(0, 6, 0, 1)), Ok(Verdict::Append));
    replay(&mut state, &batch(1, 6, 0, 1));
    assert_eq!(
        check(&state, &batch(0, 5, 77, 1)),
        Err(ErrorCode::InvalidProducerEpoch),
        "not a duplicate any more"
    );
    let coordinator = state.check(header(&batch(0, 6, -1, 1)), AppendOrigin::Coordinator, None, false);
    assert_eq!(coordinator, Ok(Verdict::Append));
}

#[test]
fn sequences_wrap() {
    let mut state = ProducerState::default();
    replay(&mut state, &batch(0, 0, i32::MAX - 4, 10));
    let entry = state.producer(1).unwrap();
    assert_eq!(entry.last_sequence(), 4);
    assert_eq!(entry.last_batch().unwrap().first_sequence(), i32::MAX - 4);
    assert!(matches!(check(&state, &batch(0, 0, i32::MAX - 4, 10)), Ok(Verdict::Duplicate(_))));
    assert_eq!(check(&state, &batch(0, 0, 5, 10)), Ok(Verdict::Append));
    let mut state = ProducerState::default();
    replay(&mut state, &batch(0, 0, i32::MAX, 1));
    assert_eq!(check(&state, &batch(0, 0, 0, 1)), Ok(Verdict::Append));
    assert_eq!(check(&state, &batch(0, 0, 1, 1)), Err(ErrorCode::OutOfOrderSequenceNumber));
}

#[test]
fn transactions_hold_the_last_stable_offset() {
    let mut state = ProducerState::default();
    replay(&mut state, &txn_batch(10, 1, 0, 0, 5));
    replay(&mut state, &txn_batch(15, 2, 0, 0, 5));
    replay(&mut state, &txn_batch(20, 1, 0, 5, 5));
    assert_eq!(state.first_unstable_offset(), Some(10));
    assert_eq!(state.oldest_txn_last_timestamp(), Some(1004));
    // Not transactional while a transaction is open.
    assert_eq!(check(&state, &batch(25, 0, 10, 1)), Err(ErrorCode::InvalidTxnState));

    let done = replay(&mut state, &marker(25, 1, 0, false)).unwrap();
    let expected = CompletedTxn {
        producer_id: 1,
        first_offset: 10,
        last_offset: 25,
        aborted: true,
        last_stable_offset: 15,
    };
    assert_eq!(done, expected);
    assert_eq!(state.first_undecided_offset(), Some(15));
    assert_eq!(state.first_unstable_offset(), Some(10), "the marker is not replicated");
    state.on_high_watermark(25);
    assert_eq!(state.first_unstable_offset(), Some(10));
    state.on_high_watermark(26);
    assert_eq!(state.first_unstable_offset(), Some(15));
    let done = replay(&mut state, &marker(26, 2, 0, true)).unwrap();
    assert_eq!((done.aborted, done.last_stable_offset), (false, 27));
    state.on_high_watermark(27);
    assert_eq!(state.first_unstable_offset(), None);
    // A marker without a transaction changes nothing but the epochs.
    assert_eq!(replay(&mut state, &marker(27, 3, 4, true)), None);
    assert_eq!(state.producer(3).unwrap().epoch, 4);
    assert_eq!(state.producer(3).unwrap().coordinator_epoch, 3);
}

#[test]
fn markers_are_fenced() {
    let mut state = ProducerState::default();
    replay(&mut state, &txn_batch(0, 1, 4, 0, 5));
    let check = |state: &ProducerState, epoch, coordinator_epoch, version| {
        let marker = EndTxnMarker { commit: true, coordinator_epoch };
        state.check_marker(1, epoch, marker, version).err().map(|error| error.code())
    };
    assert_eq!(check(&state, 3, 3, 0), Some(ErrorCode::InvalidProducerEpoch));
    assert_eq!(check(&state, 4, 3, 1), None);
    assert_eq!(check(&state, 4, 3, 2), Some(ErrorCode::InvalidProducerEpoch), "a late marker of version 2");
    assert_eq!(check(&state, 5, 3, 2), None);
    replay(&mut state, &marker(5, 1, 5, true));
    assert_eq!(check(&state, 5, 3, 2), None, "a retry of the marker");
    assert_eq!(check(&state, 5, 2, 2), Some(ErrorCode::TransactionCoordinatorFenced));
    // The next transaction has the marker's epoch; a late marker of the last one must not end it.
    replay(&mut state, &txn_batch(6, 1, 5, 0, 1));
    assert_eq!(check(&state, 5, 3, 2), Some(ErrorCode::InvalidProducerEpoch));
    assert_eq!(state.check_marker(9, 0, EndTxnMarker { commit: true, coordinator_epoch: 0 }, 2), Ok(()));
}

#[test]
fn transactions_are_verified_before_their_first_batch() {
    let mut state = ProducerState::default();
    let bytes = txn_batch(0, 1, 0, 3, 1);
    let verdict = |state: &ProducerState, bytes: &[u8], guard| {
        state.check(header(bytes), AppendOrigin::Client, guard, true).map_err(|error| error.code())
    };
    assert_eq!(verdict(&state, &bytes, None), Err(ErrorCode::InvalidTxnState));
    let guard = state.begin_verification(1, 0, 3, false, 0);
    assert_eq!(verdict(&state, &bytes, None), Err(ErrorCode::InvalidTxnState));
    assert_eq!(verdict(&state, &bytes, guard), Ok(Verdict::Append));
    // A lower sequence that waits for its verification too goes first.
    assert_eq!(state.begin_verification(1, 0, 2, false, 0), guard);
    assert_eq!(verdict(&state, &bytes, guard), Err(ErrorCode::OutOfOrderSequenceNumber));
    let bytes = txn_batch(0, 1, 0, 2, 1);
    assert_eq!(verdict(&state, &bytes, guard), Ok(Verdict::Append));
    // A marker between verification and append makes the guard void.
    replay(&mut state, &marker(0, 1, 0, false));
    assert_eq!(verdict(&state, &bytes, guard), Err(ErrorCode::InvalidTxnState));
    let again = state.begin_verification(1, 0, 2, false, 0);
    assert_ne!(again, guard);
    // Transaction version 2: a producer of which nothing is known begins at 0.
    let mut state = ProducerState::default();
    let guard = state.begin_verification(1, 0, 2, true, 0);
    assert_eq!(verdict(&state, &bytes, guard), Err(ErrorCode::OutOfOrderSequenceNumber));
    let bytes = txn_batch(0, 1, 0, 0, 1);
    let guard = state.begin_verification(1, 0, 0, true, 0);
    assert_eq!(verdict(&state, &bytes, guard), Ok(Verdict::Append));
    replay(&mut state, &bytes);
    assert_eq!(state.begin_verification(1, 0, 1, true, 0), None, "open here");
    assert_eq!(verdict(&state, &txn_batch(1, 1, 0, 1, 1), None), Ok(Verdict::Append));
}

#[test]
fn idle_producers_expire_unless_in_a_transaction() {
    let mut state = ProducerState::default();
    replay(&mut state, &batch(0, 0, 0, 1));
    replay(&mut state, &txn_batch(1, 2, 0, 0, 1));
    state.remove_expired(1000 + DAY - 1, DAY);
    assert_eq!(state.len(), 2);
    state.remove_expired(1000 + DAY, DAY);
    assert_eq!(state.producers().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2]);
    let bytes = state.to_bytes();
    assert_eq!(ProducerState::from_bytes(&bytes, 2, i64::MAX, DAY).unwrap().len(), 1);
    state.reset(0);
    assert!(state.is_empty());
    assert_eq!(state.first_unstable_offset(), None);
}

#[test]
fn snapshots_are_kafkas_bytes() {
    let mut state = ProducerState::default();
    replay(&mut state, &batch(7, 2, 0, 3));
    let bytes = state.to_bytes();
    assert_eq!(bytes.len(), SNAPSHOT_HEADER_BYTES + SNAPSHOT_ENTRY_BYTES);
    assert_eq!(bytes[..2], [0, 1]);
    assert_eq!(bytes[6..10], [0, 0, 0, 1]);
    let fields =
        [&1i64.to_be_bytes()[..], &[0, 2], &[0, 0, 0, 2], &9i64.to_be_bytes(), &[0, 0, 0, 2]].concat();
    assert_eq!(bytes[10..36], fields);
    assert_eq!(bytes[36..44], 1002i64.to_be_bytes());
    assert_eq!(bytes[44..48], (-1i32).to_be_bytes());
    assert_eq!(bytes[48..56], (-1i64).to_be_bytes());

    let load = |bytes: &[u8]| ProducerState::from_bytes(bytes, 10, 0, DAY);
    let loaded = load(&bytes).unwrap();
    assert_eq!(loaded.to_bytes(), bytes);
    assert_eq!(loaded.end_offset(), 10);
    assert!(matches!(check(&loaded, &batch(0, 2, 0, 3)), Ok(Verdict::Duplicate(b)) if b.first_offset() == 7));
    assert_eq!(load(&[0, 1, 0]).err(), Some(SnapshotError::Length(3)));
    assert_eq!(load(&[0, 2, 0]).err(), Some(SnapshotError::Version(2)));
    assert_eq!(load(&bytes[..50]).err(), Some(SnapshotError::Checksum));
    let sealed = |mut bytes: Vec<u8>| {
        let crc = crc32c::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        load(&bytes).err()
    };
    for count in [i32::MAX, -1, 0, 2] {
        let mut bytes = bytes.clone();
        bytes[6..10].copy_from_slice(&count.to_be_bytes());
        assert_eq!(sealed(bytes), Some(SnapshotError::Length(56)), "{count}");
    }
    assert_eq!(ProducerState::default().to_bytes().len(), SNAPSHOT_HEADER_BYTES);
    assert!(load(&ProducerState::default().to_bytes()).unwrap().is_empty());
}

#[test]
fn batches_before_a_snapshot_are_recalled() {
    let all: Vec<Vec<u8>> = (0..7).map(|i| batch(i64::from(i) * 10, 0, i * 10, 10)).collect();
    let mut state = ProducerState::default();
    all.iter().for_each(|bytes| {
        replay(&mut state, bytes);
    });
    let mut loaded = ProducerState::from_bytes(&state.to_bytes(), 70, 0, DAY).unwrap();
    assert_eq!(check(&loaded, &all[4]), Err(ErrorCode::OutOfOrderSequenceNumber));
    let mut tail = ProducerState::new(30);
    all[3..].iter().for_each(|bytes| {
        replay(&mut tail, bytes);
    });
    loaded.recall_batches(&tail);
    assert!((3..7).all(|i| matches!(check(&loaded, &all[i]), Ok(Verdict::Duplicate(_)))));
    assert_eq!(check(&loaded, &all[2]), Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(loaded.to_bytes(), state.to_bytes());
    // A tail that ends elsewhere, or has another epoch, says nothing.
    let mut loaded = ProducerState::from_bytes(&state.to_bytes(), 70, 0, DAY).unwrap();
    let mut tail = ProducerState::new(0);
    all[..6].iter().for_each(|bytes| {
        replay(&mut tail, bytes);
    });
    loaded.recall_batches(&tail);
    assert_eq!(loaded.producer(1).unwrap().batches().len(), 1);
}

proptest! {
    #[test]
    fn a_sealed_snapshot_of_noise_never_panics(entries in proptest::collection::vec(any::<[u8; 46]>(), 0..5)) {
        let mut bytes = vec![0, 1, 0, 0, 0, 0];
        bytes.extend((entries.len() as i32).to_be_bytes());
        bytes.extend(entries.concat());
        let crc = crc32c::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        let mut state = ProducerState::from_bytes(&bytes, 0, 0, DAY).unwrap();
        for (id, entry) in state.clone().producers() {
            let _ = entry.last_batch().map(|batch| (batch.first_sequence(), batch.first_offset()));
            replay(&mut state, &marker(0, id.max(0), 0, true));
        }
        let _ = state.to_bytes();
    }

    /// Against the obvious model: the log itself.
    #[test]
    fn what_a_client_is_told_agrees_with_the_log(steps in proptest::collection::vec((0i16..3, 0i32..12, 1i32..4), 1..60)) {
        let mut state = ProducerState::default();
        let mut log: Vec<(i16, i32, i32, Offset)> = Vec::new();
        let mut end = 0;
        for (epoch, sequence, count) in steps {
            let bytes = batch(end, epoch, sequence, count);
            let latest = log.last().map(|batch| batch.0);
            let mine: Vec<_> = log.iter().rev().take_while(|b| Some(b.0) == latest).take(BATCHES_RETAINED).collect();
            let expected = if let Some(found) = mine.iter().find(|b| (b.0, b.1, b.2) == (epoch, sequence, count)) {
                Ok(Some(found.3))
            } else {
                match log.last() {
                    None => Ok(None),
                    Some(last) if epoch < last.0 => Err(ErrorCode::InvalidProducerEpoch),
                    Some(last) if epoch > last.0 && sequence == 0 => Ok(None),
                    Some(last) if epoch == last.0 && sequence == last.1 + last.2 => Ok(None),
                    Some(_) => Err(ErrorCode::OutOfOrderSequenceNumber),
                }
            };
            let found = check(&state, &bytes).map(|verdict| match verdict {
                Verdict::Append => None,
                Verdict::Duplicate(batch) => Some(batch.first_offset()),
            });
            prop_assert_eq!(found, expected);
            if found == Ok(None) {
                replay(&mut state, &bytes);
                log.push((epoch, sequence, count, end));
                end += i64::from(count);
            }
        }
    }
}
