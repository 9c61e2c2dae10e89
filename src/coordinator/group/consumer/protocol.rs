//! What classic consumers put into JoinGroup and get from SyncGroup, for those of them that are in a consumer group.

use std::collections::BTreeMap;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::member::Assigned;
use crate::coordinator::group::modern::TopicIdPartition;
use crate::metadata::MetadataImage;
use crate::schema::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolAssignmentTopicPartition, ConsumerProtocolSubscription,
};

/// What a member subscribes to; `None` if the bytes do not say. Versions that are newer than ours begin as ours do.
pub(super) fn subscription(bytes: &Bytes) -> Option<ConsumerProtocolSubscription> {
    let mut bytes = bytes.clone();
    let version = bytes.try_get_i16().ok().filter(|version| *version >= 0)?;
    let version = version.min(ConsumerProtocolSubscription::HIGHEST_VERSION);
    ConsumerProtocolSubscription::decode(&mut bytes, version).ok()
}

/// The partitions that a member has, by a leader's word. `Err` says why that cannot be taken over.
pub(super) fn assignment(bytes: &Bytes, image: &MetadataImage) -> Result<Vec<TopicIdPartition>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut bytes = bytes.clone();
    let version = bytes.try_get_i16().ok().filter(|version| *version >= 0);
    let version = version.map(|version| version.min(ConsumerProtocolAssignment::HIGHEST_VERSION));
    let decoded = version.and_then(|version| ConsumerProtocolAssignment::decode(&mut bytes, version).ok());
    let decoded = decoded.ok_or("the embedded consumer protocol is malformed")?;
    if decoded.user_data.is_some_and(|data| !data.is_empty()) {
        return Err("userData from a custom assignor would be lost".to_owned());
    }
    let topics = decoded.assigned_partitions.iter();
    Ok(topics.flat_map(|topic| with_ids(&topic.topic, &topic.partitions, image)).collect())
}

/// Partitions by the id of their topic; none if it is not there.
pub(super) fn with_ids<'a>(
    topic: &str,
    partitions: &'a [i32],
    image: &MetadataImage,
) -> impl Iterator<Item = TopicIdPartition> + 'a {
    let id = image.topics().get(topic).map(|topic| topic.id);
    partitions.iter().filter_map(move |&index| Some((id?, index)))
}

/// What SyncGroup answers, in the version that the member's subscription has.
pub(super) fn assigned(
    of: impl Iterator<Item = TopicIdPartition>,
    subscription: &Bytes,
    image: &MetadataImage,
) -> Bytes {
    let mut by_name: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (id, index) in of {
        if let Some(topic) = image.topics().get_by_id(id) {
            by_name.entry(topic.name.to_string()).or_default().push(index);
        }
    }
    let topic = |(topic, partitions)| ConsumerProtocolAssignmentTopicPartition { topic, partitions };
    let message = ConsumerProtocolAssignment {
        assigned_partitions: by_name.into_iter().map(topic).collect(),
        user_data: None,
    };
    let version = subscription.first_chunk().map_or(0, |first| i16::from_be_bytes(*first));
    let version = version.clamp(0, ConsumerProtocolAssignment::HIGHEST_VERSION);
    let mut out = BytesMut::with_capacity(2 + message.encoded_size(version));
    out.put_i16(version);
    match message.encode(&mut out, version) {
        Ok(()) => out.freeze(),
        // A name of a topic is never too long for its length.
        Err(_too_long) => Bytes::new(),
    }
}

/// The partitions of an assignment without their epochs.
pub(super) fn partitions(of: &Assigned) -> impl Iterator<Item = TopicIdPartition> + '_ {
    of.iter().map(|one| one.0)
}
