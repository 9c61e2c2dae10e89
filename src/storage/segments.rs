//! The segments of a log, ordered by base offset; the last one is the active one.

use super::segment::{Files, Segment};
use crate::types::Offset;

/// Closed segments whose files may stay open.
const OPEN_CLOSED_MAX: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Segments(Vec<Segment>);

impl Segments {
    pub(super) fn from_ordered(segments: Vec<Segment>) -> Segments {
        debug_assert!(segments.is_sorted_by_key(|s| s.base));
        Segments(segments)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first_base(&self) -> Option<Offset> {
        self.0.first().map(|s| s.base)
    }

    pub(super) fn active(&mut self) -> Option<&mut Segment> {
        self.0.last_mut()
    }

    pub(super) fn get(&self, i: usize) -> Option<&Segment> {
        self.0.get(i)
    }

    pub(super) fn get_mut(&mut self, i: usize) -> Option<&mut Segment> {
        self.0.get_mut(i)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Segment> {
        self.0.iter_mut()
    }

    /// Index of the segment that holds `offset` or would; 0 if it is below the first one.
    pub(super) fn floor(&self, offset: Offset) -> usize {
        self.0.partition_point(|s| s.base <= offset).saturating_sub(1)
    }

    /// Offset behind segment `i`, given the log end offset.
    pub(super) fn end_of(&self, i: usize, log_end: Offset) -> Offset {
        self.0.get(i + 1).map_or(log_end, |next| next.base)
    }

    pub(super) fn push(&mut self, segment: Segment) {
        debug_assert!(self.0.last().is_none_or(|last| last.base < segment.base));
        self.0.push(segment);
    }

    /// Takes out the segments from index `from` on.
    pub(super) fn split_off(&mut self, from: usize) -> Vec<Segment> {
        self.0.split_off(from.min(self.0.len()))
    }

    /// Takes out the first `count` segments.
    pub(super) fn take_front(&mut self, count: usize) -> Vec<Segment> {
        self.0.drain(..count.min(self.0.len())).collect()
    }

    /// Bytes of all logs.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|s| u64::from(s.size)).sum()
    }

    /// Closes files of closed segments if many are open, sparing segment `keep`.
    pub(super) fn limit_open_files(&mut self, keep: usize) {
        let closed = self.0.len().saturating_sub(1);
        let open = self.0[..closed].iter().filter(|s| s.has_open_files() && !s.unsynced).count();
        if open <= OPEN_CLOSED_MAX {
            return;
        }
        for (i, segment) in self.0[..closed].iter_mut().enumerate() {
            if i != keep && !segment.unsynced {
                segment.drop_handles();
            }
        }
    }

    /// Writes what memory holds of the active segment's indexes to their files.
    pub(super) fn write_out_indexes(&mut self, files: Files<'_>) -> Result<(), super::StorageError> {
        self.active().map_or(Ok(()), |active| active.write_out_indexes(files))
    }
}
