//! Clients at work, one file per kind.

pub mod commit;
pub mod consume;
pub mod in_sync;
pub mod join;
pub mod produce;
pub mod topics;
pub mod trim;
pub mod verify;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::model::{Event, Model, Slot, Value, topic_name};
use super::net::SimNet;
use super::options::Options;
use super::route::{Leader, Place, Routed};
use crate::schema::api::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::schema::api::fetch_request::{FetchPartition, FetchTopic};
use crate::schema::api::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::schema::api::metadata_request::MetadataRequestTopic;
use crate::schema::api::{CreateTopicsRequest, FetchRequest, ListOffsetsRequest, TopicName};
use crate::types::{ErrorCode, LeaderEpoch, NodeId, Offset};
use crate::wire::batch::batches;
use crate::wire::records::Records;

/// The number of the reader that reads everything at the end.
pub const VERIFIER: u32 = 1000;
/// The number of the group whose members divide the partitions among themselves.
pub const TEAM: u32 = 100;
/// How long a client waits before it tries again.
const BACKOFF: Duration = Duration::from_millis(40);
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
    /// The network, as clients see it.
    pub net: SimNet,
    /// Where nodes are.
    pub places: Arc<Vec<Place>>,
    /// Which of them is asked next.
    pub turn: Arc<AtomicUsize>,
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

    /// True if there are several nodes: what one of them does not know, another may.
    fn is_cluster(&self) -> bool {
        self.places.len() > 1
    }

    /// How many replicas topics have.
    fn replication(&self) -> i16 {
        self.places.len().min(3) as i16
    }

    /// How long an answer may take.
    fn patience(&self) -> Duration {
        Duration::from_secs(if self.is_cluster() { 6 } else { 30 })
    }

    /// How long a server may take over something, in milliseconds.
    fn timeout_ms(&self) -> i32 {
        if self.is_cluster() { 4_000 } else { 10_000 }
    }

    /// Connects to a node that knows every topic, which are made if they are not there. `None` if it must be
    /// tried again.
    async fn connect(&self) -> Option<Routed> {
        let ready = async {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let place = self.places[turn % self.places.len()].clone();
            let mut client = Routed::connect(&self.net, place, self.patience()).await?;
            let named = (0..self.options.topics)
                .map(|topic| (topic, MetadataRequestTopic::default().with_name(Some(kafka_topic(topic)))));
            let answer = client.ask(named.collect(), self.options.segment_bytes.is_none()).await?;
            let mut all = answer.topics.len() == self.options.topics as usize;
            for (topic, found) in (0..).zip(&answer.topics) {
                match ErrorCode::from_code(found.error_code) {
                    Some(ErrorCode::None) if found.partitions.len() == self.options.partitions as usize => {
                        self.model.see(Event::Created(topic));
                        self.see_leaders(&client, topic);
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

    /// Writes down who leads what, where it matters.
    fn see_leaders(&self, client: &Routed, topic: u32) {
        if !self.is_cluster() {
            return;
        }
        for slot in self.slots().into_iter().filter(|slot| slot.0 == topic) {
            if let Some(Leader { node, epoch, .. }) = client.leader_of(slot) {
                self.model.see(Event::Led { slot, leader: node, epoch });
            }
        }
    }

    /// Makes a topic of the ones that stay, unless metadata makes it.
    async fn create(&self, client: &mut Routed, topic: u32) -> io::Result<()> {
        let Some(segment_bytes) = self.options.segment_bytes else { return Ok(()) };
        let config = CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str("internal.segment.bytes"))
            .with_value(Some(StrBytes::from_string(segment_bytes.to_string())));
        let wanted = CreatableTopic::default()
            .with_name(kafka_topic(topic))
            .with_num_partitions(self.options.partitions)
            .with_replication_factor(self.replication())
            .with_configs(vec![config]);
        let request =
            CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(self.timeout_ms());
        client.any().await?.call(CREATE_TOPICS_VERSION, &request).await.map(drop)
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

impl Reader {
    fn new(cx: &Context, id: u32) -> Reader {
        let positions = cx.slots().into_iter().map(|slot| (slot, 0)).collect();
        Reader { cx: cx.clone(), id, positions }
    }

    /// Reads once from every partition; waits up to `wait_ms` if there is nothing.
    async fn fetch(&mut self, client: &mut Routed, wait_ms: i32) -> io::Result<usize> {
        let mut leaders: Vec<(NodeId, Place)> = Vec::new();
        for (slot, _) in &self.positions {
            let leader = client.leader_of(*slot).ok_or(io::ErrorKind::NotConnected)?;
            if !leaders.iter().any(|(node, _)| *node == leader.node) {
                leaders.push((leader.node, client.place_of(*slot)?));
            }
        }
        let (mut records, each) = (0, wait_ms / leaders.len() as i32);
        for (leader, place) in leaders {
            records += self.fetch_from(client, leader, place, each).await?;
        }
        Ok(records)
    }

    /// Reads once from every partition that `leader` leads.
    async fn fetch_from(
        &mut self,
        client: &mut Routed,
        leader: NodeId,
        place: Place,
        wait_ms: i32,
    ) -> io::Result<usize> {
        let is_led = |slot: Slot| client.leader_of(slot).is_some_and(|found| found.node == leader);
        // On one node nobody need be told which epoch is meant.
        let epoch = |slot: Slot| match client.leader_of(slot) {
            Some(leader) if self.cx.is_cluster() => leader.epoch,
            _ => -1,
        };
        let epochs: BTreeMap<Slot, LeaderEpoch> =
            self.positions.iter().map(|(slot, _)| (*slot, epoch(*slot))).collect();
        let topics = (0..self.cx.options.topics).map(|topic| {
            let of_topic = self.positions.iter().filter(|(slot, _)| slot.0 == topic && is_led(*slot));
            let partitions = of_topic.map(|(slot, position)| {
                FetchPartition::default()
                    .with_partition(slot.1)
                    .with_current_leader_epoch(epochs[slot])
                    .with_fetch_offset(*position)
                    .with_partition_max_bytes(4 << 10)
            });
            FetchTopic::default().with_topic(kafka_topic(topic)).with_partitions(partitions.collect())
        });
        let topics = topics.filter(|topic| !topic.partitions.is_empty());
        let request = FetchRequest::default()
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(64 << 10)
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_topics(topics.collect());
        let answer = client.at(place).await?.call(FETCH_VERSION, &request).await?;
        if answer.error_code != 0 {
            return Err(io::Error::other(format!("the fetch failed: {}", answer.error_code)));
        }
        let mut records = 0;
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
                            leader: (leader, epochs.get(&slot).copied().unwrap_or(-1)),
                            high_watermark: partition.high_watermark,
                            start: partition.log_start_offset,
                        });
                        records += self.take(slot, partition.records.as_deref().unwrap_or_default());
                    }
                    Some(ErrorCode::OffsetOutOfRange) => self.reset(client, slot).await?,
                    Some(ErrorCode::UnknownTopicOrPartition) if !self.cx.is_cluster() => {
                        self.cx.model.see(Event::Missing(slot.0))
                    }
                    error => {
                        let name = error.map_or("an unknown error", ErrorCode::name);
                        let why = format!("{slot:?} could not be read: {name}");
                        self.cx.model.see(Event::Note(why.clone()));
                        return Err(io::Error::other(why));
                    }
                }
            }
        }
        Ok(records)
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

    async fn reset(&mut self, client: &mut Routed, slot: Slot) -> io::Result<()> {
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

async fn list_offset(client: &mut Routed, slot: Slot, timestamp: i64) -> io::Result<Offset> {
    let partition =
        ListOffsetsPartition { partition_index: slot.1, timestamp, ..ListOffsetsPartition::default() };
    let topic = ListOffsetsTopic { name: kafka_topic(slot.0), partitions: vec![partition] };
    let request =
        ListOffsetsRequest { replica_id: (-1).into(), topics: vec![topic], ..ListOffsetsRequest::default() };
    let answer = client.leader(slot).await?.call(LIST_OFFSETS_VERSION, &request).await?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    match partition {
        Some(partition) if partition.error_code == 0 => Ok(partition.offset),
        _ => Err(io::Error::other("offsets could not be listed")),
    }
}
