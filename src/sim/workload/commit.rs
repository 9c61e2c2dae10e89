//! A group of one member that commits offsets and looks whether they are still there; and the calls that every
//! member of a group makes.

use std::io;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use tokio::time::sleep;

use super::{BACKOFF, Context, kafka_topic};
use crate::schema::api::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::schema::api::offset_fetch_request::OffsetFetchRequestTopic;
use crate::schema::api::{GroupId, OffsetCommitRequest, OffsetFetchRequest};
use crate::sim::client::Client;
use crate::sim::model::{Commit, Event, Slot};
use crate::sim::route::Routed;
use crate::types::{ErrorCode, Offset, Rng};

const OFFSET_COMMIT_VERSION: i16 = 8;
const OFFSET_FETCH_VERSION: i16 = 7;
/// The generation of a member that belongs to none.
const NO_GENERATION: i32 = -1;

/// The name of a group.
pub(super) fn group_id(group: u32) -> GroupId {
    GroupId(StrBytes::from_string(format!("group-{group}")))
}

/// Commits until it is told to finish. The member belongs to nobody's generation, as tools and simple
/// consumers do it.
pub async fn run(cx: Context, group: u32, mut rng: Rng) {
    let mut last: Offset = 0;
    while !cx.is_finishing() {
        let Some(mut client) = cx.connect().await else { continue };
        // Whatever goes wrong is tried again.
        if let Err(e) = use_connection(&cx, group, &mut client, &mut rng, &mut last).await
            && e.kind() == io::ErrorKind::Other
        {
            cx.model.note(format!("group {group}: {e}"));
        }
        sleep(BACKOFF).await;
    }
}

async fn use_connection(
    cx: &Context,
    group: u32,
    client: &mut Routed,
    rng: &mut Rng,
    last: &mut Offset,
) -> io::Result<()> {
    let client = coordinator(client, group).await?;
    let slots = cx.slots();
    while !cx.is_finishing() {
        let slot = slots[rng.below(slots.len() as u64) as usize];
        fetch(cx, group, group, client, slot).await?;
        *last += 1;
        let commit = Commit { client: group, group, generation: NO_GENERATION, slot, offset: *last };
        match send_commit(cx, client, "", commit).await? {
            ErrorCode::None => {}
            error => return Err(io::Error::other(format!("the commit failed: {}", error.name()))),
        }
        fetch(cx, group, group, client, slot).await?;
        sleep(Duration::from_millis(rng.below(cx.options.think_ms_max + 1))).await;
    }
    Ok(())
}

/// The connection to the group's coordinator. Fails unless there is one.
pub(super) async fn coordinator(client: &mut Routed, group: u32) -> io::Result<&mut Client> {
    client.coordinator(group_id(group).0).await
}

/// Commits, as `member`, which is empty outside of a generation.
pub(super) async fn send_commit(
    cx: &Context,
    client: &mut Client,
    member: &str,
    commit: Commit,
) -> io::Result<ErrorCode> {
    let partition = OffsetCommitRequestPartition {
        partition_index: commit.slot.1,
        committed_offset: commit.offset,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: kafka_topic(commit.slot.0),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: group_id(commit.group),
        generation_id_or_member_epoch: commit.generation,
        member_id: StrBytes::from_string(member.to_owned()),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    cx.model.see(Event::Committing(commit));
    let answer = client.call(OFFSET_COMMIT_VERSION, &request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    let partition = partition.ok_or(io::ErrorKind::InvalidData)?;
    let error = ErrorCode::from_code(partition.error_code).ok_or(io::ErrorKind::InvalidData)?;
    if error == ErrorCode::None {
        cx.model.see(Event::Committed(commit));
    }
    Ok(error)
}

/// What the group has committed of `slot`; -1 if nothing.
pub(super) async fn fetch(
    cx: &Context,
    asks: u32,
    group: u32,
    client: &mut Client,
    slot: Slot,
) -> io::Result<Offset> {
    let topic = OffsetFetchRequestTopic { name: kafka_topic(slot.0), partition_indexes: vec![slot.1] };
    let request = OffsetFetchRequest {
        group_id: group_id(group),
        topics: Some(vec![topic]),
        ..OffsetFetchRequest::default()
    };
    cx.model.see(Event::Fetching { client: asks, group, slot });
    let answer = client.call(OFFSET_FETCH_VERSION, &request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    match partition {
        Some(partition) if answer.error_code == 0 && partition.error_code == 0 => {
            let offset = partition.committed_offset;
            cx.model.see(Event::Fetched { client: asks, group, slot, offset });
            Ok(offset)
        }
        _ => {
            let code = partition.map_or(answer.error_code, |partition| partition.error_code);
            Err(io::Error::other(format!("the offset could not be fetched: error {code}")))
        }
    }
}
