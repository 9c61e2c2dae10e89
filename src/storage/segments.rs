//! The segments of a log, ordered by base offset; the last one is the active one.

use super::segment::{Files, Segment};
use crate::types::Offset;

/// Closed segments whose files may stay open.
const OPEN_CLOSED_MAX: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Segments {
    all: Vec<Segment>,
    /// `None` until somebody asks.
    aborted_in: Option<AbortedIn>,
}

/// Which closed segments have aborted transactions, so that whoever looks for those that reach back to his offset need not
/// look into every segment behind it.
#[derive(Debug)]
struct AbortedIn {
    /// What is known is of the closed segments whose base is above it.
    above: Offset,
    /// Base of each such segment that has any, and the smallest offset at which one of its transactions began. Ascending.
    segments: Vec<(Offset, Offset)>,
}

impl Segments {
    pub(super) fn from_ordered(segments: Vec<Segment>) -> Segments {
        debug_assert!(segments.is_sorted_by_key(|s| s.base));
        Segments { all: segments, aborted_in: None }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn first_base(&self) -> Option<Offset> {
        self.all.first().map(|s| s.base)
    }

    pub(super) fn active(&mut self) -> Option<&mut Segment> {
        self.all.last_mut()
    }

    pub(super) fn get(&self, i: usize) -> Option<&Segment> {
        self.all.get(i)
    }

    pub(super) fn get_mut(&mut self, i: usize) -> Option<&mut Segment> {
        self.all.get_mut(i)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Segment> {
        self.all.iter_mut()
    }

    /// Index of the segment that holds `offset` or would; 0 if it is below the first one.
    pub(super) fn floor(&self, offset: Offset) -> usize {
        self.all.partition_point(|s| s.base <= offset).saturating_sub(1)
    }

    /// Offset behind segment `i`, given the log end offset.
    pub(super) fn end_of(&self, i: usize, log_end: Offset) -> Offset {
        self.all.get(i + 1).map_or(log_end, |next| next.base)
    }

    pub(super) fn push(&mut self, segment: Segment) {
        debug_assert!(self.all.last().is_none_or(|last| last.base < segment.base));
        // One more is closed.
        self.aborted_in = None;
        self.all.push(segment);
    }

    /// Takes out the segments from index `from` on.
    pub(super) fn split_off(&mut self, from: usize) -> Vec<Segment> {
        self.aborted_in = None;
        self.all.split_off(from.min(self.all.len()))
    }

    /// Takes out the first `count` segments.
    pub(super) fn take_front(&mut self, count: usize) -> Vec<Segment> {
        self.aborted_in = None;
        self.all.drain(..count.min(self.all.len())).collect()
    }

    /// True if [`Segments::note_aborted_in`] has to be told about the closed segments behind segment `i`.
    pub(super) fn wants_aborted_in(&self, i: usize) -> bool {
        let above = self.all.get(i).map_or(Offset::MAX, |segment| segment.base);
        self.aborted_in.as_ref().is_none_or(|known| known.above > above)
    }

    /// Takes note of which closed segments behind segment `i` have aborted transactions. All of them know theirs.
    pub(super) fn note_aborted_in(&mut self, i: usize) {
        let Some(above) = self.all.get(i).map(|segment| segment.base) else { return };
        let closed = &self.all[..self.all.len() - 1];
        let of = |segment: &Segment| segment.first_aborted().map(|first| (segment.base, first));
        let segments = closed.iter().skip(i + 1).filter_map(of).collect();
        self.aborted_in = Some(AbortedIn { above, segments });
    }

    /// The next closed segment behind segment `i` with a transaction that was aborted and began below `upto`, of those that
    /// were noted.
    pub(super) fn next_aborted_in(&self, i: usize, upto: Offset) -> Option<usize> {
        let base = self.all.get(i)?.base;
        let known = &self.aborted_in.as_ref()?.segments;
        let behind = &known[known.partition_point(|&(at, _)| at <= base)..];
        behind.iter().find(|&&(_, first)| first < upto).map(|&(at, _)| self.floor(at))
    }

    /// Bytes of all logs.
    pub(super) fn bytes(&self) -> u64 {
        self.all.iter().map(|s| u64::from(s.size)).sum()
    }

    /// Closes files of closed segments if many are open, sparing segment `keep`.
    pub(super) fn limit_open_files(&mut self, keep: usize) {
        let closed = self.all.len().saturating_sub(1);
        let open = self.all[..closed].iter().filter(|s| s.has_open_files() && !s.unsynced).count();
        if open <= OPEN_CLOSED_MAX {
            return;
        }
        for (i, segment) in self.all[..closed].iter_mut().enumerate() {
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
