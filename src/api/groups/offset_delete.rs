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
        // What is not there is answered here; the answer keeps the order of the request.
        let is_there = |topic: &str, index: i32| image.topics().partition(topic, index).is_some();
        let mut topics = Vec::new();
        for topic in &request.topics {
            let all = topic.partitions.iter().map(|p| p.partition_index);
            let there: Vec<_> = all.filter(|&index| is_there(&topic.name, index)).collect();
            topics.push((kept(&topic.name), there));
        }
        let command = Command::DeleteOffsets(Delete { group: kept(&request.group_id), topics });
        let deleted = match ask(cx, &request.group_id, command).await {
            Ok(Reply::DeleteOffsets(deleted)) => deleted,
            Ok(other) => Err(mismatched(&other)),
            Err(refused) => Err(refused.error_code()),
        };
        let deleted = match deleted {
            Ok(deleted) => deleted,
            Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
        };
        let partition = |index: i32, error: ErrorCode| {
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(error.code())
        };
        let mut answer = Vec::with_capacity(request.topics.len());
        for (topic, done) in request.topics.iter().zip(deleted) {
            let mut done = done.partitions.into_iter();
            let mut of = |index: i32| match is_there(&topic.name, index) {
                true => done.next().map_or(ErrorCode::UnknownServerError, |(_, error)| error),
                false => ErrorCode::UnknownTopicOrPartition,
            };
            let indexes = topic.partitions.iter().map(|p| p.partition_index);
            let partitions = indexes.map(|index| partition(index, of(index))).collect();
            let topic = OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions);
            answer.push(topic);
        }
        OffsetDeleteResponse::default().with_topics(answer)
    }
}
