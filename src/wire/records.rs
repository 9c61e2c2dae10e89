//! The records inside a batch (format v2): a walk that copies and allocates nothing, and a builder.
//!
//! The walk goes over *decompressed* records. Every length is compared with what is left before it is used, and a record
//! must end where its own length says. Header keys are bytes here, as in the log: Kafka's clients write UTF-8, but a
//! broker keeps what it was given, duplicates and order included.
//!
//! Layout of a record: <https://kafka.apache.org/documentation/#record>. Numbers are zigzag varints.

use crate::types::{LeaderEpoch, Ms, Offset, ProducerEpoch, ProducerId};
use crate::wire::batch::{
    self, Batch, CHECKSUMMED_FROM, CONTROL, DELETE_HORIZON, HEADER_BYTES, LOG_APPEND_TIME,
    LOG_OVERHEAD_BYTES, MAGIC, TRANSACTIONAL,
};
use crate::wire::compress::{self, Codec, Compression};

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A field goes on behind the end of the record or of the batch.
    #[error("a record is cut off")]
    Truncated,
    /// A varint with more bytes than its type can have.
    #[error("a variable-length number is too long")]
    Varint,
    /// A length below zero where none may be, or below -1.
    #[error("a length or count of {0} in a record")]
    NegativeLength(i32),
    /// The record's fields do not end where its length says.
    #[error("a record has {0} bytes behind its last field")]
    TrailingBytes(usize),
    /// Bytes follow the last of the records that the header counts.
    #[error("{0} bytes follow the last record")]
    BytesAfterLast(usize),
    /// The bytes end before the last of the records that the header counts.
    #[error("{0} records are missing")]
    TooFew(i32),
    /// The header counts fewer than zero records.
    #[error("a count of {0} records")]
    Count(i32),
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Unused by Kafka so far; kept.
    pub attributes: i8,
    /// Timestamp less the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Offset less the batch's base offset.
    pub offset_delta: i32,
    /// The key, if there is one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, already checked.
    pub headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// The record's offset in a batch that begins at `base`. Wraps on forged input, as Kafka does.
    pub fn offset(&self, base: Offset) -> Offset {
        base.wrapping_add(i64::from(self.offset_delta))
    }

    /// The record's timestamp in a batch with base timestamp `base` and creation times. Wraps on forged input.
    pub fn timestamp(&self, base: Ms) -> Ms {
        base.wrapping_add(self.timestamp_delta)
    }

    /// Takes the record at the front of `bytes`; returns it and the bytes behind it.
    #[inline(always)]
    pub fn take(bytes: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), RecordError> {
        let mut cursor = Cursor(bytes);
        let length = cursor.varint()?;
        let length = usize::try_from(length).map_err(|_| RecordError::NegativeLength(length))?;
        let mut body = Cursor(cursor.bytes(length)?);
        let record = Record::body(&mut body)?;
        if !body.0.is_empty() {
            return Err(RecordError::TrailingBytes(body.0.len()));
        }
        Ok((record, cursor.0))
    }

    #[inline(always)]
    fn body(body: &mut Cursor<'a>) -> Result<Record<'a>, RecordError> {
        let attributes = body.byte()? as i8;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key = body.nullable()?;
        let value = body.nullable()?;
        let count = body.varint()?;
        if count < 0 {
            return Err(RecordError::NegativeLength(count));
        }
        let all = body.0;
        for _ in 0..count {
            // A count of 2^31-1 ends here at the first header that is not there.
            body.header()?;
        }
        let headers = Headers { count, rest: Cursor(&all[..all.len() - body.0.len()]) };
        Ok(Record { attributes, timestamp_delta, offset_delta, key, value, headers })
    }
}

/// The headers of a record, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    count: i32,
    rest: Cursor<'a>,
}

impl Headers<'_> {
    /// No headers.
    pub const NONE: Headers<'static> = Headers { count: 0, rest: Cursor(&[]) };

    /// How many headers are left.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Key and value of a header.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.count = self.count.checked_sub(1).filter(|&left| left >= 0)?;
        // Walked once when the record was taken, so it cannot fail.
        self.rest.header().ok()
    }
}

/// The records of a decompressed payload. Ends after the first error; says at the end if bytes or records are missing.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> Records<'a> {
    /// A walk over `count` records that fill `payload`.
    pub fn new(payload: &'a [u8], count: i32) -> Records<'a> {
        Records { rest: payload, left: count }
    }

    /// A walk over the records of `batch`; `None` if they are compressed.
    pub fn of(batch: &Batch<'a>) -> Option<Records<'a>> {
        let header = batch.header();
        (header.compression() == 0).then(|| Records::new(batch.payload(), header.records_count()))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let failed = if self.left > 0 && !self.rest.is_empty() {
            match Record::take(self.rest) {
                Ok((record, rest)) => {
                    self.rest = rest;
                    self.left -= 1;
                    return Some(Ok(record));
                }
                Err(error) => error,
            }
        } else if self.left > 0 {
            RecordError::TooFew(self.left)
        } else if self.left < 0 {
            RecordError::Count(self.left)
        } else if !self.rest.is_empty() {
            RecordError::BytesAfterLast(self.rest.len())
        } else {
            return None;
        };
        (self.rest, self.left) = (&[], 0);
        Some(Err(failed))
    }
}

/// Bytes that are eaten from the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, RecordError> {
        let (&first, rest) = self.0.split_first().ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A zigzag varint of at most 5 bytes.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<i32, RecordError> {
        // One and two bytes are nearly all there are, and worth a path without a loop.
        let raw = match *self.0 {
            [a, ref rest @ ..] if a < 0x80 => {
                self.0 = rest;
                u32::from(a)
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.0 = rest;
                u32::from(a & 0x7f) | u32::from(b) << 7
            }
            _ => self.long_raw(5)? as u32,
        };
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag varint of at most 10 bytes.
    #[inline(always)]
    pub(crate) fn varlong(&mut self) -> Result<i64, RecordError> {
        let raw = match *self.0 {
            [a, ref rest @ ..] if a < 0x80 => {
                self.0 = rest;
                u64::from(a)
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.0 = rest;
                u64::from(a & 0x7f) | u64::from(b) << 7
            }
            _ => self.long_raw(10)?,
        };
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline(never)]
    fn long_raw(&mut self, bytes_max: u32) -> Result<u64, RecordError> {
        let mut raw = 0;
        for at in 0..bytes_max {
            let next = u64::from(self.byte()?);
            raw |= (next & 0x7f) << (7 * at);
            if next < 0x80 {
                return Ok(raw);
            }
        }
        Err(RecordError::Varint)
    }

    /// A length that may be -1, and so many bytes.
    #[inline(always)]
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        match self.varint()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| RecordError::NegativeLength(length))?;
                self.bytes(length).map(Some)
            }
        }
    }

    fn header(&mut self) -> Result<Header<'a>, RecordError> {
        let length = self.varint()?;
        let length = usize::try_from(length).map_err(|_| RecordError::NegativeLength(length))?;
        let key = self.bytes(length)?;
        Ok((key, self.nullable()?))
    }
}

/// Appends a zigzag varint.
pub fn put_varint(out: &mut Vec<u8>, value: i32) {
    put_raw(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Appends a zigzag varint of 64 bits.
pub fn put_varlong(out: &mut Vec<u8>, value: i64) {
    put_raw(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_raw(out: &mut Vec<u8>, mut raw: u64) {
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Bytes that [`put_varint`] writes.
pub fn varint_bytes(value: i32) -> usize {
    raw_bytes(u64::from(((value << 1) ^ (value >> 31)) as u32))
}

/// Bytes that [`put_varlong`] writes.
pub fn varlong_bytes(value: i64) -> usize {
    raw_bytes(((value << 1) ^ (value >> 63)) as u64)
}

fn raw_bytes(raw: u64) -> usize {
    (70 - (raw | 1).leading_zeros() as usize) / 7
}

fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |b| varint_bytes(b.len() as i32) + b.len())
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends one record, its length in front.
///
/// Keys, values and headers must each be shorter than 2^31 bytes; so must the record.
pub fn put_record<'h>(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item = Header<'h>> + Clone,
) {
    let count = headers.len() as i32;
    let length = 1
        + varlong_bytes(timestamp_delta)
        + varint_bytes(offset_delta)
        + nullable_bytes(key)
        + nullable_bytes(value)
        + varint_bytes(count)
        + headers.clone().map(|(k, v)| nullable_bytes(Some(k)) + nullable_bytes(v)).sum::<usize>();
    out.reserve(length + 5);
    put_varint(out, length as i32);
    out.push(0);
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_nullable(out, key);
    put_nullable(out, value);
    put_varint(out, count);
    for (k, v) in headers {
        put_nullable(out, Some(k));
        put_nullable(out, v);
    }
}

/// Writes one batch as Kafka's `MemoryRecordsBuilder` does.
///
/// The base timestamp is that of the first record, the maximum timestamp that of the records (or the append time), the
/// last offset delta that of the last record. All lies in one buffer; [`BatchBuilder::finish`] fills in the header.
///
/// ```
/// use ottla::wire::records::BatchBuilder;
///
/// let mut builder = BatchBuilder::new(0);
/// builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"));
/// let batch = builder.finish();
/// assert!(ottla::wire::batch::Batch::first_of(&batch).is_ok());
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    out: Vec<u8>,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    attributes: i16,
    base_timestamp: Option<Ms>,
    max_timestamp: Ms,
    append_time: Option<Ms>,
    last_offset_delta: i32,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
    count: i32,
    compression: Compression,
}

impl BatchBuilder {
    /// A batch that begins at `base_offset`, with leader epoch -1, creation times, no producer and no compression.
    pub fn new(base_offset: Offset) -> BatchBuilder {
        BatchBuilder {
            out: vec![0; HEADER_BYTES],
            base_offset,
            leader_epoch: -1,
            attributes: 0,
            base_timestamp: None,
            max_timestamp: -1,
            append_time: None,
            last_offset_delta: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: 0,
            compression: Compression::new(Codec::None),
        }
    }

    /// Compresses the records when the batch is finished.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets the epoch of the appending leader.
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Sets the producer. `base_sequence` is -1 for control records and for coordinators' transactional records.
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// Marks the batch as part of a transaction.
    pub fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL;
        self
    }

    /// Marks the batch as control records.
    pub fn control(mut self) -> Self {
        self.attributes |= CONTROL;
        self
    }

    /// All records carry the append time `now`.
    pub fn log_append_time(mut self, now: Ms) -> Self {
        self.attributes |= LOG_APPEND_TIME;
        self.append_time = Some(now);
        self
    }

    /// Sets the delete horizon (KIP-534), which takes the place of the base timestamp. Only before the first record.
    pub fn delete_horizon(mut self, horizon: Ms) -> Self {
        assert_eq!(self.count, 0, "the horizon is the base of every timestamp delta");
        self.attributes |= DELETE_HORIZON;
        self.base_timestamp = Some(horizon);
        self
    }

    /// Appends a record without headers at the next offset.
    pub fn append(&mut self, timestamp: Ms, key: Option<&[u8]>, value: Option<&[u8]>) -> &mut Self {
        self.append_with_headers(timestamp, key, value, &[])
    }

    /// Appends a record with headers at the next offset.
    pub fn append_with_headers(
        &mut self,
        timestamp: Ms,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> &mut Self {
        self.append_at(self.last_offset_delta + 1, timestamp, key, value, headers.iter().copied())
    }

    /// Appends a record at `offset_delta`, which must be above the last one: compaction leaves gaps.
    pub fn append_at<'h>(
        &mut self,
        offset_delta: i32,
        timestamp: Ms,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = Header<'h>> + Clone,
    ) -> &mut Self {
        assert!(offset_delta > self.last_offset_delta, "offsets in a batch only grow");
        let base = *self.base_timestamp.get_or_insert(timestamp);
        put_record(&mut self.out, timestamp.wrapping_sub(base), offset_delta, key, value, headers);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = offset_delta;
        self.count += 1;
        self
    }

    /// Number of records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes of the batch so far, uncompressed, header included.
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Keeps the offsets up to `last_offset_delta` for this batch although its last records are gone (compaction), or
    /// makes an empty batch that keeps a producer's state.
    pub fn keep_last_offset_delta(&mut self, last_offset_delta: i32) -> &mut Self {
        assert!(last_offset_delta >= self.last_offset_delta, "offsets in a batch only grow");
        self.last_offset_delta = last_offset_delta;
        self
    }

    /// The finished batch.
    ///
    /// Records that a compressor cannot take (it is out of memory) stay as they are; a batch says itself how it is
    /// compressed.
    pub fn finish(mut self) -> Vec<u8> {
        let mut out = self.out;
        if self.compression.codec != Codec::None && self.count > 0 {
            let mut small = vec![0; HEADER_BYTES];
            if compress::compress(self.compression, &out[HEADER_BYTES..], &mut small).is_ok() {
                self.attributes |= i16::from(self.compression.codec.number());
                out = small;
            }
        }
        let base_timestamp = self.base_timestamp.unwrap_or(-1);
        let max_timestamp = self.append_time.unwrap_or(self.max_timestamp);
        let length = (out.len() - LOG_OVERHEAD_BYTES) as i32;
        let mut header = [0u8; HEADER_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&self.base_offset.to_be_bytes());
        put(&length.to_be_bytes());
        put(&self.leader_epoch.to_be_bytes());
        put(&MAGIC.to_be_bytes());
        put(&[0; 4]);
        put(&self.attributes.to_be_bytes());
        put(&self.last_offset_delta.to_be_bytes());
        put(&base_timestamp.to_be_bytes());
        put(&max_timestamp.to_be_bytes());
        put(&self.producer_id.to_be_bytes());
        put(&self.producer_epoch.to_be_bytes());
        put(&self.base_sequence.to_be_bytes());
        put(&self.count.to_be_bytes());
        out[..HEADER_BYTES].copy_from_slice(&header);
        let crc = batch::checksum(&out);
        out[CHECKSUMMED_FROM - 4..CHECKSUMMED_FROM].copy_from_slice(&crc.to_be_bytes());
        out
    }
}

#[cfg(test)]
#[path = "records_test.rs"]
mod tests;
