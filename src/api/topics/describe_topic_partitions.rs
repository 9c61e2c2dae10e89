//! DescribeTopicPartitions: topics a page at a time (KIP-966).

use std::collections::BTreeSet;

use kafka_protocol::messages::{BrokerId, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;

use crate::api::internal_topics::is_internal;
use crate::api::{Api, On, RequestContext, authorized};
use crate::controller::decide::topics::invalid_name;
use crate::metadata::{MetadataImage, NO_LEADER, Partition, Topic};
use crate::schema::api::describe_topic_partitions_request::Cursor as Begin;
use crate::schema::api::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use crate::schema::api::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use crate::types::{ErrorCode, NodeId, PartitionIndex};

/// Key 75.
pub struct DescribeTopicPartitions;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    type Response = DescribeTopicPartitionsResponse;
    const KEY: i16 = 75;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(
        cx: &RequestContext,
        request: DescribeTopicPartitionsRequest,
    ) -> DescribeTopicPartitionsResponse {
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
        let limit = limit.min(cx.broker.config.max_request_partition_size_limit).max(1);
        let image = cx.broker.image();
        let view = View { image: &image, listener: &cx.connection.listener.name };
        view.answer(request, limit)
    }
}

/// The cluster as a client of one listener sees it.
struct View<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
}

impl View<'_> {
    fn answer(
        &self,
        request: DescribeTopicPartitionsRequest,
        limit: usize,
    ) -> DescribeTopicPartitionsResponse {
        let Begin { topic_name: from, partition_index: first, .. } = match &request.cursor {
            Some(cursor) => cursor.clone(),
            None => Begin::default(),
        };
        let all = request.topics.is_empty();
        let named: BTreeSet<&WireTopicName> =
            request.topics.iter().map(|topic| &topic.name).filter(|name| **name >= from).collect();
        let cursor_is_named = all || request.cursor.is_none() || named.contains(&from);
        let Some(first) = usize::try_from(first).ok().filter(|_| cursor_is_named) else {
            return refuse(&request);
        };
        let mut page = Page { left: limit, response: DescribeTopicPartitionsResponse::default() };
        let begin = |name: &str| if *name == **from { first } else { 0 };
        if all {
            for topic in self.image.topics().iter_from(&from) {
                if page.is_full(&topic.name) || !self.add(&mut page, topic, begin(&topic.name)) {
                    break;
                }
            }
        } else {
            for name in named {
                if page.is_full(name) {
                    break;
                }
                match self.image.topics().get(name) {
                    Some(topic) => {
                        if !self.add(&mut page, topic, begin(name)) {
                            break;
                        }
                    }
                    None => page.response.topics.push(unknown(name)),
                }
            }
        }
        page.response
    }

    /// Adds what fits of a topic; false if something did not fit.
    fn add(&self, page: &mut Page, topic: &Topic, first: usize) -> bool {
        let fitting = topic.iter().skip(first).take(page.left);
        let partitions: Vec<_> = fitting.map(|(index, partition)| self.partition(index, partition)).collect();
        let next = first.saturating_add(partitions.len());
        page.left -= partitions.len();
        page.response.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(wire_name(&topic.name)))
                .with_topic_id(topic.id.0)
                .with_is_internal(is_internal(&topic.name))
                .with_partitions(partitions)
                .with_topic_authorized_operations(authorized::TOPIC),
        );
        let fits = next >= topic.partitions.len();
        if !fits {
            page.end_at(&topic.name, next as PartitionIndex);
        }
        fits
    }

    fn partition(
        &self,
        index: PartitionIndex,
        partition: &Partition,
    ) -> DescribeTopicPartitionsResponsePartition {
        let ids = |nodes: &[NodeId]| nodes.iter().map(|&id| BrokerId(id)).collect::<Vec<_>>();
        let offline: Vec<NodeId> =
            partition.replicas.iter().copied().filter(|&id| !self.can_be_reached(id)).collect();
        let leader = if self.can_be_reached(partition.leader) { partition.leader } else { NO_LEADER };
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(leader))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(ids(&partition.replicas))
            .with_isr_nodes(ids(&partition.isr))
            .with_eligible_leader_replicas(Some(ids(&partition.elr)))
            .with_last_known_elr(Some(ids(&partition.last_known_elr)))
            .with_offline_replicas(ids(&offline))
    }

    fn can_be_reached(&self, broker: NodeId) -> bool {
        let found = self.image.brokers().get(broker);
        found.is_some_and(|broker| !broker.fenced && broker.endpoint(self.listener).is_some())
    }
}

/// An answer that is being filled.
struct Page {
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page {
    /// True if nothing more fits; then the next page begins with the topic of this name.
    fn is_full(&mut self, next: &str) -> bool {
        if self.left == 0 {
            self.end_at(next, 0);
        }
        self.left == 0
    }

    fn end_at(&mut self, topic: &str, partition: PartitionIndex) {
        let cursor = Cursor::default().with_topic_name(wire_name(topic)).with_partition_index(partition);
        self.response.next_cursor = Some(cursor);
    }
}

fn wire_name(name: &str) -> WireTopicName {
    StrBytes::from_string(name.to_owned()).into()
}

fn unknown(name: &WireTopicName) -> DescribeTopicPartitionsResponseTopic {
    let error = match invalid_name(name) {
        None => ErrorCode::UnknownTopicOrPartition,
        Some(_why) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(name.clone()))
        .with_is_internal(is_internal(name))
        .with_topic_authorized_operations(authorized::TOPIC)
}

/// A cursor that points nowhere makes the whole request wrong, which each topic is told.
fn refuse(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(topic.name.clone()))
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_image::image;
    use crate::schema::api::describe_topic_partitions_request::TopicRequest;

    fn ask(topics: &[&str], cursor: Option<(&str, i32)>, limit: usize) -> (String, Option<(String, i32)>) {
        let image = image(&[("a", 3), ("b", 1), ("c", 2)], &[]);
        let view = View { image: &image, listener: "PLAINTEXT" };
        let topics = topics.iter().map(|name| TopicRequest::default().with_name(wire_name(name)));
        let cursor = cursor.map(|(name, index)| {
            Begin::default().with_topic_name(wire_name(name)).with_partition_index(index)
        });
        let request =
            DescribeTopicPartitionsRequest::default().with_topics(topics.collect()).with_cursor(cursor);
        let response = view.answer(request, limit);
        let shown = response.topics.iter().map(|topic| {
            let name = topic.name.as_ref().map_or("", |name| name);
            let indexes: Vec<String> =
                topic.partitions.iter().map(|p| p.partition_index.to_string()).collect();
            match topic.error_code {
                0 => format!("{name}:{}", indexes.join(",")),
                error => format!("{name}!{error}"),
            }
        });
        let shown: Vec<String> = shown.collect();
        let next = response.next_cursor.map(|next| (next.topic_name.to_string(), next.partition_index));
        (shown.join(" "), next)
    }

    #[test]
    fn pages_follow_each_other() {
        let next = |name: &str, index| Some((name.to_owned(), index));
        assert_eq!(ask(&[], None, 10), ("a:0,1,2 b:0 c:0,1".to_owned(), None));
        assert_eq!(ask(&[], None, 2), ("a:0,1".to_owned(), next("a", 2)));
        assert_eq!(ask(&[], Some(("a", 2)), 2), ("a:2 b:0".to_owned(), next("c", 0)));
        assert_eq!(ask(&[], Some(("c", 0)), 2), ("c:0,1".to_owned(), None));
        assert_eq!(ask(&["c", "a", "a"], None, 4), ("a:0,1,2 c:0".to_owned(), next("c", 1)));
        assert_eq!(ask(&["c", "a"], Some(("c", 1)), 4), ("c:1".to_owned(), None));
        // A topic that is gone meanwhile, and a partition beyond the end.
        assert_eq!(ask(&[], Some(("bb", 3)), 4), ("c:0,1".to_owned(), None));
        assert_eq!(ask(&[], Some(("b", i32::MAX)), 4), ("b: c:0,1".to_owned(), None));
    }

    #[test]
    fn what_is_not_there_is_said() {
        assert_eq!(ask(&["no", "a b", "b"], None, 4).0, "a b!17 b:0 no!3");
        assert_eq!(ask(&["b"], Some(("a", 0)), 4).0, "b!42");
        assert_eq!(ask(&["b"], Some(("b", -1)), 4).0, "b!42");
    }

    #[test]
    fn a_leader_without_the_listener_cannot_be_reached() {
        let image = image(&[("a", 1)], &[]);
        let view = View { image: &image, listener: "OTHER" };
        let response = view.answer(DescribeTopicPartitionsRequest::default(), 9);
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.leader_id.0, partition.offline_replicas.len()), (NO_LEADER, 1));
        assert_eq!(partition.isr_nodes, [BrokerId(1)]);
    }
}
