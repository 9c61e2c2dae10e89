//! OffsetForLeaderEpoch: where an epoch ended, so that a client can tell whether its position was truncated (KIP-320).

use crate::api::{Api, On, RequestContext};
use crate::schema::api::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use crate::schema::api::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use crate::types::ErrorCode;

/// Key 23.
pub struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    type Response = OffsetForLeaderEpochResponse;
    const KEY: i16 = 23;
    const VERSIONS: std::ops::RangeInclusive<i16> = 2..=4;
    const ON: On = On::Broker;

    async fn handle(
        cx: &RequestContext,
        request: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let is_replica = request.replica_id.0 >= 0;
        let leads = if is_replica { Ok(()) } else { cx.broker.replicas.lease().check() };
        let mut response = OffsetForLeaderEpochResponse::default();
        for topic in request.topics {
            let found = cx.broker.replicas.topic(&topic.topic);
            let answers = topic.partitions.iter().map(|wanted| {
                let end = match &found {
                    None => Err(ErrorCode::UnknownTopicOrPartition),
                    Some(topic) => topic.partition(wanted.partition).and_then(|partition| {
                        leads?;
                        partition.end_of_epoch(wanted.leader_epoch, wanted.current_leader_epoch)
                    }),
                };
                let answer = EpochEndOffset::default().with_partition(wanted.partition);
                match end {
                    Ok(Some((epoch, end_offset))) => {
                        answer.with_leader_epoch(epoch).with_end_offset(end_offset)
                    }
                    Ok(None) => answer.with_leader_epoch(-1).with_end_offset(-1),
                    Err(error) => {
                        answer.with_error_code(error.code()).with_leader_epoch(-1).with_end_offset(-1)
                    }
                }
            });
            let answers = answers.collect();
            response
                .topics
                .push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(answers));
        }
        response
    }
}
