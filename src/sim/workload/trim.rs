//! Somebody who has old records removed (DeleteRecords).

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::{BACKOFF, Context, EARLIEST, LATEST, kafka_topic, list_offset};
use crate::schema::api::DeleteRecordsRequest;
use crate::schema::api::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::sim::model::Event;
use crate::sim::route::Routed;
use crate::types::Rng;

const DELETE_RECORDS_VERSION: i16 = 2;
/// The longest pause between two removals, in milliseconds.
const PAUSE_MS_MAX: u64 = 600;

/// Removes until it is told to finish.
pub async fn run(cx: Context, mut rng: Rng) {
    while !cx.is_finishing() {
        let Some(mut client) = cx.connect().await else { continue };
        while !cx.is_finishing() && trim(&cx, &mut client, &mut rng).await.is_ok() {}
        sleep(BACKOFF).await;
    }
}

async fn trim(cx: &Context, client: &mut Routed, rng: &mut Rng) -> io::Result<()> {
    sleep(Duration::from_millis(rng.below(PAUSE_MS_MAX))).await;
    let slots = cx.slots();
    let slot = slots[rng.below(slots.len() as u64) as usize];
    let start = list_offset(client, slot, EARLIEST).await?;
    let end = list_offset(client, slot, LATEST).await?;
    let offset = start + rng.below((end - start).max(0) as u64 + 1) as i64;
    let partition = DeleteRecordsPartition::default().with_partition_index(slot.1).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(kafka_topic(slot.0)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_timeout_ms(cx.timeout_ms()).with_topics(vec![topic]);
    cx.model.see(Event::Trimming { slot, offset });
    let answer = client.leader(slot).await?.call(DELETE_RECORDS_VERSION, &request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    match partition {
        Some(partition) if partition.error_code == 0 => {
            cx.model.see(Event::Trimmed { slot, start: partition.low_watermark });
            Ok(())
        }
        _ => Err(io::Error::other("the records could not be removed")),
    }
}
