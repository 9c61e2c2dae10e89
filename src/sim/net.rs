//! A simulated network: pipes in memory that deliver late and in pieces.
//!
//! Every write travels for a time drawn from the seed, in order within its direction; reads and writes take
//! as many bytes as the seed says. Between two ends no more than [`WINDOW_BYTES`] are under way, so a reader
//! that does not read holds up the writer. [`SimNet::reset`] is what peers see of a machine that dies: its
//! listeners are gone and every connection fails, with what was under way lost.
//!
//! It knows nothing of hosts yet: a port is an address.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::env::net::{BoxFuture, Conn, Listener, Net};
use crate::types::Rng;

/// The most bytes under way in one direction of a connection.
pub const WINDOW_BYTES: usize = 64 << 10;
/// The first port that is given to who does not name one.
const FREE_PORTS_FROM: u16 = 30_000;

/// A network. Clones are the same network.
#[derive(Clone)]
pub struct SimNet {
    state: Arc<Mutex<State>>,
}

struct State {
    rng: Rng,
    delay_ms_max: u64,
    next_port: u16,
    listeners: BTreeMap<u16, Arc<Backlog>>,
    links: Vec<Weak<Link>>,
}

#[derive(Default)]
struct Backlog {
    waiting: Mutex<VecDeque<SimConn>>,
    arrived: Notify,
}

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    under_way: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// Nothing more comes.
    closed: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// Both directions; an end writes into the pipe of its own number.
#[derive(Default)]
struct Link {
    pipes: [Mutex<Pipe>; 2],
}

struct SimConn {
    net: SimNet,
    link: Arc<Link>,
    end: usize,
    own: u16,
    peer: u16,
    arrival: Mutex<Option<Pin<Box<Sleep>>>>,
}

struct SimListener {
    net: SimNet,
    backlog: Arc<Backlog>,
    port: u16,
}

impl SimNet {
    /// A network where a write travels for up to `delay_ms_max` milliseconds.
    pub fn new(rng: Rng, delay_ms_max: u64) -> SimNet {
        let state = State {
            rng,
            delay_ms_max,
            next_port: FREE_PORTS_FROM,
            listeners: BTreeMap::new(),
            links: Vec::new(),
        };
        SimNet { state: Arc::new(Mutex::new(state)) }
    }

    /// Everything ends at once, as seen from peers of a machine that died.
    pub fn reset(&self) {
        let links = {
            let mut state = self.state.lock();
            state.listeners.clear();
            std::mem::take(&mut state.links)
        };
        for link in links.iter().filter_map(Weak::upgrade) {
            for pipe in &link.pipes {
                let mut pipe = pipe.lock();
                pipe.reset = true;
                pipe.under_way.clear();
                pipe.wake();
            }
        }
    }

    fn delay(&self) -> Duration {
        let mut state = self.state.lock();
        let max = state.delay_ms_max;
        Duration::from_millis(state.rng.below(max + 1))
    }

    /// How much of `of` bytes a call takes: all of them more often than not.
    fn portion(&self, of: usize) -> usize {
        let rng = &mut self.state.lock().rng;
        if of <= 1 || rng.chance(2) { of } else { 1 + rng.below(of as u64) as usize }
    }
}

impl Net for SimNet {
    fn listen<'a>(&'a self, _host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let mut state = self.state.lock();
            let port = if port == 0 {
                state.next_port += 1;
                state.next_port
            } else {
                port
            };
            if state.listeners.contains_key(&port) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let backlog = Arc::new(Backlog::default());
            state.listeners.insert(port, Arc::clone(&backlog));
            Ok(Box::new(SimListener { net: self.clone(), backlog, port }) as Box<dyn Listener>)
        })
    }

    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        // Names mean nothing here; addresses mean themselves.
        let found = host.parse().map(|address| vec![address]).map_err(|_| io::ErrorKind::NotFound.into());
        Box::pin(std::future::ready(found))
    }

    fn connect<'a>(&'a self, _host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            sleep(self.delay()).await;
            let mut state = self.state.lock();
            let backlog = state.listeners.get(&port).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
            state.next_port = state.next_port.checked_add(1).unwrap_or(FREE_PORTS_FROM);
            let own = state.next_port;
            let link = Arc::new(Link::default());
            state.links.retain(|link| link.strong_count() > 0);
            state.links.push(Arc::downgrade(&link));
            drop(state);
            let conn = |end, own, peer| SimConn {
                net: self.clone(),
                link: Arc::clone(&link),
                end,
                own,
                peer,
                arrival: Mutex::new(None),
            };
            backlog.waiting.lock().push_back(conn(1, port, own));
            backlog.arrived.notify_one();
            Ok(Box::new(conn(0, own, port)) as Box<dyn Conn>)
        })
    }
}

impl Listener for SimListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            loop {
                if let Some(conn) = self.backlog.waiting.lock().pop_front() {
                    return Ok(Box::new(conn) as Box<dyn Conn>);
                }
                self.backlog.arrived.notified().await;
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(address(self.port))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.net.state.lock();
        // After a reset somebody else may listen there.
        if state.listeners.get(&self.port).is_some_and(|backlog| Arc::ptr_eq(backlog, &self.backlog)) {
            state.listeners.remove(&self.port);
        }
        drop(state);
        let waiting = std::mem::take(&mut *self.backlog.waiting.lock());
        drop(waiting);
    }
}

impl Conn for SimConn {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let arrives = {
            let mut pipe = self.link.pipes[1 - self.end].lock();
            match pipe.under_way.front() {
                _ if pipe.reset => return Poll::Ready(Ok(())),
                Some((at, _)) if *at <= Instant::now() => return Poll::Ready(Ok(())),
                None if pipe.closed => return Poll::Ready(Ok(())),
                front => {
                    let arrives = front.map(|(at, _)| *at);
                    pipe.reader = Some(cx.waker().clone());
                    arrives
                }
            }
        };
        let Some(arrives) = arrives else { return Poll::Pending };
        let mut arrival = self.arrival.lock();
        let timer = arrival.get_or_insert_with(|| Box::pin(sleep_until(arrives)));
        if timer.deadline() != arrives {
            timer.as_mut().reset(arrives);
        }
        timer.as_mut().poll(cx).map(Ok)
    }

    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut pipe = self.link.pipes[1 - self.end].lock();
        if pipe.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let closed = pipe.closed;
        let bytes = match pipe.under_way.front_mut() {
            Some((at, bytes)) if *at <= Instant::now() => bytes,
            None if closed => return Ok(0),
            Some(_) | None => return Err(io::ErrorKind::WouldBlock.into()),
        };
        let taken = self.net.portion(bytes.len().min(buf.len()));
        bytes.copy_to_slice(&mut buf[..taken]);
        if bytes.is_empty() {
            pipe.under_way.pop_front();
        }
        pipe.bytes -= taken;
        if let Some(writer) = pipe.writer.take() {
            writer.wake();
        }
        Ok(taken)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.link.pipes[self.end].lock();
        if pipe.reset || pipe.closed || pipe.bytes < WINDOW_BYTES {
            return Poll::Ready(Ok(()));
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn try_write(&self, parts: &[IoSlice<'_>], _more_follows: bool) -> io::Result<usize> {
        let delay = self.net.delay();
        let mut pipe = self.link.pipes[self.end].lock();
        if pipe.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if pipe.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let offered: usize = parts.iter().map(|part| part.len()).sum();
        let room = WINDOW_BYTES.saturating_sub(pipe.bytes);
        if room == 0 && offered > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.net.portion(offered.min(room));
        let bytes: Bytes = parts.iter().flat_map(|part| part.iter().copied()).take(taken).collect();
        let behind = pipe.under_way.back().map_or_else(Instant::now, |(at, _)| *at);
        if taken > 0 {
            pipe.under_way.push_back((behind.max(Instant::now() + delay), bytes));
        }
        pipe.bytes += taken;
        if let Some(reader) = pipe.reader.take() {
            reader.wake();
        }
        Ok(taken)
    }

    fn try_send_file(&self, _file: BorrowedFd<'_>, _offset: u64, _len: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(address(self.peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(address(self.own))
    }
}

impl Drop for SimConn {
    fn drop(&mut self) {
        // The peer reads what is under way and then the end; what it writes from now on goes nowhere.
        for pipe in &self.link.pipes {
            let mut pipe = pipe.lock();
            pipe.closed = true;
            pipe.wake();
        }
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
