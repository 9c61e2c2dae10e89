//! Transactions in one log, by chance, against what was promised: what a reader of committed records is given.

use std::collections::BTreeMap;

use super::*;
use crate::storage::producer_state::ProducerError;
use crate::wire::control::EndTxnMarker;

const RUNS: u64 = 60;
const STEPS: usize = 120;

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wrote {
    base: Offset,
    last: Offset,
    producer: i64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Plain,
    InTransaction,
    End { commit: bool },
}

/// What was written, and how far it is replicated.
#[derive(Default)]
struct Model {
    wrote: Vec<Wrote>,
    high_watermark: Offset,
    /// Where the log ended when it was last opened or cut. A snapshot of producers does not say which of the markers before
    /// it were replicated, so those may count as if they were; Kafka's do.
    opened_at: Offset,
}

impl Model {
    /// The marker that ends the transaction of the batch at `at`.
    fn end_of(&self, at: usize) -> Option<(Offset, bool)> {
        let batch = self.wrote[at];
        self.wrote[at + 1..].iter().find_map(|later| match later.what {
            What::End { commit } if later.producer == batch.producer => Some((later.base, commit)),
            _ => None,
        })
    }

    fn transactional(&self) -> impl Iterator<Item = (usize, &Wrote)> {
        self.wrote.iter().enumerate().filter(|(_, batch)| batch.what == What::InTransaction)
    }

    fn is_open(&self, producer: i64) -> bool {
        self.transactional().any(|(at, batch)| batch.producer == producer && self.end_of(at).is_none())
    }

    /// The last stable offset, if markers below `replicated` are taken for replicated.
    fn last_stable_offset(&self, start: Offset, replicated: Offset) -> Offset {
        let unstable = self
            .transactional()
            .filter(|&(at, _)| self.end_of(at).is_none_or(|(marker, _)| marker >= replicated));
        let first = unstable.map(|(_, batch)| batch.base).min().unwrap_or(Offset::MAX);
        first.max(start).min(self.high_watermark)
    }

    /// Base offsets of the batches with records that a reader from `from` on is to see.
    fn committed(&self, from: Offset, upto: Offset) -> Vec<Offset> {
        let counts = |(at, batch): (usize, &Wrote)| match batch.what {
            What::Plain => true,
            What::InTransaction => self.end_of(at).is_some_and(|(_, commit)| commit),
            What::End { .. } => false,
        };
        let all = self.wrote.iter().enumerate().filter(|&(at, batch)| counts((at, batch)));
        all.map(|(_, batch)| batch).filter(|b| b.last >= from && b.last < upto).map(|b| b.base).collect()
    }
}

/// Reads as consumers do: what was aborted is left out by the list that comes with the records.
fn read_committed(log: &mut Log, from: Offset, end: Offset, rng: &mut Rng) -> Vec<Offset> {
    let (mut at, mut seen) = (from, Vec::new());
    while at < end {
        let read = log.read(at, 1 + rng.below(700) as u32, end, true).unwrap();
        let Some(slice) = read.slice.clone() else { break };
        let behind = log.offset_behind(&read, end).unwrap();
        let mut aborted = log.aborted_transactions(at, behind).unwrap();
        aborted.sort_by_key(|txn| txn.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let mut void: Vec<i64> = Vec::new();
        let bytes = slice.read().unwrap();
        for batch in batches(&bytes) {
            let Ok(batch) = batch else { break };
            let header = batch.header();
            assert!(header.last_offset() < end, "nothing is read beyond the last stable offset");
            assert!(header.last_offset() < behind, "the list covers what is read");
            while let Some(txn) = aborted.next_if(|txn| txn.first_offset <= header.last_offset()) {
                void.push(txn.producer_id);
            }
            at = header.next_offset();
            if header.is_control() {
                void.retain(|&id| id != header.producer_id());
            } else if !header.is_transactional() || !void.contains(&header.producer_id()) {
                seen.push(header.base_offset());
            }
        }
    }
    seen
}

struct Run {
    disk: SimDisk,
    manager: Manager,
    log: Log,
    model: Model,
    /// Sequence numbers by producer.
    next: BTreeMap<i64, i32>,
    rng: Rng,
}

impl Run {
    fn new(seed: u64) -> Run {
        let disk = SimDisk::new();
        let (manager, log) = log_on(&disk, small());
        let (model, next, rng) = (Model::default(), BTreeMap::new(), Rng::new(seed));
        Run { disk, manager, log, model, next, rng }
    }

    fn step(&mut self) {
        let producer = 1 + self.rng.below(4) as i64;
        match self.rng.below(20) {
            0..=6 => self.write(producer, true),
            7..=9 => self.write(9, false),
            10..=13 => self.end(producer),
            14..=16 => {
                let end = self.log.log_end_offset();
                let ahead = (end - self.model.high_watermark) as u64;
                self.model.high_watermark += self.rng.below(ahead + 1) as Offset;
                self.log.on_high_watermark(self.model.high_watermark);
            }
            17 => self.log.roll_now(NOW).unwrap(),
            18 => self.truncate(),
            _ => self.restart(),
        }
    }

    fn write(&mut self, producer: i64, transactional: bool) {
        let sequence = self.next.entry(producer).or_default();
        let mut builder = BatchBuilder::new(0).producer(producer, 0, *sequence);
        if transactional {
            builder = builder.transactional();
        }
        let count = 1 + self.rng.below(3) as i32;
        for _ in 0..count {
            builder.append(NOW, None, Some(b"some value"));
        }
        let info = append(&mut self.log, &builder.finish()).unwrap();
        *sequence += count;
        let what = if transactional { What::InTransaction } else { What::Plain };
        self.model.wrote.push(Wrote { base: info.first_offset, last: info.last_offset, producer, what });
    }

    fn end(&mut self, producer: i64) {
        let commit = self.rng.below(2) == 0;
        let marker = EndTxnMarker { commit, coordinator_epoch: 1 };
        let was_open = self.model.is_open(producer);
        let info = self.log.append_marker((producer, 0), marker, 0, 3, NOW).unwrap();
        let what = What::End { commit };
        self.model.wrote.push(Wrote { base: info.first_offset, last: info.last_offset, producer, what });
        assert!(!self.log.has_ongoing_txn(producer, 0).unwrap(), "it was open: {was_open}");
        let stale = self.log.append_marker((producer, -1), marker, 0, 3, NOW);
        assert!(matches!(stale, Err(AppendError::Producer(ProducerError::InvalidEpoch { .. }))));
        let zombie = EndTxnMarker { commit, coordinator_epoch: 0 };
        let zombie = self.log.append_marker((producer, 0), zombie, 0, 3, NOW);
        assert!(matches!(zombie, Err(AppendError::Producer(ProducerError::CoordinatorFenced { .. }))));
    }

    /// Another leader has not got what is not replicated.
    fn truncate(&mut self) {
        self.log.truncate_to(self.model.high_watermark).unwrap();
        let end = self.log.log_end_offset();
        assert!(end <= self.model.high_watermark);
        (self.model.high_watermark, self.model.opened_at) = (end, end);
        self.model.wrote.retain(|batch| batch.base < end);
        self.next.clear();
        for (id, entry) in self.log.active_producers().unwrap() {
            self.next.insert(id, entry.last_sequence() + 1);
        }
    }

    fn restart(&mut self) {
        let is_clean = self.rng.below(2) == 0;
        if !is_clean {
            self.log.sync_now().unwrap();
        }
        // The log goes first, as at the end of a node.
        let disk = self.disk.clone();
        let (manager, log) = log_on(&SimDisk::new(), small());
        let (manager, log) =
            (std::mem::replace(&mut self.manager, manager), std::mem::replace(&mut self.log, log));
        if is_clean {
            log.close(true).unwrap();
            manager.close(1).unwrap();
            drop(manager);
            disk.release();
        } else {
            drop((manager, log));
            disk.crash(&mut self.rng);
        }
        self.lose_an_index();
        (self.manager, self.log) = log_on(&disk, small());
        self.model.opened_at = self.log.log_end_offset();
        assert_eq!(self.model.opened_at, self.model.wrote.last().map_or(0, |batch| batch.last + 1));
    }

    fn lose_an_index(&mut self) {
        let dir = Path::new("/data/t-0");
        let Ok(files) = self.disk.list(dir) else { return };
        for entry in files {
            if entry.name.ends_with("txnindex") && self.rng.below(2) == 0 {
                self.disk.remove_file(&dir.join(&entry.name)).unwrap();
            }
        }
    }

    fn check(&mut self, seed: u64) {
        // As partitions do: what was read again after a restart or a truncation has to be told.
        self.log.settle(self.model.high_watermark).unwrap();
        let start = self.log.log_start_offset();
        let end = self.log.last_stable_offset(self.model.high_watermark).unwrap();
        let (known, most) = (self.model.high_watermark, self.model.high_watermark.max(self.model.opened_at));
        let right = self.model.last_stable_offset(start, known)..=self.model.last_stable_offset(start, most);
        assert!(right.contains(&end), "seed {seed}: {end} is not in {right:?}: {:?}", self.model.wrote);
        for from in [start, start + self.rng.below((end - start) as u64 + 1) as Offset] {
            let seen = read_committed(&mut self.log, from, end, &mut self.rng);
            assert_eq!(seen, self.model.committed(from, end), "seed {seed}, from {from}");
        }
    }
}

#[test]
fn readers_are_given_what_was_committed_and_nothing_else() {
    for seed in 0..RUNS {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
            run.check(seed);
        }
    }
}

#[test]
fn a_list_of_aborted_transactions_is_no_longer_than_what_it_comes_with() {
    let disk = SimDisk::new();
    let config = Arc::new(LogConfig { index_interval_bytes: 500, ..LogConfig::default() });
    let (_manager, mut log) = log_on(&disk, config);
    for txn in 0..2000 {
        let mut builder = BatchBuilder::new(0).producer(7, 0, txn).transactional();
        builder.append(NOW, None, Some(b"v"));
        append(&mut log, &builder.finish()).unwrap();
        let marker = EndTxnMarker { commit: false, coordinator_epoch: 1 };
        log.append_marker((7, 0), marker, 0, 3, NOW).unwrap();
    }
    let end = log.log_end_offset();
    let read = log.read(0, 1000, end, true).unwrap();
    let behind = log.offset_behind(&read, end).unwrap();
    let listed = log.aborted_transactions(0, behind).unwrap().len();
    assert!((6..20).contains(&listed), "{listed} for a thousand bytes");
}

#[test]
fn the_last_stable_offset_does_not_lie_before_the_log() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    let mut builder = BatchBuilder::new(0).producer(7, 0, 0).transactional();
    builder.append(NOW, None, Some(b"v")).append(NOW, None, Some(b"w"));
    append(&mut log, &builder.finish()).unwrap();
    append(&mut log, &batch(3, NOW)).unwrap();
    log.advance_log_start_offset(4).unwrap();
    assert_eq!(log.last_stable_offset(5).unwrap(), 4, "records of an open transaction were deleted");
    assert!(log.has_ongoing_txn(7, 0).unwrap(), "it is open all the same");
}

#[test]
fn of_closed_segments_only_those_with_transactions_that_reach_back_are_looked_into() {
    let disk = SimDisk::new();
    let (_manager, mut log) = log_on(&disk, small());
    let (mut aborted, mut began) = (Vec::new(), 0);
    for txn in 0..400 {
        if txn % 40 == 0 {
            began = log.log_end_offset();
            let mut builder = BatchBuilder::new(0).producer(7, 0, txn / 40).transactional();
            builder.append(NOW, None, Some(b"v"));
            append(&mut log, &builder.finish()).unwrap();
        }
        append(&mut log, &batch(2, NOW)).unwrap();
        if txn % 40 == 20 {
            let marker = EndTxnMarker { commit: false, coordinator_epoch: 1 };
            let ended = log.append_marker((7, 0), marker, 0, 3, NOW).unwrap();
            aborted.push((began, ended.first_offset));
        }
    }
    let end = log.log_end_offset();
    let segments = log.segment_count().unwrap();
    assert!(segments > 15, "{segments}");
    let expected = |from: Offset, upto: Offset| -> Vec<Offset> {
        aborted.iter().filter(|&&(first, last)| last >= from && first < upto).map(|&(_, last)| last).collect()
    };
    let mut ask = |from: Offset, upto: Offset| -> Vec<Offset> {
        let found = log.aborted_transactions(from, upto).unwrap();
        found.into_iter().filter(|txn| txn.first_offset < upto).map(|txn| txn.last_offset).collect()
    };
    for from in (0..end).rev().step_by(7) {
        for upto in [from + 1, from + 30, from + 200, end] {
            assert_eq!(ask(from, upto), expected(from, upto), "{from}..{upto}");
        }
    }
    // The same again reads nothing: it is known where there is nothing to find.
    ask(0, 1);
    let calls = disk.calls();
    assert_eq!(ask(1, 2), expected(1, 2));
    assert_eq!(disk.calls(), calls);
}
