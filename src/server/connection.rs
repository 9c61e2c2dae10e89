//! One connection: requests in, answers out in the order of the requests.
//!
//! Kafka handles one request of a connection at a time. We keep that, with one exception that changes nothing a client
//! can see: produces that wait for the disk or for followers overlap, as long as only produces are waiting. Their appends
//! happen in the order of arrival and their answers leave in it.
//!
//! While a request waits for what may never come (new records, the other members of a group), the socket is watched: once
//! the client is gone, the request is dropped. Other requests are soon answered, whoever is there to read it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::memory::{RequestMemory, RequestPermit};
use super::read_buffer::ReadBuffer;
use super::response::{Outbox, Progress};
use crate::api::{Answer, Broker, ConnectionInfo, FutureResponse, Response, Wait, registry};
use crate::env::{Conn, Tasks};

/// How many produces of one connection may wait at a time.
const WAITING_MAX: usize = 64;

/// What every connection of a listener shares.
#[derive(Clone)]
pub struct ConnectionSettings {
    /// The largest request, in bytes: `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// A connection on which nothing has happened for so long is closed: `connections.max.idle.ms`. `None`: never.
    pub idle: Option<Duration>,
    /// Requests under way in the whole process.
    pub memory: Arc<RequestMemory>,
    /// Runs what may block.
    pub tasks: Tasks,
    /// Cancelled when the node stops: no new request is begun, answers under way still leave.
    pub stopping: CancellationToken,
}

/// A request that is begun and not answered.
struct Waiting {
    answer: FutureResponse,
    wait: Wait,
    _memory: Option<RequestPermit>,
}

/// What a connection waits for.
enum Event {
    Answered(Response),
    Readable,
    Writable,
    Idle,
    Stopping,
}

struct Connection {
    conn: Box<dyn Conn>,
    broker: Arc<Broker>,
    info: Arc<ConnectionInfo>,
    settings: Arc<ConnectionSettings>,
    inbox: ReadBuffer,
    /// A request that may not begin yet.
    held: Option<Bytes>,
    waiting: VecDeque<Waiting>,
    outbox: Outbox,
    last_active: Instant,
    idle: Option<Pin<Box<Sleep>>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Nothing more is read: the node stops, or the client is sent away.
    stopping: bool,
}

/// Serves a connection until either end closes it or the node stops.
pub async fn serve(
    conn: Box<dyn Conn>,
    broker: Arc<Broker>,
    info: Arc<ConnectionInfo>,
    settings: Arc<ConnectionSettings>,
) {
    let now = Instant::now();
    let mut connection = Connection {
        conn,
        broker,
        info,
        inbox: ReadBuffer::new(settings.request_bytes_max),
        held: None,
        waiting: VecDeque::new(),
        outbox: Outbox::default(),
        last_active: now,
        idle: settings.idle.map(|idle| Box::pin(sleep_until(now + idle))),
        stop: Box::pin(settings.stopping.clone().cancelled_owned()),
        stopping: false,
        settings,
    };
    if let Err(ending) = connection.run().await {
        let client = &connection.info;
        match ending {
            Ending::Closed => tracing::debug!(peer = %client.peer, "connection closed"),
            Ending::Idle => tracing::debug!(peer = %client.peer, "connection closed: idle"),
            Ending::Socket(e) => tracing::debug!(peer = %client.peer, "connection lost: {e}"),
            Ending::Refused(why) => registry::log_refusal(&connection.broker, client, &why),
        }
    }
}

/// Why a connection ended.
enum Ending {
    Closed,
    Idle,
    Socket(io::Error),
    /// The client sent what cannot be answered.
    Refused(String),
}

impl From<io::Error> for Ending {
    fn from(e: io::Error) -> Ending {
        Ending::Socket(e)
    }
}

impl Connection {
    async fn run(&mut self) -> Result<(), Ending> {
        loop {
            self.begin_requests()?;
            if !self.outbox.is_empty() {
                match self.outbox.write(&*self.conn)? {
                    // What waited for its turn may begin now.
                    Progress::Done if self.may_begin() => continue,
                    Progress::Done | Progress::Blocked => {}
                    Progress::Yield => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Progress::Cold(read) => {
                        read.run(&self.settings.tasks).await?;
                        self.outbox.warmed();
                        continue;
                    }
                }
            }
            if self.stopping && self.waiting.is_empty() && self.outbox.is_empty() {
                return Ok(());
            }
            if self.wants_to_read() && !self.settings.memory.has_room() {
                self.settings.memory.room().await;
            }
            match std::future::poll_fn(|cx| self.poll_event(cx)).await? {
                Event::Answered(response) => {
                    self.stopping |= response.is_last();
                    self.outbox.push(response);
                }
                Event::Writable => {}
                Event::Readable => {
                    let conn = &*self.conn;
                    let watched = self.watches_client();
                    let read = if watched { self.inbox.read_ahead(conn) } else { self.inbox.read(conn) };
                    match read {
                        Ok(0) => return Err(Ending::Closed),
                        Ok(_) => self.last_active = Instant::now(),
                        Err(e) if is_passing(&e) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                Event::Idle => return Err(Ending::Idle),
                Event::Stopping => self.stopping = true,
            }
        }
    }

    /// Begins what has arrived whole and may begin.
    fn begin_requests(&mut self) -> Result<(), Ending> {
        while self.may_begin() && !self.stopping {
            let frame = match self.held.take() {
                Some(frame) => frame,
                None => match self.inbox.take_frame() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return Ok(()),
                    Err(e) => return Err(Ending::Refused(e.to_string())),
                },
            };
            if !self.waiting.is_empty() && !registry::may_overlap(&frame) {
                self.held = Some(frame);
                return Ok(());
            }
            let memory = self.settings.memory.take(frame.len());
            match registry::begin(&self.broker, &self.info, frame) {
                Answer::Ready(response) if self.waiting.is_empty() => self.outbox.push(response),
                Answer::Ready(response) => {
                    let answer = Box::pin(std::future::ready(Some(response)));
                    self.waiting.push_back(Waiting { answer, wait: Wait::Overlaps, _memory: memory });
                }
                Answer::Later { answer, wait } => {
                    self.waiting.push_back(Waiting { answer, wait, _memory: memory });
                }
                Answer::Nothing => {}
                Answer::Close(why) => return Err(Ending::Refused(why)),
            }
        }
        Ok(())
    }

    /// True if the next request may begin, were it a produce.
    fn may_begin(&self) -> bool {
        let request_is_here = self.held.is_some() || self.inbox.len() > 0;
        request_is_here && self.may_begin_more()
    }

    fn may_begin_more(&self) -> bool {
        match self.waiting.back() {
            // A client that does not read its answers gets no further ones made.
            None => self.outbox.is_empty(),
            Some(last) => {
                self.held.is_none() && last.wait == Wait::Overlaps && self.waiting.len() < WAITING_MAX
            }
        }
    }

    fn wants_to_read(&self) -> bool {
        self.held.is_none() && self.may_begin_more() && !self.stopping
    }

    /// True while a request waits that is of no use once its client is gone: then the socket is watched for its end, and
    /// what arrives instead is read ahead, a little of it. A client that only closed its side gets no answer any more.
    fn watches_client(&self) -> bool {
        let parked = self.waiting.front().is_some_and(|first| first.wait == Wait::Parked);
        parked && self.held.is_none() && self.inbox.may_read_ahead()
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Ending>> {
        if let Some(first) = self.waiting.front_mut()
            && let Poll::Ready(response) = first.answer.as_mut().poll(cx)
        {
            self.waiting.pop_front();
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
            self.last_active = Instant::now();
            let failed = || Ending::Refused("the broker could not answer".to_owned());
            return Poll::Ready(response.map(Event::Answered).ok_or_else(failed));
        }
        if !self.outbox.is_empty()
            && let Poll::Ready(writable) = self.conn.poll_write_ready(cx)
        {
            return Poll::Ready(writable.map(|()| Event::Writable).map_err(Ending::from));
        }
        if (self.wants_to_read() || self.watches_client())
            && let Poll::Ready(readable) = self.conn.poll_read_ready(cx)
        {
            return Poll::Ready(readable.map(|()| Event::Readable).map_err(Ending::from));
        }
        if !self.stopping && self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(Event::Stopping));
        }
        if self.waiting.is_empty() {
            ready!(self.poll_idle(cx));
            return Poll::Ready(Ok(Event::Idle));
        }
        Poll::Pending
    }

    /// Ready once nothing has happened for too long. The timer is not moved at each request: when it fires it looks how
    /// long ago the last one was.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(timer), Some(idle)) = (&mut self.idle, self.settings.idle) else { return Poll::Pending };
        loop {
            ready!(timer.as_mut().poll(cx));
            let end = self.last_active + idle;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }
}

fn is_passing(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
