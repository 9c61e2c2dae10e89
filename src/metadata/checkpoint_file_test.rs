//! The fixtures were written by `kafka.tools.StorageTool` of Apache Kafka 4.3.1.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::schema::metadata::FeatureLevelRecord;
use crate::types::uuid_from_base64;
use crate::wire::batch::checksum;

const STATIC: &[u8] = include_bytes!("../../tests/fixtures/storage-tool/static.bootstrap.checkpoint");
const STANDALONE: &[u8] = include_bytes!("../../tests/fixtures/storage-tool/standalone.bootstrap.checkpoint");
const QUORUM: &[u8] = include_bytes!("../../tests/fixtures/storage-tool/standalone.quorum.checkpoint");
const FIXTURES: [&[u8]; 3] = [STATIC, STANDALONE, QUORUM];

/// The file with every batch's times set to 1.
fn without_times(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for batch in batches(file) {
        let mut batch = batch.expect("a batch").bytes().to_vec();
        batch[27..35].copy_from_slice(&1i64.to_be_bytes());
        batch[35..43].copy_from_slice(&1i64.to_be_bytes());
        let crc = checksum(&batch);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        out.extend(batch);
    }
    out
}

#[test]
fn kafkas_files_are_read() {
    let bootstrap = Checkpoint::parse(&Bytes::from_static(STATIC)).expect("Kafka's file");
    assert_eq!(bootstrap.feature_level("metadata.version"), 30);
    assert_eq!(bootstrap.feature_level("transaction.version"), 2);
    assert_eq!(bootstrap.feature_level("kraft.version"), 0);
    let MetadataRecord::UserScramCredential(alice) = bootstrap.records.last().expect("records") else {
        panic!("the last record is the credential: {bootstrap:?}");
    };
    assert_eq!((alice.name.as_str(), alice.mechanism, alice.iterations), ("alice", 1, 4096));
    assert!(bootstrap.voters.is_none() && bootstrap.kraft_version.is_none());

    let quorum = Checkpoint::parse(&Bytes::from_static(QUORUM)).expect("Kafka's file");
    assert_eq!(quorum.kraft_version, Some(1));
    let voters = quorum.voters.expect("voters").voters;
    assert_eq!(voters.len(), 1);
    assert_eq!(voters[0].endpoints[0].host, "127.0.0.1");
    assert_eq!(voters[0].endpoints[0].port, 31301);
    let meta = include_str!("../../tests/fixtures/storage-tool/standalone.meta.properties");
    let directory = meta.lines().find_map(|line| line.strip_prefix("directory.id=")).expect("a directory id");
    assert_eq!(uuid_from_base64(directory), Some(voters[0].voter_directory_id));
    assert_ne!(voters[0].voter_directory_id, Uuid::nil());
}

#[test]
fn files_are_written_as_kafka_writes_them() {
    for fixture in FIXTURES {
        let checkpoint = Checkpoint::parse(&Bytes::from_static(fixture)).expect("Kafka's file");
        assert_eq!(checkpoint.to_bytes(1).expect("short fields"), without_times(fixture));
    }
}

#[test]
fn large_snapshots_take_several_batches() {
    let record = |i: usize| {
        MetadataRecord::FeatureLevel(FeatureLevelRecord { name: format!("{i:0>1000}"), feature_level: 1 })
    };
    let checkpoint = Checkpoint { records: (0..3000).map(record).collect(), ..Checkpoint::default() };
    let file = Bytes::from(checkpoint.to_bytes(7).expect("short fields"));
    assert!(batches(&file).count() > 4);
    assert_eq!(Checkpoint::parse(&file).expect("our own file"), checkpoint);
}

#[test]
fn every_cut_and_every_flipped_byte_is_found() {
    for fixture in FIXTURES {
        for end in 0..fixture.len() {
            assert!(Checkpoint::parse(&Bytes::copy_from_slice(&fixture[..end])).is_err(), "cut at {end}");
        }
        // The leader epoch is not covered by a checksum, and nothing depends on it.
        let epochs: Vec<usize> = {
            let mut at = 0;
            let starts = batches(fixture).map(|batch| {
                let start = at;
                at += batch.expect("a batch").bytes().len();
                start
            });
            starts.flat_map(|start| start + 12..start + 16).collect()
        };
        for at in (0..fixture.len()).filter(|at| !epochs.contains(at)) {
            let mut file = fixture.to_vec();
            file[at] ^= 0x40;
            assert!(Checkpoint::parse(&Bytes::from(file)).is_err(), "byte {at}");
        }
    }
}

proptest! {
    #[test]
    fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Checkpoint::parse(&Bytes::from(bytes));
    }
}
