//! The group coordinator as a [`Shard`]: which command goes where.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::classic::{ClassicGroup, State, Step};
use super::command::{
    Command, DescribedGroup, Join, Joined, Left, ListGroups, ListedGroup, OffsetCommit, OffsetDelete, Reply,
    ShareBeat, ShareHeartbeat, Synced, TopicErrors,
};
use super::config::GroupConfigs;
use super::consumer::heartbeat::Beat;
use super::consumer::turn::{Left as LeftOver, Turn};
use super::modern::timers::{Watch, Watches};
use super::record::GroupRecord;
use super::state::{ClassicMetadata, Group, GroupId, Hard};
use super::timers::{Timer, TimerId, Timers};
use super::{consumer, describe, offsets, share};
use crate::coordinator::shard::{Cx, Entry, Output, Shard, Ticket};
use crate::metadata::MetadataDelta;
use crate::types::{ErrorCode, Ms, Offset};

/// The longest text that a record can hold.
const TEXT_BYTES_MAX: usize = i16::MAX as usize;

/// The group coordinator's state machine.
#[derive(Debug)]
pub struct GroupShard;

/// What the topic does not say: live classic groups and deadlines.
#[derive(Default, Debug)]
pub struct Soft {
    /// Groups that somebody is in, or about to be. The others are as their record has them.
    groups: BTreeMap<GroupId, ClassicGroup>,
    /// Members of the newer protocols.
    watches: Watches,
    consumers: consumer::live::Live,
    timers: Timers,
    expiry: Option<TimerId>,
    /// When share coordinators were last asked to begin positions of a group.
    positions_asked: BTreeMap<GroupId, Ms>,
}

impl Soft {
    /// The classic group of that name, live; `None` if there is none.
    fn live(&mut self, hard: &Hard, id: &GroupId) -> Option<ClassicGroup> {
        match self.groups.remove(id) {
            Some(group) => Some(group),
            None => hard.classic(id).map(|metadata| ClassicGroup::from_metadata(id.clone(), metadata)),
        }
    }

    /// Puts a group back. One that nobody is in is not kept: its record says all.
    fn put(&mut self, group: ClassicGroup) {
        if !group.is(State::Empty) || !group.pending_joins.is_empty() {
            self.groups.insert(group.id.clone(), group);
        }
    }

    /// Calls `with` on a classic group as it is now.
    fn peek<R>(&self, hard: &Hard, id: &GroupId, with: impl FnOnce(Option<&ClassicGroup>) -> R) -> R {
        match (self.groups.get(id), hard.classic(id)) {
            (Some(group), _) => with(Some(group)),
            (None, Some(metadata)) => with(Some(&ClassicGroup::from_metadata(id.clone(), metadata))),
            (None, None) => with(None),
        }
    }

    /// Forgets a group with its deadlines.
    fn drop_group(&mut self, id: &GroupId) {
        self.watches.forget_group(&mut self.timers, id);
        if let Some(mut live) = self.consumers.remove(id) {
            self.timers.cancel(&mut live.resolving);
        }
        let Some(mut group) = self.groups.remove(id) else { return };
        for timer in group.pending_joins.values_mut() {
            self.timers.cancel(timer);
        }
        self.timers.cancel(&mut group.join_timer);
        self.timers.cancel(&mut group.sync_timer);
        debug_assert!(group.members().len() == 0, "only empty groups are forgotten");
    }

    /// For a change to a consumer group.
    fn turn<'a, 'c>(&'a mut self, cx: &'a mut Cx<'c, GroupConfigs>, out: &'a mut Out) -> Turn<'a, 'c> {
        Turn { timers: &mut self.timers, watches: &mut self.watches, live: &mut self.consumers, cx, out }
    }

    /// Takes up the classic group that a consumer group has become. With `rebalance` its members have to join anew, for
    /// somebody has left them.
    fn take_up(
        &mut self,
        cx: &mut Cx<'_, GroupConfigs>,
        out: &mut Out,
        mut group: ClassicGroup,
        rebalance: bool,
    ) {
        let mut step = Step { timers: &mut self.timers, cx, out };
        let ids: Vec<_> = group.members().map(|m| m.id.clone()).collect();
        for member in ids {
            step.touch(&mut group, &member);
        }
        if rebalance {
            step.prepare_rebalance(&mut group);
        }
        self.put(group);
    }

    /// Members of the newer protocols that are watched, for tests.
    pub fn watched(&self) -> impl Iterator<Item = (&GroupId, &super::classic::MemberId)> {
        self.watches.iter()
    }

    /// The classic groups that somebody is in, for tests and metrics.
    pub fn groups(&self) -> impl Iterator<Item = &ClassicGroup> {
        self.groups.values()
    }
}

type Out = Output<GroupShard>;

impl Shard for GroupShard {
    type Record = GroupRecord;
    type Command = Command;
    type Reply = Reply;
    type Config = GroupConfigs;
    type Hard = Hard;
    type Soft = Soft;

    fn handle(
        hard: &Hard,
        soft: &mut Soft,
        cx: &mut Cx<'_, GroupConfigs>,
        ticket: Ticket,
        command: Command,
        out: &mut Out,
    ) {
        let unknown = ErrorCode::UnknownMemberId;
        match command {
            Command::Join(join) => match hard.consumer(&join.group) {
                Some(group) if group.members().len() > 0 => {
                    let (joined, classic) = soft.turn(cx, out).classic_join(group, &join);
                    out.reply(ticket, Reply::Join(joined));
                    if let Some(classic) = classic {
                        soft.take_up(cx, out, classic, false);
                    }
                }
                Some(_) | None => handle_join(hard, soft, cx, ticket, join, out),
            },
            Command::Sync(sync) if let Some(group) = hard.consumer(&sync.group) => {
                let synced = soft.turn(cx, out).classic_sync(group, &sync);
                out.reply(ticket, Reply::Sync(synced));
            }
            Command::Heartbeat(beat) if let Some(group) = hard.consumer(&beat.group) => {
                let error = soft.turn(cx, out).classic_heartbeat(group, &beat);
                out.reply(ticket, Reply::Heartbeat(error));
            }
            Command::Leave(leave) if let Some(group) = hard.consumer(&leave.group) => {
                let (left, over) = soft.turn(cx, out).classic_leave(group, leave);
                out.reply(ticket, Reply::Leave(left));
                if let LeftOver::Classic(classic) = over {
                    soft.take_up(cx, out, *classic, true);
                }
            }
            Command::ConsumerHeartbeat(beat) => {
                let classic = soft.live(hard, &beat.group);
                let had_classic = classic.is_some();
                let Beat { reply, classic, rebalance } = soft.turn(cx, out).heartbeat(hard, classic, &beat);
                match classic {
                    Some(classic) if had_classic => soft.put(classic),
                    Some(classic) => soft.take_up(cx, out, classic, rebalance),
                    None => {}
                }
                out.reply(ticket, Reply::ConsumerHeartbeat(reply));
            }
            Command::ConsumerDescribe(groups) => {
                let described = groups.iter().map(|id| consumer::describe::describe(hard, cx, id)).collect();
                out.reply(ticket, Reply::ConsumerDescribe(described));
            }
            Command::Sync(sync) => match soft.live(hard, &sync.group) {
                Some(mut group) => {
                    Step { timers: &mut soft.timers, cx, out }.sync(&mut group, ticket, sync);
                    soft.put(group);
                }
                None => out.reply(ticket, Reply::Sync(Synced::error(unknown))),
            },
            Command::Heartbeat(beat) => match soft.live(hard, &beat.group) {
                Some(mut group) => {
                    Step { timers: &mut soft.timers, cx, out }.heartbeat(&mut group, ticket, &beat);
                    soft.put(group);
                }
                None => out.reply(ticket, Reply::Heartbeat(unknown)),
            },
            Command::Leave(leave) => match soft.live(hard, &leave.group) {
                Some(mut group) => {
                    Step { timers: &mut soft.timers, cx, out }.leave(&mut group, ticket, leave);
                    soft.put(group);
                }
                None => {
                    let left = |(member, instance_id)| Left { member, instance_id, error: unknown };
                    out.reply(ticket, Reply::Leave(leave.members.into_iter().map(left).collect()));
                }
            },
            Command::Commit(commit) => {
                let reply = handle_commit(hard, soft, cx, &commit, out);
                out.reply(ticket, Reply::Commit(reply));
            }
            Command::Fetch(fetch) => out.reply(ticket, Reply::Fetch(offsets::fetch(hard, &fetch))),
            Command::DeleteOffsets(delete) => {
                let reply = handle_delete_offsets(hard, soft, &delete, out);
                out.reply(ticket, Reply::DeleteOffsets(reply));
            }
            Command::List(list) => out.reply(ticket, Reply::List(handle_list(hard, soft, &list))),
            Command::Describe(groups) => {
                let described = groups.iter().map(|id| handle_describe(hard, soft, id)).collect();
                out.reply(ticket, Reply::Describe(described));
            }
            Command::Delete(groups) => {
                let mut deleted = Vec::with_capacity(groups.len());
                for (i, id) in groups.iter().enumerate() {
                    let error = match groups[..i].contains(id) {
                        true => ErrorCode::GroupIdNotFound,
                        false => handle_delete(hard, soft, id, out),
                    };
                    deleted.push((id.clone(), error));
                }
                out.reply(ticket, Reply::Delete(deleted));
            }
            Command::ShareHeartbeat(beat) => {
                let reply = handle_share_heartbeat(hard, soft, cx, &beat, out);
                out.reply(ticket, Reply::ShareHeartbeat(reply));
            }
            Command::ShareDescribe(groups) => {
                let described = groups.into_iter().map(|id| {
                    let group = hard.share(&id).map(|group| Box::new(group.clone()));
                    (id, group)
                });
                out.reply(ticket, Reply::ShareDescribe(described.collect()));
            }
            Command::ShareInitialized(id, partitions) => {
                if let Some(group) = hard.share(&id) {
                    out.records.extend(share::heartbeat::initialized(&id, group, &partitions));
                }
                out.reply(ticket, Reply::ShareDone);
            }
            Command::SharePositions(id) => {
                let positions = share_group(hard, &id).map(share::offsets::positions);
                out.reply(ticket, Reply::SharePositions(positions));
            }
            Command::ShareAlter(id, topics) => {
                let altered = share_group(hard, &id)
                    .and_then(|group| share::offsets::alter(&id, group, &topics, &mut out.records));
                out.reply(ticket, Reply::ShareAlter(altered));
            }
            Command::ShareForget(id, topics) => {
                let forgotten = share_group(hard, &id)
                    .and_then(|group| share::offsets::forget(&id, group, &topics, &mut out.records));
                out.reply(ticket, Reply::SharePositions(forgotten));
            }
            Command::ShareForgotten(id, topics) => {
                if let Some(group) = hard.share(&id) {
                    share::offsets::forgotten(&id, group, &topics, &mut out.records);
                }
                out.reply(ticket, Reply::ShareDone);
            }
        }
    }

    fn replay(hard: &mut Hard, at: Offset, entry: Entry<GroupRecord>) {
        match entry {
            Entry::EndTxn { producer, committed } => hard.end_transaction(producer.id, committed),
            Entry::Record { producer, record } => match record {
                GroupRecord::Group { group, metadata } => hard.put_group(&group, metadata),
                GroupRecord::Offset { group, topic, partition, offset } => {
                    let offset = offset.map(|offset| super::state::CommittedOffset { at, ..offset });
                    hard.put_offset(producer.map(|p| p.id), &group, &topic, partition, offset);
                }
                GroupRecord::Consumer(record) => hard.put_consumer(&record),
                GroupRecord::Share(record) => hard.put_share(&record),
                GroupRecord::Foreign(record) => hard.put_foreign(&record),
            },
        }
    }

    fn shares_append(hard: &Hard, command: &Command) -> bool {
        match command {
            // A commit is judged by its group and never by offsets; one that makes its group changes how the next is.
            Command::Commit(commit) => hard.groups.contains_key(&commit.group),
            Command::Join(_)
            | Command::Sync(_)
            | Command::Heartbeat(_)
            | Command::Leave(_)
            | Command::ConsumerHeartbeat(_)
            | Command::ConsumerDescribe(_)
            | Command::Fetch(_)
            | Command::DeleteOffsets(_)
            | Command::List(_)
            | Command::Describe(_)
            | Command::Delete(_)
            | Command::ShareHeartbeat(_)
            | Command::ShareDescribe(_)
            | Command::ShareInitialized(..)
            | Command::SharePositions(_)
            | Command::ShareAlter(..)
            | Command::ShareForget(..)
            | Command::ShareForgotten(..) => false,
        }
    }

    fn is_mirrored(record: &GroupRecord) -> bool {
        match record {
            GroupRecord::Group { .. }
            | GroupRecord::Consumer(_)
            | GroupRecord::Share(_)
            | GroupRecord::Foreign(_) => true,
            GroupRecord::Offset { .. } => false,
        }
    }

    fn loaded(hard: &Hard, soft: &mut Soft, cx: &mut Cx<'_, GroupConfigs>) {
        // Nothing is decided here that has to be written: a round that begins waits for its members first.
        let mut out = Output::default();
        // Topics that were made while nobody looked may match expressions.
        soft.consumers.new_topics_at = cx.cluster.offset();
        for (id, group) in &hard.groups {
            let metadata = match group {
                Group::Classic(metadata) => metadata,
                Group::Consumer(group) => {
                    soft.turn(cx, &mut out).loaded(id, group);
                    continue;
                }
                Group::Share(group) => {
                    group.members.keys().for_each(|member| watch_share_member(soft, cx, id, member));
                    continue;
                }
                Group::Foreign(_) => continue,
            };
            if metadata.members.is_empty() {
                continue;
            }
            let mut group = ClassicGroup::from_metadata(id.clone(), metadata);
            let mut step = Step { timers: &mut soft.timers, cx: &mut *cx, out: &mut out };
            let ids: Vec<_> = group.members().map(|m| m.id.clone()).collect();
            for member in ids {
                step.touch(&mut group, &member);
            }
            if group.members().len() > step.cx.config.max_size {
                step.prepare_rebalance(&mut group);
            }
            soft.put(group);
        }
        debug_assert!(out.records.is_empty() && out.replies.is_empty(), "nobody has joined yet");
        schedule_expiry(soft, cx);
    }

    fn metadata_changed(
        hard: &Hard,
        soft: &mut Soft,
        cx: &mut Cx<'_, GroupConfigs>,
        delta: &MetadataDelta,
        out: &mut Out,
    ) {
        if !delta.topics_deleted.is_empty() {
            offsets::topics_deleted(hard, delta, &mut out.records);
            for (id, group) in &hard.groups {
                let Group::Share(group) = group else { continue };
                let is_deleted = |topic| delta.topics_deleted.contains_key(&topic);
                share::offsets::topics_deleted(id, group, is_deleted, &mut out.records);
            }
        }
        if !delta.topics_created.is_empty() {
            soft.consumers.new_topics_at = cx.cluster.offset();
        }
        for (id, group) in &hard.groups {
            if let Group::Consumer(group) = group
                && consumer::turn::reads_any(group, delta, cx.cluster)
            {
                soft.consumers.topics_changed(id);
            }
        }
    }

    fn next_deadline(soft: &Soft) -> Option<Ms> {
        soft.timers.next()
    }

    fn on_deadline(hard: &Hard, soft: &mut Soft, cx: &mut Cx<'_, GroupConfigs>, out: &mut Out) {
        let Some(timer) = soft.timers.pop(cx.monotonic) else { return };
        let id = match &timer {
            Timer::Expiry => {
                expire(hard, soft, cx, out);
                schedule_expiry(soft, cx);
                return;
            }
            Timer::Member(id, member, watch) => {
                if let Some(group) = hard.share(id) {
                    soft.watches.passed(id, member, *watch);
                    if group.members.contains_key(member) {
                        tracing::info!(group = %id, %member, "a member of a share group is silent for too long");
                        out.records.extend(share::heartbeat::remove(id, group, member, cx.cluster));
                    }
                    return;
                }
                let Some(group) = hard.consumer(id) else { return };
                let over = soft.turn(cx, out).out_of_time(id, group, member, *watch);
                if let LeftOver::Classic(classic) = over {
                    soft.take_up(cx, out, *classic, true);
                }
                return;
            }
            Timer::Regexes(id) => {
                let Some(group) = hard.consumer(id) else { return };
                soft.turn(cx, out).resolve(id, group);
                return;
            }
            Timer::Session(id, _) | Timer::Join(id) | Timer::Sync(id) => id.clone(),
        };
        // A timer lives no longer than the live group that set it.
        let Some(mut group) = soft.groups.remove(&id) else { return };
        let mut step = Step { timers: &mut soft.timers, cx, out };
        match &timer {
            Timer::Session(_, member) => step.session_timeout(&mut group, member),
            Timer::Join(_) => step.join_timeout(&mut group),
            Timer::Sync(_) => step.sync_timeout(&mut group),
            Timer::Member(..) | Timer::Regexes(_) | Timer::Expiry => {}
        }
        soft.put(group);
    }
}

fn handle_join(
    hard: &Hard,
    soft: &mut Soft,
    cx: &mut Cx<'_, GroupConfigs>,
    ticket: Ticket,
    join: Join,
    out: &mut Out,
) {
    let refuse = |error, member: &Arc<str>| Reply::Join(Joined::error(error, member.clone()));
    let texts = [&join.group, &join.client_id, &join.client_host, &join.protocol_type];
    let longest = texts.into_iter().chain(&join.instance_id).chain(join.protocols.iter().map(|p| &p.name));
    // A member id is the client id and a UUID behind it.
    if longest.map(|text| text.len()).max().unwrap_or(0) > TEXT_BYTES_MAX - 64 {
        out.reply(ticket, refuse(ErrorCode::InvalidRequest, &join.member));
        return;
    }
    let inconsistent = match hard.groups.get(&join.group) {
        Some(Group::Foreign(_)) => true,
        Some(Group::Consumer(group)) => group.members().len() > 0,
        Some(Group::Share(_)) => true,
        Some(Group::Classic(_)) | None => false,
    };
    if inconsistent {
        out.reply(ticket, refuse(ErrorCode::InconsistentGroupProtocol, &Arc::from("")));
        return;
    }
    let id = join.group.clone();
    match soft.live(hard, &id) {
        Some(mut group) => {
            Step { timers: &mut soft.timers, cx, out }.join(&mut group, ticket, join);
            soft.put(group);
        }
        None if !join.member.is_empty() => {
            out.reply(ticket, refuse(ErrorCode::UnknownMemberId, &join.member));
        }
        None => {
            let new = ClassicMetadata { state_timestamp: Some(cx.now), ..ClassicMetadata::default() };
            let mut group = ClassicGroup::from_metadata(id.clone(), &new);
            Step { timers: &mut soft.timers, cx, out }.join(&mut group, ticket, join);
            if group.is(State::Empty) && group.pending_joins.is_empty() {
                return;
            }
            // From here on the group is there for everybody. It takes the place of an empty group of consumers that
            // spoke the newer protocol.
            offsets::forget(hard, &id, &mut out.records);
            soft.drop_group(&id);
            out.records.push(GroupRecord::Group { group: id, metadata: Some(new) });
            soft.put(group);
        }
    }
}

fn handle_commit(
    hard: &Hard,
    soft: &mut Soft,
    cx: &mut Cx<'_, GroupConfigs>,
    commit: &OffsetCommit,
    out: &mut Out,
) -> Result<Vec<TopicErrors>, ErrorCode> {
    let longest = commit.topics.iter().map(|t| t.name.len()).max().unwrap_or(0).max(commit.group.len());
    if longest > TEXT_BYTES_MAX {
        return Err(ErrorCode::InvalidRequest);
    }
    match hard.groups.get(&commit.group) {
        Some(Group::Consumer(group)) => consumer::offsets::check_commit(group, commit, cx.cluster)?,
        Some(Group::Foreign(group)) => offsets::check_foreign_commit(group, commit)?,
        // Its positions are not committed.
        Some(Group::Share(_)) => return Err(ErrorCode::GroupIdNotFound),
        Some(Group::Classic(_)) | None => {
            soft.peek(hard, &commit.group, |group| offsets::check_commit(group, commit))?;
        }
    }
    if let Some(group) = soft.groups.get_mut(&commit.group)
        && !commit.is_transactional()
    {
        // Committing is a sign of life; in a transaction it is one of the producer.
        if group.is(State::Stable) || group.is(State::PreparingRebalance) {
            Step { timers: &mut soft.timers, cx, out }.touch(group, &commit.member);
        }
    }
    let (records, answer) = offsets::commit(cx, commit)?;
    out.as_producer = commit.producer;
    out.records.extend(records);
    Ok(answer)
}

fn handle_delete_offsets(
    hard: &Hard,
    soft: &Soft,
    delete: &OffsetDelete,
    out: &mut Out,
) -> Result<Vec<TopicErrors>, ErrorCode> {
    let (records, answer) = soft.peek(hard, &delete.group, |group| offsets::delete(hard, group, delete))?;
    out.records.extend(records);
    Ok(answer)
}

fn handle_list(hard: &Hard, soft: &Soft, list: &ListGroups) -> Vec<ListedGroup> {
    let filter = describe::Filter::new(list);
    let listed = hard.groups.iter().map(|(id, group)| match group {
        Group::Consumer(group) => Some(describe::list_consumer(id, group)),
        Group::Share(group) => Some(describe::list_share(id, group)),
        Group::Foreign(group) => Some(describe::list_foreign(id, group)),
        Group::Classic(_) => soft.peek(hard, id, |group| group.map(describe::list_classic)),
    });
    listed.flatten().filter(|group| filter.lets_pass(group)).collect()
}

fn handle_describe(hard: &Hard, soft: &Soft, id: &GroupId) -> DescribedGroup {
    let is_foreign =
        matches!(hard.groups.get(id), Some(Group::Consumer(_) | Group::Share(_) | Group::Foreign(_)));
    soft.peek(hard, id, |group| match group {
        Some(group) if !is_foreign => describe::describe_classic(group),
        Some(_) | None => describe::describe_missing(id, is_foreign),
    })
}

fn handle_delete(hard: &Hard, soft: &mut Soft, id: &GroupId, out: &mut Out) -> ErrorCode {
    match hard.groups.get(id) {
        None => return ErrorCode::GroupIdNotFound,
        Some(Group::Consumer(group)) if group.members().len() > 0 => return ErrorCode::NonEmptyGroup,
        Some(Group::Share(group)) if !group.members.is_empty() => return ErrorCode::NonEmptyGroup,
        Some(Group::Foreign(group)) if !group.members.is_empty() => return ErrorCode::NonEmptyGroup,
        Some(Group::Consumer(_) | Group::Share(_) | Group::Foreign(_)) => {}
        Some(Group::Classic(_)) => {
            if !soft.peek(hard, id, |group| group.is_none_or(|g| g.is(State::Empty))) {
                return ErrorCode::NonEmptyGroup;
            }
        }
    }
    offsets::delete_all(hard, id, &mut out.records);
    offsets::forget(hard, id, &mut out.records);
    soft.drop_group(id);
    soft.positions_asked.remove(id);
    ErrorCode::None
}

fn share_group<'a>(hard: &'a Hard, id: &str) -> Result<&'a share::ShareGroup, ErrorCode> {
    hard.share(id).ok_or(ErrorCode::GroupIdNotFound)
}

fn handle_share_heartbeat(
    hard: &Hard,
    soft: &mut Soft,
    cx: &mut Cx<'_, GroupConfigs>,
    beat: &ShareHeartbeat,
    out: &mut Out,
) -> Result<ShareBeat, (ErrorCode, String)> {
    let texts =
        [&beat.group, &beat.member, &beat.client_id, &beat.client_host].into_iter().chain(&beat.rack_id);
    let names = beat.names.iter().flatten();
    if texts.chain(names).any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err((ErrorCode::InvalidRequest, "A text is too long.".to_owned()));
    }
    let group = match hard.groups.get(&beat.group) {
        None => None,
        Some(Group::Share(group)) => Some(&**group),
        Some(Group::Classic(_) | Group::Consumer(_) | Group::Foreign(_)) => {
            return Err((ErrorCode::GroupIdNotFound, format!("Group {} is not a share group.", beat.group)));
        }
    };
    let config = cx.config.share.of(&beat.group, cx.cluster);
    let asked = soft.positions_asked.get(&beat.group).copied();
    let asks_again = asked.is_none_or(|at| cx.monotonic - at >= config.initialize_retry_ms);
    let around = share::heartbeat::Around { now: cx.now, image: cx.cluster, config, asks_again };
    let decided = share::heartbeat::heartbeat(&beat.group, group, beat, &around)?;
    if decided.beat.member_epoch < 0 {
        soft.watches.cancel(&mut soft.timers, &beat.group, &beat.member, Watch::Session);
    } else {
        watch_share_member(soft, cx, &beat.group, &beat.member);
    }
    if !decided.beat.initialize.is_empty() {
        soft.positions_asked.insert(beat.group.clone(), cx.monotonic);
    }
    out.records.extend(decided.records);
    Ok(decided.beat)
}

/// A member was heard of: it is removed if it is not for its session timeout.
fn watch_share_member(soft: &mut Soft, cx: &Cx<'_, GroupConfigs>, id: &GroupId, member: &Arc<str>) {
    let at = cx.monotonic + cx.config.share.of(id, cx.cluster).session_timeout_ms;
    soft.watches.set(&mut soft.timers, id, member, Watch::Session, at);
}

fn schedule_expiry(soft: &mut Soft, cx: &Cx<'_, GroupConfigs>) {
    let at = cx.monotonic + cx.config.offsets_retention_check_interval_ms.max(1);
    soft.timers.set(&mut soft.expiry, at, Timer::Expiry);
}

/// Forgets offsets that nobody has wanted for long, and groups that nobody is in and that have none.
fn expire(hard: &Hard, soft: &mut Soft, cx: &Cx<'_, GroupConfigs>, out: &mut Out) {
    let mut forgotten = Vec::new();
    for (id, group) in &hard.groups {
        let (all_gone, is_empty) = soft.peek(hard, id, |live| {
            let all_gone = offsets::expire(hard, id, live, cx.config, cx.now, &mut out.records);
            let is_empty = match group {
                Group::Consumer(group) => group.members().len() == 0,
                Group::Foreign(group) => group.members.is_empty(),
                // Its positions are elsewhere, and wait for whoever comes back.
                Group::Share(_) => false,
                Group::Classic(_) => live.is_none_or(|g| g.is(State::Empty) && g.pending_joins.is_empty()),
            };
            (all_gone, is_empty)
        });
        if all_gone && is_empty {
            offsets::forget(hard, id, &mut out.records);
            forgotten.push(id);
        }
    }
    for id in forgotten {
        soft.drop_group(id);
    }
}
