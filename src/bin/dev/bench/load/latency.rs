//! From a schedule to a consumer, open loop: requests leave at fixed times whatever the broker does, each
//! record carries the time it was to leave, and the consumer, in the same process, compares it with the
//! moment it holds the whole answer. A broker that stalls is charged for everything it delays.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka_protocol::protocol::Decodable;
use ottla::schema::api;
use ottla::wire::batch::batches;
use ottla::wire::records::{BatchBuilder, Records};

use super::{fetch, fire_on_time, joined, sleep_until, wrong};
use crate::bench::client::{Client, FETCH_VERSION, Topic, offsets_of};
use crate::bench::frames::{Acknowledged, now_ms, produce};
use crate::bench::measure::{Histogram, Usage, Window};

/// Bytes of a record's value; the first eight are its time.
const VALUE_BYTES: usize = 100;
/// How far behind a broker may fall, in requests, before the sender holds still. By then the schedule says it
/// all.
const BEHIND_MAX: u64 = 1 << 15;
/// How long the last answers may take.
const RUN_OUT: Duration = Duration::from_secs(10);

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Records a second.
    pub(crate) rate: f64,
    /// Records in a request.
    pub(crate) group: u64,
    pub(crate) connections: usize,
    pub(crate) warmup: Duration,
    pub(crate) window: Duration,
}

/// What was seen.
pub(crate) struct Seen {
    /// From the schedule to the consumer.
    pub(crate) end_to_end: Histogram,
    /// From the schedule to the producer's acknowledgement.
    pub(crate) acknowledged: Histogram,
    /// How late the sender itself was: a broker cannot look better than this.
    pub(crate) late: Histogram,
    pub(crate) sent: u64,
    pub(crate) consumed: u64,
    /// Records of the window.
    pub(crate) window_records: f64,
    pub(crate) usage: Usage,
}

/// What the threads share. Times are nanoseconds since `zero`.
struct Shared {
    zero: Instant,
    /// Records that were to leave earlier are warm-up.
    counts_from: AtomicU64,
    /// When the requests were to leave, by correlation id modulo its length.
    schedule: Vec<AtomicU64>,
    acknowledged: AtomicU64,
    consumed: AtomicU64,
    stop: AtomicBool,
}

impl Shared {
    fn now(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    fn count(&self, into: &mut Histogram, due: u64, now: u64) {
        if due >= self.counts_from.load(Ordering::Relaxed) {
            into.add(Duration::from_nanos(now.saturating_sub(due)));
        }
    }
}

/// Reads acknowledgements of one connection until told to stop.
fn acknowledgements(
    mut stream: TcpStream,
    topic: String,
    shared: Arc<Shared>,
) -> JoinHandle<io::Result<Histogram>> {
    std::thread::spawn(move || {
        let mut seen = Histogram::new();
        let (mut held, mut buffer) = (Vec::new(), [0u8; 16 * 1024]);
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(wrong("the broker closed a connection")),
                Ok(taken) => held.extend_from_slice(&buffer[..taken]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if shared.stop.load(Ordering::Relaxed) {
                        return Ok(seen);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
            let now = shared.now();
            let mut rest = &held[..];
            while let Some((length, behind)) = rest.split_first_chunk::<4>() {
                let length = i32::from_be_bytes(*length) as usize;
                let Some(answer) = behind.get(..length) else { break };
                let (correlation, body) =
                    answer.split_first_chunk::<4>().ok_or_else(|| wrong("an answer without a header"))?;
                match Acknowledged::read(body, &topic) {
                    Some(Acknowledged { error: 0, .. }) => {}
                    Some(answer) => return Err(wrong(format!("Produce: error {}", answer.error))),
                    None => return Err(wrong("an answer to something else")),
                }
                let slot = i32::from_be_bytes(*correlation) as usize % shared.schedule.len();
                shared.count(&mut seen, shared.schedule[slot].load(Ordering::Relaxed), now);
                shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                rest = &behind[length..];
            }
            let taken = held.len() - rest.len();
            held.drain(..taken);
        }
    })
}

/// Reads all partitions at their ends until told to stop.
fn consumer(
    address: SocketAddr,
    topic: &Topic,
    shared: Arc<Shared>,
) -> io::Result<JoinHandle<io::Result<Histogram>>> {
    let mut next = offsets_of(address, topic, -1)?;
    let (mut client, topic) = (Client::connect(address)?, topic.name.clone());
    Ok(std::thread::spawn(move || {
        let mut seen = Histogram::new();
        let mut correlation = 0;
        while !shared.stop.load(Ordering::Relaxed) {
            correlation += 1;
            let positions = next.iter().enumerate().map(|(partition, next)| (partition as i32, *next));
            let ask = fetch::request(&topic, positions, correlation)?;
            let mut body = client.exchange(&ask, correlation)?;
            let now = shared.now();
            let answer =
                api::FetchResponse::decode(&mut body, FETCH_VERSION).map_err(|e| wrong(e.to_string()))?;
            for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
                if partition.error_code != 0 {
                    return Err(wrong(format!("Fetch: error {}", partition.error_code)));
                }
                let Some(bytes) = &partition.records else { continue };
                let next = &mut next[partition.partition_index as usize];
                for batch in batches(bytes) {
                    let Ok(batch) = batch else { break }; // Cut short at the end of the answer.
                    if batch.header().last_offset() < *next {
                        continue;
                    }
                    if batch.header().base_offset() != *next {
                        return Err(wrong("a gap in the offsets"));
                    }
                    for record in Records::of(&batch).ok_or_else(|| wrong("a compressed batch"))? {
                        let record = record.map_err(|e| wrong(e.to_string()))?;
                        let due = record.value.and_then(|value| value.first_chunk());
                        let due = due.ok_or_else(|| wrong("a record that nobody sent"))?;
                        shared.count(&mut seen, u64::from_be_bytes(*due), now);
                        shared.consumed.fetch_add(1, Ordering::Relaxed);
                    }
                    *next = batch.header().next_offset();
                }
            }
        }
        Ok(seen)
    }))
}

/// Sends on schedule and gathers what the others saw. `pid` is the broker's process.
pub(crate) fn run(address: SocketAddr, pid: u32, topic: &Topic, plan: &Plan) -> io::Result<Seen> {
    fire_on_time();
    let shared = Arc::new(Shared {
        zero: Instant::now(),
        counts_from: AtomicU64::new(u64::MAX),
        schedule: (0..2 * BEHIND_MAX).map(|_| AtomicU64::new(0)).collect(),
        acknowledged: AtomicU64::new(0),
        consumed: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let consumer = consumer(address, topic, shared.clone())?;
    let (mut streams, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..plan.connections {
        let stream = Client::connect(address)?.into_stream();
        readers.push(acknowledgements(stream.try_clone()?, topic.name.clone(), shared.clone()));
        streams.push(stream);
    }

    let step = plan.group as f64 / plan.rate;
    let requests = ((plan.warmup + plan.window).as_secs_f64() / step) as u64;
    let began = shared.zero.elapsed() + fetch::SETTLE;
    let counts_from = (began + plan.warmup).as_nanos() as u64;
    shared.counts_from.store(counts_from, Ordering::Relaxed);
    let (mut window, mut late) = (None, Histogram::new());
    let mut value = [0x5a; VALUE_BYTES];
    for request in 0..requests {
        let due = began + Duration::from_secs_f64(request as f64 * step);
        sleep_until(shared.zero + due);
        let due = due.as_nanos() as u64;
        if due >= counts_from {
            window.get_or_insert_with(|| Window::begin(pid));
        }
        shared.count(&mut late, due, shared.now());
        value[..8].copy_from_slice(&due.to_be_bytes());
        let (mut builder, now) = (BatchBuilder::new(0), now_ms());
        for _ in 0..plan.group {
            builder.append(now, None, Some(&value));
        }
        let partition = (request % topic.partitions as u64) as i32;
        shared.schedule[(request % (2 * BEHIND_MAX)) as usize].store(due, Ordering::Relaxed);
        let frame = produce(&topic.name, partition, request as i32, builder.finish())?;
        let stream = partition as usize % streams.len();
        streams[stream].write_all(&frame)?;
        while request >= shared.acknowledged.load(Ordering::Relaxed) + BEHIND_MAX {
            if readers.iter().any(JoinHandle::is_finished) {
                return Err(wrong("a connection failed"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    let usage = window.unwrap_or_else(|| Window::begin(pid)).end();
    let (sent, deadline) = (requests * plan.group, Instant::now() + RUN_OUT);
    while Instant::now() < deadline
        && (shared.acknowledged.load(Ordering::Relaxed) < requests
            || shared.consumed.load(Ordering::Relaxed) < sent)
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    shared.stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Histogram::new();
    for reader in readers {
        acknowledged.merge(&joined(reader)?);
    }
    Ok(Seen {
        end_to_end: joined(consumer)?,
        acknowledged,
        late,
        sent,
        consumed: shared.consumed.load(Ordering::Relaxed),
        window_records: plan.window.as_secs_f64() * plan.rate,
        usage,
    })
}
