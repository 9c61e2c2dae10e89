//! ListOffsets: the offset at a time, at an end of the log, or of the newest record.

use crate::api::{Api, On, RequestContext};
use crate::replica::{Isolation, OffsetAt, OffsetQuery};
use crate::schema::api::list_offsets_request::ListOffsetsPartition;
use crate::schema::api::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::schema::api::{ListOffsetsRequest, ListOffsetsResponse};
use crate::types::ErrorCode;

/// Special timestamps of the request, with the version that brought them.
mod special {
    pub(super) const LATEST: i64 = -1;
    pub(super) const EARLIEST: i64 = -2;
    /// The record with the largest timestamp (KIP-734).
    pub(super) const MAX_TIMESTAMP: i64 = -3;
    /// The first offset on local disks (KIP-405).
    pub(super) const EARLIEST_LOCAL: i64 = -4;
    /// The last offset in tiered storage (KIP-1005).
    pub(super) const LATEST_TIERED: i64 = -5;
    /// The first offset that is not yet in tiered storage (KIP-1023).
    pub(super) const EARLIEST_PENDING_UPLOAD: i64 = -6;
}

/// Key 2.
pub struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    type Response = ListOffsetsResponse;
    const KEY: i16 = 2;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=11;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let isolation = Isolation::from_level(request.isolation_level);
        let is_replica = request.replica_id.0 >= 0;
        let mut response = ListOffsetsResponse::default();
        for topic in request.topics {
            let found = cx.broker.replicas.topic(&topic.name);
            let mut answers = Vec::with_capacity(topic.partitions.len());
            let mut seen = std::collections::BTreeSet::new();
            for wanted in &topic.partitions {
                let looked_up = if !seen.insert(wanted.partition_index) {
                    // Asking twice for one partition is a client's mistake, as Kafka sees it.
                    Err(ErrorCode::InvalidRequest)
                } else {
                    match &found {
                        None => Err(ErrorCode::UnknownTopicOrPartition),
                        Some(topic) => match topic.partition(wanted.partition_index) {
                            Ok(partition) => {
                                let found = look_up(cx, &partition, wanted, isolation, is_replica).await;
                                found.map_err(|error| known_in(cx.version, error))
                            }
                            Err(error) => Err(error),
                        },
                    }
                };
                let (at, error) = match looked_up {
                    Ok(Some(at)) => (at, ErrorCode::None),
                    Ok(None) => (OffsetAt::UNKNOWN, ErrorCode::None),
                    Err(error) => (OffsetAt::UNKNOWN, error),
                };
                answers.push(ListOffsetsPartitionResponse {
                    partition_index: wanted.partition_index,
                    error_code: error.code(),
                    timestamp: at.timestamp,
                    offset: at.offset,
                    leader_epoch: at.leader_epoch,
                });
            }
            response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions: answers });
        }
        response
    }
}

/// Clients before version 5 know another error for what a new leader cannot tell yet (KIP-207).
fn known_in(version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::OffsetNotAvailable if version < 5 => ErrorCode::LeaderNotAvailable,
        other => other,
    }
}

async fn look_up(
    cx: &RequestContext,
    partition: &std::sync::Arc<crate::replica::Partition>,
    wanted: &ListOffsetsPartition,
    isolation: Isolation,
    is_replica: bool,
) -> Result<Option<OffsetAt>, ErrorCode> {
    let least_version = match wanted.timestamp {
        special::MAX_TIMESTAMP => 7,
        special::EARLIEST_LOCAL => 8,
        special::LATEST_TIERED => 9,
        special::EARLIEST_PENDING_UPLOAD => 11,
        timestamp if timestamp < special::EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 0,
    };
    if cx.version < least_version {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let query = match wanted.timestamp {
        special::LATEST if is_replica => OffsetQuery::LogEnd,
        special::LATEST => OffsetQuery::Latest(isolation),
        special::EARLIEST | special::EARLIEST_LOCAL => OffsetQuery::Earliest,
        special::MAX_TIMESTAMP => OffsetQuery::MaxTimestamp(isolation),
        // Nothing is in tiered storage.
        special::LATEST_TIERED | special::EARLIEST_PENDING_UPLOAD => return Ok(None),
        timestamp => OffsetQuery::AtOrAfter(timestamp, isolation),
    };
    if !is_replica {
        cx.broker.replicas.lease().check()?;
    }
    let epoch = wanted.current_leader_epoch;
    if query != OffsetQuery::Earliest {
        partition.settled().await;
    }
    if !query.reads_the_disk() {
        return partition.find_offset(query, epoch);
    }
    let partition = std::sync::Arc::clone(partition);
    let found = cx.broker.tasks.run_blocking(move || partition.find_offset(query, epoch)).await;
    found.unwrap_or(Err(ErrorCode::NotLeaderOrFollower))
}
