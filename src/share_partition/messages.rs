//! What share coordinators are asked, and what they answer, on the wire.

use std::collections::BTreeMap;

use kafka_protocol::protocol::StrBytes;

use super::client::{Delete, Read, Summarize};
use crate::coordinator::share::StateBatch;
use crate::coordinator::share::command::{Each, Found, Initialize, Of, Summary, Write};
use crate::metadata::MetadataImage;
use crate::schema::api;
use crate::types::{ErrorCode, Offset, PartitionIndex, TopicId};

pub(super) type InitializeRequest = api::InitializeShareGroupStateRequest;
pub(super) type ReadRequest = api::ReadShareGroupStateRequest;
pub(super) type WriteRequest = api::WriteShareGroupStateRequest;
pub(super) type DeleteRequest = api::DeleteShareGroupStateRequest;
pub(super) type SummaryRequest = api::ReadShareGroupStateSummaryRequest;

/// Partitions by their topics.
fn by_topic<T, P>(
    of: &Of<T>,
    partition: impl Fn(PartitionIndex, &T) -> P,
) -> impl Iterator<Item = (uuid::Uuid, Vec<P>)> {
    let mut topics: BTreeMap<TopicId, Vec<P>> = BTreeMap::new();
    for (topic, index, what) in &of.partitions {
        topics.entry(*topic).or_default().push(partition(*index, what));
    }
    topics.into_iter().map(|(topic, partitions)| (topic.0, partitions))
}

fn group<T>(of: &Of<T>) -> StrBytes {
    StrBytes::from_string(of.group.to_string())
}

fn answer<T>(error_code: i16, answer: impl FnOnce() -> T) -> Result<T, ErrorCode> {
    match ErrorCode::from_code(error_code) {
        Some(ErrorCode::None) => Ok(answer()),
        Some(error) => Err(error),
        None => Err(ErrorCode::UnknownServerError),
    }
}

pub(super) fn initialize_request(of: &Of<Initialize>) -> InitializeRequest {
    use api::initialize_share_group_state_request::{InitializeStateData, PartitionData};
    let partition = |index, what: &Initialize| {
        PartitionData::default()
            .with_partition(index)
            .with_state_epoch(what.state_epoch)
            .with_start_offset(what.start_offset)
    };
    let topics = by_topic(of, partition).map(|(topic, partitions)| {
        InitializeStateData::default().with_topic_id(topic).with_partitions(partitions)
    });
    InitializeRequest::default().with_group_id(group(of)).with_topics(topics.collect())
}

pub(super) fn initialized(response: api::InitializeShareGroupStateResponse) -> Each<()> {
    let each = response.results.into_iter().flat_map(|topic| {
        let id = TopicId(topic.topic_id);
        topic.partitions.into_iter().map(move |p| (id, p.partition, answer(p.error_code, || ())))
    });
    each.collect()
}

pub(super) fn read_request(of: &Of<Read>) -> ReadRequest {
    use api::read_share_group_state_request::{PartitionData, ReadStateData};
    let partition =
        |index, what: &Read| PartitionData::default().with_partition(index).with_leader_epoch(what.0);
    let topics = by_topic(of, partition)
        .map(|(topic, partitions)| ReadStateData::default().with_topic_id(topic).with_partitions(partitions));
    ReadRequest::default().with_group_id(group(of)).with_topics(topics.collect())
}

pub(super) fn found(response: api::ReadShareGroupStateResponse) -> Each<Found> {
    let each = response.results.into_iter().flat_map(|topic| {
        let id = TopicId(topic.topic_id);
        topic.partitions.into_iter().map(move |p| {
            let batches = p.state_batches.iter().map(|batch| StateBatch {
                first: batch.first_offset,
                last: batch.last_offset,
                state: batch.delivery_state,
                count: batch.delivery_count,
            });
            let found = || Found {
                state_epoch: p.state_epoch,
                start_offset: p.start_offset,
                batches: batches.collect(),
            };
            (id, p.partition, answer(p.error_code, found))
        })
    });
    each.collect()
}

pub(super) fn write_request(of: &Of<Write>) -> WriteRequest {
    use api::write_share_group_state_request as wire;
    let partition = |index, what: &Write| wire::PartitionData {
        partition: index,
        state_epoch: what.state_epoch,
        leader_epoch: what.leader_epoch,
        start_offset: what.start_offset,
        delivery_complete_count: what.delivery_complete_count,
        state_batches: what
            .batches
            .iter()
            .map(|batch| wire::StateBatch {
                first_offset: batch.first,
                last_offset: batch.last,
                delivery_state: batch.state,
                delivery_count: batch.count,
            })
            .collect(),
    };
    let topics = by_topic(of, partition)
        .map(|(topic_id, partitions)| wire::WriteStateData { topic_id, partitions })
        .collect();
    WriteRequest { group_id: group(of), topics }
}

pub(super) fn written(response: api::WriteShareGroupStateResponse) -> Each<()> {
    let each = response.results.into_iter().flat_map(|topic| {
        let id = TopicId(topic.topic_id);
        topic.partitions.into_iter().map(move |p| (id, p.partition, answer(p.error_code, || ())))
    });
    each.collect()
}

pub(super) fn delete_request(of: &Of<Delete>) -> DeleteRequest {
    use api::delete_share_group_state_request::{DeleteStateData, PartitionData};
    let partition = |index, _: &Delete| PartitionData::default().with_partition(index);
    let topics = by_topic(of, partition).map(|(topic, partitions)| {
        DeleteStateData::default().with_topic_id(topic).with_partitions(partitions)
    });
    DeleteRequest::default().with_group_id(group(of)).with_topics(topics.collect())
}

pub(super) fn deleted(response: api::DeleteShareGroupStateResponse) -> Each<()> {
    let each = response.results.into_iter().flat_map(|topic| {
        let id = TopicId(topic.topic_id);
        topic.partitions.into_iter().map(move |p| (id, p.partition, answer(p.error_code, || ())))
    });
    each.collect()
}

pub(super) fn summary_request(of: &Of<Summarize>) -> SummaryRequest {
    use api::read_share_group_state_summary_request as wire;
    let partition = |index, _: &Summarize| wire::PartitionData { partition: index, leader_epoch: -1 };
    let topics = by_topic(of, partition)
        .map(|(topic_id, partitions)| wire::ReadStateSummaryData { topic_id, partitions })
        .collect();
    SummaryRequest { group_id: group(of), topics }
}

pub(super) fn summaries(response: api::ReadShareGroupStateSummaryResponse) -> Each<Summary> {
    let each = response.results.into_iter().flat_map(|topic| {
        let id = TopicId(topic.topic_id);
        topic.partitions.into_iter().map(move |p| {
            let summary = || Summary {
                state_epoch: p.state_epoch,
                leader_epoch: p.leader_epoch,
                start_offset: p.start_offset,
                delivery_complete_count: p.delivery_complete_count,
            };
            (id, p.partition, answer(p.error_code, summary))
        })
    });
    each.collect()
}

/// ListOffsets; later versions bring nothing that is asked here.
pub(super) const ENDS_VERSION: i16 = 9;
/// The timestamp that stands for the end.
const LATEST: i64 = -1;

/// Asks where partitions end for readers of everything.
pub(super) fn ends_request(
    image: &MetadataImage,
    partitions: &[(TopicId, PartitionIndex)],
) -> api::ListOffsetsRequest {
    use api::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for &(id, partition_index) in partitions {
        let Some(topic) = image.topics().get_by_id(id) else { continue };
        topics.entry(&topic.name).or_default().push(ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp: LATEST,
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic {
        name: StrBytes::from_string(name.to_owned()).into(),
        partitions,
    });
    api::ListOffsetsRequest {
        replica_id: (-1).into(),
        topics: topics.collect(),
        ..api::ListOffsetsRequest::default()
    }
}

/// The reverse: what is no error.
pub(super) fn ends(
    image: &MetadataImage,
    response: api::ListOffsetsResponse,
) -> Vec<((TopicId, PartitionIndex), Offset)> {
    let mut found = Vec::new();
    for topic in response.topics {
        let Some(id) = image.topics().get(&topic.name).map(|topic| topic.id) else { continue };
        let good = topic.partitions.iter().filter(|p| p.error_code == 0);
        found.extend(good.map(|p| ((id, p.partition_index), p.offset)));
    }
    found
}
