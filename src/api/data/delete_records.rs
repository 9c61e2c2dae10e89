//! DeleteRecords: raises log start offsets (KIP-107).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::api::internal_topics::is_internal;
use crate::api::{Api, On, RequestContext};
use crate::replica::{Deleted, Partition};
use crate::schema::api::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use crate::schema::api::{DeleteRecordsRequest, DeleteRecordsResponse};
use crate::types::ErrorCode;

/// Key 21.
pub struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    type Response = DeleteRecordsResponse;
    const KEY: i16 = 21;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.max(0) as u64);
        // All leaders delete before it is waited for any follower.
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = cx.broker.replicas.topic(&topic.name);
            let mut outcomes = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let partition = match &found {
                    _ if is_internal(&topic.name) => Err(ErrorCode::InvalidTopicException),
                    None => Err(ErrorCode::UnknownTopicOrPartition),
                    Some(topic) => topic.partition(wanted.partition_index),
                };
                let outcome = match partition {
                    Ok(partition) => {
                        let deleted = delete(cx, &partition, wanted.offset).await;
                        deleted.map(|deleted| (partition, deleted))
                    }
                    Err(error) => Err(error),
                };
                outcomes.push((wanted.partition_index, outcome));
            }
            topics.push((topic.name, outcomes));
        }
        let mut response = DeleteRecordsResponse::default();
        for (name, outcomes) in topics {
            let mut results = Vec::with_capacity(outcomes.len());
            for (index, outcome) in outcomes {
                let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
                let (low_watermark, error) = match outcome {
                    Ok((partition, deleted)) => everywhere(&partition, deleted, deadline).await,
                    Err(error) => (-1, error),
                };
                results.push(result.with_low_watermark(low_watermark).with_error_code(error.code()));
            }
            let topic = DeleteRecordsTopicResult::default().with_name(name).with_partitions(results);
            response.topics.push(topic);
        }
        response
    }
}

async fn delete(cx: &RequestContext, partition: &Arc<Partition>, before: i64) -> Result<Deleted, ErrorCode> {
    partition.settled().await;
    let partition = Arc::clone(partition);
    let done = cx.broker.tasks.run_blocking(move || partition.delete_records(before)).await;
    done.unwrap_or(Err(ErrorCode::NotLeaderOrFollower))
}

/// The low watermark once it is where it should be; at the deadline, the one there was with `REQUEST_TIMED_OUT`.
async fn everywhere(partition: &Partition, deleted: Deleted, deadline: Instant) -> (i64, ErrorCode) {
    if deleted.low_watermark >= deleted.to {
        return (deleted.low_watermark, ErrorCode::None);
    }
    match timeout_at(deadline, partition.deleted_everywhere(deleted.to)).await {
        Ok(Ok(low_watermark)) => (low_watermark, ErrorCode::None),
        Ok(Err(error)) => (-1, error),
        Err(_) => (deleted.low_watermark, ErrorCode::RequestTimedOut),
    }
}
