//! A follower's requests and their answers as Kafka's messages.
//!
//! What comes from a leader is foreign: only partitions that were asked for are taken over by whoever asked, and errors that
//! nobody knows count as `UNKNOWN_SERVER_ERROR`.

use bytes::Bytes;
use kafka_protocol::messages::{BrokerId, TopicName as WireName};
use kafka_protocol::protocol::StrBytes;

use super::leader_endpoint::{
    Asked, BoundsAnswer, EpochEndAnswer, FetchedPartition, FollowerFetchAnswer, FollowerFetchRequest,
    ReplicaSynced, SYNCED_END_OFFSET_TAG, SyncedPartition,
};
use crate::schema::api::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use crate::schema::api::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use crate::schema::api::{
    FetchRequest, FetchResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use crate::schema::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::schema::messages::replica_synced::{
    ReplicaSyncedPartition, ReplicaSyncedRequest, ReplicaSyncedTopic,
};
use crate::schema::messages::{ListOffsetsRequest, ListOffsetsResponse};
use crate::types::{BrokerEpoch, ErrorCode, LeaderEpoch, NodeId, TopicId};

/// The timestamps that stand for the first and the last offset.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

fn wire_name(name: &str) -> WireName {
    WireName(StrBytes::from_string(name.to_owned()))
}

pub(super) fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// Fetch, from version 15 on: topics by id, the broker's epoch, and what is synced.
pub fn fetch_request(
    node: NodeId,
    broker_epoch: BrokerEpoch,
    request: &FollowerFetchRequest,
) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for from in &request.partitions {
        let synced = Bytes::copy_from_slice(&from.synced.to_be_bytes());
        let mut partition = FetchPartition::default()
            .with_partition(from.partition)
            .with_current_leader_epoch(from.leader_epoch)
            .with_fetch_offset(from.offset)
            .with_last_fetched_epoch(from.last_fetched_epoch)
            .with_log_start_offset(from.log_start)
            .with_partition_max_bytes(i32::try_from(from.bytes_max).unwrap_or(i32::MAX));
        partition.unknown_tagged_fields.insert(SYNCED_END_OFFSET_TAG, synced);
        match topics.last_mut() {
            Some(last) if last.topic_id == from.topic_id.0 => last.partitions.push(partition),
            _ => topics
                .push(FetchTopic::default().with_topic_id(from.topic_id.0).with_partitions(vec![partition])),
        }
    }
    let mut forgotten: Vec<ForgottenTopic> = Vec::new();
    for (topic_id, _, partition) in &request.forgotten {
        match forgotten.last_mut() {
            Some(last) if last.topic_id == topic_id.0 => last.partitions.push(*partition),
            _ => forgotten
                .push(ForgottenTopic::default().with_topic_id(topic_id.0).with_partitions(vec![*partition])),
        }
    }
    let replica_state =
        ReplicaState::default().with_replica_id(BrokerId(node)).with_replica_epoch(broker_epoch);
    FetchRequest::default()
        .with_replica_state(replica_state)
        .with_max_wait_ms(request.wait_ms_max)
        .with_min_bytes(request.bytes_min)
        .with_max_bytes(request.bytes_max)
        .with_session_id(request.session_id)
        .with_session_epoch(request.session_epoch)
        .with_topics(topics)
        .with_forgotten_topics_data(forgotten)
}

/// The answer to [`fetch_request`].
pub fn fetch_answer(response: FetchResponse) -> FollowerFetchAnswer {
    let of_topics = response.responses.into_iter().flat_map(|topic| {
        let topic_id = TopicId(topic.topic_id);
        topic.partitions.into_iter().map(move |p| FetchedPartition {
            topic_id,
            partition: p.partition_index,
            error: error(p.error_code),
            high_watermark: p.high_watermark,
            log_start: p.log_start_offset,
            diverging: (p.diverging_epoch.end_offset >= 0)
                .then_some((p.diverging_epoch.epoch, p.diverging_epoch.end_offset)),
            records: p.records.unwrap_or_default(),
        })
    });
    FollowerFetchAnswer {
        partitions: of_topics.collect(),
        error: error(response.error_code),
        session_id: response.session_id,
    }
}

/// OffsetForLeaderEpoch, from version 3 on.
pub fn epoch_ends_request(node: NodeId, asked: &[(Asked, LeaderEpoch)]) -> OffsetForLeaderEpochRequest {
    let topics = asked.iter().map(|(asked, epoch)| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(asked.partition)
            .with_current_leader_epoch(asked.leader_epoch)
            .with_leader_epoch(*epoch);
        OffsetForLeaderTopic::default().with_topic(wire_name(&asked.topic)).with_partitions(vec![partition])
    });
    OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(node)).with_topics(topics.collect())
}

/// The answer to [`epoch_ends_request`], in the order of `asked`.
pub fn epoch_ends_answer(
    asked: &[(Asked, LeaderEpoch)],
    response: &OffsetForLeaderEpochResponse,
) -> Vec<EpochEndAnswer> {
    let find = |asked: &Asked| {
        let topics = response.topics.iter().filter(|topic| *topic.topic.0 == *asked.topic);
        let found = topics.flat_map(|topic| &topic.partitions).find(|p| p.partition == asked.partition);
        match found {
            None => Err(ErrorCode::UnknownServerError),
            Some(p) if p.error_code != 0 => Err(error(p.error_code)),
            Some(p) if p.end_offset < 0 => Ok(None),
            Some(p) => Ok(Some((p.leader_epoch, p.end_offset))),
        }
    };
    asked.iter().map(|(asked, _)| find(asked)).collect()
}

/// ListOffsets, from version 4 on, for the first offsets and for the last: two requests, since one cannot ask both.
pub fn bounds_requests(node: NodeId, asked: &[Asked]) -> [ListOffsetsRequest; 2] {
    [EARLIEST, LATEST].map(|timestamp| {
        let topics = asked.iter().map(|asked| ListOffsetsTopic {
            name: wire_name(&asked.topic),
            partitions: vec![ListOffsetsPartition {
                partition_index: asked.partition,
                current_leader_epoch: asked.leader_epoch,
                timestamp,
            }],
        });
        ListOffsetsRequest {
            replica_id: BrokerId(node),
            topics: topics.collect(),
            ..ListOffsetsRequest::default()
        }
    })
}

/// The answers to [`bounds_requests`], in the order of `asked`.
pub fn bounds_answer(asked: &[Asked], responses: &[ListOffsetsResponse; 2]) -> Vec<BoundsAnswer> {
    let find = |asked: &Asked, response: &ListOffsetsResponse| {
        let topics = response.topics.iter().filter(|topic| *topic.name.0 == *asked.topic);
        let found = topics.flat_map(|topic| &topic.partitions).find(|p| p.partition_index == asked.partition);
        match found {
            None => Err(ErrorCode::UnknownServerError),
            Some(p) if p.error_code != 0 => Err(error(p.error_code)),
            Some(p) => Ok(p.offset),
        }
    };
    asked.iter().map(|asked| Ok((find(asked, &responses[0])?, find(asked, &responses[1])?))).collect()
}

/// ReplicaSynced.
pub fn synced_request(told: &ReplicaSynced) -> ReplicaSyncedRequest {
    let mut topics: Vec<ReplicaSyncedTopic> = Vec::new();
    for synced in &told.partitions {
        let partition = ReplicaSyncedPartition {
            partition: synced.partition,
            leader_epoch: synced.leader_epoch,
            synced_end_offset: synced.synced,
        };
        match topics.last_mut() {
            Some(last) if last.topic_id == synced.topic_id.0 => last.partitions.push(partition),
            _ => topics.push(ReplicaSyncedTopic { topic_id: synced.topic_id.0, partitions: vec![partition] }),
        }
    }
    ReplicaSyncedRequest {
        broker_id: told.node,
        broker_epoch: told.broker_epoch,
        topics,
        end_wait: told.end_wait,
    }
}

/// What [`synced_request`] says.
pub fn synced_told(request: &ReplicaSyncedRequest) -> ReplicaSynced {
    let partitions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|p| SyncedPartition {
            topic_id: TopicId(topic.topic_id),
            partition: p.partition,
            leader_epoch: p.leader_epoch,
            synced: p.synced_end_offset,
        })
    });
    ReplicaSynced {
        node: request.broker_id,
        broker_epoch: request.broker_epoch,
        partitions: partitions.collect(),
        end_wait: request.end_wait,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::{Decodable, Encodable};
    use uuid::Uuid;

    use super::super::leader_endpoint::FetchedFrom;
    use super::*;
    use crate::schema::api::fetch_response::{EpochEndOffset, FetchableTopicResponse, PartitionData};
    use crate::schema::messages::list_offsets_response::{
        ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
    };

    fn asked(topic: &str, partition: i32) -> Asked {
        Asked { topic_id: TopicId::NIL, topic: topic.into(), partition, leader_epoch: 3 }
    }

    #[test]
    fn a_fetch_tells_what_is_synced_in_a_field_that_others_skip() {
        let from = |topic: u128, partition| FetchedFrom {
            topic_id: TopicId(Uuid::from_u128(topic)),
            topic: "t".into(),
            partition,
            offset: 9,
            last_fetched_epoch: 2,
            leader_epoch: 3,
            log_start: 1,
            synced: 7,
            bytes_max: u32::MAX,
        };
        let request = FollowerFetchRequest {
            session_id: 5,
            session_epoch: 6,
            wait_ms_max: 500,
            bytes_min: 1,
            bytes_max: 1000,
            partitions: vec![from(1, 0), from(1, 1), from(2, 0)],
            forgotten: vec![(TopicId(Uuid::from_u128(3)), "u".into(), 4)],
        };
        for version in 15..=18 {
            let mut bytes = BytesMut::new();
            fetch_request(2, 77, &request).encode(&mut bytes, version).unwrap();
            let read = FetchRequest::decode(&mut bytes.freeze(), version).unwrap();
            assert_eq!((read.replica_state.replica_id.0, read.replica_state.replica_epoch), (2, 77));
            assert_eq!((read.session_id, read.session_epoch, read.topics.len()), (5, 6, 2));
            let partition = &read.topics[0].partitions[1];
            assert_eq!(
                (partition.partition, partition.fetch_offset, partition.last_fetched_epoch),
                (1, 9, 2)
            );
            assert_eq!(
                partition.unknown_tagged_fields.get(&SYNCED_END_OFFSET_TAG).map(|field| field.to_vec()),
                Some(7i64.to_be_bytes().to_vec())
            );
            assert_eq!(read.forgotten_topics_data[0].partitions, [4]);
        }
    }

    #[test]
    fn answers_are_read_as_they_are_meant() {
        let good = PartitionData::default().with_partition_index(1).with_high_watermark(5);
        let diverging = EpochEndOffset::default().with_epoch(2).with_end_offset(4);
        let diverges = PartitionData::default().with_partition_index(2).with_diverging_epoch(diverging);
        let unknown = PartitionData::default().with_partition_index(3).with_error_code(12345);
        let topic = FetchableTopicResponse::default().with_partitions(vec![good, diverges, unknown]);
        let answer = fetch_answer(FetchResponse::default().with_session_id(8).with_responses(vec![topic]));
        assert_eq!((answer.session_id, answer.partitions.len()), (8, 3));
        assert_eq!((answer.partitions[0].high_watermark, answer.partitions[0].diverging), (5, None));
        assert_eq!(answer.partitions[1].diverging, Some((2, 4)));
        assert_eq!(answer.partitions[2].error, ErrorCode::UnknownServerError);

        let response = |offset| ListOffsetsResponse {
            topics: vec![ListOffsetsTopicResponse {
                name: wire_name("t"),
                partitions: vec![ListOffsetsPartitionResponse {
                    partition_index: 1,
                    offset,
                    ..ListOffsetsPartitionResponse::default()
                }],
            }],
            ..ListOffsetsResponse::default()
        };
        let bounds = bounds_answer(&[asked("t", 1), asked("t", 2)], &[response(3), response(9)]);
        assert_eq!(bounds, [Ok((3, 9)), Err(ErrorCode::UnknownServerError)]);
        let [earliest, latest] = bounds_requests(2, &[asked("t", 1)]);
        assert_eq!((earliest.topics[0].partitions[0].timestamp, earliest.replica_id.0), (-2, 2));
        assert_eq!(latest.topics[0].partitions[0].timestamp, -1);
        let ends = epoch_ends_answer(&[(asked("t", 1), 3)], &OffsetForLeaderEpochResponse::default());
        assert_eq!(ends, [Err(ErrorCode::UnknownServerError)]);
        assert_eq!(epoch_ends_request(2, &[(asked("t", 1), 3)]).topics[0].partitions[0].leader_epoch, 3);
    }

    #[test]
    fn notices_of_syncs_come_back_as_they_went() {
        let synced = |topic: u128, partition| SyncedPartition {
            topic_id: TopicId(Uuid::from_u128(topic)),
            partition,
            leader_epoch: 4,
            synced: 99,
        };
        let told = ReplicaSynced {
            node: 2,
            broker_epoch: 7,
            partitions: vec![synced(1, 0), synced(1, 3), synced(2, 0)],
            end_wait: true,
        };
        let mut bytes = BytesMut::new();
        synced_request(&told).encode(&mut bytes, 0).unwrap();
        let read = ReplicaSyncedRequest::decode(&mut bytes.freeze(), 0).unwrap();
        assert_eq!((read.topics.len(), synced_told(&read)), (2, told));
    }
}
