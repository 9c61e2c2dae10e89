//! Control records: what markers of transactions and the quorum's own notes say.
//!
//! The key is a version and a type, both 16 bits; the value depends on the type. Newer key and value versions only add
//! fields at the end, so a reader takes what it knows and ignores the rest; types it does not know are
//! [`ControlType::Unknown`], which consumers skip.

use uuid::Uuid;

use crate::types::{LeaderEpoch, Ms, NodeId, Offset, ProducerEpoch, ProducerId};
use crate::wire::records::{BatchBuilder, Record};

/// Most voters and endpoints of a voter that are read from a record.
const ENTRIES_MAX: u32 = 1000;

/// What a control record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlType {
    /// The transaction's records are void.
    Abort,
    /// The transaction's records count.
    Commit,
    /// A leader of the metadata log took office.
    LeaderChange,
    /// A snapshot of the metadata begins.
    SnapshotHeader,
    /// A snapshot of the metadata ends.
    SnapshotFooter,
    /// The version of KRaft in force (KIP-853).
    KRaftVersion,
    /// The voters in force (KIP-853).
    KRaftVoters,
    /// One of a later Kafka; its number.
    Unknown(i16),
}

impl ControlType {
    /// The type of that number.
    pub fn from_number(number: i16) -> ControlType {
        match number {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KRaftVersion,
            6 => ControlType::KRaftVoters,
            unknown => ControlType::Unknown(unknown),
        }
    }

    /// The number in the key.
    pub fn number(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KRaftVersion => 5,
            ControlType::KRaftVoters => 6,
            ControlType::Unknown(number) => number,
        }
    }

    /// The key of a control record of this type.
    pub fn key(self) -> [u8; 4] {
        let [a, b] = self.number().to_be_bytes();
        [0, 0, a, b]
    }
}

/// Why a control record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// It has no key or no value.
    #[error("a control record without key or value")]
    Missing,
    /// Fewer bytes than its fields need.
    #[error("a control record is cut off")]
    Truncated,
    /// A version below zero.
    #[error("version {0} of a control record")]
    Version(i16),
    /// A count or length that cannot be.
    #[error("a count or length of {0} in a control record")]
    Length(u32),
    /// Text that is not UTF-8.
    #[error("text in a control record is not UTF-8")]
    Text,
}

/// A marker that ends a transaction (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// True if the transaction is committed, false if it is aborted.
    pub commit: bool,
    /// Epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
}

/// A voter in a leader change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeVoter {
    /// Its id.
    pub id: NodeId,
    /// Its directory; nil in version 0 of the record.
    pub directory_id: Uuid,
}

/// A new leader of the metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderChange {
    /// 0, or 1 with directory ids.
    pub version: i16,
    /// The leader.
    pub leader_id: NodeId,
    /// Who may vote.
    pub voters: Vec<ChangeVoter>,
    /// Who voted for it.
    pub granting_voters: Vec<ChangeVoter>,
}

/// Where a voter listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the listener.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// A voter of the metadata quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Its id.
    pub id: NodeId,
    /// Its metadata directory.
    pub directory_id: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// The versions of KRaft that it supports, from and to.
    pub kraft_versions: (i16, i16),
}

/// What a control record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRecord {
    /// A transaction ends.
    EndTxn(EndTxnMarker),
    /// The metadata log has a new leader.
    LeaderChange(LeaderChange),
    /// A snapshot begins.
    SnapshotHeader {
        /// Append time of the last record that the snapshot covers.
        last_contained_log_timestamp: Ms,
    },
    /// A snapshot ends.
    SnapshotFooter,
    /// The version of KRaft.
    KRaftVersion(i16),
    /// The voters.
    KRaftVoters(Vec<Voter>),
    /// One that this version does not know, to be skipped.
    Unknown(i16),
}

impl ControlRecord {
    /// Reads a record of a control batch.
    pub fn parse(record: &Record<'_>) -> Result<ControlRecord, ControlError> {
        let control_type = parse_key(record.key.ok_or(ControlError::Missing)?)?;
        let mut value = Reader(record.value.ok_or(ControlError::Missing)?);
        let commit = control_type == ControlType::Commit;
        let version = match control_type {
            ControlType::Unknown(number) => return Ok(ControlRecord::Unknown(number)),
            _ => value.i16()?,
        };
        if version < 0 {
            return Err(ControlError::Version(version));
        }
        Ok(match control_type {
            ControlType::Abort | ControlType::Commit => {
                ControlRecord::EndTxn(EndTxnMarker { commit, coordinator_epoch: value.i32()? })
            }
            ControlType::LeaderChange => ControlRecord::LeaderChange(LeaderChange {
                version,
                leader_id: value.i32()?,
                voters: value.array(|value| value.change_voter(version))?,
                granting_voters: value.array(|value| value.change_voter(version))?,
            }),
            ControlType::SnapshotHeader => {
                ControlRecord::SnapshotHeader { last_contained_log_timestamp: value.i64()? }
            }
            ControlType::SnapshotFooter => ControlRecord::SnapshotFooter,
            ControlType::KRaftVersion => ControlRecord::KRaftVersion(value.i16()?),
            ControlType::KRaftVoters => ControlRecord::KRaftVoters(value.array(Reader::voter)?),
            ControlType::Unknown(number) => ControlRecord::Unknown(number),
        })
    }

    /// The type in the key.
    pub fn control_type(&self) -> ControlType {
        match self {
            ControlRecord::EndTxn(EndTxnMarker { commit: true, .. }) => ControlType::Commit,
            ControlRecord::EndTxn(EndTxnMarker { commit: false, .. }) => ControlType::Abort,
            ControlRecord::LeaderChange(_) => ControlType::LeaderChange,
            ControlRecord::SnapshotHeader { .. } => ControlType::SnapshotHeader,
            ControlRecord::SnapshotFooter => ControlType::SnapshotFooter,
            ControlRecord::KRaftVersion(_) => ControlType::KRaftVersion,
            ControlRecord::KRaftVoters(_) => ControlType::KRaftVoters,
            ControlRecord::Unknown(number) => ControlType::Unknown(*number),
        }
    }

    /// The value of the record, as Kafka writes it. Empty for an unknown type.
    pub fn value(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            ControlRecord::EndTxn(marker) => {
                out.extend([0; 2]);
                out.extend(marker.coordinator_epoch.to_be_bytes());
            }
            ControlRecord::LeaderChange(change) => {
                out.extend(change.version.to_be_bytes());
                out.extend(change.leader_id.to_be_bytes());
                for voters in [&change.voters, &change.granting_voters] {
                    put_unsigned(&mut out, voters.len() as u32 + 1);
                    for voter in voters {
                        out.extend(voter.id.to_be_bytes());
                        if change.version >= 1 {
                            out.extend(voter.directory_id.as_bytes());
                        }
                        out.push(0);
                    }
                }
                out.push(0);
            }
            ControlRecord::SnapshotHeader { last_contained_log_timestamp } => {
                out.extend([0; 2]);
                out.extend(last_contained_log_timestamp.to_be_bytes());
                out.push(0);
            }
            ControlRecord::SnapshotFooter => out.extend([0; 3]),
            ControlRecord::KRaftVersion(version) => {
                out.extend([0; 2]);
                out.extend(version.to_be_bytes());
                out.push(0);
            }
            ControlRecord::KRaftVoters(voters) => {
                out.extend([0; 2]);
                put_unsigned(&mut out, voters.len() as u32 + 1);
                for voter in voters {
                    put_voter(&mut out, voter);
                }
                out.push(0);
            }
            ControlRecord::Unknown(_) => {}
        }
        out
    }
}

/// Reads the key of a control record; only this is needed to tell a commit from an abort.
pub fn parse_key(key: &[u8]) -> Result<ControlType, ControlError> {
    let mut key = Reader(key);
    let version = key.i16()?;
    if version < 0 {
        return Err(ControlError::Version(version));
    }
    Ok(ControlType::from_number(key.i16()?))
}

/// A batch with the marker that ends a transaction, as coordinators have it appended.
pub fn end_txn_batch(
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    marker: EndTxnMarker,
    now: Ms,
) -> Vec<u8> {
    let record = ControlRecord::EndTxn(marker);
    let builder = BatchBuilder::new(base_offset).leader_epoch(leader_epoch);
    let mut builder = builder.producer(producer_id, producer_epoch, -1).transactional().control();
    builder.append(now, Some(&record.control_type().key()), Some(&record.value()));
    builder.finish()
}

/// A batch with one control record of the quorum.
pub fn quorum_batch(
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    record: &ControlRecord,
    now: Ms,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base_offset).leader_epoch(leader_epoch).control();
    builder.append(now, Some(&record.control_type().key()), Some(&record.value()));
    builder.finish()
}

fn put_voter(out: &mut Vec<u8>, voter: &Voter) {
    out.extend(voter.id.to_be_bytes());
    out.extend(voter.directory_id.as_bytes());
    put_unsigned(out, voter.endpoints.len() as u32 + 1);
    for endpoint in &voter.endpoints {
        for text in [&endpoint.name, &endpoint.host] {
            put_unsigned(out, text.len() as u32 + 1);
            out.extend(text.as_bytes());
        }
        out.extend(endpoint.port.to_be_bytes());
        out.push(0);
    }
    let (from, to) = voter.kraft_versions;
    out.extend(from.to_be_bytes());
    out.extend(to.to_be_bytes());
    // No tagged fields, of the version feature and of the voter.
    out.extend([0; 2]);
}

fn put_unsigned(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads the fields of a flexible message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ControlError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ControlError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn i16(&mut self) -> Result<i16, ControlError> {
        self.fixed().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, ControlError> {
        self.fixed().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, ControlError> {
        self.fixed().map(i64::from_be_bytes)
    }

    fn unsigned(&mut self) -> Result<u32, ControlError> {
        let mut number = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ControlError::Length(number))
    }

    fn bytes(&mut self, count: u32) -> Result<&'a [u8], ControlError> {
        let (taken, rest) = self.0.split_at_checked(count as usize).ok_or(ControlError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A length or count, which is written one higher; 0 would be null, which no field here may be.
    fn length(&mut self) -> Result<u32, ControlError> {
        self.unsigned()?.checked_sub(1).ok_or(ControlError::Length(0))
    }

    fn text(&mut self) -> Result<String, ControlError> {
        let length = self.length()?;
        let text = std::str::from_utf8(self.bytes(length)?).map_err(|_| ControlError::Text)?;
        Ok(text.to_owned())
    }

    fn array<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, ControlError>,
    ) -> Result<Vec<T>, ControlError> {
        let count = self.length()?;
        if count > ENTRIES_MAX {
            return Err(ControlError::Length(count));
        }
        (0..count).map(|_| one(self)).collect()
    }

    fn tagged_fields(&mut self) -> Result<(), ControlError> {
        for _ in 0..self.unsigned()? {
            self.unsigned()?;
            let length = self.unsigned()?;
            self.bytes(length)?;
        }
        Ok(())
    }

    fn uuid(&mut self) -> Result<Uuid, ControlError> {
        self.fixed().map(Uuid::from_bytes)
    }

    fn change_voter(&mut self, version: i16) -> Result<ChangeVoter, ControlError> {
        let id = self.i32()?;
        let directory_id = if version >= 1 { self.uuid()? } else { Uuid::nil() };
        self.tagged_fields()?;
        Ok(ChangeVoter { id, directory_id })
    }

    fn voter(&mut self) -> Result<Voter, ControlError> {
        let (id, directory_id) = (self.i32()?, self.uuid()?);
        let endpoints = self.array(|reader| {
            let endpoint =
                Endpoint { name: reader.text()?, host: reader.text()?, port: reader.i16()? as u16 };
            reader.tagged_fields()?;
            Ok(endpoint)
        })?;
        let kraft_versions = (self.i16()?, self.i16()?);
        self.tagged_fields()?;
        self.tagged_fields()?;
        Ok(Voter { id, directory_id, endpoints, kraft_versions })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::batch::Batch;
    use crate::wire::records::Records;

    fn samples() -> Vec<ControlRecord> {
        let voter = |id| ChangeVoter { id, directory_id: Uuid::nil() };
        let directory_id = Uuid::from_u128(77);
        vec![
            ControlRecord::EndTxn(EndTxnMarker { commit: true, coordinator_epoch: 7 }),
            ControlRecord::EndTxn(EndTxnMarker { commit: false, coordinator_epoch: -1 }),
            ControlRecord::LeaderChange(LeaderChange {
                version: 0,
                leader_id: 3,
                voters: vec![voter(1), voter(3)],
                granting_voters: vec![voter(3)],
            }),
            ControlRecord::LeaderChange(LeaderChange {
                version: 1,
                leader_id: 3,
                voters: vec![ChangeVoter { id: 3, directory_id }],
                granting_voters: vec![],
            }),
            ControlRecord::SnapshotHeader { last_contained_log_timestamp: 12_345 },
            ControlRecord::SnapshotFooter,
            ControlRecord::KRaftVersion(1),
            ControlRecord::KRaftVoters(vec![Voter {
                id: 9,
                directory_id,
                endpoints: vec![Endpoint { name: "CONTROLLER".into(), host: "h".repeat(200), port: 65_535 }],
                kraft_versions: (0, 1),
            }]),
        ]
    }

    #[test]
    fn what_is_built_is_read() {
        for sample in samples() {
            let bytes = quorum_batch(5, 2, &sample, 1000);
            let batch = Batch::first_of(&bytes).unwrap();
            assert!(batch.header().is_control());
            let record = Records::of(&batch).unwrap().next().unwrap().unwrap();
            assert_eq!(ControlRecord::parse(&record).unwrap(), sample);
            let none = Record { value: Some(&[0]), ..record };
            assert_eq!(ControlRecord::parse(&none), Err(ControlError::Truncated));
        }
    }

    #[test]
    fn markers_are_kafkas_bytes() {
        let bytes = end_txn_batch(0, 0, 10, 1, EndTxnMarker { commit: true, coordinator_epoch: 3 }, 0);
        let batch = Batch::first_of(&bytes).unwrap();
        assert!(batch.header().is_transactional() && batch.header().is_control());
        assert_eq!(batch.header().base_sequence(), -1);
        // length, attributes, deltas, key and value as EndTransactionMarker writes them, no headers.
        assert_eq!(batch.payload(), [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 3, 0]);
    }

    #[test]
    fn later_kafkas_are_understood_as_far_as_can_be() {
        assert_eq!(parse_key(&[0, 1, 0, 9, 5]), Ok(ControlType::Unknown(9)));
        assert_eq!(parse_key(&[0xff, 0xff, 0, 0]), Err(ControlError::Version(-1)));
        assert_eq!(parse_key(&[0, 0, 0]), Err(ControlError::Truncated));
    }

    proptest! {
        #[test]
        fn noise_never_panics(kind in 0i16..8, value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let key = ControlType::from_number(kind).key();
            let (key, value) = (Some(key.as_slice()), Some(value.as_slice()));
            let headers = crate::wire::records::Headers::NONE;
            let record = Record { attributes: 0, timestamp_delta: 0, offset_delta: 0, key, value, headers };
            let _ = ControlRecord::parse(&record);
        }
    }
}
