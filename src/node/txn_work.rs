//! Does in the world what transaction coordinators want done: has markers written to the partitions of transactions that
//! end, and gets producer ids.
//!
//! Each led partition of `__transaction_state` has a worker. It asks its shard for work, and says what is done; what is not
//! done when it dies, or when the shard could not write down that it is, the shard gives out again. Markers for partitions
//! that this broker leads are written at once. For other brokers, what several workers have for one goes in one request;
//! one at a time is under way to each broker.
//!
//! Before work is given out again, nothing of it may be under way any more: an end that comes late could end the next
//! transaction of a producer whose transactions do not have epochs of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use kafka_protocol::messages::{ProducerId as WireProducerId, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::api::Broker;
use crate::api::transactions::write_markers;
use crate::client::Backoff;
use crate::coordinator::runtime::Refused;
use crate::coordinator::txn::command::{Markers, MarkersWritten, Work};
use crate::coordinator::txn::pending::{self, route};
use crate::coordinator::txn::state::Partitions;
use crate::coordinator::txn::{Command, Reply};
use crate::schema::api::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use crate::schema::api::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use crate::types::{ErrorCode, LeaderEpoch, NodeId, PartitionIndex, Rng, TopicName};

/// The version of WriteTxnMarkers that brokers use.
const VERSION: i16 = 2;
/// The lane of these calls.
const LANE: &str = "transaction-markers";
/// How long one broker may take to answer, replicas included, before its partitions may be led elsewhere by now.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Markers that wait for one broker; further ones wait to wait.
const QUEUED_MAX: usize = 1024;
/// The first wait before a marker that could not be written is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(10);
/// The longest.
const RETRY_MAX: Duration = Duration::from_millis(500);
/// How long a worker rests before it asks a shard again that could not answer.
const REST: Duration = Duration::from_millis(50);

/// The workers of one broker.
pub(super) struct TxnWorkers {
    couriers: Arc<Couriers>,
    running: Mutex<BTreeMap<PartitionIndex, (LeaderEpoch, CancellationToken)>>,
    rng: Mutex<Rng>,
}

impl TxnWorkers {
    /// Nobody works yet.
    pub(super) fn new(broker: &Arc<Broker>, rng: Rng) -> TxnWorkers {
        let couriers = Couriers { broker: Arc::clone(broker), queues: Mutex::default() };
        TxnWorkers { couriers: Arc::new(couriers), running: Mutex::default(), rng: Mutex::new(rng) }
    }

    /// This broker coordinates `partition` in `epoch`.
    fn begin(&self, partition: PartitionIndex, epoch: LeaderEpoch) {
        let stop = CancellationToken::new();
        let mut running = self.running.lock();
        if let Some((known, before)) = running.get(&partition) {
            if *known >= epoch {
                return;
            }
            before.cancel();
        }
        running.insert(partition, (epoch, stop.clone()));
        drop(running);
        let rng = Mutex::new(self.rng.lock().split());
        let worker = Worker { couriers: Arc::clone(&self.couriers), partition, epoch, rng };
        self.couriers.broker.tasks.spawn("transaction worker", async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = worker.run() => {}
            }
        });
    }

    /// This broker does not coordinate `partition` any more.
    fn end(&self, partition: PartitionIndex, epoch: Option<LeaderEpoch>) {
        let mut running = self.running.lock();
        if running.get(&partition).is_some_and(|(known, _)| epoch.is_none_or(|epoch| *known < epoch))
            && let Some((_, stop)) = running.remove(&partition)
        {
            stop.cancel();
        }
    }

    /// Follows who coordinates what: after the coordinator itself, which works only when it is asked to.
    pub(super) fn follow(&self, partition: PartitionIndex, led: bool, epoch: Option<LeaderEpoch>) {
        match epoch {
            Some(epoch) if led => self.begin(partition, epoch),
            epoch => self.end(partition, epoch),
        }
    }
}

/// Does the work of one shard in one of its lives.
struct Worker {
    couriers: Arc<Couriers>,
    partition: PartitionIndex,
    epoch: LeaderEpoch,
    rng: Mutex<Rng>,
}

/// Why a worker has to begin anew.
enum Setback {
    /// The shard is gone.
    Over,
    /// The shard could not do what it was asked.
    Again,
}

impl From<Refused> for Setback {
    fn from(refused: Refused) -> Setback {
        match refused {
            Refused::NotCoordinator => Setback::Over,
            _ => Setback::Again,
        }
    }
}

impl Worker {
    async fn run(self) {
        while let Err(Setback::Again) = self.work().await {
            sleep(REST).await;
        }
    }

    async fn ask(&self, command: Command) -> Result<Reply, Refused> {
        self.couriers.broker.transactions.request(self.partition, command).await
    }

    /// Works until something goes wrong. Nothing is under way when it returns.
    async fn work(&self) -> Result<(), Setback> {
        let stop = CancellationToken::new();
        let mut under_way = FuturesUnordered::new();
        let mut setback = None;
        let mut more = Box::pin(self.ask(Command::Work { anew: true }));
        while setback.is_none() {
            tokio::select! {
                biased;
                Some(done) = under_way.next() => {
                    if let Err(why) = done {
                        setback = Some(why);
                    }
                }
                work = &mut more => {
                    let work = match work {
                        Ok(Reply::Work(work)) => work,
                        Ok(other) => {
                            tracing::error!(?other, "a coordinator gives something else than work");
                            Vec::new()
                        }
                        Err(refused) => {
                            setback = Some(refused.into());
                            continue;
                        }
                    };
                    under_way.extend(work.into_iter().map(|work| self.carry_out(work, stop.clone())));
                    more = Box::pin(self.ask(Command::Work { anew: false }));
                }
            }
        }
        stop.cancel();
        while under_way.next().await.is_some() {}
        setback.map_or(Ok(()), Err)
    }

    async fn carry_out(&self, work: Work, stop: CancellationToken) -> Result<(), Setback> {
        match work {
            Work::WriteMarkers(markers) => self.write(markers, stop).await,
            Work::GetProducerIds(count) => {
                let broker = &self.couriers.broker;
                let mut ids = Vec::new();
                let mut failed = None;
                while ids.len() < count && failed.is_none() {
                    match broker.producer_ids.next(broker).await {
                        Ok(id) => ids.push(id),
                        Err(error) => failed = Some(error),
                    }
                }
                self.ask(Command::ProducerIds(failed.map_or(Ok(ids), Err))).await?;
                Ok(())
            }
        }
    }

    /// Has the markers of one transaction written, however often that has to be tried.
    async fn write(&self, markers: Markers, stop: CancellationToken) -> Result<(), Setback> {
        let mut left = Partitions::clone(&markers.partitions);
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            let routes = route(&left, &self.couriers.broker.image());
            let mut written = routes.gone;
            let to = routes.to.into_iter();
            let sent = to.map(|(node, partitions)| {
                self.couriers.write(node, marker(&markers, &partitions, self.epoch), partitions)
            });
            for outcome in join_all(sent).await {
                for (topic, partition, error) in outcome {
                    if error == ErrorCode::None {
                        written.entry(topic).or_default().insert(partition);
                    } else {
                        log_failure(&markers, &topic, partition, error);
                    }
                }
            }
            pending::remove(&mut left, &written);
            if !written.is_empty() {
                let (id, token) = (Arc::clone(&markers.id), markers.token);
                let written = MarkersWritten { id, token, partitions: written };
                self.ask(Command::MarkersWritten(written)).await?;
            }
            if left.is_empty() || stop.is_cancelled() {
                return Ok(());
            }
            let wait = backoff.next(&mut self.rng.lock());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = sleep(wait) => {}
            }
        }
    }
}

/// Most failures pass: leaders change. Two say that somebody knows better: a partition that has heard of a later epoch of
/// the producer, or of a later coordinator. A later coordinator does the work itself and this one is about to learn of it;
/// the other cannot be while all follow the rules, and is not given up for the transaction to be whole.
fn log_failure(markers: &Markers, topic: &TopicName, partition: PartitionIndex, error: ErrorCode) {
    let id = &*markers.id;
    match error {
        ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced => {
            tracing::warn!(transactional_id = id, ?topic, partition, %error, "a marker is refused");
        }
        _ => tracing::debug!(transactional_id = id, ?topic, partition, %error, "a marker is not written yet"),
    }
}

fn marker(markers: &Markers, partitions: &Partitions, epoch: LeaderEpoch) -> WritableTxnMarker {
    let topics = partitions.iter().map(|(topic, partitions)| WritableTxnMarkerTopic {
        name: WireTopicName(StrBytes::from_string(topic.to_string())),
        partition_indexes: partitions.iter().copied().collect(),
    });
    WritableTxnMarker {
        producer_id: WireProducerId(markers.producer.id),
        producer_epoch: markers.producer.epoch,
        transaction_result: markers.committed,
        topics: topics.collect(),
        coordinator_epoch: epoch,
        transaction_version: i8::try_from(markers.version.level()).unwrap_or(i8::MAX),
    }
}

/// What became of each partition's marker.
type Outcome = Vec<(TopicName, PartitionIndex, ErrorCode)>;

/// One marker on its way to a broker.
struct Letter {
    marker: WritableTxnMarker,
    answer: oneshot::Sender<Arc<Result<WriteTxnMarkersResponse, String>>>,
}

/// The ways to the brokers that lead partitions of transactions.
struct Couriers {
    broker: Arc<Broker>,
    queues: Mutex<BTreeMap<NodeId, mpsc::Sender<Letter>>>,
}

impl Couriers {
    /// Has `marker` written by `node` to `partitions`, which are those that it names.
    async fn write(&self, node: NodeId, marker: WritableTxnMarker, partitions: Partitions) -> Outcome {
        let producer = marker.producer_id;
        if node == self.broker.config.node_id {
            let request = WriteTxnMarkersRequest { markers: vec![marker] };
            return outcome(&write_markers(&self.broker, request).await, producer, &partitions);
        }
        let (answer, answered) = oneshot::channel();
        let queue = self.queue(node);
        // Neither end is closed before the node is.
        if queue.send(Letter { marker, answer }).await.is_ok()
            && let Ok(answered) = answered.await
        {
            match &*answered {
                Ok(response) => return outcome(response, producer, &partitions),
                Err(why) => tracing::debug!(node, why, "markers are not written yet"),
            }
        }
        every(&partitions, |_, _| ErrorCode::NetworkException)
    }

    fn queue(&self, node: NodeId) -> mpsc::Sender<Letter> {
        let mut queues = self.queues.lock();
        let queue = queues.entry(node).or_insert_with(|| {
            let (queue, letters) = mpsc::channel(QUEUED_MAX);
            let brokers = self.broker.brokers.clone();
            self.broker.tasks.spawn("transaction markers", async move {
                carry(&brokers, node, letters).await;
            });
            queue
        });
        queue.clone()
    }
}

/// Carries letters to `node`, all that are there in one request.
async fn carry(brokers: &crate::client::ToBrokers, node: NodeId, mut letters: mpsc::Receiver<Letter>) {
    let mut batch = Vec::new();
    while letters.recv_many(&mut batch, QUEUED_MAX).await > 0 {
        let mut request = WriteTxnMarkersRequest::default();
        let mut answers = Vec::with_capacity(batch.len());
        for letter in batch.drain(..) {
            request.markers.push(letter.marker);
            answers.push(letter.answer);
        }
        let deadline = Instant::now() + ANSWER_MAX;
        let answered = brokers.call(node, LANE, VERSION, &request, deadline).await;
        let answered = Arc::new(answered.map_err(|error| error.to_string()));
        for answer in answers {
            drop(answer.send(Arc::clone(&answered))); // Whoever does not wait any more is no coordinator any more.
        }
    }
}

/// Of an answer what concerns one producer's marker in `partitions`. What is not in it was not written.
fn outcome(response: &WriteTxnMarkersResponse, producer: WireProducerId, partitions: &Partitions) -> Outcome {
    let of_producer = response.markers.iter().filter(|marker| marker.producer_id == producer);
    let topics = of_producer.flat_map(|marker| &marker.topics);
    let all = topics.flat_map(|topic| {
        topic
            .partitions
            .iter()
            .map(|partition| ((&**topic.name, partition.partition_index), partition.error_code))
    });
    let errors: BTreeMap<(&str, PartitionIndex), i16> = all.collect();
    every(partitions, |topic, partition| {
        let code = errors.get(&(topic, partition)).copied();
        code.and_then(ErrorCode::from_code).unwrap_or(ErrorCode::UnknownServerError)
    })
}

fn every(partitions: &Partitions, error: impl Fn(&str, PartitionIndex) -> ErrorCode) -> Outcome {
    let all = partitions.iter().flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic, *p)));
    all.map(|(topic, partition)| (Arc::clone(topic), partition, error(topic, partition))).collect()
}
