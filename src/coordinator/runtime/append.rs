//! Records into batches.

use bytes::Bytes;

use crate::coordinator::shard::{LogRecord, Producer, Unreadable};
use crate::types::Ms;
use crate::wire::batch::{HEADER_BYTES, LOG_OVERHEAD_BYTES, checksum};
use crate::wire::compress::{Codec, Compression, compress};
use crate::wire::records::BatchBuilder;

/// What a record takes at most besides key and value: five variable-length numbers and its attributes.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// A batch to append, and how many of the records given are in it.
pub(super) struct Packed {
    pub(super) batch: Vec<u8>,
    pub(super) records: usize,
}

/// Packs records, in order, into as few batches as `max_batch_bytes` allows. A single record above that gets a batch of
/// its own, for the log to refuse.
pub(super) fn pack<R: LogRecord>(
    records: &[R],
    producer: Option<Producer>,
    now: Ms,
    compression: Compression,
    max_batch_bytes: usize,
) -> Result<Vec<Packed>, Unreadable> {
    let mut packed = Vec::new();
    let mut builder = new_batch(producer);
    let mut in_batch = 0;
    for record in records {
        let (key, value) = record.encode()?;
        let bytes = key.len() + value.as_ref().map_or(0, Bytes::len) + RECORD_OVERHEAD_BYTES;
        if in_batch > 0 && builder.bytes() + bytes > max_batch_bytes {
            let full = std::mem::replace(&mut builder, new_batch(producer));
            packed.push(Packed { batch: finish(full, compression), records: in_batch });
            in_batch = 0;
        }
        builder.append(now, Some(&key), value.as_deref());
        in_batch += 1;
    }
    if in_batch > 0 {
        packed.push(Packed { batch: finish(builder, compression), records: in_batch });
    }
    Ok(packed)
}

fn new_batch(producer: Option<Producer>) -> BatchBuilder {
    let builder = BatchBuilder::new(0);
    match producer {
        // A coordinator's records have no sequence numbers: it does not retry.
        Some(producer) => builder.producer(producer.id, producer.epoch, -1).transactional(),
        None => builder,
    }
}

fn finish(builder: BatchBuilder, compression: Compression) -> Vec<u8> {
    let batch = builder.finish();
    if compression.codec == Codec::None {
        return batch;
    }
    compressed(&batch, compression).unwrap_or(batch)
}

/// The same batch with its records compressed; `None` if that fails, which leaves it as good as it was.
fn compressed(batch: &[u8], compression: Compression) -> Option<Vec<u8>> {
    let mut out = batch[..HEADER_BYTES].to_vec();
    compress(compression, &batch[HEADER_BYTES..], &mut out).ok()?;
    let length = i32::try_from(out.len() - LOG_OVERHEAD_BYTES).ok()?;
    out[8..12].copy_from_slice(&length.to_be_bytes());
    // The codec is the low bits of the attributes.
    out[22] |= compression.codec.number();
    let crc = checksum(&out);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    Some(out)
}
