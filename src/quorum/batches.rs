//! Entries as record batches, both ways.
//!
//! A normal entry is a batch of metadata records, a blank one the LeaderChange control batch of a new leader, a
//! membership the KRaftVersion and KRaftVoters control records (KIP-853). Kafka's own tools read them all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use thiserror::Error;

use crate::schema::codec::{DecodeError, get_varint, put_varint};
use crate::schema::quorum::{
    Endpoint, KRaftVersionFeature, KRaftVersionRecord, LeaderChangeMessage, LeaderChangeMessageVoter,
    VotersRecord, VotersVoter,
};
use crate::types::{LeaderEpoch, Ms, NodeId, Offset, uuid_from_base64, uuid_to_base64};
use crate::wire::batch::Batch;
use crate::wire::records::{BatchBuilder, RecordError, Records as RecordsOf};

use super::types::{Membership, Payload, RaftId, Records, Voter};

/// Control record types (`ControlRecordType`).
pub(super) mod control {
    pub(in super::super) const LEADER_CHANGE: i16 = 2;
    pub(in super::super) const SNAPSHOT_HEADER: i16 = 3;
    pub(in super::super) const SNAPSHOT_FOOTER: i16 = 4;
    pub(in super::super) const KRAFT_VERSION: i16 = 5;
    pub(in super::super) const KRAFT_VOTERS: i16 = 6;
}

/// The `kraft.version` with voters in the log.
const KRAFT_VERSION: i16 = 1;
/// Tag in VotersRecord, of ours: what KRaft has no word for, a joint configuration and learners. Readers that do not know
/// it skip it.
const TAG_JOINT: u32 = 10_000;

/// A batch that is whole but does not hold what a metadata log holds.
#[derive(Debug, Error)]
pub(super) enum BatchContentError {
    #[error("a compressed batch")]
    Compressed,
    #[error("{0} records between offsets that have room for {1}")]
    Gaps(i32, i64),
    #[error("a record that cannot be read: {0}")]
    Record(#[from] RecordError),
    #[error("a metadata record without a value")]
    NoValue,
    #[error("a control record without a type")]
    NoType,
    #[error("a control record that cannot be read: {0}")]
    Control(#[from] DecodeError),
    #[error("a set of voters that makes no sense")]
    Voters,
}

/// The key of a control record: version and type.
pub(super) fn control_key(kind: i16) -> [u8; 4] {
    let mut key = [0; 4];
    key[2..].copy_from_slice(&kind.to_be_bytes());
    key
}

/// The batch of an entry. `leader` says who begins the epoch, for a blank entry.
pub(super) fn encode(
    payload: &Payload,
    base: Offset,
    epoch: LeaderEpoch,
    now: Ms,
    leader: (NodeId, &BTreeMap<NodeId, Voter>),
) -> Vec<u8> {
    let builder = BatchBuilder::new(base).leader_epoch(epoch);
    match payload {
        Payload::Normal(records) => {
            let mut builder = builder;
            for record in records.0.iter() {
                builder.append(now, None, Some(record));
            }
            builder.finish()
        }
        Payload::Blank => {
            let mut builder = builder.control();
            let value = leader_change(leader.0, leader.1);
            builder.append(now, Some(&control_key(control::LEADER_CHANGE)), Some(&value));
            builder.finish()
        }
        Payload::Membership(membership) => {
            let mut builder = builder.control();
            for (kind, value) in membership_records(membership) {
                builder.append(now, Some(&control_key(kind)), Some(&value));
            }
            builder.finish()
        }
        Payload::Control { records, membership } => {
            // Only what another implementation wrote has this form; it is repeated so that it takes as many offsets.
            let mut builder = builder.control();
            let mut values: Vec<(i16, Bytes)> = membership.iter().flat_map(membership_records).collect();
            values.truncate(*records as usize);
            while values.len() < *records as usize {
                values.insert(0, (control::LEADER_CHANGE, leader_change(leader.0, leader.1)));
            }
            for (kind, value) in values {
                builder.append(now, Some(&control_key(kind)), Some(&value));
            }
            builder.finish()
        }
    }
}

fn leader_change(leader: NodeId, voters: &BTreeMap<NodeId, Voter>) -> Bytes {
    // Version 0, without directories: Kafka's tools read no other.
    let voter = |id: NodeId| LeaderChangeMessageVoter { voter_id: id, ..Default::default() };
    let message = LeaderChangeMessage {
        version: 0,
        leader_id: leader,
        voters: voters.keys().map(|id| voter(*id)).collect(),
        granting_voters: voters.keys().filter(|id| **id == leader).map(|id| voter(*id)).collect(),
    };
    encoded(message.encoded_size(0), |buf| message.encode(buf, 0))
}

/// Encodes what this module made itself, all of whose fields are short.
fn encoded<E: std::fmt::Debug>(size: usize, encode: impl FnOnce(&mut BytesMut) -> Result<(), E>) -> Bytes {
    let mut buf = BytesMut::with_capacity(size);
    encode(&mut buf).expect("control records have short fields and a version that exists");
    buf.freeze()
}

/// The two control records of a set of voters, by type.
pub(super) fn membership_records(membership: &Membership) -> [(i16, Bytes); 2] {
    let version = KRaftVersionRecord { version: 0, k_raft_version: KRAFT_VERSION };
    let configs = membership.get_joint_config();
    let last = configs.last().cloned().unwrap_or_default();
    let voters = VotersRecord {
        version: 0,
        voters: membership
            .nodes()
            .filter(|(id, _)| last.contains(id))
            .map(|(id, voter)| VotersVoter {
                voter_id: id.0,
                voter_directory_id: voter.directory,
                endpoints: voter
                    .endpoints
                    .iter()
                    .map(|(name, host, port)| Endpoint {
                        name: name.clone(),
                        host: host.clone(),
                        port: *port,
                    })
                    .collect(),
                k_raft_version_feature: KRaftVersionFeature {
                    min_supported_version: 0,
                    max_supported_version: KRAFT_VERSION,
                },
            })
            .collect(),
    };
    let mut bytes = encoded(voters.encoded_size(0), |buf| voters.encode(buf, 0));
    if configs.len() != 1 || membership.nodes().count() != last.len() {
        let joint = joint_json(membership).to_string();
        let mut with_tag = BytesMut::from(&bytes[..bytes.len() - 1]);
        put_varint(&mut with_tag, 1);
        put_varint(&mut with_tag, TAG_JOINT);
        put_varint(&mut with_tag, joint.len() as u32);
        with_tag.put_slice(joint.as_bytes());
        bytes = with_tag.freeze();
    }
    [
        (control::KRAFT_VERSION, encoded(version.encoded_size(0), |buf| version.encode(buf, 0))),
        (control::KRAFT_VOTERS, bytes),
    ]
}

fn joint_json(membership: &Membership) -> Value {
    let nodes: Vec<Value> = membership
        .nodes()
        .map(|(id, voter)| {
            json!({ "id": id.0, "directory": uuid_to_base64(voter.directory), "endpoints": voter.endpoints })
        })
        .collect();
    let configs: Vec<Vec<NodeId>> =
        membership.get_joint_config().iter().map(|ids| ids.iter().map(|id| id.0).collect()).collect();
    json!({ "configs": configs, "nodes": nodes })
}

fn joint_from_json(bytes: &[u8]) -> Option<Membership> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let id = |value: &Value| value.as_i64().and_then(|n| NodeId::try_from(n).ok()).map(RaftId);
    let mut nodes = BTreeMap::new();
    for node in value["nodes"].as_array()? {
        let mut voter =
            Voter { directory: uuid_from_base64(node["directory"].as_str()?)?, endpoints: Vec::new() };
        for endpoint in node["endpoints"].as_array()? {
            let port = u16::try_from(endpoint[2].as_u64()?).ok()?;
            voter.endpoints.push((endpoint[0].as_str()?.to_owned(), endpoint[1].as_str()?.to_owned(), port));
        }
        nodes.insert(id(&node["id"])?, voter);
    }
    let configs: Option<Vec<BTreeSet<RaftId>>> = value["configs"]
        .as_array()?
        .iter()
        .map(|config| config.as_array()?.iter().map(id).collect())
        .collect();
    Membership::new(configs?, nodes).ok()
}

/// The voters of a KRaftVoters record.
pub(super) fn membership_of(value: Bytes) -> Result<Membership, BatchContentError> {
    let mut rest = value.clone();
    let record = VotersRecord::decode(&mut rest, 0)?;
    // Without tagged fields the record ends in the count 0; what differs from there on is tagged.
    let plain = record.encoded_size(0);
    let mut tags = value.slice(plain.saturating_sub(1).min(value.len())..);
    if plain < value.len() && get_varint(&mut tags)? == 1 && get_varint(&mut tags)? == TAG_JOINT {
        let length = get_varint(&mut tags)? as usize;
        if length > tags.remaining() {
            return Err(BatchContentError::Voters);
        }
        return joint_from_json(&tags[..length]).ok_or(BatchContentError::Voters);
    }
    let voters: BTreeMap<RaftId, Voter> = record
        .voters
        .into_iter()
        .map(|voter| {
            let endpoints = voter.endpoints.into_iter().map(|e| (e.name, e.host, e.port)).collect();
            (RaftId(voter.voter_id), Voter { directory: voter.voter_directory_id, endpoints })
        })
        .collect();
    Membership::new(vec![voters.keys().copied().collect()], voters).map_err(|_| BatchContentError::Voters)
}

/// What a whole, checked batch holds. `owner` is the buffer that `batch` lies in, so that values need no copies.
pub(super) fn decode(batch: &Batch<'_>, owner: &Bytes) -> Result<Payload, BatchContentError> {
    let header = batch.header();
    if header.compression() != 0 {
        return Err(BatchContentError::Compressed);
    }
    let offsets = i64::from(header.last_offset_delta()) + 1;
    if i64::from(header.records_count()) != offsets {
        return Err(BatchContentError::Gaps(header.records_count(), offsets));
    }
    let records = RecordsOf::new(batch.payload(), header.records_count());
    if !header.is_control() {
        let mut values = Vec::with_capacity(header.records_count().clamp(0, 1 << 16) as usize);
        for record in records {
            values.push(owner.slice_ref(record?.value.ok_or(BatchContentError::NoValue)?));
        }
        return Ok(Payload::Normal(Records(Arc::from(values))));
    }
    let mut kinds = Vec::new();
    let mut membership = None;
    for record in records {
        let record = record?;
        let key = record.key.ok_or(BatchContentError::NoType)?;
        let kind: [u8; 2] = key.get(2..4).and_then(|k| k.try_into().ok()).ok_or(BatchContentError::NoType)?;
        let kind = i16::from_be_bytes(kind);
        if kind == control::KRAFT_VOTERS {
            let value = record.value.ok_or(BatchContentError::NoValue)?;
            membership = Some(membership_of(owner.slice_ref(value))?);
        }
        kinds.push(kind);
    }
    Ok(match (kinds.as_slice(), membership) {
        ([control::LEADER_CHANGE], None) => Payload::Blank,
        ([control::KRAFT_VERSION, control::KRAFT_VOTERS], Some(membership)) => {
            Payload::Membership(membership)
        }
        (kinds, membership) => Payload::Control { records: kinds.len() as u32, membership },
    })
}
