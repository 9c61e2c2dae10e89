use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::env::Env;
use crate::quorum::types::{Membership, RaftId, Records, membership};

fn open(dir: &Path) -> Result<MetadataLog, MetadataLogError> {
    MetadataLog::open(Env::os().disk, dir, 2048)
}

fn normal(index: u64, sizes: &[usize]) -> Entry {
    let values: Vec<Bytes> = sizes.iter().map(|size| Bytes::from(vec![index as u8; *size])).collect();
    Entry {
        log_id: log_id(1 + index / 10, index),
        payload: Payload::Normal(Records(Arc::from(values))).into(),
    }
}

fn append(log: &mut MetadataLog, entries: Vec<Entry>) {
    log.append(entries, 1, 1, &BTreeMap::new()).unwrap();
    log.file_to_sync().unwrap().sync().unwrap();
}

fn last_segment(dir: &Path) -> PathBuf {
    let mut names: Vec<String> = Env::os().disk.list(dir).unwrap().into_iter().map(|e| e.name).collect();
    names.retain(|name| name.ends_with(".log"));
    dir.join(names.pop().unwrap())
}

fn indexes(log: &MetadataLog) -> Vec<u64> {
    log.entries(0, u64::MAX).unwrap().iter().map(|e| e.log_id.index()).collect()
}

#[test]
fn a_torn_end_is_cut_and_damage_before_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, (0..3).map(|i| normal(i, &[40, 50])).collect());
    let whole_end = log.segments.last_key_value().unwrap().1.len;
    append(&mut log, vec![normal(3, &[100])]);
    drop(log);
    let path = last_segment(dir.path());
    let disk = Env::os().disk;
    let file = disk.open(&path, OpenMode::Write).unwrap();
    let len = file.len().unwrap();
    // Every cut within the last batch leaves the first three, and the log goes on.
    for cut in [whole_end + 1, whole_end + 61, len - 1] {
        file.set_len(cut).unwrap();
        let mut log = open(dir.path()).unwrap();
        assert_eq!(indexes(&log), [0, 1, 2]);
        assert_eq!(log.end_offset(), 6);
        append(&mut log, vec![normal(3, &[100])]);
        assert_eq!(file.len().unwrap(), len);
    }
    // Zeros at the end are pages that were never written.
    file.set_len(len + 4000).unwrap();
    assert_eq!(indexes(&open(dir.path()).unwrap()), [0, 1, 2, 3]);
    assert_eq!(file.len().unwrap(), len);
    // One wrong byte with whole batches behind it is damage.
    file.write_at(80, &[IoSlice::new(&[0xff])]).unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(matches!(error, MetadataLogError::Damaged { position: 0, .. }), "{error}");
}

#[test]
fn a_purged_log_keeps_its_indexes_and_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, (0..60).map(|i| normal(i, &[100, 1])).collect());
    assert!(log.segments.len() > 3);
    log.purge(log_id(4, 35), None).unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (72, 120));
    let first_segment = *log.segments.first_key_value().unwrap().0;
    assert!(first_segment > 0 && first_segment <= 72);
    drop(log);
    let mut log = open(dir.path()).unwrap();
    assert_eq!(log.purged(), Some(log_id(4, 35)));
    assert_eq!(indexes(&log), (36..60).collect::<Vec<_>>());
    assert_eq!(log.base_offset_of(36), Some(72));
    assert_eq!(log.entry_before(72), Some(log_id(4, 35)));
    assert_eq!(log.entry_before(74), Some(log_id(4, 36)));
    assert_eq!(log.entry_before(120), log.last_log_id());
    assert_eq!(log.entry_before(73), None);
    // All of it, and then on.
    log.purge(log_id(6, 59), None).unwrap();
    assert_eq!(log.last_log_id(), Some(log_id(6, 59)));
    append(&mut log, vec![normal(60, &[5])]);
    drop(log);
    let log = open(dir.path()).unwrap();
    assert_eq!((indexes(&log), log.start_offset(), log.end_offset()), (vec![60], 120, 121));
    assert_eq!(log.segments.len(), 1);
}

#[test]
fn control_batches_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let voter = |n| Voter {
        directory: Uuid::from_u128(n),
        endpoints: vec![("CONTROLLER".into(), "host".into(), 9093)],
    };
    let one = membership([(1, voter(1))]);
    let nodes: BTreeMap<RaftId, Voter> = (1..5).map(|n| (RaftId(n), voter(n as u128))).collect();
    let configs = vec![BTreeSet::from([RaftId(1)]), BTreeSet::from([RaftId(1), RaftId(2), RaftId(3)])];
    let joint = Membership::new(configs, nodes).unwrap();
    let payloads = [
        Payload::Membership(one),
        Payload::Blank,
        Payload::Membership(joint),
        Payload::Control { records: 3, membership: None },
    ];
    let entries: Vec<Entry> = payloads
        .into_iter()
        .enumerate()
        .map(|(i, payload)| Entry { log_id: log_id(1, i as u64), payload: payload.into() })
        .collect();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, entries.clone());
    drop(log);
    let log = open(dir.path()).unwrap();
    assert_eq!(log.entries(0, 10).unwrap(), entries);
    assert_eq!(log.end_offset(), 8);
}

#[test]
fn a_leader_change_has_the_version_that_kafka_reads() {
    let voters = BTreeMap::from([(1, Voter::default()), (2, Voter::default())]);
    let bytes = batches::encode(&Payload::Blank, 5, 3, 0, (2, &voters));
    let batch = Batch::first_of(&bytes).unwrap();
    let mut records = crate::wire::records::Records::of(&batch).unwrap();
    let mut value = Bytes::copy_from_slice(records.next().unwrap().unwrap().value.unwrap());
    let message = crate::schema::quorum::LeaderChangeMessage::decode(&mut value, 0).unwrap();
    assert!(value.is_empty());
    assert_eq!((message.version, message.leader_id, message.voters.len()), (0, 2, 2));
    assert_eq!(message.granting_voters.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is appended, truncated and purged: what is opened is what was there, and a file cut anywhere opens to a
    /// prefix.
    #[test]
    fn what_was_written_comes_back(
        steps in prop::collection::vec((0..8u8, 1..40usize), 1..30),
        cut in 0..600u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path()).unwrap();
        let mut model: Vec<Entry> = Vec::new();
        let mut purged = 0;
        for (kind, n) in steps {
            let next = log.next_index();
            match kind {
                0..=4 => {
                    let new: Vec<Entry> = (next..next + n as u64 % 5 + 1).map(|i| normal(i, &[n, 1])).collect();
                    model.extend(new.clone());
                    append(&mut log, new);
                }
                5 => {
                    let keep = purged + (next - purged).saturating_sub(n as u64);
                    let last = if keep == 0 { None } else { Some(keep - 1) };
                    let last = last.map(|i| model[i as usize].log_id);
                    log.truncate_after(last).unwrap();
                    model.truncate(keep as usize);
                }
                6 if next > purged => {
                    let upto = purged + (n as u64) % (next - purged);
                    log.purge(model[upto as usize].log_id, None).unwrap();
                    purged = upto + 1;
                }
                _ => {
                    drop(log);
                    log = open(dir.path()).unwrap();
                }
            }
            prop_assert_eq!(log.entries(0, u64::MAX).unwrap(), &model[purged as usize..]);
            prop_assert_eq!(log.end_offset(), 2 * model.len() as i64);
        }
        drop(log);
        if model.len() as u64 > purged {
            let file = Env::os().disk.open(&last_segment(dir.path()), OpenMode::Write).unwrap();
            let len = file.len().unwrap();
            file.set_len(len.saturating_sub(cut)).unwrap();
            let log = open(dir.path()).unwrap();
            let left = log.entries(0, u64::MAX).unwrap();
            prop_assert_eq!(&left[..], &model[purged as usize..][..left.len()]);
        }
    }
}

#[test]
fn the_epochs_for_kafka_are_written_anew_where_a_power_loss_took_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, vec![normal(0, &[40]), normal(1, &[40])]);
    let disk = Env::os().disk;
    let path = dir.path().join(EPOCHS_FILE);
    let whole = read_file(&*disk, &path, 1000).unwrap();
    assert_eq!(whole, b"0\n1\n1 0\n");
    drop(log);
    // It is not synced: its content may be missing, or all of it.
    for left in [Some(0), Some(3), None] {
        match left {
            Some(len) => disk.open(&path, OpenMode::Write).unwrap().set_len(len).unwrap(),
            None => disk.remove_file(&path).unwrap(),
        }
        open(dir.path()).unwrap();
        assert_eq!(read_file(&*disk, &path, 1000).unwrap(), whole);
    }
}
