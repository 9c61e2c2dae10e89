//! DeleteRecords: raises log start offsets (KIP-107).

use crate::api::{Api, On, RequestContext};
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
        let mut response = DeleteRecordsResponse::default();
        for topic in request.topics {
            let found = cx.broker.replicas.topic(&topic.name);
            let mut results = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let partition = match &found {
                    None => Err(ErrorCode::UnknownTopicOrPartition),
                    Some(topic) => topic.partition(wanted.partition_index),
                };
                let deleted = match partition {
                    Ok(partition) => {
                        partition.settled().await;
                        let work = move || partition.delete_records(wanted.offset);
                        let done = cx.broker.tasks.run_blocking(work).await;
                        done.unwrap_or(Err(ErrorCode::NotLeaderOrFollower))
                    }
                    Err(error) => Err(error),
                };
                let result =
                    DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
                results.push(match deleted {
                    Ok(low_watermark) => result.with_low_watermark(low_watermark),
                    Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
                });
            }
            response
                .topics
                .push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(results));
        }
        response
    }
}
