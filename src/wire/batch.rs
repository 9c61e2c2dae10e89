//! The header of a record batch, format v2 (magic 2), in place.
//!
//! A batch is 61 bytes of header and then records, compressed or not. The broker reads and rewrites header fields where
//! they lie; records stay bytes. The checksum covers everything from `attributes` on, so base offset and leader epoch
//! can be rewritten without touching it.
//!
//! Layout: <https://kafka.apache.org/documentation/#recordbatch>.

use crate::types::{LeaderEpoch, Ms, Offset, ProducerEpoch, ProducerId};

/// Bytes of a batch's header.
pub const HEADER_BYTES: usize = 61;
/// Bytes before the part that `batchLength` counts: base offset and the length itself.
pub const LOG_OVERHEAD_BYTES: usize = 12;
/// Where the checksummed part begins.
pub(crate) const CHECKSUMMED_FROM: usize = 21;
/// The only record format that Kafka 4 takes in.
pub const MAGIC: i8 = 2;

/// The codec's number in the attributes.
pub(crate) const COMPRESSION_MASK: i16 = 0x07;
/// Attribute: the timestamps are append times.
pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
/// Attribute: part of a transaction.
pub(crate) const TRANSACTIONAL: i16 = 0x10;
/// Attribute: control records.
pub(crate) const CONTROL: i16 = 0x20;
/// Attribute: the base timestamp is a delete horizon.
pub(crate) const DELETE_HORIZON: i16 = 0x40;

macro_rules! field {
    ($(#[$doc:meta])* $get:ident: $ty:ty = $at:literal) => {
        $(#[$doc])*
        pub fn $get(&self) -> $ty {
            const SIZE: usize = size_of::<$ty>();
            let mut raw = [0u8; SIZE];
            raw.copy_from_slice(&self.0[$at..$at + SIZE]);
            <$ty>::from_be_bytes(raw)
        }
    };
}

/// A view of a batch's header. Made only over at least [`HEADER_BYTES`] bytes, so that no accessor can fail; what the
/// fields say is not checked by making one.
#[derive(Clone, Copy)]
pub struct BatchHeader<'a>(&'a [u8; HEADER_BYTES]);

impl<'a> BatchHeader<'a> {
    /// The header at the front of `bytes`; `None` if they are fewer than a header.
    pub fn new(bytes: &'a [u8]) -> Option<BatchHeader<'a>> {
        bytes.first_chunk().map(BatchHeader)
    }

    /// The header that fills `bytes`.
    pub fn of(bytes: &'a [u8; HEADER_BYTES]) -> BatchHeader<'a> {
        BatchHeader(bytes)
    }

    field! { /// Offset of the first record.
    base_offset: Offset = 0 }
    field! { /// Bytes after the length field itself.
    batch_length: i32 = 8 }
    field! { /// Epoch of the leader that appended the batch.
    partition_leader_epoch: LeaderEpoch = 12 }
    field! { /// Record format.
    magic: i8 = 16 }
    field! { /// CRC-32C of everything from the attributes on.
    crc: u32 = 17 }
    field! { /// Flags; see the accessors below.
    attributes: i16 = 21 }
    field! { /// Offset of the last record, less the base offset.
    last_offset_delta: i32 = 23 }
    field! { /// Timestamp of the first record, or the delete horizon.
    base_timestamp: Ms = 27 }
    field! { /// Largest timestamp of the records, or the append time.
    max_timestamp: Ms = 35 }
    field! { /// Producer id, or -1.
    producer_id: ProducerId = 43 }
    field! { /// Producer epoch, or -1.
    producer_epoch: ProducerEpoch = 51 }
    field! { /// Sequence number of the first record, or -1.
    base_sequence: i32 = 53 }
    field! { /// Number of records that the header claims.
    records_count: i32 = 57 }

    /// Bytes of the whole batch as the header claims; `None` if the claim is below a header's size.
    pub fn total_bytes(&self) -> Option<usize> {
        let total = usize::try_from(self.batch_length()).ok()?.checked_add(LOG_OVERHEAD_BYTES)?;
        (total >= HEADER_BYTES).then_some(total)
    }

    /// Offset of the last record. Wraps on a forged header; check `last_offset_delta` first where that matters.
    pub fn last_offset(&self) -> Offset {
        self.base_offset().wrapping_add(i64::from(self.last_offset_delta()))
    }

    /// Offset after the last record.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().wrapping_add(1)
    }

    /// Number of the codec, 0 to 7; see `wire::compress`.
    pub fn compression(&self) -> u8 {
        (self.attributes() & COMPRESSION_MASK) as u8
    }

    /// True if the timestamps are append times.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes() & LOG_APPEND_TIME != 0
    }

    /// True if the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL != 0
    }

    /// True if the batch holds control records (markers), which clients never send.
    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }

    /// True if `base_timestamp` is a delete horizon (KIP-534).
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes() & DELETE_HORIZON != 0
    }

    /// True if an idempotent or transactional producer made it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id() >= 0
    }

    /// Sequence number of the last record, wrapping after `i32::MAX` to 0 as Kafka does; -1 without a sequence.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence() < 0 {
            return -1;
        }
        ((i64::from(self.base_sequence()) + i64::from(self.last_offset_delta())) % (1 << 31)) as i32
    }
}

/// Why bytes are not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The last batch of a range goes on behind its end: normal at the end of a fetch or of a torn file.
    #[error("the batch needs {need} bytes and {have} are left")]
    Truncated {
        /// Bytes that are there.
        have: usize,
        /// Bytes that it needs, as far as can be told.
        need: usize,
    },
    /// The length field is smaller than the rest of a header.
    #[error("batch length {0} is too small")]
    Length(i32),
    /// Not format v2.
    #[error("record format {0} is not 2")]
    Magic(i8),
    /// The bytes are not those that the writer had.
    #[error("the checksum is {computed:#010x}, the header states {stated:#010x}")]
    Checksum {
        /// What the header says.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },
}

/// One whole batch, header and records, whose length and format are checked. Nothing else is.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    header: BatchHeader<'a>,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the front of `bytes`; more may follow it.
    pub fn first_of(bytes: &'a [u8]) -> Result<Batch<'a>, BatchError> {
        let header =
            BatchHeader::new(bytes).ok_or(BatchError::Truncated { have: bytes.len(), need: HEADER_BYTES })?;
        // The format is looked at first: the older ones have other lengths.
        if header.magic() != MAGIC {
            return Err(BatchError::Magic(header.magic()));
        }
        let need = header.total_bytes().ok_or(BatchError::Length(header.batch_length()))?;
        let bytes = bytes.get(..need).ok_or(BatchError::Truncated { have: bytes.len(), need })?;
        Ok(Batch { header, bytes })
    }

    /// The header.
    pub fn header(&self) -> BatchHeader<'a> {
        self.header
    }

    /// Header and records.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: the records, compressed or not.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Compares the checksum with the bytes, all of which are read.
    pub fn verify_checksum(&self) -> Result<(), BatchError> {
        let (stated, computed) = (self.header.crc(), checksum(self.bytes));
        if stated == computed { Ok(()) } else { Err(BatchError::Checksum { stated, computed }) }
    }
}

/// The batches of a byte range, one after the other. Ends after the first error.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// See [`batches`].
#[derive(Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// The bytes behind the batches that were handed out.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = Batch::first_of(self.rest);
        self.rest = match &batch {
            Ok(batch) => &self.rest[batch.bytes.len()..],
            Err(_) => &[],
        };
        Some(batch)
    }
}

/// CRC-32C as the header should state it. `batch` is one whole batch, at least a header long.
pub fn checksum(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[CHECKSUMMED_FROM..])
}

/// Writes the base offset into a batch. The checksum does not cover it.
pub fn set_base_offset(batch: &mut [u8], offset: Offset) {
    batch[0..8].copy_from_slice(&offset.to_be_bytes());
}

/// Writes the leader epoch into a batch. The checksum does not cover it.
pub fn set_partition_leader_epoch(batch: &mut [u8], epoch: LeaderEpoch) {
    batch[12..16].copy_from_slice(&epoch.to_be_bytes());
}
