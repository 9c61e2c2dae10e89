//! Metadata: brokers, topics, and who leads what.

use kafka_protocol::messages::{BrokerId, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;

use crate::api::auto_create::auto_create;
use crate::api::internal_topics::is_internal;
use crate::api::{Api, On, RequestContext, authorized};
use crate::controller::decide::topics::invalid_name;
use crate::metadata::MetadataImage;
use crate::metadata::topics::{NO_LEADER, Partition, Topic};
use crate::schema::api::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::schema::api::{MetadataRequest, MetadataResponse};
use crate::types::{ErrorCode, NodeId, PartitionIndex, TopicId};

/// Before this version an empty list of topics means all of them; from it on, none.
const NULL_MEANS_ALL_FROM: i16 = 1;

/// Key 3.
pub struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;
    type Response = MetadataResponse;
    const KEY: i16 = 3;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=13;
    const ON: On = On::Broker;

    fn sends_away(cx: &RequestContext) -> bool {
        cx.may_be_old_again()
    }

    async fn handle(cx: &RequestContext, request: MetadataRequest) -> MetadataResponse {
        let with_operations = request.include_topic_authorized_operations;
        let wanted = request.topics.filter(|topics| cx.version >= NULL_MEANS_ALL_FROM || !topics.is_empty());
        let mut response = MetadataResponse::default();
        let image = match wanted {
            None => {
                let image = cx.broker.image();
                let all = image.topics().iter();
                response.topics = all.map(|topic| describe(cx, &image, topic, with_operations)).collect();
                image
            }
            Some(wanted) => {
                let named: Vec<Wanted> = wanted.into_iter().map(Wanted::from).collect();
                // As on Kafka, a topic that this request has made is still missing in its answer: who looks whether a
                // deleted topic is gone must not be told that it is there again. Clients ask anew after their backoff,
                // and find it.
                let image = cx.broker.image();
                if request.allow_auto_topic_creation && cx.broker.config.auto_create_topics_enable {
                    auto_create(
                        cx,
                        named.iter().filter_map(|wanted| wanted.name.as_ref().map(|name| &***name)),
                    )
                    .await;
                }
                let each = named.into_iter();
                response.topics = each.map(|wanted| wanted.answer(cx, &image, with_operations)).collect();
                image
            }
        };
        response.brokers = brokers(cx, &image);
        response.cluster_id = Some(StrBytes::from_string(cx.broker.cluster_id.to_string()));
        // Clients send what they have for the controller to the broker named here, which passes it on.
        response.controller_id = BrokerId(cx.broker.some_broker(&image));
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = authorized::CLUSTER;
        }
        response
    }
}

/// A topic as the client names it.
struct Wanted {
    id: TopicId,
    name: Option<WireTopicName>,
}

impl From<crate::schema::api::metadata_request::MetadataRequestTopic> for Wanted {
    fn from(topic: crate::schema::api::metadata_request::MetadataRequestTopic) -> Wanted {
        Wanted { id: TopicId(topic.topic_id), name: topic.name }
    }
}

impl Wanted {
    fn answer(
        self,
        cx: &RequestContext,
        image: &MetadataImage,
        with_operations: bool,
    ) -> MetadataResponseTopic {
        let (found, unknown) = match &self.name {
            Some(name) if self.id.is_nil() => {
                let error = match invalid_name(name) {
                    None => ErrorCode::UnknownTopicOrPartition,
                    Some(_why) => ErrorCode::InvalidTopicException,
                };
                (image.topics().get(name), error)
            }
            _ => (image.topics().get_by_id(self.id), ErrorCode::UnknownTopicId),
        };
        match found {
            Some(topic) => describe(cx, image, topic, with_operations),
            None => MetadataResponseTopic::default()
                .with_error_code(unknown.code())
                .with_name(self.name.or_else(|| (cx.version < 12).then(WireTopicName::default)))
                .with_topic_id(self.id.0),
        }
    }
}

fn describe(
    cx: &RequestContext,
    image: &MetadataImage,
    topic: &Topic,
    with_operations: bool,
) -> MetadataResponseTopic {
    let partitions = topic.iter().map(|(index, partition)| describe_partition(cx, image, index, partition));
    let mut answer = MetadataResponseTopic::default()
        .with_name(Some(StrBytes::from_string(topic.name.to_string()).into()))
        .with_topic_id(topic.id.0)
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(partitions.collect());
    if with_operations {
        answer.topic_authorized_operations = authorized::TOPIC;
    }
    answer
}

fn describe_partition(
    cx: &RequestContext,
    image: &MetadataImage,
    index: PartitionIndex,
    partition: &Partition,
) -> MetadataResponsePartition {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|&id| BrokerId(id)).collect::<Vec<_>>();
    let offline: Vec<NodeId> =
        partition.replicas.iter().copied().filter(|&id| !image.is_active(id)).collect();
    let leader_is_reachable = image
        .brokers()
        .get(partition.leader)
        .is_some_and(|leader| leader.endpoint(&cx.connection.listener.name).is_some());
    let may_lead =
        || partition.leader != cx.broker.config.node_id || cx.broker.replicas.lease().check().is_ok();
    let (error, leader) =
        if partition.leader == NO_LEADER || !image.is_active(partition.leader) || !may_lead() {
            (ErrorCode::LeaderNotAvailable, NO_LEADER)
        } else if !leader_is_reachable {
            (ErrorCode::ListenerNotFound, NO_LEADER)
        } else {
            (ErrorCode::None, partition.leader)
        };
    MetadataResponsePartition::default()
        .with_error_code(error.code())
        .with_partition_index(index)
        .with_leader_id(BrokerId(leader))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.isr))
        .with_offline_replicas(ids(&offline))
}

/// The brokers that can be reached through the listener that the client came in by.
fn brokers(cx: &RequestContext, image: &MetadataImage) -> Vec<MetadataResponseBroker> {
    let reachable = image.brokers().unfenced().filter_map(|broker| {
        let endpoint = broker.endpoint(&cx.connection.listener.name)?;
        Some((broker, endpoint))
    });
    reachable
        .map(|(broker, endpoint)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(broker.id))
                .with_host(StrBytes::from_string(endpoint.host.to_string()))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.as_ref().map(|rack| StrBytes::from_string(rack.to_string())))
        })
        .collect()
}
