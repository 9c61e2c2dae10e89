//! Data directories that Kafka wrote are opened as they are; see `tests/fixtures/kafka-data/README.md`.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::validate::{AppendOrigin, validate};
use super::*;
use crate::env::Env;
use crate::env::disk::OpenMode;
use crate::types::{Offset, TopicId, TopicPartition, uuid_from_base64};
use crate::wire::batch::batches;
use crate::wire::records::BatchBuilder;

fn copy(from: &Path, to: &Path) {
    let disk = Env::os().disk;
    disk.create_dir_all(to).unwrap();
    for entry in disk.list(from).unwrap() {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy(&from, &to);
        } else {
            let content = crate::env::disk::read_file(&*disk, &from, 1 << 20).unwrap();
            disk.open(&to, OpenMode::CreateNew).unwrap().write_at(0, &[IoSlice::new(&content)]).unwrap();
        }
    }
}

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 8192, index_interval_bytes: 1024, ..LogConfig::default() })
}

fn open(dir: &Path) -> (Manager, Log, Log) {
    let disk = Env::os().disk;
    let manager = Manager::open(disk, &[dir.to_owned()], ManagerConfig::default(), 0).unwrap();
    manager.recover_here(|_| config());
    let id = TopicId(uuid_from_base64("cb0WyUCLTbueDf4GNTuMBQ").unwrap());
    let log =
        |partition| manager.log(&TopicPartition::new("fixture", partition), id, config(), None).unwrap();
    let (zero, one) = (log(0), log(1));
    (manager, zero, one)
}

fn records(log: &mut Log) -> i64 {
    let (mut at, end) = (log.log_start_offset(), log.log_end_offset());
    let mut first: Option<Offset> = None;
    while at < end {
        let bytes = log.read(at, 3000, end, true).unwrap().slice.unwrap().read().unwrap();
        for batch in batches(&bytes) {
            let Ok(batch) = batch else { break };
            batch.verify_checksum().unwrap();
            first.get_or_insert(batch.header().base_offset());
            at = batch.header().next_offset();
        }
    }
    at - first.unwrap_or(at)
}

fn check(zero: &mut Log, one: &mut Log) {
    assert_eq!((zero.log_start_offset(), zero.log_end_offset()), (33, 524));
    assert_eq!((one.log_start_offset(), one.log_end_offset()), (0, 24));
    assert_eq!(zero.segment_count().unwrap(), 4);
    assert!(records(zero) >= 524 - 33);
    assert_eq!(records(one), 24);
    for n in [40i64, 150, 250, 399, 499] {
        let found = zero.offset_for_timestamp(1_700_000_000_000 + n * 1000).unwrap().unwrap();
        assert_eq!(found.offset, n);
    }
    let aborted = zero.aborted_transactions(0, 524).unwrap();
    let ends: Vec<_> = aborted.iter().map(|t| (t.producer_id, t.first_offset, t.last_offset)).collect();
    assert_eq!(ends, [(5, 506, 511), (5, 518, 523)]);
    assert_eq!(zero.active_producers().unwrap().len(), 6);
    zero.on_high_watermark(524);
    assert_eq!(zero.last_stable_offset(524).unwrap(), 524);
}

#[test]
fn kafkas_directory_after_an_orderly_stop_and_after_a_kill() {
    for clean in [true, false] {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("data");
        let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kafka-data/clean");
        copy(&fixture, &dir);
        let disk = Env::os().disk;
        if !clean {
            disk.remove_file(&dir.join(checkpoint::CLEAN_SHUTDOWN)).unwrap();
            for name in [checkpoint::RECOVERY_POINT, checkpoint::HIGH_WATERMARK] {
                disk.open(&dir.join(name), OpenMode::Write).unwrap().set_len(0).unwrap();
            }
            // Kafka's indexes of an active segment are as long as they may become, and zeros at the end.
            for entry in disk.list(&dir.join("fixture-0")).unwrap() {
                if entry.name.ends_with("505.index") || entry.name.ends_with("505.timeindex") {
                    let path = dir.join("fixture-0").join(&entry.name);
                    disk.open(&path, OpenMode::Write).unwrap().set_len(4092).unwrap();
                }
            }
        }
        let (manager, mut zero, mut one) = open(&dir);
        assert_eq!(manager.clean_shutdown_epoch(), clean.then_some(11));
        check(&mut zero, &mut one);
        let mut builder = BatchBuilder::new(0);
        builder.append(1_700_000_900_000, Some(b"k"), Some(b"v"));
        let input = builder.finish();
        let mut plan = validate(&input, &config().validate, AppendOrigin::Client, 1_700_000_900_000).unwrap();
        let info = one.append_as_leader(&input, &mut plan, AppendBy::client(1), 0).unwrap();
        assert_eq!(info.first_offset, 24);
        zero.close(true).unwrap();
        one.close(true).unwrap();
        manager.close(12).unwrap();
        drop(manager);
        let (manager, mut zero, one) = open(&dir);
        assert_eq!(manager.clean_shutdown_epoch(), Some(12));
        assert_eq!(one.log_end_offset(), 25);
        assert_eq!(zero.log_end_offset(), 524);
        assert_eq!(zero.segment_count().unwrap(), 4);
        drop((zero, one, manager));
        // For a look with Kafka's own tools.
        if let Ok(keep) = std::env::var("OTTLA_KEEP_DATA") {
            copy(&dir, &PathBuf::from(keep).join(if clean { "clean" } else { "killed" }));
        }
    }
}

/// Writes a log with many segments for Kafka's tools to read.
#[test]
fn our_own_directory_for_kafkas_tools() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("data");
    let disk = Env::os().disk;
    let manager = Manager::open(disk, std::slice::from_ref(&dir), ManagerConfig::default(), 0).unwrap();
    let tp = TopicPartition::new("own", 0);
    let mut log = manager.log(&tp, TopicId(uuid::Uuid::from_u128(5)), config(), None).unwrap();
    for i in 0..600i64 {
        let now = 1_700_000_000_000 + i * 100;
        let mut builder = BatchBuilder::new(0).producer(77, 0, i as i32);
        builder.append(now, Some(&i.to_be_bytes()), Some(&[b'v'; 50]));
        let input = builder.finish();
        let mut plan = validate(&input, &config().validate, AppendOrigin::Client, now).unwrap();
        log.append_as_leader(&input, &mut plan, AppendBy::client((i / 100) as i32), now).unwrap();
    }
    assert!(log.segment_count().unwrap() > 8);
    log.close(true).unwrap();
    manager.close(1).unwrap();
    if let Ok(keep) = std::env::var("OTTLA_KEEP_DATA") {
        copy(&dir, &PathBuf::from(keep).join("own"));
    }
}
