//! DescribeProducers: who has been writing to a partition (KIP-664).

use kafka_protocol::messages::ProducerId;

use crate::api::{Api, On, RequestContext};
use crate::schema::api::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use crate::schema::api::{DescribeProducersRequest, DescribeProducersResponse};
use crate::storage::producer_state::ProducerEntry;
use crate::types::{self, ErrorCode};

/// Key 61.
pub struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;
    type Response = DescribeProducersResponse;
    const KEY: i16 = 61;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: DescribeProducersRequest) -> DescribeProducersResponse {
        let mut response = DescribeProducersResponse::default();
        for topic in request.topics {
            let found = cx.broker.replicas.topic(&topic.name);
            let partitions = topic.partition_indexes.iter().map(|&index| {
                let producers = match &found {
                    None => Err(ErrorCode::UnknownTopicOrPartition),
                    Some(topic) => topic.partition(index).and_then(|partition| partition.producers()),
                };
                let answer = PartitionResponse::default().with_partition_index(index);
                match producers {
                    Err(error) => answer.with_error_code(error.code()),
                    Ok(producers) => answer.with_active_producers(producers.iter().map(wire).collect()),
                }
            });
            let partitions = partitions.collect();
            response.topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
        response
    }
}

fn wire((id, producer): &(types::ProducerId, ProducerEntry)) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(*id))
        .with_producer_epoch(i32::from(producer.epoch))
        .with_last_sequence(producer.last_sequence())
        .with_last_timestamp(producer.last_timestamp)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.current_txn_first_offset.unwrap_or(-1))
}
