//! Records of consumer groups as the shard sees them, and their form in the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::member::{Assigned, ClassicMember, Current, MemberState, Subscription};
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::command::Protocol;
use crate::coordinator::group::modern::{MemberEpochs, Partitions};
use crate::coordinator::group::state::GroupId;
use crate::schema::codec::EncodeError;
use crate::schema::groups as wire;
use crate::types::{Ms, Offset, TopicId, TopicName};

/// A record of a consumer group.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerRecord {
    /// The group.
    pub group: GroupId,
    /// What it says.
    pub change: Change,
}

/// What a record says; no content is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The group's epoch and the hash of its topics. Without it the group is gone.
    Epoch(Option<(i32, i64)>),
    /// What Kafka 4.0 knew of the group's topics. Not looked at, and not written.
    PartitionMetadata(Option<Bytes>),
    /// What a member wants.
    Member(MemberId, Option<Subscription>),
    /// The epoch of the target, and when it was computed.
    TargetEpoch(Option<(i32, Ms)>),
    /// What a member is to have in the end.
    Target(MemberId, Option<Partitions>),
    /// What a member has.
    Current(MemberId, Option<Current>),
    /// The topics that an expression matches.
    Regex(Arc<str>, Option<ResolvedRegex>),
}

/// The topics that an expression matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedRegex {
    /// Their names.
    pub topics: BTreeSet<TopicName>,
    /// The metadata offset at which that was so.
    pub version: Offset,
    /// When that was.
    pub timestamp: Ms,
}

impl Change {
    /// True if it takes something away.
    pub fn is_tombstone(&self) -> bool {
        match self {
            Change::Epoch(value) => value.is_none(),
            Change::PartitionMetadata(value) => value.is_none(),
            Change::Member(_, value) => value.is_none(),
            Change::TargetEpoch(value) => value.is_none(),
            Change::Target(_, value) => value.is_none(),
            Change::Current(_, value) => value.is_none(),
            Change::Regex(_, value) => value.is_none(),
        }
    }
}

impl ConsumerRecord {
    /// Its form in the log.
    pub(in super::super) fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        use wire::GroupRecord as Wire;
        let group_id = self.group.to_string();
        let record = match &self.change {
            Change::Epoch(value) => Wire::ConsumerGroupMetadata(
                wire::ConsumerGroupMetadataKey { group_id },
                value.map(|(epoch, metadata_hash)| wire::ConsumerGroupMetadataValue { epoch, metadata_hash }),
            ),
            Change::PartitionMetadata(value) => {
                let key = wire::ConsumerGroupPartitionMetadataKey { group_id };
                let (key, _) = Wire::ConsumerGroupPartitionMetadata(key, None).encode()?;
                return Ok((key, value.clone()));
            }
            Change::Member(member, value) => Wire::ConsumerGroupMemberMetadata(
                wire::ConsumerGroupMemberMetadataKey { group_id, member_id: member.to_string() },
                value.as_ref().map(member_value),
            ),
            Change::TargetEpoch(value) => Wire::ConsumerGroupTargetAssignmentMetadata(
                wire::ConsumerGroupTargetAssignmentMetadataKey { group_id },
                value.map(|(assignment_epoch, assignment_timestamp)| {
                    wire::ConsumerGroupTargetAssignmentMetadataValue {
                        assignment_epoch,
                        assignment_timestamp,
                    }
                }),
            ),
            Change::Target(member, value) => Wire::ConsumerGroupTargetAssignmentMember(
                wire::ConsumerGroupTargetAssignmentMemberKey { group_id, member_id: member.to_string() },
                value.as_ref().map(target_value),
            ),
            Change::Current(member, value) => Wire::ConsumerGroupCurrentMemberAssignment(
                wire::ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id: member.to_string() },
                value.as_ref().map(current_value),
            ),
            Change::Regex(regex, value) => Wire::ConsumerGroupRegularExpression(
                wire::ConsumerGroupRegularExpressionKey { group_id, regular_expression: regex.to_string() },
                value.as_ref().map(|value| wire::ConsumerGroupRegularExpressionValue {
                    topics: value.topics.iter().map(|name| name.to_string()).collect(),
                    version: value.version,
                    timestamp: value.timestamp,
                }),
            ),
        };
        record.encode()
    }

    /// The reverse; `None` for records of other groups. `value` is the record's own, as it came.
    pub(in super::super) fn decode(
        record: wire::GroupRecord,
        value: Option<&Bytes>,
    ) -> Option<ConsumerRecord> {
        use wire::GroupRecord as Wire;
        let (group, change) = match record {
            Wire::ConsumerGroupMetadata(key, value) => {
                (key.group_id, Change::Epoch(value.map(|v| (v.epoch, v.metadata_hash))))
            }
            Wire::ConsumerGroupPartitionMetadata(key, _) => {
                let copied = value.map(|bytes| Bytes::copy_from_slice(bytes));
                (key.group_id, Change::PartitionMetadata(copied))
            }
            Wire::ConsumerGroupMemberMetadata(key, value) => {
                (key.group_id, Change::Member(key.member_id.into(), value.map(subscription_of)))
            }
            Wire::ConsumerGroupTargetAssignmentMetadata(key, value) => {
                let value = value.map(|v| (v.assignment_epoch, v.assignment_timestamp));
                (key.group_id, Change::TargetEpoch(value))
            }
            Wire::ConsumerGroupTargetAssignmentMember(key, value) => {
                (key.group_id, Change::Target(key.member_id.into(), value.map(target_of)))
            }
            Wire::ConsumerGroupCurrentMemberAssignment(key, value) => {
                (key.group_id, Change::Current(key.member_id.into(), value.map(current_of)))
            }
            Wire::ConsumerGroupRegularExpression(key, value) => {
                let value = value.map(|v| ResolvedRegex {
                    topics: v.topics.into_iter().map(TopicName::from).collect(),
                    version: v.version,
                    timestamp: v.timestamp,
                });
                (key.group_id, Change::Regex(key.regular_expression.into(), value))
            }
            _ => return None,
        };
        Some(ConsumerRecord { group: group.into(), change })
    }
}

fn text(of: Option<&Arc<str>>) -> Option<String> {
    of.map(|text| text.to_string())
}

fn member_value(of: &Subscription) -> wire::ConsumerGroupMemberMetadataValue {
    let classic = of.classic.as_ref().map(|classic| wire::ClassicMemberMetadata {
        session_timeout_ms: classic.session_timeout_ms,
        supported_protocols: classic
            .protocols
            .iter()
            .map(|p| wire::ClassicProtocol { name: p.name.to_string(), metadata: p.metadata.clone() })
            .collect(),
    });
    wire::ConsumerGroupMemberMetadataValue {
        instance_id: text(of.instance_id.as_ref()),
        rack_id: text(of.rack_id.as_ref()),
        client_id: of.client_id.to_string(),
        client_host: of.client_host.to_string(),
        subscribed_topic_names: of.names.iter().map(|name| name.to_string()).collect(),
        // Kafka writes an empty text for none.
        subscribed_topic_regex: Some(text(of.regex.as_ref()).unwrap_or_default()),
        rebalance_timeout_ms: of.rebalance_timeout_ms,
        server_assignor: text(of.assignor.as_ref()),
        classic_member_metadata: classic,
    }
}

fn subscription_of(value: wire::ConsumerGroupMemberMetadataValue) -> Subscription {
    let mut names: Vec<TopicName> = value.subscribed_topic_names.into_iter().map(TopicName::from).collect();
    names.sort_unstable();
    names.dedup();
    let classic = value.classic_member_metadata.map(|classic| {
        // Copies, for a slice of the log would keep the whole chunk it came in.
        let protocol = |p: wire::ClassicProtocol| Protocol {
            name: p.name.into(),
            metadata: Bytes::copy_from_slice(&p.metadata),
        };
        let protocols = classic.supported_protocols.into_iter().map(protocol).collect();
        Arc::new(ClassicMember { session_timeout_ms: classic.session_timeout_ms, protocols })
    });
    Subscription {
        instance_id: value.instance_id.map(Arc::from),
        rack_id: value.rack_id.map(Arc::from),
        client_id: value.client_id.into(),
        client_host: value.client_host.into(),
        names: names.into(),
        regex: value.subscribed_topic_regex.filter(|regex| !regex.is_empty()).map(Arc::from),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        assignor: value.server_assignor.map(Arc::from),
        classic,
    }
}

fn target_value(of: &Partitions) -> wire::ConsumerGroupTargetAssignmentMemberValue {
    let topics = of.by_topic();
    let topics = topics
        .map(|(id, partitions)| wire::TopicPartition { topic_id: id.0, partitions: partitions.collect() });
    wire::ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topics.collect() }
}

fn target_of(value: wire::ConsumerGroupTargetAssignmentMemberValue) -> Partitions {
    let topics = value.topic_partitions.iter();
    topics.flat_map(|topic| topic.partitions.iter().map(|&index| (TopicId(topic.topic_id), index))).collect()
}

fn current_value(of: &Current) -> wire::ConsumerGroupCurrentMemberAssignmentValue {
    let topics = |of: &Assigned| {
        let topic = |(id, partitions, epochs): (TopicId, _, _)| wire::TopicPartitions {
            topic_id: id.0,
            partitions,
            assignment_epochs: Some(epochs),
        };
        of.by_topic().map(topic).collect()
    };
    wire::ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: of.epochs.current,
        previous_member_epoch: of.epochs.previous,
        state: of.state.code(),
        assigned_partitions: topics(&of.assigned),
        partitions_pending_revocation: topics(&of.revoking),
    }
}

fn current_of(value: wire::ConsumerGroupCurrentMemberAssignmentValue) -> Current {
    let epoch = value.member_epoch;
    let assigned = |topics: Vec<wire::TopicPartitions>| -> Assigned {
        let all = topics.iter().flat_map(|topic| {
            let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
            // Kafka before 4.3 wrote none: then everything counts as given in the member's epoch.
            let one = move |(at, &index): (usize, &i32)| {
                ((TopicId(topic.topic_id), index), epochs.get(at).copied().unwrap_or(epoch))
            };
            topic.partitions.iter().enumerate().map(one)
        });
        all.collect()
    };
    Current {
        epochs: MemberEpochs { current: epoch, previous: value.previous_member_epoch },
        state: MemberState::from_code(value.state),
        assigned: assigned(value.assigned_partitions),
        revoking: assigned(value.partitions_pending_revocation),
    }
}
