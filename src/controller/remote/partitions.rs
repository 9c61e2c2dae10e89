//! In-sync replicas: AlterPartition (KIP-497), with the epochs of KIP-903.

use kafka_protocol::messages::BrokerId;

use super::outcome;
use crate::controller::command::{ApiError, IsrChange, PartitionState, Reply};
use crate::schema::api::alter_partition_request::{BrokerState, PartitionData, TopicData};
use crate::schema::api::{AlterPartitionRequest, AlterPartitionResponse};
use crate::types::{BrokerEpoch, ErrorCode, NodeId, TopicId};

/// The version that AlterPartition is asked in.
pub const ALTER_VERSION: i16 = 3;

/// AlterPartition as a leader asks it. Changes of one topic that stand beside each other share its entry.
pub fn alter_request(broker: NodeId, epoch: BrokerEpoch, changes: &[IsrChange]) -> AlterPartitionRequest {
    let partition = |change: &IsrChange| {
        let isr = change.isr.iter().map(|(id, epoch)| {
            BrokerState::default().with_broker_id(BrokerId(*id)).with_broker_epoch(*epoch)
        });
        PartitionData::default()
            .with_partition_index(change.partition)
            .with_leader_epoch(change.leader_epoch)
            .with_new_isr_with_epochs(isr.collect())
            .with_leader_recovery_state(i8::from(change.recovering))
            .with_partition_epoch(change.partition_epoch)
    };
    let topics = changes.chunk_by(|a, b| a.topic == b.topic).map(|of_topic| {
        let id = of_topic.first().map_or(TopicId::NIL, |change| change.topic);
        TopicData::default().with_topic_id(id.0).with_partitions(of_topic.iter().map(partition).collect())
    });
    AlterPartitionRequest::default()
        .with_broker_id(BrokerId(broker))
        .with_broker_epoch(epoch)
        .with_topics(topics.collect())
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says of the whole request.
pub fn alter_reply(response: AlterPartitionResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, None)?;
    let mut answers = Vec::new();
    for topic in response.topics {
        for partition in topic.partitions {
            let state = match partition.error_code {
                0 => Ok(PartitionState {
                    leader: partition.leader_id.0,
                    leader_epoch: partition.leader_epoch,
                    partition_epoch: partition.partition_epoch,
                    isr: partition.isr.iter().map(|id| id.0).collect(),
                    recovering: partition.leader_recovery_state == 1,
                }),
                code => Err(ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)),
            };
            answers.push((TopicId(topic.topic_id), partition.partition_index, state));
        }
    }
    Ok(Reply::AlterPartition(answers))
}
