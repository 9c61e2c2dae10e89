//! The answer to a fetch, written by hand: records stay in their files.
//!
//! kafka-protocol would copy every record into one buffer. Here the fields around them are encoded into small pieces of
//! memory, and the records between them are parts of log files that the server sends from where they lie.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use crate::api::response::begin_frame;
use crate::api::{Part, RequestContext, Response};
use crate::replica::PartitionRead;
use crate::types::{ErrorCode, NodeId, PartitionIndex, TopicId};

/// From this version on the message has compact lengths and tagged fields.
const FLEXIBLE_FROM: i16 = 12;
/// From this version on topics are named by id.
const TOPIC_ID_FROM: i16 = 13;
/// From this version on the answer may tell where leaders can be reached (KIP-951).
const NODE_ENDPOINTS_FROM: i16 = 16;
/// An estimate of the bytes around one partition's records.
const PARTITION_BYTES: usize = 64;

/// One topic's part of the answer.
pub(super) struct TopicAnswer<'a> {
    pub(super) topic: &'a str,
    pub(super) topic_id: TopicId,
    pub(super) partitions: Vec<(PartitionIndex, PartitionRead)>,
}

/// Where a node can be reached.
pub(super) struct NodeEndpoint {
    pub(super) id: NodeId,
    pub(super) host: Bytes,
    pub(super) port: i32,
    pub(super) rack: Option<Bytes>,
}

/// Writes the answer of a whole fetch.
pub(super) fn encode(
    cx: &RequestContext,
    error: ErrorCode,
    session_id: i32,
    topics: Vec<TopicAnswer<'_>>,
    endpoints: &[NodeEndpoint],
) -> Response {
    let partitions: usize = topics.iter().map(|t| t.partitions.len()).sum();
    let header_version = i16::from(cx.version >= FLEXIBLE_FROM);
    let mut writer = Writer {
        version: cx.version,
        buffer: begin_frame(cx, header_version, 32 + partitions * PARTITION_BYTES),
        parts: SmallVec::new(),
        bytes: 0,
    };
    writer.message(error, session_id, topics, endpoints);
    writer.finish()
}

struct Writer {
    version: i16,
    buffer: BytesMut,
    parts: SmallVec<[Part; 1]>,
    /// Bytes of the parts that are finished.
    bytes: u64,
}

impl Writer {
    fn message(
        &mut self,
        error: ErrorCode,
        session_id: i32,
        topics: Vec<TopicAnswer<'_>>,
        endpoints: &[NodeEndpoint],
    ) {
        self.buffer.put_i32(0); // throttle time
        if self.version >= 7 {
            self.buffer.put_i16(error.code());
            self.buffer.put_i32(session_id);
        }
        self.array(topics.len());
        for topic in topics {
            if self.version >= TOPIC_ID_FROM {
                self.buffer.put_slice(topic.topic_id.0.as_bytes());
            } else {
                self.string(topic.topic.as_bytes());
            }
            self.array(topic.partitions.len());
            for (index, read) in topic.partitions {
                self.partition(index, read);
            }
            self.no_tags();
        }
        self.endpoints(endpoints);
    }

    fn partition(&mut self, index: PartitionIndex, read: PartitionRead) {
        self.buffer.put_i32(index);
        self.buffer.put_i16(read.error.code());
        self.buffer.put_i64(read.high_watermark);
        self.buffer.put_i64(read.last_stable_offset);
        if self.version >= 5 {
            self.buffer.put_i64(read.log_start_offset);
        }
        match &read.aborted {
            None => self.null_array(),
            Some(aborted) => {
                self.array(aborted.len());
                for &(producer_id, first_offset) in aborted {
                    self.buffer.put_i64(producer_id);
                    self.buffer.put_i64(first_offset);
                    self.no_tags();
                }
            }
        }
        if self.version >= 11 {
            self.buffer.put_i32(read.preferred_replica.unwrap_or(-1));
        }
        self.records(&read);
        if self.version >= FLEXIBLE_FROM {
            self.partition_tags(&read);
        }
    }

    /// The length of the records in the buffer, the records as a part of their own.
    fn records(&mut self, read: &PartitionRead) {
        let len = read.records.as_ref().map_or(0, |slice| slice.len);
        if self.version >= FLEXIBLE_FROM {
            self.unsigned_varint(len + 1);
        } else {
            self.buffer.put_i32(len as i32);
        }
        if let Some(slice) = &read.records
            && len > 0
        {
            self.cut();
            self.bytes += u64::from(len);
            self.parts.push(Part::File(slice.clone()));
        }
    }

    fn partition_tags(&mut self, read: &PartitionRead) {
        let tags = u32::from(read.diverging_epoch.is_some()) + u32::from(read.current_leader.is_some());
        self.unsigned_varint(tags);
        // Both structures are a node or epoch, an offset or epoch, and no tags of their own.
        if let Some((epoch, end_offset)) = read.diverging_epoch {
            self.unsigned_varint(0);
            self.unsigned_varint(4 + 8 + 1);
            self.buffer.put_i32(epoch);
            self.buffer.put_i64(end_offset);
            self.no_tags();
        }
        if let Some((leader, epoch)) = read.current_leader {
            self.unsigned_varint(1);
            self.unsigned_varint(4 + 4 + 1);
            self.buffer.put_i32(leader);
            self.buffer.put_i32(epoch);
            self.no_tags();
        }
    }

    fn endpoints(&mut self, endpoints: &[NodeEndpoint]) {
        if self.version < NODE_ENDPOINTS_FROM || endpoints.is_empty() {
            self.no_tags();
            return;
        }
        let message = std::mem::take(&mut self.buffer);
        self.array(endpoints.len());
        for node in endpoints {
            self.buffer.put_i32(node.id);
            self.string(&node.host);
            self.buffer.put_i32(node.port);
            match &node.rack {
                None => self.unsigned_varint(0),
                Some(rack) => self.string(rack),
            }
            self.no_tags();
        }
        let field = std::mem::replace(&mut self.buffer, message);
        self.unsigned_varint(1);
        self.unsigned_varint(0);
        self.unsigned_varint(field.len() as u32);
        self.buffer.put_slice(&field);
    }

    /// Ends the piece of memory that is being written.
    fn cut(&mut self) {
        let piece = self.buffer.split().freeze();
        self.bytes += piece.len() as u64;
        self.parts.push(Part::Bytes(piece));
    }

    fn finish(mut self) -> Response {
        if !self.buffer.is_empty() {
            self.cut();
        }
        let length = (self.bytes - 4) as i32;
        if let Some(Part::Bytes(first)) = self.parts.first_mut() {
            // The piece is not shared with anybody yet, so this takes it back without a copy.
            let mut piece = BytesMut::from(std::mem::take(first));
            piece[..4].copy_from_slice(&length.to_be_bytes());
            *first = piece.freeze();
        }
        Response::from_parts(self.parts)
    }

    fn array(&mut self, len: usize) {
        if self.version >= FLEXIBLE_FROM {
            self.unsigned_varint(len as u32 + 1);
        } else {
            self.buffer.put_i32(len as i32);
        }
    }

    fn null_array(&mut self) {
        if self.version >= FLEXIBLE_FROM {
            self.unsigned_varint(0);
        } else {
            self.buffer.put_i32(-1);
        }
    }

    fn string(&mut self, text: &[u8]) {
        if self.version >= FLEXIBLE_FROM {
            self.unsigned_varint(text.len() as u32 + 1);
        } else {
            self.buffer.put_i16(text.len() as i16);
        }
        self.buffer.put_slice(text);
    }

    fn no_tags(&mut self) {
        if self.version >= FLEXIBLE_FROM {
            self.buffer.put_u8(0);
        }
    }

    fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }
}
