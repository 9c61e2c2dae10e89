//! What a leader checks in a batch that somebody produces, and what it rewrites in its header.
//!
//! The payload is read once for the checksum and once, while it is in the cache, for the records; it is never copied
//! unless the topic wants another codec. What comes out is a patched header and the place of the payload. Offsets are
//! given later ([`AppendPlan::assign`]), so that all of this happens before the partition's lock is taken.
//!
//! The rules are those of Kafka's `LogValidator` and `UnifiedLog` for format v2, in their order, with three holes closed:
//!
//! * offset deltas must be 0, 1, 2, ...; Kafka stores uncompressed batches with doubled deltas;
//! * decompressed records are limited in size; Kafka inflates whatever it is sent;
//! * a batch that says its timestamps are append times is refused whatever the topic says; Kafka takes it for a topic
//!   with creation times, checks the wrong timestamps and then changes what they mean.
//!
//! Malformed compressed data is INVALID_RECORD here; Kafka answers UNKNOWN_SERVER_ERROR. Both are final for a client.

use std::ops::Range;

use crate::types::{ErrorCode, LeaderEpoch, Ms, Offset};
use crate::wire::batch::{
    self, Batch, BatchError, BatchHeader, CHECKSUMMED_FROM, COMPRESSION_MASK, HEADER_BYTES, LOG_APPEND_TIME,
    LOG_OVERHEAD_BYTES, batches,
};
use crate::wire::compress::{self, Codec, CompressError, Compression, Inflate};
use crate::wire::records::{Cursor, Record, RecordError};

/// Most record errors that are kept of one batch; the rest is only counted.
pub const RECORD_ERRORS_MAX: usize = 1000;

/// Who made a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A Produce request: everything is checked.
    Client,
    /// This node's coordinators: control batches and batches without a sequence are fine.
    Coordinator,
}

/// What timestamps of a topic mean: `message.timestamp.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer sets them.
    CreateTime,
    /// The leader sets them when it appends.
    LogAppendTime,
}

/// The settings of a topic and its broker that decide about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidateConfig {
    /// `max.message.bytes`: most bytes of a batch, header included, as sent and as stored.
    pub max_message_bytes: usize,
    /// Most bytes that compressed records may decompress to.
    pub max_decompressed_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`, 0 and up.
    pub timestamp_before_max_ms: Ms,
    /// `message.timestamp.after.max.ms`, 0 and up.
    pub timestamp_after_max_ms: Ms,
    /// `compression.type`; `None` is `producer`: as it comes.
    pub compression: Option<Compression>,
    /// True if `cleanup.policy` has `compact`: records must have keys.
    pub compacted: bool,
}

impl Default for ValidateConfig {
    /// Kafka's defaults for a topic.
    fn default() -> Self {
        ValidateConfig {
            max_message_bytes: 1_048_588,
            max_decompressed_bytes: 128 << 20,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: Ms::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: None,
            compacted: false,
        }
    }
}

/// Why a record was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordIssue {
    /// No key in a compacted topic.
    NoKey,
    /// The timestamp is too far from now.
    Timestamp {
        /// The record's timestamp.
        timestamp: Ms,
        /// The earliest that is taken.
        earliest: Ms,
        /// The latest that is taken.
        latest: Ms,
    },
}

/// One refused record, as Produce answers name it (KIP-467).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Its place in the batch, from 0.
    pub batch_index: i32,
    /// What is wrong with it.
    pub issue: RecordIssue,
}

impl RefusedRecord {
    /// The text for `batch_index_error_message`.
    pub fn message(&self) -> String {
        match self.issue {
            RecordIssue::NoKey => "The topic is compacted and the record has no key".to_owned(),
            RecordIssue::Timestamp { timestamp, earliest, latest } => {
                format!("Timestamp {timestamp} is not between {earliest} and {latest}")
            }
        }
    }
}

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// The bytes hold no whole batch.
    #[error("no batch")]
    NoBatch,
    /// More than one batch for a partition.
    #[error("more than one batch")]
    ManyBatches,
    /// A record format of before Kafka 0.11.
    #[error("record format {0} is not 2")]
    OldFormat(i8),
    /// The length or the format in the header makes no sense.
    #[error("the header makes no sense: {0}")]
    Header(BatchError),
    /// The checksum differs.
    #[error("the batch is corrupt: {0}")]
    Corrupt(BatchError),
    /// Clients begin at offset 0.
    #[error("the batch begins at offset {0}, not at 0")]
    BaseOffset(Offset),
    /// The batch is larger than the topic allows, as it came or recompressed.
    #[error("the batch has {bytes} bytes, more than {max}")]
    TooLarge {
        /// Bytes of the batch.
        bytes: usize,
        /// `max.message.bytes`.
        max: usize,
    },
    /// The records decompress to more than is allowed.
    #[error("the records decompress to more than {0} bytes")]
    DecompressedTooLarge(usize),
    /// A codec that does not exist.
    #[error("no codec has the number {0}")]
    UnknownCodec(u8),
    /// Count and last offset delta do not belong together, or are not above zero.
    #[error("{count} records with a last offset delta of {last_offset_delta}")]
    Count {
        /// The header's count.
        count: i32,
        /// The header's last offset delta.
        last_offset_delta: i32,
    },
    /// A control batch from a client.
    #[error("clients may not write control records")]
    Control,
    /// A producer id without a sequence number.
    #[error("sequence {0} with a producer id")]
    Sequence(i32),
    /// A record's bytes are no record, or there are too few or too many of them.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The records do not decompress.
    #[error("{0}")]
    Compressed(CompressError),
    /// A record is not at the offset of its place in the batch.
    #[error("record {index} has the offset delta {offset_delta}")]
    OffsetDelta {
        /// Its place in the batch, from 0.
        index: i32,
        /// Its offset delta.
        offset_delta: i32,
    },
    /// A producer claims append times.
    #[error("a producer may not set the timestamp type to append time")]
    AppendTimeFromProducer,
    /// Single records are refused, and with them the batch.
    #[error("One or more records have been rejected due to {}", what_is_wrong(refused, *total))]
    Records {
        /// The refused records, at most [`RECORD_ERRORS_MAX`].
        refused: Vec<RefusedRecord>,
        /// How many there are.
        total: usize,
    },
}

impl ValidateError {
    /// What Kafka answers.
    pub fn code(&self) -> ErrorCode {
        match self {
            ValidateError::Header(_) | ValidateError::Corrupt(_) => ErrorCode::CorruptMessage,
            ValidateError::TooLarge { .. } | ValidateError::DecompressedTooLarge(_) => {
                ErrorCode::MessageTooLarge
            }
            ValidateError::UnknownCodec(_) => ErrorCode::UnsupportedCompressionType,
            ValidateError::AppendTimeFromProducer => ErrorCode::InvalidTimestamp,
            ValidateError::Records { refused, .. } => {
                if has_wrong_timestamp(refused) {
                    ErrorCode::InvalidTimestamp
                } else {
                    ErrorCode::InvalidRecord
                }
            }
            ValidateError::NoBatch
            | ValidateError::ManyBatches
            | ValidateError::OldFormat(_)
            | ValidateError::BaseOffset(_)
            | ValidateError::Count { .. }
            | ValidateError::Control
            | ValidateError::Sequence(_)
            | ValidateError::Record(_)
            | ValidateError::Compressed(_)
            | ValidateError::OffsetDelta { .. } => ErrorCode::InvalidRecord,
        }
    }

    /// The refused records, for `record_errors` in the answer; empty if it was not about single records.
    pub fn refused_records(&self) -> &[RefusedRecord] {
        match self {
            ValidateError::Records { refused, .. } => refused,
            _ => &[],
        }
    }
}

fn has_wrong_timestamp(refused: &[RefusedRecord]) -> bool {
    refused.iter().any(|record| matches!(record.issue, RecordIssue::Timestamp { .. }))
}

/// The end of the message about refused records. About timestamps clients get Kafka's words, which programs compare
/// with; which record and which timestamp stands in `record_errors`.
fn what_is_wrong(refused: &[RefusedRecord], total: usize) -> String {
    if has_wrong_timestamp(refused) {
        return "invalid timestamp".to_owned();
    }
    let first = refused.first().map(RefusedRecord::message).unwrap_or_default();
    format!("{total} record errors in total; the first: {first}")
}

impl From<CompressError> for ValidateError {
    fn from(error: CompressError) -> Self {
        match error {
            CompressError::TooLarge { limit } => ValidateError::DecompressedTooLarge(limit),
            error => ValidateError::Compressed(error),
        }
    }
}

/// Where the records of a valid batch are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// In the input, untouched.
    Input(Range<usize>),
    /// Here, in the topic's codec.
    Recompressed(Vec<u8>),
}

/// A batch that may be appended: the header to write and where the rest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendPlan {
    header: [u8; HEADER_BYTES],
    /// The records.
    pub payload: Payload,
    /// Largest timestamp of the records, or the append time; -1 if no record has one.
    pub max_timestamp: Ms,
    /// The append time, if the topic has append times: goes into the answer.
    pub append_time: Option<Ms>,
    /// Number of records, at least 1 from clients.
    pub records: i32,
    /// Bytes of the batch as it will lie in the log.
    pub bytes: usize,
}

impl AppendPlan {
    /// Gives the batch its place. The checksum covers neither, so this is cheap and can be done again.
    pub fn assign(&mut self, first_offset: Offset, leader_epoch: LeaderEpoch) {
        batch::set_base_offset(&mut self.header, first_offset);
        batch::set_partition_leader_epoch(&mut self.header, leader_epoch);
    }

    /// The header to write in front of the payload.
    pub fn header_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.header
    }

    /// A view of [`Self::header_bytes`].
    pub fn header(&self) -> BatchHeader<'_> {
        BatchHeader::of(&self.header)
    }

    /// The payload's bytes; `input` is what was validated.
    pub fn payload<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match &self.payload {
            Payload::Input(range) => &input[range.clone()],
            Payload::Recompressed(bytes) => bytes,
        }
    }

    /// Offset of the last record; also what indexes note for the largest timestamp, as in Kafka.
    pub fn last_offset(&self) -> Offset {
        self.header().last_offset()
    }
}

/// The first Produce version that may carry zstd (KIP-110).
const ZSTD_SINCE_PRODUCE_VERSION: i16 = 7;

/// True if a Produce request of `api_version` may carry the batch at the front of `input`; if not, the answer is
/// UNSUPPORTED_COMPRESSION_TYPE. Whether it is a batch at all is for [`validate`] to say.
pub fn codec_allowed(input: &[u8], api_version: i16) -> bool {
    api_version >= ZSTD_SINCE_PRODUCE_VERSION
        || BatchHeader::new(input).is_none_or(|header| header.compression() != Codec::Zstd.number())
}

/// Checks what one partition is to get by a Produce request or from a coordinator. `input` holds exactly one batch; an
/// incomplete second one behind it is ignored, as Kafka does.
pub fn validate(
    input: &[u8],
    config: &ValidateConfig,
    origin: AppendOrigin,
    now: Ms,
) -> Result<AppendPlan, ValidateError> {
    let batch = only_batch(input)?;
    let header = batch.header();
    let codec =
        Codec::from_number(header.compression()).ok_or(ValidateError::UnknownCodec(header.compression()))?;
    if origin == AppendOrigin::Client && header.base_offset() != 0 {
        return Err(ValidateError::BaseOffset(header.base_offset()));
    }
    within(batch.bytes().len(), config.max_message_bytes)?;
    batch.verify_checksum().map_err(ValidateError::Corrupt)?;
    check_header(header, origin)?;
    if header.is_log_append_time() {
        return Err(ValidateError::AppendTimeFromProducer);
    }

    let mut walk = Walk::new(header, config, now);
    let target = match config.compression {
        // Control records stay as they are.
        Some(target) if target.codec != codec && !header.is_control() => Some(target),
        _ => None,
    };
    let payload = match (codec, target) {
        (Codec::None, None) => {
            walk.all(batch.payload())?;
            Payload::Input(HEADER_BYTES..batch.bytes().len())
        }
        (codec, None) => {
            compress::with_scratch(|scratch| {
                walk.stream(scratch.inflate(codec, batch.payload(), config.max_decompressed_bytes)?)
            })?;
            Payload::Input(HEADER_BYTES..batch.bytes().len())
        }
        (codec, Some(target)) => Payload::Recompressed(recompress(&mut walk, codec, target, batch, config)?),
    };
    let max_timestamp = walk.finish()?;
    plan(batch, payload, target, max_timestamp, config, now)
}

fn within(bytes: usize, max: usize) -> Result<(), ValidateError> {
    if bytes > max { Err(ValidateError::TooLarge { bytes, max }) } else { Ok(()) }
}

fn only_batch(input: &[u8]) -> Result<Batch<'_>, ValidateError> {
    let foreign = |error| match error {
        BatchError::Truncated { .. } => ValidateError::NoBatch,
        BatchError::Magic(magic @ (0 | 1)) => ValidateError::OldFormat(magic),
        BatchError::Magic(_) | BatchError::Length(_) | BatchError::Checksum { .. } => {
            ValidateError::Header(error)
        }
    };
    let mut all = batches(input);
    let first = all.next().ok_or(ValidateError::NoBatch)?.map_err(foreign)?;
    match all.next() {
        None | Some(Err(BatchError::Truncated { .. })) => Ok(first),
        Some(Ok(_)) => Err(ValidateError::ManyBatches),
        Some(Err(error)) => Err(foreign(error)),
    }
}

fn check_header(header: BatchHeader<'_>, origin: AppendOrigin) -> Result<(), ValidateError> {
    let (count, last_offset_delta) = (header.records_count(), header.last_offset_delta());
    // Coordinators' batches obey this too: they are built here.
    if count <= 0 || last_offset_delta < 0 || last_offset_delta != count - 1 {
        return Err(ValidateError::Count { count, last_offset_delta });
    }
    if origin == AppendOrigin::Client {
        if header.is_control() {
            return Err(ValidateError::Control);
        }
        if header.has_producer_id() && header.base_sequence() < 0 {
            return Err(ValidateError::Sequence(header.base_sequence()));
        }
    }
    Ok(())
}

fn recompress(
    walk: &mut Walk,
    codec: Codec,
    target: Compression,
    batch: Batch<'_>,
    config: &ValidateConfig,
) -> Result<Vec<u8>, ValidateError> {
    let mut plain = Vec::new();
    let records = if codec == Codec::None {
        batch.payload()
    } else {
        compress::decompress(codec, batch.payload(), config.max_decompressed_bytes, &mut plain)?;
        &plain
    };
    walk.all(records)?;
    if target.codec == Codec::None {
        return Ok(plain);
    }
    // Deltas stay what they are, so the records' bytes do too.
    let mut out = Vec::with_capacity(records.len() / 2);
    compress::compress(target, records, &mut out)?;
    Ok(out)
}

fn plan(
    batch: Batch<'_>,
    payload: Payload,
    target: Option<Compression>,
    max_timestamp: Ms,
    config: &ValidateConfig,
    now: Ms,
) -> Result<AppendPlan, ValidateError> {
    let header = batch.header();
    let append_time = (config.timestamp_type == TimestampType::LogAppendTime).then_some(now);
    let max_timestamp = append_time.unwrap_or(max_timestamp);
    let mut attributes = header.attributes();
    if append_time.is_some() {
        attributes |= LOG_APPEND_TIME;
    }
    if let Some(target) = target {
        attributes = (attributes & !COMPRESSION_MASK) | i16::from(target.codec.number());
    }

    let mut patched = [0u8; HEADER_BYTES];
    patched.copy_from_slice(&batch.bytes()[..HEADER_BYTES]);
    let mut bytes = batch.bytes().len();
    if let Payload::Recompressed(records) = &payload {
        bytes = HEADER_BYTES + records.len();
        within(bytes, config.max_message_bytes)?;
        let length = i32::try_from(bytes - LOG_OVERHEAD_BYTES)
            .map_err(|_| ValidateError::TooLarge { bytes, max: config.max_message_bytes })?;
        patched[8..12].copy_from_slice(&length.to_be_bytes());
    }
    let rewritten = attributes != header.attributes() || max_timestamp != header.max_timestamp();
    patched[21..23].copy_from_slice(&attributes.to_be_bytes());
    patched[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    let crc = match &payload {
        Payload::Recompressed(records) => {
            Some(crc32c::crc32c_append(crc32c::crc32c(&patched[CHECKSUMMED_FROM..]), records))
        }
        Payload::Input(records) if rewritten => {
            let old = &batch.bytes()[CHECKSUMMED_FROM..HEADER_BYTES];
            Some(crc_after_rewrite(header.crc(), old, &patched[CHECKSUMMED_FROM..], records.len()))
        }
        Payload::Input(_) => None,
    };
    if let Some(crc) = crc {
        patched[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    Ok(AppendPlan {
        header: patched,
        payload,
        max_timestamp,
        append_time,
        records: header.records_count(),
        bytes,
    })
}

/// The checksum of `new` and a tail of `tail_bytes`, given that of `old` and the same tail: the checksum is linear, so
/// the tail need not be read again.
fn crc_after_rewrite(whole: u32, old: &[u8], new: &[u8], tail_bytes: usize) -> u32 {
    let changed = crc32c::crc32c(old) ^ crc32c::crc32c(new);
    // Each byte of the tail multiplies by x^8.
    let mut bytes = tail_bytes;
    let mut shifted = changed;
    for power in &CRC_POWERS {
        if bytes & 1 != 0 {
            shifted = crc_multiply(*power, shifted);
        }
        bytes >>= 1;
    }
    whole ^ shifted
}

/// x^8, x^16, x^32, ... modulo CRC-32C's polynomial: what 1, 2, 4, ... bytes behind a checksum do to it.
const CRC_POWERS: [u32; 32] = {
    let mut powers = [1 << (31 - 8); 32];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = crc_multiply(powers[at - 1], powers[at - 1]);
        at += 1;
    }
    powers
};

/// The product of two polynomials modulo CRC-32C's, bit 31 being x^0.
const fn crc_multiply(a: u32, mut b: u32) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut product = 0;
    let mut bit = 31;
    loop {
        product ^= b & (a >> bit & 1).wrapping_neg();
        if bit == 0 {
            return product;
        }
        bit -= 1;
        b = (b >> 1) ^ (POLYNOMIAL & (b & 1).wrapping_neg());
    }
}

/// The walk over the records of a batch.
struct Walk {
    compacted: bool,
    base_timestamp: Ms,
    count: i32,
    next: i32,
    max_timestamp: Ms,
    /// The window of timestamps that are taken. All are, if the topic has append times.
    earliest: Ms,
    latest: Ms,
    refused: Vec<RefusedRecord>,
    refused_total: usize,
}

impl Walk {
    fn new(header: BatchHeader<'_>, config: &ValidateConfig, now: Ms) -> Walk {
        let (earliest, latest) = match config.timestamp_type {
            TimestampType::CreateTime => (
                now.saturating_sub(config.timestamp_before_max_ms),
                now.saturating_add(config.timestamp_after_max_ms),
            ),
            TimestampType::LogAppendTime => (Ms::MIN, Ms::MAX),
        };
        // An unlimited past is one, however far away.
        let earliest = if config.timestamp_before_max_ms == Ms::MAX { Ms::MIN } else { earliest };
        Walk {
            compacted: config.compacted,
            base_timestamp: header.base_timestamp(),
            count: header.records_count(),
            next: 0,
            max_timestamp: -1,
            earliest,
            latest,
            refused: Vec::new(),
            refused_total: 0,
        }
    }

    /// Walks over records that lie there whole.
    fn all(&mut self, mut payload: &[u8]) -> Result<(), ValidateError> {
        // This loop is the hottest of all: what it changes is kept in registers.
        let (mut next, mut max_timestamp) = (self.next, self.max_timestamp);
        while next < self.count {
            if payload.is_empty() {
                return Err(RecordError::TooFew(self.count - next).into());
            }
            let (record, rest) = Record::take(payload)?;
            payload = rest;
            self.one(&record, next, &mut max_timestamp)?;
            next += 1;
        }
        (self.next, self.max_timestamp) = (next, max_timestamp);
        if payload.is_empty() { Ok(()) } else { Err(RecordError::BytesAfterLast(payload.len()).into()) }
    }

    /// Walks over records as they are decompressed.
    fn stream(&mut self, mut inflate: Inflate<'_, '_>) -> Result<(), ValidateError> {
        while self.next < self.count {
            let available = inflate.available();
            if let Some(bytes) = whole_record(available)? {
                let (record, _) = Record::take(&available[..bytes])?;
                let mut max_timestamp = self.max_timestamp;
                self.one(&record, self.next, &mut max_timestamp)?;
                self.max_timestamp = max_timestamp;
                self.next += 1;
                inflate.consume(bytes);
            } else if !inflate.more()? {
                let error = match inflate.available() {
                    [] => RecordError::TooFew(self.count - self.next),
                    _ => RecordError::Truncated,
                };
                return Err(error.into());
            }
        }
        // The end must be seen: a stream may end in a checksum, and more records may follow.
        while inflate.available().is_empty() && inflate.more()? {}
        match inflate.available().len() {
            0 => Ok(()),
            left => Err(RecordError::BytesAfterLast(left).into()),
        }
    }

    #[inline(always)]
    fn one(&mut self, record: &Record<'_>, index: i32, max_timestamp: &mut Ms) -> Result<(), ValidateError> {
        let timestamp = record.timestamp(self.base_timestamp);
        *max_timestamp = timestamp.max(*max_timestamp);
        let misplaced = record.offset_delta != index;
        let keyless = self.compacted & record.key.is_none();
        let untimely = (timestamp < self.earliest) | (timestamp > self.latest);
        if misplaced | keyless | untimely {
            self.refuse(index, record.offset_delta, timestamp, keyless)
        } else {
            Ok(())
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(
        &mut self,
        index: i32,
        offset_delta: i32,
        timestamp: Ms,
        keyless: bool,
    ) -> Result<(), ValidateError> {
        if offset_delta != index {
            return Err(ValidateError::OffsetDelta { index, offset_delta });
        }
        let (earliest, latest) = (self.earliest, self.latest);
        let issue = if keyless {
            RecordIssue::NoKey
        } else if timestamp == -1 {
            // No timestamp is never a wrong one.
            return Ok(());
        } else {
            RecordIssue::Timestamp { timestamp, earliest, latest }
        };
        self.refused_total += 1;
        if self.refused.len() < RECORD_ERRORS_MAX {
            self.refused.push(RefusedRecord { batch_index: index, issue });
        }
        Ok(())
    }

    fn finish(self) -> Result<Ms, ValidateError> {
        if self.refused_total > 0 {
            return Err(ValidateError::Records { refused: self.refused, total: self.refused_total });
        }
        Ok(self.max_timestamp)
    }
}

/// Length of the record at the front of `bytes`, its length field included; `None` if it goes on behind them.
#[inline]
fn whole_record(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    let mut cursor = Cursor(bytes);
    let length = match cursor.varint() {
        Ok(length) => length,
        Err(RecordError::Truncated) => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(length).map_err(|_| RecordError::NegativeLength(length))?;
    let total = bytes.len() - cursor.0.len() + length;
    Ok((total <= bytes.len()).then_some(total))
}

/// Why stored or replicated bytes cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// No batch, not a whole one, or not with its own checksum.
    #[error("{0}")]
    Batch(#[from] BatchError),
    /// Fields of the header contradict each other.
    #[error("the header at offset {0} makes no sense")]
    Header(Offset),
    /// Offsets do not grow.
    #[error("offset {found} where at least {expected} should be")]
    Offset {
        /// The smallest offset that can follow.
        expected: Offset,
        /// The batch's base offset.
        found: Offset,
    },
}

/// Checks the batch at the front of bytes that were read back in recovery or came from a leader: header and checksum,
/// not the records. `expected` is the smallest base offset it may have.
///
/// Compaction leaves gaps between batches and records, and empty batches.
pub fn check_stored(bytes: &[u8], expected: Offset) -> Result<Batch<'_>, StoredError> {
    let batch = Batch::first_of(bytes)?;
    let header = batch.header();
    let (base, delta, count) = (header.base_offset(), header.last_offset_delta(), header.records_count());
    let sane = base >= 0
        && delta >= 0
        && base.checked_add(i64::from(delta)).is_some_and(|last| last < Offset::MAX)
        && count >= 0
        && i64::from(count) <= i64::from(delta) + 1
        && Codec::from_number(header.compression()).is_some();
    if !sane {
        return Err(StoredError::Header(base));
    }
    if base < expected {
        return Err(StoredError::Offset { expected, found: base });
    }
    batch.verify_checksum()?;
    Ok(batch)
}

#[cfg(test)]
#[path = "validate_test.rs"]
mod tests;
