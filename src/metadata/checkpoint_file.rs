//! The bytes of a `.checkpoint` file: a snapshot of the metadata, or `bootstrap.checkpoint`.
//!
//! Such a file is record batches: first control records (a snapshot header, and in a quorum whose voters are data also
//! the protocol's version and the voters, KIP-853), then batches of metadata records, then a control batch with the
//! snapshot footer (KIP-630). Offsets count from 0 through the file and the leader epoch is 0. A file without its footer
//! was cut off and is refused.

use bytes::{Bytes, BytesMut};

use super::versions::{METADATA_VERSION_MIN, record_version};
use crate::schema::codec::{DecodeError, EncodeError};
use crate::schema::metadata::MetadataRecord;
use crate::schema::quorum::{KRaftVersionRecord, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord};
use crate::types::Ms;
use crate::wire::batch::{BatchError, batches};
use crate::wire::records::{BatchBuilder, RecordError, Records};

/// Bytes of records in a batch, about, before the next batch begins; Kafka reads batches of up to 8 MiB.
const BATCH_BYTES: usize = 1024 * 1024;
/// Version of every control record's key and value.
const CONTROL_VERSION: i16 = 0;

const SNAPSHOT_HEADER: i16 = 3;
const SNAPSHOT_FOOTER: i16 = 4;
const KRAFT_VERSION: i16 = 5;
const KRAFT_VOTERS: i16 = 6;

/// Name of the file that a formatted directory has.
pub const BOOTSTRAP_FILE: &str = "bootstrap.checkpoint";

/// What a file says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Checkpoint {
    /// Append time of the last record that the snapshot covers; 0 in a bootstrap file.
    pub last_contained_log_timestamp: Ms,
    /// Version of the quorum's protocol, if the file says; 0 is meant where it does not.
    pub kraft_version: Option<i16>,
    /// The voters, where they are data.
    pub voters: Option<VotersRecord>,
    /// The metadata, in order.
    pub records: Vec<MetadataRecord>,
}

/// Why bytes are no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Something that is no batch.
    #[error("at byte {at}: {source}")]
    Batch {
        /// Where it begins.
        at: usize,
        /// What is wrong.
        source: BatchError,
    },
    /// A batch whose records cannot be read.
    #[error("in the batch at offset {offset}: {source}")]
    Record {
        /// The batch's base offset.
        offset: i64,
        /// What is wrong.
        source: RecordError,
    },
    /// A record that cannot be decoded.
    #[error("in the batch at offset {offset}: {source}")]
    Schema {
        /// The batch's base offset.
        offset: i64,
        /// What is wrong.
        source: DecodeError,
    },
    /// Batches or records that do not follow each other as they must.
    #[error("in the batch at offset {offset}: {what}")]
    Order {
        /// The batch's base offset.
        offset: i64,
        /// What is wrong.
        what: &'static str,
    },
    /// The end is missing.
    #[error("the snapshot footer is missing: the file was cut off")]
    NoFooter,
}

impl Checkpoint {
    /// Reads a whole file. Checksums, order and completeness are checked; memory stays in proportion to the file.
    pub fn parse(file: &Bytes) -> Result<Checkpoint, CheckpointError> {
        let mut checkpoint = Checkpoint::default();
        let (mut at, mut next_offset, mut begun, mut ended) = (0, 0, false, false);
        for batch in batches(file) {
            let bad_batch = |source| CheckpointError::Batch { at, source };
            let batch = batch.map_err(bad_batch)?;
            batch.verify_checksum().map_err(bad_batch)?;
            let header = batch.header();
            let offset = header.base_offset();
            let order = |what| CheckpointError::Order { offset, what };
            if ended {
                return Err(order("something follows the snapshot footer"));
            }
            if offset != next_offset {
                return Err(order("offsets must follow each other from 0 on"));
            }
            let records =
                Records::of(&batch).ok_or_else(|| order("batches of a checkpoint are not compressed"))?;
            for record in records {
                let record = record.map_err(|source| CheckpointError::Record { offset, source })?;
                let value = record.value.ok_or_else(|| order("a record has no value"))?;
                let mut value = file.slice_ref(value);
                let schema = |source| CheckpointError::Schema { offset, source };
                if !header.is_control() {
                    if !begun {
                        return Err(order("the snapshot header must come first"));
                    }
                    checkpoint.records.push(MetadataRecord::decode(value).map_err(schema)?);
                    continue;
                }
                match record.key {
                    Some(&[0, 0, a, b]) => match i16::from_be_bytes([a, b]) {
                        SNAPSHOT_HEADER if !begun => {
                            let header =
                                SnapshotHeaderRecord::decode(&mut value, CONTROL_VERSION).map_err(schema)?;
                            checkpoint.last_contained_log_timestamp = header.last_contained_log_timestamp;
                            begun = true;
                        }
                        SNAPSHOT_FOOTER if begun => ended = true,
                        KRAFT_VERSION if begun => {
                            let version =
                                KRaftVersionRecord::decode(&mut value, CONTROL_VERSION).map_err(schema)?;
                            checkpoint.kraft_version = Some(version.k_raft_version);
                        }
                        KRAFT_VOTERS if begun => {
                            checkpoint.voters =
                                Some(VotersRecord::decode(&mut value, CONTROL_VERSION).map_err(schema)?);
                        }
                        _ => return Err(order("a control record that does not belong here")),
                    },
                    _ => return Err(order("a control record has an unknown key")),
                }
            }
            if header.last_offset_delta() < 0 {
                return Err(order("a last offset before the first"));
            }
            next_offset = header.next_offset();
            at += batch.bytes().len();
        }
        if ended { Ok(checkpoint) } else { Err(CheckpointError::NoFooter) }
    }

    /// The finalized level of a feature; 0 if the records do not name it.
    pub fn feature_level(&self, name: &str) -> i16 {
        let level = |record: &MetadataRecord| match record {
            MetadataRecord::FeatureLevel(feature) if feature.name == name => Some(feature.feature_level),
            _ => None,
        };
        self.records.iter().rev().find_map(level).unwrap_or(0)
    }

    /// Writes the file as Kafka does, with `now` as the time of every record. Records are written in the versions that
    /// their `metadata.version` has.
    ///
    /// # Errors
    ///
    /// If a field is too long for its length.
    pub fn to_bytes(&self, now: Ms) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        let mut offset = 0;
        let mut control = BatchBuilder::new(offset).leader_epoch(0).control();
        let header = SnapshotHeaderRecord {
            version: CONTROL_VERSION,
            last_contained_log_timestamp: self.last_contained_log_timestamp,
        };
        let mut buf = BytesMut::new();
        header.encode(&mut buf, CONTROL_VERSION)?;
        append_control(&mut control, now, SNAPSHOT_HEADER, &buf);
        if let Some(k_raft_version) = self.kraft_version {
            let record = KRaftVersionRecord { version: CONTROL_VERSION, k_raft_version };
            buf.clear();
            record.encode(&mut buf, CONTROL_VERSION)?;
            append_control(&mut control, now, KRAFT_VERSION, &buf);
        }
        if let Some(voters) = &self.voters {
            buf.clear();
            voters.encode(&mut buf, CONTROL_VERSION)?;
            append_control(&mut control, now, KRAFT_VOTERS, &buf);
        }
        offset += i64::from(control.count());
        out.extend(control.finish());

        let level = self.feature_level("metadata.version").max(METADATA_VERSION_MIN);
        let mut records = self.records.iter().peekable();
        while records.peek().is_some() {
            let mut batch = BatchBuilder::new(offset).leader_epoch(0);
            while batch.bytes() < BATCH_BYTES
                && let Some(record) = records.next()
            {
                buf.clear();
                record.encode(&mut buf, record_version(record, level))?;
                batch.append(now, None, Some(&buf));
            }
            offset += i64::from(batch.count());
            out.extend(batch.finish());
        }

        let mut end = BatchBuilder::new(offset).leader_epoch(0).control();
        buf.clear();
        SnapshotFooterRecord { version: CONTROL_VERSION }.encode(&mut buf, CONTROL_VERSION)?;
        append_control(&mut end, now, SNAPSHOT_FOOTER, &buf);
        out.extend(end.finish());
        Ok(out)
    }
}

fn append_control(batch: &mut BatchBuilder, now: Ms, control_type: i16, value: &[u8]) {
    let [a, b] = control_type.to_be_bytes();
    batch.append(now, Some(&[0, 0, a, b]), Some(value));
}

#[cfg(test)]
#[path = "checkpoint_file_test.rs"]
mod tests;
