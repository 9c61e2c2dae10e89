//! One connection to another node.
//!
//! A task owns the socket; callers hand it frames and wait. Several requests may be under way, and answers come in the
//! order of the requests, as Kafka gives them. A connection on which anything is odd is closed, and with it end all calls:
//! an answer to another request, a frame too large, bytes that are no answer. So it is when a call's time is over or its
//! caller goes away: what comes late could not be told from what does not come, and a new connection costs little.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::CallError;
use crate::env::{Conn, Tasks};
use crate::wire::frame;
use crate::wire::guard;
use crate::wire::header::{decode_response, encode_request};
use crate::wire::versions::known;

/// What one read may bring.
const READ_BYTES: usize = 64 << 10;
/// Requests that wait for the socket to take them.
const QUEUED_MAX: usize = 8;

/// What connections share.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// What this node calls itself.
    pub client_id: Arc<str>,
    /// The largest answer, in bytes.
    pub answer_bytes_max: usize,
    /// Most calls under way; further ones wait.
    pub in_flight_max: usize,
    /// What one answer may cost to decode.
    pub guard: guard::Limits,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        ConnectionSettings {
            client_id: "ottla".into(),
            answer_bytes_max: 128 << 20,
            in_flight_max: 32,
            guard: guard::Limits::default(),
        }
    }
}

/// A connection. Clones share it; it is closed when the last one is dropped.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Outgoing>,
}

struct Shared {
    settings: ConnectionSettings,
    next_id: AtomicI32,
    closed: CancellationToken,
    why: Mutex<Option<String>>,
}

impl Shared {
    fn close(&self, why: impl FnOnce() -> String) {
        self.why.lock().get_or_insert_with(why);
        self.closed.cancel();
    }

    fn lost(&self) -> CallError {
        CallError::Lost(self.why.lock().clone().unwrap_or_else(|| "the node is going down".to_owned()))
    }
}

struct Outgoing {
    id: i32,
    frame: Bytes,
    answer: oneshot::Sender<Bytes>,
}

/// Closes the connection when a call ends without its answer.
struct Unanswered<'a>(Option<&'a Shared>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.close(|| "a call was given up".to_owned());
        }
    }
}

impl Connection {
    /// Takes over a socket.
    pub fn new(conn: Box<dyn Conn>, tasks: &Tasks, settings: ConnectionSettings) -> Connection {
        let (requests, queue) = mpsc::channel(QUEUED_MAX);
        let shared = Arc::new(Shared {
            settings,
            next_id: AtomicI32::new(0),
            closed: CancellationToken::new(),
            why: Mutex::new(None),
        });
        let carrier = Carrier {
            conn,
            queue,
            shared: Arc::clone(&shared),
            outbox: VecDeque::new(),
            inbox: BytesMut::new(),
            unanswered: VecDeque::new(),
        };
        tasks.spawn("connection-to-node", carrier.run());
        Connection { shared, requests }
    }

    /// True once it is of no use any more.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.is_cancelled() || self.requests.is_closed()
    }

    /// Sends `request` in `version` and waits for the answer, until `deadline`.
    ///
    /// # Errors
    ///
    /// See [`CallError`]. All but [`CallError::Encode`] end the connection. So does dropping the call.
    pub async fn call<R: Request>(
        &self,
        version: i16,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response, CallError> {
        let shared = &*self.shared;
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let frame = self.encode(version, id, request)?;
        let mut guard = Unanswered(Some(shared));
        let (answer, answered) = oneshot::channel();
        let exchange = async {
            if self.requests.send(Outgoing { id, frame, answer }).await.is_err() {
                return Err(shared.lost());
            }
            answered.await.map_err(|_| shared.lost())
        };
        let frame = match timeout_at(deadline, exchange).await {
            Ok(exchanged) => exchanged?,
            Err(_) => {
                shared.close(|| "a call was not answered in time".to_owned());
                return Err(CallError::TimedOut);
            }
        };
        let response = self.decode::<R>(version, frame).map_err(|why| {
            shared.close(|| why.clone());
            CallError::Malformed(why)
        })?;
        guard.0 = None;
        Ok(response)
    }

    fn encode<R: Request>(&self, version: i16, id: i32, request: &R) -> Result<Bytes, CallError> {
        let api = known(R::KEY)
            .filter(|api| api.supports(version))
            .ok_or_else(|| CallError::Encode(format!("there is no version {version} of API {}", R::KEY)))?;
        let failed = |e: anyhow::Error| CallError::Encode(format!("{e:#}"));
        let size = request.compute_size(version).map_err(failed)?;
        let mut buf = BytesMut::with_capacity(size + 64);
        let begun = frame::begin(&mut buf);
        encode_request(&mut buf, api, version, id, Some(&self.shared.settings.client_id));
        request.encode(&mut buf, version).map_err(failed)?;
        frame::finish(&mut buf, begun, 0)
            .ok_or_else(|| CallError::Encode(format!("a request of {} bytes", buf.len())))?;
        Ok(buf.freeze())
    }

    fn decode<R: Request>(&self, version: i16, mut body: Bytes) -> Result<R::Response, String> {
        decode_response(&mut body, R::Response::header_version(version)).map_err(|e| e.to_string())?;
        guard::check_response(R::KEY, version, &body, &self.shared.settings.guard)
            .map_err(|e| e.to_string())?;
        R::Response::decode(&mut body, version).map_err(|e| format!("{e:#}"))
    }
}

/// Owns the socket.
struct Carrier {
    conn: Box<dyn Conn>,
    queue: mpsc::Receiver<Outgoing>,
    shared: Arc<Shared>,
    outbox: VecDeque<Bytes>,
    inbox: BytesMut,
    /// Calls whose answers are to come, in this order.
    unanswered: VecDeque<(i32, oneshot::Sender<Bytes>)>,
}

enum Event {
    Closed,
    Request(Option<Outgoing>),
    Readable,
    Writable,
}

impl Carrier {
    async fn run(mut self) {
        let closed = self.shared.closed.clone();
        let mut closed = pin!(closed.cancelled());
        loop {
            let event = std::future::poll_fn(|cx| {
                if closed.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(Event::Closed));
                }
                self.poll_event(cx)
            });
            let outcome = match event.await {
                Ok(Event::Closed) => return,
                Ok(Event::Request(None)) => Err("nobody calls any more".to_owned()),
                Ok(Event::Request(Some(request))) => {
                    self.outbox.push_back(request.frame);
                    self.unanswered.push_back((request.id, request.answer));
                    self.write().map_err(|e| e.to_string())
                }
                Ok(Event::Writable) => self.write().map_err(|e| e.to_string()),
                Ok(Event::Readable) => self.read(),
                Err(e) => Err(e.to_string()),
            };
            if let Err(why) = outcome {
                // Before the answers' senders are dropped, so that who waits learns why.
                self.shared.close(|| why);
                return;
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        if !self.outbox.is_empty()
            && let Poll::Ready(writable) = self.conn.poll_write_ready(cx)
        {
            return Poll::Ready(writable.map(|()| Event::Writable));
        }
        if let Poll::Ready(readable) = self.conn.poll_read_ready(cx) {
            return Poll::Ready(readable.map(|()| Event::Readable));
        }
        let may_send = self.outbox.len() < QUEUED_MAX
            && self.unanswered.len() < self.shared.settings.in_flight_max.max(1);
        if may_send && let Poll::Ready(request) = self.queue.poll_recv(cx) {
            return Poll::Ready(Ok(Event::Request(request)));
        }
        Poll::Pending
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            let parts: Vec<IoSlice<'_>> = self.outbox.iter().map(|part| IoSlice::new(part)).collect();
            let mut written = match self.conn.try_write(&parts, false) {
                Ok(written) => written,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            while let Some(front) = self.outbox.front_mut() {
                if written < front.len() {
                    bytes::Buf::advance(front, written);
                    break;
                }
                written -= front.len();
                self.outbox.pop_front();
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), String> {
        // Memory follows what has arrived: an announced length alone gets nothing.
        self.inbox.reserve(READ_BYTES);
        let held = self.inbox.len();
        self.inbox.resize(held + READ_BYTES, 0);
        let read = self.conn.try_read(&mut self.inbox[held..]);
        self.inbox.truncate(held + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => return Err("the other side has closed it".to_owned()),
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(e) => return Err(e.to_string()),
        }
        while let Some(answer) =
            frame::take(&mut self.inbox, self.shared.settings.answer_bytes_max).map_err(|e| e.to_string())?
        {
            let id = answer.first_chunk().map(|id| i32::from_be_bytes(*id));
            match (self.unanswered.pop_front(), id) {
                (Some((expected, waiting)), Some(id)) if expected == id => {
                    drop(waiting.send(answer)); // Whoever gave up has closed the connection.
                }
                (Some(_), _) => return Err("an answer to another request came".to_owned()),
                (None, _) => return Err("an answer came that nobody asked for".to_owned()),
            }
        }
        if self.inbox.is_empty() {
            self.inbox = BytesMut::new();
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "conn_test.rs"]
pub(super) mod tests;
