//! ConsumerGroupHeartbeat: members join, stay, change what they want, and leave.

use std::borrow::Cow;
use std::sync::Arc;

use super::member::{Assigned, Member};
use super::plan::{Before, Plan};
use super::record::Change;
use super::state::ConsumerGroup;
use super::tombstones::record;
use super::turn::{Left, Turn};
use super::{convert, settings};
use crate::coordinator::group::classic::{ClassicGroup, MemberId, State, Step};
use crate::coordinator::group::command::{Beaten, ConsumerHeartbeat, Refusal};
use crate::coordinator::group::modern::timers::Watch;
use crate::coordinator::group::modern::{JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, TopicIdPartition};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::{Group, Hard};
use crate::types::{ErrorCode, uuid_to_base64};

/// The longest text that a key can hold.
const TEXT_BYTES_MAX: usize = i16::MAX as usize;

/// What a heartbeat led to.
pub(in super::super) struct Beat {
    pub(in super::super) reply: Result<Beaten, Refusal>,
    /// The classic group of that name, if there still is one or is one now.
    pub(in super::super) classic: Option<ClassicGroup>,
    /// True if that group's members have to join anew.
    pub(in super::super) rebalance: bool,
}

impl Turn<'_, '_> {
    /// `classic` is the live group if it is a classic one.
    pub(in super::super) fn heartbeat(
        &mut self,
        hard: &Hard,
        classic: Option<ClassicGroup>,
        beat: &ConsumerHeartbeat,
    ) -> Beat {
        if let Err(refusal) = check(self, beat) {
            return Beat { reply: Err(refusal), classic, rebalance: false };
        }
        if beat.epoch == LEAVE_EPOCH || beat.epoch == LEAVE_STATIC_EPOCH {
            let Some(group) = hard.consumer(&beat.group) else {
                return Beat { reply: Err(not_found(beat, hard)), classic, rebalance: false };
            };
            return match self.leave(group, beat) {
                Ok((beaten, Left::Consumer)) => Beat { reply: Ok(beaten), classic: None, rebalance: false },
                Ok((beaten, Left::Classic(group))) => {
                    Beat { reply: Ok(beaten), classic: Some(*group), rebalance: true }
                }
                Err(refusal) => Beat { reply: Err(refusal), classic: None, rebalance: false },
            };
        }
        let found = match find(self, hard, classic.as_ref(), beat) {
            Ok(found) => found,
            Err(refusal) => return Beat { reply: Err(refusal), classic, rebalance: false },
        };
        let (group, records) = found;
        let id = match &*beat.member {
            "" => MemberId::from(uuid_to_base64(self.cx.rng.kafka_uuid())),
            _ => group.entry(&beat.member).map_or_else(|| beat.member.clone(), |(id, _)| id.clone()),
        };
        let (planned, records, effects) =
            self.plan(&beat.group, &group, records, |plan| plan.heartbeat(&id, beat));
        let (member, assignment_changed) = match planned {
            Ok(planned) => planned,
            Err(refusal) => return Beat { reply: Err(refusal), classic, rebalance: false },
        };
        if let Some(classic) = classic {
            // Its members go on in the new group; who is waiting has to ask again.
            Step { timers: self.timers, cx: self.cx, out: self.out }.dissolve(classic);
            for (id, member) in group.members() {
                self.touch(&beat.group, id, member);
            }
        }
        self.carry_out(&beat.group, records, effects);
        self.touch(&beat.group, &id, &member);
        let is_whole = beat.epoch == JOIN_EPOCH
            || (beat.rebalance_timeout_ms != -1
                && (beat.names.is_some() || beat.regex.is_some())
                && beat.owned.is_some());
        let beaten = Beaten {
            member: id,
            epoch: member.current.epochs.current,
            heartbeat_interval_ms: settings::heartbeat_interval_ms(self.cx, &beat.group),
            assignment: (is_whole || assignment_changed).then(|| member.current.assigned.partitions()),
        };
        Beat { reply: Ok(beaten), classic: None, rebalance: false }
    }

    /// A member leaves, for good or, if it is static, for a while.
    fn leave(&mut self, group: &ConsumerGroup, beat: &ConsumerHeartbeat) -> Result<(Beaten, Left), Refusal> {
        let (id, member) = match &beat.instance_id {
            None => group.entry(&beat.member).ok_or_else(|| unknown(beat))?,
            Some(instance_id) => static_entry(group, instance_id, &beat.member)?,
        };
        let left = if beat.epoch == LEAVE_STATIC_EPOCH {
            let mut current = member.current.clone();
            current.epochs.current = LEAVE_STATIC_EPOCH;
            current.assigned = current.assigned.since(0);
            current.revoking = Assigned::default();
            self.out.records.push(record(&beat.group, Change::Current(id.clone(), Some(current))));
            self.watches.cancel(self.timers, &beat.group, id, Watch::Rebalance);
            Left::Consumer
        } else {
            self.fence(&beat.group, group, std::slice::from_ref(id))
        };
        let member = beat.member.clone();
        Ok((Beaten { member, epoch: beat.epoch, heartbeat_interval_ms: 0, assignment: None }, left))
    }
}

impl Plan<'_, '_> {
    /// The member as it is then, and whether it was given other partitions.
    fn heartbeat(&mut self, id: &MemberId, beat: &ConsumerHeartbeat) -> Result<(Member, bool), Refusal> {
        let config = &self.cx.config.consumer;
        if self.group.members().len() >= config.max_size && self.group.member(id).is_none() {
            let why = format!(
                "The consumer group has reached its maximum capacity of {} members.",
                config.max_size
            );
            return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, why));
        }
        let joins = beat.epoch == JOIN_EPOCH;
        let before = match &beat.instance_id {
            None => match self.group.member(id) {
                Some(member) => Before::Known(member.clone()),
                None if joins => Before::New,
                None => return Err(unknown(beat)),
            },
            Some(instance_id) => self.static_before(id, instance_id, joins, beat)?,
        };
        // Who comes back with nothing begins anew, whatever epoch it had.
        if let (Before::Known(member), false) = (&before, joins) {
            let owns_no_more = || {
                let owned = beat.owned.as_deref();
                owned.is_some_and(|owned| owned.iter().all(|&of| member.current.assigned.contains(of)))
            };
            member.current.epochs.check(beat.epoch, owns_no_more).map_err(|(e, why)| Refusal::new(e, why))?;
        }
        let had = match &before {
            Before::Known(member) | Before::Replaces(_, member) => Some(Arc::clone(member)),
            Before::New => None,
        };
        let mut subscription = had.as_ref().map(|m| m.subscription.clone()).unwrap_or_default();
        let keep = |had: &mut Option<Arc<str>>, said: &Option<Arc<str>>| {
            if said.is_some() {
                had.clone_from(said);
            }
        };
        keep(&mut subscription.instance_id, &beat.instance_id);
        keep(&mut subscription.rack_id, &beat.rack_id);
        keep(&mut subscription.assignor, &beat.assignor);
        if let Some(regex) = &beat.regex {
            subscription.regex = Some(regex.clone()).filter(|regex| !regex.is_empty());
        }
        if let Some(names) = &beat.names {
            let mut names = names.clone();
            names.sort_unstable();
            names.dedup();
            subscription.names = names.into();
        }
        if beat.rebalance_timeout_ms != -1 {
            subscription.rebalance_timeout_ms = beat.rebalance_timeout_ms;
        }
        if subscription.client_id != beat.client_id {
            subscription.client_id = beat.client_id.clone();
        }
        if subscription.client_host != beat.client_host {
            subscription.client_host = beat.client_host.clone();
        }
        subscription.classic = None;
        let member = self.update(id, &before, subscription, beat.owned.as_deref())?;
        let partitions = |of: &Assigned| -> Vec<TopicIdPartition> { of.iter().map(|one| one.0).collect() };
        let had = had.map(|had| partitions(&had.current.assigned)).unwrap_or_default();
        let changed = had != partitions(&member.current.assigned);
        Ok((member, changed))
    }

    fn static_before(
        &mut self,
        id: &MemberId,
        instance_id: &Arc<str>,
        joins: bool,
        beat: &ConsumerHeartbeat,
    ) -> Result<Before, Refusal> {
        if !joins {
            let (_, member) = static_entry(self.group, instance_id, &beat.member)?;
            return Ok(Before::Known(member.clone()));
        }
        let Some(old) = self.group.static_member(instance_id).cloned() else {
            // A member that was dynamic until now may have that id.
            return Ok(self.group.member(id).map_or(Before::New, |member| Before::Known(member.clone())));
        };
        let Some(member) = self.group.member(&old).cloned() else { return Ok(Before::New) };
        // A member that speaks the classic protocol gives way at once, one of this protocol once it has left. That it is
        // its own successor makes no difference, as in Kafka.
        if !member.is_classic() && member.current.epochs.current != LEAVE_STATIC_EPOCH {
            let why = format!(
                "Static member {id} with instance id {instance_id} cannot join the group because the instance id is \
                 owned by {old} member."
            );
            return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, why));
        }
        Ok(self.replace(&old, id))
    }
}

/// The static member of that name, if `member` is it.
pub(super) fn static_entry<'g>(
    group: &'g ConsumerGroup,
    instance_id: &str,
    member: &str,
) -> Result<(&'g MemberId, &'g Arc<Member>), Refusal> {
    let found = group.static_member(instance_id).and_then(|id| group.entry(id));
    let (id, found) = found.ok_or_else(|| {
        Refusal::new(ErrorCode::UnknownMemberId, format!("Instance id {instance_id} is unknown."))
    })?;
    if **id != *member {
        let why = format!("Static member {member} with instance id {instance_id} was fenced by member {id}.");
        return Err(Refusal::new(ErrorCode::FencedInstanceId, why));
    }
    Ok((id, found))
}

fn unknown(beat: &ConsumerHeartbeat) -> Refusal {
    let why = format!("Member {} is not a member of group {}.", beat.member, beat.group);
    Refusal::new(ErrorCode::UnknownMemberId, why)
}

fn not_found(beat: &ConsumerHeartbeat, hard: &Hard) -> Refusal {
    let group = &beat.group;
    let why = match hard.groups.contains_key(group) {
        true => format!("Group {group} is not a consumer group."),
        false => format!("Consumer group {group} not found."),
    };
    Refusal::new(ErrorCode::GroupIdNotFound, why)
}

/// The group that a heartbeat is for, and the records that make it one. A classic group that is empty gives way to who
/// joins; one of consumers becomes a consumer group with their members, if that is allowed (KIP-848's online upgrade).
fn find<'h>(
    turn: &Turn<'_, '_>,
    hard: &'h Hard,
    classic: Option<&ClassicGroup>,
    beat: &ConsumerHeartbeat,
) -> Result<(Cow<'h, ConsumerGroup>, Vec<GroupRecord>), Refusal> {
    let joins = beat.epoch == JOIN_EPOCH;
    match hard.groups.get(&beat.group) {
        Some(Group::Consumer(group)) => Ok((Cow::Borrowed(group), Vec::new())),
        None if joins => Ok((Cow::Owned(ConsumerGroup::default()), Vec::new())),
        Some(Group::Classic(_)) if joins => {
            let classic = classic.ok_or_else(|| not_found(beat, hard))?;
            let mut records = vec![GroupRecord::Group { group: beat.group.clone(), metadata: None }];
            if classic.is(State::Empty) {
                return Ok((Cow::Owned(ConsumerGroup::default()), records));
            }
            let changes = convert::upgraded(classic, turn.cx);
            let changes = changes.map_err(|why| Refusal::new(ErrorCode::GroupIdNotFound, why))?;
            let mut group = ConsumerGroup::default();
            for change in changes {
                group.apply(&change);
                records.push(record(&beat.group, change));
            }
            Ok((Cow::Owned(group), records))
        }
        Some(Group::Classic(_) | Group::Share(_) | Group::Foreign(_)) | None => Err(not_found(beat, hard)),
    }
}

/// What a heartbeat must say (KIP-848).
fn check(turn: &Turn<'_, '_>, beat: &ConsumerHeartbeat) -> Result<(), Refusal> {
    let invalid = |why: &str| Err(Refusal::new(ErrorCode::InvalidRequest, why));
    let is_blank = |text: &str| text.trim().is_empty();
    let needs_id = beat.is_member_id_required || beat.epoch > JOIN_EPOCH || beat.epoch == LEAVE_EPOCH;
    if needs_id && is_blank(&beat.member) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(&beat.group) {
        return invalid("GroupId can't be empty.");
    }
    if beat.instance_id.as_deref().is_some_and(is_blank) {
        return invalid("InstanceId can't be empty.");
    }
    if beat.rack_id.as_deref().is_some_and(is_blank) {
        return invalid("RackId can't be empty.");
    }
    match beat.epoch {
        JOIN_EPOCH => {
            if beat.rebalance_timeout_ms == -1 {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if beat.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if beat.names.is_none() && beat.regex.is_none() {
                let why =
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
                return invalid(why);
            }
        }
        LEAVE_STATIC_EPOCH => {
            if is_blank(&beat.member) {
                return invalid("MemberId can't be empty.");
            }
            if beat.instance_id.is_none() {
                return invalid("InstanceId can't be null.");
            }
        }
        LEAVE_EPOCH => {}
        epoch if epoch < 0 => return invalid("MemberEpoch is invalid."),
        _ => {}
    }
    let texts = [Some(&beat.group), Some(&beat.member), beat.instance_id.as_ref(), beat.regex.as_ref()];
    if texts.into_iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
        return invalid("A name is too long.");
    }
    let assignors = &turn.cx.config.consumer.assignors;
    if let Some(name) = &beat.assignor
        && !assignors.iter().any(|assignor| assignor.name() == &**name)
    {
        let known: Vec<&str> = assignors.iter().map(|assignor| assignor.name()).collect();
        let why =
            format!("ServerAssignor {name} is not supported. Supported assignors: {}.", known.join(", "));
        return Err(Refusal::new(ErrorCode::UnsupportedAssignor, why));
    }
    Ok(())
}
