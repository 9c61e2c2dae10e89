//! The rounds of a group's life: when one begins, when joining is over, what happens to who did not come.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::group::InitialDelay;
use super::{ClassicGroup, MemberId, State, Step};
use crate::coordinator::group::command::{Joined, Reply, Synced};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::timers::Timer;
use crate::coordinator::shard::Ticket;
use crate::types::{ErrorCode, Ms};

impl Step<'_, '_> {
    pub(super) fn joined(&mut self, ticket: Ticket, joined: Joined) {
        self.out.reply(ticket, Reply::Join(joined));
    }

    pub(super) fn synced(&mut self, ticket: Ticket, synced: Synced) {
        self.out.reply(ticket, Reply::Sync(synced));
    }

    fn at(&self, in_ms: i32) -> Ms {
        self.cx.monotonic + i64::from(in_ms.max(0))
    }

    /// Begins a member's session anew.
    pub(in super::super) fn touch(&mut self, group: &mut ClassicGroup, id: &str) {
        let Some(in_ms) = group.member(id).map(|m| m.session_timeout_ms) else { return };
        self.expect_within(group, id, in_ms);
    }

    /// The member must be heard of within `in_ms`.
    pub(super) fn expect_within(&mut self, group: &mut ClassicGroup, id: &str, in_ms: i32) {
        let at = self.at(in_ms);
        let group_id = group.id.clone();
        let Some(member) = group.member_mut(id) else { return };
        let timer = Timer::Session(group_id, member.id.clone());
        self.timers.set(&mut member.session, at, timer);
    }

    /// An id was handed out; its owner must come back with it within `in_ms`.
    pub(super) fn add_pending(&mut self, group: &mut ClassicGroup, id: MemberId, in_ms: i32) {
        let timer = Timer::Session(group.id.clone(), id.clone());
        let at = self.at(in_ms);
        let slot = group.pending_joins.entry(id).or_default();
        self.timers.set(slot, at, timer);
    }

    /// Forgets an id that was handed out. True if it was one.
    pub(super) fn remove_pending(&mut self, group: &mut ClassicGroup, id: &str) -> bool {
        match group.pending_joins.remove(id) {
            Some(mut timer) => {
                self.timers.cancel(&mut timer);
                true
            }
            None => false,
        }
    }

    /// Takes a member out and ends its session. Its parked requests are answered with `error`.
    pub(super) fn remove_member(&mut self, group: &mut ClassicGroup, id: &str, error: ErrorCode) {
        let Some(mut member) = group.remove(id) else { return };
        self.timers.cancel(&mut member.session);
        if let Some(ticket) = member.join.take() {
            self.joined(ticket, Joined::error(error, Arc::from("")));
        }
        if let Some(ticket) = member.sync.take() {
            self.synced(ticket, Synced::error(error));
        }
    }

    /// Ends a group whose members go on in one of another protocol. Who waits is told that there is a rebalance.
    pub(in super::super) fn dissolve(&mut self, mut group: ClassicGroup) {
        let ids: Vec<MemberId> = group.members().map(|m| m.id.clone()).collect();
        for id in ids {
            if let Some(ticket) = group.take_join(&id) {
                self.joined(ticket, Joined::error(ErrorCode::RebalanceInProgress, id.clone()));
            }
            self.remove_member(&mut group, &id, ErrorCode::RebalanceInProgress);
        }
        group.pending_joins.values_mut().for_each(|timer| self.timers.cancel(timer));
        self.timers.cancel(&mut group.join_timer);
        self.timers.cancel(&mut group.sync_timer);
    }

    /// Parks a member's JoinGroup until the round completes. One that was parked already is answered: the client has
    /// given it up.
    pub(super) fn park_join(&mut self, group: &mut ClassicGroup, id: &MemberId, ticket: Ticket) {
        if let Some(before) = group.park_join(id, ticket) {
            self.joined(before, Joined::error(ErrorCode::RebalanceInProgress, id.clone()));
        }
    }

    /// Begins a round, or goes on with the one that is under way.
    pub(super) fn rebalance_or_complete(&mut self, group: &mut ClassicGroup) {
        match group.state() {
            State::PreparingRebalance => self.complete_join_if_all_came(group),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(group),
        }
    }

    /// Begins a round: members have to join again.
    pub(in super::super) fn prepare_rebalance(&mut self, group: &mut ClassicGroup) {
        if group.is(State::CompletingRebalance) {
            // Who waits for this generation's assignment will not get it.
            self.refuse_syncs(group, ErrorCode::RebalanceInProgress);
        }
        self.end_sync_phase(group);
        let is_initial = group.is(State::Empty);
        group.enter(State::PreparingRebalance, self.cx.now);
        if is_initial {
            let delay_ms = self.cx.config.initial_rebalance_delay_ms.max(0);
            let remaining_ms = group.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            group.new_member_added = false;
            group.initial_delay = Some(InitialDelay { delay_ms, remaining_ms });
            self.wait_for_joins(group, delay_ms);
        } else if group.all_joined() {
            self.complete_join(group);
        } else {
            let in_ms = group.rebalance_timeout_ms();
            self.wait_for_joins(group, in_ms);
        }
    }

    fn wait_for_joins(&mut self, group: &mut ClassicGroup, in_ms: i32) {
        let at = self.at(in_ms);
        self.timers.set(&mut group.join_timer, at, Timer::Join(group.id.clone()));
    }

    /// Completes the round if nobody is awaited any more. The first round of a group runs until its delay is over.
    pub(super) fn complete_join_if_all_came(&mut self, group: &mut ClassicGroup) {
        if group.is(State::PreparingRebalance) && group.initial_delay.is_none() && group.all_joined() {
            self.complete_join(group);
        }
    }

    /// The join phase has lasted long enough.
    pub(in super::super) fn join_timeout(&mut self, group: &mut ClassicGroup) {
        group.join_timer = None;
        if !group.is(State::PreparingRebalance) {
            return;
        }
        let config_delay_ms = self.cx.config.initial_rebalance_delay_ms;
        match group.initial_delay {
            Some(delay) if group.new_member_added && delay.remaining_ms != 0 => {
                group.new_member_added = false;
                let next = InitialDelay {
                    delay_ms: config_delay_ms.min(delay.remaining_ms),
                    remaining_ms: (delay.remaining_ms - delay.delay_ms).max(0),
                };
                group.initial_delay = Some(next);
                self.wait_for_joins(group, next.delay_ms);
            }
            Some(_) | None => self.complete_join(group),
        }
    }

    /// Ends the join phase: who has not come is out, unless it is static; the others are told the new generation.
    pub(super) fn complete_join(&mut self, group: &mut ClassicGroup) {
        self.timers.cancel(&mut group.join_timer);
        group.initial_delay = None;
        let missing: Vec<MemberId> = group
            .members()
            .filter(|m| !m.is_joining() && m.instance_id.is_none())
            .map(|m| m.id.clone())
            .collect();
        for id in &missing {
            self.remove_member(group, id, ErrorCode::UnknownMemberId);
        }
        if !group.elect_joined_leader() && group.members().len() > 0 {
            // Only static members are left and none has come: wait until they do, or until their sessions end.
            let in_ms = group.rebalance_timeout_ms();
            self.wait_for_joins(group, in_ms);
            return;
        }
        group.next_generation(self.cx.now);
        if group.is(State::Empty) {
            let metadata = group.to_metadata(&BTreeMap::new());
            self.out.records.push(GroupRecord::Group { group: group.id.clone(), metadata: Some(metadata) });
            return;
        }
        let ids: Vec<MemberId> = group.members().map(|m| m.id.clone()).collect();
        for id in ids {
            if let Some(ticket) = group.take_join(&id) {
                let joined = group.joined(&id, group.is_leader(&id));
                self.joined(ticket, joined);
            }
            self.touch(group, &id);
            if let Some(member) = group.member_mut(&id) {
                member.is_new = false;
            }
            group.pending_syncs.insert(id);
        }
        let at = self.at(group.rebalance_timeout_ms());
        self.timers.set(&mut group.sync_timer, at, Timer::Sync(group.id.clone()));
    }

    /// The sync phase has lasted long enough: who has not asked for its assignment is out.
    pub(in super::super) fn sync_timeout(&mut self, group: &mut ClassicGroup) {
        group.sync_timer = None;
        let running = group.is(State::CompletingRebalance) || group.is(State::Stable);
        if !running || group.pending_syncs.is_empty() {
            return;
        }
        for id in std::mem::take(&mut group.pending_syncs) {
            self.remove_member(group, &id, ErrorCode::UnknownMemberId);
        }
        self.prepare_rebalance(group);
    }

    /// Nobody's SyncGroup is awaited any more.
    pub(super) fn end_sync_phase(&mut self, group: &mut ClassicGroup) {
        group.pending_syncs.clear();
        self.timers.cancel(&mut group.sync_timer);
    }

    /// Answers the SyncGroups that wait, and forgets the assignments.
    pub(super) fn refuse_syncs(&mut self, group: &mut ClassicGroup, error: ErrorCode) {
        let mut waiting = Vec::new();
        for member in group.members_mut() {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.sync.take() {
                waiting.push((member.id.clone(), ticket));
            }
        }
        for (id, ticket) in waiting {
            self.synced(ticket, Synced::error(error));
            // A session that ended while its owner waited for us was let pass; from here on it counts again.
            self.touch(group, &id);
        }
    }

    /// A member was not heard of in time.
    pub(in super::super) fn session_timeout(&mut self, group: &mut ClassicGroup, id: &MemberId) {
        if group.pending_joins.remove(id).is_some() {
            self.complete_join_if_all_came_at_all(group);
            return;
        }
        let Some(member) = group.member_mut(id) else { return };
        member.session = None;
        if member.is_excused() {
            return;
        }
        self.remove_member(group, id, ErrorCode::UnknownMemberId);
        match group.state() {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(group),
            State::PreparingRebalance => self.complete_join_if_all_came_at_all(group),
            State::Empty => {}
        }
    }

    /// As [`Step::complete_join_if_all_came`], but ends a first round early too: Kafka does so when somebody drops out.
    fn complete_join_if_all_came_at_all(&mut self, group: &mut ClassicGroup) {
        if group.is(State::PreparingRebalance) && group.all_joined() {
            self.complete_join(group);
        }
    }
}
