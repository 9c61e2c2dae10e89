//! Reads partitions in sequence, or at their ends as they grow.
//!
//! Headers of batches are read and counted, and offsets must follow on one another. Bodies are thrown away
//! inside the kernel, so that reading costs the client next to nothing; or, to verify, read, checksummed and
//! walked.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla::schema::api;
use ottla::wire::batch::{Batch, BatchHeader, HEADER_BYTES};
use ottla::wire::records::Records;
use rustix::net::{RecvFlags, recv};

use super::{joined, wrong};
use crate::bench::client::{Client, FETCH_VERSION, Topic, frame, offsets_of, text};
use crate::bench::measure::{Usage, Window};

/// How long a fetch may wait for a first byte.
const MAX_WAIT_MS: i32 = 500;
/// Bytes asked for in one fetch, and of one partition: the Java consumer's defaults.
const MAX_BYTES: i32 = 50 << 20;
const MAX_PARTITION_BYTES: i32 = 1 << 20;
/// Bytes that the kernel is asked to throw away in one call.
const DISCARD_BYTES: usize = 1 << 20;

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) consumers: usize,
    /// Connections of each consumer; its partitions are spread over them.
    pub(crate) connections: usize,
    /// Read from the end on, until every consumer has seen so many records. Otherwise all there is when it
    /// begins.
    pub(crate) tail_records: Option<u64>,
    /// Check what is in the batches.
    pub(crate) verify: bool,
}

/// What was read by all consumers together.
pub(crate) struct Fetched {
    pub(crate) batch_bytes: u64,
    pub(crate) records: u64,
    pub(crate) fetches: u64,
    pub(crate) usage: Usage,
}

#[derive(Default)]
struct Counters {
    bytes: AtomicU64,
    records: AtomicU64,
    fetches: AtomicU64,
}

/// Where reading of a partition is, and where it ends.
#[derive(Clone, Copy, Debug)]
struct Position {
    partition: i32,
    next: i64,
    end: i64,
}

/// The request for full fetches, without a session.
pub(crate) fn request(
    topic: &str,
    positions: impl Iterator<Item = (i32, i64)>,
    correlation: i32,
) -> io::Result<Vec<u8>> {
    let mut of_topic = api::fetch_request::FetchTopic::default();
    of_topic.topic = text(topic).into();
    for (partition, next) in positions {
        let mut one = api::fetch_request::FetchPartition::default();
        one.partition = partition;
        one.fetch_offset = next;
        one.partition_max_bytes = MAX_PARTITION_BYTES;
        of_topic.partitions.push(one);
    }
    let mut request = api::FetchRequest::default();
    request.replica_id = (-1).into();
    request.max_wait_ms = MAX_WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = MAX_BYTES;
    request.session_epoch = -1;
    request.topics.push(of_topic);
    frame(&request, FETCH_VERSION, correlation)
}

/// An answer as it comes off the socket, so that what is not wanted never reaches this process.
struct Answer<'a> {
    stream: &'a TcpStream,
    left: usize,
    discard: &'a mut [u8],
}

impl Answer<'_> {
    fn fill(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(into.len()).ok_or_else(|| wrong("an answer too short"))?;
        let mut filled = 0;
        while filled < into.len() {
            match recv(self.stream, &mut into[filled..], RecvFlags::WAITALL)? {
                (0, _) => return Err(wrong("the broker closed a connection")),
                (taken, _) => filled += taken,
            }
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    fn i16(&mut self) -> io::Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> io::Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// Throws bytes away in the kernel.
    fn skip(&mut self, bytes: usize) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| wrong("an answer too short"))?;
        let mut left = bytes;
        while left > 0 {
            let most = left.min(self.discard.len());
            match recv(self.stream, &mut self.discard[..most], RecvFlags::TRUNC | RecvFlags::WAITALL)? {
                (_, 0) => return Err(wrong("the broker closed a connection")),
                (_, gone) => left -= gone,
            }
        }
        Ok(())
    }
}

/// One connection of a consumer.
struct Reader {
    stream: TcpStream,
    topic: String,
    positions: Vec<Position>,
    verify: bool,
    correlation: i32,
    discard: Vec<u8>,
    batch: Vec<u8>,
}

impl Reader {
    /// One fetch. -> (bytes of batches, records)
    fn fetch(&mut self) -> io::Result<(u64, u64)> {
        self.correlation += 1;
        let wanted = self.positions.iter().map(|p| (p.partition, p.next));
        let ask = request(&self.topic, wanted, self.correlation)?;
        self.stream.write_all(&ask)?;
        let mut answer = Answer { stream: &self.stream, left: 8, discard: &mut self.discard };
        let length = answer.i32()? as usize;
        let correlation = answer.i32()?;
        answer.left = length.checked_sub(4).ok_or_else(|| wrong("an answer without a header"))?;
        let (_throttle, error, _session) = (answer.i32()?, answer.i16()?, answer.i32()?);
        if correlation != self.correlation || error != 0 {
            return Err(wrong(format!("Fetch: error {error}, answer {correlation} to {}", self.correlation)));
        }
        let (mut bytes, mut records) = (0, 0);
        for _ in 0..answer.i32()? {
            let name = answer.i16()? as usize;
            answer.skip(name)?;
            for _ in 0..answer.i32()? {
                let (partition, error) = (answer.i32()?, answer.i16()?);
                if error != 0 {
                    return Err(wrong(format!("Fetch of {}-{partition}: error {error}", self.topic)));
                }
                answer.skip(24)?; // High watermark, last stable offset, log start offset.
                let aborted = answer.i32()?.max(0) as usize;
                answer.skip(16 * aborted + 4)?; // And the preferred replica.
                let size = answer.i32()?.max(0) as usize;
                let position = self
                    .positions
                    .iter_mut()
                    .find(|p| p.partition == partition)
                    .ok_or_else(|| wrong("a partition that was not asked for"))?;
                records += take_batches(&mut answer, size, position, self.verify.then_some(&mut self.batch))?;
                bytes += size as u64;
            }
        }
        let rest = answer.left;
        answer.skip(rest)?;
        Ok((bytes, records))
    }
}

/// Reads `size` bytes of batches and moves `position` past them. The last one may be cut short. -> records
fn take_batches(
    answer: &mut Answer<'_>,
    size: usize,
    position: &mut Position,
    mut verify: Option<&mut Vec<u8>>,
) -> io::Result<u64> {
    let (mut left, mut records) = (size, 0);
    while left >= HEADER_BYTES {
        let front: [u8; HEADER_BYTES] = answer.array()?;
        left -= HEADER_BYTES;
        let header = BatchHeader::of(&front);
        let total = header.total_bytes().ok_or_else(|| wrong("a batch smaller than its header"))?;
        let body = total - HEADER_BYTES;
        if body > left {
            break;
        }
        left -= body;
        if header.last_offset() < position.next {
            answer.skip(body)?; // Offsets before the one asked for, in the same batch as others.
            continue;
        }
        if header.base_offset() != position.next {
            let (found, wanted) = (header.base_offset(), position.next);
            return Err(wrong(format!("partition {}: offset {found}, {wanted} is next", position.partition)));
        }
        match verify.as_deref_mut() {
            None => answer.skip(body)?,
            Some(batch) => {
                batch.clear();
                batch.extend_from_slice(&front);
                batch.resize(total, 0);
                answer.fill(&mut batch[HEADER_BYTES..])?;
                check(batch)?;
            }
        }
        position.next = header.next_offset();
        records += header.records_count().max(0) as u64;
    }
    answer.skip(left)?;
    Ok(records)
}

/// The checksum is right and every record can be read.
fn check(bytes: &[u8]) -> io::Result<()> {
    let batch = Batch::first_of(bytes).map_err(|e| wrong(e.to_string()))?;
    batch.verify_checksum().map_err(|e| wrong(e.to_string()))?;
    let records = Records::of(&batch).ok_or_else(|| wrong("a compressed batch"))?;
    let mut count = 0;
    for record in records {
        record.map_err(|e| wrong(e.to_string()))?;
        count += 1;
    }
    if count != batch.header().records_count() {
        return Err(wrong(format!(
            "{count} records in a batch that says {}",
            batch.header().records_count()
        )));
    }
    Ok(())
}

/// A load that has begun; every position is set, so whatever is produced from now on is seen.
pub(crate) struct Running {
    threads: Vec<std::thread::JoinHandle<io::Result<()>>>,
    all: Arc<Counters>,
    window: Window,
}

impl Running {
    /// Waits until all is read.
    pub(crate) fn finish(self) -> io::Result<Fetched> {
        let mut result = Ok(());
        for thread in self.threads {
            let one = joined(thread);
            if result.is_ok() {
                result = one;
            }
        }
        result?;
        Ok(Fetched {
            batch_bytes: self.all.bytes.load(Ordering::Relaxed),
            records: self.all.records.load(Ordering::Relaxed),
            fetches: self.all.fetches.load(Ordering::Relaxed),
            usage: self.window.end(),
        })
    }
}

/// Begins to read. `pid` is the broker's process.
pub(crate) fn begin(address: SocketAddr, pid: u32, topic: &Topic, plan: &Plan) -> io::Result<Running> {
    let ends = offsets_of(address, topic, -1)?;
    let starts = if plan.tail_records.is_some() { ends.clone() } else { offsets_of(address, topic, -2)? };
    let all = Arc::new(Counters::default());
    let mut threads = Vec::new();
    let window = Window::begin(pid);
    for _ in 0..plan.consumers {
        let mine = Arc::new(AtomicU64::new(0));
        for connection in 0..plan.connections {
            let positions: Vec<Position> = (0..topic.partitions)
                .filter(|p| *p as usize % plan.connections == connection)
                .map(|p| Position { partition: p, next: starts[p as usize], end: ends[p as usize] })
                .collect();
            let stream = Client::connect(address)?.into_stream();
            let mut reader = Reader {
                stream,
                topic: topic.name.clone(),
                positions,
                verify: plan.verify,
                correlation: 0,
                discard: vec![0; DISCARD_BYTES],
                batch: Vec::new(),
            };
            let (all, mine, tail) = (all.clone(), mine.clone(), plan.tail_records);
            threads.push(std::thread::spawn(move || {
                let mut idle = 0;
                loop {
                    match tail {
                        Some(records) if mine.load(Ordering::Relaxed) >= records => return Ok(()),
                        Some(_) => {}
                        None => reader.positions.retain(|p| p.next < p.end),
                    }
                    if reader.positions.is_empty() {
                        return Ok(());
                    }
                    let (bytes, records) = reader.fetch()?;
                    idle = if records == 0 { idle + 1 } else { 0 };
                    if idle > 120 {
                        return Err(wrong("nothing to read for a minute, and not all was read"));
                    }
                    mine.fetch_add(records, Ordering::Relaxed);
                    all.bytes.fetch_add(bytes, Ordering::Relaxed);
                    all.records.fetch_add(records, Ordering::Relaxed);
                    all.fetches.fetch_add(1, Ordering::Relaxed);
                    // A broker fills an answer from the front: every partition gets its turn there.
                    reader.positions.rotate_left(1);
                }
            }));
        }
    }
    Ok(Running { threads, all, window })
}

/// Reads everything there is.
pub(crate) fn run(address: SocketAddr, pid: u32, topic: &Topic, plan: &Plan) -> io::Result<Fetched> {
    begin(address, pid, topic, plan)?.finish()
}

/// How long a consumer may take to be in its first waiting fetch.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);
