//! An answer as bytes and parts of files.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use smallvec::SmallVec;

use super::RequestContext;
use crate::storage::FileSlice;

/// One piece of an answer.
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Part of a log's file, sent from there.
    File(FileSlice),
}

/// A whole answer, length and header included.
pub struct Response {
    parts: SmallVec<[Part; 1]>,
    is_last: bool,
}

impl Response {
    /// An answer in one piece of memory. `frame` begins with its length.
    pub fn from_bytes(frame: Bytes) -> Response {
        Response { parts: SmallVec::from_buf([Part::Bytes(frame)]), is_last: false }
    }

    /// No answer at all: for who wants none, where that is known only after a wait.
    pub fn nothing() -> Response {
        Response { parts: SmallVec::new(), is_last: false }
    }

    /// An answer of several pieces, in order; the first begins with the length of all.
    pub fn from_parts(parts: SmallVec<[Part; 1]>) -> Response {
        Response { parts, is_last: false }
    }

    /// The same answer, after which the connection is closed.
    pub fn and_close(self) -> Response {
        Response { is_last: true, ..self }
    }

    /// True if the connection is to be closed after it.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// The pieces in order.
    pub fn into_parts(self) -> impl Iterator<Item = Part> {
        self.parts.into_iter()
    }

    /// Encodes `body` as the answer to the request of `cx`.
    ///
    /// A handler that fills a field which the version cannot carry is a bug; the client then learns that the broker
    /// failed by the end of its connection, which is what `None` asks for.
    pub fn encode<R: Encodable + HeaderVersion>(cx: &RequestContext, body: &R) -> Option<Response> {
        let mut frame = begin_frame(cx, R::header_version(cx.version), 128);
        if let Err(e) = body.encode(&mut frame, cx.version) {
            tracing::error!(api = cx.api_key, version = cx.version, "an answer cannot be encoded: {e:#}");
            return None;
        }
        let length = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Some(Response::from_bytes(frame.freeze()))
    }
}

/// A buffer with room for the length and with the response header in it; the length is still to be filled in.
pub(super) fn begin_frame(cx: &RequestContext, header_version: i16, room: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(9 + room);
    frame.put_i32(0);
    frame.put_i32(cx.correlation_id);
    if header_version >= 1 {
        // No tagged fields.
        frame.put_u8(0);
    }
    frame
}
