//! AlterPartition: a leader changes its in-sync replicas (KIP-497, KIP-841, KIP-903).

use kafka_protocol::messages::BrokerId;

use crate::api::controller_gate::{submit_for_node, unexpected};
use crate::api::errors::invalid_request;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, IsrChange, PartitionState, Reply};
use crate::schema::api::alter_partition_request::PartitionData as Asked;
use crate::schema::api::alter_partition_response::{PartitionData, TopicData};
use crate::schema::api::{AlterPartitionRequest, AlterPartitionResponse};
use crate::types::{BrokerEpoch, ErrorCode, NodeId, PartitionIndex, TopicId};

/// From this version on in-sync replicas are named with their epochs.
const EPOCHS_FROM: i16 = 3;
/// Stands for any epoch.
const ANY_EPOCH: BrokerEpoch = -1;

/// Key 56.
pub struct AlterPartition;

impl Api for AlterPartition {
    type Request = AlterPartitionRequest;
    type Response = AlterPartitionResponse;
    const KEY: i16 = 56;
    const VERSIONS: std::ops::RangeInclusive<i16> = 2..=3;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: AlterPartitionRequest) -> AlterPartitionResponse {
        match alter(cx, request).await {
            Ok(answers) => answer(answers),
            Err(error) => AlterPartitionResponse::default().with_error_code(error.code.code()),
        }
    }
}

/// One partition's outcome.
type Outcome = (TopicId, PartitionIndex, Result<PartitionState, ErrorCode>);

async fn alter(cx: &RequestContext, request: AlterPartitionRequest) -> Result<Vec<Outcome>, ApiError> {
    match submit_for_node(cx, command(cx.version, &request)?).await? {
        Reply::AlterPartition(outcomes) => Ok(outcomes),
        other => Err(unexpected(&other)),
    }
}

fn command(version: i16, request: &AlterPartitionRequest) -> Result<Command, ApiError> {
    let mut partitions = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            partitions.push(IsrChange {
                topic: TopicId(topic.topic_id),
                partition: partition.partition_index,
                leader_epoch: partition.leader_epoch,
                partition_epoch: partition.partition_epoch,
                isr: isr(version, partition),
                recovering: match partition.leader_recovery_state {
                    0 => false,
                    1 => true,
                    other => return Err(invalid_request(format!("Unknown leader recovery state {other}"))),
                },
            });
        }
    }
    Ok(Command::AlterPartition { broker: request.broker_id.0, epoch: request.broker_epoch, partitions })
}

fn isr(version: i16, partition: &Asked) -> Vec<(NodeId, BrokerEpoch)> {
    if version >= EPOCHS_FROM {
        return partition.new_isr_with_epochs.iter().map(|b| (b.broker_id.0, b.broker_epoch)).collect();
    }
    partition.new_isr.iter().map(|id| (id.0, ANY_EPOCH)).collect()
}

fn answer(outcomes: Vec<Outcome>) -> AlterPartitionResponse {
    let partition = |(_, index, outcome): &Outcome| {
        let data = PartitionData::default().with_partition_index(*index);
        match outcome {
            Ok(state) => data
                .with_leader_id(BrokerId(state.leader))
                .with_leader_epoch(state.leader_epoch)
                .with_isr(state.isr.iter().copied().map(BrokerId).collect())
                .with_leader_recovery_state(i8::from(state.recovering))
                .with_partition_epoch(state.partition_epoch),
            Err(error) => data.with_error_code(error.code()),
        }
    };
    let topics = outcomes.chunk_by(|a, b| a.0 == b.0).map(|of_topic| {
        let id = of_topic.first().map_or(TopicId::NIL, |(id, ..)| *id);
        TopicData::default().with_topic_id(id.0).with_partitions(of_topic.iter().map(partition).collect())
    });
    AlterPartitionResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::partitions::{ALTER_VERSION, alter_request};
    use crate::schema::api::alter_partition_request::TopicData as AskedTopic;
    use uuid::Uuid;

    fn change(topic: u128, partition: PartitionIndex) -> IsrChange {
        IsrChange {
            topic: TopicId(Uuid::from_u128(topic)),
            partition,
            leader_epoch: 4,
            partition_epoch: 9,
            isr: vec![(1, 100), (2, -1)],
            recovering: partition == 1,
        }
    }

    #[test]
    fn changes_come_over_the_wire_as_they_are() {
        let partitions = vec![change(1, 0), change(1, 1), change(2, 0), change(1, 7)];
        let request = over_the_wire(ALTER_VERSION, &alter_request(3, 55, &partitions));
        assert_eq!(request.topics.len(), 3);
        let expected = Command::AlterPartition { broker: 3, epoch: 55, partitions };
        assert_eq!(command(ALTER_VERSION, &request), Ok(expected));
    }

    #[test]
    fn before_replicas_had_epochs_any_will_do() {
        let partition = Asked::default().with_new_isr(vec![BrokerId(1), BrokerId(2)]);
        let topic = AskedTopic::default().with_partitions(vec![partition]);
        let request = over_the_wire(2, &AlterPartitionRequest::default().with_topics(vec![topic]));
        let Ok(Command::AlterPartition { partitions, .. }) = command(2, &request) else { panic!() };
        assert_eq!(partitions[0].isr, [(1, -1), (2, -1)]);
    }

    #[test]
    fn a_state_that_nobody_knows_is_refused() {
        let mut request = alter_request(3, 55, &[change(1, 0)]);
        request.topics[0].partitions[0].leader_recovery_state = 2;
        assert_eq!(command(3, &request).unwrap_err().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn answers_carry_the_state_or_the_error() {
        let state = PartitionState {
            leader: 1,
            leader_epoch: 2,
            partition_epoch: 3,
            isr: vec![1, 2],
            recovering: true,
        };
        let id = TopicId(Uuid::from_u128(1));
        let outcomes = vec![(id, 0, Ok(state)), (id, 1, Err(ErrorCode::IneligibleReplica))];
        let response = answer(outcomes);
        let partitions = &response.topics[0].partitions;
        assert_eq!((partitions[0].leader_id.0, partitions[0].leader_recovery_state), (1, 1));
        assert_eq!((partitions[1].partition_index, partitions[1].error_code), (1, 107));
    }
}
