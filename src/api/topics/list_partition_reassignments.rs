//! ListPartitionReassignments: partitions whose replicas are on the move (KIP-455).

use std::collections::BTreeSet;

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;

use crate::api::{Api, On, RequestContext};
use crate::metadata::{MetadataImage, Topic};
use crate::schema::api::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use crate::schema::api::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use crate::types::{NodeId, PartitionIndex};

/// Key 46.
pub struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    type Response = ListPartitionReassignmentsResponse;
    const KEY: i16 = 46;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Both;

    async fn handle(
        cx: &RequestContext,
        request: ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        let image = cx.broker.image();
        let wanted = request.topics.map(|topics| {
            topics.into_iter().map(|topic| (topic.name.0, topic.partition_indexes.into_iter().collect()))
        });
        let topics = match wanted {
            None => all(&image),
            Some(wanted) => wanted
                .filter_map(|(name, indexes)| ongoing(image.topics().get(&name)?, Some(&indexes)))
                .collect(),
        };
        ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics)
    }
}

fn all(image: &MetadataImage) -> Vec<OngoingTopicReassignment> {
    image.topics().iter().filter_map(|topic| ongoing(topic, None)).collect()
}

/// Those of the partitions asked for that are on the move; `None` where none is. A partition that is not there is not
/// on the move.
fn ongoing(topic: &Topic, wanted: Option<&BTreeSet<PartitionIndex>>) -> Option<OngoingTopicReassignment> {
    let ids = |nodes: &[NodeId]| nodes.iter().copied().map(BrokerId).collect();
    let moving = topic.iter().filter(|(index, partition)| {
        wanted.is_none_or(|wanted| wanted.contains(index)) && partition.is_reassigning()
    });
    let partitions: Vec<OngoingPartitionReassignment> = moving
        .map(|(index, partition)| {
            OngoingPartitionReassignment::default()
                .with_partition_index(index)
                .with_replicas(ids(&partition.replicas))
                .with_adding_replicas(ids(&partition.adding))
                .with_removing_replicas(ids(&partition.removing))
        })
        .collect();
    let name = || StrBytes::from_string(topic.name.to_string()).into();
    (!partitions.is_empty())
        .then(|| OngoingTopicReassignment::default().with_name(name()).with_partitions(partitions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_image::image;
    use crate::metadata::MetadataDelta;
    use crate::schema::metadata::PartitionChangeRecord;

    #[test]
    fn what_is_on_the_move_is_listed() {
        let mut image = image(&[("a", 2), ("b", 1)], &[]);
        assert!(all(&image).is_empty());
        let topic = image.topics().get("a").expect("a topic").id;
        let change = PartitionChangeRecord {
            topic_id: topic.0,
            partition_id: 1,
            replicas: Some(vec![1, 2]),
            adding_replicas: Some(vec![2]),
            ..PartitionChangeRecord::default()
        };
        image.apply(&change.into(), &mut MetadataDelta::default()).expect("it applies");
        let found = all(&image);
        assert_eq!(found.len(), 1);
        let partition = &found[0].partitions[0];
        assert_eq!((&**found[0].name, found[0].partitions.len(), partition.partition_index), ("a", 1, 1));
        assert_eq!(partition.replicas, [BrokerId(1), BrokerId(2)]);
        assert_eq!(
            (&partition.adding_replicas[..], partition.removing_replicas.len()),
            (&[BrokerId(2)][..], 0)
        );
        let of = |indexes: &[i32]| {
            let topic = image.topics().get("a").expect("a topic");
            ongoing(topic, Some(&indexes.iter().copied().collect())).is_some()
        };
        assert!(of(&[0, 1, 9]) && !of(&[0, 9, -1]) && !of(&[]));
    }
}
