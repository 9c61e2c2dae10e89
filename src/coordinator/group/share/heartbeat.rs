//! ShareGroupHeartbeat: join, stay, leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ShareGroupConfigs;
use super::assign::{Wishes, assign};
use super::record::{Change, Subscription};
use super::state::{Member, ShareGroup, StatePartitions, each, has};
use super::tombstones::{forget_member, record};
use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::command::{ShareBeat, ShareHeartbeat};
use crate::coordinator::group::modern::{JOIN_EPOCH, LEAVE_EPOCH, MemberEpochs, TopicIdPartition, hash};
use crate::coordinator::group::record::GroupRecord;
use crate::coordinator::group::state::GroupId;
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, Ms, TopicName};

/// Why a heartbeat is refused, and in which words.
pub(in super::super) type Refusal = (ErrorCode, String);

/// What a heartbeat may look at.
pub(in super::super) struct Around<'a> {
    /// The wall clock.
    pub now: Ms,
    /// The cluster.
    pub image: &'a MetadataImage,
    /// What holds for the group.
    pub config: ShareGroupConfigs,
    /// True if states that were asked for may be asked for again.
    pub asks_again: bool,
}

/// What has been decided.
pub(in super::super) struct Decided {
    /// What is to be written.
    pub records: Vec<GroupRecord>,
    /// What the member is told.
    pub beat: ShareBeat,
}

/// Takes a member's heartbeat. `group` is the group as it is; none if there is none.
///
/// # Errors
///
/// Kafka's, in its words.
pub(in super::super) fn heartbeat(
    id: &GroupId,
    group: Option<&ShareGroup>,
    beat: &ShareHeartbeat,
    around: &Around<'_>,
) -> Result<Decided, Refusal> {
    let fresh = ShareGroup::default();
    let group = match group {
        Some(group) => group,
        None if beat.member_epoch == JOIN_EPOCH => &fresh,
        None => return Err((ErrorCode::GroupIdNotFound, format!("Share group {id} not found."))),
    };
    let known = group.members.get(&beat.member);
    if beat.member_epoch == LEAVE_EPOCH {
        known.ok_or_else(|| unknown_member(id, &beat.member))?;
        let told = ShareBeat { member_epoch: LEAVE_EPOCH, ..ShareBeat::default() };
        return Ok(Decided { records: remove(id, group, &beat.member, around.image), beat: told });
    }
    match known {
        None if beat.member_epoch != JOIN_EPOCH => return Err(unknown_member(id, &beat.member)),
        None if group.members.len() >= around.config.max_size => {
            let why = format!(
                "The share group has reached its maximum capacity of {} members.",
                around.config.max_size
            );
            return Err((ErrorCode::GroupMaxSizeReached, why));
        }
        Some(member) if beat.member_epoch != JOIN_EPOCH => {
            member.epochs.check(beat.member_epoch, || true)?;
        }
        Some(_) | None => {}
    }
    let mut step = Step { id, group: group.clone(), records: Vec::new() };
    let mut epoch = step.group.epochs.group;
    if step.subscribe(beat) {
        epoch += 1;
    }
    step.begin_states(around.image);
    let subscribed: Vec<TopicName> = step.group.subscribed().into_iter().cloned().collect();
    let hash = hash::group_hash(subscribed.iter(), around.image);
    if hash != step.group.epochs.metadata_hash && epoch == step.group.epochs.group {
        epoch += 1;
    }
    if epoch != step.group.epochs.group || hash != step.group.epochs.metadata_hash {
        step.put(Change::Epoch(Some((epoch, hash))));
    }
    step.assign(around);
    let before = known.map(|member| member.assigned.clone()).unwrap_or_default();
    let told = step.tell(&beat.member);
    let is_news = beat.member_epoch == JOIN_EPOCH || beat.names.is_some() || told.assigned != before;
    let states = &step.group.states;
    let initialize: Vec<TopicIdPartition> = if around.asks_again || *states != group.states {
        each(&states.initializing).collect()
    } else {
        Vec::new()
    };
    let beat = ShareBeat {
        member_epoch: told.epochs.current,
        heartbeat_interval_ms: around.config.heartbeat_interval_ms,
        assignment: is_news.then(|| told.assigned.clone()),
        state_epoch: step.group.epochs.group,
        initialize,
    };
    Ok(Decided { records: step.records, beat })
}

/// Removes a member: it left, or was silent for too long.
pub(in super::super) fn remove(
    id: &GroupId,
    group: &ShareGroup,
    member: &MemberId,
    image: &MetadataImage,
) -> Vec<GroupRecord> {
    let mut step = Step { id, group: group.clone(), records: Vec::new() };
    forget_member(id, member, &mut step.records);
    step.group.members.remove(member);
    let subscribed: Vec<TopicName> = step.group.subscribed().into_iter().cloned().collect();
    let hash = hash::group_hash(subscribed.iter(), image);
    step.put(Change::Epoch(Some((group.epochs.group + 1, hash))));
    step.records
}

/// What is to be written once share coordinators keep states for `partitions`, or do not keep any.
pub(in super::super) fn initialized(
    id: &GroupId,
    group: &ShareGroup,
    partitions: &[TopicIdPartition],
) -> Vec<GroupRecord> {
    let mut states = group.states.clone();
    let mut any = false;
    for &(topic, partition) in partitions {
        let Some((name, open)) = states.initializing.get_mut(&topic) else { continue };
        if !open.remove(&partition) {
            continue;
        }
        any = true;
        let name = name.clone();
        states.initialized.entry(topic).or_insert_with(|| (name, Default::default())).1.insert(partition);
    }
    if !any {
        return Vec::new();
    }
    states.initializing.retain(|_, (_, open)| !open.is_empty());
    // There is more to assign now.
    let epoch = Change::Epoch(Some((group.epochs.group + 1, group.epochs.metadata_hash)));
    vec![record(id, Change::States(Some(states))), record(id, epoch)]
}

fn unknown_member(group: &str, member: &str) -> Refusal {
    (ErrorCode::UnknownMemberId, format!("Member {member} is not a member of group {group}."))
}

/// The group as it becomes, with the records that make it so.
struct Step<'a> {
    id: &'a GroupId,
    group: ShareGroup,
    records: Vec<GroupRecord>,
}

impl Step<'_> {
    fn put(&mut self, change: Change) {
        self.group.apply(&change);
        self.records.push(record(self.id, change));
    }

    /// Takes in who the member is and what it wants. True if that asks for a new assignment.
    fn subscribe(&mut self, beat: &ShareHeartbeat) -> bool {
        let known = self.group.members.get(&beat.member).map(|member| member.subscription.clone());
        let before = known.clone().unwrap_or_default();
        let names: Arc<[TopicName]> = match &beat.names {
            None => Arc::clone(&before.names),
            Some(names) => {
                let mut names = names.clone();
                names.sort_unstable();
                names.dedup();
                names.into()
            }
        };
        let subscription = Subscription {
            rack_id: beat.rack_id.clone().or_else(|| before.rack_id.clone()),
            client_id: beat.client_id.clone(),
            client_host: beat.client_host.clone(),
            names,
        };
        let asks = known.is_none() || subscription.names != before.names;
        if known.is_none_or(|known| known != subscription) {
            self.put(Change::Member(beat.member.clone(), Some(subscription)));
        }
        asks
    }

    /// Has states begun for partitions that somebody wants and that have none, and forgets what is gone.
    fn begin_states(&mut self, image: &MetadataImage) {
        let mut states: StatePartitions = self.group.states.clone();
        let exists = |id| image.topics().get_by_id(id).is_some();
        states.initializing.retain(|&id, _| exists(id));
        states.initialized.retain(|&id, _| exists(id));
        states.deleting.retain(|&id, _| exists(id));
        for name in self.group.subscribed() {
            let Some(topic) = image.topics().get(name) else { continue };
            let missing: Vec<_> = topic
                .iter()
                .map(|(index, _)| index)
                .filter(|&index| !has(&states.initialized, (topic.id, index)))
                .collect();
            if !missing.is_empty() {
                states.deleting.remove(&topic.id);
                let open = states.initializing.entry(topic.id);
                open.or_insert_with(|| (topic.name.clone(), Default::default())).1.extend(missing);
            }
        }
        if states != self.group.states {
            self.put(Change::States(Some(states)));
        }
    }

    /// Computes the target anew if something asks for it.
    fn assign(&mut self, around: &Around<'_>) {
        let epochs = &self.group.epochs;
        let states = &self.group.states;
        // The first assignment waits for the first state, which is there in a moment.
        let is_too_early = states.initialized.is_empty() && !states.initializing.is_empty();
        if epochs.target >= epochs.group
            || is_too_early
            || !epochs.may_assign(around.now, around.config.assignment_interval_ms)
        {
            return;
        }
        let wishes: Wishes = self
            .group
            .members
            .iter()
            .map(|(id, member)| {
                let names = member.subscription.names.iter();
                let topics = names.filter_map(|name| around.image.topics().get(name));
                let partitions = topics.flat_map(|topic| topic.iter().map(|(index, _)| (topic.id, index)));
                let ready = partitions.filter(|&partition| has(&states.initialized, partition));
                (id.clone(), ready.collect())
            })
            .collect();
        let targets: BTreeMap<_, _> = assign(&wishes);
        for (member, target) in targets {
            if self.group.targets.get(&member) != Some(&target) {
                self.put(Change::Target(member, Some(target)));
            }
        }
        self.put(Change::TargetEpoch(Some((self.group.epochs.group, around.now))));
    }

    /// Brings a member to the target, and gives it as it is then.
    fn tell(&mut self, id: &MemberId) -> Member {
        let member = self.group.members.get(id).map(|member| (**member).clone()).unwrap_or_default();
        let target = self.group.targets.get(id).cloned().unwrap_or_default();
        let epoch = self.group.epochs.target;
        if member.epochs.current == epoch && member.assigned == target {
            return member;
        }
        let epochs: MemberEpochs = match member.epochs.current == epoch {
            true => member.epochs,
            false => member.epochs.then(epoch),
        };
        self.put(Change::Current(id.clone(), Some((epochs, target.clone()))));
        Member { epochs, assigned: target, ..member }
    }
}
