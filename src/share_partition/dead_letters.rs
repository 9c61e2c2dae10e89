//! Writes to dead-letter queues (KIP-1191).
//!
//! A queue is a topic that the group names; it must permit that (`errors.deadletterqueue.group.enable`) and begin with the
//! cluster's prefix. The letters of one partition go to one partition of the queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use tokio::time::{Instant, timeout};

use super::letter::{self, Copied};
use super::settings::GroupSettings;
use super::state::DeadLetter;
use crate::client::{Peer, Pool};
use crate::config::{Layers, TopicConfig};
use crate::controller::ActiveController;
use crate::controller::command::{Command, NewTopic};
use crate::coordinator::share::ShareKey;
use crate::env::{Clock, Tasks};
use crate::metadata::{ConfigResource, MetadataImage, Topic};
use crate::replica::{
    Acks, Append, Isolation, Partition, ProduceWaitSlot, Read, ReplicaManager, Verification,
};
use crate::storage::validate::AppendOrigin;
use crate::types::{ErrorCode, NodeId, Offset};
use crate::wire::batch::batches;
use crate::wire::compress::{Codec, decompress};
use crate::wire::records::Records;

/// How often a write is tried.
const ATTEMPTS: u32 = 5;
/// How long after a try that failed the next one begins.
const RETRY: Duration = Duration::from_millis(500);
/// How long a queue may take to confirm a batch, or the controller to make the topic.
const PATIENCE: Duration = Duration::from_secs(30);
/// Letters that one batch holds at most.
const LETTERS_PER_BATCH: Offset = 1000;
/// Bytes read at once where records are copied, and what one batch may decompress to.
const COPY_BYTES: (u32, usize) = (1 << 20, 64 << 20);
/// Produce with ids of topics.
const PRODUCE_VERSION: i16 = 13;
/// Where requests that wait for replicas go.
const LANE: &str = "dead-letters";

/// The way to dead-letter queues.
pub struct DeadLetters {
    /// This broker.
    pub node_id: NodeId,
    /// Its settings.
    pub layers: Arc<ArcSwap<Layers>>,
    /// The cluster.
    pub image: Arc<ArcSwap<MetadataImage>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Runs what may block.
    pub tasks: Tasks,
    /// Makes topics.
    pub controller: ActiveController,
    /// Partitions of this broker.
    pub replicas: Arc<ReplicaManager>,
    /// Connections to others.
    pub pool: Pool,
    /// Their listener for brokers.
    pub listener: Arc<str>,
}

/// Why letters are not written.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The group, the topic or the cluster is not set up for it.
    #[error("{0}")]
    Config(String),
    /// The queue does not take them.
    #[error("the queue cannot be written to: {0}")]
    Write(ErrorCode),
}

impl DeadLetters {
    /// Writes the records of `letter`, which `partition` holds. Some may be written twice if the queue does not confirm them in
    /// time.
    ///
    /// # Errors
    ///
    /// See [`DeadLetterError`]; what may pass has been tried again before.
    pub async fn write(
        &self,
        key: &ShareKey,
        partition: &Arc<Partition>,
        settings: &GroupSettings,
        letter: &DeadLetter,
    ) -> Result<(), DeadLetterError> {
        let queue = settings.dead_letter_topic.as_ref();
        let queue = queue.ok_or_else(|| DeadLetterError::Config("the group has no queue".to_owned()))?;
        let queue_topic = self.queue(queue).await?;
        let source = letter::From { topic: partition.topic(), partition: key.partition, group: &key.group };
        let bytes_max = usize::try_from(self.config_of(queue).max_message_bytes).unwrap_or(0);
        let mut at = letter.first;
        while at <= letter.last {
            let (copied, last) = match settings.dead_letters_copy_records {
                true => self.copy(partition, at, letter.last).await,
                false => (BTreeMap::new(), letter.last),
            };
            let last = last.min(at + LETTERS_PER_BATCH - 1);
            let copy = |offset| copied.get(&offset).cloned().unwrap_or_default();
            let now = self.clock.now();
            let (batch, done) = letter::batch(&source, letter, (at, last), copy, bytes_max, now);
            self.append(&queue_topic, key.partition, Bytes::from(batch))
                .await
                .map_err(DeadLetterError::Write)?;
            at = done + 1;
        }
        Ok(())
    }

    fn config_of(&self, topic: &str) -> TopicConfig {
        let own = self.image.load().configs().props(&ConfigResource::topic(topic));
        self.layers.load().topic(&own)
    }

    /// The queue's topic, made if need be.
    async fn queue(&self, name: &Arc<str>) -> Result<Arc<Topic>, DeadLetterError> {
        let bad =
            |why: &str| Err(DeadLetterError::Config(format!("{name} cannot be a dead-letter queue: {why}")));
        let (prefix, may_create) = {
            let layers = self.layers.load();
            let key = "errors.deadletterqueue.topic.name.prefix";
            let prefix = layers.lookup(key).map_or("dlq.".to_owned(), |(text, _)| text.to_owned());
            (prefix, layers.boolean("errors.deadletterqueue.auto.create.topics.enable"))
        };
        if name.starts_with("__") {
            return bad("its name is one of an internal topic");
        }
        if !name.starts_with(&prefix) {
            return bad(&format!("its name does not begin with {prefix}"));
        }
        let known = self.image.load().topics().get(name).cloned();
        if let Some(topic) = known {
            return match self.config_of(name).errors_deadletterqueue_group_enable {
                true => Ok(topic),
                false => bad("errors.deadletterqueue.group.enable is false"),
            };
        }
        if !may_create {
            return bad(
                "there is no such topic, and errors.deadletterqueue.auto.create.topics.enable is false",
            );
        }
        let config = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        let topic = NewTopic {
            name: name.to_string(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: vec![
                config("errors.deadletterqueue.group.enable", "true"),
                config("message.timestamp.type", "CreateTime"),
            ],
        };
        let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
        if let Err(error) = self.controller.submit(command, Instant::now() + PATIENCE).await {
            return bad(&format!("it cannot be made: {error}"));
        }
        match self.image.load().topics().get(name) {
            Some(topic) => Ok(Arc::clone(topic)),
            None => bad("it was not made"),
        }
    }

    /// The records from `from` on that one batch of the log holds, up to `last`, and the offset up to which that is all there is.
    async fn copy(
        &self,
        partition: &Arc<Partition>,
        from: Offset,
        last: Offset,
    ) -> (BTreeMap<Offset, Copied>, Offset) {
        let partition = Arc::clone(partition);
        let read = self.tasks.run_blocking(move || {
            let read = partition.read(&Read {
                offset: from,
                bytes_max: COPY_BYTES.0,
                whole_batch: true,
                isolation: Isolation::ReadUncommitted,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
                waiter: None,
                follower: None,
                from_any_replica: true,
                rack: None,
            });
            read.records.and_then(|slice| slice.read().ok()).unwrap_or_default()
        });
        let bytes = read.await.unwrap_or_default();
        let mut copied = BTreeMap::new();
        let found = batches(&bytes).map_while(Result::ok).find(|batch| batch.header().last_offset() >= from);
        let Some(batch) = found else { return (copied, last) };
        let header = batch.header();
        let payload = match Codec::from_number(header.compression()) {
            Some(Codec::None) => Bytes::copy_from_slice(batch.payload()),
            Some(codec) => {
                let mut out = Vec::new();
                match decompress(codec, batch.payload(), COPY_BYTES.1, &mut out) {
                    Ok(()) => out.into(),
                    Err(e) => {
                        tracing::warn!(from, "dead letters go without their records: {e}");
                        Bytes::new()
                    }
                }
            }
            None => Bytes::new(),
        };
        for record in Records::new(&payload, header.records_count()).map_while(Result::ok) {
            let offset = record.offset(header.base_offset());
            if (from..=last).contains(&offset) {
                let part = |bytes: Option<&[u8]>| bytes.map(|bytes| payload.slice_ref(bytes));
                copied.insert(offset, (part(record.key), part(record.value)));
            }
        }
        (copied, last.min(header.last_offset()))
    }

    /// Appends to the partition of the queue that goes with a partition of the source.
    async fn append(&self, topic: &Topic, source: i32, batch: Bytes) -> Result<(), ErrorCode> {
        let mut attempt = 1;
        loop {
            let outcome = self.append_once(topic, source, &batch).await;
            match outcome {
                Err(error) if error.is_retriable() && attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(RETRY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn append_once(&self, topic: &Topic, source: i32, batch: &Bytes) -> Result<(), ErrorCode> {
        let image = self.image.load_full();
        let now = image.topics().get_by_id(topic.id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let count = i32::try_from(now.iter().count()).unwrap_or(i32::MAX).max(1);
        let index = source.rem_euclid(count);
        let leader = now.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?.leader;
        if leader == self.node_id {
            let partition = self.replicas.partition(&now.name, index)?;
            let append = Append {
                acks: Acks::All,
                origin: AppendOrigin::Client,
                now: self.clock.now(),
                index: 0,
                verification: Verification::default(),
            };
            let mut wait = ProduceWaitSlot::default();
            partition.append(batch, &append, &mut wait).map_err(|refused| refused.code)?;
            let Some(wait) = wait.into_wait() else { return Ok(()) };
            timeout(PATIENCE, wait.done()).await.map_err(|_| ErrorCode::RequestTimedOut)?;
            return wait.failures().first().map_or(Ok(()), |&(_, error)| Err(error));
        }
        let endpoint = image.brokers().get(leader).and_then(|broker| broker.endpoint(&self.listener));
        let endpoint = endpoint.ok_or(ErrorCode::LeaderNotAvailable)?;
        let peer = Peer { host: Arc::clone(&endpoint.host), port: endpoint.port, lane: LANE };
        let data = PartitionProduceData::default().with_index(index).with_records(Some(batch.clone()));
        let data = TopicProduceData::default().with_topic_id(topic.id.0).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(PATIENCE.as_millis() as i32)
            .with_topic_data(vec![data]);
        let deadline = Instant::now() + PATIENCE;
        let answer = self.pool.call(&peer, PRODUCE_VERSION, &request, deadline).await;
        let answer = answer.map_err(|_| ErrorCode::NetworkException)?;
        let answer = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        match answer.map(|answer| ErrorCode::from_code(answer.error_code)) {
            Some(Some(ErrorCode::None)) => Ok(()),
            Some(Some(error)) => Err(error),
            Some(None) | None => Err(ErrorCode::UnknownServerError),
        }
    }
}
