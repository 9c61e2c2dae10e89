//! A producer: idempotent with acks=all, which tries until it knows, or plain with acks=1 or 0, which does
//! not.
//!
//! The idempotent one does what Kafka's does (KIP-360). A batch that was sent has its sequence number until its
//! fate is known. If a partition says that the number is not the next one, though all before it are
//! acknowledged, then the partition has lost what it knew: the producer takes the next epoch, gives that
//! partition's batches under way numbers from 0 on, and sends them again. Other partitions go over to the new
//! epoch once they have nothing under way.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::{BACKOFF, Context, encode_value, kafka_topic};
use crate::env::Clock as _;
use crate::schema::api::produce_request::{PartitionProduceData, TopicProduceData};
use crate::schema::api::{InitProducerIdRequest, ProduceRequest};
use crate::sim::model::{Event, Producer, Slot};
use crate::sim::route::Routed;
use crate::types::{ErrorCode, Rng};
use crate::wire::records::BatchBuilder;

const PRODUCE_VERSION: i16 = 11;
const INIT_PRODUCER_ID_VERSION: i16 = 4;

/// Id and epoch.
type Identity = (i64, i16);

struct Batch {
    slot: Slot,
    first: u64,
    count: u32,
    sent_before: bool,
}

/// A producer at work.
pub struct Producing {
    cx: Context,
    id: Producer,
    rng: Rng,
    acks: i16,
    /// Of an idempotent one, for partitions without anything under way.
    identity: Option<Identity>,
    /// The next number for each partition.
    next: BTreeMap<Slot, u64>,
    /// The identity that is in use in each partition, and the number that has sequence 0 under it.
    sequences: BTreeMap<Slot, (Identity, u64)>,
    /// Not acknowledged, in the order in which they are sent.
    pending: VecDeque<Batch>,
}

/// How one connection ended.
enum Ended {
    Finished,
    Again,
}

impl Producing {
    /// A producer that has sent nothing.
    pub fn new(cx: Context, id: Producer, mut rng: Rng) -> Producing {
        let acks = if id < cx.options.idempotent_producers { -1 } else { rng.below(2) as i16 };
        Producing {
            cx,
            id,
            rng,
            acks,
            identity: None,
            next: BTreeMap::new(),
            sequences: BTreeMap::new(),
            pending: VecDeque::new(),
        }
    }

    /// Produces until it is told to finish and knows of everything.
    pub async fn run(mut self) {
        loop {
            if self.cx.is_finishing() && self.pending.is_empty() {
                return;
            }
            let Some(mut client) = self.cx.connect().await else { continue };
            match self.use_connection(&mut client).await {
                Ok(Ended::Finished) => return,
                Ok(Ended::Again) | Err(_) => {}
            }
            if self.acks != -1 {
                // Nobody knows what became of them.
                self.pending.clear();
            }
            drop(client);
            sleep(BACKOFF).await;
        }
    }

    async fn use_connection(&mut self, client: &mut Routed) -> io::Result<Ended> {
        if self.acks == -1 && self.identity.is_none() {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            let answer = client.any().await?.call(INIT_PRODUCER_ID_VERSION, &request).await?;
            if answer.error_code != 0 {
                self.cx.model.note(format!("producer {} gets no id: error {}", self.id, answer.error_code));
                return Ok(Ended::Again);
            }
            self.identity = Some((answer.producer_id.0, answer.producer_epoch));
        }
        let mut under_way = VecDeque::new();
        loop {
            let finishing = self.cx.is_finishing();
            while !finishing && self.pending.len() < self.cx.options.in_flight_max {
                self.draw();
            }
            while under_way.len() < self.pending.len() {
                // Nothing is sent that is not known to have somewhere to go.
                let place = client.place_of(self.pending[under_way.len()].slot)?;
                client.at(place.clone()).await?;
                let request = self.request(under_way.len());
                let id = client.at(place.clone()).await?.send(PRODUCE_VERSION, &request).await?;
                if self.acks == 0 {
                    self.pending.pop_front();
                    break;
                }
                under_way.push_back((place, id));
            }
            match under_way.pop_front() {
                Some((place, id)) => {
                    let client = client.at(place).await?;
                    let answer = client.receive::<ProduceRequest>(PRODUCE_VERSION, id).await?;
                    let partition = answer.responses.first().and_then(|t| t.partition_responses.first());
                    let partition = partition.ok_or(io::ErrorKind::InvalidData)?;
                    let error =
                        ErrorCode::from_code(partition.error_code).ok_or(io::ErrorKind::InvalidData)?;
                    if !self.answered(error, partition.base_offset) {
                        return Ok(Ended::Again);
                    }
                }
                None if finishing && self.pending.is_empty() => return Ok(Ended::Finished),
                None => {}
            }
            sleep(Duration::from_millis(self.rng.below(self.cx.options.think_ms_max + 1))).await;
        }
    }

    fn draw(&mut self) {
        let slots = self.cx.slots();
        let slot = slots[self.rng.below(slots.len() as u64) as usize];
        let count = 1 + self.rng.below(u64::from(self.cx.options.batch_records_max)) as u32;
        let next = self.next.entry(slot).or_default();
        self.pending.push_back(Batch { slot, first: *next, count, sent_before: false });
        *next += u64::from(count);
    }

    fn request(&mut self, at: usize) -> ProduceRequest {
        let slot = self.pending[at].slot;
        let idle = !self.pending.iter().any(|batch| batch.slot == slot && batch.sent_before);
        let batch = &mut self.pending[at];
        if let Some(identity) = self.identity
            && idle
            && self.sequences.get(&slot).is_none_or(|(used, _)| *used != identity)
        {
            self.sequences.insert(slot, (identity, batch.first));
        }
        if !batch.sent_before {
            batch.sent_before = true;
            let (slot, first, count) = (batch.slot, (self.id, batch.first), batch.count);
            self.cx.model.see(Event::Sent { slot, first, count });
        }
        let mut builder = BatchBuilder::new(0);
        if let Some(((id, epoch), from)) = self.sequences.get(&slot).copied() {
            builder = builder.producer(id, epoch, (batch.first - from) as i32);
        }
        let now = self.cx.model.clock().now();
        for number in batch.first..batch.first + u64::from(batch.count) {
            let value = encode_value((self.id, number), self.cx.options.value_bytes);
            builder.append(now, None, Some(value.as_bytes()));
        }
        let data = PartitionProduceData::default()
            .with_index(batch.slot.1)
            .with_records(Some(Bytes::from(builder.finish())));
        let topic =
            TopicProduceData::default().with_name(kafka_topic(batch.slot.0)).with_partition_data(vec![data]);
        ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(self.acks)
            .with_timeout_ms(self.cx.timeout_ms())
            .with_topic_data(vec![topic])
    }

    /// Takes in the answer for the oldest batch. False if the connection is of no more use.
    fn answered(&mut self, error: ErrorCode, base: i64) -> bool {
        let Some(batch) = self.pending.front() else { return false };
        let (slot, first, count) = (batch.slot, (self.id, batch.first), batch.count);
        let base = match error {
            ErrorCode::None => Some(base).filter(|base| *base >= 0),
            ErrorCode::DuplicateSequenceNumber if self.identity.is_some() => None,
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId if self.identity.is_some() => {
                self.cx.model.see(Event::Bumped { slot, producer: self.id, error });
                self.bump(slot, first.1);
                return false;
            }
            ErrorCode::OutOfOrderSequenceNumber
            | ErrorCode::UnknownProducerId
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::InvalidRecord
            | ErrorCode::CorruptMessage
            | ErrorCode::UnknownServerError => {
                self.cx.model.see(Event::Fatal { slot, producer: self.id, error });
                self.identity = None;
                self.pending.clear();
                self.sequences.clear();
                return false;
            }
            other => {
                self.cx.model.note(format!("producer {}: {}", self.id, other.name()));
                return false;
            }
        };
        self.cx.model.see(Event::Acked { slot, first, count, base, acks: self.acks });
        self.pending.pop_front();
        true
    }
    /// Takes the next epoch, and gives the batches of `slot` that are under way, the first of which begins at
    /// `first`, sequence numbers from 0 on.
    fn bump(&mut self, slot: Slot, first: u64) {
        self.identity = self.identity.and_then(|(id, epoch)| Some((id, epoch.checked_add(1)?)));
        match self.identity {
            Some(identity) => self.sequences.insert(slot, (identity, first)),
            // The epochs of this id are used up: another one is asked for.
            None => self.sequences.remove(&slot),
        };
    }
}
