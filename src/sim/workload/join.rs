//! A member of a classic group: joins, is given partitions, commits what it has done of them, leaves, or falls
//! silent until the group goes on without it and then tries to commit as if nothing had been.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use tokio::time::sleep;

use super::commit::{coordinator, fetch, group_id, send_commit};
use super::{BACKOFF, Context, TEAM};
use crate::schema::api::join_group_request::JoinGroupRequestProtocol;
use crate::schema::api::join_group_response::JoinGroupResponseMember;
use crate::schema::api::leave_group_request::MemberIdentity;
use crate::schema::api::sync_group_request::SyncGroupRequestAssignment;
use crate::schema::api::{HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest};
use crate::schema::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolAssignmentTopicPartition, ConsumerProtocolSubscription,
};
use crate::sim::client::Client;
use crate::sim::model::{Commit, Event, Slot, topic_name};
use crate::sim::route::Routed;
use crate::types::{ErrorCode, Offset, Rng};

const JOIN_GROUP_VERSION: i16 = 7;
const SYNC_GROUP_VERSION: i16 = 5;
const HEARTBEAT_VERSION: i16 = 4;
const LEAVE_GROUP_VERSION: i16 = 4;
const CONSUMER_PROTOCOL_VERSION: i16 = 1;
/// How long a group waits for members to join again, in milliseconds.
const REBALANCE_MS: i32 = 1000;
const PROTOCOL: StrBytes = StrBytes::from_static_str("range");
const PROTOCOL_TYPE: StrBytes = StrBytes::from_static_str("consumer");

struct Member {
    cx: Context,
    /// Its number in events.
    id: u32,
    rng: Rng,
    /// What the coordinator calls it; empty if it does not know it.
    name: StrBytes,
}

/// What a member was given.
struct Share {
    generation: i32,
    /// Partitions, and what is committed of each.
    positions: Vec<(Slot, Offset)>,
}

/// A call that did not go well.
enum Failed {
    /// The connection is of no more use.
    Io(io::Error),
    /// The coordinator says no.
    Refused(ErrorCode),
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Failed {
        Failed::Io(e)
    }
}

fn refused(code: i16) -> Result<(), Failed> {
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        Some(error) => Err(Failed::Refused(error)),
        None => Err(Failed::Io(io::ErrorKind::InvalidData.into())),
    }
}

/// Works as a member of group [`TEAM`] until it is told to finish.
pub async fn run(cx: Context, id: u32, rng: Rng) {
    let mut member = Member { cx, id, rng, name: StrBytes::default() };
    while !member.cx.is_finishing() {
        let Some(mut client) = member.cx.connect().await else { continue };
        loop {
            match member.take_part(&mut client).await {
                Ok(()) if member.cx.is_finishing() => return,
                Ok(()) => {}
                Err(Failed::Refused(error)) => {
                    member.cx.model.note(format!("member {id}: {}", error.name()));
                    match error {
                        ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                            member.name = StrBytes::default();
                        }
                        ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => {}
                        _ => break,
                    }
                }
                Err(Failed::Io(e)) => {
                    if e.kind() == io::ErrorKind::Other {
                        member.cx.model.note(format!("member {id}: {e}"));
                    }
                    break;
                }
            }
        }
        sleep(BACKOFF).await;
    }
}

impl Member {
    /// One generation: from joining until something ends it.
    async fn take_part(&mut self, client: &mut Routed) -> Result<(), Failed> {
        let client = coordinator(client, TEAM).await?;
        let mut share = self.join(client).await?;
        loop {
            self.think().await;
            if self.cx.is_finishing() || self.rng.chance(30) {
                return self.leave(client).await;
            }
            if self.rng.chance(30) {
                // Silent for longer than a session or not; what is done then must be as of the generation.
                let session = self.cx.options.session_ms as u64;
                sleep(Duration::from_millis(self.rng.below(3 * session))).await;
            }
            if self.rng.chance(3) || share.positions.is_empty() {
                self.heartbeat(client, share.generation).await?;
                continue;
            }
            let at = self.rng.below(share.positions.len() as u64) as usize;
            let (slot, position) = &mut share.positions[at];
            let (generation, offset) = (share.generation, *position + 1);
            let commit = Commit { client: self.id, group: TEAM, generation, slot: *slot, offset };
            match send_commit(&self.cx, client, &self.name, commit).await? {
                ErrorCode::None => *position = offset,
                error => return Err(Failed::Refused(error)),
            }
        }
    }

    async fn think(&mut self) {
        let max = self.cx.options.think_ms_max.min(self.cx.options.session_ms as u64 / 3);
        sleep(Duration::from_millis(self.rng.below(max + 1))).await;
    }

    async fn join(&mut self, client: &mut Client) -> Result<Share, Failed> {
        let topics = (0..self.cx.options.topics).map(topic_name).collect();
        let subscription = ConsumerProtocolSubscription { topics, ..ConsumerProtocolSubscription::default() };
        let mut metadata = BytesMut::from(&CONSUMER_PROTOCOL_VERSION.to_be_bytes()[..]);
        subscription.encode(&mut metadata, CONSUMER_PROTOCOL_VERSION).map_err(io::Error::other)?;
        let protocol =
            JoinGroupRequestProtocol::default().with_name(PROTOCOL).with_metadata(metadata.freeze());
        let request = JoinGroupRequest::default()
            .with_group_id(group_id(TEAM))
            .with_session_timeout_ms(self.cx.options.session_ms)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_protocol_type(PROTOCOL_TYPE)
            .with_protocols(vec![protocol]);
        let joined = loop {
            let request = request.clone().with_member_id(self.name.clone());
            let joined = client.call(JOIN_GROUP_VERSION, &request).await?;
            self.name = joined.member_id.clone();
            match refused(joined.error_code) {
                Err(Failed::Refused(ErrorCode::MemberIdRequired)) => {}
                other => {
                    other?;
                    break joined;
                }
            }
        };
        let generation = joined.generation_id;
        let assignments = if joined.leader == self.name { self.assign(&joined.members)? } else { Vec::new() };
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(TEAM))
            .with_generation_id(generation)
            .with_member_id(self.name.clone())
            .with_protocol_type(Some(PROTOCOL_TYPE))
            .with_protocol_name(Some(PROTOCOL))
            .with_assignments(assignments);
        let synced = client.call(SYNC_GROUP_VERSION, &request).await?;
        refused(synced.error_code)?;
        let slots = self.assigned(&synced.assignment)?;
        self.cx.model.see(Event::Owns { group: TEAM, generation, client: self.id, slots: slots.clone() });
        let mut positions = Vec::with_capacity(slots.len());
        for slot in slots {
            positions.push((slot, fetch(&self.cx, self.id, TEAM, client, slot).await?));
        }
        Ok(Share { generation, positions })
    }

    /// Gives partition after partition to member after member.
    fn assign(&self, members: &[JoinGroupResponseMember]) -> io::Result<Vec<SyncGroupRequestAssignment>> {
        let slots = self.cx.slots();
        let assign = |(at, member): (usize, &JoinGroupResponseMember)| {
            let own = slots.iter().skip(at).step_by(members.len());
            let assigned_partitions = own
                .map(|&(topic, partition)| ConsumerProtocolAssignmentTopicPartition {
                    topic: topic_name(topic),
                    partitions: vec![partition],
                })
                .collect();
            let assignment =
                ConsumerProtocolAssignment { assigned_partitions, ..ConsumerProtocolAssignment::default() };
            let mut bytes = BytesMut::from(&CONSUMER_PROTOCOL_VERSION.to_be_bytes()[..]);
            assignment.encode(&mut bytes, CONSUMER_PROTOCOL_VERSION).map_err(io::Error::other)?;
            Ok(SyncGroupRequestAssignment::default()
                .with_member_id(member.member_id.clone())
                .with_assignment(bytes.freeze()))
        };
        members.iter().enumerate().map(assign).collect()
    }

    fn assigned(&self, bytes: &Bytes) -> io::Result<Vec<Slot>> {
        // A member that joined after the leader had assigned gets nothing.
        let Some(mut rest) = bytes.get(2..).filter(|rest| !rest.is_empty()).map(Bytes::copy_from_slice)
        else {
            return Ok(Vec::new());
        };
        let assignment = ConsumerProtocolAssignment::decode(&mut rest, CONSUMER_PROTOCOL_VERSION)
            .map_err(io::Error::other)?;
        let slot_of = |name: &str, partition: i32| {
            let topic = (0..self.cx.options.topics).find(|topic| topic_name(*topic) == name);
            topic.map(|topic| (topic, partition))
        };
        let all = assignment.assigned_partitions.iter();
        Ok(all.flat_map(|t| t.partitions.iter().filter_map(|p| slot_of(&t.topic, *p))).collect())
    }

    async fn heartbeat(&mut self, client: &mut Client, generation: i32) -> Result<(), Failed> {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(TEAM))
            .with_generation_id(generation)
            .with_member_id(self.name.clone());
        refused(client.call(HEARTBEAT_VERSION, &request).await?.error_code)
    }

    async fn leave(&mut self, client: &mut Client) -> Result<(), Failed> {
        let leaving = MemberIdentity::default().with_member_id(self.name.clone());
        let request = LeaveGroupRequest::default().with_group_id(group_id(TEAM)).with_members(vec![leaving]);
        let answer = client.call(LEAVE_GROUP_VERSION, &request).await?;
        self.name = StrBytes::default();
        refused(answer.error_code)
    }
}
