//! Asks transaction coordinators on behalf of producers: is this partition part of the transaction, or make it one (KIP-890).
//!
//! A few questions at a time are under way to each coordinator; what comes meanwhile goes with the next one, all of it
//! together. Coordinators are asked in AddPartitionsToTxn, as one broker asks another; that of this node without a network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use kafka_protocol::messages::{ProducerId as WireProducerId, TopicName as WireTopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::add_partitions;
use crate::api::Broker;
use crate::client::{CallError, ToBrokers};
use crate::coordinator::routing::{TRANSACTION_STATE, partition_for};
use crate::env::Tasks;
use crate::env::net::BoxFuture;
use crate::metadata::MetadataImage;
use crate::schema::api::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use crate::schema::api::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use crate::types::{
    ErrorCode, NodeId, PartitionIndex, ProducerEpoch, ProducerId, TopicName, TransactionVersion,
};

/// The version of AddPartitionsToTxn that brokers ask in; from 4 on it names several transactions.
const VERSION: i16 = 5;
/// Transactions that may wait for one coordinator; further ones are told that it is not available.
const WAITING_MAX: usize = 10_000;
/// The lanes of these calls. A coordinator may let a transaction wait for the end of the last one; the others must not wait
/// with it.
const LANES: [&str; 4] = ["transactions 0", "transactions 1", "transactions 2", "transactions 3"];

/// The way to a coordinator, by one of the lanes.
pub type AskCoordinator = Arc<
    dyn Fn(
            NodeId,
            &'static str,
            AddPartitionsToTxnRequest,
        ) -> BoxFuture<'static, Result<AddPartitionsToTxnResponse, CallError>>
        + Send
        + Sync,
>;

/// What a client can make of a transaction that has to be given up, by the version of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClientSupport {
    /// It knows INVALID_TXN_STATE for that, which is fatal.
    InvalidTxnState,
    /// It knows TRANSACTION_ABORTABLE (KIP-1050).
    Abortable,
    /// And it leaves it to the broker to add partitions to its transaction: transaction version 2.
    AddsPartitions,
}

impl ClientSupport {
    /// Of a producer, by the version of its Produce.
    pub(super) fn of_produce(version: i16) -> ClientSupport {
        match version {
            12.. => ClientSupport::AddsPartitions,
            11 => ClientSupport::Abortable,
            _ => ClientSupport::InvalidTxnState,
        }
    }

    /// Of a producer, by the version of its TxnOffsetCommit.
    pub(super) fn of_txn_offset_commit(version: i16) -> ClientSupport {
        match version {
            5.. => ClientSupport::AddsPartitions,
            4 => ClientSupport::Abortable,
            _ => ClientSupport::InvalidTxnState,
        }
    }

    /// True with transaction version 2, where each transaction has an epoch of its own.
    pub(super) fn supports_epoch_bump(self) -> bool {
        self == ClientSupport::AddsPartitions
    }
}

/// A partition of a topic.
pub(super) type Place = (TopicName, PartitionIndex);

/// What is asked of a coordinator for one transaction.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) transactional_id: Arc<str>,
    pub(super) producer_id: ProducerId,
    pub(super) producer_epoch: ProducerEpoch,
    pub(super) partitions: Vec<Place>,
    pub(super) support: ClientSupport,
}

impl Question {
    fn all(&self, error: ErrorCode) -> Refusals {
        self.partitions.iter().map(|place| (place.clone(), error)).collect()
    }
}

/// The partitions that must not be written to, and why. The others are part of the transaction.
pub(super) type Refusals = BTreeMap<Place, ErrorCode>;

/// Asks coordinators. Clones share the questions.
#[derive(Clone)]
pub struct TxnVerifier {
    shared: Arc<Shared>,
}

struct Shared {
    node_id: NodeId,
    image: Arc<ArcSwap<MetadataImage>>,
    tasks: Tasks,
    /// How others are asked.
    ask: AskCoordinator,
    /// How the coordinator of this node is asked, where that needs no network.
    ask_here: Mutex<Option<AskCoordinator>>,
    queues: Mutex<BTreeMap<NodeId, Queue>>,
}

/// What waits for one coordinator, and by which lanes something is under way to it.
#[derive(Default)]
struct Queue {
    waiting: Waiting,
    busy: [bool; LANES.len()],
}

/// Questions by transactional id.
type Waiting = BTreeMap<Arc<str>, Asked>;

struct Asked {
    question: Question,
    to: oneshot::Sender<Refusals>,
}

impl Asked {
    fn answer(self, refusals: Refusals) {
        // Whose client is gone does not hear of it.
        drop(self.to.send(refusals));
    }

    fn answer_all(self, error: ErrorCode) {
        let refusals = self.question.all(error);
        self.answer(refusals);
    }
}

impl TxnVerifier {
    /// `node_id` is this node, `image` says who coordinates, `ask` is the way there.
    pub fn new(
        node_id: NodeId,
        image: Arc<ArcSwap<MetadataImage>>,
        tasks: Tasks,
        ask: AskCoordinator,
    ) -> TxnVerifier {
        let (ask_here, queues) = (Mutex::default(), Mutex::default());
        TxnVerifier { shared: Arc::new(Shared { node_id, image, tasks, ask, ask_here, queues }) }
    }

    /// From now on the coordinator of this node is asked by `ask`.
    pub fn coordinate_here(&self, ask: AskCoordinator) {
        *self.shared.ask_here.lock() = Some(ask);
    }

    /// Has the coordinator say whether the partitions are in the transaction, or add them to it.
    pub(super) async fn ask(&self, question: Question) -> Refusals {
        let nobody = question.all(ErrorCode::NetworkException);
        let Some(coordinator) = self.coordinator_of(&question.transactional_id) else {
            return question.all(ErrorCode::CoordinatorNotAvailable);
        };
        let (to, answer) = oneshot::channel();
        self.queue(coordinator, Asked { question, to });
        answer.await.unwrap_or(nobody)
    }

    fn coordinator_of(&self, transactional_id: &str) -> Option<NodeId> {
        let image = self.shared.image.load();
        let topic = image.topics().get(TRANSACTION_STATE)?;
        let partitions = i32::try_from(topic.iter().count()).ok().filter(|&count| count > 0)?;
        let leader = topic.partition(partition_for(transactional_id, partitions))?.leader;
        image.is_active(leader).then_some(leader)
    }

    /// Adds a question to those that wait. Of two for one transaction the later counts, as Kafka has it: its producer has
    /// tried again, or another has taken its place.
    fn queue(&self, coordinator: NodeId, asked: Asked) {
        let mut queues = self.shared.queues.lock();
        let Queue { waiting, busy } = queues.entry(coordinator).or_default();
        let epoch = asked.question.producer_epoch;
        match waiting.remove(&asked.question.transactional_id) {
            Some(earlier) if earlier.question.producer_epoch > epoch => {
                waiting.insert(Arc::clone(&earlier.question.transactional_id), earlier);
                asked.answer_all(ErrorCode::InvalidProducerEpoch);
                return;
            }
            Some(earlier) if earlier.question.producer_epoch < epoch => {
                earlier.answer_all(ErrorCode::InvalidProducerEpoch);
            }
            Some(earlier) => earlier.answer_all(ErrorCode::NetworkException),
            None if waiting.len() >= WAITING_MAX => {
                asked.answer_all(ErrorCode::CoordinatorNotAvailable);
                return;
            }
            None => {}
        }
        waiting.insert(Arc::clone(&asked.question.transactional_id), asked);
        let Some(lane) = busy.iter().position(|is_busy| !is_busy) else { return };
        busy[lane] = true;
        drop(queues);
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn("transaction verification", async move {
            shared.carry(coordinator, lane).await;
        });
    }
}

impl Shared {
    /// Asks what waits for a coordinator until nothing does.
    async fn carry(&self, coordinator: NodeId, lane: usize) {
        while let Some(asked) = self.next(coordinator, lane) {
            let request = request(asked.values().map(|asked| &asked.question));
            let here = if coordinator == self.node_id { self.ask_here.lock().clone() } else { None };
            let ask = here.unwrap_or_else(|| Arc::clone(&self.ask));
            match ask(coordinator, LANES[lane], request).await {
                Ok(response) => answer(asked, &response),
                Err(why) => {
                    tracing::debug!(coordinator, %why, "a coordinator of transactions does not answer");
                    asked.into_values().for_each(|asked| asked.answer_all(ErrorCode::NetworkException));
                }
            }
        }
    }
}

impl Shared {
    /// What waits, to be carried by `lane`; nothing if that is free from now on.
    fn next(&self, coordinator: NodeId, lane: usize) -> Option<Waiting> {
        let mut queues = self.queues.lock();
        let queue = queues.get_mut(&coordinator)?;
        if !queue.waiting.is_empty() {
            return Some(std::mem::take(&mut queue.waiting));
        }
        queue.busy[lane] = false;
        if queue.busy.iter().all(|is_busy| !is_busy) {
            queues.remove(&coordinator);
        }
        None
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn request<'a>(questions: impl Iterator<Item = &'a Question>) -> AddPartitionsToTxnRequest {
    let transaction = |question: &Question| {
        let mut topics: BTreeMap<&TopicName, Vec<PartitionIndex>> = BTreeMap::new();
        for (topic, partition) in &question.partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        let topic = |(name, partitions): (&TopicName, Vec<PartitionIndex>)| {
            AddPartitionsToTxnTopic::default()
                .with_name(WireTopicName(text(name)))
                .with_partitions(partitions)
        };
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(TransactionalId(text(&question.transactional_id)))
            .with_producer_id(WireProducerId(question.producer_id))
            .with_producer_epoch(question.producer_epoch)
            .with_verify_only(!question.support.supports_epoch_bump())
            .with_topics(topics.into_iter().map(topic).collect())
    };
    AddPartitionsToTxnRequest::default().with_transactions(questions.map(transaction).collect())
}

/// Takes a coordinator's answer apart. A transaction that it does not mention was not verified.
fn answer(mut asked: Waiting, response: &AddPartitionsToTxnResponse) {
    if response.error_code != 0 {
        let error = match code(response.error_code) {
            // Clients are not to hear of what a broker may not do.
            ErrorCode::ClusterAuthorizationFailed => ErrorCode::InvalidTxnState,
            other => other,
        };
        tracing::warn!(%error, "a coordinator of transactions refuses to answer");
        asked.into_values().for_each(|asked| asked.answer_all(error));
        return;
    }
    for result in &response.results_by_transaction {
        let Some(asked) = asked.remove(&*result.transactional_id.0) else { continue };
        let mut refusals = asked.question.all(ErrorCode::NetworkException);
        for topic in &result.topic_results {
            for partition in &topic.results_by_partition {
                let place = (TopicName::from(&**topic.name), partition.partition_index);
                match code(partition.partition_error_code) {
                    ErrorCode::None => drop(refusals.remove(&place)),
                    error => drop(refusals.insert(place, known_to(asked.question.support, error))),
                }
            }
        }
        asked.answer(refusals);
    }
    asked.into_values().for_each(|asked| asked.answer_all(ErrorCode::NetworkException));
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// A coordinator's error in the words that producers know.
fn known_to(support: ClientSupport, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if support == ClientSupport::InvalidTxnState => {
            ErrorCode::InvalidTxnState
        }
        other => other,
    }
}

/// The way to the coordinators of other brokers. An answer may take `answer_max`.
pub fn over_the_network(brokers: ToBrokers, answer_max: Duration) -> AskCoordinator {
    Arc::new(move |node, lane, request| {
        let brokers = brokers.clone();
        Box::pin(
            async move { brokers.call(node, lane, VERSION, &request, Instant::now() + answer_max).await },
        )
    })
}

/// The way to the coordinator of `broker` itself.
pub fn in_process(broker: &Arc<Broker>) -> AskCoordinator {
    // The broker owns who asks.
    let broker = Arc::downgrade(broker);
    Arc::new(move |_node, _lane, request| {
        let broker = broker.upgrade();
        Box::pin(async move {
            let gone = || CallError::Lost("the node is going down".to_owned());
            let broker = broker.ok_or_else(gone)?;
            let one = |transaction| add_partitions(&broker, transaction, TransactionVersion::V2);
            let results = join_all(request.transactions.iter().map(one)).await;
            Ok(AddPartitionsToTxnResponse::default().with_results_by_transaction(results))
        })
    })
}

#[cfg(test)]
#[path = "verify_test.rs"]
mod tests;
