//! Clients at work, one file per kind.

pub mod commit;
pub mod consume;
pub mod join;
pub mod produce;
pub mod topics;
pub mod trim;
pub mod verify;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::client::Client;
use super::model::{Event, Model, Slot, Value, topic_name};
use super::net::SimNet;
use super::node::PORT;
use super::options::Options;
use crate::schema::api::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::schema::api::fetch_request::{FetchPartition, FetchTopic};
use crate::schema::api::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::schema::api::metadata_request::MetadataRequestTopic;
use crate::schema::api::{CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, TopicName};
use crate::types::{ErrorCode, Offset};
use crate::wire::batch::batches;
use crate::wire::records::Records;

/// The number of the reader that reads everything at the end.
pub const VERIFIER: u32 = 1000;
/// The number of the group whose members divide the partitions among themselves.
pub const TEAM: u32 = 100;
/// How long a client waits before it tries again.
const BACKOFF: Duration = Duration::from_millis(40);
const METADATA_VERSION: i16 = 12;
const CREATE_TOPICS_VERSION: i16 = 7;
const FETCH_VERSION: i16 = 12;
const LIST_OFFSETS_VERSION: i16 = 7;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// What clients are to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Go on.
    Work,
    /// Begin nothing new, and end once nothing is under way.
    Finish,
}

/// What every client has.
#[derive(Clone)]
pub struct Context {
    /// The way to the node.
    pub net: SimNet,
    /// Where everything is written down.
    pub model: Model,
    /// What was drawn.
    pub options: Arc<Options>,
    /// What is to be done.
    pub phase: watch::Receiver<Phase>,
}

impl Context {
    fn slots(&self) -> Vec<Slot> {
        let partitions = self.options.partitions;
        (0..self.options.topics).flat_map(|topic| (0..partitions).map(move |p| (topic, p))).collect()
    }

    fn is_finishing(&self) -> bool {
        *self.phase.borrow() == Phase::Finish
    }

    /// Connects to a node that knows every topic, which are made if they are not there. `None` if it must be
    /// tried again.
    async fn connect(&self) -> Option<Client> {
        let ready = async {
            let mut client = Client::connect(&self.net, PORT).await?;
            let named = (0..self.options.topics)
                .map(|topic| MetadataRequestTopic::default().with_name(Some(kafka_topic(topic))));
            let request = MetadataRequest::default()
                .with_topics(Some(named.collect()))
                .with_allow_auto_topic_creation(self.options.segment_bytes.is_none());
            let answer = client.call(METADATA_VERSION, &request).await?;
            let mut all = answer.topics.len() == self.options.topics as usize;
            for (topic, found) in (0..).zip(&answer.topics) {
                match ErrorCode::from_code(found.error_code) {
                    Some(ErrorCode::None) if found.partitions.len() == self.options.partitions as usize => {
                        self.model.see(Event::Created(topic));
                    }
                    Some(ErrorCode::None) => self.model.violated(format!(
                        "topic {topic} has {} partitions, not {}",
                        found.partitions.len(),
                        self.options.partitions
                    )),
                    Some(ErrorCode::UnknownTopicOrPartition) => {
                        self.create(&mut client, topic).await?;
                        all = false;
                    }
                    _ => all = false,
                }
            }
            io::Result::Ok(all.then_some(client))
        };
        match ready.await {
            Ok(Some(client)) => Some(client),
            Ok(None) | Err(_) => {
                sleep(BACKOFF).await;
                None
            }
        }
    }

    /// Makes a topic of the ones that stay, unless metadata makes it.
    async fn create(&self, client: &mut Client, topic: u32) -> io::Result<()> {
        let Some(segment_bytes) = self.options.segment_bytes else { return Ok(()) };
        let config = CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str("internal.segment.bytes"))
            .with_value(Some(StrBytes::from_string(segment_bytes.to_string())));
        let wanted = CreatableTopic::default()
            .with_name(kafka_topic(topic))
            .with_num_partitions(self.options.partitions)
            .with_replication_factor(1)
            .with_configs(vec![config]);
        let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(10_000);
        client.call(CREATE_TOPICS_VERSION, &request).await.map(drop)
    }
}

fn kafka_topic(topic: u32) -> TopicName {
    TopicName(StrBytes::from_string(topic_name(topic)))
}

fn encode_value((producer, number): Value, bytes_min: usize) -> String {
    let mut text = format!("{producer}/{number}/");
    while text.len() < bytes_min {
        text.push('.');
    }
    text
}

fn decode_value(bytes: &[u8]) -> Option<Value> {
    let mut parts = std::str::from_utf8(bytes).ok()?.split('/');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A reader of everything, with its position in each partition.
struct Reader {
    cx: Context,
    id: u32,
    positions: Vec<(Slot, Offset)>,
}

/// What one fetch found out.
struct Fetched {
    /// Records in it.
    records: usize,
    /// The high watermark of each partition that was answered without an error.
    ends: Vec<(Slot, Offset)>,
}

impl Reader {
    fn new(cx: &Context, id: u32) -> Reader {
        let positions = cx.slots().into_iter().map(|slot| (slot, 0)).collect();
        Reader { cx: cx.clone(), id, positions }
    }

    /// Reads once from every partition; waits up to `wait_ms` if there is nothing.
    async fn fetch(&mut self, client: &mut Client, wait_ms: i32) -> io::Result<Fetched> {
        let topics = (0..self.cx.options.topics).map(|topic| {
            let of_topic = self.positions.iter().filter(|(slot, _)| slot.0 == topic);
            let partitions = of_topic.map(|(slot, position)| {
                FetchPartition::default()
                    .with_partition(slot.1)
                    .with_fetch_offset(*position)
                    .with_partition_max_bytes(4 << 10)
            });
            FetchTopic::default().with_topic(kafka_topic(topic)).with_partitions(partitions.collect())
        });
        let request = FetchRequest::default()
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(64 << 10)
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_topics(topics.collect());
        let answer = client.call(FETCH_VERSION, &request).await?;
        if answer.error_code != 0 {
            return Err(io::Error::other(format!("the fetch failed: {}", answer.error_code)));
        }
        let mut fetched = Fetched { records: 0, ends: Vec::new() };
        for topic in &answer.responses {
            let number = (0..self.cx.options.topics).find(|number| kafka_topic(*number) == topic.topic);
            let Some(number) = number else { continue };
            for partition in &topic.partitions {
                let slot = (number, partition.partition_index);
                match ErrorCode::from_code(partition.error_code) {
                    Some(ErrorCode::None) => {
                        self.cx.model.see(Event::Answer {
                            reader: self.id,
                            slot,
                            high_watermark: partition.high_watermark,
                            start: partition.log_start_offset,
                        });
                        fetched.ends.push((slot, partition.high_watermark));
                        fetched.records += self.take(slot, partition.records.as_deref().unwrap_or_default());
                    }
                    Some(ErrorCode::OffsetOutOfRange) => self.reset(client, slot).await?,
                    Some(ErrorCode::UnknownTopicOrPartition) => self.cx.model.see(Event::Missing(slot.0)),
                    error => {
                        let name = error.map_or("an unknown error", ErrorCode::name);
                        let why = format!("{slot:?} could not be read: {name}");
                        self.cx.model.see(Event::Note(why.clone()));
                        return Err(io::Error::other(why));
                    }
                }
            }
        }
        Ok(fetched)
    }

    fn take(&mut self, slot: Slot, bytes: &[u8]) -> usize {
        let Some((_, position)) = self.positions.iter_mut().find(|(at, _)| *at == slot) else { return 0 };
        let mut count = 0;
        // A last batch that is cut off is no error: the answer's size is limited.
        for batch in batches(bytes).map_while(Result::ok) {
            let header = batch.header();
            if batch.verify_checksum().is_err() {
                self.cx.model.violated(format!("{slot:?}: a batch with a wrong checksum was served"));
                return count;
            }
            for record in Records::of(&batch).into_iter().flatten().map_while(Result::ok) {
                let offset = record.offset(header.base_offset());
                if offset < *position {
                    continue;
                }
                let Some(value) = record.value.and_then(decode_value) else {
                    self.cx.model.violated(format!("{slot:?}: the record at {offset} was never sent"));
                    return count;
                };
                let expected = *position;
                self.cx.model.see(Event::Read { reader: self.id, slot, offset, expected, value });
                *position = offset + 1;
                count += 1;
            }
        }
        count
    }

    async fn reset(&mut self, client: &mut Client, slot: Slot) -> io::Result<()> {
        let start = list_offset(client, slot, EARLIEST).await?;
        let end = list_offset(client, slot, LATEST).await?;
        let Some((_, position)) = self.positions.iter_mut().find(|(at, _)| *at == slot) else {
            return Ok(());
        };
        self.cx.model.see(Event::OutOfRange { reader: self.id, slot, position: *position, start, end });
        *position = start;
        Ok(())
    }
}

async fn list_offset(client: &mut Client, slot: Slot, timestamp: i64) -> io::Result<Offset> {
    let partition =
        ListOffsetsPartition { partition_index: slot.1, timestamp, ..ListOffsetsPartition::default() };
    let topic = ListOffsetsTopic { name: kafka_topic(slot.0), partitions: vec![partition] };
    let request =
        ListOffsetsRequest { replica_id: (-1).into(), topics: vec![topic], ..ListOffsetsRequest::default() };
    let answer = client.call(LIST_OFFSETS_VERSION, &request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    match partition {
        Some(partition) if partition.error_code == 0 => Ok(partition.offset),
        _ => Err(io::Error::other("offsets could not be listed")),
    }
}
