//! OffsetDelete: forget how far a group has read.

use super::{ask, invalid_group, kept, mismatched};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::OffsetDelete as Delete;
use crate::coordinator::group::{Command, Reply};
use crate::schema::api::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use crate::schema::api::{OffsetDeleteRequest, OffsetDeleteResponse};
use crate::types::ErrorCode;

/// Key 47.
pub struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    type Response = OffsetDeleteResponse;
    const KEY: i16 = 47;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        if let Some(error) = invalid_group(&request.group_id) {
            return OffsetDeleteResponse::default().with_error_code(error.code());
        }
        let image = cx.broker.image();
        let is_known = |name: &str| image.topics().get(name).is_some();
        let mut topics = Vec::new();
        for topic in request.topics.iter().filter(|topic| is_known(&topic.name)) {
            let partitions = topic.partitions.iter().map(|p| p.partition_index).collect();
            topics.push((kept(&topic.name), partitions));
        }
        let command = Command::DeleteOffsets(Delete { group: kept(&request.group_id), topics });
        let deleted = match ask(cx, &request.group_id, command).await {
            Ok(Reply::DeleteOffsets(deleted)) => deleted,
            Ok(other) => Err(mismatched(&other)),
            Err(refused) => Err(refused.error_code()),
        };
        let mut deleted = match deleted {
            Ok(deleted) => deleted.into_iter(),
            Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
        };
        let partition = |index: i32, error: ErrorCode| {
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(error.code())
        };
        let mut answer = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let done = if is_known(&topic.name) { deleted.next() } else { None };
            let partitions = match done {
                Some(done) => done.partitions.iter().map(|&(i, e)| partition(i, e)).collect(),
                None => {
                    let each = topic.partitions.iter();
                    each.map(|p| partition(p.partition_index, ErrorCode::UnknownTopicOrPartition)).collect()
                }
            };
            let topic = OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions);
            answer.push(topic);
        }
        OffsetDeleteResponse::default().with_topics(answer)
    }
}
