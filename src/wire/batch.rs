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
const CHECKSUMMED_FROM: usize = 21;
/// The only record format that Kafka 4 takes in.
pub const MAGIC: i8 = 2;

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

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
