use std::io::IoSlice;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::env::Disk;
use crate::env::disk::OpenMode;
use crate::sim::disk::{Call, Fault, SimDisk};
use crate::storage::manager::{Manager, ManagerConfig};
use crate::storage::validate::{AppendOrigin, validate};
use crate::storage::{AbortedTxn, ReadError};
use crate::types::Rng;
use crate::wire::batch::batches;
use crate::wire::records::BatchBuilder;

const NOW: Ms = 1_700_000_000_000;

fn manager(disk: &SimDisk) -> Manager {
    Manager::open(Arc::new(disk.clone()), &[PathBuf::from("/data")], ManagerConfig::default(), NOW).unwrap()
}

fn small() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..LogConfig::default() })
}

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn manager_on(disk: &SimDisk) -> Manager {
    let manager = manager(disk);
    manager.recover_here(|_| small());
    manager
}

fn log_on(disk: &SimDisk, config: Arc<LogConfig>) -> (Manager, Log) {
    let manager = manager(disk);
    manager.recover_here(|_| config.clone());
    let open = || manager.log(&tp(), TopicId(uuid::Uuid::from_u128(9)), config.clone(), None);
    let log = match open() {
        // Nothing of it was durable when the power went.
        Err(StorageError::TopicId { found: TopicId::NIL, .. }) => {
            manager.set_aside(&tp(), uuid::Uuid::from_u128(1)).unwrap();
            open().unwrap()
        }
        other => other.unwrap(),
    };
    (manager, log)
}

fn batch(records: usize, timestamp: Ms) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    for i in 0..records {
        builder.append(timestamp + i as Ms, Some(b"key"), Some(b"a value of some length"));
    }
    builder.finish()
}

fn append(log: &mut Log, input: &[u8]) -> Result<AppendInfo, AppendError> {
    let mut plan = validate(input, &log.config().validate.clone(), AppendOrigin::Client, NOW).unwrap();
    log.append_as_leader(input, &mut plan, AppendBy::client(3), NOW)
}

fn fill(log: &mut Log, count: usize) {
    for i in 0..count {
        append(log, &batch(1 + i % 3, NOW + i as Ms * 10)).unwrap();
    }
}

/// Base and last offsets of all batches from `from` on, read in pieces of `max` bytes.
fn read_all(log: &mut Log, from: Offset, max: u32) -> Vec<(Offset, Offset)> {
    let (mut at, end) = (from, log.log_end_offset());
    let mut found = Vec::new();
    while at < end {
        let slice = log.read(at, max, end, true).unwrap().slice.expect("more is there");
        let bytes = slice.read().unwrap();
        let before = at;
        for batch in batches(&bytes) {
            let Ok(batch) = batch else { break };
            batch.verify_checksum().unwrap();
            found.push((batch.header().base_offset(), batch.header().last_offset()));
            at = batch.header().next_offset();
        }
        assert!(at > before, "no progress at {at}");
    }
    found
}

fn assert_contiguous(found: &[(Offset, Offset)], from: Offset, end: Offset) {
    let mut next = from;
    for &(base, last) in found {
        assert_eq!(base, next);
        next = last + 1;
    }
    assert_eq!(next, end);
}

#[test]
fn an_idle_log_has_no_files_and_is_small() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 0));
    assert!(log.read(0, 100, 0, true).unwrap().slice.is_none());
    assert!(matches!(log.read(1, 100, 0, true), Err(ReadError::OffsetOutOfRange { .. })));
    assert!(!disk.exists(Path::new("/data/t-0")));
    assert!(log.sync_job().is_none());
    assert!(size_of::<Log>() < 700, "{}", size_of::<Log>());
}

#[test]
fn what_is_appended_is_read_in_any_pieces() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 200);
    assert!(log.segment_count().unwrap() > 5);
    let end = log.log_end_offset();
    for max in [0, 1, 100, 500, 1 << 20] {
        assert_contiguous(&read_all(&mut log, 0, max), 0, end);
    }
    // From the middle of a batch its whole batch comes.
    for from in 0..end {
        let found = read_all(&mut log, from, 300);
        assert!(found[0].0 <= from && from <= found[0].1);
        assert_contiguous(&found, found[0].0, end);
    }
    assert_eq!(log.latest_epoch().unwrap(), Some(3));
    assert_eq!(log.end_offset_for_epoch(3).unwrap(), Some((3, end)));
}

#[test]
fn nothing_at_or_above_the_limit_is_read() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 100);
    let all = read_all(&mut log, 0, 1 << 20);
    for &(base, last) in &all {
        let outcome = log.read(all[0].0, 1 << 20, base, true).unwrap();
        if let Some(slice) = outcome.slice {
            let bytes = slice.read().unwrap();
            assert!(batches(&bytes).all(|b| b.unwrap().header().last_offset() < base));
        }
        assert!(log.read(last, 1 << 20, base, true).unwrap().slice.is_none());
    }
    let cut = log.read(0, 10, 1000, false).unwrap();
    assert!(cut.first_is_cut && cut.slice.unwrap().len == 10);
}

#[test]
fn a_follower_copies_its_leader_byte_for_byte() {
    let (leader_disk, follower_disk) = (SimDisk::new(), SimDisk::new());
    let (_m, mut leader) = log_on(&leader_disk, small());
    let (_n, mut follower) = log_on(&follower_disk, small());
    fill(&mut leader, 150);
    let end = leader.log_end_offset();
    while follower.log_end_offset() < end {
        let slice = leader.read(follower.log_end_offset(), 1777, end, true).unwrap().slice.unwrap();
        follower.append_as_follower(&slice.read().unwrap(), NOW).unwrap().unwrap();
    }
    assert_eq!(read_all(&mut follower, 0, 999), read_all(&mut leader, 0, 999));
    assert_eq!(follower.latest_epoch().unwrap(), Some(3));
    let again = leader.read(0, 1000, end, true).unwrap().slice.unwrap().read().unwrap();
    assert!(matches!(follower.append_as_follower(&again, NOW), Err(AppendError::UnexpectedOffset { .. })));
}

#[test]
fn timestamps_are_found() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 100);
    let first = log.offset_for_timestamp(0).unwrap().unwrap();
    assert_eq!((first.offset, first.timestamp, first.leader_epoch), (0, NOW, 3));
    // Batch i begins at NOW + 10 i and has 1 + i % 3 records, a millisecond apart.
    let mut offset = 0;
    for i in 0..100 {
        let found = log.offset_for_timestamp(NOW + i * 10).unwrap().unwrap();
        assert_eq!(found.offset, offset, "batch {i}");
        offset += 1 + i % 3;
    }
    assert_eq!(log.offset_for_timestamp(NOW + 10_000).unwrap(), None);
    let max = log.max_timestamp_offset().unwrap().unwrap();
    assert_eq!(max.timestamp, NOW + 990);
    log.advance_log_start_offset(50).unwrap();
    assert_eq!(log.offset_for_timestamp(0).unwrap().unwrap().offset, 50);
}

#[test]
fn truncation_at_every_offset_and_on() {
    for to in 0..60 {
        let disk = SimDisk::new();
        let (_manager, mut log) = log_on(&disk, small());
        fill(&mut log, 60);
        log.sync_now().unwrap();
        log.truncate_to(to).unwrap();
        let end = log.log_end_offset();
        assert!(end <= to && end >= to - 3);
        assert!(log.synced_end_offset() <= end);
        assert_contiguous(&read_all(&mut log, 0, 500), 0, end);
        fill(&mut log, 40);
        let end = log.log_end_offset();
        assert_contiguous(&read_all(&mut log, 0, 500), 0, end);
        log.sync_now().unwrap();
        assert_eq!(log.synced_end_offset(), end);
        drop(log);
        disk.crash(&mut Rng::new(to as u64));
        let (_manager, mut log) = log_on(&disk, small());
        assert_eq!(log.log_end_offset(), end);
        assert_contiguous(&read_all(&mut log, 0, 500), 0, end);
    }
}

#[test]
fn starting_over_forgets_everything() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 50);
    log.sync_now().unwrap();
    log.truncate_fully_and_start_at(1000).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.synced_end_offset()), (1000, 1000, 1000));
    fill(&mut log, 3);
    assert_contiguous(&read_all(&mut log, 1000, 500), 1000, log.log_end_offset());
    log.truncate_to(5).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (5, 5));
    drop(log);
    disk.crash(&mut Rng::new(1));
    let (_manager, log) = log_on(&disk, small());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (5, 5));
}

#[test]
fn a_full_disk_refuses_and_then_goes_on() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 10);
    let end = log.log_end_offset();
    for room in [0u64, 1, 50, 90] {
        let used = u64::MAX / 2 - disk.free_space(Path::new("/")).unwrap();
        disk.set_capacity(None);
        let _ = used;
        let size: u64 = log.size().unwrap();
        disk.set_capacity(Some(total(&disk) + room));
        let refused = append(&mut log, &batch(20, NOW)).unwrap_err();
        assert!(matches!(refused, AppendError::Fault(ref fault) if fault.is_full()), "{refused}");
        assert_eq!((log.log_end_offset(), log.size().unwrap()), (end, size));
    }
    disk.set_capacity(None);
    assert!(!log.is_offline());
    fill(&mut log, 10);
    assert_contiguous(&read_all(&mut log, 0, 500), 0, log.log_end_offset());
}

fn total(disk: &SimDisk) -> u64 {
    disk.set_capacity(Some(1 << 40));
    (1 << 40) - disk.free_space(Path::new("/")).unwrap()
}

#[test]
fn after_a_failed_sync_nothing_is_accepted() {
    let disk = SimDisk::new();
    let (manager, mut log) = log_on(&disk, small());
    fill(&mut log, 3);
    disk.inject(Fault { path_contains: "t-0/".into(), call: Call::Sync, after: 0, times: 1 });
    let job = log.sync_job().unwrap();
    assert!(log.sync_job().is_none(), "one at a time");
    assert!(log.synced(job.run()).is_err());
    assert_eq!(log.synced_end_offset(), 0);
    assert!(log.is_offline() && manager.dirs()[0].is_failed());
    assert!(log.sync_job().is_none());
    assert!(matches!(
        append(&mut log, &batch(1, NOW)),
        Err(AppendError::Fault(StorageError::Offline { .. }))
    ));
    assert!(manager.log(&TopicPartition::new("u", 0), TopicId::NIL, small(), None).is_err());
}

#[test]
fn a_sync_covers_what_was_there_when_it_began() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 3);
    let end = log.log_end_offset();
    let job = log.sync_job().unwrap();
    fill(&mut log, 20);
    log.synced(job.run()).unwrap();
    assert_eq!(log.synced_end_offset(), end);
    let job = log.sync_job().unwrap();
    log.truncate_to(end + 1).unwrap();
    fill(&mut log, 20);
    log.synced(job.run()).unwrap();
    assert!(log.synced_end_offset() <= end + 1, "the truncation came between");
    log.sync_now().unwrap();
    assert_eq!(log.synced_end_offset(), log.log_end_offset());
}

#[test]
fn the_first_look_for_retention_comes_30_seconds_after_the_start() {
    let (manager, mut log) = log_on(&SimDisk::new(), small());
    fill(&mut log, 1);
    assert!(manager.tick(NOW).retention.is_empty());
    assert!(manager.tick(NOW + 29_999).retention.is_empty());
    assert_eq!(manager.tick(NOW + 30_000).retention, [tp()]);
    assert!(manager.tick(NOW + 30_001).retention.is_empty());
}

#[test]
fn retention_removes_once_the_start_is_durable() {
    let disk = SimDisk::new();
    let config = Arc::new(LogConfig { retention_bytes: 4000, ..LogConfig::clone(&small()) });
    let (manager, mut log) = log_on(&disk, config.clone());
    fill(&mut log, 100);
    let end = log.log_end_offset();
    let segments = log.segment_count().unwrap();
    assert_eq!(log.delete_old_segments(NOW, 0).unwrap(), 0, "not above the high watermark");
    let old = log.delete_old_segments(NOW, end).unwrap();
    assert!(old > 1);
    assert_eq!(log.reap(NOW).unwrap(), 0, "the checkpoint does not say so yet");
    assert_eq!(log.log_start_offset(), 0, "and nobody sees it before");
    assert_eq!(manager.settle_starts(), [tp()]);
    assert_eq!(log.reap(NOW).unwrap(), 0, "what stays is not durable yet");
    assert!(log.log_start_offset() > 0);
    log.sync_now().unwrap();
    assert_eq!(manager.tick(NOW).reap, [tp()]);
    assert_eq!(log.reap(NOW).unwrap(), old);
    assert_eq!(log.segment_count().unwrap(), segments - old);
    let start = log.log_start_offset();
    assert_contiguous(&read_all(&mut log, start, 500), start, end);
    assert!(disk.exists(Path::new("/data/t-0/00000000000000000000.log.deleted")));
    manager.tick(NOW + config.file_delete_delay_ms);
    assert!(!disk.exists(Path::new("/data/t-0/00000000000000000000.log.deleted")));
}

#[test]
fn retention_by_age_takes_the_active_segment_too() {
    let disk = SimDisk::new();
    let (manager, mut log) = log_on(&disk, small());
    fill(&mut log, 100);
    let end = log.log_end_offset();
    assert_eq!(log.delete_old_segments(NOW + 1000, end).unwrap(), 0);
    let segments = log.segment_count().unwrap();
    assert_eq!(log.delete_old_segments(NOW + 8 * 24 * 3600 * 1000, end).unwrap(), segments);
    assert_eq!(manager.settle_starts(), [tp()]);
    log.reap(NOW).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (end, end));
    fill(&mut log, 1);
    assert_contiguous(&read_all(&mut log, end, 500), end, log.log_end_offset());
}

#[test]
fn a_clean_end_leaves_a_snapshot_even_when_every_record_is_durable() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 1);
    let end = log.log_end_offset();
    log.sync_now().unwrap();
    log.close(true).unwrap();
    assert!(disk.exists(&PathBuf::from(format!("/data/t-0/{end:020}.snapshot"))));
}

#[test]
fn closed_segments_indexes_are_rebuilt_when_lost_or_broken() {
    for damage in 0..4 {
        let disk = SimDisk::new();
        let (manager, mut log) = log_on(&disk, small());
        fill(&mut log, 100);
        let end = log.log_end_offset();
        log.close(true).unwrap();
        manager.close(5).unwrap();
        disk.kill();
        for entry in disk.list(Path::new("/data/t-0")).unwrap() {
            let path = PathBuf::from("/data/t-0").join(&entry.name);
            if !entry.name.ends_with("index") {
                continue;
            }
            match damage {
                0 => disk.remove_file(&path).unwrap(),
                1 => disk.open(&path, OpenMode::Write).unwrap().set_len(7).unwrap(),
                2 => {
                    let file = disk.open(&path, OpenMode::Write).unwrap();
                    let zeros = vec![0; file.len().unwrap() as usize];
                    file.write_at(0, &[IoSlice::new(&zeros)]).unwrap();
                }
                _ => {
                    let file = disk.open(&path, OpenMode::Write).unwrap();
                    let ones = vec![0xff; file.len().unwrap() as usize];
                    file.write_at(0, &[IoSlice::new(&ones)]).unwrap();
                }
            }
        }
        let (manager, mut log) = log_on(&disk, small());
        assert_eq!(manager.clean_shutdown_epoch(), Some(5));
        assert_eq!(log.log_end_offset(), end);
        for from in 0..end {
            let found = read_all(&mut log, from, 300);
            assert_contiguous(&found, found[0].0, end);
        }
        let max = log.max_timestamp_offset().unwrap().unwrap();
        assert_eq!(max.timestamp, NOW + 990, "damage {damage}");
    }
}

#[test]
fn producers_survive_clean_and_unclean_stops() {
    for clean in [true, false] {
        let disk = SimDisk::new();
        let (manager, mut log) = log_on(&disk, small());
        let send = |log: &mut Log, sequence: i32| {
            let mut builder = BatchBuilder::new(0).producer(7, 1, sequence);
            builder.append(NOW, Some(b"k"), Some(b"v"));
            append(log, &builder.finish())
        };
        for sequence in 0..50 {
            send(&mut log, sequence).unwrap();
        }
        let again = send(&mut log, 49).unwrap();
        assert!(again.duplicate && again.first_offset == 49 && again.bytes == 0);
        if clean {
            log.close(true).unwrap();
            manager.close(1).unwrap();
        } else {
            log.sync_now().unwrap();
        }
        disk.crash(&mut Rng::new(3));
        let (_manager, mut log) = log_on(&disk, small());
        assert_eq!(log.log_end_offset(), 50);
        assert!(send(&mut log, 49).unwrap().duplicate);
        for sequence in 45..49 {
            let again = send(&mut log, sequence).unwrap();
            assert!(again.duplicate && again.first_offset == i64::from(sequence), "all five are known");
        }
        assert!(matches!(send(&mut log, 51), Err(AppendError::Producer(_))));
        assert_eq!(send(&mut log, 50).unwrap().first_offset, 50);
    }
}

#[test]
fn any_of_the_last_five_batches_may_be_retried_after_a_power_loss_at_any_disk_call() {
    const BATCHES: i32 = 24;
    // Three batches fill a segment, so that the last five lie in two or three of them.
    let config = Arc::new(LogConfig { segment_bytes: 520, ..LogConfig::clone(&small()) });
    let send = |log: &mut Log, producer: i64, i: i32| {
        let mut builder = BatchBuilder::new(0).producer(producer, 1, i * 2);
        for _ in 0..2 {
            builder.append(NOW + i64::from(i), Some(b"key"), Some(&[i as u8; 30]));
        }
        append(log, &builder.finish())
    };
    // Sends in turn for two producers, the second one slower; gives back where the disk failed.
    let produce = |manager: &Manager, log: &mut Log| -> Vec<(i64, i32, Offset)> {
        let mut sent = Vec::new();
        for i in 0..BATCHES {
            let rounds = [Some((7, i)), (i % 3 == 0).then_some((8, i / 3))];
            for (producer, i) in rounds.into_iter().flatten() {
                let Ok(info) = send(log, producer, i) else { return sent };
                sent.push((producer, i, info.first_offset));
            }
            if i % 2 == 1 && log.sync_now().is_err() {
                return sent;
            }
            // The recovery point goes forward, so that recovery begins at a snapshot.
            manager.tick(NOW + Ms::from(i) * 60_000);
        }
        sent
    };
    let mut call = 0;
    loop {
        let disk = SimDisk::new();
        let (manager, mut log) = log_on(&disk, config.clone());
        disk.lose_power_at(disk.calls() + call);
        let sent = produce(&manager, &mut log);
        let ended = !disk.is_without_power();
        drop((manager, log));
        disk.crash(&mut Rng::new(call));
        let (_manager, mut log) = log_on(&disk, config.clone());
        let end = log.log_end_offset();
        for producer in [7, 8] {
            let known = log.active_producers().unwrap().into_iter().find(|found| found.0 == producer);
            // What was under way when the power went is in the log or is not.
            let next = known.map_or(0, |(_, entry)| (entry.last_sequence() + 1) / 2);
            let there = sent.iter().filter(|s| s.0 == producer && s.2 < end);
            assert!(there.clone().count() as i32 <= next, "call {call}");
            for &(_, i, offset) in there.filter(|s| s.1 >= next - 5) {
                let again =
                    send(&mut log, producer, i).unwrap_or_else(|e| panic!("call {call}, batch {i}: {e}"));
                assert!(again.duplicate && again.first_offset == offset, "call {call}: {again:?}");
            }
            assert_eq!(log.log_end_offset(), end);
        }
        for (producer, count) in [(7, BATCHES), (8, BATCHES / 3)] {
            let known = log.active_producers().unwrap().into_iter().find(|found| found.0 == producer);
            let next = known.map_or(0, |(_, entry)| (entry.last_sequence() + 1) / 2);
            for i in next..=count {
                assert!(!send(&mut log, producer, i).unwrap().duplicate, "call {call}, batch {i}");
            }
        }
        if ended {
            break;
        }
        call += 1;
    }
    assert!(call > 60, "{call}");
}

/// A log whose recovery point on disk is the end of its only segment.
fn with_durable_segment(disk: &SimDisk) -> (Manager, Log) {
    let (manager, mut log) = log_on(disk, small());
    while log.size().unwrap() < 1500 {
        append(&mut log, &batch(2, NOW)).unwrap();
    }
    log.sync_now().unwrap();
    manager.tick(NOW + 60_000);
    (manager, log)
}

#[test]
fn a_failed_write_that_a_power_loss_brings_back_before_a_closed_segment_is_synced_is_cut_off() {
    let other_batches = {
        let (_manager, mut leader) = with_durable_segment(&SimDisk::new());
        let end = leader.log_end_offset();
        for _ in 0..3 {
            append(&mut leader, &batch(1, NOW + 5)).unwrap();
        }
        let slice = leader.read(end, 1 << 20, Offset::MAX, true).unwrap().slice.unwrap();
        slice.read().unwrap()
    };
    let mut brought_back = 0;
    for seed in 0..200 {
        let disk = SimDisk::new();
        let (manager, mut log) = with_durable_segment(&disk);
        let (end, size) = (log.log_end_offset(), log.size().unwrap());
        // Two whole batches and a part of the third one find room, and go again.
        disk.set_capacity(Some(total(&disk) + other_batches.len() as u64 - 10));
        assert!(log.append_as_follower(&other_batches, NOW).is_err());
        disk.set_capacity(None);
        assert_eq!((log.log_end_offset(), log.size().unwrap()), (end, size));
        let first = append(&mut log, &batch(20, NOW + 9)).unwrap();
        assert_eq!((first.first_offset, log.segment_count().unwrap()), (end, 2));
        drop((manager, log));
        disk.crash(&mut Rng::new(seed));
        let closed = Path::new("/data/t-0/00000000000000000000.log");
        brought_back += u64::from(disk.metadata(closed).unwrap().len > size);
        let (_manager, mut log) = log_on(&disk, small());
        let found = log.log_end_offset();
        // Whole batches that came back are there only where the log goes on in the same segment.
        assert!(found >= end && found <= end + 20, "seed {seed}: {found} after {end}");
        assert_contiguous(&read_all(&mut log, 0, 500), 0, found);
        if log.segment_count().unwrap() == 2 {
            assert_eq!(disk.metadata(closed).unwrap().len, size, "seed {seed}");
        }
        fill(&mut log, 10);
        assert_contiguous(&read_all(&mut log, 0, 500), 0, log.log_end_offset());
    }
    assert!(brought_back > 20, "{brought_back}");
}

#[test]
fn damage_at_the_end_of_the_segment_before_the_recovery_point_is_not_cut() {
    for back in [1, 40, 90] {
        let disk = SimDisk::new();
        let (manager, mut log) = with_durable_segment(&disk);
        let size = log.size().unwrap();
        append(&mut log, &batch(20, NOW)).unwrap();
        log.sync_now().unwrap();
        assert_eq!(log.segment_count().unwrap(), 2);
        drop((manager, log));
        disk.settle();
        disk.kill();
        let closed = Path::new("/data/t-0/00000000000000000000.log");
        assert!(disk.rot(closed, size - back, 3));
        let manager = manager_on(&disk);
        let opened = manager.log(&tp(), TopicId(uuid::Uuid::from_u128(9)), small(), None);
        assert!(matches!(opened, Err(StorageError::Corrupt { .. })), "{opened:?}");
        assert_eq!(disk.metadata(closed).unwrap().len, size);
    }
}

#[test]
fn what_was_synced_a_second_ago_is_not_cut_though_it_looks_like_an_unwritten_sector() {
    let disk = SimDisk::new();
    let (manager, mut log) = log_on(&disk, Arc::new(LogConfig::default()));
    fill(&mut log, 30);
    log.sync_now().unwrap();
    manager.tick(NOW + 1000);
    drop((manager, log));
    disk.crash(&mut Rng::new(1));
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let file = disk.open(path, OpenMode::Write).unwrap();
    let len = file.len().unwrap();
    file.write_at(1024, &[IoSlice::new(&[0; 512])]).unwrap();
    let manager = manager_on(&disk);
    let opened = manager.log(&tp(), TopicId(uuid::Uuid::from_u128(9)), small(), None);
    assert!(matches!(opened, Err(StorageError::Corrupt { .. })), "{opened:?}");
    assert_eq!(file.len().unwrap(), len);
}

#[test]
fn what_a_kill_leaves_is_used_at_once_and_synced_like_what_is_written() {
    let disk = SimDisk::new();
    let (manager, mut log) = log_on(&disk, small());
    fill(&mut log, 3);
    log.sync_now().unwrap();
    let durable = log.log_end_offset();
    manager.tick(NOW + 1000);
    fill(&mut log, 3);
    let end = log.log_end_offset();
    drop((manager, log));
    disk.kill();
    let (manager, mut log) = log_on(&disk, small());
    assert_eq!((log.synced_end_offset(), log.log_end_offset()), (durable, end));
    assert!(!log.is_new(), "its topic id was durable with the first records");
    assert_eq!(manager.tick(NOW + 2000).sync, [tp()], "the next look at it has it synced");
    log.sync_now().unwrap();
    assert_eq!(log.synced_end_offset(), end);
    assert!(log.sync_job().is_none());
    drop((manager, log));
    disk.crash(&mut Rng::new(1));
    assert_eq!(log_on(&disk, small()).1.log_end_offset(), end);
}

#[test]
fn what_recovery_has_cut_off_is_gone_for_good_before_the_log_is_used() {
    let disk = SimDisk::new();
    let (manager, mut log) = log_on(&disk, small());
    fill(&mut log, 3);
    let (end, size) = (log.log_end_offset(), log.size().unwrap());
    drop((manager, log));
    let file = disk.open(Path::new("/data/t-0/00000000000000000000.log"), OpenMode::Write).unwrap();
    file.write_at(size, &[IoSlice::new(b"half a batch")]).unwrap();
    disk.kill();
    let (_manager, log) = log_on(&disk, small());
    assert_eq!((log.synced_end_offset(), log.log_end_offset()), (end, end));
}

#[test]
fn a_roll_that_fails_leaves_no_segment_in_the_way() {
    for call in 0..12 {
        let disk = SimDisk::new();
        let (manager, mut log) = with_durable_segment(&disk);
        disk.set_capacity(Some(total(&disk)));
        for _ in 0..call {
            assert!(append(&mut log, &batch(20, NOW)).is_err());
        }
        disk.set_capacity(None);
        // Fits into the segment that was to be closed.
        append(&mut log, &batch(1, NOW)).unwrap();
        append(&mut log, &batch(20, NOW)).unwrap();
        let end = log.log_end_offset();
        log.sync_now().unwrap();
        drop((manager, log));
        disk.crash(&mut Rng::new(call));
        let (_manager, mut log) = log_on(&disk, small());
        assert_eq!(log.log_end_offset(), end);
        assert_contiguous(&read_all(&mut log, 0, 500), 0, end);
    }
}

#[test]
fn a_gap_below_the_log_start_offset_costs_nothing_behind_it() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    fill(&mut log, 200);
    log.sync_now().unwrap();
    let end = log.log_end_offset();
    let bases: Vec<Offset> = log.segments.iter().map(|segment| segment.base).collect();
    let start = bases[3] + 1;
    assert!(log.advance_log_start_offset(start).unwrap());
    log.log_dir().write_starts().unwrap();
    drop(log);
    // Three segments were to be removed, and the power loss brings back the first one.
    for base in &bases[1..3] {
        disk.remove_file(Path::new(&format!("/data/t-0/{base:020}.log"))).unwrap();
    }
    disk.kill();
    let (_manager, mut log) = log_on(&disk, small());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (start, end));
    assert_contiguous(&read_all(&mut log, start, 500), bases[3], end);
}

#[test]
fn aborted_transactions_are_listed_also_after_recovery() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    let mut expected = Vec::new();
    for txn in 0..20i64 {
        let first = log.log_end_offset();
        let mut builder = BatchBuilder::new(0).producer(7, 0, txn as i32 * 2).transactional();
        builder.append(NOW, None, Some(b"v")).append(NOW, None, Some(b"w"));
        append(&mut log, &builder.finish()).unwrap();
        assert_eq!(log.last_stable_offset(log.log_end_offset()).unwrap(), first);
        let commit = txn % 3 == 0;
        let marker = crate::wire::control::EndTxnMarker { commit, coordinator_epoch: 1 };
        let input = crate::wire::control::end_txn_batch(0, -1, 7, 0, marker, NOW);
        let mut plan =
            validate(&input, &log.config().validate.clone(), AppendOrigin::Coordinator, NOW).unwrap();
        log.append_as_leader(&input, &mut plan, AppendBy::coordinator(3), NOW).unwrap();
        let end = log.log_end_offset();
        assert_eq!(log.last_stable_offset(end).unwrap(), first, "the marker is not replicated");
        log.on_high_watermark(end);
        assert_eq!(log.last_stable_offset(end).unwrap(), end);
        if !commit {
            expected.push((first, end - 1));
        }
    }
    let pairs = |log: &mut Log, from, upto| -> Vec<(Offset, Offset)> {
        let found = log.aborted_transactions(from, upto).unwrap();
        found.iter().map(|txn| (txn.first_offset, txn.last_offset)).collect()
    };
    let end = log.log_end_offset();
    assert!(log.segment_count().unwrap() > 1);
    assert_eq!(pairs(&mut log, 0, end), expected);
    assert_eq!(pairs(&mut log, expected[3].1, expected[4].0 + 1), expected[3..=4]);
    log.sync_now().unwrap();
    drop(log);
    disk.crash(&mut Rng::new(1));
    for entry in disk.list(Path::new("/data/t-0")).unwrap() {
        if entry.name.ends_with("txnindex") {
            disk.remove_file(&PathBuf::from("/data/t-0").join(&entry.name)).unwrap();
        }
    }
    let (_manager, mut log) = log_on(&disk, small());
    assert_eq!(pairs(&mut log, 0, end), expected);
}

fn append_of(log: &mut Log, producer: i64, sequence: i32, records: usize) {
    let mut builder = BatchBuilder::new(0).producer(producer, 0, sequence);
    for _ in 0..records {
        builder.append(NOW, None, Some(b"a value of some length"));
    }
    append(log, &builder.finish()).unwrap();
}

fn producers(log: &mut Log) -> Vec<(i64, i32)> {
    log.active_producers().unwrap().iter().map(|(id, entry)| (*id, entry.last_sequence())).collect()
}

/// Moves the log start to `start` and removes what is below it, as an upkeep of the broker does.
fn remove_below(manager: &Manager, log: &mut Log, start: Offset) {
    log.advance_log_start_offset(start).unwrap();
    manager.settle_starts();
    log.reap(NOW).unwrap();
}

#[test]
fn a_snapshot_that_only_a_killed_process_wrote_is_synced_before_it_is_all_there_is() {
    for seed in 0..10 {
        let disk = SimDisk::new();
        let (manager, mut log) = log_on(&disk, small());
        append_of(&mut log, 1, 0, 2);
        log.roll_now(NOW).unwrap();
        append_of(&mut log, 2, 0, 2);
        drop((manager, log));
        disk.kill();
        let (manager, mut log) = log_on(&disk, small());
        remove_below(&manager, &mut log, 2);
        assert_eq!(log.segment_count().unwrap(), 2, "what stays is not durable yet");
        log.sync_now().unwrap();
        log.reap(NOW).unwrap();
        assert_eq!(log.segment_count().unwrap(), 1);
        drop((manager, log));
        disk.crash(&mut Rng::new(seed));
        let (_manager, mut log) = log_on(&disk, small());
        assert_eq!(producers(&mut log), [(1, 1), (2, 1)], "seed {seed}");
    }
}

#[test]
fn recovery_leaves_a_snapshot_where_retention_will_cut() {
    for seed in 0..10 {
        let disk = SimDisk::new();
        let (manager, mut log) = log_on(&disk, small());
        append_of(&mut log, 1, 0, 2);
        log.roll_now(NOW).unwrap();
        log.sync_now().unwrap();
        drop((manager, log));
        // The recovery point on disk does not know of any of it.
        disk.crash(&mut Rng::new(seed));
        let (manager, mut log) = log_on(&disk, small());
        remove_below(&manager, &mut log, 2);
        append_of(&mut log, 2, 0, 2);
        drop((manager, log));
        disk.crash(&mut Rng::new(seed + 100));
        let (_manager, mut log) = log_on(&disk, small());
        assert_eq!(producers(&mut log)[0], (1, 1), "seed {seed}");
    }
}

#[test]
fn a_segment_that_comes_back_while_it_is_removed_hides_no_producer() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let (manager, mut log) = log_on(&disk, small());
        for producer in 1..4 {
            append_of(&mut log, producer, 0, 2);
            log.roll_now(NOW).unwrap();
        }
        append_of(&mut log, 4, 0, 2);
        log.sync_now().unwrap();
        remove_below(&manager, &mut log, 6);
        drop((manager, log));
        disk.crash(&mut Rng::new(seed));
        let (_manager, mut log) = log_on(&disk, small());
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (6, 8));
        assert_eq!(producers(&mut log), [(1, 1), (2, 1), (3, 1), (4, 1)], "seed {seed}");
    }
}

#[test]
fn aborted_transactions_of_a_closed_segment_are_as_durable_as_their_markers() {
    for seed in 0..10 {
        let disk = SimDisk::new();
        let (manager, mut log) = log_on(&disk, small());
        let mut builder = BatchBuilder::new(0).producer(7, 0, 0).transactional();
        builder.append(NOW, None, Some(b"v"));
        append(&mut log, &builder.finish()).unwrap();
        let marker = crate::wire::control::EndTxnMarker { commit: false, coordinator_epoch: 1 };
        let input = crate::wire::control::end_txn_batch(0, -1, 7, 0, marker, NOW);
        let mut plan =
            validate(&input, &log.config().validate.clone(), AppendOrigin::Coordinator, NOW).unwrap();
        log.append_as_leader(&input, &mut plan, AppendBy::coordinator(3), NOW).unwrap();
        if seed % 2 == 0 {
            // Else the sync before the roll covers the marker.
            log.roll_now(NOW).unwrap();
        }
        log.sync_now().unwrap();
        log.roll_now(NOW).unwrap();
        // From here on recovery does not look at the segment any more.
        manager.tick(NOW + 1000);
        drop((manager, log));
        disk.crash(&mut Rng::new(seed));
        let (_manager, mut log) = log_on(&disk, small());
        let found = log.aborted_transactions(0, log.log_end_offset()).unwrap();
        assert_eq!(found.len(), 1, "seed {seed}");
        assert_eq!((found[0].first_offset, found[0].last_offset), (0, 1));
    }
}

#[test]
fn an_aborted_transaction_whose_records_are_lost_is_not_listed() {
    let disk = SimDisk::new();
    let (manager, mut log) = log_on(&disk, small());
    append_of(&mut log, 1, 0, 2);
    log.roll_now(NOW).unwrap();
    log.sync_now().unwrap();
    drop((manager, log));
    disk.settle();
    disk.kill();
    // Of the new segment, a power loss has left the index alone.
    let path = PathBuf::from(format!("/data/t-0/{:020}.txnindex", 2));
    let txn = AbortedTxn { producer_id: 7, first_offset: 2, last_offset: 3, last_stable_offset: 4 };
    disk.open(&path, OpenMode::Create).unwrap().write_at(0, &[IoSlice::new(&txn.encode())]).unwrap();
    let (_manager, mut log) = log_on(&disk, small());
    append_of(&mut log, 7, 0, 4);
    assert_eq!(log.aborted_transactions(0, 6).unwrap(), []);
}

#[path = "transactions_test.rs"]
mod transactions;
