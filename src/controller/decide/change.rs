//! The change of one partition, and all that follows from it.
//!
//! Whatever changes a partition that is there (a new in-sync set, other replicas, brokers that come and go, an election)
//! goes through [`Change`], so that the same rules hold for all: a reassignment that can end ends (KIP-455), a leader is
//! elected where the present one may not lead any more, who leaves the in-sync set while that is smaller than
//! `min.insync.replicas` stays eligible to lead (KIP-966), and the leader epoch rises where replicas have to notice.
//!
//! The in-sync set is empty only where eligible leader replicas are on. Without them its last member stays in it, dead or
//! alive, as the one that has everything.

use std::cell::{Cell, OnceCell};

use crate::config::Layers;
use crate::config::property::Value;
use crate::config::topic::property;
use crate::metadata::topics::directory;
use crate::metadata::{ConfigResource, NO_LEADER, Partition, Topic};
use crate::schema::metadata::PartitionChangeRecord;
use crate::types::{Bug, NodeId, PartitionIndex, TopicId};

use super::{Facts, elr};

/// "The leader stays", and with it the leader epoch.
pub(super) const LEADER_STAYS: NodeId = -2;
/// `metadata.version` 3.6-IV0: from here on the leader epoch stays when the in-sync set shrinks. Brokers before it had to be
/// told so (KAFKA-15021).
const SHRINKS_KEEP_THE_EPOCH: i16 = 12;
/// `metadata.version` 3.7-IV2: partitions name the directories of their replicas (KIP-858).
const DIRECTORIES: i16 = 17;

const MIN_ISR: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";

/// How a leader is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica if it may lead without loss, or else whoever leads, or else anybody who may.
    Preferred,
    /// Whoever leads, or else the first who may lead without loss.
    Online,
    /// The same, or else anybody who is alive, at the price of losing records.
    Unclean,
}

/// Who may lead, and by which rules, in one decision.
pub(super) struct Electorate<'a> {
    facts: &'a Facts<'a>,
    /// Counts as alive, which the image does not say yet.
    arriving: Option<NodeId>,
    /// Counts as dead, which the image does not say yet.
    leaving: Option<NodeId>,
    elr: bool,
    level: i16,
    layers: OnceCell<Layers>,
    /// The rules of the topic that was looked at last.
    rules: Cell<Option<TopicRules>>,
}

#[derive(Clone, Copy)]
struct TopicRules {
    topic: TopicId,
    min_isr: usize,
    unclean: bool,
}

impl<'a> Electorate<'a> {
    /// Everybody who is alive.
    pub(super) fn of(facts: &'a Facts<'a>) -> Electorate<'a> {
        let features = facts.image.features();
        Electorate {
            facts,
            arriving: None,
            leaving: None,
            elr: features.level(elr::FEATURE) >= 1,
            level: features.metadata_version(),
            layers: OnceCell::new(),
            rules: Cell::new(None),
        }
    }

    /// Everybody who is alive, and `broker`, which is about to be unfenced.
    pub(super) fn with(facts: &'a Facts<'a>, broker: NodeId) -> Electorate<'a> {
        Electorate { arriving: Some(broker), ..Electorate::of(facts) }
    }

    /// Everybody who is alive except `broker`, which is about to go.
    pub(super) fn without(facts: &'a Facts<'a>, broker: NodeId) -> Electorate<'a> {
        Electorate { leaving: Some(broker), ..Electorate::of(facts) }
    }

    /// True if eligible leader replicas are on (KIP-966).
    pub(super) fn has_elr(&self) -> bool {
        self.elr
    }

    /// The election that the topic allows when a leader is lost.
    pub(super) fn election(&self, topic: &Topic) -> Election {
        if self.rules(topic).unclean { Election::Unclean } else { Election::Online }
    }

    /// A change of a partition that changes nothing yet.
    pub(super) fn change(
        &'a self,
        topic: &'a Topic,
        index: PartitionIndex,
        partition: &'a Partition,
    ) -> Change<'a> {
        Change {
            electorate: self,
            topic,
            index,
            before: partition,
            isr: partition.isr.to_vec(),
            replicas: partition.replicas.to_vec(),
            removing: partition.removing.to_vec(),
            adding: partition.adding.to_vec(),
            recovering: partition.recovering,
            election: Election::Online,
            untrusted: None,
        }
    }

    /// A broker may lead while it is alive and the directory that its replica lies in is.
    fn may_lead(&self, partition: &Partition, broker: NodeId) -> bool {
        if self.leaving == Some(broker) {
            return false;
        }
        let Some(registration) = self.facts.image.brokers().get(broker) else { return false };
        let is_active = !registration.fenced && !registration.in_controlled_shutdown;
        let is_online = |id| match id {
            directory::UNASSIGNED | directory::MIGRATING => true,
            directory::LOST => false,
            // Who has told of no directories is from before they had ids.
            id => registration.log_dirs.is_empty() || registration.log_dirs.contains(&id),
        };
        (is_active || self.arriving == Some(broker)) && partition.directory_of(broker).is_none_or(is_online)
    }

    fn rules(&self, topic: &Topic) -> TopicRules {
        if let Some(known) = self.rules.get().filter(|known| known.topic == topic.id) {
            return known;
        }
        let own = self.facts.image.configs().of(&ConfigResource::topic(topic.name.clone()));
        let set = |key: &str| own.get(key).and_then(|text| property(key)?.parse(text).ok());
        let layers = || self.layers.get_or_init(|| self.facts.layers());
        let min_isr = match set(MIN_ISR) {
            Some(Value::Number(number)) => number,
            _not_set => layers().number(MIN_ISR),
        };
        let unclean = match set(UNCLEAN) {
            Some(Value::Boolean(unclean)) => unclean,
            _not_set => layers().boolean(UNCLEAN),
        };
        let min_isr = usize::try_from(min_isr).unwrap_or(1).max(1);
        let rules = TopicRules { topic: topic.id, min_isr, unclean };
        self.rules.set(Some(rules));
        rules
    }
}

/// A change of one partition: what it shall be, until [`Change::record`] says what it will be.
pub(super) struct Change<'a> {
    electorate: &'a Electorate<'a>,
    topic: &'a Topic,
    index: PartitionIndex,
    before: &'a Partition,
    /// In-sync replicas.
    pub(super) isr: Vec<NodeId>,
    /// All replicas, those that a reassignment takes away too.
    pub(super) replicas: Vec<NodeId>,
    /// Replicas that a reassignment takes away.
    pub(super) removing: Vec<NodeId>,
    /// Replicas that a reassignment adds.
    pub(super) adding: Vec<NodeId>,
    /// True while the leader recovers from an unclean election.
    pub(super) recovering: bool,
    /// How a leader is found.
    pub(super) election: Election,
    /// A broker whose disk may have lost something: it is not eligible any more.
    pub(super) untrusted: Option<NodeId>,
}

impl Change<'_> {
    /// Takes `broker` out of the in-sync set.
    pub(super) fn leave_isr(&mut self, broker: NodeId) {
        self.isr.retain(|node| *node != broker);
    }

    /// The record that makes the change; `None` if nothing changes.
    pub(super) fn record(mut self) -> Option<PartitionChangeRecord> {
        let before = self.before;
        self.complete_reassignment();
        let mut elr = self.eligible();
        let (leader, is_unclean) = self.elect(&elr);
        let unchanged = PartitionChangeRecord {
            partition_id: self.index,
            topic_id: self.topic.id.0,
            ..PartitionChangeRecord::default()
        };
        let mut record = unchanged.clone();
        if leader != before.leader {
            record.leader = leader;
            if is_unclean {
                // What the others have beyond its log is lost.
                self.isr = vec![leader];
                self.recovering = true;
                elr.clear();
            } else if elr.contains(&leader) {
                self.isr = vec![leader];
                elr.retain(|node| *node != leader);
                if self.is_isr_enough() {
                    elr.clear();
                }
            }
        } else if before.replicas.iter().any(|node| !self.replicas.contains(node)) {
            // Who holds no replica any more has to notice, and so have those that fetch.
            record.leader = before.leader;
        }
        if !self.electorate.elr {
            elr.clear();
        }
        if *elr != *before.elr {
            record.eligible_leader_replicas = Some(elr);
        }
        if *self.isr != *before.isr && (!self.isr.is_empty() || self.electorate.elr) {
            record.isr = Some(std::mem::take(&mut self.isr));
        }
        if let Some(isr) = &record.isr
            && record.leader == LEADER_STAYS
            && self.electorate.level < SHRINKS_KEEP_THE_EPOCH
            && before.isr.iter().any(|node| !isr.contains(node))
        {
            record.leader = before.leader;
        }
        self.note_last_leader(&mut record);
        self.note_assignment(&mut record);
        if self.recovering != before.recovering {
            record.leader_recovery_state = i8::from(self.recovering);
        }
        (record != unchanged).then_some(record)
    }

    /// Ends the reassignment once every replica that shall stay is in sync.
    fn complete_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let stays = |node: &&NodeId| !self.removing.contains(node);
        let isr: Vec<NodeId> = self.isr.iter().filter(stays).copied().collect();
        let replicas: Vec<NodeId> = self.replicas.iter().filter(stays).copied().collect();
        if isr.is_empty() || replicas.is_empty() || !replicas.iter().all(|node| isr.contains(node)) {
            return;
        }
        (self.isr, self.replicas) = (isr, replicas);
        self.removing.clear();
        self.adding.clear();
    }

    /// Who may lead without loss though not in sync: whoever was in sync, or eligible, when the in-sync set became too small
    /// for anything to be acknowledged.
    fn eligible(&self) -> Vec<NodeId> {
        let before = self.before;
        if !self.electorate.elr {
            return before.elr.to_vec();
        }
        if self.is_isr_enough() {
            return Vec::new();
        }
        let mut eligible: Vec<NodeId> = Vec::new();
        for node in before.elr.iter().chain(&before.isr).copied() {
            let may = !self.isr.contains(&node)
                && self.untrusted != Some(node)
                && self.replicas.contains(&node)
                && !eligible.contains(&node);
            if may {
                eligible.push(node);
            }
        }
        eligible
    }

    /// True if the leader would acknowledge something with this in-sync set. It counts in the same way, so that it has stopped
    /// to before anybody becomes eligible.
    fn is_isr_enough(&self) -> bool {
        self.isr.len() >= self.electorate.rules(self.topic).min_isr.min(self.replicas.len())
    }

    /// The leader, or [`NO_LEADER`], and true if it may lack records.
    fn elect(&self, elr: &[NodeId]) -> (NodeId, bool) {
        let before = self.before;
        let may_lead = |node: NodeId| self.electorate.may_lead(before, node);
        let is_safe = |node: NodeId| {
            let has_all = self.isr.contains(&node) || (self.isr.is_empty() && elr.contains(&node));
            (has_all || Bug::ElectsOutOfSync.is_planted()) && may_lead(node)
        };
        let preferred = self.replicas.first().copied().filter(|_| self.election == Election::Preferred);
        let clean = preferred
            .into_iter()
            .chain([before.leader])
            .chain(self.replicas.iter().copied())
            .find(|node| is_safe(*node));
        if let Some(leader) = clean {
            return (leader, false);
        }
        // KIP-966: when nobody is trusted any more, whoever led last has most.
        if let [last] = *before.last_known_elr
            && self.electorate.elr
            && self.isr.is_empty()
            && elr.is_empty()
            && self.replicas.contains(&last)
            && may_lead(last)
        {
            return (last, true);
        }
        let anybody = self.replicas.iter().copied().find(|node| may_lead(*node));
        match anybody.filter(|_| self.election == Election::Unclean) {
            Some(leader) => (leader, true),
            None => (NO_LEADER, false),
        }
    }

    /// Keeps in mind who led last while nobody is in sync (KIP-966).
    fn note_last_leader(&self, record: &mut PartitionChangeRecord) {
        let before = self.before;
        if !self.electorate.elr {
            return;
        }
        let has_leader = record.leader >= 0 || (before.leader != NO_LEADER && record.leader == LEADER_STAYS);
        if record.isr.as_ref().is_some_and(Vec::is_empty) {
            if before.leader != NO_LEADER && *before.last_known_elr != [before.leader] {
                record.last_known_elr = Some(vec![before.leader]);
            }
        } else if has_leader && !before.last_known_elr.is_empty() {
            record.last_known_elr = Some(Vec::new());
        }
    }

    fn note_assignment(&mut self, record: &mut PartitionChangeRecord) {
        let before = self.before;
        if *self.replicas != *before.replicas {
            if self.electorate.level >= DIRECTORIES {
                let of = |node: &NodeId| {
                    let known = before.directory_of(*node);
                    known.unwrap_or_else(|| self.electorate.facts.default_directory(*node))
                };
                let directories: Vec<_> = self.replicas.iter().map(of).collect();
                record.directories = (*directories != *before.directories).then_some(directories);
            }
            record.replicas = Some(std::mem::take(&mut self.replicas));
        }
        if *self.removing != *before.removing {
            record.removing_replicas = Some(std::mem::take(&mut self.removing));
        }
        if *self.adding != *before.adding {
            record.adding_replicas = Some(std::mem::take(&mut self.adding));
        }
    }
}

#[cfg(test)]
#[path = "change_test.rs"]
mod tests;
