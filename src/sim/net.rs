//! A simulated network: pipes in memory that deliver late and in pieces.
//!
//! Every write travels for a time drawn from the seed, in order within its direction; reads and writes take
//! as many bytes as the seed says. Between two ends no more than [`WINDOW_BYTES`] are under way, so a reader
//! that does not read holds up the writer.
//!
//! Every machine is a host with a name, an address and listeners of its own; a [`SimNet`] is the network as one
//! host sees it. [`SimNet::reset`] is what peers see of a process that dies: its listeners are gone and every
//! connection fails, with what was under way lost. [`SimNet::vanish`] is what they see of a machine without
//! power: silence, until it is there again and knows nothing of its connections. [`SimNet::cut`] holds up all
//! bytes in one direction between two hosts, as a broken switch does; they arrive once it is mended.
//!
//! On a network of one host every name means it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

/// How often a host that does not get through tries again to connect.
const CONNECT_AGAIN: Duration = Duration::from_millis(50);

/// A host's number, by which its address goes.
type HostId = u8;
/// Host and port.
type Place = (HostId, u16);

/// A network, as one of its hosts sees it. Clones are the same.
#[derive(Clone)]
pub struct SimNet {
    state: Arc<Mutex<State>>,
    own: HostId,
}

struct State {
    rng: Rng,
    delay_ms_max: u64,
    next_port: u16,
    hosts: Vec<String>,
    listeners: BTreeMap<Place, Arc<Backlog>>,
    links: Vec<Weak<Link>>,
    /// From where to where nothing arrives.
    cuts: BTreeSet<(HostId, HostId)>,
    /// Hosts that are out of power.
    vanished: BTreeSet<HostId>,
    /// Longest delays of directions that are slower than others, in milliseconds.
    slow: BTreeMap<(HostId, HostId), u64>,
}

impl State {
    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cuts.contains(&(from, to)) || self.vanished.contains(&from) || self.vanished.contains(&to)
    }

    fn find(&self, name: &str, own: HostId) -> Option<HostId> {
        if self.hosts.len() == 1 || matches!(name, "" | "localhost" | "127.0.0.1" | "::1") {
            return Some(own);
        }
        let named = self.hosts.iter().position(|host| host == name);
        let addressed = || (0..self.hosts.len()).find(|host| ip(*host as HostId).to_string() == name);
        named.or_else(addressed).map(|host| host as HostId)
    }

    /// Everyone who waits looks again.
    fn wake_all(&self) {
        for link in self.links.iter().filter_map(Weak::upgrade) {
            link.pipes.iter().for_each(|pipe| pipe.lock().wake());
        }
    }
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
struct Link {
    pipes: [Mutex<Pipe>; 2],
    /// The two ends.
    places: [Place; 2],
}

impl Link {
    fn is_of(&self, host: HostId) -> bool {
        self.places.iter().any(|place| place.0 == host)
    }

    fn reset(&self) {
        for pipe in &self.pipes {
            let mut pipe = pipe.lock();
            pipe.reset = true;
            pipe.under_way.clear();
            pipe.wake();
        }
    }
}

struct SimConn {
    net: SimNet,
    link: Arc<Link>,
    end: usize,
    arrival: Mutex<Option<Pin<Box<Sleep>>>>,
}

struct SimListener {
    net: SimNet,
    backlog: Arc<Backlog>,
    place: Place,
}

impl SimNet {
    /// A network where a write travels for up to `delay_ms_max` milliseconds, as its first host sees it.
    pub fn new(rng: Rng, delay_ms_max: u64) -> SimNet {
        let state = State {
            rng,
            delay_ms_max,
            next_port: FREE_PORTS_FROM,
            hosts: vec!["localhost".to_owned()],
            listeners: BTreeMap::new(),
            links: Vec::new(),
            cuts: BTreeSet::new(),
            vanished: BTreeSet::new(),
            slow: BTreeMap::new(),
        };
        SimNet { state: Arc::new(Mutex::new(state)), own: 0 }
    }

    /// The same network, as another host sees it, which is known to all by its name from now on.
    pub fn host(&self, name: &str) -> SimNet {
        let mut state = self.state.lock();
        let own = HostId::try_from(state.hosts.len()).expect("networks are small");
        state.hosts.push(name.to_owned());
        SimNet { state: Arc::clone(&self.state), own }
    }

    /// Everything of this host ends at once, as seen from peers of a process that died.
    pub fn reset(&self) {
        self.end(|link| link.is_of(self.own));
        self.state.lock().listeners.retain(|place, _| place.0 != self.own);
    }

    /// All connections between two hosts are lost.
    pub fn reset_between(&self, other: &SimNet) {
        self.end(|link| link.is_of(self.own) && link.is_of(other.own));
    }

    fn end(&self, which: impl Fn(&Link) -> bool) {
        let ended: Vec<Arc<Link>> = {
            let state = self.state.lock();
            state.links.iter().filter_map(Weak::upgrade).filter(|link| which(link)).collect()
        };
        ended.iter().for_each(|link| link.reset());
    }

    /// This host is gone without a word.
    pub fn vanish(&self) {
        self.state.lock().vanished.insert(self.own);
        self.reset();
    }

    /// This host is there again.
    pub fn appear(&self) {
        let mut state = self.state.lock();
        if state.vanished.remove(&self.own) {
            state.wake_all();
        }
    }

    /// From now on nothing that this host sends arrives at `to`.
    pub fn cut(&self, to: &SimNet) {
        self.state.lock().cuts.insert((self.own, to.own));
    }

    /// What this host sends to `to` arrives again, and so does what was held up.
    pub fn mend(&self, to: &SimNet) {
        let mut state = self.state.lock();
        state.cuts.remove(&(self.own, to.own));
        state.wake_all();
    }

    /// What this host sends to `to` travels for up to so many milliseconds; as everywhere for `None`.
    pub fn slow_down(&self, to: &SimNet, delay_ms_max: Option<u64>) {
        let mut state = self.state.lock();
        match delay_ms_max {
            Some(max) => state.slow.insert((self.own, to.own), max),
            None => state.slow.remove(&(self.own, to.own)),
        };
    }

    /// Nothing is cut or slow any more.
    pub fn mend_all(&self) {
        let mut state = self.state.lock();
        state.cuts.clear();
        state.slow.clear();
        state.wake_all();
    }

    fn delay(&self, to: HostId) -> Duration {
        let mut state = self.state.lock();
        let max = state.slow.get(&(self.own, to)).copied().unwrap_or(state.delay_ms_max);
        Duration::from_millis(state.rng.below(max + 1))
    }

    fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.state.lock().is_cut(from, to)
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
            let place = (self.own, port);
            if state.listeners.contains_key(&place) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let backlog = Arc::new(Backlog::default());
            state.listeners.insert(place, Arc::clone(&backlog));
            Ok(Box::new(SimListener { net: self.clone(), backlog, place }) as Box<dyn Listener>)
        })
    }

    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let state = self.state.lock();
        let found = match host.parse() {
            Ok(address) => Ok(vec![address]),
            // A host that is alone has no name.
            Err(_) if state.hosts.len() == 1 => Err(io::ErrorKind::NotFound.into()),
            Err(_) => {
                let found = state.find(host, self.own);
                found.map(|host| vec![ip(host)]).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        };
        Box::pin(std::future::ready(found))
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            let to = self.state.lock().find(host, self.own).ok_or(io::ErrorKind::NotFound)?;
            sleep(self.delay(to)).await;
            while self.is_cut(self.own, to) || self.is_cut(to, self.own) {
                sleep(CONNECT_AGAIN).await;
            }
            let mut state = self.state.lock();
            let backlog =
                state.listeners.get(&(to, port)).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
            state.next_port = state.next_port.checked_add(1).unwrap_or(FREE_PORTS_FROM);
            let places = [(self.own, state.next_port), (to, port)];
            let link = Arc::new(Link { pipes: Default::default(), places });
            state.links.retain(|link| link.strong_count() > 0);
            state.links.push(Arc::downgrade(&link));
            drop(state);
            let conn = |end, own| SimConn {
                net: SimNet { state: Arc::clone(&self.state), own },
                link: Arc::clone(&link),
                end,
                arrival: Mutex::new(None),
            };
            backlog.waiting.lock().push_back(conn(1, to));
            backlog.arrived.notify_one();
            Ok(Box::new(conn(0, self.own)) as Box<dyn Conn>)
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
        Ok(address(self.place))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.net.state.lock();
        // After a reset somebody else may listen there.
        if state.listeners.get(&self.place).is_some_and(|backlog| Arc::ptr_eq(backlog, &self.backlog)) {
            state.listeners.remove(&self.place);
        }
        drop(state);
        let waiting = std::mem::take(&mut *self.backlog.waiting.lock());
        drop(waiting);
    }
}

impl SimConn {
    fn peer(&self) -> Place {
        self.link.places[1 - self.end]
    }

    /// True if nothing of the peer arrives: no byte, no end, and no word that it knows nothing of a connection.
    fn is_deaf(&self) -> bool {
        self.net.is_cut(self.peer().0, self.net.own)
    }
}

impl Conn for SimConn {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_deaf = self.is_deaf();
        let arrives = {
            let mut pipe = self.link.pipes[1 - self.end].lock();
            match pipe.under_way.front() {
                _ if is_deaf => {
                    pipe.reader = Some(cx.waker().clone());
                    None
                }
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
        let is_deaf = self.is_deaf();
        let mut pipe = self.link.pipes[1 - self.end].lock();
        if is_deaf {
            return Err(io::ErrorKind::WouldBlock.into());
        }
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
        let is_deaf = self.is_deaf();
        let mut pipe = self.link.pipes[self.end].lock();
        if (pipe.reset || pipe.closed) && is_deaf {
            // What is sent goes nowhere, and no word of that comes back.
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if pipe.reset || pipe.closed || pipe.bytes < WINDOW_BYTES {
            return Poll::Ready(Ok(()));
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn try_write(&self, parts: &[IoSlice<'_>], _more_follows: bool) -> io::Result<usize> {
        let delay = self.net.delay(self.peer().0);
        let is_deaf = self.is_deaf();
        let mut pipe = self.link.pipes[self.end].lock();
        if (pipe.reset || pipe.closed) && is_deaf {
            return Err(io::ErrorKind::WouldBlock.into());
        }
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
        Ok(address(self.peer()))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(address(self.link.places[self.end]))
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

/// The first host's address is that of a machine to itself, as it may be alone.
fn ip(host: HostId) -> IpAddr {
    let ip = if host == 0 { [127, 0, 0, 1] } else { [10, 0, 0, host] };
    IpAddr::from(ip)
}

fn address((host, port): Place) -> SocketAddr {
    SocketAddr::new(ip(host), port)
}

#[cfg(test)]
#[path = "net_test.rs"]
mod tests;
