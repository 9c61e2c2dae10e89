//! A group shard with the log it writes, driven by hand: time moves when told to.

use std::collections::BTreeSet;

use ottla::coordinator::group::state::{Group, Hard};
use ottla::coordinator::group::{Command, GroupConfigs, GroupShard, Reply, record::GroupRecord};
use ottla::coordinator::shard::{Cx, Entry, LogRecord, Output, Producer, Shard, Ticket};
use ottla::metadata::{MetadataDelta, MetadataImage};
use ottla::schema::metadata::{
    ConfigRecord, MetadataRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
};
use ottla::types::{Ms, Rng};

/// When the machines' time begins.
pub(super) const BEGINNING: Ms = 1_000_000;

/// What a step brought about.
#[derive(Default)]
pub(super) struct Done {
    pub(super) records: Vec<GroupRecord>,
    pub(super) replies: Vec<(Ticket, Reply)>,
}

/// Kafka's default of `message.max.bytes`.
const MAX_BATCH_BYTES: usize = 1_048_588;

/// A shard.
pub(super) struct Machine {
    pub(super) config: GroupConfigs,
    pub(super) max_batch_bytes: usize,
    pub(super) hard: Hard,
    pub(super) soft: <GroupShard as Shard>::Soft,
    /// What was written, in its log form.
    pub(super) log: Vec<Entry<GroupRecord>>,
    pub(super) now: Ms,
    pub(super) open: BTreeSet<Ticket>,
    image: MetadataImage,
    rng: Rng,
    tickets: u64,
}

impl Machine {
    pub(super) fn new(config: GroupConfigs, seed: u64) -> Machine {
        let mut machine = Machine {
            config,
            max_batch_bytes: MAX_BATCH_BYTES,
            hard: Hard::default(),
            soft: Default::default(),
            log: Vec::new(),
            now: BEGINNING,
            open: BTreeSet::new(),
            image: MetadataImage::empty(),
            rng: Rng::new(seed),
            tickets: 0,
        };
        machine.call(|hard, soft, cx, _| GroupShard::loaded(hard, soft, cx));
        machine
    }

    fn call(
        &mut self,
        call: impl FnOnce(
            &Hard,
            &mut <GroupShard as Shard>::Soft,
            &mut Cx<'_, GroupConfigs>,
            &mut Output<GroupShard>,
        ),
    ) -> Done {
        let mut out = Output::default();
        let mut cx = Cx {
            now: self.now,
            monotonic: self.now,
            cluster: &self.image,
            config: &self.config,
            max_batch_bytes: self.max_batch_bytes,
            rng: &mut self.rng,
        };
        call(&self.hard, &mut self.soft, &mut cx, &mut out);
        for record in &out.records {
            self.append(Entry::Record { producer: out.as_producer, record: record.clone() });
        }
        for (ticket, _) in &out.replies {
            assert!(self.open.remove(ticket), "{ticket:?} is answered twice, or was never asked");
        }
        Done { records: out.records, replies: out.replies }
    }

    /// Writes an entry and replays it, as the runtime does; what is kept went through its log form.
    pub(super) fn append(&mut self, entry: Entry<GroupRecord>) {
        let kept = match &entry {
            Entry::Record { producer, record } => {
                let (key, value) = record.encode().expect("every record can be written");
                let read =
                    GroupRecord::decode(Some(&key), value.as_ref()).expect("and read").expect("and known");
                Entry::Record { producer: *producer, record: read }
            }
            Entry::EndTxn { .. } => entry.clone(),
        };
        GroupShard::replay(&mut self.hard, self.log.len() as i64, entry);
        self.log.push(kept);
    }

    /// Asks.
    pub(super) fn ask(&mut self, command: Command) -> (Ticket, Done) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.open.insert(ticket);
        let done = self.call(|hard, soft, cx, out| GroupShard::handle(hard, soft, cx, ticket, command, out));
        (ticket, done)
    }

    /// When something is due next.
    pub(super) fn next_deadline(&self) -> Option<Ms> {
        GroupShard::next_deadline(&self.soft)
    }

    /// Goes to the next deadline, if it is not after `until`, and does what is due there.
    pub(super) fn next_due(&mut self, until: Ms) -> Option<Done> {
        let due = self.next_deadline().filter(|at| *at <= until)?;
        self.now = self.now.max(due);
        Some(self.call(GroupShard::on_deadline))
    }

    /// The cluster changes.
    pub(super) fn change_cluster(&mut self, records: &[MetadataRecord]) -> Done {
        let mut delta = MetadataDelta::from(&self.image);
        for record in records {
            self.image.apply(record, &mut delta).expect("a change that can be");
        }
        self.image.set_position(self.image.offset() + records.len() as i64, 0);
        self.call(|hard, soft, cx, out| GroupShard::metadata_changed(hard, soft, cx, &delta, out))
    }

    /// The id that a topic of [`Machine::set_topic`] has.
    pub(super) fn topic_id(name: &str) -> uuid::Uuid {
        name.bytes().fold(uuid::Uuid::from_u128(7), |id, byte| {
            uuid::Uuid::from_u128((id.as_u128() << 8) | u128::from(byte))
        })
    }

    /// The name of the topic that has that id, if there is one.
    pub(super) fn topic_name(&self, id: ottla::types::TopicId) -> Option<String> {
        self.image.topics().get_by_id(id).map(|topic| topic.name.to_string())
    }

    /// A topic is made, grows to so many partitions, or goes away with none.
    pub(super) fn set_topic(&mut self, name: &str, partitions: i32) -> Done {
        let topic_id = Machine::topic_id(name);
        let had = self.image.topics().get(name).map_or(0, |topic| topic.iter().count() as i32);
        let mut records: Vec<MetadataRecord> = Vec::new();
        if partitions == 0 {
            records.push(RemoveTopicRecord { topic_id }.into());
        } else if had == 0 {
            records.push(TopicRecord { name: name.into(), topic_id }.into());
        }
        for partition_id in had..partitions {
            let partition =
                PartitionRecord { partition_id, topic_id, replicas: vec![1], ..Default::default() };
            records.push(partition.into());
        }
        self.change_cluster(&records)
    }

    /// A setting of a group.
    pub(super) fn set_group_config(&mut self, group: &str, key: &str, value: &str) -> Done {
        let (resource_name, name, value) = (group.to_owned(), key.to_owned(), Some(value.to_owned()));
        self.change_cluster(&[ConfigRecord { resource_type: 32, resource_name, name, value }.into()])
    }

    /// Topics are deleted.
    pub(super) fn delete_topics(&mut self, names: &[&str]) -> Done {
        let mut delta = MetadataDelta::from(&self.image);
        for (i, name) in names.iter().enumerate() {
            let id = ottla::types::TopicId(uuid::Uuid::from_u128(i as u128 + 1));
            delta.topics_deleted.insert(id, (*name).into());
        }
        self.call(|hard, soft, cx, out| GroupShard::metadata_changed(hard, soft, cx, &delta, out))
    }

    /// What a restart finds.
    pub(super) fn replayed(&self) -> Hard {
        let mut hard = Hard::default();
        for (at, entry) in self.log.iter().enumerate() {
            GroupShard::replay(&mut hard, at as i64, entry.clone());
        }
        hard
    }

    /// A crash and a restart. Who waited is not answered; the tickets are given back.
    pub(super) fn restart(&mut self) -> BTreeSet<Ticket> {
        self.hard = self.replayed();
        self.soft = Default::default();
        let lost = std::mem::take(&mut self.open);
        self.call(|hard, soft, cx, _| GroupShard::loaded(hard, soft, cx));
        lost
    }

    /// The end of a transaction.
    pub(super) fn end_txn(&mut self, producer: i64, committed: bool) {
        self.append(Entry::EndTxn { producer: Producer { id: producer, epoch: 0 }, committed });
    }

    /// What must hold at all times.
    pub(super) fn check(&self) {
        assert_eq!(self.hard, self.replayed(), "what was written gives the same state again");
        for group in self.soft.groups() {
            assert!(self.hard.classic(&group.id).is_some(), "{} is live and not in the topic", group.id);
            group.check();
        }
        for (id, group) in &self.hard.groups {
            let Group::Consumer(group) = group else { continue };
            group.check();
            for (member, _) in group.members() {
                let is_watched = self.soft.watched().any(|watched| watched == (id, member));
                assert!(is_watched, "somebody watches {member}");
            }
        }
        for (group, member) in self.soft.watched() {
            let is_member = self.hard.consumer(group).is_some_and(|group| group.member(member).is_some());
            assert!(is_member, "{member} of {group} is watched and is no member");
        }
        for (group, _) in self.hard.offsets.iter() {
            assert!(self.hard.groups.contains_key(group), "{group} has offsets and is no group");
        }
    }
}

impl Machine {
    /// Goes on from a state that was loaded elsewhere. Its log is not this machine's, so [`Machine::check`] does not
    /// hold from here on.
    pub(super) fn take_over(&mut self, hard: Hard) {
        self.hard = hard;
        self.soft = Default::default();
        self.call(|hard, soft, cx, _| GroupShard::loaded(hard, soft, cx));
    }
}
