//! Reads a partition of an internal topic from its start and replays it.
//!
//! Memory is bounded by one chunk and one batch's records, decompressed. Records that make no sense are skipped with a
//! warning, for one of them must not make all groups of a partition unavailable; a batch that is damaged fails the
//! load.

use bytes::Bytes;

use super::{PartitionLog, ReadError};
use crate::coordinator::shard::{Entry, LogRecord, Producer, Shard};
use crate::types::Offset;
use crate::wire::batch::{Batch, BatchError, batches};
use crate::wire::compress::{Codec, CompressError, decompress};
use crate::wire::records::{RecordError, Records};

/// The most that one batch's records may decompress to.
const BATCH_BYTES_MAX: usize = 256 << 20;
/// Warnings about records of unknown types, and about records that cannot be read, per load; the rest is only counted.
const WARNINGS_MAX: usize = 10;

/// Why a partition cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch is damaged.
    #[error("the batch at {at}: {error}")]
    Batch {
        /// Where the log was at.
        at: Offset,
        /// What is wrong with it.
        error: BatchError,
    },
    /// A batch's records do not decompress.
    #[error("the batch at {at}: {error}")]
    Compressed {
        /// Its base offset.
        at: Offset,
        /// What is wrong with it.
        error: CompressError,
    },
    /// A batch's records cannot be told apart.
    #[error("the batch at {at}: {error}")]
    Records {
        /// Its base offset.
        at: Offset,
        /// What is wrong with them.
        error: RecordError,
    },
    /// What is read does not lead on.
    #[error("no batch at {at}, though the log goes on to {end}")]
    Gap {
        /// Where none was found.
        at: Offset,
        /// Where the log ends.
        end: Offset,
    },
}

/// What a load took in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Offset after the last record read: the end of the log when the load began.
    pub end: Offset,
    /// Records replayed.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Records of types that this version leaves alone.
    pub ignored: u64,
    /// Records that cannot be read.
    pub unreadable: u64,
}

/// Replays the whole log into `hard`, reading `chunk_bytes` at a time.
pub async fn load<S: Shard>(
    log: &dyn PartitionLog,
    chunk_bytes: usize,
    hard: &mut S::Hard,
) -> Result<Loaded, LoadError> {
    let end = log.end_offset();
    let mut loaded = Loaded { end, ..Loaded::default() };
    let mut at = log.start_offset();
    while at < end {
        let chunk = log.read(at, chunk_bytes).await?;
        let before = at;
        for batch in batches(&chunk) {
            let batch = batch.map_err(|error| LoadError::Batch { at, error })?;
            batch.verify_checksum().map_err(|error| LoadError::Batch { at, error })?;
            if batch.header().next_offset() > at {
                replay_batch::<S>(&batch, hard, &mut loaded)?;
                at = batch.header().next_offset();
            }
        }
        loaded.bytes += chunk.len() as u64;
        if at == before {
            at = log.start_offset();
            if at > before {
                // The front of the log was deleted meanwhile.
            } else if chunk.is_empty() {
                // Compaction, or a power loss before the sync, may have left no batch up to the end.
                tracing::warn!(at, end, "a log of a coordinator has nothing up to its end");
                break;
            } else {
                return Err(LoadError::Gap { at, end });
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(loaded)
}

fn replay_batch<S: Shard>(
    batch: &Batch<'_>,
    hard: &mut S::Hard,
    loaded: &mut Loaded,
) -> Result<(), LoadError> {
    let header = batch.header();
    let at = header.base_offset();
    let codec = Codec::from_number(header.compression());
    let payload = match codec {
        Some(Codec::None) => Bytes::copy_from_slice(batch.payload()),
        Some(codec) => {
            let mut out = Vec::new();
            decompress(codec, batch.payload(), BATCH_BYTES_MAX, &mut out)
                .map_err(|error| LoadError::Compressed { at, error })?;
            Bytes::from(out)
        }
        None => {
            let error = BatchError::Magic(header.magic());
            return Err(LoadError::Batch { at, error });
        }
    };
    let of_producer = Producer { id: header.producer_id(), epoch: header.producer_epoch() };
    let producer = header.is_transactional().then_some(of_producer);
    for record in Records::new(&payload, header.records_count()) {
        let record = record.map_err(|error| LoadError::Records { at, error })?;
        let offset = record.offset(at);
        if header.is_control() {
            if let Some(committed) = record.key.and_then(end_of_transaction) {
                S::replay(hard, offset, Entry::EndTxn { producer: of_producer, committed });
            }
            continue;
        }
        let key = record.key.map(|key| payload.slice_ref(key));
        let value = record.value.map(|value| payload.slice_ref(value));
        match S::Record::decode(key.as_ref(), value.as_ref()) {
            Ok(Some(record)) => {
                loaded.records += 1;
                S::replay(hard, offset, Entry::Record { producer, record });
            }
            Ok(None) => {
                loaded.ignored += 1;
                if loaded.ignored <= WARNINGS_MAX as u64 {
                    let kind =
                        key.as_ref().and_then(|key| key.first_chunk()).map(|kind| i16::from_be_bytes(*kind));
                    tracing::warn!(offset, kind, "left a record alone that is of an unknown type");
                }
            }
            Err(error) => {
                loaded.unreadable += 1;
                if loaded.unreadable <= WARNINGS_MAX as u64 {
                    tracing::warn!(offset, %error, "skipped a record that cannot be read");
                }
            }
        }
    }
    Ok(())
}

/// Whether a control record's key says commit (1) or abort (0): an int16 version, an int16 type.
fn end_of_transaction(key: &[u8]) -> Option<bool> {
    match key {
        [_, _, 0, 0, ..] => Some(false),
        [_, _, 0, 1, ..] => Some(true),
        _ => None,
    }
}
