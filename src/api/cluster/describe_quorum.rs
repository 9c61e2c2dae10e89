//! DescribeQuorum: who leads the metadata log, who votes, how far each has come (KIP-595, KIP-836, KIP-853).

use kafka_protocol::messages::{BrokerId, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::api::controller_gate::DEFAULT_WAIT;
use crate::api::{Api, On, RequestContext};
use crate::quorum::{Heard, QuorumInfo, ReplicaInfo};
use crate::schema::api::describe_quorum_request::TopicData as Asked;
use crate::schema::api::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use crate::schema::api::{DescribeQuorumRequest, DescribeQuorumResponse};
use crate::types::{ErrorCode, Ms, NodeId};

/// The metadata log's topic, of which there is one partition.
const CLUSTER_METADATA: &str = "__cluster_metadata";
/// From this version on the answer tells times.
const TIMES_FROM: i16 = 1;
/// From this version on the answer tells directories, endpoints, and why it failed.
const DIRECTORIES_FROM: i16 = 2;

/// Key 55.
pub struct DescribeQuorum;

impl Api for DescribeQuorum {
    type Request = DescribeQuorumRequest;
    type Response = DescribeQuorumResponse;
    const KEY: i16 = 55;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
        if !asks_for_metadata(&request.topics) {
            return refuse(request.topics, ErrorCode::UnknownTopicOrPartition);
        }
        if !cx.broker.quorum.leadership().borrow().is_me {
            // Only the leader knows how far the others have come.
            return elsewhere(cx, request).await;
        }
        let quorum = cx.broker.quorum.describe();
        answer(cx.version, cx.broker.config.node_id, cx.broker.clock.now(), &quorum)
    }
}

/// The leader's answer, as far as a broker gets one; clients of controllers find the leader themselves.
async fn elsewhere(cx: &RequestContext, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    if cx.connection.listener.is_controller {
        cx.connection.meets_no_controller();
        return refuse(request.topics, ErrorCode::NotLeaderOrFollower);
    }
    let deadline = Instant::now() + DEFAULT_WAIT;
    let (controller, asker) = (&cx.broker.controller, cx.asker());
    match controller.forward(&asker, cx.version, &request, true, deadline).await {
        Ok(Some(response)) => response,
        Ok(None) => refuse(request.topics, ErrorCode::NotLeaderOrFollower),
        Err(error) => {
            let response = DescribeQuorumResponse::default().with_error_message(None);
            response.with_error_code(error.to_api_error().code.code())
        }
    }
}

fn asks_for_metadata(topics: &[Asked]) -> bool {
    match topics {
        [topic] if **topic.topic_name == *CLUSTER_METADATA => {
            matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
        }
        _ => false,
    }
}

fn refuse(topics: Vec<Asked>, error: ErrorCode) -> DescribeQuorumResponse {
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
                .with_error_message(None)
        });
        TopicData::default().with_topic_name(topic.topic_name).with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_error_message(None).with_topics(topics.collect())
}

fn answer(version: i16, leader: NodeId, now: Ms, quorum: &QuorumInfo) -> DescribeQuorumResponse {
    let states = |replicas: &[ReplicaInfo]| replicas.iter().map(|r| state(version, leader, now, r)).collect();
    let partition = PartitionData::default()
        .with_error_message(None)
        .with_leader_id(BrokerId(leader))
        .with_leader_epoch(quorum.leader_epoch)
        .with_high_watermark(quorum.high_watermark)
        .with_current_voters(states(&quorum.voters))
        .with_observers(states(&quorum.observers));
    let topic = TopicData::default()
        .with_topic_name(WireTopicName(StrBytes::from_static_str(CLUSTER_METADATA)))
        .with_partitions(vec![partition]);
    let response = DescribeQuorumResponse::default().with_error_message(None).with_topics(vec![topic]);
    if version < DIRECTORIES_FROM {
        return response;
    }
    response.with_nodes(quorum.voters.iter().map(node).collect())
}

/// A replica's state. The leader is always caught up.
fn state(version: i16, leader: NodeId, now: Ms, replica: &ReplicaInfo) -> ReplicaState {
    let is_leader = replica.id == leader;
    let heard = if is_leader { Heard { last_fetch: now, last_caught_up: now } } else { replica.heard };
    let mut state = ReplicaState::default()
        .with_replica_id(BrokerId(replica.id))
        .with_log_end_offset(replica.log_end_offset);
    if version >= TIMES_FROM {
        state = state
            .with_last_fetch_timestamp(heard.last_fetch)
            .with_last_caught_up_timestamp(heard.last_caught_up);
    }
    if version >= DIRECTORIES_FROM {
        state = state.with_replica_directory_id(replica.directory);
    }
    state
}

fn node(voter: &ReplicaInfo) -> Node {
    let listeners = voter.endpoints.iter().map(|(name, host, port)| {
        Listener::default()
            .with_name(StrBytes::from_string(name.clone()))
            .with_host(StrBytes::from_string(host.clone()))
            .with_port(*port)
    });
    Node::default().with_node_id(BrokerId(voter.id)).with_listeners(listeners.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::api::describe_quorum_request::PartitionData as AskedPartition;

    fn asked(name: &'static str, partitions: &[i32]) -> Asked {
        let each = partitions.iter().map(|&index| AskedPartition::default().with_partition_index(index));
        Asked::default()
            .with_topic_name(StrBytes::from_static_str(name).into())
            .with_partitions(each.collect())
    }

    #[test]
    fn only_the_metadata_log_is_described() {
        assert!(asks_for_metadata(&[asked(CLUSTER_METADATA, &[0])]));
        for topics in [
            vec![],
            vec![asked("t", &[0])],
            vec![asked(CLUSTER_METADATA, &[1])],
            vec![asked(CLUSTER_METADATA, &[0, 0])],
            vec![asked(CLUSTER_METADATA, &[0]), asked("t", &[0])],
        ] {
            assert!(!asks_for_metadata(&topics), "{topics:?}");
        }
        let refused = refuse(vec![asked("t", &[3])], ErrorCode::UnknownTopicOrPartition);
        assert_eq!(refused.topics[0].partitions[0].partition_index, 3);
        assert_eq!(refused.topics[0].partitions[0].error_code, 3);
    }

    #[test]
    fn what_a_version_cannot_carry_is_left_out() {
        let voter = ReplicaInfo {
            id: 1,
            directory: uuid::Uuid::from_u128(7),
            log_end_offset: 9,
            endpoints: vec![("CONTROLLER".to_owned(), "h".to_owned(), 1)],
            heard: Heard { last_fetch: 5, last_caught_up: 4 },
        };
        let info = QuorumInfo {
            leader: Some(1),
            leader_epoch: 2,
            high_watermark: 9,
            voters: vec![voter],
            observers: Vec::new(),
        };
        for version in 0..=2 {
            let response = answer(version, 1, 1000, &info);
            let mut bytes = bytes::BytesMut::new();
            kafka_protocol::protocol::Encodable::encode(&response, &mut bytes, version).unwrap();
            assert_eq!(response.nodes.len(), usize::from(version == 2));
        }
    }
}
