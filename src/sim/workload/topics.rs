//! Somebody who makes topics, writes a little into them, and removes them, under a few names again and again.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::{BACKOFF, CREATE_TOPICS_VERSION, Context, LATEST, encode_value, kafka_topic, list_offset};
use crate::env::Clock as _;
use crate::schema::api::create_topics_request::CreatableTopic;
use crate::schema::api::metadata_request::MetadataRequestTopic;
use crate::schema::api::produce_request::{PartitionProduceData, TopicProduceData};
use crate::schema::api::{CreateTopicsRequest, DeleteTopicsRequest, ProduceRequest};
use crate::sim::model::{Event, SHORT_LIVED_FROM};
use crate::sim::route::Routed;
use crate::types::{ErrorCode, Rng};
use crate::wire::records::BatchBuilder;

const DELETE_TOPICS_VERSION: i16 = 5;
const PRODUCE_VERSION: i16 = 11;
/// How many names there are.
const NAMES: u64 = 2;
/// The longest pause between two steps, in milliseconds.
const PAUSE_MS_MAX: u64 = 200;

#[derive(Clone, Copy)]
struct Topic {
    number: u32,
    /// As far as it is known.
    is_there: bool,
    /// Records since its creation.
    acked: u64,
    sent: u64,
}

/// Makes and removes until it is told to finish.
pub async fn run(cx: Context, mut rng: Rng) {
    let mut topics: Vec<Topic> = (0..NAMES as u32)
        .map(|i| Topic { number: SHORT_LIVED_FROM + i, is_there: false, acked: 0, sent: 0 })
        .collect();
    while !cx.is_finishing() {
        let Some(mut client) = cx.connect().await else { continue };
        // After an answer that did not come the truth is asked for.
        let mut well = true;
        for topic in &mut topics {
            well &= look(&cx, &mut client, topic).await.is_ok();
        }
        while well && !cx.is_finishing() {
            sleep(Duration::from_millis(rng.below(PAUSE_MS_MAX))).await;
            let topic = &mut topics[rng.below(NAMES) as usize];
            well = step(&cx, &mut client, topic, &mut rng).await.is_ok();
        }
        sleep(BACKOFF).await;
    }
}

async fn step(cx: &Context, client: &mut Routed, topic: &mut Topic, rng: &mut Rng) -> io::Result<()> {
    match (topic.is_there, rng.below(8)) {
        (_, 0) => look(cx, client, topic).await,
        (false, _) => create(cx, client, topic).await,
        (true, 1..4) => remove(cx, client, topic).await,
        (true, _) => write(cx, client, topic).await,
    }
}

/// Asks whether it is there, and how much is in it.
async fn look(cx: &Context, client: &mut Routed, topic: &mut Topic) -> io::Result<()> {
    let named = MetadataRequestTopic::default().with_name(Some(kafka_topic(topic.number)));
    let answer = client.ask(vec![(topic.number, named)], false).await?;
    let found = answer.topics.first().ok_or(io::ErrorKind::InvalidData)?;
    match ErrorCode::from_code(found.error_code) {
        // Another node than the one that made or removed it may not have heard of that yet.
        Some(ErrorCode::None) if cx.is_cluster() => topic.is_there = true,
        Some(ErrorCode::UnknownTopicOrPartition) if cx.is_cluster() => topic.is_there = false,
        Some(ErrorCode::None) => {
            cx.model.see(Event::Created(topic.number));
            topic.is_there = true;
            let end = list_offset(client, (topic.number, 0), LATEST).await?;
            let Topic { number, acked, sent, .. } = *topic;
            cx.model.see(Event::Counted { topic: number, acked, sent, end });
        }
        Some(ErrorCode::UnknownTopicOrPartition) => {
            cx.model.see(Event::Missing(topic.number));
            topic.is_there = false;
        }
        _ => {}
    }
    Ok(())
}

async fn create(cx: &Context, client: &mut Routed, topic: &mut Topic) -> io::Result<()> {
    let wanted = CreatableTopic::default()
        .with_name(kafka_topic(topic.number))
        .with_num_partitions(1)
        .with_replication_factor(cx.replication());
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(cx.timeout_ms());
    cx.model.see(Event::Creating(topic.number));
    (topic.acked, topic.sent) = (0, 0);
    let answer = client.any().await?.call(CREATE_TOPICS_VERSION, &request).await?;
    match answer.topics.first().map(|topic| topic.error_code).and_then(ErrorCode::from_code) {
        Some(ErrorCode::None) => {
            cx.model.see(Event::Created(topic.number));
            topic.is_there = true;
            look(cx, client, topic).await
        }
        error => Err(io::Error::other(format!("not created: {error:?}"))),
    }
}

async fn remove(cx: &Context, client: &mut Routed, topic: &mut Topic) -> io::Result<()> {
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![kafka_topic(topic.number)])
        .with_timeout_ms(cx.timeout_ms());
    cx.model.see(Event::Deleting(topic.number));
    let answer = client.any().await?.call(DELETE_TOPICS_VERSION, &request).await?;
    match answer.responses.first().map(|topic| topic.error_code).and_then(ErrorCode::from_code) {
        Some(ErrorCode::None) => {
            cx.model.see(Event::Deleted(topic.number));
            topic.is_there = false;
            look(cx, client, topic).await
        }
        error => Err(io::Error::other(format!("not removed: {error:?}"))),
    }
}

async fn write(cx: &Context, client: &mut Routed, topic: &mut Topic) -> io::Result<()> {
    let mut builder = BatchBuilder::new(0);
    let value = encode_value((SHORT_LIVED_FROM, topic.sent), cx.options.value_bytes);
    builder.append(cx.model.clock().now(), None, Some(value.as_bytes()));
    let data =
        PartitionProduceData::default().with_index(0).with_records(Some(Bytes::from(builder.finish())));
    let data =
        TopicProduceData::default().with_name(kafka_topic(topic.number)).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(cx.timeout_ms())
        .with_topic_data(vec![data]);
    topic.sent += 1;
    let answer = client.leader((topic.number, 0)).await?.call(PRODUCE_VERSION, &request).await?;
    let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
    match partition {
        Some(partition) if partition.error_code == 0 => {
            topic.acked += 1;
            Ok(())
        }
        _ => Err(io::Error::other("not written")),
    }
}
