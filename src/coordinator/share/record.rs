//! Records of `__share_group_state` as the shard sees them, and their form in the log ([`crate::schema::share_state`]).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::state::{ShareKey, StateBatch};
use crate::coordinator::shard::{LogRecord, Unreadable};
use crate::schema::codec::DecodeError;
use crate::schema::share_state as wire;
use crate::types::{LeaderEpoch, Ms, Offset, TopicId};

/// Type of a snapshot's key.
const SNAPSHOT: i16 = 0;
/// Type of an update's key.
const UPDATE: i16 = 1;
/// The only version of keys and values.
const VERSION: i16 = 0;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareRecord {
    /// The whole state; without one the state is gone.
    Snapshot(ShareKey, Option<Snapshot>),
    /// What has changed since the record before.
    Update(ShareKey, Update),
}

/// The whole state.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Counts the snapshots.
    pub snapshot_epoch: i32,
    /// The state's epoch.
    pub state_epoch: i32,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// Where the group begins, or -1.
    pub start_offset: Offset,
    /// How many records are done with, or -1.
    pub delivery_complete_count: i32,
    /// When the state was first written.
    pub created: Ms,
    /// When this was written.
    pub written: Ms,
    /// The records from the start on of which something is known.
    pub batches: Vec<StateBatch>,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The snapshot that it adds to.
    pub snapshot_epoch: i32,
    /// The leader's epoch; -1 leaves it as it is.
    pub leader_epoch: LeaderEpoch,
    /// Where the group begins; -1 leaves it as it is.
    pub start_offset: Offset,
    /// How many records are done with; -1 leaves it as it is.
    pub delivery_complete_count: i32,
    /// What has changed.
    pub batches: Vec<StateBatch>,
}

impl LogRecord for ShareRecord {
    fn encode(&self) -> Result<(Bytes, Option<Bytes>), Unreadable> {
        let mut key_bytes = BytesMut::new();
        let mut value_bytes = BytesMut::new();
        value_bytes.put_i16(VERSION);
        match self {
            ShareRecord::Snapshot(key, snapshot) => {
                key_bytes.put_i16(SNAPSHOT);
                wire::ShareSnapshotKey {
                    group_id: key.group.to_string(),
                    topic_id: key.topic.0,
                    partition: key.partition,
                }
                .encode(&mut key_bytes, VERSION)?;
                let Some(snapshot) = snapshot else { return Ok((key_bytes.freeze(), None)) };
                wire::ShareSnapshotValue {
                    snapshot_epoch: snapshot.snapshot_epoch,
                    state_epoch: snapshot.state_epoch,
                    leader_epoch: snapshot.leader_epoch,
                    start_offset: snapshot.start_offset,
                    create_timestamp: snapshot.created,
                    write_timestamp: snapshot.written,
                    state_batches: snapshot.batches.iter().map(to_wire).collect(),
                    delivery_complete_count: snapshot.delivery_complete_count,
                }
                .encode(&mut value_bytes, VERSION)?;
            }
            ShareRecord::Update(key, update) => {
                key_bytes.put_i16(UPDATE);
                wire::ShareUpdateKey {
                    group_id: key.group.to_string(),
                    topic_id: key.topic.0,
                    partition: key.partition,
                }
                .encode(&mut key_bytes, VERSION)?;
                wire::ShareUpdateValue {
                    snapshot_epoch: update.snapshot_epoch,
                    leader_epoch: update.leader_epoch,
                    start_offset: update.start_offset,
                    state_batches: update.batches.iter().map(to_wire).collect(),
                    delivery_complete_count: update.delivery_complete_count,
                }
                .encode(&mut value_bytes, VERSION)?;
            }
        }
        Ok((key_bytes.freeze(), Some(value_bytes.freeze())))
    }

    fn decode(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Option<ShareRecord>, Unreadable> {
        let mut key = key.ok_or(Unreadable::NoKey)?.clone();
        let kind = key.try_get_i16().map_err(|_| DecodeError::Short)?;
        let value = match value {
            None => None,
            Some(value) => {
                let mut rest = value.clone();
                let version = rest.try_get_i16().map_err(|_| DecodeError::Short)?;
                Some((version, rest))
            }
        };
        match (kind, value) {
            (SNAPSHOT, value) => {
                let of = wire::ShareSnapshotKey::decode(&mut key, VERSION)?;
                let of = share_key(of.group_id, of.topic_id, of.partition);
                let snapshot = match value {
                    None => None,
                    Some((version, mut rest)) => {
                        Some(snapshot(wire::ShareSnapshotValue::decode(&mut rest, version)?))
                    }
                };
                Ok(Some(ShareRecord::Snapshot(of, snapshot)))
            }
            (UPDATE, Some((version, mut rest))) => {
                let of = wire::ShareUpdateKey::decode(&mut key, VERSION)?;
                let of = share_key(of.group_id, of.topic_id, of.partition);
                let value = wire::ShareUpdateValue::decode(&mut rest, version)?;
                Ok(Some(ShareRecord::Update(of, update(value))))
            }
            // An update is never taken back by itself.
            (_, None) | (_, Some(_)) => Ok(None),
        }
    }
}

fn share_key(group: String, topic: uuid::Uuid, partition: i32) -> ShareKey {
    ShareKey { group: group.into(), topic: TopicId(topic), partition }
}

fn snapshot(value: wire::ShareSnapshotValue) -> Snapshot {
    Snapshot {
        snapshot_epoch: value.snapshot_epoch,
        state_epoch: value.state_epoch,
        leader_epoch: value.leader_epoch,
        start_offset: value.start_offset,
        delivery_complete_count: value.delivery_complete_count,
        created: value.create_timestamp,
        written: value.write_timestamp,
        batches: value.state_batches.iter().map(from_wire).collect(),
    }
}

fn update(value: wire::ShareUpdateValue) -> Update {
    Update {
        snapshot_epoch: value.snapshot_epoch,
        leader_epoch: value.leader_epoch,
        start_offset: value.start_offset,
        delivery_complete_count: value.delivery_complete_count,
        batches: value.state_batches.iter().map(from_wire).collect(),
    }
}

fn to_wire(batch: &StateBatch) -> wire::StateBatch {
    wire::StateBatch {
        first_offset: batch.first,
        last_offset: batch.last,
        delivery_state: batch.state,
        delivery_count: batch.count,
    }
}

fn from_wire(batch: &wire::StateBatch) -> StateBatch {
    StateBatch {
        first: batch.first_offset,
        last: batch.last_offset,
        state: batch.delivery_state,
        count: batch.delivery_count,
    }
}
