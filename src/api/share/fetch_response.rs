//! The answer to a share fetch, written by hand as that of a fetch is: records stay in their files.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

use super::{asked_wrong_broker, leader_of};
use crate::api::response::begin_frame;
use crate::api::{Part, RequestContext, Response};
use crate::metadata::Endpoint;
use crate::share_partition::session::TopicIdPartition;
use crate::share_partition::state::Acquired;
use crate::storage::FileSlice;
use crate::types::{ErrorCode, NodeId};

/// An estimate of the bytes around one partition's records.
const PARTITION_BYTES: usize = 96;

/// What is said once.
pub(super) struct TopAnswer {
    pub(super) error: ErrorCode,
    /// How long the member holds what it gets, in milliseconds.
    pub(super) lock_ms: i32,
}

/// What is said of one partition.
pub(super) struct PartitionAnswer {
    pub(super) at: TopicIdPartition,
    pub(super) error: ErrorCode,
    pub(super) acknowledge_error: ErrorCode,
    pub(super) acquired: Vec<Acquired>,
    pub(super) records: Option<FileSlice>,
}

impl PartitionAnswer {
    /// Nothing.
    pub(super) fn of(at: TopicIdPartition) -> PartitionAnswer {
        let (error, acknowledge_error) = (ErrorCode::None, ErrorCode::None);
        PartitionAnswer { at, error, acknowledge_error, acquired: Vec::new(), records: None }
    }

    /// An error.
    pub(super) fn failed(at: TopicIdPartition, error: ErrorCode) -> PartitionAnswer {
        PartitionAnswer { error, ..PartitionAnswer::of(at) }
    }
}

/// Writes the whole answer; `answers` are in order.
pub(super) fn encode(cx: &RequestContext, top: &TopAnswer, answers: Vec<PartitionAnswer>) -> Response {
    let room = 64 + answers.len() * PARTITION_BYTES;
    let mut writer = Writer {
        cx,
        buffer: begin_frame(cx, 1, room),
        parts: SmallVec::new(),
        bytes: 0,
        leaders: BTreeMap::new(),
    };
    writer.message(top, answers);
    writer.finish()
}

struct Writer<'a> {
    cx: &'a RequestContext,
    buffer: BytesMut,
    parts: SmallVec<[Part; 1]>,
    /// Bytes of the parts that are finished.
    bytes: u64,
    /// Where leaders can be reached that the answer names.
    leaders: BTreeMap<NodeId, Endpoint>,
}

impl Writer<'_> {
    fn message(&mut self, top: &TopAnswer, answers: Vec<PartitionAnswer>) {
        self.buffer.put_i32(0); // throttle time
        self.error(top.error);
        self.buffer.put_i32(top.lock_ms);
        let topics = answers.chunk_by(|a, b| a.at.0 == b.at.0).count();
        self.length(topics);
        let mut answers = answers.into_iter().peekable();
        while let Some(first) = answers.next() {
            let topic = first.at.0;
            let mut of_topic = vec![first];
            while let Some(next) = answers.next_if(|next| next.at.0 == topic) {
                of_topic.push(next);
            }
            self.buffer.put_slice(topic.0.as_bytes());
            self.length(of_topic.len());
            of_topic.into_iter().for_each(|answer| self.partition(answer));
            self.no_tags();
        }
        let leaders = std::mem::take(&mut self.leaders);
        self.length(leaders.len());
        for (id, endpoint) in leaders {
            self.buffer.put_i32(id);
            self.text(&endpoint.host);
            self.buffer.put_i32(i32::from(endpoint.port));
            self.buffer.put_u8(0); // no rack
            self.no_tags();
        }
        self.no_tags();
    }

    fn partition(&mut self, answer: PartitionAnswer) {
        self.buffer.put_i32(answer.at.1);
        self.error(answer.error);
        self.error(answer.acknowledge_error);
        let (mut leader, mut epoch) = (0, 0);
        if asked_wrong_broker(answer.error) || asked_wrong_broker(answer.acknowledge_error) {
            (leader, epoch) = (-1, -1);
            if let Some((id, of, endpoint)) = leader_of(self.cx, answer.at.0, answer.at.1) {
                (leader, epoch) = (id, of);
                self.leaders.extend(endpoint.map(|endpoint| (id, endpoint)));
            }
        }
        self.buffer.put_i32(leader);
        self.buffer.put_i32(epoch);
        self.no_tags();
        let len = answer.records.as_ref().map_or(0, |slice| slice.len);
        self.length(len as usize);
        if let Some(slice) = answer.records
            && len > 0
        {
            self.cut();
            self.bytes += u64::from(len);
            self.parts.push(Part::File(slice));
        }
        self.length(answer.acquired.len());
        for range in answer.acquired {
            self.buffer.put_i64(range.first);
            self.buffer.put_i64(range.last);
            self.buffer.put_i16(range.count);
            self.no_tags();
        }
        self.no_tags();
    }

    /// A code and its name.
    fn error(&mut self, error: ErrorCode) {
        self.buffer.put_i16(error.code());
        match error {
            ErrorCode::None => self.buffer.put_u8(0),
            error => self.text(error.name()),
        }
    }

    /// Ends the piece of memory that is being written.
    fn cut(&mut self) {
        let piece = self.buffer.split().freeze();
        self.bytes += piece.len() as u64;
        self.parts.push(Part::Bytes(piece));
    }

    fn finish(mut self) -> Response {
        self.cut();
        let length = (self.bytes - 4) as i32;
        if let Some(Part::Bytes(first)) = self.parts.first_mut() {
            // The piece is not shared with anybody yet, so this takes it back without a copy.
            let mut piece = BytesMut::from(std::mem::take(first));
            piece[..4].copy_from_slice(&length.to_be_bytes());
            *first = piece.freeze();
        }
        Response::from_parts(self.parts)
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.buffer.put_slice(text.as_bytes());
    }

    fn no_tags(&mut self) {
        self.buffer.put_u8(0);
    }

    /// A compact length: one more than it is, as an unsigned varint.
    fn length(&mut self, len: usize) {
        let mut value = len as u64 + 1;
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }
}
