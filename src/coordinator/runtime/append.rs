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

/// Packs records, in order, into as few batches as `max_batch_bytes` allows. `together` says how many of them, one run after
/// another, belong into one batch; a run that is larger than that is spread over several. A single record above that gets
/// a batch of its own, for the log to refuse.
pub(super) fn pack<R: LogRecord>(
    records: &[R],
    together: &[usize],
    producer: Option<Producer>,
    now: Ms,
    compression: Compression,
    max_batch_bytes: usize,
) -> Result<Vec<Packed>, Unreadable> {
    debug_assert_eq!(records.len(), together.iter().sum::<usize>(), "every record is in a run");
    let mut packed = Vec::new();
    let mut builder = new_batch(producer);
    let mut in_batch = 0;
    let mut make_room = |builder: &mut BatchBuilder, in_batch: &mut usize, bytes: usize| {
        if *in_batch > 0 && builder.bytes() + bytes > max_batch_bytes {
            let full = std::mem::replace(builder, new_batch(producer));
            packed.push(Packed { batch: finish(full, compression), records: std::mem::take(in_batch) });
        }
    };
    let mut records = records.iter();
    for &count in together {
        let run = records.by_ref().take(count).map(|record| {
            let (key, value) = record.encode()?;
            let bytes = key.len() + value.as_ref().map_or(0, Bytes::len) + RECORD_OVERHEAD_BYTES;
            Ok((key, value, bytes))
        });
        let run: Vec<_> = run.collect::<Result<_, Unreadable>>()?;
        make_room(&mut builder, &mut in_batch, run.iter().map(|(_, _, bytes)| bytes).sum());
        for (key, value, bytes) in run {
            make_room(&mut builder, &mut in_batch, bytes);
            builder.append(now, Some(&key), value.as_deref());
            in_batch += 1;
        }
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
