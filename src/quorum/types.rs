//! openraft's types, as they are used here.
//!
//! A term is Kafka's leader epoch and an entry is a record batch. The payload of an entry is what the batch holds, still
//! encoded: the log does not look into metadata records.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use openraft::entry::RaftPayload;
use openraft::impls::leader_id_std;
use uuid::Uuid;

use crate::types::{NodeId, Offset};

openraft::declare_raft_types!(
    /// The metadata quorum's types.
    pub(super) TypeConfig:
        D = Records,
        R = Applied,
        NodeId = RaftId,
        Node = Voter,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
        Payload = EntryPayload,
        AsyncRuntime = Runtime,
);

/// openraft's tasks run on tokio; its chance comes from a seed of the environment (see [`with_seed`]).
pub(super) type Runtime = openraft_rt::deterministic_rng::DeterministicRng<openraft::TokioRuntime>;

/// Runs what makes openraft spawn tasks, so that their chance follows from `seed`.
pub(super) async fn with_seed<F: Future>(seed: u64, work: F) -> F::Output {
    Runtime::scope(seed, work).await
}

pub(super) type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub(super) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(super) type Vote = openraft::alias::VoteOf<TypeConfig>;
pub(super) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(super) type Membership = openraft::Membership<RaftId, Voter>;

pub(super) type VoteRequest = openraft::raft::VoteRequest<TypeConfig>;
pub(super) type VoteResponse = openraft::raft::VoteResponse<TypeConfig>;
pub(super) type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
pub(super) type AppendResponse = openraft::raft::AppendEntriesResponse<TypeConfig>;
pub(super) type TransferRequest = openraft::raft::TransferLeaderRequest<TypeConfig>;
pub(super) type TransferResponse = openraft::raft::TransferLeaderResponse<TypeConfig>;
pub(super) type TransferError = openraft::raft::TransferLeaderError<TypeConfig>;

/// A node's id, under openraft's terms for ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RaftId(pub(super) NodeId);

impl fmt::Display for RaftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// openraft's tests of a store name nodes so.
#[cfg(test)]
impl From<u64> for RaftId {
    fn from(id: u64) -> RaftId {
        RaftId(id as NodeId)
    }
}

/// A log id from its parts.
pub(super) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

/// The term of a log id.
pub(super) fn term_of(id: &LogId) -> u64 {
    id.committed_leader_id().term
}

/// The metadata records of one entry, each in its frame. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Records(pub(super) Arc<[Bytes]>);

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records", self.0.len())
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying an entry answers to the one who proposed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Offset of the entry's last record.
    pub(super) offset: Offset,
}

/// A controller as the set of voters names it (KIP-853).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Voter {
    /// Id of the directory that holds its metadata log; nil if never told.
    pub directory: Uuid,
    /// Where it listens: listener name, host, port.
    pub endpoints: Vec<(String, String, u16)>,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Payload {
    /// A new leader's first entry: LeaderChange as a control batch.
    Blank,
    /// Metadata records.
    Normal(Records),
    /// A set of voters, as a control batch.
    Membership(Membership),
    /// A control batch with several records, as KRaft begins its first epoch with: they count, and they may name voters.
    Control {
        /// Number of records.
        records: u32,
        /// The voters they name.
        membership: Option<Membership>,
    },
}

impl Payload {
    /// Offsets that the entry takes in the log.
    pub(super) fn offsets(&self) -> i64 {
        match self {
            Payload::Blank => 1,
            Payload::Membership(_) => 2,
            Payload::Normal(records) => records.0.len() as i64,
            Payload::Control { records, .. } => i64::from(*records),
        }
    }

    /// About how many bytes of memory it holds.
    pub(super) fn memory(&self) -> usize {
        match self {
            Payload::Normal(records) => records.0.iter().map(|r| r.len() + size_of::<Bytes>()).sum(),
            Payload::Blank | Payload::Membership(_) | Payload::Control { .. } => 64,
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Blank => f.write_str("blank"),
            Payload::Normal(records) => write!(f, "{records}"),
            Payload::Membership(membership) => write!(f, "{membership}"),
            Payload::Control { records, .. } => write!(f, "{records} control records"),
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "applied at {}", self.offset)
    }
}

/// An entry's content, and the batch that it came in where that is known.
///
/// Whoever leads makes the batch when it appends the entry to its log; everybody else keeps the leader's, so that logs
/// are the same to the byte on all voters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EntryPayload {
    /// What it holds.
    pub(super) content: Payload,
    /// The whole batch; checked, and `content` is what it holds.
    pub(super) batch: Option<Bytes>,
}

impl From<Payload> for EntryPayload {
    fn from(content: Payload) -> EntryPayload {
        EntryPayload { content, batch: None }
    }
}

impl fmt::Display for EntryPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.content, f)
    }
}

impl RaftPayload for EntryPayload {
    type D = Records;
    type NodeId = RaftId;
    type Node = Voter;

    fn blank() -> Self {
        Payload::Blank.into()
    }

    fn with_normal(self, data: Records) -> Self {
        Payload::Normal(data).into()
    }

    fn with_membership(self, membership: Membership) -> Self {
        Payload::Membership(membership).into()
    }

    fn get_membership(&self) -> Option<Membership> {
        match &self.content {
            Payload::Membership(membership) => Some(membership.clone()),
            Payload::Control { membership, .. } => membership.clone(),
            Payload::Blank | Payload::Normal(_) => None,
        }
    }
}

/// A set of voters with one configuration.
pub(super) fn membership(voters: impl IntoIterator<Item = (NodeId, Voter)>) -> Membership {
    let nodes: std::collections::BTreeMap<RaftId, Voter> =
        voters.into_iter().map(|(id, voter)| (RaftId(id), voter)).collect();
    let ids: BTreeSet<RaftId> = nodes.keys().copied().collect();
    Membership::new(vec![ids], nodes).expect("every voter is among the nodes")
}
