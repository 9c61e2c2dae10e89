use std::sync::Arc;

use uuid::Uuid;

use super::heartbeat::{Around, Decided, heartbeat, initialized, remove};
use super::*;
use crate::coordinator::group::command::ShareHeartbeat;
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::{GroupId, Hard};
use crate::coordinator::shard::LogRecord as _;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::metadata::{MetadataRecord, PartitionRecord, TopicRecord};
use crate::types::{ErrorCode, TopicId};

fn image() -> MetadataImage {
    let id = Uuid::from_u128(7);
    let mut records: Vec<MetadataRecord> = vec![TopicRecord { name: "t".into(), topic_id: id }.into()];
    records.extend((0..4).map(|partition_id| {
        PartitionRecord { partition_id, topic_id: id, replicas: vec![1], ..Default::default() }.into()
    }));
    let mut image = MetadataImage::empty();
    for record in &records {
        image.apply(record, &mut MetadataDelta::default()).expect("sensible");
    }
    image
}

struct Machine {
    hard: Hard,
    image: MetadataImage,
    id: GroupId,
    now: Ms,
    log: Vec<GroupRecord>,
}

impl Machine {
    fn new() -> Machine {
        Machine { hard: Hard::default(), image: image(), id: Arc::from("g"), now: 10_000, log: Vec::new() }
    }

    fn group(&self) -> &ShareGroup {
        self.hard.share("g").expect("there")
    }

    fn replay(&mut self, records: Vec<GroupRecord>) {
        for record in records {
            let (key, value) = record.encode().expect("writable");
            let read = GroupRecord::decode(Some(&key), value.as_ref()).expect("readable").expect("known");
            assert_eq!(read, record);
            let GroupRecord::Share(record) = read else { panic!("another record") };
            self.hard.put_share(&record);
            self.log.push(GroupRecord::Share(record));
        }
    }

    fn beat(
        &mut self,
        member: &str,
        member_epoch: i32,
        names: Option<&[&str]>,
    ) -> Result<crate::coordinator::group::command::ShareBeat, ErrorCode> {
        self.now += 5_000;
        let beat = ShareHeartbeat {
            group: self.id.clone(),
            member: member.into(),
            member_epoch,
            rack_id: None,
            names: names.map(|names| names.iter().map(|name| Arc::from(*name)).collect()),
            client_id: "c".into(),
            client_host: "/1.2.3.4".into(),
        };
        let config = ShareGroupConfigs { max_size: 3, ..ShareGroupConfigs::default() };
        let around = Around { now: self.now, image: &self.image, config, asks_again: false };
        let decided =
            heartbeat(&self.id, self.hard.share("g"), &beat, &around).map_err(|(error, _)| error)?;
        let Decided { records, beat } = decided;
        self.replay(records);
        Ok(beat)
    }

    /// Joins, with positions begun as they are asked for.
    fn join(&mut self, member: &str) -> i32 {
        let beat = self.beat(member, 0, Some(&["t"])).expect("joined");
        let id = self.id.clone();
        let records = initialized(&id, self.group(), &beat.initialize);
        self.replay(records);
        self.beat(member, beat.member_epoch, None).expect("known").member_epoch
    }

    fn assigned(&self) -> Vec<usize> {
        self.group().members.values().map(|member| member.assigned.len()).collect()
    }
}

#[test]
fn only_partitions_with_positions_are_assigned() {
    let mut machine = Machine::new();
    let beat = machine.beat("a", 0, Some(&["t", "missing"])).expect("joined");
    assert!(beat.member_epoch > 0);
    assert_eq!(beat.initialize.len(), 4);
    assert_eq!(beat.assignment, Some(Default::default()));
    let again = machine.beat("a", beat.member_epoch, None).expect("known");
    assert_eq!(again.initialize, [], "it was asked already");
    let id = machine.id.clone();
    let records = initialized(&id, machine.group(), &beat.initialize[..3]);
    machine.replay(records);
    let told = machine.beat("a", beat.member_epoch, None).expect("known");
    assert!(told.member_epoch > beat.member_epoch);
    assert_eq!(told.assignment.map(|partitions| partitions.len()), Some(3));
    let quiet = machine.beat("a", told.member_epoch, None).expect("known");
    assert_eq!(quiet.assignment, None, "nothing is new");
}

#[test]
fn members_share_and_take_over() {
    let mut machine = Machine::new();
    let a = machine.join("a");
    machine.join("b");
    let a = machine.beat("a", a, None).expect("known").member_epoch;
    assert_eq!(machine.assigned(), [2, 2]);
    machine.join("c");
    assert_eq!(machine.beat("d", 0, Some(&["t"])), Err(ErrorCode::GroupMaxSizeReached));
    let a = machine.beat("a", a, None).expect("known").member_epoch;
    let left = machine.beat("c", -1, None).expect("left");
    assert_eq!(left.member_epoch, -1);
    let id = machine.id.clone();
    let records = remove(&id, machine.group(), &"b".into(), &machine.image);
    machine.replay(records);
    machine.beat("a", a, None).expect("known");
    assert_eq!(machine.assigned(), [4]);
}

#[test]
fn epochs_fence() {
    let mut machine = Machine::new();
    assert_eq!(machine.beat("a", 5, None), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(machine.beat("a", -1, None), Err(ErrorCode::GroupIdNotFound));
    let epoch = machine.join("a");
    assert_eq!(machine.beat("b", epoch, None), Err(ErrorCode::UnknownMemberId));
    assert_eq!(machine.beat("b", -1, None), Err(ErrorCode::UnknownMemberId));
    assert_eq!(machine.beat("a", epoch + 1, None), Err(ErrorCode::FencedMemberEpoch));
    let before = machine.group().members["a"].epochs.previous;
    assert!(before < epoch);
    assert!(machine.beat("a", before, None).is_ok(), "the answer may have been lost");
    assert!(machine.beat("a", 0, Some(&["t"])).is_ok(), "it comes back");
}

#[test]
fn positions_are_altered_and_forgotten_only_while_nobody_is_there() {
    let mut machine = Machine::new();
    let epoch = machine.join("a");
    let (id, topic) = (machine.id.clone(), TopicId(Uuid::from_u128(7)));
    let topics = offsets::positions(machine.group());
    assert_eq!(topics[&topic].1.len(), 4);
    let mut records = Vec::new();
    assert_eq!(offsets::alter(&id, machine.group(), &topics, &mut records), Err(ErrorCode::NonEmptyGroup));
    let forgotten = offsets::forget(&id, machine.group(), &[topic], &mut records);
    assert_eq!(forgotten, Err(ErrorCode::NonEmptyGroup));
    machine.beat("a", -1, None).expect("left");
    let before = machine.group().epochs.group;
    let altered = offsets::alter(&id, machine.group(), &topics, &mut records).expect("empty");
    assert!(altered > before && before > epoch, "leaders of before are fenced");
    machine.replay(std::mem::take(&mut records));
    let gone = offsets::forget(&id, machine.group(), &[topic], &mut records).expect("empty");
    assert_eq!(gone, topics);
    machine.replay(std::mem::take(&mut records));
    assert!(offsets::positions(machine.group()).is_empty());
    assert!(machine.group().states.deleting.contains_key(&topic));
    offsets::forgotten(&id, machine.group(), &[topic], &mut records);
    machine.replay(records);
    assert!(machine.group().states.deleting.is_empty());
}

#[test]
fn replay_gives_the_group_and_tombstones_take_it_away() {
    let mut machine = Machine::new();
    machine.join("a");
    machine.join("b");
    let mut again = Hard::default();
    for record in &machine.log {
        let GroupRecord::Share(record) = record else { panic!("another record") };
        again.put_share(record);
    }
    assert_eq!(again, machine.hard);
    let mut records = Vec::new();
    tombstones::forget_group(&machine.id, machine.group(), &mut records);
    machine.replay(records);
    assert_eq!(machine.hard, Hard::default());
}
