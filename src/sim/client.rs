//! A raw client: frames over a simulated connection, one request type per call, no cleverness.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Request};
use tokio::time::timeout;

use crate::env::{Conn, Net};
use crate::wire::header::{decode_response, encode_request};
use crate::wire::{frame, versions};

/// How long an answer may take before the client gives the connection up.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest answer that is taken.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const READ_BYTES: usize = 16 << 10;

/// One connection.
pub struct Client {
    conn: Box<dyn Conn>,
    inbox: BytesMut,
    next_id: i32,
    patience: Duration,
}

impl Client {
    /// Connects to `port`.
    pub async fn connect(net: &dyn Net, port: u16) -> io::Result<Client> {
        Client::connect_to(net, "localhost", port).await
    }

    /// Connects to `host`:`port`.
    pub async fn connect_to(net: &dyn Net, host: &str, port: u16) -> io::Result<Client> {
        let conn = net.connect(host, port).await?;
        Ok(Client { conn, inbox: BytesMut::new(), next_id: 0, patience: ANSWER })
    }

    /// The same with another limit for the time that an answer, or the sending of a request, may take.
    pub fn with_patience(self, patience: Duration) -> Client {
        Client { patience, ..self }
    }

    /// Sends a request; what is returned fits [`Client::receive`].
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        let api = versions::api(R::KEY).ok_or(io::ErrorKind::InvalidInput)?;
        self.next_id += 1;
        let mut out = BytesMut::new();
        let begun = frame::begin(&mut out);
        encode_request(&mut out, api, version, self.next_id, Some("sim"));
        request.encode(&mut out, version).map_err(|e| io::Error::other(format!("{e:#}")))?;
        frame::finish(&mut out, begun, 0).ok_or(io::ErrorKind::InvalidInput)?;
        let mut rest = &out[..];
        while !rest.is_empty() {
            timeout(self.patience, poll_fn(|cx| self.conn.poll_write_ready(cx))).await??;
            match self.conn.try_write(&[IoSlice::new(rest)], false) {
                Ok(written) => rest = &rest[written..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(self.next_id)
    }

    /// The answer to a request of type `R`; answers come in the order of the requests.
    pub async fn receive<R: Request>(&mut self, version: i16, id: i32) -> io::Result<R::Response> {
        let api = versions::api(R::KEY).ok_or(io::ErrorKind::InvalidInput)?;
        let mut answer = timeout(self.patience, self.frame()).await??;
        let answered = decode_response(&mut answer, api.response_header_version(version))
            .map_err(|e| io::Error::other(e.to_string()))?;
        if answered != id {
            return Err(io::Error::other(format!("answer to {answered}, but {id} was next")));
        }
        R::Response::decode(&mut answer, version).map_err(|e| io::Error::other(format!("{e:#}")))
    }

    /// Sends a request and waits for its answer.
    pub async fn call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let id = self.send(version, request).await?;
        self.receive::<R>(version, id).await
    }

    async fn frame(&mut self) -> io::Result<Bytes> {
        let mut buf = vec![0; READ_BYTES];
        // A client learns of a dead peer before it looks at what arrived earlier.
        self.conn.try_read(&mut []).map(drop).or_else(|e| match e.kind() {
            io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(e),
        })?;
        loop {
            let taken = frame::take(&mut self.inbox, ANSWER_BYTES_MAX);
            if let Some(frame) = taken.map_err(|e| io::Error::other(e.to_string()))? {
                return Ok(frame);
            }
            poll_fn(|cx| self.conn.poll_read_ready(cx)).await?;
            match self.conn.try_read(&mut buf) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.inbox.extend_from_slice(&buf[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}
