//! A controller's place among the voters: it joins by itself where the configuration says so, and says where it listens now
//! (KIP-853, KIP-1186).
//!
//! Only where the voters are in the log. With `controller.quorum.auto.join.enable` a controller that has no vote asks the
//! leader for one, for as long as it runs: whoever shall lose its vote for good has to be stopped first, as in Kafka. Whose
//! id has a vote with another directory has lost its disk since: that voter is taken out before. And a voter whose
//! listeners are not those that the voters' set names has them written down when it starts.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{NodeError, quorum_part};
use crate::client::{CallError, Terms, ToController};
use crate::config::Setup;
use crate::env::Env;
use crate::quorum::Quorum;
use crate::schema::api::describe_quorum_request::{PartitionData as AskedPartition, TopicData as AskedTopic};
use crate::schema::api::describe_quorum_response::PartitionData;
use crate::schema::api::update_raft_voter_request::Listener as UpdatedListener;
use crate::schema::api::{
    AddRaftVoterRequest, DescribeQuorumRequest, DescribeQuorumResponse, RemoveRaftVoterRequest,
    UpdateRaftVoterRequest,
};
use crate::schema::messages::add_raft_voter_request::Listener as AddedListener;
use crate::types::{ErrorCode, LeaderEpoch, NodeId};

/// How one question is asked. A second time does no harm: who has a vote already is told so.
const TERMS: Terms = Terms { lane: "voters", is_idempotent: true, answer_max: Duration::from_secs(10) };
/// How long the leader may take to add a voter, which gets the log first.
const ADD_MS_MAX: i32 = 30_000;
/// How long all attempts at one change may take together.
const ATTEMPT_MAX: Duration = Duration::from_secs(40);
/// Versions of what is asked: DescribeQuorum, AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter.
const VERSIONS: [i16; 4] = [2, 1, 0, 0];

/// A listener: name, host, port.
type Place = (String, String, u16);

/// Begins to look after this node's vote, if it may have one that others have to know of.
pub(super) fn begin(env: &Env, setup: &Setup, quorum: &Quorum) -> Result<(), NodeError> {
    let config = &setup.config;
    if !config.is_controller || config.is_alone() || !config.controller_quorum_voters.is_empty() {
        return Ok(());
    }
    let own = config.advertised_controller_listeners.iter().map(|endpoint| {
        let host = endpoint.host.clone().unwrap_or_else(|| "localhost".to_owned());
        (endpoint.listener.clone(), host, endpoint.port)
    });
    let life = VoterLife {
        id: config.node_id,
        cluster_id: setup.cluster_id.clone(),
        directory: setup.metadata_directory.id,
        listeners: own.collect(),
        joins: config.controller_quorum_auto_join,
        pause: Duration::from_millis(config.controller_quorum_fetch_timeout_ms.max(10).unsigned_abs()),
        to: quorum_part::to_controller(env, setup, quorum)?,
        quorum: quorum.clone(),
    };
    env.tasks.spawn("voter", life.run());
    Ok(())
}

struct VoterLife {
    id: NodeId,
    cluster_id: String,
    directory: Uuid,
    /// Where this controller listens.
    listeners: Vec<Place>,
    joins: bool,
    pause: Duration,
    to: ToController,
    quorum: Quorum,
}

/// What the leader says of this node.
struct Told {
    epoch: LeaderEpoch,
    /// The directory with which this node's id has a vote.
    directory: Option<Uuid>,
    listeners: BTreeSet<Place>,
}

impl VoterLife {
    async fn run(self) {
        let mut is_written_down = false;
        loop {
            if !(is_written_down && self.quorum.has_vote()) {
                match self.look_after().await {
                    Ok(done) => is_written_down = done,
                    Err(why) => tracing::debug!("this controller's vote is not looked after yet: {why}"),
                }
            }
            if is_written_down && !self.joins {
                return;
            }
            sleep(self.pause).await;
        }
    }

    /// True if there is nothing to do any more.
    async fn look_after(&self) -> Result<bool, String> {
        let told = self.ask().await?;
        match told.directory {
            Some(known) if known.is_nil() || known == self.directory => {
                if told.listeners != self.listeners.iter().cloned().collect() {
                    self.update(told.epoch).await?;
                    tracing::info!("the voters know where this controller listens now");
                }
                Ok(true)
            }
            Some(lost) if self.joins => {
                self.remove(lost).await?;
                tracing::info!("the voter that this controller was with another directory is taken out");
                Ok(false)
            }
            None if self.joins => {
                self.add().await?;
                tracing::info!("this controller has joined the voters");
                Ok(true)
            }
            // Somebody else adds it, with the listeners that it has then.
            Some(_) | None => Ok(true),
        }
    }

    async fn ask(&self) -> Result<Told, String> {
        let topic = AskedTopic::default()
            .with_topic_name(StrBytes::from_static_str("__cluster_metadata").into())
            .with_partitions(vec![AskedPartition::default()]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let partition = |response: &DescribeQuorumResponse| -> Option<PartitionData> {
            response.topics.first()?.partitions.first().cloned()
        };
        let elsewhere = |response: &DescribeQuorumResponse| {
            partition(response).is_none_or(|p| p.error_code == ErrorCode::NotLeaderOrFollower.code())
        };
        let deadline = Instant::now() + ATTEMPT_MAX;
        let answered = self.to.call(VERSIONS[0], &request, TERMS, elsewhere, deadline).await;
        let response = answered.map_err(|e| e.to_string())?;
        let partition = partition(&response).ok_or("the answer has no partition")?;
        check(partition.error_code)?;
        let voter = partition.current_voters.iter().find(|voter| voter.replica_id.0 == self.id);
        let node = response.nodes.iter().find(|node| node.node_id.0 == self.id);
        let listeners = node.into_iter().flat_map(|node| &node.listeners);
        Ok(Told {
            epoch: partition.leader_epoch,
            directory: voter.map(|voter| voter.replica_directory_id),
            listeners: listeners.map(|l| (l.name.to_string(), l.host.to_string(), l.port)).collect(),
        })
    }

    async fn add(&self) -> Result<(), String> {
        let listeners = self.listeners.iter().map(|(name, host, port)| AddedListener {
            name: text(name),
            host: text(host),
            port: *port,
        });
        let request = AddRaftVoterRequest {
            cluster_id: Some(text(&self.cluster_id)),
            timeout_ms: ADD_MS_MAX,
            voter_id: self.id,
            voter_directory_id: self.directory,
            listeners: listeners.collect(),
            ..AddRaftVoterRequest::default()
        };
        let terms = Terms { answer_max: ATTEMPT_MAX, ..TERMS };
        let deadline = Instant::now() + ATTEMPT_MAX;
        let added = self.to.call(VERSIONS[1], &request, terms, |r| leads_not(r.error_code), deadline).await;
        match added.map_err(in_words)?.error_code {
            code if code == ErrorCode::DuplicateVoter.code() => Ok(()),
            code => check(code),
        }
    }

    async fn remove(&self, directory: Uuid) -> Result<(), String> {
        let request = RemoveRaftVoterRequest::default()
            .with_cluster_id(Some(text(&self.cluster_id)))
            .with_voter_id(self.id)
            .with_voter_directory_id(directory);
        let deadline = Instant::now() + ATTEMPT_MAX;
        let removed = self.to.call(VERSIONS[2], &request, TERMS, |r| leads_not(r.error_code), deadline).await;
        check(removed.map_err(in_words)?.error_code)
    }

    async fn update(&self, epoch: LeaderEpoch) -> Result<(), String> {
        let listeners = self.listeners.iter().map(|(name, host, port)| {
            UpdatedListener::default().with_name(text(name)).with_host(text(host)).with_port(*port)
        });
        let request = UpdateRaftVoterRequest::default()
            .with_cluster_id(Some(text(&self.cluster_id)))
            .with_current_leader_epoch(epoch)
            .with_voter_id(self.id)
            .with_voter_directory_id(self.directory)
            .with_listeners(listeners.collect());
        let deadline = Instant::now() + ATTEMPT_MAX;
        let updated = self.to.call(VERSIONS[3], &request, TERMS, |r| leads_not(r.error_code), deadline).await;
        check(updated.map_err(in_words)?.error_code)
    }
}

fn leads_not(error_code: i16) -> bool {
    error_code == ErrorCode::NotLeaderOrFollower.code()
}

fn check(error_code: i16) -> Result<(), String> {
    match error_code {
        0 => Ok(()),
        code => Err(ErrorCode::from_code(code).map_or("an unknown error", ErrorCode::name).to_owned()),
    }
}

fn in_words(error: CallError) -> String {
    error.to_string()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
