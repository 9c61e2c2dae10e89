use std::sync::Arc;

use uuid::Uuid;

use super::command::{Each, Initialize, Of, Summary, Write};
use super::record::ShareRecord;
use super::state::{Hard, overlay};
use super::*;
use crate::coordinator::shard::{Cx, Entry, LogRecord as _, Output, Shard, Ticket};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::metadata::{MetadataRecord, PartitionRecord, TopicRecord};
use crate::types::{ErrorCode, Offset, Rng, TopicId};

fn topic() -> TopicId {
    TopicId(Uuid::from_u128(7))
}

fn image() -> MetadataImage {
    let id = topic().0;
    let mut records: Vec<MetadataRecord> = vec![TopicRecord { name: "t".into(), topic_id: id }.into()];
    records.extend((0..3).map(|partition_id| {
        PartitionRecord { partition_id, topic_id: id, replicas: vec![1], ..Default::default() }.into()
    }));
    let mut image = MetadataImage::empty();
    for record in &records {
        image.apply(record, &mut MetadataDelta::default()).expect("sensible");
    }
    image
}

/// A shard with its log.
struct Machine {
    hard: Hard,
    image: MetadataImage,
    config: ShareConfigs,
    log: Vec<ShareRecord>,
    rng: Rng,
}

impl Machine {
    fn new(updates: u32) -> Machine {
        let config = ShareConfigs { update_records_per_snapshot: updates };
        Machine { hard: Hard::default(), image: image(), config, log: Vec::new(), rng: Rng::new(1) }
    }

    fn ask(&mut self, command: Command) -> Reply {
        let mut out: Output<ShareShard> = Output::default();
        let mut cx = Cx {
            now: 1000,
            monotonic: 0,
            cluster: &self.image,
            config: &self.config,
            max_batch_bytes: 1 << 20,
            rng: &mut self.rng,
        };
        ShareShard::handle(&self.hard, &mut (), &mut cx, Ticket(1), command, &mut out);
        for record in out.records {
            let at = self.log.len() as Offset;
            ShareShard::replay(&mut self.hard, at, Entry::Record { producer: None, record: record.clone() });
            self.log.push(record);
        }
        out.replies.pop().expect("an answer").1
    }

    /// What a new leader of the shard knows, that reads from `from` on.
    fn loaded(&self, from: Offset) -> Hard {
        let mut hard = Hard::default();
        for (at, record) in self.log.iter().enumerate().skip(from as usize) {
            let (key, value) = record.encode().expect("writable");
            let read = ShareRecord::decode(Some(&key), value.as_ref()).expect("readable").expect("known");
            assert_eq!(read, *record);
            ShareShard::replay(&mut hard, at as Offset, Entry::Record { producer: None, record: read });
        }
        hard
    }

    fn initialize(
        &mut self,
        partition: i32,
        state_epoch: i32,
        start_offset: Offset,
    ) -> Result<(), ErrorCode> {
        let what = Initialize { state_epoch, start_offset };
        one(self.ask(Command::Initialize(of(partition, what))))
    }

    fn write(&mut self, partition: i32, write: Write) -> Result<(), ErrorCode> {
        one(self.ask(Command::Write(of(partition, write))))
    }

    fn read(&mut self, partition: i32, leader_epoch: i32) -> Result<command::Found, ErrorCode> {
        match self.ask(Command::Read(of(partition, leader_epoch))) {
            Reply::Found(each) => first(each),
            other => panic!("{other:?}"),
        }
    }

    fn summary(&mut self, partition: i32) -> Result<Summary, ErrorCode> {
        match self.ask(Command::Summarize(of(partition, ()))) {
            Reply::Summaries(each) => first(each),
            other => panic!("{other:?}"),
        }
    }
}

fn of<T>(partition: i32, what: T) -> Of<T> {
    Of { group: "g".into(), partitions: vec![(topic(), partition, what)] }
}

fn first<T>(each: Each<T>) -> Result<T, ErrorCode> {
    each.into_iter().next().expect("one").2
}

fn one(reply: Reply) -> Result<(), ErrorCode> {
    match reply {
        Reply::Done(each) => first(each),
        other => panic!("{other:?}"),
    }
}

fn batch(first: Offset, last: Offset, state: i8, count: i16) -> StateBatch {
    StateBatch { first, last, state, count }
}

fn write(leader_epoch: i32, start_offset: Offset, batches: &[StateBatch]) -> Write {
    Write {
        state_epoch: 0,
        leader_epoch,
        start_offset,
        delivery_complete_count: 0,
        batches: batches.to_vec(),
    }
}

#[test]
fn what_is_not_begun_is_not_read_or_written() {
    let mut machine = Machine::new(500);
    assert_eq!(machine.read(0, 1), Err(ErrorCode::InvalidRequest));
    assert_eq!(machine.write(0, write(1, 0, &[])), Err(ErrorCode::InvalidRequest));
    assert_eq!(machine.summary(0), Ok(Summary::UNINITIALIZED));
    assert_eq!(machine.initialize(9, 0, -1), Err(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(machine.initialize(-1, 0, -1), Err(ErrorCode::InvalidRequest));
    assert_eq!(machine.initialize(0, -1, -1), Err(ErrorCode::InvalidRequest));
    assert!(machine.log.is_empty());
}

#[test]
fn older_leaders_and_older_states_are_fenced() {
    let mut machine = Machine::new(500);
    machine.initialize(0, 3, -1).expect("new");
    let found = machine.read(0, 5).expect("there");
    assert_eq!((found.state_epoch, found.start_offset), (3, -1));
    assert_eq!(machine.read(0, 4), Err(ErrorCode::FencedLeaderEpoch));
    let at = |leader_epoch, state_epoch| Write { state_epoch, ..write(leader_epoch, 10, &[]) };
    assert_eq!(machine.write(0, at(4, 3)), Err(ErrorCode::FencedLeaderEpoch));
    assert_eq!(machine.write(0, at(5, 2)), Err(ErrorCode::FencedStateEpoch));
    assert_eq!(machine.write(0, at(5, 3)), Ok(()));
    assert_eq!(machine.initialize(0, 2, 0), Err(ErrorCode::FencedStateEpoch));
    assert_eq!(machine.initialize(0, 4, 7), Ok(()));
    assert_eq!(machine.write(0, at(5, 3)), Err(ErrorCode::FencedStateEpoch));
    assert_eq!(machine.write(0, at(4, 4)), Err(ErrorCode::FencedLeaderEpoch), "leaders stay fenced");
    let summary = machine.summary(0).expect("there");
    assert_eq!((summary.state_epoch, summary.leader_epoch, summary.start_offset), (4, 5, 7));
    // The epochs are in the log, and hold after a restart.
    assert_eq!(machine.loaded(0), machine.hard);
}

#[test]
fn deleting_forgets_and_may_be_repeated() {
    let mut machine = Machine::new(500);
    machine.initialize(0, 0, 5).expect("new");
    for _ in 0..2 {
        assert_eq!(one(machine.ask(Command::Delete(of(0, ())))), Ok(()));
        assert_eq!(machine.summary(0), Ok(Summary::UNINITIALIZED));
    }
    assert_eq!(machine.log.len(), 2);
}

#[test]
fn later_batches_lie_over_earlier_ones() {
    let mut batches = Vec::new();
    overlay(&mut batches, &[batch(0, 99, 0, 1)], 0);
    overlay(&mut batches, &[batch(10, 19, 2, 1)], 0);
    assert_eq!(batches, [batch(0, 9, 0, 1), batch(10, 19, 2, 1), batch(20, 99, 0, 1)]);
    overlay(&mut batches, &[batch(20, 29, 2, 1), batch(5, 9, 2, 1)], 0);
    assert_eq!(batches, [batch(0, 4, 0, 1), batch(5, 29, 2, 1), batch(30, 99, 0, 1)]);
    overlay(&mut batches, &[batch(25, 40, 0, 1)], 27);
    assert_eq!(batches, [batch(27, 99, 0, 1)], "joined, and cut off before the start");
    overlay(&mut batches, &[batch(0, 10, 4, 1), batch(40, 30, 4, 1)], 27);
    assert_eq!(batches, [batch(27, 99, 0, 1)], "what is done or runs backwards says nothing");
}

/// Whatever is written: what is read back is the last word on each record, a new leader of the shard knows the same, also from
/// the oldest snapshot that counts alone, and the log before that grows no longer than it must.
#[test]
fn replay_gives_the_state_from_the_oldest_snapshot_on() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let mut machine = Machine::new(rng.below(6) as u32);
        let mut model = vec![[(0i8, 0i16); 40]; 3];
        let mut starts = [0i64; 3];
        for partition in 0..3 {
            machine.initialize(partition, 0, 0).expect("new");
        }
        for _ in 0..120 {
            let partition = rng.below(3) as usize;
            let mut batches = Vec::new();
            for _ in 0..rng.below(4) {
                let first = rng.below(40) as i64;
                let last = (first + rng.below(8) as i64).min(39);
                let state = [0, 2, 3, 4][rng.below(4) as usize];
                batches.push(batch(first, last, state, rng.below(4) as i16));
            }
            starts[partition] = starts[partition].max(rng.below(40) as i64 - 30);
            for one in &batches {
                for offset in one.first..=one.last {
                    model[partition][offset as usize] = (one.state, one.count);
                }
            }
            machine.write(partition as i32, write(1, starts[partition], &batches)).expect("in order");
            if rng.below(20) == 0 {
                machine.read(partition as i32, 1).expect("there");
            }
        }
        assert_eq!(machine.loaded(0), machine.hard, "seed {seed}");
        let Reply::Redundant(from) = machine.ask(Command::Redundant) else { panic!("another answer") };
        let (late, all) = (machine.loaded(from), machine.hard.clone());
        for (key, state) in &all.states {
            let same = &late.states[key];
            assert_eq!(
                (&same.batches, same.start_offset),
                (&state.batches, state.start_offset),
                "seed {seed}"
            );
        }
        for partition in 0..3usize {
            let found = machine.read(partition as i32, 1).expect("there");
            for batch in &found.batches {
                for offset in batch.first..=batch.last {
                    assert!(offset >= starts[partition]);
                    assert_eq!(model[partition][offset as usize], (batch.state, batch.count), "seed {seed}");
                }
            }
            assert!(found.batches.is_sorted_by(|a, b| a.last < b.first), "seed {seed}");
        }
    }
}

#[test]
fn states_that_lie_far_back_are_written_anew() {
    let mut machine = Machine::new(500);
    machine.initialize(0, 0, 0).expect("new");
    machine.initialize(1, 0, 0).expect("new");
    assert_eq!(machine.ask(Command::SnapshotCold), Reply::Snapshots(0));
    for _ in 0..10_001 {
        machine.write(1, write(1, 0, &[])).expect("in order");
    }
    assert_eq!(machine.ask(Command::Redundant), Reply::Redundant(0));
    assert_eq!(machine.ask(Command::SnapshotCold), Reply::Snapshots(1));
    let Reply::Redundant(from) = machine.ask(Command::Redundant) else { panic!("another answer") };
    assert!(from > 9_000, "{from}");
    assert_eq!(machine.ask(Command::SnapshotCold), Reply::Snapshots(0));
}

#[test]
fn keys_have_kafkas_form() {
    let key = ShareKey { group: Arc::from("a:b"), topic: topic(), partition: 3 };
    assert_eq!(key.to_string(), "a:b:AAAAAAAAAAAAAAAAAAAABw:3");
    assert_eq!(ShareKey::parse(&key.to_string()), Some(key));
    for bad in ["", "g:3", "g:AAAA:3", ":AAAAAAAAAAAAAAAAAAAABw:3", "g:AAAAAAAAAAAAAAAAAAAABw:-1"] {
        assert_eq!(ShareKey::parse(bad), None, "{bad}");
    }
}
