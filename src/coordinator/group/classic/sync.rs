//! SyncGroup and Heartbeat.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{ClassicGroup, MemberId, State, Step};
use crate::coordinator::group::command::{Heartbeat, Reply, Sync, Synced};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::shard::{LogRecord, Ticket};
use crate::types::ErrorCode;

/// What a batch and a record in it take besides key and value.
const BATCH_OVERHEAD_BYTES: usize = 128;

impl Step<'_, '_> {
    /// Gives a member its assignment, or has it wait for the leader's.
    pub(in super::super) fn sync(&mut self, group: &mut ClassicGroup, ticket: Ticket, sync: Sync) {
        if let Err(error) = check_sync(group, &sync) {
            self.synced(ticket, Synced::error(error));
            return;
        }
        match group.state() {
            State::Empty => self.synced(ticket, Synced::error(ErrorCode::UnknownMemberId)),
            State::PreparingRebalance => self.synced(ticket, Synced::error(ErrorCode::RebalanceInProgress)),
            State::Stable => {
                self.has_synced(group, &sync.member);
                let assignment = group.member(&sync.member).map(|m| m.assignment.clone()).unwrap_or_default();
                let synced = group.synced(assignment);
                self.synced(ticket, synced);
            }
            State::CompletingRebalance => {
                let Some(member) = group.member_mut(&sync.member) else { return };
                if let Some(before) = member.sync.replace(ticket) {
                    self.synced(before, Synced::error(ErrorCode::RebalanceInProgress));
                }
                self.has_synced(group, &sync.member);
                if group.is_leader(&sync.member) {
                    self.assign(group, sync.assignments);
                }
            }
        }
    }

    fn has_synced(&mut self, group: &mut ClassicGroup, id: &MemberId) {
        group.pending_syncs.remove(id);
        if group.pending_syncs.is_empty() {
            self.timers.cancel(&mut group.sync_timer);
        }
    }

    /// The leader has assigned: write the generation down and give everybody its part.
    fn assign(&mut self, group: &mut ClassicGroup, assignments: Vec<(MemberId, Bytes)>) {
        let assignments: BTreeMap<MemberId, Bytes> = assignments.into_iter().collect();
        let metadata = group.to_metadata(&assignments);
        let record = GroupRecord::Group { group: group.id.clone(), metadata: Some(metadata) };
        if !self.is_writable(&record) {
            self.refuse_syncs(group, ErrorCode::UnknownServerError);
            self.prepare_rebalance(group);
            return;
        }
        self.out.records.push(record);
        group.enter(State::Stable, self.cx.now);
        let mut waiting = Vec::new();
        for member in group.members_mut() {
            member.assignment = assignments.get(&member.id).cloned().unwrap_or_default();
            if let Some(ticket) = member.sync.take() {
                waiting.push((member.id.clone(), ticket, member.assignment.clone()));
            }
        }
        for (id, ticket, assignment) in waiting {
            let synced = group.synced(assignment);
            self.synced(ticket, synced);
            self.touch(group, &id);
        }
    }

    /// True if the record fits in a batch.
    pub(super) fn is_writable(&self, record: &GroupRecord) -> bool {
        match record.encode() {
            Ok((key, value)) => {
                let bytes = key.len() + value.map_or(0, |v| v.len());
                bytes + BATCH_OVERHEAD_BYTES <= self.cx.max_batch_bytes
            }
            Err(_too_long) => false,
        }
    }

    /// A sign of life.
    pub(in super::super) fn heartbeat(&mut self, group: &mut ClassicGroup, ticket: Ticket, beat: &Heartbeat) {
        let error = match group.check_member(&beat.member, beat.instance_id.as_deref()) {
            Err(error) => error,
            Ok(()) if beat.generation != group.generation => ErrorCode::IllegalGeneration,
            Ok(()) => {
                self.touch(group, &beat.member);
                match group.state() {
                    State::PreparingRebalance => ErrorCode::RebalanceInProgress,
                    State::CompletingRebalance | State::Stable => ErrorCode::None,
                    State::Empty => ErrorCode::UnknownMemberId,
                }
            }
        };
        self.out.reply(ticket, Reply::Heartbeat(error));
    }
}

fn check_sync(group: &ClassicGroup, sync: &Sync) -> Result<(), ErrorCode> {
    if group.is(State::Empty) {
        return Err(ErrorCode::UnknownMemberId);
    }
    group.check_member(&sync.member, sync.instance_id.as_deref())?;
    if sync.generation != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    let differs = |said: &Option<_>, is: &Option<_>| said.is_some() && is.is_some() && said != is;
    if differs(&sync.protocol_type, &group.protocol_type) || differs(&sync.protocol, &group.protocol) {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}
