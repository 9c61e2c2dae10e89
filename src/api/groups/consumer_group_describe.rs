//! ConsumerGroupDescribe: consumer groups in detail (KIP-848).

use std::collections::BTreeMap;

use super::{by_partition, consumer_protocol_is_on, kept, mismatched, text, text_option};
use crate::api::{Api, On, RequestContext, authorized};
use crate::coordinator::group::command::{DescribedConsumer, DescribedConsumerGroup, Refusal};
use crate::coordinator::group::modern::Partitions;
use crate::coordinator::group::state::GroupId;
use crate::coordinator::group::{Command, Reply};
use crate::metadata::MetadataImage;
use crate::schema::api::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use crate::schema::api::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use crate::types::ErrorCode;

/// A member that speaks the classic protocol, on the wire.
const CLASSIC: i8 = 0;
/// A member that speaks the protocol of KIP-848, on the wire.
const CONSUMER: i8 = 1;

/// Key 69.
pub struct ConsumerGroupDescribe;

impl Api for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    type Response = ConsumerGroupDescribeResponse;
    const KEY: i16 = 69;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Broker;

    async fn handle(
        cx: &RequestContext,
        request: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let refusal = |error| Err(Refusal { error, message: None });
        let mut found: BTreeMap<GroupId, Result<DescribedConsumerGroup, Refusal>> = BTreeMap::new();
        let ids = request.group_ids.iter().map(|group| kept(group));
        if !consumer_protocol_is_on(cx) {
            found.extend(ids.map(|id| (id, refusal(ErrorCode::UnsupportedVersion))));
        } else {
            for (partition, ids) in by_partition(cx, ids) {
                let described = match partition {
                    Err(error) => Err(error),
                    Ok(partition) => {
                        let command = Command::ConsumerDescribe(ids.clone());
                        match cx.broker.groups.request(partition, command).await {
                            Ok(Reply::ConsumerDescribe(described)) => Ok(described),
                            Ok(other) => Err(mismatched(&other)),
                            Err(refused) => Err(refused.error_code()),
                        }
                    }
                };
                match described {
                    Ok(described) => found.extend(described),
                    Err(error) => found.extend(ids.into_iter().map(|id| (id, refusal(error)))),
                }
            }
        }
        let image = cx.broker.image();
        let answer = |id: &kafka_protocol::messages::GroupId| {
            let answer = match found.get(&***id) {
                Some(Ok(group)) => {
                    let described = describe(group, &image);
                    match request.include_authorized_operations {
                        true => described.with_authorized_operations(authorized::GROUP),
                        false => described,
                    }
                }
                Some(Err(refusal)) => DescribedGroup::default()
                    .with_error_code(refusal.error.code())
                    .with_error_message(refusal.message.as_deref().map(text)),
                None => DescribedGroup::default().with_error_code(ErrorCode::UnknownServerError.code()),
            };
            answer.with_group_id(id.clone())
        };
        ConsumerGroupDescribeResponse::default().with_groups(request.group_ids.iter().map(answer).collect())
    }
}

fn describe(group: &DescribedConsumerGroup, image: &MetadataImage) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_state(text(group.state))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.target_epoch)
        .with_assignor_name(text(group.assignor))
        .with_members(group.members.iter().map(|m| member(m, image)).collect())
}

fn member(m: &DescribedConsumer, image: &MetadataImage) -> Member {
    let said = &m.subscription;
    Member::default()
        .with_member_id(text(&m.id))
        .with_instance_id(text_option(said.instance_id.as_ref()))
        .with_rack_id(text_option(said.rack_id.as_ref()))
        .with_member_epoch(m.epoch)
        .with_client_id(text(&said.client_id))
        .with_client_host(text(&said.client_host))
        .with_subscribed_topic_names(said.names.iter().map(|name| text(name).into()).collect())
        .with_subscribed_topic_regex(Some(said.regex.as_deref().map_or_else(|| text(""), text)))
        .with_assignment(assignment(&m.assigned, image))
        .with_target_assignment(assignment(&m.target, image))
        .with_member_type(if said.classic.is_some() { CLASSIC } else { CONSUMER })
}

/// Topics that are gone cannot be named and are left out.
fn assignment(partitions: &Partitions, image: &MetadataImage) -> Assignment {
    let topic = |(id, partitions): (crate::types::TopicId, Vec<i32>)| {
        let name = &image.topics().get_by_id(id)?.name;
        let topic = TopicPartitions::default().with_topic_id(id.0).with_topic_name(text(name).into());
        Some(topic.with_partitions(partitions))
    };
    let topics = partitions.by_topic().map(|(id, partitions)| (id, partitions.collect()));
    Assignment::default().with_topic_partitions(topics.filter_map(topic).collect())
}
