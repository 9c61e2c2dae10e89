//! One member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use super::MemberId;
use crate::coordinator::group::command::{JoinedMember, Protocol};
use crate::coordinator::group::consumer::{ClassicMember, Subscription};
use crate::coordinator::group::state::MemberMetadata;
use crate::coordinator::group::timers::TimerId;
use crate::coordinator::shard::Ticket;

/// A member, live.
#[derive(Debug)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Its name across restarts, if it is static (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where it is.
    pub client_host: Arc<str>,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// What it can follow, best first.
    pub protocols: Vec<Protocol>,
    /// What the leader gave it in the generation that stands; empty before.
    pub assignment: Bytes,
    /// Its JoinGroup, while that waits for the round to complete.
    pub(super) join: Option<Ticket>,
    /// Its SyncGroup, while that waits for the leader.
    pub(super) sync: Option<Ticket>,
    /// True until its first generation: such a member has no session yet and may expire while it waits.
    pub(super) is_new: bool,
    /// When its session ends.
    pub(super) session: Option<TimerId>,
}

impl Member {
    /// True if its JoinGroup waits.
    pub fn is_joining(&self) -> bool {
        self.join.is_some()
    }

    /// True if its silence is no reason to remove it: it waits for us.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// Its metadata for `protocol`; empty if it does not know it.
    pub fn metadata_for(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|p| &*p.name == protocol);
        found.map_or_else(Bytes::new, |p| p.metadata.clone())
    }

    /// The first of its protocols that `eligible` lets pass.
    pub(super) fn vote(&self, eligible: impl Fn(&str) -> bool) -> Option<&Arc<str>> {
        self.protocols.iter().map(|p| &p.name).find(|name| eligible(name))
    }

    /// As its leader is told of it.
    pub(super) fn for_leader(&self, protocol: &str) -> JoinedMember {
        JoinedMember {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            metadata: self.metadata_for(protocol),
        }
    }

    /// As the topic keeps it, with `assignment`.
    pub(super) fn to_metadata(&self, protocol: &str, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata_for(protocol),
            assignment,
        }
    }

    /// A member of a consumer group as one of the classic group that it becomes, with `assignment`.
    pub(in super::super) fn converted(
        id: MemberId,
        subscription: &Subscription,
        classic: &ClassicMember,
        assignment: Bytes,
    ) -> Member {
        Member {
            id,
            instance_id: subscription.instance_id.clone(),
            client_id: subscription.client_id.clone(),
            client_host: subscription.client_host.clone(),
            rebalance_timeout_ms: subscription.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.protocols.clone(),
            assignment,
            join: None,
            sync: None,
            is_new: false,
            session: None,
        }
    }

    /// As it comes back from the topic. It knows one protocol: the one that was chosen.
    pub(super) fn from_metadata(metadata: &MemberMetadata, protocol: &Arc<str>) -> Member {
        Member {
            id: metadata.id.clone(),
            instance_id: metadata.instance_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            rebalance_timeout_ms: metadata.rebalance_timeout_ms,
            session_timeout_ms: metadata.session_timeout_ms,
            protocols: vec![Protocol { name: protocol.clone(), metadata: metadata.subscription.clone() }],
            assignment: metadata.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
            session: None,
        }
    }
}
