//! Validation: what passes is stored with a right header, and what does not is named.

use proptest::prelude::*;

use super::*;
use crate::wire::records::{BatchBuilder, put_record};

const NOW: Ms = 1_700_000_000_000;

fn builder() -> BatchBuilder {
    let mut builder = BatchBuilder::new(0);
    for i in 0..10 {
        builder.append(NOW - 5 + i, Some(b"key"), Some(b"a value of some length"));
    }
    builder
}

fn compressed(codec: Codec) -> Vec<u8> {
    builder().compression(Compression::new(codec)).finish()
}

/// Changes header fields and makes the checksum right again.
fn forged(mut batch: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut batch);
    let length = (batch.len() - LOG_OVERHEAD_BYTES) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = batch::checksum(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn put<const N: usize>(at: usize, bytes: [u8; N]) -> impl FnOnce(&mut [u8]) {
    move |batch| batch[at..at + N].copy_from_slice(&bytes)
}

fn client(input: &[u8], config: &ValidateConfig) -> Result<AppendPlan, ValidateError> {
    validate(input, config, AppendOrigin::Client, NOW)
}

fn code(input: &[u8], config: &ValidateConfig) -> ErrorCode {
    client(input, config).map_or_else(|error| error.code(), |_| ErrorCode::None)
}

/// Header and payload as they would lie in the log; the checksum must hold.
fn stored(plan: &AppendPlan, input: &[u8]) -> Vec<u8> {
    let whole = [plan.header_bytes().as_slice(), plan.payload(input)].concat();
    let batch = check_stored(&whole, 0).unwrap();
    assert_eq!(batch.bytes().len(), plan.bytes);
    assert_eq!(whole.len(), plan.bytes);
    whole
}

#[test]
fn a_good_batch_keeps_its_payload_and_gets_its_place() {
    for codec in Codec::ALL {
        let input = compressed(codec);
        let mut plan = client(&input, &ValidateConfig::default()).unwrap();
        assert_eq!(plan.payload, Payload::Input(HEADER_BYTES..input.len()));
        plan.assign(1000, 5);
        assert_eq!((plan.records, plan.max_timestamp, plan.append_time), (10, NOW + 4, None));
        assert_eq!((plan.header().base_offset(), plan.last_offset()), (1000, 1009));
        assert_eq!(plan.header().partition_leader_epoch(), 5);
        let whole = stored(&plan, &input);
        assert_eq!(whole[CHECKSUMMED_FROM..], input[CHECKSUMMED_FROM..]);
    }
}

#[test]
fn append_time_is_written_without_reading_the_payload_again() {
    let config = ValidateConfig { timestamp_type: TimestampType::LogAppendTime, ..ValidateConfig::default() };
    for codec in Codec::ALL {
        // However wrong the producer's clock is.
        let mut builder = BatchBuilder::new(0).compression(Compression::new(codec));
        builder.append(-77, None, Some(b"early")).append(i64::MAX, None, Some(b"late"));
        let input = builder.finish();
        let plan = client(&input, &config).unwrap();
        assert_eq!((plan.append_time, plan.max_timestamp), (Some(NOW), NOW));
        let whole = stored(&plan, &input);
        let header = BatchHeader::new(&whole).unwrap();
        assert!(header.is_log_append_time());
        assert_eq!(header.max_timestamp(), NOW);
        assert_eq!(header.compression(), codec.number());
    }
}

#[test]
fn a_wrong_maximum_timestamp_is_put_right() {
    let input = forged(compressed(Codec::Lz4), put(35, 1i64.to_be_bytes()));
    let plan = client(&input, &ValidateConfig::default()).unwrap();
    assert_eq!(plan.header().max_timestamp(), NOW + 4);
    stored(&plan, &input);
}

#[test]
fn the_topics_codec_wins() {
    for from in Codec::ALL {
        for to in Codec::ALL {
            let input = compressed(from);
            let config =
                ValidateConfig { compression: Some(Compression::new(to)), ..ValidateConfig::default() };
            let plan = client(&input, &config).unwrap();
            assert_eq!(matches!(plan.payload, Payload::Input(_)), from == to);
            let whole = stored(&plan, &input);
            let batch = Batch::first_of(&whole).unwrap();
            assert_eq!(batch.header().compression(), to.number());
            let mut records = Vec::new();
            compress::decompress(to, batch.payload(), 1 << 20, &mut records).unwrap();
            assert_eq!(records, builder().finish()[HEADER_BYTES..]);
        }
    }
    // It may make a batch too large.
    let mut builder = BatchBuilder::new(0).compression(Compression::new(Codec::Zstd));
    builder.append(NOW, None, Some(&[7; 100_000]));
    let plain = Some(Compression::new(Codec::None));
    let config =
        ValidateConfig { max_message_bytes: 50_000, compression: plain, ..ValidateConfig::default() };
    assert_eq!(code(&builder.finish(), &config), ErrorCode::MessageTooLarge);
}

#[test]
fn headers_are_checked_in_kafkas_order() {
    let config = ValidateConfig::default();
    let good = compressed(Codec::None);
    assert_eq!(code(&[], &config), ErrorCode::InvalidRecord);
    assert_eq!(code(&good[..good.len() - 1], &config), ErrorCode::InvalidRecord);
    assert_eq!(code(&[&good[..], &good[..]].concat(), &config), ErrorCode::InvalidRecord);
    assert_eq!(code(&[&good[..], &good[..70]].concat(), &config), ErrorCode::None);
    let mut bad = good.clone();
    bad[70] ^= 1;
    assert_eq!(code(&bad, &config), ErrorCode::CorruptMessage);
    bad[16] = 9;
    assert_eq!(code(&bad, &config), ErrorCode::CorruptMessage);
    bad[16] = 1;
    assert_eq!(code(&bad, &config), ErrorCode::InvalidRecord);
    let small = ValidateConfig { max_message_bytes: good.len() - 1, ..ValidateConfig::default() };
    assert_eq!(code(&good, &small), ErrorCode::MessageTooLarge);
    let exact = ValidateConfig { max_message_bytes: good.len(), ..ValidateConfig::default() };
    assert_eq!(code(&good, &exact), ErrorCode::None);

    let with = |at, bytes: &[u8]| {
        let forged = forged(good.clone(), |batch| batch[at..at + bytes.len()].copy_from_slice(bytes));
        client(&forged, &config).err().map(|error| error.code())
    };
    let invalid = Some(ErrorCode::InvalidRecord);
    assert_eq!(with(0, &[0, 0, 0, 0, 0, 0, 0, 7]), invalid, "base offset");
    for count in [i32::MAX, i32::MIN, -1, 0, 9, 11] {
        assert_eq!(with(57, &count.to_be_bytes()), invalid, "count {count}");
        assert_eq!(with(23, &count.wrapping_sub(1).to_be_bytes()), invalid, "last offset delta, {count}");
        let both = |batch: &mut [u8]| {
            batch[57..61].copy_from_slice(&count.to_be_bytes());
            batch[23..27].copy_from_slice(&count.wrapping_sub(1).to_be_bytes());
        };
        for codec in Codec::ALL {
            let input = forged(compressed(codec), both);
            assert_eq!(code(&input, &config), ErrorCode::InvalidRecord, "{codec:?} {count}");
        }
    }
    assert_eq!(with(21, &[0, 0x20]), invalid, "control");
    assert_eq!(with(21, &[0, 0x08]), Some(ErrorCode::InvalidTimestamp), "append time");
    assert_eq!(with(21, &[0, 5]), Some(ErrorCode::UnsupportedCompressionType));
    assert_eq!(with(43, &[0; 8]), invalid, "producer without sequence");
    // Behind the records.
    let long = forged([good.clone(), vec![0]].concat(), |_| ());
    assert_eq!(code(&long, &config), ErrorCode::InvalidRecord);
}

#[test]
fn coordinators_may_write_control_batches() {
    let mut builder = BatchBuilder::new(0).producer(1, 2, -1).transactional().control();
    builder.append(NOW, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0, 9]));
    let input = builder.finish();
    let config =
        ValidateConfig { compression: Some(Compression::new(Codec::Zstd)), ..ValidateConfig::default() };
    let plan = validate(&input, &config, AppendOrigin::Coordinator, NOW).unwrap();
    assert_eq!(plan.payload, Payload::Input(HEADER_BYTES..input.len()));
    assert_eq!(code(&input, &config), ErrorCode::InvalidRecord);
}

#[test]
fn single_records_are_refused_with_their_places() {
    let mut builder = BatchBuilder::new(0);
    builder.append(NOW, Some(b"k"), None).append(NOW, None, Some(b"v"));
    builder.append(NOW + 3_600_001, Some(b"k"), None).append(-1, Some(b"k"), None);
    builder.append(NOW - 100_000, Some(b"k"), None);
    let input = builder.finish();
    let config =
        ValidateConfig { compacted: true, timestamp_before_max_ms: 99_999, ..ValidateConfig::default() };
    let error = client(&input, &config).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
    let places: Vec<i32> = error.refused_records().iter().map(|r| r.batch_index).collect();
    assert_eq!(places, [1, 2, 4]);
    assert_eq!(error.refused_records()[0].issue, RecordIssue::NoKey);
    assert!(error.refused_records()[1].message().contains("1700003600001"));
    // Kafka's words: clients compare with them.
    assert_eq!(error.to_string(), "One or more records have been rejected due to invalid timestamp");

    let config =
        ValidateConfig { compacted: true, timestamp_after_max_ms: Ms::MAX, ..ValidateConfig::default() };
    assert_eq!(code(&input, &config), ErrorCode::InvalidRecord);
    let config = ValidateConfig { compacted: false, ..config };
    assert_eq!(code(&input, &config), ErrorCode::None);

    let mut builder = BatchBuilder::new(0);
    for _ in 0..5000 {
        builder.append(NOW, None, None);
    }
    let compacted = ValidateConfig { compacted: true, ..ValidateConfig::default() };
    let ValidateError::Records { refused, total } = client(&builder.finish(), &compacted).unwrap_err() else {
        panic!("records are refused one by one");
    };
    assert_eq!((refused.len(), total), (RECORD_ERRORS_MAX, 5000));
}

#[test]
fn offset_deltas_count_from_zero() {
    for deltas in [[0, 0, 1], [0, 2, 1], [1, 2, 3], [0, 1, 1], [0, 1, i32::MAX]] {
        let mut records = Vec::new();
        for delta in deltas {
            put_record(&mut records, 0, delta, None, Some(b"v"), std::iter::empty());
        }
        for codec in Codec::ALL {
            let mut builder = BatchBuilder::new(0);
            builder.append(NOW, None, None).append(NOW, None, None).append(NOW, None, None);
            let mut input = builder.finish();
            input.truncate(HEADER_BYTES);
            compress::compress(Compression::new(codec), &records, &mut input).unwrap();
            let input = forged(input, |batch| batch[22] = codec.number());
            assert_eq!(
                code(&input, &ValidateConfig::default()),
                ErrorCode::InvalidRecord,
                "{codec:?} {deltas:?}"
            );
        }
    }
}

#[test]
fn records_larger_than_the_window_pass_up_to_the_limit() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new(0).compression(Compression::new(codec));
        builder.append(NOW, None, Some(b"small")).append(NOW, None, Some(&vec![b'x'; 900_000]));
        builder.append(NOW, None, Some(b"small"));
        let input = builder.finish();
        assert_eq!(code(&input, &ValidateConfig::default()), ErrorCode::None, "{codec:?}");
        let config = ValidateConfig { max_decompressed_bytes: 900_000, ..ValidateConfig::default() };
        assert_eq!(code(&input, &config), ErrorCode::MessageTooLarge, "{codec:?}");
    }
}

#[test]
fn zstd_needs_produce_7() {
    assert!(!codec_allowed(&compressed(Codec::Zstd), 6));
    assert!(codec_allowed(&compressed(Codec::Zstd), 7));
    assert!(codec_allowed(&compressed(Codec::Lz4), 3));
    assert!(codec_allowed(&[], 3));
}

#[test]
fn stored_batches_are_checked() {
    let mut batch = compressed(Codec::Gzip);
    batch::set_base_offset(&mut batch, 50);
    assert!(check_stored(&batch, 50).is_ok());
    assert_eq!(check_stored(&batch, 51).err(), Some(StoredError::Offset { expected: 51, found: 50 }));
    batch::set_base_offset(&mut batch, -1);
    assert_eq!(check_stored(&batch, -5).err(), Some(StoredError::Header(-1)));
    batch::set_base_offset(&mut batch, i64::MAX - 3);
    assert_eq!(check_stored(&batch, 0).err(), Some(StoredError::Header(i64::MAX - 3)));
    // Compaction: gaps, and nothing left but the header.
    let mut builder = BatchBuilder::new(7);
    builder.append_at(3, NOW, None, None, std::iter::empty()).keep_last_offset_delta(9);
    assert!(check_stored(&builder.finish(), 7).is_ok());
    let mut builder = BatchBuilder::new(7);
    builder.keep_last_offset_delta(9);
    assert_eq!(check_stored(&builder.finish(), 7).unwrap().header().last_offset(), 16);
    let rotten = forged(compressed(Codec::None), |batch| batch[60] = 200);
    assert!(matches!(check_stored(&rotten, 0), Err(StoredError::Header(0))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rewriting_the_checksum_equals_computing_it(
        old in proptest::collection::vec(any::<u8>(), 40), new in proptest::collection::vec(any::<u8>(), 40),
        tail in proptest::collection::vec(any::<u8>(), 0..500),
    ) {
        let whole = |head: &[u8]| crc32c::crc32c(&[head, &tail].concat());
        prop_assert_eq!(crc_after_rewrite(whole(&old), &old, &new, tail.len()), whole(&new));
    }

    #[test]
    fn mutilated_batches_never_panic_and_what_passes_can_be_stored(
        codec in 0u8..5, changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        target in proptest::option::of(0u8..5),
    ) {
        let input = forged(compressed(Codec::from_number(codec).unwrap()), |batch| {
            for (at, to) in changes {
                let at = at % batch.len();
                batch[at] = to;
            }
        });
        let compression = target.map(|codec| Compression::new(Codec::from_number(codec).unwrap()));
        let config = ValidateConfig { compression, ..ValidateConfig::default() };
        for origin in [AppendOrigin::Client, AppendOrigin::Coordinator] {
            if let Ok(mut plan) = validate(&input, &config, origin, NOW) {
                plan.assign(3, 1);
                stored(&plan, &input);
            }
        }
    }
}
