//! The set of voters changes while the quorum goes on (KIP-853): a controller is added, removed, or listens elsewhere.
//!
//! One change at a time, by the leader. Who is added first gets the log without a vote, so that a new voter that is not
//! there never holds up a commit; it is forgotten again if it does not catch up in time.

use std::collections::{BTreeMap, BTreeSet};

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use thiserror::Error;
use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::types::{RaftId, Voter};
use super::{NAMING_PAUSE, Quorum, VoterPart};
use crate::types::NodeId;

/// Why the set of voters is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VoterChangeError {
    /// Another node leads, or none.
    #[error("this node does not lead the quorum")]
    NotLeader,
    /// Another change is under way, or the leader is too new to begin one.
    #[error("Request timed out waiting for leader to handle previous voter change request")]
    Busy,
    /// It took too long. It may still be done.
    #[error("Request timed out waiting for the voters to commit the change")]
    TimedOut,
    /// The new voter does not have the log in time, or cannot be reached as who it is said to be.
    #[error("Aborted add voter operation for {0} since it is lagging behind")]
    Lagging(NodeId),
    /// There is a voter with this id.
    #[error("The voter id {0} is already part of the set of voters {1}.")]
    Duplicate(NodeId, String),
    /// There is no voter with this id and directory.
    #[error("Cannot find voter {0} in the set of voters {1}")]
    NotFound(NodeId, String),
    /// The change cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Quorum {
    /// Adds a controller to the voters.
    ///
    /// # Errors
    ///
    /// See [`VoterChangeError`]. The voters are as before except after [`VoterChangeError::TimedOut`].
    pub async fn add_voter(
        &self,
        id: NodeId,
        voter: Voter,
        deadline: Instant,
    ) -> Result<(), VoterChangeError> {
        let (part, _one) = self.begin_change()?;
        if part.is_voter(id) {
            return Err(VoterChangeError::Duplicate(id, part.voters_in_words()));
        }
        let ids = BTreeSet::from([RaftId(id)]);
        if part.member(id).is_some_and(|known| known != voter) {
            // Left over from a leader that did not come to an end with it.
            part.change(ChangeMembers::RemoveNodes(ids.clone()), deadline).await?;
        }
        part.change(ChangeMembers::AddNodes(BTreeMap::from([(RaftId(id), voter)])), deadline).await?;
        if let Err(error) = part.until_caught_up(id, deadline).await {
            if error != VoterChangeError::NotLeader {
                // Its own time: what was asked for is over, and who will not vote is not to be sent entries for ever.
                let soon = Instant::now() + NAMING_PAUSE;
                if let Err(e) = part.change(ChangeMembers::RemoveNodes(ids), soon).await {
                    tracing::warn!("controller {id} was not added, and is still sent the log: {e}");
                }
            }
            return Err(error);
        }
        part.change(ChangeMembers::AddVoterIds(ids), deadline).await
    }

    /// Takes a controller out of the voters. Where it is the leader, another is elected then.
    ///
    /// # Errors
    ///
    /// See [`VoterChangeError`]. The last voter stays.
    pub async fn remove_voter(
        &self,
        id: NodeId,
        directory: Uuid,
        deadline: Instant,
    ) -> Result<(), VoterChangeError> {
        let (part, _one) = self.begin_change()?;
        part.must_be_voter(id, directory)?;
        // The broker beside it lives on the log that the controller is sent, and so goes on to.
        let is_broker_too = self.image().brokers().get(id).is_some();
        let change = ChangeMembers::RemoveVoters(BTreeSet::from([RaftId(id)]));
        part.change_retaining(change, is_broker_too, deadline).await
    }

    /// Writes down where a voter listens now.
    ///
    /// # Errors
    ///
    /// See [`VoterChangeError`].
    pub async fn update_voter(
        &self,
        id: NodeId,
        voter: Voter,
        deadline: Instant,
    ) -> Result<(), VoterChangeError> {
        let (part, _one) = self.begin_change()?;
        part.must_be_voter(id, voter.directory)?;
        if part.member(id).as_ref() == Some(&voter) {
            return Ok(());
        }
        part.change(ChangeMembers::SetNodes(BTreeMap::from([(RaftId(id), voter)])), deadline).await
    }

    /// True if this node has a vote, with the directory that it has.
    pub fn has_vote(&self) -> bool {
        let (id, directory) = (self.identity.node_id, self.identity.directory_id);
        let Some(part) = self.voter().filter(|part| part.is_voter(id)) else { return false };
        part.member(id).is_some_and(|voter| voter.directory.is_nil() || voter.directory == directory)
    }

    /// The leader's part, and what keeps other changes of the voters away for as long as this one takes.
    fn begin_change(&self) -> Result<(&VoterPart, MutexGuard<'_, ()>), VoterChangeError> {
        let part = self.leads().map_err(|_| VoterChangeError::NotLeader)?;
        let one = part.changing.try_lock().map_err(|_| VoterChangeError::Busy)?;
        Ok((part, one))
    }
}

impl VoterPart {
    /// What the set of voters says of a node, which need not have a vote.
    fn member(&self, id: NodeId) -> Option<Voter> {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        seen.membership_config.membership().get_node(&RaftId(id)).cloned()
    }

    fn is_voter(&self, id: NodeId) -> bool {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        seen.membership_config.membership().voter_ids().any(|voter| voter.0 == id)
    }

    fn must_be_voter(&self, id: NodeId, directory: Uuid) -> Result<(), VoterChangeError> {
        let known = self.member(id).filter(|_| self.is_voter(id));
        if known.is_some_and(|voter| voter.directory == directory) {
            return Ok(());
        }
        Err(VoterChangeError::NotFound(id, self.voters_in_words()))
    }

    fn voters_in_words(&self) -> String {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        let ids: Vec<String> =
            seen.membership_config.membership().voter_ids().map(|id| id.0.to_string()).collect();
        format!("[{}]", ids.join(", "))
    }

    /// Has one change of the voters committed.
    async fn change(
        &self,
        change: ChangeMembers<RaftId, Voter>,
        deadline: Instant,
    ) -> Result<(), VoterChangeError> {
        self.change_retaining(change, false, deadline).await
    }

    /// The same; with `retain` who loses its vote is still sent the log.
    async fn change_retaining(
        &self,
        change: ChangeMembers<RaftId, Voter>,
        retain: bool,
        deadline: Instant,
    ) -> Result<(), VoterChangeError> {
        let Ok(changed) = timeout_at(deadline, self.raft.change_membership(change, retain)).await else {
            return Err(VoterChangeError::TimedOut);
        };
        let error = match changed {
            Ok(_) => return Ok(()),
            Err(
                RaftError::APIError(
                    ClientWriteError::ForwardToLeader(_) | ClientWriteError::LogEntryDiscarded(_),
                )
                | RaftError::Fatal(_),
            ) => return Err(VoterChangeError::NotLeader),
            Err(RaftError::APIError(ClientWriteError::PreconditionFailed(_))) => {
                return Err(VoterChangeError::Busy);
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error))) => error,
        };
        Err(match error {
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_) => {
                VoterChangeError::Busy
            }
            ChangeMembershipError::EmptyMembership(_) => {
                VoterChangeError::Invalid("The last voter cannot be removed.".to_owned())
            }
            error @ (ChangeMembershipError::LearnerNotFound(_)
            | ChangeMembershipError::UnsupportedMembershipTransition(_)
            | ChangeMembershipError::NodeMetadataChanged(_)) => VoterChangeError::Invalid(error.to_string()),
        })
    }

    /// Waits until a node has all that is in the log now.
    async fn until_caught_up(&self, id: NodeId, deadline: Instant) -> Result<(), VoterChangeError> {
        let mut metrics = self.raft.metrics();
        let goal = metrics.borrow_watched().last_log_index;
        loop {
            {
                let seen = metrics.borrow_watched();
                let Some(replication) = &seen.replication else { return Err(VoterChangeError::NotLeader) };
                let matched = replication.get(&RaftId(id)).copied().flatten().map(|last| last.index());
                if matched >= goal {
                    return Ok(());
                }
            }
            match timeout_at(deadline, metrics.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_stopped)) => return Err(VoterChangeError::NotLeader),
                Err(_elapsed) => return Err(VoterChangeError::Lagging(id)),
            }
        }
    }
}
