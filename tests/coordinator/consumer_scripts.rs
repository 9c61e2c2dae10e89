//! The part of [`super::scripts`] that is about consumer groups (KIP-848).

use std::fmt::Write as _;
use std::sync::Arc;

use ottla::coordinator::group::command::*;
use ottla::coordinator::group::consumer::{Assigned, Change, ConsumerRecord};
use ottla::coordinator::group::modern::{Partitions, TopicIdPartition};
use ottla::coordinator::group::state::GroupId;
use ottla::types::TopicId;

use super::machine::Machine;
use super::scripts::{Script, Words, partition};

/// Partitions of topics of the machine.
pub(super) fn partitions(words: &[&str]) -> Vec<TopicIdPartition> {
    let one = |word: &&str| {
        let (topic, index) = partition(word).unwrap();
        (TopicId(Machine::topic_id(topic)), index)
    };
    words.iter().map(one).collect()
}

impl Script {
    pub(super) fn heartbeat(&mut self, w: &Words<'_>) -> Command {
        let joins = w.number("epoch", 0) == 0;
        let owned = match w.named.get("own") {
            Some(&"none") => Some(Vec::new()),
            Some(_) => Some(partitions(&w.list("own"))),
            None => joins.then(Vec::new),
        };
        Command::ConsumerHeartbeat(Box::new(ConsumerHeartbeat {
            group: w.plain[0].into(),
            member: self.id(w.plain[1]),
            epoch: w.number("epoch", 0) as i32,
            instance_id: w.text("instance"),
            rack_id: w.text("rack"),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: w.number("rebalance", if joins { 60_000 } else { -1 }) as i32,
            names: w.named.get("names").map(|_| w.list("names").into_iter().map(Arc::from).collect()),
            regex: w.text("regex"),
            assignor: w.text("assignor"),
            owned,
            is_member_id_required: w.number("v", 1) >= 1,
        }))
    }

    pub(super) fn consumer_record(&mut self, record: &ConsumerRecord) -> String {
        let group = &record.group;
        let gone = |what: String| format!("{group} {what} is no more");
        match &record.change {
            Change::Epoch(Some((epoch, hash))) => {
                format!("{group} epoch={epoch} hash={}", if *hash == 0 { "0" } else { "some" })
            }
            Change::Epoch(None) => gone("itself".to_owned()),
            Change::PartitionMetadata(value) => format!("{group} partition metadata {}", value.is_some()),
            Change::Member(id, Some(s)) => {
                let id = self.name(id);
                let names: Vec<&str> = s.names.iter().map(|name| &**name).collect();
                let mut said = format!("{group} member {id} names={}", names.join(","));
                let more = [("instance", &s.instance_id), ("rack", &s.rack_id), ("regex", &s.regex)];
                for (what, value) in more.into_iter().chain([("assignor", &s.assignor)]) {
                    if let Some(value) = value {
                        write!(said, " {what}={value}").unwrap();
                    }
                }
                if let Some(classic) = &s.classic {
                    let protocols: Vec<&str> = classic.protocols.iter().map(|p| &*p.name).collect();
                    write!(said, " classic={}", protocols.join(",")).unwrap();
                }
                said
            }
            Change::Member(id, None) => gone(format!("member {}", self.name(id))),
            Change::TargetEpoch(Some((epoch, _))) => format!("{group} target epoch={epoch}"),
            Change::TargetEpoch(None) => gone("target epoch".to_owned()),
            Change::Target(id, Some(target)) => {
                let id = self.name(id);
                format!("{group} target {id} [{}]", self.set(target))
            }
            Change::Target(id, None) => gone(format!("target {}", self.name(id))),
            Change::Current(id, Some(c)) => {
                let id = self.name(id);
                let mut said = format!(
                    "{group} current {id} epoch={} before={} {:?} [{}]",
                    c.epochs.current,
                    c.epochs.previous,
                    c.state,
                    self.assigned(&c.assigned)
                );
                if !c.revoking.is_empty() {
                    write!(said, " revoking [{}]", self.assigned(&c.revoking)).unwrap();
                }
                said
            }
            Change::Current(id, None) => gone(format!("current {}", self.name(id))),
            Change::Regex(regex, Some(found)) => {
                let topics: Vec<&str> = found.topics.iter().map(|name| &**name).collect();
                format!("{group} regex {regex} topics={}", topics.join(","))
            }
            Change::Regex(regex, None) => gone(format!("regex {regex}")),
        }
    }

    fn topic(&self, id: TopicId) -> String {
        self.machine.topic_name(id).unwrap_or_else(|| "gone".to_owned())
    }

    fn set(&self, of: &Partitions) -> String {
        let each: Vec<String> = of.iter().map(|(id, index)| format!("{}-{index}", self.topic(id))).collect();
        each.join(" ")
    }

    fn assigned(&self, of: &Assigned) -> String {
        let each = of.iter().map(|((id, index), epoch)| format!("{}-{index}@{epoch}", self.topic(id)));
        each.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn beaten(&mut self, reply: &Result<Beaten, Refusal>) -> String {
        match reply {
            Ok(beaten) => {
                let member = self.name(&beaten.member);
                let mut said = format!("ok {member} epoch={}", beaten.epoch);
                if beaten.heartbeat_interval_ms != 5_000 {
                    write!(said, " interval={}", beaten.heartbeat_interval_ms).unwrap();
                }
                if let Some(assignment) = &beaten.assignment {
                    write!(said, " [{}]", self.set(assignment)).unwrap();
                }
                said
            }
            Err(refusal) => format!("{} {}", refusal.error, refusal.message.as_deref().unwrap_or("")),
        }
    }

    pub(super) fn described(
        &mut self,
        groups: &[(GroupId, Result<DescribedConsumerGroup, Refusal>)],
    ) -> String {
        let mut said = String::new();
        for (id, group) in groups {
            let group = match group {
                Ok(group) => group,
                Err(refusal) => {
                    write!(said, "{id} {} {}", refusal.error, refusal.message.as_deref().unwrap_or(""))
                        .unwrap();
                    continue;
                }
            };
            let (state, assignor) = (group.state, group.assignor);
            write!(said, "{id} {state} epoch={} target={} {assignor}", group.epoch, group.target_epoch)
                .unwrap();
            for m in &group.members {
                let name = self.name(&m.id);
                let kind = if m.subscription.classic.is_some() { "classic" } else { "consumer" };
                let (has, target) = (self.set(&m.assigned), self.set(&m.target));
                write!(said, "\n  {name} {kind} epoch={} [{has}] of [{target}]", m.epoch).unwrap();
            }
        }
        said
    }
}
