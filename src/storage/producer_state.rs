//! What a partition knows of its idempotent and transactional producers (KIP-98).
//!
//! Per producer id: the epoch, the last five batches (so that a retry is recognised and answered with its first offset),
//! and where its open transaction began. From the open transactions follows the first unstable offset, below which
//! consumers that read committed records may read.
//!
//! Deciding and changing are apart: [`ProducerState::check`] says whether a batch may be appended and changes nothing;
//! [`ProducerState::apply`] notes one that was, and cannot fail. Replay of a log and the follower's path are `apply` alone.
//!
//! All of it is in memory; [`ProducerState::to_bytes`] is the content of Kafka's `.snapshot` files. These hold only the
//! last batch of each producer, so that after a restart behind a fresh snapshot the retries of the others in flight would
//! look out of order: [`ProducerState::recall_batches`] takes them from the log before the snapshot.
//!
//! A partition without producers costs a few words and no allocation.

use std::collections::BTreeMap;

use crate::storage::validate::AppendOrigin;
use crate::types::{ErrorCode, FastMap, Ms, Offset, ProducerEpoch, ProducerId};
use crate::wire::batch::{Batch, BatchHeader};
use crate::wire::control::{ControlError, ControlRecord, EndTxnMarker};
use crate::wire::records::{RecordError, Records};

/// Batches that are kept per producer: as many as a producer may have in flight.
pub const BATCHES_RETAINED: usize = 5;
/// The version of snapshot files.
const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEADER_BYTES: usize = 10;
const SNAPSHOT_CHECKSUMMED_FROM: usize = 6;
const SNAPSHOT_ENTRY_BYTES: usize = 46;
/// A producer that is this much older than the newest one has given up its retries, whose default is two minutes.
const RETRY_MS_MAX: Ms = 15 * 60_000;
/// No epoch was seen yet.
const NO_EPOCH: ProducerEpoch = -1;

/// A batch that a producer had appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMetadata {
    /// Sequence number of its last record; -1 if coordinators made it.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Offset of the last record less that of the first.
    pub offset_delta: i32,
    /// Its largest timestamp, or the append time.
    pub timestamp: Ms,
}

impl BatchMetadata {
    /// Sequence number of its first record: numbers go on at 0 behind `i32::MAX`.
    pub fn first_sequence(&self) -> i32 {
        (i64::from(self.last_sequence) - i64::from(self.offset_delta)).rem_euclid(1 << 31) as i32
    }

    /// Offset of its first record.
    pub fn first_offset(&self) -> Offset {
        self.last_offset.wrapping_sub(i64::from(self.offset_delta))
    }
}

/// What is known of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    /// The latest epoch seen.
    pub epoch: ProducerEpoch,
    /// Epoch of the coordinator that wrote the last marker; -1 without one.
    pub coordinator_epoch: i32,
    /// When it was last heard of, by its own timestamps.
    pub last_timestamp: Ms,
    /// First offset of its open transaction.
    pub current_txn_first_offset: Option<Offset>,
    batches: [BatchMetadata; BATCHES_RETAINED],
    batch_count: u8,
}

impl ProducerEntry {
    fn new() -> ProducerEntry {
        let none = BatchMetadata { last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp: -1 };
        ProducerEntry {
            epoch: NO_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: [none; BATCHES_RETAINED],
            batch_count: 0,
        }
    }

    /// The retained batches of the latest epoch, oldest first.
    pub fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..usize::from(self.batch_count)]
    }

    /// The last batch, if there is one of the latest epoch.
    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches().last()
    }

    /// Sequence number of the last record; -1 without one.
    pub fn last_sequence(&self) -> i32 {
        self.last_batch().map_or(-1, |batch| batch.last_sequence)
    }

    fn push(&mut self, batch: BatchMetadata) {
        if usize::from(self.batch_count) == BATCHES_RETAINED {
            self.batches.rotate_left(1);
            self.batch_count -= 1;
        }
        self.batches[usize::from(self.batch_count)] = batch;
        self.batch_count += 1;
    }

    fn see_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batch_count = 0;
        }
    }

    fn duplicate_of(&self, header: BatchHeader<'_>) -> Option<BatchMetadata> {
        if self.epoch != header.producer_epoch() {
            return None;
        }
        let (first, last) = (header.base_sequence(), header.last_sequence());
        self.batches().iter().find(|b| b.last_sequence == last && b.first_sequence() == first).copied()
    }
}

/// Names one verification of a transaction with its coordinator (KIP-890).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerificationGuard(u64);

#[derive(Debug, Clone)]
struct Verification {
    guard: VerificationGuard,
    since: Ms,
    lowest_sequence: i32,
    epoch: ProducerEpoch,
    supports_epoch_bump: bool,
}

/// What a leader has to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    Append,
    /// It is there already: answer with this batch's first offset and its timestamp, and append nothing.
    Duplicate(BatchMetadata),
}

/// Why a batch or a marker may not be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A later producer of the same id was here.
    #[error("producer {id} has epoch {found}, the last one seen is {last}")]
    InvalidEpoch {
        /// The producer.
        id: ProducerId,
        /// The batch's epoch.
        found: ProducerEpoch,
        /// The latest epoch.
        last: ProducerEpoch,
    },
    /// Something between the last batch and this one is missing, or this one is old.
    #[error("producer {id} sent sequence {found}, the last one is {last}")]
    OutOfOrderSequence {
        /// The producer.
        id: ProducerId,
        /// The batch's first sequence number.
        found: i32,
        /// The last sequence number; -1 if there is none.
        last: i32,
    },
    /// A transactional batch outside a transaction that the coordinator knows of, or the other way round.
    #[error("producer {id} is not in the state of a transaction that allows this batch")]
    InvalidTxnState {
        /// The producer.
        id: ProducerId,
    },
    /// A coordinator that is no longer the one.
    #[error("coordinator epoch {found} for producer {id}, the last one seen is {last}")]
    CoordinatorFenced {
        /// The producer.
        id: ProducerId,
        /// The marker's coordinator epoch.
        found: i32,
        /// The latest coordinator epoch.
        last: i32,
    },
}

impl ProducerError {
    /// What Kafka answers.
    pub fn code(&self) -> ErrorCode {
        match self {
            ProducerError::InvalidEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            ProducerError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            ProducerError::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
            ProducerError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

/// Why a batch of the log cannot be replayed: its marker is not readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The control batch is no batch of records.
    #[error("a control batch: {0}")]
    Record(#[from] RecordError),
    /// The control record is none.
    #[error("a control batch: {0}")]
    Control(#[from] ControlError),
}

/// A transaction that a marker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTxn {
    /// Its producer.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of the marker.
    pub last_offset: Offset,
    /// True if it was aborted: then it belongs into the transaction index.
    pub aborted: bool,
    /// The last stable offset once the marker is replicated, which the transaction index notes.
    pub last_stable_offset: Offset,
}

/// Why a snapshot cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Its length is not that of its entries.
    #[error("the snapshot's length of {0} bytes is not that of its entries")]
    Length(usize),
    /// Another format.
    #[error("the snapshot has version {0}")]
    Version(i16),
    /// The bytes are not those that were written.
    #[error("the snapshot's checksum differs")]
    Checksum,
}

/// The producers of one partition.
#[derive(Debug, Clone, Default)]
pub struct ProducerState {
    producers: FastMap<ProducerId, ProducerEntry>,
    /// Open transactions: first offset and producer.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Ended transactions whose marker is not replicated yet: first offset and the marker's.
    unreplicated: BTreeMap<Offset, Offset>,
    verifications: FastMap<ProducerId, Verification>,
    last_guard: u64,
    end_offset: Offset,
}

impl ProducerState {
    /// The state of a log that begins at `start_offset` and has no records.
    pub fn new(start_offset: Offset) -> ProducerState {
        ProducerState { end_offset: start_offset, ..ProducerState::default() }
    }

    /// The offset up to which batches are in this state; a snapshot is named by it.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Notes that the log ends at `offset` now, whoever made its batches.
    pub fn advance_to(&mut self, offset: Offset) {
        self.end_offset = self.end_offset.max(offset);
    }

    /// Number of producers.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// True if no producer is known and no transaction waits for replication.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.unreplicated.is_empty()
    }

    /// What is known of a producer.
    pub fn producer(&self, id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&id)
    }

    /// All producers, ordered by id (DescribeProducers).
    pub fn producers(&self) -> Vec<(ProducerId, &ProducerEntry)> {
        let mut all: Vec<_> = self.producers.iter().map(|(&id, entry)| (id, entry)).collect();
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }

    /// Says what to do with a batch that a client or coordinator wants appended. Its offsets need not be assigned yet.
    ///
    /// `guard` is what [`Self::begin_verification`] gave, if the transaction was verified; `verify` is
    /// `transaction.partition.verification.enable`. Control batches go through [`Self::check_marker`].
    pub fn check(
        &self,
        header: BatchHeader<'_>,
        origin: AppendOrigin,
        guard: Option<VerificationGuard>,
        verify: bool,
    ) -> Result<Verdict, ProducerError> {
        if !header.has_producer_id() || header.is_control() {
            return Ok(Verdict::Append);
        }
        let id = header.producer_id();
        let entry = self.producers.get(&id);
        let verification = self.verifications.get(&id);
        if origin == AppendOrigin::Client
            && let Some(batch) = entry.and_then(|entry| entry.duplicate_of(header))
        {
            return Ok(Verdict::Duplicate(batch));
        }
        if verify && header.is_transactional() && !self.has_ongoing_txn(id, header.producer_epoch()) {
            // Verified means: by the very request whose batch this is.
            let verified = verification.is_some_and(|v| guard == Some(v.guard));
            if !verified {
                return Err(ProducerError::InvalidTxnState { id });
            }
        }
        if let Some(entry) = entry
            && header.producer_epoch() < entry.epoch
        {
            return Err(ProducerError::InvalidEpoch {
                id,
                found: header.producer_epoch(),
                last: entry.epoch,
            });
        }
        if origin == AppendOrigin::Client {
            check_sequence(header, entry, verification)?;
        }
        if !header.is_transactional() && entry.is_some_and(|entry| entry.current_txn_first_offset.is_some()) {
            return Err(ProducerError::InvalidTxnState { id });
        }
        Ok(Verdict::Append)
    }

    /// Says whether a marker may be appended. `txn_version` is the transaction version of the request that brought it
    /// (KIP-890): from 2 on, a marker has an epoch of its own, one above that of its transaction.
    pub fn check_marker(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: EndTxnMarker,
        txn_version: i16,
    ) -> Result<(), ProducerError> {
        let Some(entry) = self.producers.get(&id) else {
            return Ok(());
        };
        // The second marker of the same epoch is a retry if the transaction is over, and is written again.
        let retried = epoch == entry.epoch && entry.current_txn_first_offset.is_none();
        if epoch < entry.epoch || (txn_version >= 2 && epoch == entry.epoch && !retried) {
            return Err(ProducerError::InvalidEpoch { id, found: epoch, last: entry.epoch });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            let (found, last) = (marker.coordinator_epoch, entry.coordinator_epoch);
            return Err(ProducerError::CoordinatorFenced { id, found, last });
        }
        Ok(())
    }

    /// Notes a batch that is in the log, with its offsets. `marker` is what its control record says, if it is a control
    /// batch that ends a transaction.
    ///
    /// The transaction counts as ended at once, and as replicated when [`Self::on_high_watermark`] passes the marker.
    pub fn apply(&mut self, header: BatchHeader<'_>, marker: Option<EndTxnMarker>) -> Option<CompletedTxn> {
        self.advance_to(header.next_offset());
        if !header.has_producer_id() {
            return None;
        }
        match marker {
            Some(marker) => self.apply_marker(header, marker),
            None if header.is_control() => None,
            None => {
                self.apply_data(header);
                None
            }
        }
    }

    /// Notes a batch read back from the log, or from a leader: [`Self::apply`] with the marker read from it. A control
    /// batch without records is what compaction leaves of a transaction without records.
    pub fn replay(&mut self, batch: &Batch<'_>) -> Result<Option<CompletedTxn>, ReplayError> {
        let header = batch.header();
        let mut marker = None;
        if header.is_control() && header.has_producer_id() && header.records_count() > 0 {
            // Control batches are never compressed.
            let record = Records::of(batch).and_then(|mut records| records.next()).transpose()?;
            let record = record.ok_or(RecordError::TooFew(header.records_count()))?;
            if let ControlRecord::EndTxn(found) = ControlRecord::parse(&record)? {
                marker = Some(found);
            }
        }
        Ok(self.apply(header, marker))
    }

    fn apply_data(&mut self, header: BatchHeader<'_>) {
        let id = header.producer_id();
        let entry = self.producers.entry(id).or_insert_with(ProducerEntry::new);
        entry.see_epoch(header.producer_epoch());
        entry.push(BatchMetadata {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta(),
            timestamp: header.max_timestamp(),
        });
        entry.last_timestamp = header.max_timestamp();
        if header.is_transactional() {
            if entry.current_txn_first_offset.is_none() {
                entry.current_txn_first_offset = Some(header.base_offset());
                self.ongoing.insert(header.base_offset(), id);
            }
            // From here on the open transaction itself says that the coordinator knows of it.
            self.verifications.remove(&id);
        }
    }

    fn apply_marker(&mut self, header: BatchHeader<'_>, marker: EndTxnMarker) -> Option<CompletedTxn> {
        let id = header.producer_id();
        self.verifications.remove(&id);
        let entry = self.producers.entry(id).or_insert_with(ProducerEntry::new);
        entry.see_epoch(header.producer_epoch());
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = header.max_timestamp();
        let first_offset = entry.current_txn_first_offset.take()?;
        let last_offset = header.base_offset();
        self.ongoing.remove(&first_offset);
        self.unreplicated.insert(first_offset, last_offset);
        Some(CompletedTxn {
            producer_id: id,
            first_offset,
            last_offset,
            aborted: !marker.commit,
            last_stable_offset: self.first_undecided_offset().unwrap_or(last_offset.saturating_add(1)),
        })
    }

    /// True if the producer has an open transaction with that epoch here.
    pub fn has_ongoing_txn(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        self.producers.get(&id).is_some_and(|p| p.epoch == epoch && p.current_txn_first_offset.is_some())
    }

    /// Begins, or goes on with, the verification of a transaction before its first batch; `None` if it is open here
    /// already. Higher sequence numbers than the lowest one seen while verifying are refused, so that retries keep their
    /// order. `supports_epoch_bump` is true for transaction version 2.
    pub fn begin_verification(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        sequence: i32,
        supports_epoch_bump: bool,
        now: Ms,
    ) -> Option<VerificationGuard> {
        if self.has_ongoing_txn(id, epoch) {
            return None;
        }
        let last_guard = &mut self.last_guard;
        let verification = self.verifications.entry(id).or_insert_with(|| {
            *last_guard += 1;
            let guard = VerificationGuard(*last_guard);
            Verification { guard, since: now, lowest_sequence: sequence, epoch, supports_epoch_bump }
        });
        if epoch == verification.epoch {
            verification.lowest_sequence = verification.lowest_sequence.min(sequence);
        } else if epoch > verification.epoch {
            (verification.epoch, verification.lowest_sequence) = (epoch, sequence);
        }
        Some(verification.guard)
    }

    /// Offset of the first record whose transaction is open, or ended by a marker that is not replicated yet. The last
    /// stable offset is this, or the high watermark.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let unreplicated = self.unreplicated.first_key_value().map(|(&first, _)| first);
        match (self.first_undecided_offset(), unreplicated) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Offset of the first record whose transaction is open.
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.ongoing.first_key_value().map(|(&first, _)| first)
    }

    /// When the producer of the oldest open transaction was last heard of; transactions that stay open long are late.
    pub fn oldest_txn_last_timestamp(&self) -> Option<Ms> {
        let (_, id) = self.ongoing.first_key_value()?;
        self.producers.get(id).map(|entry| entry.last_timestamp)
    }

    /// Forgets ended transactions whose marker is below the high watermark. True if there were any.
    pub fn on_high_watermark(&mut self, high_watermark: Offset) -> bool {
        let before = self.unreplicated.len();
        if before > 0 {
            self.unreplicated.retain(|_, &mut last| last >= high_watermark);
        }
        self.unreplicated.len() < before
    }

    /// The log begins at `start_offset` now. Producers are kept: retention must not make retries look new.
    pub fn on_log_start_offset(&mut self, start_offset: Offset) {
        self.on_high_watermark(start_offset);
        self.advance_to(start_offset);
    }

    /// Forgets producers that are not heard of for `expiration_ms` (`producer.id.expiration.ms`) and have no open
    /// transaction, and verifications as old.
    pub fn remove_expired(&mut self, now: Ms, expiration_ms: Ms) {
        if !self.producers.is_empty() {
            self.producers.retain(|_, entry| !expired(entry, now, expiration_ms));
        }
        if !self.verifications.is_empty() {
            self.verifications
                .retain(|_, verification| now.saturating_sub(verification.since) < expiration_ms);
        }
    }

    /// True if a producer that may still retry has batches before those that are known here.
    pub fn misses_batches(&self) -> bool {
        let newest = self.producers.values().map(|entry| entry.last_timestamp).max().unwrap_or(-1);
        self.producers.values().any(|entry| {
            let oldest = entry.batches().first();
            usize::from(entry.batch_count) < BATCHES_RETAINED
                && oldest.is_some_and(|batch| batch.last_sequence >= 0 && batch.first_sequence() != 0)
                && newest.saturating_sub(entry.last_timestamp) <= RETRY_MS_MAX
        })
    }

    /// Takes over the older batches that a snapshot leaves out. `tail` is the state that comes of replaying only the last
    /// part of the log before the snapshot's offset, from anywhere, into an empty state.
    ///
    /// Producers whose last batch is not in the tail keep that one; nothing but the retained batches changes.
    pub fn recall_batches(&mut self, tail: &ProducerState) {
        // Not by timestamp: a snapshot gives the last batch that of a marker behind it.
        let place =
            |entry: &ProducerEntry| entry.last_batch().map(|batch| (batch.last_sequence, batch.last_offset));
        for (id, entry) in &mut self.producers {
            if let Some(found) = tail.producers.get(id)
                && found.epoch == entry.epoch
                && place(found).is_some()
                && place(found) == place(entry)
                && found.batch_count > entry.batch_count
            {
                (entry.batches, entry.batch_count) = (found.batches, found.batch_count);
            }
        }
    }

    /// Forgets everything: the log is empty and begins at `start_offset`, or is to be replayed from there. Verifications
    /// that are under way stay, as they concern batches that are not in the log.
    pub fn reset(&mut self, start_offset: Offset) {
        self.producers = FastMap::default();
        self.ongoing.clear();
        self.unreplicated.clear();
        self.end_offset = start_offset;
    }

    /// The content of the snapshot file named by [`Self::end_offset`], byte for byte Kafka's version 1; entries are
    /// ordered by producer id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SNAPSHOT_HEADER_BYTES + SNAPSHOT_ENTRY_BYTES * self.producers.len());
        out.extend(SNAPSHOT_VERSION.to_be_bytes());
        out.extend([0; 4]);
        out.extend((self.producers.len() as i32).to_be_bytes());
        for (id, entry) in self.producers() {
            let last = entry.last_batch();
            out.extend(id.to_be_bytes());
            out.extend(entry.epoch.to_be_bytes());
            out.extend(entry.last_sequence().to_be_bytes());
            out.extend(last.map_or(-1, |batch| batch.last_offset).to_be_bytes());
            out.extend(last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
            out.extend(entry.last_timestamp.to_be_bytes());
            out.extend(entry.coordinator_epoch.to_be_bytes());
            out.extend(entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
        }
        let crc = crc32c::crc32c(&out[SNAPSHOT_CHECKSUMMED_FROM..]);
        out[2..SNAPSHOT_CHECKSUMMED_FROM].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// The state that a snapshot file holds. `end_offset` is the offset in its name; producers that are expired at `now`
    /// are left out.
    pub fn from_bytes(
        bytes: &[u8],
        end_offset: Offset,
        now: Ms,
        expiration_ms: Ms,
    ) -> Result<ProducerState, SnapshotError> {
        let bad_length = SnapshotError::Length(bytes.len());
        let mut fields = Fields(bytes);
        let version = fields.take().map(i16::from_be_bytes).ok_or(bad_length)?;
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version(version));
        }
        let crc = fields.take().map(u32::from_be_bytes).ok_or(bad_length)?;
        if crc32c::crc32c(fields.0) != crc {
            return Err(SnapshotError::Checksum);
        }
        let count = fields.take().map(i32::from_be_bytes).ok_or(bad_length)?;
        if usize::try_from(count).ok().and_then(|n| n.checked_mul(SNAPSHOT_ENTRY_BYTES))
            != Some(fields.0.len())
        {
            return Err(bad_length);
        }
        let mut state = ProducerState::new(end_offset);
        while let Some((id, entry)) = fields.entry() {
            if expired(&entry, now, expiration_ms) {
                continue;
            }
            if let Some(first) = entry.current_txn_first_offset {
                state.ongoing.insert(first, id);
            }
            state.producers.insert(id, entry);
        }
        Ok(state)
    }
}

/// A client's sequence numbers go on where the last batch of the epoch ended, and begin at 0 in a new epoch.
fn check_sequence(
    header: BatchHeader<'_>,
    entry: Option<&ProducerEntry>,
    verification: Option<&Verification>,
) -> Result<(), ProducerError> {
    let found = header.base_sequence();
    let last = entry.map_or(-1, ProducerEntry::last_sequence);
    let refused = ProducerError::OutOfOrderSequence { id: header.producer_id(), found, last };
    if let Some(verification) = verification {
        let nothing_known = entry.is_none_or(|entry| entry.batches().is_empty());
        if (verification.supports_epoch_bump && found != 0 && nothing_known)
            || found > verification.lowest_sequence
        {
            return Err(refused);
        }
    }
    let in_order = match entry {
        // Nothing is known of it, perhaps because its records are deleted: it may go on with any number.
        None => true,
        Some(entry) if entry.epoch == NO_EPOCH => true,
        Some(entry) if entry.epoch != header.producer_epoch() => found == 0,
        Some(_) => i64::from(found) == i64::from(last) + 1 || (found == 0 && last == i32::MAX),
    };
    if in_order { Ok(()) } else { Err(refused) }
}

fn expired(entry: &ProducerEntry, now: Ms, expiration_ms: Ms) -> bool {
    entry.current_txn_first_offset.is_none() && now.saturating_sub(entry.last_timestamp) >= expiration_ms
}

/// The fields of a snapshot.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn entry(&mut self) -> Option<(ProducerId, ProducerEntry)> {
        let id = i64::from_be_bytes(self.take()?);
        let mut entry = ProducerEntry::new();
        entry.epoch = i16::from_be_bytes(self.take()?);
        let last_sequence = i32::from_be_bytes(self.take()?);
        let last_offset = i64::from_be_bytes(self.take()?);
        let offset_delta = i32::from_be_bytes(self.take()?);
        let timestamp = i64::from_be_bytes(self.take()?);
        entry.last_timestamp = timestamp;
        entry.coordinator_epoch = i32::from_be_bytes(self.take()?);
        entry.current_txn_first_offset = Some(i64::from_be_bytes(self.take()?)).filter(|&first| first >= 0);
        if last_offset >= 0 {
            entry.push(BatchMetadata { last_sequence, last_offset, offset_delta, timestamp });
        }
        Some((id, entry))
    }
}

#[cfg(test)]
#[path = "producer_state_test.rs"]
mod tests;
