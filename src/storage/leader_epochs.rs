//! Which leader epoch began at which offset: what followers and consumers ask to find where logs diverge.
//!
//! Invariant: epochs and start offsets both grow strictly. The rules are those of KIP-101 and KIP-279; an answer names
//! the largest epoch at or below the asked one, so that a follower can ask again with that.

use std::fmt::Write as _;

use crate::types::{LeaderEpoch, Offset};

/// The version in the first line of the checkpoint.
const CHECKPOINT_VERSION: &str = "0";
/// Most entries that are read from a checkpoint; a partition gets one per change of leader that was followed by data.
const ENTRIES_MAX: usize = 1_000_000;

/// An epoch and the offset of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch, 0 and up.
    pub epoch: LeaderEpoch,
    /// Where it begins, 0 and up.
    pub start_offset: Offset,
}

/// Why a checkpoint cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not text.
    #[error("the checkpoint is not UTF-8")]
    NotText,
    /// Another format.
    #[error("the checkpoint has version {0:?}")]
    Version(String),
    /// A line that is not what belongs there.
    #[error("line {0} of the checkpoint is malformed")]
    Line(usize),
    /// The count differs from the number of lines.
    #[error("the checkpoint announces {announced} entries and has {found}")]
    Count {
        /// What the second line says.
        announced: usize,
        /// How many lines follow.
        found: usize,
    },
}

/// The epochs of one partition's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochs {
    /// No epochs, as of an empty log.
    pub fn new() -> LeaderEpochs {
        LeaderEpochs::default()
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The latest epoch that has records, or was assigned.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// The earliest epoch that still has records.
    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// The epoch before the latest.
    pub fn previous(&self) -> Option<EpochEntry> {
        self.entries.iter().rev().nth(1).copied()
    }

    /// Notes that `epoch` begins at `start_offset`. True if that changed anything, so that the checkpoint must be
    /// written. Entries that contradict the new one (epoch or offset at or above) are dropped, as Kafka does.
    ///
    /// Both must be 0 or more; others are ignored.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch && latest.start_offset <= start_offset) {
            return false;
        }
        let contradicts = |entry: &EpochEntry| entry.epoch >= epoch || entry.start_offset >= start_offset;
        while self.entries.last().is_some_and(contradicts) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// Where the records of `epoch` end: the largest epoch at or below it, and the first offset behind that epoch's
    /// records. `None` if this log cannot tell.
    ///
    /// The latest epoch ends at `log_end_offset`. An epoch below the earliest ends where the earliest begins: its records
    /// are deleted.
    pub fn end_offset_for(
        &self,
        epoch: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if epoch < 0 {
            return None;
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch) {
            return Some((epoch, log_end_offset));
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(above)?.start_offset;
        let floor = above.checked_sub(1).map_or(epoch, |at| self.entries[at].epoch);
        Some((floor, end))
    }

    /// The epoch that the record at `offset` has; `None` below the earliest.
    pub fn epoch_for(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.start_offset <= offset);
        above.checked_sub(1).map(|at| self.entries[at].epoch)
    }

    /// Forgets epochs that begin at or above `end_offset`: the log now ends there. True if that changed anything.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        if end_offset < 0 {
            return false;
        }
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = keep < self.entries.len();
        self.entries.truncate(keep);
        changed
    }

    /// Forgets epochs that end at or below `start_offset`: the log now begins there, and so does the epoch that holds it.
    /// True if that changed anything.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let passed = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(last) = passed.checked_sub(1) else {
            return false;
        };
        let changed = last > 0 || self.entries[last].start_offset != start_offset;
        self.entries.drain(..last);
        self.entries[0].start_offset = start_offset;
        changed
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The entries of a range of offsets, as they go with a remote segment (KIP-405): from `start_offset` on (with the
    /// epoch that holds it moved up to it), below `end_offset`.
    pub fn in_range(&self, start_offset: Offset, end_offset: Offset) -> LeaderEpochs {
        let mut range = self.clone();
        range.truncate_from_start(start_offset);
        range.truncate_from_end(end_offset);
        range
    }

    /// The content of `leader-epoch-checkpoint`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{CHECKPOINT_VERSION}\n{}\n", self.entries.len());
        for entry in &self.entries {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
        }
        text.into_bytes()
    }

    /// Reads the content of `leader-epoch-checkpoint`. An empty file is an empty list, as Kafka makes them.
    ///
    /// Entries are assigned one after the other, so that those that contradict later ones go.
    pub fn from_bytes(bytes: &[u8]) -> Result<LeaderEpochs, CheckpointError> {
        let text = std::str::from_utf8(bytes).map_err(|_| CheckpointError::NotText)?;
        let mut lines = text.lines();
        let Some(version) = lines.next() else {
            return Ok(LeaderEpochs::new());
        };
        if version != CHECKPOINT_VERSION {
            return Err(CheckpointError::Version(version.chars().take(20).collect()));
        }
        let Some(count) = lines.next() else {
            return Ok(LeaderEpochs::new());
        };
        let announced: usize = count.parse().map_err(|_| CheckpointError::Line(2))?;
        if announced > ENTRIES_MAX {
            return Err(CheckpointError::Line(2));
        }
        let mut epochs = LeaderEpochs::new();
        let mut found = 0;
        for line in lines {
            found += 1;
            let entry = parse_entry(line).ok_or(CheckpointError::Line(found + 2))?;
            epochs.assign(entry.epoch, entry.start_offset);
        }
        if found != announced {
            return Err(CheckpointError::Count { announced, found });
        }
        Ok(epochs)
    }
}

fn parse_entry(line: &str) -> Option<EpochEntry> {
    let mut words = line.split_ascii_whitespace();
    let entry = EpochEntry { epoch: words.next()?.parse().ok()?, start_offset: words.next()?.parse().ok()? };
    (words.next().is_none() && entry.epoch >= 0 && entry.start_offset >= 0).then_some(entry)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn epochs(entries: &[(LeaderEpoch, Offset)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::new();
        for &(epoch, start) in entries {
            epochs.assign(epoch, start);
        }
        epochs
    }

    fn pairs(epochs: &LeaderEpochs) -> Vec<(LeaderEpoch, Offset)> {
        epochs.entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect()
    }

    #[test]
    fn ends_of_epochs_are_those_of_kip_279() {
        let log = epochs(&[(2, 10), (4, 20), (7, 30)]);
        assert_eq!(log.end_offset_for(7, 99), Some((7, 99)));
        assert_eq!(log.end_offset_for(8, 99), None);
        assert_eq!(log.end_offset_for(6, 99), Some((4, 30)));
        assert_eq!(log.end_offset_for(5, 99), Some((4, 30)));
        assert_eq!(log.end_offset_for(4, 99), Some((4, 30)));
        assert_eq!(log.end_offset_for(2, 99), Some((2, 20)));
        assert_eq!(log.end_offset_for(1, 99), Some((1, 10)));
        assert_eq!(log.end_offset_for(-1, 99), None);
        assert_eq!(LeaderEpochs::new().end_offset_for(0, 0), None);
    }

    #[test]
    fn assigning_keeps_both_growing() {
        let mut log = epochs(&[(2, 10), (4, 20)]);
        assert!(!log.assign(4, 25), "an epoch keeps its start");
        assert!(log.assign(4, 15));
        assert_eq!(pairs(&log), [(2, 10), (4, 15)]);
        assert!(log.assign(5, 15), "an epoch without records gives way");
        assert_eq!(pairs(&log), [(2, 10), (5, 15)]);
        assert!(log.assign(3, 12));
        assert_eq!(pairs(&log), [(2, 10), (3, 12)]);
        assert!(!log.assign(-1, 12) && !log.assign(9, -1));
    }

    #[test]
    fn truncation_keeps_the_epoch_that_holds_the_edge() {
        let mut log = epochs(&[(2, 10), (4, 20), (7, 30)]);
        assert!(!log.truncate_from_start(9));
        assert!(!log.truncate_from_start(10));
        assert!(log.truncate_from_start(25));
        assert_eq!(pairs(&log), [(4, 25), (7, 30)]);
        assert!(log.truncate_from_start(30));
        assert_eq!(pairs(&log), [(7, 30)]);
        let mut log = epochs(&[(2, 10), (4, 20), (7, 30)]);
        assert!(!log.truncate_from_end(31));
        assert!(log.truncate_from_end(30));
        assert_eq!(pairs(&log), [(2, 10), (4, 20)]);
        assert!(log.truncate_from_end(0));
        assert_eq!(log.latest(), None);
        assert_eq!(pairs(&epochs(&[(2, 10), (4, 20), (7, 30)]).in_range(15, 30)), [(2, 15), (4, 20)]);
    }

    #[test]
    fn the_checkpoint_is_kafkas() {
        let log = epochs(&[(0, 0), (3, 17)]);
        assert_eq!(log.to_bytes(), b"0\n2\n0 0\n3 17\n");
        assert_eq!(LeaderEpochs::from_bytes(b"0\n2\n0 0\n3 17\n"), Ok(log));
        assert_eq!(LeaderEpochs::from_bytes(b""), Ok(LeaderEpochs::new()));
        assert_eq!(LeaderEpochs::from_bytes(b"0\n0\n"), Ok(LeaderEpochs::new()));
        let error = |text: &str| LeaderEpochs::from_bytes(text.as_bytes()).unwrap_err();
        assert_eq!(error("1\n0\n"), CheckpointError::Version("1".into()));
        assert_eq!(error("0\n99999999999999999999\n"), CheckpointError::Line(2));
        assert_eq!(error("0\n2147483647\n"), CheckpointError::Line(2));
        assert_eq!(error("0\n2\n0 0\n"), CheckpointError::Count { announced: 2, found: 1 });
        assert_eq!(error("0\n1\n0 0 0\n"), CheckpointError::Line(3));
        assert_eq!(error("0\n1\n-1 0\n"), CheckpointError::Line(3));
        assert_eq!(LeaderEpochs::from_bytes(&[b'0', b'\n', 0xff]), Err(CheckpointError::NotText));
    }

    proptest! {
        #[test]
        fn whatever_is_assigned_stays_in_order(
            entries in proptest::collection::vec((-2i32..20, -2i64..200), 0..40), start in 0i64..200, end in 0i64..200,
        ) {
            let mut log = epochs(&entries);
            let sorted = |log: &LeaderEpochs| {
                log.entries().windows(2).all(|w| w[0].epoch < w[1].epoch && w[0].start_offset < w[1].start_offset)
            };
            prop_assert!(sorted(&log));
            prop_assert_eq!(LeaderEpochs::from_bytes(&log.to_bytes()), Ok(log.clone()));
            for asked in 0..20 {
                if let Some((epoch, end)) = log.end_offset_for(asked, 1000) {
                    prop_assert!(epoch <= asked && end <= 1000);
                }
            }
            log.truncate_from_start(start);
            log.truncate_from_end(end);
            prop_assert!(sorted(&log));
            prop_assert!(log.entries().iter().all(|entry| entry.start_offset < end));
        }

        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = LeaderEpochs::from_bytes(&bytes);
        }
    }
}
