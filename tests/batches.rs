//! Batches, logs and snapshots that Kafka wrote are read, and written again with the same bytes.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // Tests are outside of `Env`.

use ottla::storage::leader_epochs::LeaderEpochs;
use ottla::storage::producer_state::ProducerState;
use ottla::storage::validate::{AppendOrigin, ValidateConfig, check_stored, validate};
use ottla::wire::batch::{Batch, batches};
use ottla::wire::compress::{self, Codec};
use ottla::wire::control::{ControlRecord, EndTxnMarker, end_txn_batch};
use ottla::wire::records::{BatchBuilder, Header, Records};

const T0: i64 = 1_700_000_000_000;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/batches/", $name)).as_slice()
    };
}

fn codecs() -> [(Codec, &'static [u8]); 5] {
    [
        (Codec::None, fixture!("none.bin")),
        (Codec::Gzip, fixture!("gzip.bin")),
        (Codec::Snappy, fixture!("snappy.bin")),
        (Codec::Lz4, fixture!("lz4.bin")),
        (Codec::Zstd, fixture!("zstd.bin")),
    ]
}

/// The records that `Fixtures.java` writes.
fn expected() -> BatchBuilder {
    let mut builder = BatchBuilder::new(0).leader_epoch(5).producer(4711, 3, 77).transactional();
    for i in 0..1000usize {
        let (key, value) = (format!("key-{i}"), format!("value-{i}-{}", "x".repeat(i % 90)));
        let headers: &[Header<'_>] =
            if i % 5 == 0 { &[(b"h", Some(b"1")), (b"h", Some(b"2")), (b"", None)] } else { &[] };
        builder.append_with_headers(
            T0 + (i as i64 * 37) % 1000 - 10,
            (i % 7 != 0).then_some(key.as_bytes()),
            (i % 11 != 0).then_some(value.as_bytes()),
            headers,
        );
    }
    builder
}

#[test]
fn the_builder_writes_what_javas_builder_writes() {
    assert!(expected().finish() == fixture!("none.bin"));
    let mut builder = BatchBuilder::new(40).leader_epoch(6).log_append_time(T0 + 99);
    builder.append(T0, Some(b"k"), Some(b"v")).append(T0 + 1, None, Some(b"w"));
    assert_eq!(builder.finish(), fixture!("log-append-time.bin"));
}

#[test]
fn every_codec_of_java_is_read_and_validated() {
    let plain = fixture!("none.bin");
    for (codec, bytes) in codecs() {
        let batch = check_stored(bytes, 0).unwrap();
        let mut records = Vec::new();
        compress::decompress(codec, batch.payload(), 1 << 20, &mut records).unwrap();
        assert!(records == plain[61..], "{codec:?}");
        let plan = validate(bytes, &ValidateConfig::default(), AppendOrigin::Client, T0).unwrap();
        assert_eq!(plan.records, 1000);
        assert_eq!(plan.header_bytes(), &bytes[..61], "nothing was wrong with it");
    }
}

#[test]
fn records_larger_than_the_window_are_read() {
    for bytes in [
        fixture!("big-gzip.bin"),
        fixture!("big-snappy.bin"),
        fixture!("big-lz4.bin"),
        fixture!("big-zstd.bin"),
    ] {
        let plan = validate(bytes, &ValidateConfig::default(), AppendOrigin::Client, T0).unwrap();
        assert_eq!(plan.records, 3);
        let config = ValidateConfig { max_decompressed_bytes: 150_000, ..ValidateConfig::default() };
        assert!(validate(bytes, &config, AppendOrigin::Client, T0).is_err());
    }
}

#[test]
fn markers_are_javas() {
    for (bytes, commit) in [(fixture!("end-txn-commit.bin"), true), (fixture!("end-txn-abort.bin"), false)] {
        let marker = EndTxnMarker { commit, coordinator_epoch: 9 };
        assert_eq!(end_txn_batch(12, 5, 4711, 3, marker, T0), bytes);
        let batch = Batch::first_of(bytes).unwrap();
        let record = Records::of(&batch).unwrap().next().unwrap().unwrap();
        assert_eq!(ControlRecord::parse(&record).unwrap(), ControlRecord::EndTxn(marker));
    }
}

#[test]
fn replaying_kafkas_log_gives_kafkas_snapshots() {
    let segments = [
        (fixture!("log/00000000000000000000.log"), fixture!("log/00000000000000000503.snapshot"), 503),
        (fixture!("log/00000000000000000503.log"), fixture!("log/00000000000000000509.snapshot"), 509),
    ];
    let mut state = ProducerState::default();
    let mut codecs_seen = [false; 5];
    let mut aborted = Vec::new();
    let mut expected = 0;
    for (log, snapshot, end) in segments {
        for batch in batches(log) {
            let batch = check_stored(batch.unwrap().bytes(), expected).unwrap();
            expected = batch.header().next_offset();
            codecs_seen[usize::from(batch.header().compression())] = true;
            aborted.extend(state.replay(&batch).unwrap().filter(|txn| txn.aborted));
        }
        assert_eq!(state.end_offset(), end);
        assert_eq!(state.to_bytes(), snapshot);
        let mut loaded = ProducerState::from_bytes(snapshot, end, T0, i64::MAX).unwrap();
        assert_eq!(loaded.to_bytes(), snapshot);
        state.on_high_watermark(end);
        loaded.on_high_watermark(end);
        assert_eq!(loaded.first_unstable_offset(), state.first_unstable_offset());
    }
    assert_eq!(codecs_seen, [true; 5]);
    assert_eq!(state.len(), 8);
    assert!(state.first_unstable_offset().is_some(), "one transaction is open");
    // Version, producer, first, last and last stable offset of the one aborted transaction.
    let [aborted] = aborted[..] else { panic!("one transaction was aborted") };
    let fields = [aborted.producer_id, aborted.first_offset, aborted.last_offset, aborted.last_stable_offset];
    let entry: Vec<u8> = [0; 2].into_iter().chain(fields.into_iter().flat_map(i64::to_be_bytes)).collect();
    assert_eq!(entry, fixture!("log/00000000000000000503.txnindex"));
}

#[test]
fn the_epoch_checkpoint_is_kafkas() {
    let bytes = fixture!("log/leader-epoch-checkpoint");
    assert_eq!(LeaderEpochs::from_bytes(bytes).unwrap().to_bytes(), bytes);
}
