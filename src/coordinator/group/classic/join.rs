//! JoinGroup.

use std::sync::Arc;

use bytes::Bytes;

use super::group::ClassicGroup;
use super::{Member, MemberId, State, Step};
use crate::coordinator::group::command::{Join, Joined, Synced};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::shard::Ticket;
use crate::types::ErrorCode;

impl Step<'_, '_> {
    /// Lets a member in, now or when the round completes.
    pub(in super::super) fn join(&mut self, group: &mut ClassicGroup, ticket: Ticket, join: Join) {
        let refuse = |error, member: &MemberId| Joined::error(error, member.clone());
        let nobody: MemberId = Arc::from("");
        if !self.has_room_for(group, &join.member) {
            // An id that was handed out is taken back; a member that is in is not among those without room unless it
            // has yet to rejoin.
            self.remove_pending(group, &join.member);
            self.remove_member(group, &join.member, ErrorCode::GroupMaxSizeReached);
            self.joined(ticket, refuse(ErrorCode::GroupMaxSizeReached, &nobody));
        } else if !group.fits(&join.protocol_type, &join.protocols) {
            self.joined(ticket, refuse(ErrorCode::InconsistentGroupProtocol, &join.member));
        } else if !join.member.is_empty() {
            self.join_with_id(group, ticket, join);
        } else if let Some(instance_id) = join.instance_id.clone() {
            let id = new_member_id(&instance_id, self.cx.rng);
            match group.static_member(&instance_id).cloned() {
                Some(old) => self.replace_static(group, ticket, join, &old, id),
                None => self.add_member(group, ticket, join, id),
            }
        } else {
            let id = new_member_id(&join.client_id, self.cx.rng);
            if !join.requires_known_member_id {
                self.add_member(group, ticket, join, id);
            } else if group.pending_joins.len() >= self.cx.config.max_pending_members {
                self.joined(ticket, refuse(ErrorCode::GroupMaxSizeReached, &nobody));
            } else {
                self.add_pending(group, id.clone(), join.session_timeout_ms);
                self.joined(ticket, refuse(ErrorCode::MemberIdRequired, &id));
            }
        }
    }

    /// `group.max.size`. While members join it counts who has joined, so that the last to come are left out when the
    /// limit was lowered; otherwise it counts who is in.
    fn has_room_for(&self, group: &ClassicGroup, id: &str) -> bool {
        let limit = self.cx.config.max_size;
        let member = group.member(id);
        match group.state() {
            State::Empty => true,
            State::PreparingRebalance => member.is_some_and(Member::is_joining) || group.joining() < limit,
            State::CompletingRebalance | State::Stable => member.is_some() || group.members().len() < limit,
        }
    }

    fn join_with_id(&mut self, group: &mut ClassicGroup, ticket: Ticket, join: Join) {
        let id = join.member.clone();
        if join.instance_id.is_none() && self.remove_pending(group, &id) {
            self.add_member(group, ticket, join, id);
            return;
        }
        if let Err(error) = group.check_member(&id, join.instance_id.as_deref()) {
            self.joined(ticket, Joined::error(error, id));
            return;
        }
        let same = group.member(&id).is_some_and(|m| m.protocols == join.protocols);
        match group.state() {
            // The member did not get its answer the first time.
            State::CompletingRebalance if same => {
                let joined = group.joined(&id, group.is_leader(&id));
                self.joined(ticket, joined);
            }
            // A leader that joins again wants a new assignment, for reasons that its metadata need not show.
            State::Stable if same && !group.is_leader(&id) => {
                let joined = group.joined(&id, false);
                self.joined(ticket, joined);
            }
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                group.update(&id, join.protocols, join.rebalance_timeout_ms, join.session_timeout_ms);
                self.park_join(group, &id, ticket);
                self.rebalance_or_complete(group);
            }
            State::Empty => self.joined(ticket, Joined::error(ErrorCode::UnknownMemberId, id)),
        }
    }

    fn add_member(&mut self, group: &mut ClassicGroup, ticket: Ticket, join: Join, id: MemberId) {
        let member = Member {
            id: id.clone(),
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols,
            assignment: Bytes::new(),
            join: Some(ticket),
            sync: None,
            is_new: true,
            session: None,
        };
        if group.initial_delay.is_some() {
            group.new_member_added = true;
        }
        group.add(member, &join.protocol_type);
        // It cannot send heartbeats before it knows its id, and a client that hung up is not seen while its request is
        // parked; so a bound of its own keeps the ghosts of retries from filling the group.
        self.expect_within(group, &id, self.cx.config.new_member_join_timeout_ms);
        self.rebalance_or_complete(group);
    }

    /// A static member came back under its name without its id: it gets a new one, and who holds the old is fenced.
    fn replace_static(
        &mut self,
        group: &mut ClassicGroup,
        ticket: Ticket,
        join: Join,
        old: &MemberId,
        id: MemberId,
    ) {
        let leader_before = group.leader_or_empty();
        if let Some(parked) = group.take_join(old) {
            self.joined(parked, Joined::error(ErrorCode::FencedInstanceId, old.clone()));
        }
        if let Some(parked) = group.member_mut(old).and_then(|m| m.sync.take()) {
            self.synced(parked, Synced::error(ErrorCode::FencedInstanceId));
        }
        group.rename_static(old, id.clone());
        group.update(&id, join.protocols, join.rebalance_timeout_ms, join.session_timeout_ms);
        self.touch(group, &id);
        // Nothing changes for the others if the protocol stays: the generation and its assignment stand.
        if group.is(State::Stable) && group.choose_protocol() == group.protocol {
            let metadata = group.to_metadata_as_is();
            let record = GroupRecord::Group { group: group.id.clone(), metadata: Some(metadata) };
            if self.is_writable(&record) {
                self.out.records.push(record);
                let is_leader = group.is_leader(&id);
                let mut joined = group.joined(&id, is_leader && join.can_skip_assignment);
                if join.can_skip_assignment {
                    joined.skip_assignment = is_leader;
                } else {
                    // A client that cannot be told to leave the assignment alone is told that somebody else leads.
                    joined.leader = leader_before;
                }
                self.joined(ticket, joined);
                return;
            }
        }
        self.park_join(group, &id, ticket);
        match group.state() {
            // In the sync phase the leader may be assigning to the old id already.
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(group),
            State::PreparingRebalance | State::Empty => self.complete_join_if_all_came(group),
        }
    }
}

/// An id nobody has: what the client is called, and a random UUID.
fn new_member_id(prefix: &str, rng: &mut crate::types::Rng) -> MemberId {
    format!("{prefix}-{}", rng.uuid()).into()
}
