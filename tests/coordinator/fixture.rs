//! A partition of `__consumer_offsets` that Apache Kafka wrote loads: see `tests/fixtures/consumer-offsets/README.md`.

use std::sync::Arc;

use bytes::Bytes;
use ottla::coordinator::group::record::GroupRecord;
use ottla::coordinator::group::state::{CommittedOffset, Hard};
use ottla::coordinator::group::{GroupConfigs, GroupShard, command::*};
use ottla::coordinator::runtime::loader::{Loaded, load};
use ottla::coordinator::runtime::{AppendError, PartitionLog, ReadError};
use ottla::coordinator::shard::LogRecord;
use ottla::env::net::BoxFuture;
use ottla::replica::{TxnEnd, Verification};
use ottla::types::{LeaderEpoch, Offset};
use ottla::wire::batch::batches;
use tokio::sync::watch;

use super::machine::Machine;

static SEGMENT: &[u8] = include_bytes!("../fixtures/consumer-offsets/00000000000000000000.log");

/// A segment as a log that only reads, batch by batch.
struct Segment;

impl PartitionLog for Segment {
    fn append(&self, _batch: Vec<u8>, _verification: Verification) -> Result<Offset, AppendError> {
        Err(AppendError::NotLeader)
    }

    fn append_marker(&self, _end: &TxnEnd) -> Result<Offset, AppendError> {
        Err(AppendError::NotLeader)
    }

    fn high_watermark(&self) -> watch::Receiver<Offset> {
        watch::channel(self.end_offset()).1
    }

    fn read(&self, from: Offset, max_bytes: usize) -> BoxFuture<'_, Result<Bytes, ReadError>> {
        let mut out = Vec::new();
        for batch in batches(SEGMENT) {
            let batch = batch.expect("Kafka's batches are whole");
            let fits = out.is_empty() || out.len() + batch.bytes().len() <= max_bytes;
            if batch.header().next_offset() > from {
                if !fits {
                    break;
                }
                out.extend_from_slice(batch.bytes());
            }
        }
        Box::pin(async move { Ok(Bytes::from(out)) })
    }

    fn max_batch_bytes(&self) -> usize {
        1 << 20
    }

    fn start_offset(&self) -> Offset {
        0
    }

    fn end_offset(&self) -> Offset {
        batches(SEGMENT).last().map_or(0, |batch| batch.expect("whole").header().next_offset())
    }

    fn leader_epoch(&self) -> LeaderEpoch {
        0
    }
}

fn loaded(chunk_bytes: usize) -> (Hard, Loaded) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut hard = Hard::default();
    let loaded = runtime.block_on(load::<GroupShard>(&Segment, chunk_bytes, &mut hard)).unwrap();
    (hard, loaded)
}

#[test]
fn what_kafka_wrote_is_read() {
    for batch in batches(SEGMENT) {
        let batch = batch.unwrap();
        for record in ottla::wire::records::Records::of(&batch).unwrap() {
            let record = record.unwrap();
            if batch.header().is_control() {
                continue;
            }
            let key = record.key.map(Bytes::copy_from_slice);
            let value = record.value.map(Bytes::copy_from_slice);
            let read = GroupRecord::decode(key.as_ref(), value.as_ref());
            let read = read.unwrap_or_else(|error| panic!("{error}: {key:?} {value:?}")).expect("known");
            if let (GroupRecord::Foreign(_), _) | (_, None) = (&read, &value) {
                continue;
            }
            // What we write of it is what Kafka wrote, but for the version of an offset without a topic id: version 4
            // would have nothing that 3 has not.
            let written = GroupRecord::encode(&read).unwrap();
            let has_no_topic_id = |o: &CommittedOffset| o.topic_id.is_nil();
            match &read {
                GroupRecord::Offset { offset: Some(offset), .. } if has_no_topic_id(offset) => {
                    let again = GroupRecord::decode(Some(&written.0), written.1.as_ref()).unwrap().unwrap();
                    assert_eq!(again, read);
                }
                _ => assert_eq!(written, (key.unwrap(), value)),
            }
        }
    }
}

#[test]
fn what_kafka_wrote_loads() {
    let (hard, loaded) = loaded(1 << 20);
    assert_eq!((loaded.ignored, loaded.unreadable), (0, 0));
    assert_eq!(loaded.end, Segment.end_offset());

    let dynamic = hard.classic("dynamic").unwrap();
    assert_eq!((dynamic.generation, dynamic.protocol.as_deref()), (2, Some("cooperative-sticky")));
    assert_eq!(dynamic.members.len(), 2);
    assert!(dynamic.members.iter().any(|m| Some(&m.id) == dynamic.leader.as_ref()));
    assert!(dynamic.members.iter().all(|m| &*m.client_host == "/127.0.0.1" && m.instance_id.is_none()));
    let fixed = hard.classic("static").unwrap();
    let mut instances: Vec<_> = fixed.members.iter().filter_map(|m| m.instance_id.as_deref()).collect();
    instances.sort();
    assert_eq!(instances, ["instance-0", "instance-1"]);
    assert!(fixed.members.iter().all(|m| m.session_timeout_ms == 60_000));

    for group in ["dynamic", "static", "left", "kip848", "kip848-left"] {
        for partition in 0..3 {
            assert_eq!(hard.offsets.get(group, "orders", partition).unwrap().offset, 10, "{group}");
        }
    }
    let simple = hard.offsets.get("simple", "orders", 0).unwrap();
    assert_eq!((simple.offset, simple.leader_epoch, &*simple.metadata), (8, 0, "another"));
    assert!(!simple.topic_id.is_nil());
    assert!(hard.offsets.get("simple", "old", 0).is_none());

    assert_eq!(hard.offsets.get("txn-commit", "orders", 1).unwrap().offset, 5);
    assert!(hard.offsets.of("txn-abort").is_none());
    assert!(hard.offsets.of("txn-open").is_none());
    assert!(hard.has_pending("txn-open", "orders", 1));
    assert!(!hard.groups.contains_key("deleted"));

    let group = hard.consumer("kip848").unwrap();
    group.check();
    assert_eq!((group.members().len(), group.state().name()), (1, "Stable"));
    let (id, member) = group.members().next().unwrap();
    let partitions = member.current.assigned.partitions();
    assert_eq!((partitions.len(), &partitions), (3, &group.target(id)));
    assert!(!member.is_classic() && member.subscription.regex.is_none());
    assert_eq!(member.current.epochs.current, group.epochs.target);
    assert_eq!(hard.consumer("kip848-left").unwrap().members().len(), 0);
}

#[test]
fn small_chunks_give_the_same() {
    let (whole, _) = loaded(1 << 20);
    let (piecemeal, _) = loaded(1);
    assert_eq!(whole, piecemeal);
}

#[test]
fn loaded_groups_are_served_as_kafka_served_them() {
    let mut machine = Machine::new(GroupConfigs::default(), 1);
    machine.take_over(loaded(1 << 20).0);
    let (_, done) = machine.ask(Command::List(ListGroups::default()));
    let Reply::List(groups) = &done.replies[0].1 else { panic!("{:?}", done.replies) };
    let mut said: Vec<_> =
        groups.iter().map(|g| format!("{} {} {} {}", g.id, g.kind, g.protocol_type, g.state)).collect();
    said.sort();
    let expected = include_str!("../fixtures/consumer-offsets/groups.txt");
    assert_eq!(said.join("\n"), expected.trim_end());

    let id: Arc<str> = "dynamic".into();
    let member = machine.hard.classic("dynamic").unwrap().members[0].id.clone();
    let beat = |group: &Arc<str>, member: &Arc<str>| {
        Command::Heartbeat(Heartbeat {
            group: group.clone(),
            generation: 2,
            member: member.clone(),
            instance_id: None,
        })
    };
    let (_, done) = machine.ask(beat(&id, &member));
    assert_eq!(done.replies[0].1, Reply::Heartbeat(ottla::types::ErrorCode::None));

    // An empty group of the newer protocol can be deleted, one with members cannot.
    let (_, done) = machine.ask(Command::Delete(vec!["kip848-left".into(), "kip848".into()]));
    let Reply::Delete(deleted) = &done.replies[0].1 else { panic!("{:?}", done.replies) };
    assert_eq!(deleted[0].1, ottla::types::ErrorCode::None);
    assert_eq!(deleted[1].1, ottla::types::ErrorCode::NonEmptyGroup);
    assert!(!machine.hard.groups.contains_key("kip848-left"));
    assert!(machine.hard.offsets.of("kip848-left").is_none());
}
