//! `.timeindex`: from timestamp to offset. An entry (t, o) says that no record up to offset o is later than
//! t.

use super::index_file::{Entry, IndexFile};
use crate::types::Ms;

/// A timestamp, and the last offset (relative to the segment's base) of the batch that holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimeEntry {
    pub(super) timestamp: Ms,
    pub(super) relative_offset: u32,
}

impl Entry for TimeEntry {
    const BYTES: usize = 12;

    fn decode(bytes: &[u8]) -> Self {
        let mut timestamp = [0u8; 8];
        timestamp.copy_from_slice(&bytes[..8]);
        let relative_offset = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        TimeEntry { timestamp: Ms::from_be_bytes(timestamp), relative_offset }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }
}

pub(super) type TimeIndex = IndexFile<TimeEntry>;

impl TimeIndex {
    /// The relative offset from which on to look for a record at or after `timestamp`.
    pub(super) fn lookup(&self, timestamp: Ms) -> std::io::Result<u32> {
        match self.partition_point(|e| e.timestamp < timestamp)? {
            0 => Ok(0),
            n => Ok(self.get(n - 1)?.relative_offset),
        }
    }

    /// How many entries from the first on are in order and below `relative_end`.
    pub(super) fn sane_prefix(&self, relative_end: u32) -> std::io::Result<u32> {
        let mut before: Option<TimeEntry> = None;
        let mut sane = 0;
        for entry in self.all()? {
            let follows = before
                .is_none_or(|b| entry.timestamp > b.timestamp && entry.relative_offset >= b.relative_offset);
            if !follows || entry.relative_offset >= relative_end {
                break;
            }
            sane += 1;
            before = Some(entry);
        }
        Ok(sane)
    }
}
