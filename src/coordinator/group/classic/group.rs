//! The state of one live classic group, and its elementary changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::{Member, MemberId};
use crate::coordinator::group::command::{Joined, Protocol, Synced};
use crate::coordinator::group::state::{ClassicMetadata, GroupId};
use crate::coordinator::group::timers::TimerId;
use crate::coordinator::shard::Ticket;
use crate::types::{ErrorCode, Ms};

/// The protocol type of consumers, whose metadata the coordinator can read.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody is in it.
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// Members know their generation and wait for the leader's assignment.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

impl State {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// The first rebalance of a group waits for more members: by how much now, and how much longer at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    pub(super) delay_ms: i32,
    pub(super) remaining_ms: i32,
}

/// A live classic group.
#[derive(Debug)]
pub struct ClassicGroup {
    /// Its name.
    pub id: GroupId,
    state: State,
    state_timestamp: Option<Ms>,
    /// What its protocols are about, once somebody was in it.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol of the generation.
    pub protocol: Option<Arc<str>>,
    /// Number of the generation.
    pub generation: i32,
    /// Who assigns.
    pub leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    static_members: BTreeMap<Arc<str>, MemberId>,
    /// Ids handed out and not used yet (KIP-394), with the end of their session.
    pub(in super::super) pending_joins: BTreeMap<MemberId, Option<TimerId>>,
    /// Members of the generation that have not sent SyncGroup.
    pub(super) pending_syncs: BTreeSet<MemberId>,
    joining: usize,
    /// How many members know each protocol.
    supporters: BTreeMap<Arc<str>, usize>,
    /// The topics that consumers subscribe to; `None` if that cannot be known.
    subscribed: Option<BTreeSet<String>>,
    /// True if somebody came while the first rebalance was waiting.
    pub(super) new_member_added: bool,
    pub(super) initial_delay: Option<InitialDelay>,
    pub(in super::super) join_timer: Option<TimerId>,
    pub(in super::super) sync_timer: Option<TimerId>,
}

impl ClassicGroup {
    /// The group as its record has it.
    pub fn from_metadata(id: GroupId, metadata: &ClassicMetadata) -> ClassicGroup {
        let mut group = ClassicGroup {
            id,
            state: State::Empty,
            state_timestamp: metadata.state_timestamp,
            protocol_type: metadata.protocol_type.clone(),
            protocol: metadata.protocol.clone(),
            generation: metadata.generation,
            leader: metadata.leader.clone(),
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeMap::new(),
            pending_syncs: BTreeSet::new(),
            joining: 0,
            supporters: BTreeMap::new(),
            subscribed: None,
            new_member_added: false,
            initial_delay: None,
            join_timer: None,
            sync_timer: None,
        };
        let protocol = metadata.protocol.clone().unwrap_or_else(|| Arc::from(""));
        for member in &metadata.members {
            group.insert(Member::from_metadata(member, &protocol));
        }
        if !group.members.is_empty() {
            group.state = State::Stable;
            // A leader that is not among the members was written by nobody we know; anybody will do.
            if group.leader.as_ref().is_none_or(|leader| !group.members.contains_key(leader)) {
                group.leader = group.members.keys().next().cloned();
            }
        }
        group.subscribed = group.read_subscriptions();
        group
    }

    /// A stable group of consumers in `generation`, with what its members were assigned. `None` if they have no protocol
    /// in common. Their sessions are the caller's to begin.
    pub(in super::super) fn converted(
        id: GroupId,
        generation: i32,
        members: Vec<Member>,
        now: Ms,
    ) -> Option<ClassicGroup> {
        let metadata =
            ClassicMetadata { generation, state_timestamp: Some(now), ..ClassicMetadata::default() };
        let mut group = ClassicGroup::from_metadata(id, &metadata);
        let protocol_type = Arc::from(CONSUMER_PROTOCOL_TYPE);
        members.into_iter().for_each(|member| group.add(member, &protocol_type));
        group.protocol = Some(group.choose_protocol()?);
        group.subscribed = group.read_subscriptions();
        group.state = State::Stable;
        Some(group)
    }

    /// As the topic keeps it, with what its members have.
    pub(in super::super) fn to_metadata_as_is(&self) -> ClassicMetadata {
        self.to_metadata(&self.members.values().map(|m| (m.id.clone(), m.assignment.clone())).collect())
    }

    /// As the topic keeps it, with `assignments` for its members; who is not in there gets nothing.
    pub(super) fn to_metadata(&self, assignments: &BTreeMap<MemberId, Bytes>) -> ClassicMetadata {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let assigned = |id: &MemberId| assignments.get(id).cloned().unwrap_or_default();
        ClassicMetadata {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.state_timestamp,
            members: self.members.values().map(|m| m.to_metadata(protocol, assigned(&m.id))).collect(),
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// True if it stands in `state`.
    pub fn is(&self, state: State) -> bool {
        self.state == state
    }

    /// Goes into another state.
    pub(super) fn enter(&mut self, state: State, now: Ms) {
        let allowed = match state {
            State::Empty => self.is(State::PreparingRebalance),
            State::PreparingRebalance => !self.is(State::PreparingRebalance),
            State::CompletingRebalance => self.is(State::PreparingRebalance),
            State::Stable => self.is(State::CompletingRebalance),
        };
        assert!(allowed, "group {} cannot go from {:?} to {state:?}", self.id, self.state);
        self.state = state;
        self.state_timestamp = Some(now);
    }

    /// Who is in it, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    pub(super) fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.values_mut()
    }

    /// One member.
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    pub(super) fn member_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.members.get_mut(id)
    }

    /// True if the member is in it.
    pub fn has(&self, id: &str) -> bool {
        self.members.contains_key(id)
    }

    /// The id of the static member of that name.
    pub fn static_member(&self, instance_id: &str) -> Option<&MemberId> {
        self.static_members.get(instance_id)
    }

    /// True if this member assigns.
    pub fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// The leader's id, empty if there is none.
    pub(super) fn leader_or_empty(&self) -> MemberId {
        self.leader.clone().unwrap_or_else(|| Arc::from(""))
    }

    /// How many members' JoinGroups wait.
    pub(super) fn joining(&self) -> usize {
        self.joining
    }

    /// True if nobody is awaited: neither a member nor an id handed out.
    pub(super) fn all_joined(&self) -> bool {
        self.members.len() == self.joining && self.pending_joins.is_empty()
    }

    /// The longest that any member wants a rebalance to wait.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|m| m.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    /// True if its members are consumers.
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Refuses who is not that member: UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID for a static member's former id.
    pub fn check_member(&self, id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if &**current != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.has(id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// True if somebody who speaks these protocols fits in: there is one that all members know.
    pub(super) fn fits(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.is(State::Empty) {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let everybody = self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|p| self.supporters.get(&p.name).copied().unwrap_or(0) == everybody)
    }

    /// Puts a member in. The first one makes itself leader and says what the protocols are about.
    pub(super) fn add(&mut self, member: Member, protocol_type: &Arc<str>) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.insert(member);
    }

    fn insert(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.id.clone());
        }
        self.joining += usize::from(member.is_joining());
        self.count_protocols(&member.protocols, true);
        let before = self.members.insert(member.id.clone(), member);
        debug_assert!(before.is_none(), "member ids are unique");
    }

    /// Takes a member, or an id handed out, out. Another member becomes leader if it was. Its timer is the caller's.
    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending_syncs.remove(id);
        let removed = self.members.remove(id);
        if let Some(member) = &removed {
            self.count_protocols(&member.protocols, false);
            self.joining -= usize::from(member.is_joining());
            if let Some(instance_id) = &member.instance_id {
                self.static_members.remove(instance_id);
            }
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        removed
    }

    /// Gives the static member `old` the id `new`; everything else stays, but its parked requests, which the caller has
    /// answered.
    pub(super) fn rename_static(&mut self, old: &str, new: MemberId) {
        let Some(mut member) = self.members.remove(old) else { return };
        debug_assert!(member.join.is_none() && member.sync.is_none(), "answered before");
        member.id = new.clone();
        member.is_new = false;
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), new.clone());
        }
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        if self.pending_syncs.remove(old) {
            self.pending_syncs.insert(new.clone());
        }
        self.members.insert(new, member);
    }

    /// Takes what a member says in a new JoinGroup.
    pub(super) fn update(&mut self, id: &str, protocols: Vec<Protocol>, rebalance_ms: i32, session_ms: i32) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.rebalance_timeout_ms = rebalance_ms;
        member.session_timeout_ms = session_ms;
        let before = std::mem::replace(&mut member.protocols, protocols.clone());
        self.count_protocols(&before, false);
        self.count_protocols(&protocols, true);
    }

    fn count_protocols(&mut self, protocols: &[Protocol], add: bool) {
        for (i, protocol) in protocols.iter().enumerate() {
            // Who names a protocol twice knows it once.
            if protocols[..i].iter().any(|p| p.name == protocol.name) {
                continue;
            }
            let count = self.supporters.entry(protocol.name.clone()).or_default();
            *count = if add { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.supporters.remove(&protocol.name);
            }
        }
    }

    /// Parks a JoinGroup. What was parked for the member before is given back, to be answered.
    pub(super) fn park_join(&mut self, id: &str, ticket: Ticket) -> Option<Ticket> {
        let member = self.members.get_mut(id)?;
        let before = member.join.replace(ticket);
        self.joining += usize::from(before.is_none());
        before
    }

    /// Takes a member's parked JoinGroup out, to be answered.
    pub(super) fn take_join(&mut self, id: &str) -> Option<Ticket> {
        let taken = self.members.get_mut(id)?.join.take();
        self.joining -= usize::from(taken.is_some());
        taken
    }

    /// Makes sure that the leader has joined; another who has takes its place. False if nobody has.
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(Member::is_joining) {
            return true;
        }
        match self.members.values().find(|m| m.is_joining()) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// The protocol that most members like best among those that all of them know; of equals the first by name. `None`
    /// if they have none in common.
    pub(super) fn choose_protocol(&self) -> Option<Arc<str>> {
        let everybody = self.members.len();
        let known_to_all = |name: &str| self.supporters.get(name).copied().unwrap_or(0) >= everybody;
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = member.vote(known_to_all) {
                *votes.entry(name).or_default() += 1;
            }
        }
        // `max_by_key` keeps the last of equals, so the order is turned round.
        votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(name, _)| name.clone())
    }

    /// Begins a generation with whoever is in.
    pub(super) fn next_generation(&mut self, now: Ms) {
        self.generation = self.generation.wrapping_add(1).max(0);
        self.initial_delay = None;
        if self.members.is_empty() {
            self.protocol = None;
            self.subscribed = self.read_subscriptions();
            self.enter(State::Empty, now);
        } else {
            self.protocol = self.choose_protocol();
            self.subscribed = self.read_subscriptions();
            self.enter(State::CompletingRebalance, now);
        }
        self.pending_syncs.clear();
    }

    /// What a member of the generation is told when it joins.
    pub(super) fn joined(&self, id: &MemberId, with_members: bool) -> Joined {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let members = match with_members {
            true => self.members.values().map(|m| m.for_leader(protocol)).collect(),
            false => Vec::new(),
        };
        Joined {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader_or_empty(),
            skip_assignment: false,
            member: id.clone(),
            members,
        }
    }

    /// What a member is told when it has its assignment.
    pub(super) fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }

    /// True if the group may be reading `topic`. Consumers whose metadata cannot be read may be reading anything.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// True if the topics that its members read are known.
    pub fn knows_subscriptions(&self) -> bool {
        self.subscribed.is_some()
    }

    /// When it came into its state.
    pub fn state_timestamp(&self) -> Option<Ms> {
        self.state_timestamp
    }

    fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(&member.metadata_for(protocol))?);
        }
        Some(topics)
    }
}

/// The topics in a consumer's subscription: version, then an array of names; what later versions append is not looked
/// at. `None` if the bytes do not say so.
fn subscribed_topics(metadata: &[u8]) -> Option<Vec<String>> {
    let (_version, rest) = metadata.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = i32::from_be_bytes(*count);
    let mut topics = Vec::new();
    for _ in 0..count.max(0) {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let len = usize::try_from(i16::from_be_bytes(*len)).ok()?;
        let name = after.get(..len)?;
        topics.push(std::str::from_utf8(name).ok()?.to_owned());
        rest = &after[len..];
    }
    Some(topics)
}

impl ClassicGroup {
    /// Panics if the group contradicts itself: for tests of any depth.
    pub fn check(&self) {
        let members = &self.members;
        let joining = members.values().filter(|m| m.is_joining()).count();
        assert_eq!(self.joining, joining, "joins are counted");
        assert_eq!(
            members.is_empty(),
            self.is(State::Empty) || (members.is_empty() && self.join_timer.is_some())
        );
        assert!(self.leader.as_ref().is_none_or(|leader| self.has(leader)), "the leader is a member");
        assert!(self.leader.is_some() || members.is_empty(), "a group with members has a leader");
        assert!(self.pending_syncs.iter().all(|id| self.has(id)), "who is awaited is a member");
        assert!(self.pending_joins.keys().all(|id| !self.has(id)), "a pending id is no member");
        for (instance, id) in &self.static_members {
            let named = members.get(id).and_then(|m| m.instance_id.as_ref());
            assert_eq!(named, Some(instance), "static members are members under their name");
        }
        for member in members.values() {
            assert!(member.session.is_some() || member.is_excused(), "somebody watches {}", member.id);
            assert!(member.sync.is_none() || self.is(State::CompletingRebalance), "syncs wait in one state");
            assert!(member.join.is_none() || self.is(State::PreparingRebalance), "joins wait in one state");
        }
        if self.is(State::PreparingRebalance) {
            assert!(self.join_timer.is_some(), "a join phase ends");
        }
        if self.is(State::CompletingRebalance) {
            let leader_awaited =
                self.leader.as_ref().is_some_and(|leader| self.pending_syncs.contains(leader));
            assert!(self.sync_timer.is_some() && leader_awaited, "a sync phase ends");
        }
        if self.is(State::Stable) || self.is(State::CompletingRebalance) {
            let protocol = self.protocol.as_ref().expect("a generation has a protocol");
            let all_know = members.values().all(|m| m.protocols.iter().any(|p| p.name == *protocol));
            assert!(all_know, "every member knows the protocol");
        }
    }
}
