//! The way to share coordinators: of this broker, and of others.
//!
//! The coordinator of a share partition is the leader of that partition of `__share_group_state` which the hash of its key
//! names. What this broker coordinates itself is asked without a connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kafka_protocol::protocol::Request;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::messages as wire;
use super::state::StateWrite;
use crate::client::{Backoff, Peer, Pool};
use crate::coordinator::routing::{SHARE_GROUP_STATE, partition_for};
use crate::coordinator::runtime::Coordinator;
use crate::coordinator::share::command::{Command, Each, Found, Initialize, Of, Reply, Summary, Write};
use crate::coordinator::share::{ShareKey, ShareShard};
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, Rng, TopicId};

/// How long a coordinator may take to answer, and how long one is looked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first wait before a coordinator is asked again, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// The connections' purpose.
const LANE: &str = "share-state";

/// See the module.
pub struct StateClient {
    node_id: NodeId,
    coordinator: Arc<Coordinator<ShareShard>>,
    pool: Pool,
    image: Arc<ArcSwap<MetadataImage>>,
    listener: Arc<str>,
    rng: Mutex<Rng>,
}

/// A kind of question.
trait Question: Clone + Send + Sync + 'static {
    /// What is answered for one partition.
    type Answer: Send;
    /// The request on the wire.
    type Request: Request;
    /// Its version.
    const VERSION: i16;
    fn command(of: Of<Self>) -> Command;
    fn answers(reply: Reply) -> Option<Each<Self::Answer>>;
    fn request(of: &Of<Self>) -> Self::Request;
    fn of_response(response: <Self::Request as Request>::Response) -> Each<Self::Answer>;
}

macro_rules! question {
    ($what:ty => $answer:ty, $command:ident => $reply:ident, $wire:ty, $version:literal, $to:path, $from:path) => {
        impl Question for $what {
            type Answer = $answer;
            type Request = $wire;
            const VERSION: i16 = $version;
            fn command(of: Of<Self>) -> Command {
                Command::$command(of.map(Into::into))
            }
            fn answers(reply: Reply) -> Option<Each<Self::Answer>> {
                if let Reply::$reply(each) = reply { Some(each) } else { None }
            }
            fn request(of: &Of<Self>) -> Self::Request {
                $to(of)
            }
            fn of_response(response: <Self::Request as Request>::Response) -> Each<Self::Answer> {
                $from(response)
            }
        }
    };
}

/// Asks for the whole state.
#[derive(Clone, Copy)]
pub(super) struct Read(pub(super) LeaderEpoch);
/// Has the state forgotten.
#[derive(Clone, Copy)]
pub(super) struct Delete;
/// Asks for the state in short.
#[derive(Clone, Copy)]
pub(super) struct Summarize;

impl From<Read> for LeaderEpoch {
    fn from(read: Read) -> LeaderEpoch {
        read.0
    }
}

impl From<Delete> for () {
    fn from(_: Delete) {}
}

impl From<Summarize> for () {
    fn from(_: Summarize) {}
}

question!(Initialize => (), Initialize => Done, wire::InitializeRequest, 0,
    wire::initialize_request, wire::initialized);
question!(Read => Found, Read => Found, wire::ReadRequest, 0, wire::read_request, wire::found);
question!(Write => (), Write => Done, wire::WriteRequest, 1, wire::write_request, wire::written);
question!(Delete => (), Delete => Done, wire::DeleteRequest, 0, wire::delete_request, wire::deleted);
question!(Summarize => Summary, Summarize => Summaries, wire::SummaryRequest, 1,
    wire::summary_request, wire::summaries);

impl StateClient {
    /// A client of the coordinators that `image` names, on their listeners `listener`; of `coordinator` where that is in this
    /// broker.
    pub fn new(
        node_id: NodeId,
        coordinator: Arc<Coordinator<ShareShard>>,
        pool: Pool,
        image: Arc<ArcSwap<MetadataImage>>,
        listener: Arc<str>,
        rng: Rng,
    ) -> StateClient {
        StateClient { node_id, coordinator, pool, image, listener, rng: Mutex::new(rng) }
    }

    /// Begins states, or begins them anew.
    pub async fn initialize(&self, of: Of<Initialize>) -> Each<()> {
        self.ask(of).await
    }

    /// Has states forgotten.
    pub async fn delete(&self, group: Arc<str>, partitions: Vec<(TopicId, PartitionIndex)>) -> Each<()> {
        let partitions = partitions.into_iter().map(|(topic, index)| (topic, index, Delete)).collect();
        self.ask(Of { group, partitions }).await
    }

    /// Asks for states in short.
    pub async fn summarize(
        &self,
        group: Arc<str>,
        partitions: Vec<(TopicId, PartitionIndex)>,
    ) -> Each<Summary> {
        let partitions = partitions.into_iter().map(|(topic, index)| (topic, index, Summarize)).collect();
        self.ask(Of { group, partitions }).await
    }

    /// Reads the state of a partition that this broker leads in `leader_epoch`: from then on, leaders of before cannot write.
    pub(super) async fn read(&self, key: &ShareKey, leader_epoch: LeaderEpoch) -> Result<Found, ErrorCode> {
        self.ask_one(key, Read(leader_epoch)).await
    }

    /// Has a change kept.
    pub(super) async fn write(&self, key: &ShareKey, write: StateWrite) -> Result<(), ErrorCode> {
        let write = Write {
            state_epoch: write.state_epoch,
            leader_epoch: write.leader_epoch,
            start_offset: write.start,
            delivery_complete_count: write.delivery_complete_count,
            batches: write.batches,
        };
        self.ask_one(key, write).await
    }

    /// Where each of the partitions ends for readers, as their leaders on other brokers say; those that cannot be asked are left
    /// out.
    pub async fn end_offsets(
        &self,
        partitions: &[(TopicId, PartitionIndex)],
    ) -> BTreeMap<(TopicId, PartitionIndex), Offset> {
        let image = self.image.load_full();
        let deadline = Instant::now() + PATIENCE;
        let mut by_leader: BTreeMap<NodeId, Vec<(TopicId, PartitionIndex)>> = BTreeMap::new();
        for &(id, index) in partitions {
            let leader = image.topics().get_by_id(id).and_then(|topic| Some(topic.partition(index)?.leader));
            if let Some(leader) = leader.filter(|&leader| leader != self.node_id) {
                by_leader.entry(leader).or_default().push((id, index));
            }
        }
        let mut ends = BTreeMap::new();
        for (leader, asked) in by_leader {
            let Some(broker) = image.brokers().get(leader) else { continue };
            let Some(endpoint) = broker.endpoint(&self.listener) else { continue };
            let peer = Peer { host: Arc::clone(&endpoint.host), port: endpoint.port, lane: LANE };
            let request = wire::ends_request(&image, &asked);
            match self.pool.call(&peer, wire::ENDS_VERSION, &request, deadline).await {
                Ok(response) => ends.extend(wire::ends(&image, response)),
                Err(error) => tracing::debug!(leader, %error, "a leader cannot be asked where its logs end"),
            }
        }
        ends
    }

    async fn ask_one<Q: Question>(&self, key: &ShareKey, question: Q) -> Result<Q::Answer, ErrorCode> {
        let partitions = vec![(key.topic, key.partition, question)];
        let answers = self.ask(Of { group: Arc::clone(&key.group), partitions }).await;
        answers.into_iter().next().map_or(Err(ErrorCode::UnknownServerError), |(_, _, answer)| answer)
    }

    /// Asks about every partition, until there is an answer that stands or patience ends.
    async fn ask<Q: Question>(&self, of: Of<Q>) -> Each<Q::Answer> {
        let deadline = Instant::now() + PATIENCE;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut done = Vec::with_capacity(of.partitions.len());
        let mut open = of;
        loop {
            let asked: BTreeMap<(TopicId, PartitionIndex), Q> =
                open.partitions.iter().map(|(topic, index, what)| ((*topic, *index), what.clone())).collect();
            let group = Arc::clone(&open.group);
            let mut again = Vec::new();
            for (topic, index, answer) in self.ask_once(open, deadline).await {
                match answer {
                    Err(error) if may_pass(error) => again.push((topic, index, error)),
                    answer => done.push((topic, index, answer)),
                }
            }
            let wait = backoff.next(&mut self.rng.lock());
            if again.is_empty() || Instant::now() + wait >= deadline {
                done.extend(again.into_iter().map(|(topic, index, error)| (topic, index, Err(error))));
                return done;
            }
            tokio::time::sleep(wait).await;
            let partitions = again.into_iter().filter_map(|(topic, index, _)| {
                asked.get(&(topic, index)).map(|what| (topic, index, what.clone()))
            });
            open = Of { group, partitions: partitions.collect() };
        }
    }

    async fn ask_once<Q: Question>(&self, of: Of<Q>, deadline: Instant) -> Each<Q::Answer> {
        let image = self.image.load_full();
        let topic = image.topics().get(SHARE_GROUP_STATE);
        let count = topic.map_or(0, |topic| i32::try_from(topic.iter().count()).unwrap_or(i32::MAX));
        let mut answers = Vec::with_capacity(of.partitions.len());
        let mut by_coordinator: BTreeMap<(NodeId, PartitionIndex), Of<Q>> = BTreeMap::new();
        for (topic_id, index, what) in of.partitions {
            let key = ShareKey { group: Arc::clone(&of.group), topic: topic_id, partition: index };
            let at = (count > 0).then(|| partition_for(&key.to_string(), count));
            let leader = at.and_then(|at| Some((topic?.partition(at)?.leader, at)));
            match leader.filter(|(leader, _)| image.is_active(*leader)) {
                None => answers.push((topic_id, index, Err(ErrorCode::CoordinatorNotAvailable))),
                Some(place) => {
                    let of = by_coordinator
                        .entry(place)
                        .or_insert_with(|| Of { group: Arc::clone(&of.group), partitions: Vec::new() });
                    of.partitions.push((topic_id, index, what));
                }
            }
        }
        for ((leader, at), of) in by_coordinator {
            let asked: Vec<_> = of.partitions.iter().map(|(topic, index, _)| (*topic, *index)).collect();
            let answered = match leader == self.node_id {
                true => self.ask_here(at, of).await,
                false => self.ask_there(&image, leader, &of, deadline).await,
            };
            match answered {
                Ok(answered) => answers.extend(answered),
                Err(error) => {
                    answers.extend(asked.into_iter().map(|(topic, index)| (topic, index, Err(error))));
                }
            }
        }
        answers
    }

    async fn ask_here<Q: Question>(
        &self,
        at: PartitionIndex,
        of: Of<Q>,
    ) -> Result<Each<Q::Answer>, ErrorCode> {
        match self.coordinator.request(at, Q::command(of)).await {
            Ok(reply) => Q::answers(reply).ok_or(ErrorCode::UnknownServerError),
            Err(refused) => Err(refused.error_code()),
        }
    }

    async fn ask_there<Q: Question>(
        &self,
        image: &MetadataImage,
        leader: NodeId,
        of: &Of<Q>,
        deadline: Instant,
    ) -> Result<Each<Q::Answer>, ErrorCode> {
        let endpoint = image.brokers().get(leader).and_then(|broker| broker.endpoint(&self.listener));
        let endpoint = endpoint.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let peer = Peer { host: Arc::clone(&endpoint.host), port: endpoint.port, lane: LANE };
        match self.pool.call(&peer, Q::VERSION, &Q::request(of), deadline).await {
            Ok(response) => Ok(Q::of_response(response)),
            Err(error) => {
                tracing::debug!(leader, %error, "a share coordinator cannot be asked");
                Err(ErrorCode::CoordinatorNotAvailable)
            }
        }
    }
}

/// True if the same question may have another answer soon.
fn may_pass(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::RequestTimedOut
    )
}
