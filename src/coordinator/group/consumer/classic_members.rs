//! Members that speak the classic protocol in a consumer group: JoinGroup, SyncGroup, Heartbeat and LeaveGroup.
//!
//! Each is led on its own, as the others are: nobody waits for anybody, and there is no leader. A heartbeat tells it when
//! to join again; each time it joins it takes one step towards its target.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::heartbeat::static_entry;
use super::member::{ClassicMember, Member, MemberState};
use super::plan::Before;
use super::state::ConsumerGroup;
use super::turn::{Left, Turn};
use super::{convert, protocol};
use crate::coordinator::group::classic::group::CONSUMER_PROTOCOL_TYPE;
use crate::coordinator::group::classic::{ClassicGroup, MemberId};
use crate::coordinator::group::command::{
    Heartbeat, Join, Joined, Leave, Left as LeftMember, Protocol, Refusal, Sync, Synced,
};
use crate::coordinator::group::modern::TopicIdPartition;
use crate::coordinator::group::modern::timers::Watch;
use crate::coordinator::group::state::GroupId;
use crate::types::{ErrorCode, Ms, TopicName, uuid_to_base64};

impl Turn<'_, '_> {
    /// JoinGroup. With the classic group that the group becomes with it, if it does.
    pub(in super::super) fn classic_join(
        &mut self,
        group: &ConsumerGroup,
        join: &Join,
    ) -> (Joined, Option<ClassicGroup>) {
        let is_new = join.member.is_empty();
        let id = match group.entry(&join.member) {
            Some((id, _)) => id.clone(),
            None if is_new => MemberId::from(uuid_to_base64(self.cx.rng.kafka_uuid())),
            None => join.member.clone(),
        };
        let refuse = |error, id: &MemberId| (Joined::error(error, id.clone()), None);
        let max_size = self.cx.config.consumer.max_size;
        if group.members().len() >= max_size && group.member(&id).is_none() {
            return refuse(ErrorCode::GroupMaxSizeReached, &MemberId::from(""));
        }
        let is_known = |p: &Protocol| group.is_known_to_all_classic(&p.name);
        let is_of_consumers = *join.protocol_type == *CONSUMER_PROTOCOL_TYPE;
        let said = join.protocols.first().and_then(|p| protocol::subscription(&p.metadata));
        let Some(said) = said.filter(|_| is_of_consumers && join.protocols.iter().any(is_known)) else {
            return refuse(ErrorCode::InconsistentGroupProtocol, &join.member);
        };
        if is_new && join.instance_id.is_none() && join.requires_known_member_id {
            return refuse(ErrorCode::MemberIdRequired, &id);
        }
        let owned: Vec<TopicIdPartition> = said
            .owned_partitions
            .iter()
            .flat_map(|topic| protocol::with_ids(&topic.topic, &topic.partitions, self.cx.cluster))
            .collect();
        let mut names: Vec<TopicName> = said.topics.into_iter().map(TopicName::from).collect();
        names.sort_unstable();
        names.dedup();
        let replaced = join.instance_id.as_ref().and_then(|instance_id| group.static_member(instance_id));
        let (planned, records, effects) = self.plan(&join.group, &Cow::Borrowed(group), Vec::new(), |plan| {
            let before = match &join.instance_id {
                None => group.member(&id).map_or(Before::New, |member| Before::Known(member.clone())),
                Some(instance_id) if !is_new => {
                    Before::Known(static_entry(group, instance_id, &join.member)?.1.clone())
                }
                Some(_) => match replaced {
                    Some(old) => plan.replace(old, &id),
                    None => Before::New,
                },
            };
            let mut subscription = match &before {
                Before::New => Default::default(),
                Before::Known(member) | Before::Replaces(_, member) => member.subscription.clone(),
            };
            if join.instance_id.is_some() {
                subscription.instance_id.clone_from(&join.instance_id);
            }
            if let Some(rack) = said.rack_id.filter(|rack| !rack.is_empty()) {
                subscription.rack_id = Some(rack.into());
            }
            subscription.assignor = None;
            subscription.regex = None;
            subscription.names = names.into();
            subscription.rebalance_timeout_ms = join.rebalance_timeout_ms;
            subscription.client_id = join.client_id.clone();
            subscription.client_host = join.client_host.clone();
            subscription.classic = Some(Arc::new(ClassicMember {
                session_timeout_ms: join.session_timeout_ms,
                protocols: join.protocols.clone(),
            }));
            plan.update(&id, &before, subscription, Some(&owned))
        });
        let member = match planned {
            Ok(member) => member,
            Err(refusal) => return refuse(refusal.error, &join.member),
        };
        let joined = Joined {
            error: ErrorCode::None,
            generation: member.current.epochs.current,
            protocol_type: Some(join.protocol_type.clone()),
            protocol: join.protocols.first().map(|protocol| protocol.name.clone()),
            leader: Arc::from(""),
            skip_assignment: false,
            member: id.clone(),
            members: Vec::new(),
        };
        if let Some(old) = replaced.filter(|old| **old != id)
            && let Some(classic) = convert::downgraded_with(&join.group, group, old, (&id, &member), self.cx)
        {
            convert::downgrade_records(&join.group, group, &classic, &mut self.out.records);
            self.forget(&join.group);
            return (joined, Some(classic));
        }
        self.carry_out(&join.group, records, effects);
        self.watches.cancel(self.timers, &join.group, &id, Watch::Join);
        self.watches.cancel(self.timers, &join.group, &id, Watch::Rebalance);
        self.touch(&join.group, &id, &member);
        self.watch(&join.group, &id, Watch::Sync, Ms::from(join.rebalance_timeout_ms));
        (joined, None)
    }

    /// SyncGroup.
    pub(in super::super) fn classic_sync(&mut self, group: &ConsumerGroup, sync: &Sync) -> Synced {
        let found = find_classic(group, &sync.member, sync.instance_id.as_ref(), sync.generation);
        let (id, member, classic) = match found {
            Ok(found) => found,
            Err(error) => return Synced::error(error),
        };
        let name = classic.protocols.first().map(|protocol| &protocol.name);
        let other_type = sync.protocol_type.as_ref().is_some_and(|said| **said != *CONSUMER_PROTOCOL_TYPE);
        if other_type || sync.protocol.as_ref().is_some_and(|said| Some(said) != name) {
            return Synced::error(ErrorCode::InconsistentGroupProtocol);
        }
        let current = &member.current;
        if group.epochs.group > current.epochs.current && current.state != MemberState::UnrevokedPartitions {
            self.expect_join(&sync.group, id, member);
            return Synced::error(ErrorCode::RebalanceInProgress);
        }
        self.watches.cancel(self.timers, &sync.group, id, Watch::Sync);
        self.touch(&sync.group, id, member);
        let subscription = classic.protocols.first().map(|p| p.metadata.clone()).unwrap_or_default();
        Synced {
            error: ErrorCode::None,
            protocol_type: sync.protocol_type.clone(),
            protocol: sync.protocol.clone(),
            assignment: protocol::assigned(
                protocol::partitions(&current.assigned),
                &subscription,
                self.cx.cluster,
            ),
        }
    }

    /// Heartbeat: tells the member to join again if there is a step that it can take.
    pub(in super::super) fn classic_heartbeat(
        &mut self,
        group: &ConsumerGroup,
        beat: &Heartbeat,
    ) -> ErrorCode {
        let found = find_classic(group, &beat.member, beat.instance_id.as_ref(), beat.generation);
        let (id, member, _) = match found {
            Ok(found) => found,
            Err(error) => return error,
        };
        self.touch(&beat.group, id, member);
        let current = &member.current;
        let can_step = match current.state {
            _ if current.epochs.current < group.epochs.group => true,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => {
                let target = group.target(id);
                let missing = target.iter().filter(|of| !current.assigned.contains(*of));
                missing.into_iter().all(|of| group.owner(of).is_none())
            }
            MemberState::Stable | MemberState::Unknown => false,
        };
        if !can_step {
            return ErrorCode::None;
        }
        self.expect_join(&beat.group, id, member);
        ErrorCode::RebalanceInProgress
    }

    fn expect_join(&mut self, id: &GroupId, member: &MemberId, of: &Member) {
        if !self.watches.has(id, member, Watch::Join) {
            self.watch(id, member, Watch::Join, Ms::from(of.subscription.rebalance_timeout_ms));
        }
    }

    /// LeaveGroup, for members of either protocol: administrators use it too.
    pub(in super::super) fn classic_leave(
        &mut self,
        group: &ConsumerGroup,
        leave: Leave,
    ) -> (Vec<LeftMember>, Left) {
        let mut gone = BTreeSet::new();
        let mut all = Vec::with_capacity(leave.members.len());
        for (member, instance_id) in leave.members {
            let found = match &instance_id {
                None => group.entry(&member).map(|(id, _)| id).ok_or(ErrorCode::UnknownMemberId),
                // An administrator names static members by their instance id alone.
                Some(instance_id) if member.is_empty() => {
                    group.static_member(instance_id).ok_or(ErrorCode::UnknownMemberId)
                }
                Some(instance_id) => {
                    let found = static_entry(group, instance_id, &member);
                    found.map(|(id, _)| id).map_err(|refusal: Refusal| refusal.error)
                }
            };
            let error = match found {
                Ok(id) => {
                    gone.insert(id.clone());
                    ErrorCode::None
                }
                Err(error) => error,
            };
            all.push(LeftMember { member, instance_id, error });
        }
        let gone: Vec<MemberId> = gone.into_iter().collect();
        (all, self.fence(&leave.group, group, &gone))
    }
}

type Found<'g> = (&'g MemberId, &'g Arc<Member>, &'g Arc<ClassicMember>);

/// The member that speaks the classic protocol and says it is in `generation`.
fn find_classic<'g>(
    group: &'g ConsumerGroup,
    member: &MemberId,
    instance_id: Option<&Arc<str>>,
    generation: i32,
) -> Result<Found<'g>, ErrorCode> {
    let (id, found) = match instance_id {
        None => group.entry(member).ok_or(ErrorCode::UnknownMemberId)?,
        Some(instance_id) => static_entry(group, instance_id, member).map_err(|refusal| refusal.error)?,
    };
    let classic = found.subscription.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
    let epoch = found.current.epochs.current;
    if epoch == generation { Ok((id, found, classic)) } else { Err(ErrorCode::IllegalGeneration) }
}
