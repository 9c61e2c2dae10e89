//! A group of one member that commits offsets and looks whether they are still there.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::{BACKOFF, Context, kafka_topic};
use crate::schema::api::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::schema::api::offset_fetch_request::OffsetFetchRequestTopic;
use crate::schema::api::{FindCoordinatorRequest, GroupId, OffsetCommitRequest, OffsetFetchRequest};
use crate::sim::client::Client;
use crate::sim::model::{Event, Slot};
use crate::types::{Offset, Rng};
use kafka_protocol::protocol::StrBytes;

const FIND_COORDINATOR_VERSION: i16 = 3;
const OFFSET_COMMIT_VERSION: i16 = 8;
const OFFSET_FETCH_VERSION: i16 = 7;

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
    client: &mut Client,
    rng: &mut Rng,
    last: &mut Offset,
) -> io::Result<()> {
    let name = StrBytes::from_string(format!("group-{group}"));
    let request = FindCoordinatorRequest::default().with_key(name.clone());
    let found = client.call(FIND_COORDINATOR_VERSION, &request).await?;
    if found.error_code != 0 {
        return Err(io::Error::other("there is no coordinator"));
    }
    let slots = cx.slots();
    while !cx.is_finishing() {
        let slot = slots[rng.below(slots.len() as u64) as usize];
        fetch(cx, group, &name, client, slot).await?;
        *last += 1;
        commit(cx, group, &name, client, slot, *last).await?;
        fetch(cx, group, &name, client, slot).await?;
        sleep(Duration::from_millis(rng.below(cx.options.think_ms_max + 1))).await;
    }
    Ok(())
}

async fn commit(
    cx: &Context,
    group: u32,
    name: &StrBytes,
    client: &mut Client,
    slot: Slot,
    offset: Offset,
) -> io::Result<()> {
    let partition = OffsetCommitRequestPartition {
        partition_index: slot.1,
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: kafka_topic(slot.0),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: GroupId(name.clone()),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    let answer = client.call(OFFSET_COMMIT_VERSION, &request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    match partition {
        Some(partition) if partition.error_code == 0 => {
            cx.model.see(Event::Committed { group, slot, offset });
            Ok(())
        }
        _ => Err(io::Error::other("the commit failed")),
    }
}

async fn fetch(cx: &Context, group: u32, name: &StrBytes, client: &mut Client, slot: Slot) -> io::Result<()> {
    let topic = OffsetFetchRequestTopic {
        name: kafka_topic(slot.0),
        partition_indexes: vec![slot.1],
        ..OffsetFetchRequestTopic::default()
    };
    let request = OffsetFetchRequest {
        group_id: GroupId(name.clone()),
        topics: Some(vec![topic]),
        ..OffsetFetchRequest::default()
    };
    let answer = client.call(OFFSET_FETCH_VERSION, &request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    match partition {
        Some(partition) if answer.error_code == 0 && partition.error_code == 0 => {
            cx.model.see(Event::Fetched { group, slot, offset: partition.committed_offset });
            Ok(())
        }
        _ => Err(io::Error::other("the offset could not be fetched")),
    }
}
