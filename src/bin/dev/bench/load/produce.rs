//! Produces as fast as the broker acknowledges: one thread, one epoll, requests sent by the kernel out of
//! memory.
//!
//! Every acknowledgement is checked: its error code, its partition, and in the end that the base offsets of a
//! partition were exactly those of consecutive batches, and that its end offset grew by what was
//! acknowledged.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::wrong;
use crate::bench::client::{Client, Topic, offsets_of};
use crate::bench::frames::{Acknowledged, Frames, Shape};
use crate::bench::measure::{Histogram, Usage, Window};

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After a warm-up that does not count and a window that does.
    Time { warmup: Duration, window: Duration },
    /// When so many bytes of batches have been sent; all of it counts.
    Bytes(u64),
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) connections: usize,
    /// Requests that a connection has sent and not seen answered.
    pub(crate) in_flight: usize,
    pub(crate) until: Until,
}

/// What was done.
pub(crate) struct Produced {
    /// Within the window.
    pub(crate) requests: u64,
    pub(crate) records: u64,
    pub(crate) batch_bytes: u64,
    /// From before a request's first byte to its parsed answer.
    pub(crate) acknowledged: Histogram,
    pub(crate) usage: Usage,
    /// In all, warm-up and run-out included.
    pub(crate) total_records: u64,
    pub(crate) total_bytes: u64,
    /// From the start to the last acknowledgement.
    pub(crate) total_s: f64,
}

/// What one partition acknowledged. Batches of a load all have the same number of records, so consecutive
/// base offsets have a known sum whatever order the answers came in.
#[derive(Clone, Debug)]
struct Ledger {
    start: i64,
    batches: u64,
    base_sum: i128,
}

impl Ledger {
    fn add(&mut self, base_offset: i64) {
        self.batches += 1;
        self.base_sum += i128::from(base_offset);
    }

    /// Whether offsets from `start` to `end` were given out, each once.
    fn check(&self, partition: usize, end: i64, batch_records: u64) -> io::Result<()> {
        let records = (self.batches * batch_records) as i64;
        if end - self.start != records {
            let grew = end - self.start;
            return Err(wrong(format!(
                "partition {partition}: {records} acknowledged, end offset grew by {grew}"
            )));
        }
        let (batches, each) = (i128::from(self.batches), i128::from(batch_records));
        let expected = batches * i128::from(self.start) + each * (batches * (batches - 1) / 2);
        if self.base_sum != expected {
            return Err(wrong(format!(
                "partition {partition}: base offsets are not those of consecutive batches"
            )));
        }
        Ok(())
    }
}

/// A request on its way.
#[derive(Clone, Copy)]
struct Sending {
    frame: usize,
    sent: usize,
    began: Instant,
}

struct Connection {
    stream: TcpStream,
    /// Indices of requests, sent in turns.
    frames: Vec<usize>,
    next: usize,
    sending: Option<Sending>,
    waiting: VecDeque<(usize, Instant)>,
    /// Bytes of answers that are not whole yet.
    answers: Vec<u8>,
    /// The socket takes no more until epoll says so.
    full: bool,
}

impl Connection {
    /// Hands the kernel what it takes. -> whether the request is gone
    fn push(&mut self, frames: &Frames, mut sending: Sending) -> io::Result<bool> {
        let frame = &frames.frames[sending.frame];
        let mut at = frame.at + sending.sent as u64;
        match sendfile(&self.stream, &frames.file, Some(&mut at), frame.bytes - sending.sent) {
            Ok(sent) => sending.sent += sent,
            Err(Errno::AGAIN) => self.full = true,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let gone = sending.sent == frame.bytes;
        if gone {
            self.waiting.push_back((sending.frame, sending.began));
        }
        self.sending = (!gone).then_some(sending);
        Ok(gone)
    }

    /// Takes in what has arrived.
    fn pull(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            match recv(&self.stream, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Err(wrong("the broker closed a connection")),
                Ok((taken, _)) => {
                    self.answers.extend_from_slice(&buffer[..taken]);
                    if taken < buffer.len() {
                        return Ok(()); // Edge-triggered: what comes now wakes us again.
                    }
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Calls `with` for each whole answer: the index of its request, when that was sent, the answer's body.
    fn take_answers(
        &mut self,
        mut with: impl FnMut(usize, Instant, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut rest = &self.answers[..];
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*length) as usize;
            let Some(answer) = behind.get(..length) else { break };
            let Some((correlation, body)) = answer.split_first_chunk::<4>() else {
                return Err(wrong("an answer without a header"));
            };
            let Some((frame, began)) = self.waiting.pop_front() else {
                return Err(wrong("an answer that nobody asked for"));
            };
            if i32::from_be_bytes(*correlation) != frame as i32 {
                return Err(wrong("answers out of order"));
            }
            with(frame, began, body)?;
            rest = &behind[length..];
        }
        let taken = self.answers.len() - rest.len();
        self.answers.drain(..taken);
        Ok(())
    }
}

/// Partitions are spread over connections; where there are more connections than partitions, some share one.
fn connect(address: SocketAddr, topic: &Topic, frames: &Frames, count: usize) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for index in 0..count {
        let mut partitions: Vec<i32> =
            (0..topic.partitions).filter(|p| *p as usize % count == index).collect();
        if partitions.is_empty() {
            partitions.push((index % topic.partitions as usize) as i32);
        }
        // Variant by variant, so that partitions take turns.
        let mine = (0..frames.shape.variants).flat_map(|variant| {
            partitions.iter().map(move |partition| frames.of_partition(*partition).start + variant)
        });
        let stream = Client::connect(address)?.into_stream();
        stream.set_nonblocking(true)?;
        connections.push(Connection {
            frames: mine.collect(),
            stream,
            next: 0,
            sending: None,
            waiting: VecDeque::new(),
            answers: Vec::new(),
            full: false,
        });
    }
    Ok(connections)
}

/// Counts within the window.
struct Tally {
    requests: u64,
    records: u64,
    batch_bytes: u64,
    acknowledged: Histogram,
}

impl Tally {
    fn new() -> Tally {
        Tally { requests: 0, records: 0, batch_bytes: 0, acknowledged: Histogram::new() }
    }
}

/// Runs the load to its end and checks it. `pid` is the broker's process.
pub(crate) fn run(address: SocketAddr, pid: u32, topic: &Topic, plan: &Plan) -> io::Result<Produced> {
    let frames = Frames::build(topic, plan.shape)?;
    let batch_records = frames.frames[0].records;
    if frames.frames.iter().any(|frame| frame.records != batch_records) {
        return Err(wrong("batches of different sizes: their offsets could not be checked"));
    }
    let mut connections = connect(address, topic, &frames, plan.connections)?;
    let starts = offsets_of(address, topic, -1)?;
    let mut ledgers: Vec<Ledger> =
        starts.iter().map(|start| Ledger { start: *start, batches: 0, base_sum: 0 }).collect();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, connection) in connections.iter().enumerate() {
        let wake = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&poll, &connection.stream, epoll::EventData::new_u64(index as u64), wake)?;
    }

    let began = Instant::now();
    let (warm_at, end_at, bytes_limit) = match plan.until {
        Until::Time { warmup, window } => (began + warmup, Some(began + warmup + window), u64::MAX),
        Until::Bytes(bytes) => (began, None, bytes),
    };
    let mut warm = warm_at <= began;
    let mut window = Window::begin(pid);
    let mut usage = None;
    let mut tally = Tally::new();
    let (mut started_bytes, mut total_records, mut total_bytes) = (0, 0, 0);
    let mut last_answer = began;
    let mut stopping = false;
    let mut buffer = vec![0u8; 64 * 1024];
    let mut events =
        vec![epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 256];
    let pause = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    loop {
        let now = Instant::now();
        if !warm && now >= warm_at {
            warm = true;
            tally = Tally::new();
            window = Window::begin(pid);
        }
        if !stopping && (end_at.is_some_and(|end| now >= end) || started_bytes >= bytes_limit) {
            stopping = true;
            if end_at.is_some() {
                usage = Some(window.end());
            }
        }
        for connection in &mut connections {
            while !connection.full {
                let sending = match connection.sending {
                    Some(sending) => sending,
                    None if stopping || started_bytes >= bytes_limit => break,
                    None if connection.waiting.len() >= plan.in_flight => break,
                    None => {
                        let frame = connection.frames[connection.next % connection.frames.len()];
                        connection.next += 1;
                        started_bytes += frames.frames[frame].batch_bytes;
                        Sending { frame, sent: 0, began: Instant::now() }
                    }
                };
                connection.push(&frames, sending)?;
            }
        }
        if stopping && connections.iter().all(|c| c.sending.is_none() && c.waiting.is_empty()) {
            break;
        }
        let woken = match epoll::wait(&poll, &mut events[..], Some(&pause)) {
            Ok(woken) => woken,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..woken] {
            let (flags, data) = (event.flags, event.data);
            let connection = &mut connections[data.u64() as usize];
            if flags.contains(epoll::EventFlags::OUT) {
                connection.full = false;
            }
            if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                continue;
            }
            connection.pull(&mut buffer)?;
            let now = Instant::now();
            let counts = warm && usage.is_none();
            connection.take_answers(|index, sent, body| {
                let frame = &frames.frames[index];
                let answer = Acknowledged::read(body, &topic.name)
                    .filter(|answer| answer.partition == frame.partition)
                    .ok_or_else(|| wrong("an answer to something else"))?;
                if answer.error != 0 {
                    return Err(wrong(format!("Produce: error {}", answer.error)));
                }
                ledgers[frame.partition as usize].add(answer.base_offset);
                total_records += frame.records;
                total_bytes += frame.batch_bytes;
                last_answer = now;
                if counts {
                    tally.requests += 1;
                    tally.records += frame.records;
                    tally.batch_bytes += frame.batch_bytes;
                    tally.acknowledged.add(now - sent);
                }
                Ok(())
            })?;
        }
        if stopping && last_answer.max(now).elapsed() > Duration::from_secs(60) {
            return Err(wrong("requests without an answer for a minute"));
        }
    }
    let usage = usage.unwrap_or_else(|| window.end());
    for (partition, end) in offsets_of(address, topic, -1)?.into_iter().enumerate() {
        ledgers[partition].check(partition, end, batch_records)?;
    }
    Ok(Produced {
        requests: tally.requests,
        records: tally.records,
        batch_bytes: tally.batch_bytes,
        acknowledged: tally.acknowledged,
        usage,
        total_records,
        total_bytes,
        total_s: (last_answer - began).as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(bases: &[i64]) -> Ledger {
        let mut ledger = Ledger { start: 100, batches: 0, base_sum: 0 };
        bases.iter().for_each(|base| ledger.add(*base));
        ledger
    }

    #[test]
    fn a_ledger_takes_consecutive_batches_in_any_order() {
        ledger(&[]).check(0, 100, 5).unwrap();
        ledger(&[110, 100, 105]).check(0, 115, 5).unwrap();
    }

    #[test]
    fn a_ledger_finds_what_is_lost_doubled_or_misplaced() {
        assert!(ledger(&[100, 105]).check(0, 115, 5).is_err(), "more stored than acknowledged");
        assert!(ledger(&[100, 105, 110]).check(0, 110, 5).is_err(), "acknowledged and not stored");
        assert!(ledger(&[100, 100, 105]).check(0, 115, 5).is_err(), "an offset given out twice");
    }
}
