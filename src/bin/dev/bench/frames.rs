//! Produce requests, built before the clock starts and put into memory that the kernel sends from by itself:
//! while a load runs, its client neither builds nor copies nor checksums anything.

use std::fs::File;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use ottla::schema::api;
use ottla::types::Rng;
use ottla::wire::records::BatchBuilder;
use rustix::fs::{MemfdFlags, memfd_create};

use super::client::{PRODUCE_VERSION, Topic, frame, text};

/// What the records look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// A batch holds as many records as fit; at least one.
    pub(crate) batch_bytes: usize,
    /// Bytes of a record's value. Values are noise, so that nothing can be compressed away.
    pub(crate) value_bytes: usize,
    /// Different batches for each partition.
    pub(crate) variants: usize,
}

/// Bytes around a value in a batch of one record, and more than enough in a batch of many.
const RECORD_OVERHEAD_BYTES: usize = 10;

/// Milliseconds since 1970, for records' timestamps.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// A batch of the shape, different for each `salt`. -> (batch, records)
pub(crate) fn batch(shape: &Shape, salt: u64) -> (Vec<u8>, u64) {
    let mut rng = Rng::new(salt);
    let mut builder = BatchBuilder::new(0);
    let mut value = vec![0u8; shape.value_bytes];
    let now = now_ms();
    loop {
        for eight in value.chunks_mut(8) {
            let noise = rng.next_u64().to_ne_bytes();
            let length = eight.len();
            eight.copy_from_slice(&noise[..length]);
        }
        builder.append(now, None, Some(&value));
        if builder.bytes() + shape.value_bytes + RECORD_OVERHEAD_BYTES > shape.batch_bytes {
            break;
        }
    }
    let records = builder.count() as u64;
    (builder.finish(), records)
}

/// A request with acks=all that appends one batch to one partition.
pub(crate) fn produce(topic: &str, partition: i32, correlation: i32, batch: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut data = api::produce_request::PartitionProduceData::default();
    data.index = partition;
    data.records = Some(batch.into());
    let mut of_topic = api::produce_request::TopicProduceData::default();
    of_topic.name = text(topic).into();
    of_topic.partition_data.push(data);
    let mut request = api::ProduceRequest::default();
    request.acks = -1;
    request.timeout_ms = 30_000;
    request.topic_data.push(of_topic);
    frame(&request, PRODUCE_VERSION, correlation)
}

/// What the broker said to one such request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) partition: i32,
    pub(crate) error: i16,
    pub(crate) base_offset: i64,
}

impl Acknowledged {
    /// Reads an answer's body, behind the correlation id. `None` if it is no answer to one batch for one
    /// partition.
    pub(crate) fn read(body: &[u8], topic: &str) -> Option<Acknowledged> {
        let body = body.strip_prefix(&1i32.to_be_bytes())?;
        let body = body.strip_prefix(&i16::try_from(topic.len()).ok()?.to_be_bytes())?;
        let body = body.strip_prefix(topic.as_bytes())?;
        let body = body.strip_prefix(&1i32.to_be_bytes())?;
        let (partition, body) = body.split_first_chunk()?;
        let (error, body) = body.split_first_chunk()?;
        let (base_offset, _) = body.split_first_chunk()?;
        Some(Acknowledged {
            partition: i32::from_be_bytes(*partition),
            error: i16::from_be_bytes(*error),
            base_offset: i64::from_be_bytes(*base_offset),
        })
    }
}

/// One request and where it lies.
pub(crate) struct Frame {
    pub(crate) at: u64,
    pub(crate) bytes: usize,
    pub(crate) partition: i32,
    pub(crate) records: u64,
    /// Bytes of the batch alone, which is what a broker stores.
    pub(crate) batch_bytes: u64,
}

/// All requests of a load. The correlation id of each is its index.
pub(crate) struct Frames {
    pub(crate) file: File,
    pub(crate) frames: Vec<Frame>,
    pub(crate) shape: Shape,
}

impl Frames {
    /// Builds `shape.variants` requests for each partition; those of a partition follow one another.
    pub(crate) fn build(topic: &Topic, shape: Shape) -> io::Result<Frames> {
        let mut file = File::from(memfd_create("frames", MemfdFlags::CLOEXEC)?);
        let (mut frames, mut at) = (Vec::new(), 0);
        for partition in 0..topic.partitions {
            for variant in 0..shape.variants {
                let (batch, records) = batch(&shape, partition as u64 * 1000 + variant as u64 + 1);
                let batch_bytes = batch.len() as u64;
                let bytes = produce(&topic.name, partition, frames.len() as i32, batch)?;
                file.write_all(&bytes)?;
                frames.push(Frame { at, bytes: bytes.len(), partition, records, batch_bytes });
                at += bytes.len() as u64;
            }
        }
        Ok(Frames { file, frames, shape })
    }

    /// Requests for a partition, as indices.
    pub(crate) fn of_partition(&self, partition: i32) -> std::ops::Range<usize> {
        let first = partition as usize * self.shape.variants;
        first..first + self.shape.variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla::wire::batch::Batch;

    #[test]
    fn batches_are_valid_and_fill_their_size() {
        let shape = Shape { batch_bytes: 65536, value_bytes: 100, variants: 1 };
        let (bytes, records) = batch(&shape, 1);
        assert!(bytes.len() <= 65536 && bytes.len() > 65536 - 2 * 110, "{}", bytes.len());
        let parsed = Batch::first_of(&bytes).unwrap();
        assert_eq!(parsed.header().records_count() as u64, records);
        parsed.verify_checksum().unwrap();
        assert_eq!(batch(&Shape { batch_bytes: 0, ..shape }, 1).1, 1);
    }

    #[test]
    fn an_acknowledgement_is_read_and_a_foreign_one_is_not() {
        let mut body = Vec::new();
        body.extend_from_slice(&1i32.to_be_bytes());
        body.extend_from_slice(&2i16.to_be_bytes());
        body.extend_from_slice(b"ab");
        body.extend_from_slice(&1i32.to_be_bytes());
        body.extend_from_slice(&7i32.to_be_bytes());
        body.extend_from_slice(&0i16.to_be_bytes());
        body.extend_from_slice(&42i64.to_be_bytes());
        let read = Acknowledged::read(&body, "ab");
        assert_eq!(read, Some(Acknowledged { partition: 7, error: 0, base_offset: 42 }));
        assert_eq!(Acknowledged::read(&body, "ac"), None);
        assert_eq!(Acknowledged::read(&body[..body.len() - 1], "ab"), None);
    }
}
