//! A workload on the storage layer over a simulated disk, and what must hold after the power came back.
//!
//! [`World`] is one broker's storage with a model beside it: every batch that was appended, what was reported
//! durable, and what each producer sent. [`World::step`] does one random thing; when the disk fails, the
//! world is [`World::crash`]ed, opened again and checked:
//!
//! * everything that was reported durable is there, byte for byte;
//! * whatever else is there is what was appended, at its offset, without a hole and nothing twice;
//! * the producers are known as far as their batches survived, so that a retry is recognised; also those whose batches
//!   retention has removed since;
//! * the transactions that were aborted are listed, and no others;
//! * a log start that was seen does not go back;
//! * every index finds every offset, and reads end where they should;
//! * nothing panics, and the storage can be used again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::SimDisk;
use crate::storage::producer_state::ProducerEntry;
use crate::storage::validate::{AppendOrigin, validate};
use crate::storage::{
    AppendBy, AppendError, CleanupPolicy, Log, LogConfig, Manager, ManagerConfig, ReadError, StorageError,
};
use crate::types::{LeaderEpoch, Ms, Offset, Rng, TopicId, TopicPartition};
use crate::wire::batch::{BatchHeader, batches};
use crate::wire::control::{EndTxnMarker, end_txn_batch};
use crate::wire::records::BatchBuilder;

/// Batches that a producer may have in flight, and retries.
const RETRIED_BATCHES: usize = 5;
/// The producer that writes most, idempotently.
const STEADY: i64 = 1000;
/// The producer of transactions.
const TRANSACTIONAL: i64 = 2000;
/// From here on, producers that write a single batch and are never heard of again.
const ONCE: i64 = 3000;

/// What may be varied.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything is drawn from it.
    pub seed: u64,
    /// Partitions in use.
    pub partitions: i32,
    /// Log directories.
    pub dirs: usize,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// An orderly stop syncs all logs at once.
    pub syncs_all: bool,
}

impl Options {
    /// Options that follow from a seed.
    pub fn from_seed(seed: u64) -> Options {
        let mut rng = Rng::new(seed ^ 0x6f70_7469_6f6e_7321);
        Options {
            seed,
            partitions: 1 + rng.below(4) as i32,
            dirs: 1 + rng.below(2) as usize,
            segment_bytes: 900 + rng.below(3000) as u32,
            syncs_all: rng.chance(2),
        }
    }
}

/// One appended batch.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Written {
    last: Offset,
    bytes: Vec<u8>,
    sequence: i32,
    count: i32,
    /// Of a transaction's marker: whether it commits.
    ends: Option<bool>,
}

/// What one partition was told and promised.
#[derive(Default)]
struct Model {
    topic_id: TopicId,
    batches: BTreeMap<Offset, Written>,
    /// Batches that a truncation was about to remove when the power went.
    maybe: BTreeMap<Offset, Written>,
    start: Offset,
    /// Records below it were deleted on request, and that was reported.
    deleted_to: Offset,
    /// Reported durable.
    synced: Offset,
    end: Offset,
    next_sequence: i32,
    producer_epoch: i16,
    /// The epoch in which transactions are written; a new one in each life.
    txn_epoch: i16,
    /// True if batches were lost of which, perhaps, producers' snapshots know: then it is not known what is known of them.
    producers_unsure: bool,
    /// How many producers have written once.
    once: i64,
    /// True while a deletion was under way when the power went.
    maybe_deleted: bool,
}

impl Model {
    /// The batches whose retry must be recognised, the newest first: the last ones of the producer's epoch that are not
    /// deleted.
    fn retriable(&self, start: Offset) -> impl Iterator<Item = (Offset, &Written)> {
        let newest = self.of(STEADY).next_back().map(|(_, written)| written.producer_epoch());
        self.of(STEADY)
            .rev()
            .take_while(move |(base, written)| *base >= start && Some(written.producer_epoch()) == newest)
            .take(RETRIED_BATCHES)
    }

    /// The batches of a producer.
    fn of(&self, producer: i64) -> impl DoubleEndedIterator<Item = (Offset, &Written)> {
        let all = self.batches.iter().map(|(&base, written)| (base, written));
        all.filter(move |(_, written)| written.producer() == producer)
    }

    /// What the batches say of transactions: first and last offsets of the aborted ones, and where the open one began.
    fn transactions(&self) -> (Vec<(Offset, Offset)>, Option<Offset>) {
        let (mut aborted, mut open) = (Vec::new(), None);
        for (base, written) in self.of(TRANSACTIONAL) {
            match written.ends {
                None => open = open.or(Some(base)),
                Some(commit) => {
                    let first = open.take();
                    aborted.extend(first.filter(|_| !commit).map(|first| (first, base)));
                }
            }
        }
        (aborted, open)
    }
}

impl Written {
    fn producer(&self) -> i64 {
        BatchHeader::new(&self.bytes).map_or(-1, |header| header.producer_id())
    }

    fn producer_epoch(&self) -> i16 {
        BatchHeader::new(&self.bytes).map_or(-1, |header| header.producer_epoch())
    }
}

/// Storage and model.
pub struct World {
    disk: SimDisk,
    options: Options,
    rng: Rng,
    config: Arc<LogConfig>,
    manager: Option<Manager>,
    logs: BTreeMap<TopicPartition, Log>,
    models: BTreeMap<TopicPartition, Model>,
    now: Ms,
    epoch: LeaderEpoch,
}

/// Why a step ended early.
#[derive(Debug)]
pub enum Stop {
    /// The disk failed, as it was told to.
    Disk,
    /// Something that must hold does not.
    Broken(String),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Stop {
        match error {
            StorageError::Io { .. } | StorageError::Offline { .. } => Stop::Disk,
            other => Stop::Broken(other.to_string()),
        }
    }
}

impl From<AppendError> for Stop {
    fn from(error: AppendError) -> Stop {
        match error {
            AppendError::Fault(fault) => fault.into(),
            other => Stop::Broken(other.to_string()),
        }
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        match error {
            ReadError::Fault(fault) => fault.into(),
            other => Stop::Broken(other.to_string()),
        }
    }
}

macro_rules! ensure {
    ($holds:expr, $($why:tt)*) => {
        if !$holds {
            return Err(Stop::Broken(format!($($why)*)));
        }
    };
}

impl World {
    /// An empty disk. Nothing is opened yet: [`World::open`].
    pub fn new(options: Options) -> World {
        let config = LogConfig {
            segment_bytes: options.segment_bytes,
            index_interval_bytes: 150,
            retention_bytes: i64::from(options.segment_bytes) * 4,
            file_delete_delay_ms: 2000,
            cleanup: CleanupPolicy { delete: true, compact: false },
            ..LogConfig::default()
        };
        let disk = SimDisk::new();
        disk.set_syncs_all(options.syncs_all);
        World {
            disk,
            rng: Rng::new(options.seed),
            options,
            config: Arc::new(config),
            manager: None,
            logs: BTreeMap::new(),
            models: BTreeMap::new(),
            now: 1_700_000_000_000,
            epoch: 0,
        }
    }

    /// The disk, to hurt it.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn manager(&self) -> Result<&Manager, Stop> {
        self.manager.as_ref().ok_or_else(|| Stop::Broken("not open".to_owned()))
    }

    /// Opens the storage as a starting broker does, recovering what must be, and takes every partition that
    /// should be there.
    pub fn open(&mut self) -> Result<(), Stop> {
        let paths: Vec<PathBuf> = (0..self.options.dirs).map(|i| PathBuf::from(format!("/d{i}"))).collect();
        let config = ManagerConfig {
            checkpoint_interval_ms: 5000,
            retention_interval_ms: 3000,
            initial_delay_ms: 0,
            points_per_second: 1,
            synced_one_by_one_max: if self.options.syncs_all { 0 } else { usize::MAX },
        };
        let manager = Manager::open(Arc::new(self.disk.clone()), &paths, config, self.now)?;
        if manager.dirs().len() < paths.len() {
            return Err(Stop::Disk);
        }
        manager.recover_here(|_| self.config.clone());
        self.manager = Some(manager);
        Ok(())
    }

    /// Does one random thing.
    pub fn step(&mut self) -> Result<(), Stop> {
        self.now += self.rng.below(500) as Ms;
        self.disk.set_now(self.now);
        let partition = self.rng.below(self.options.partitions as u64) as i32;
        let tp = TopicPartition::new("topic", partition);
        self.take(&tp)?;
        match self.rng.below(40) {
            0..=14 => self.append(&tp),
            15..=17 => self.append_in_transaction(&tp),
            18..=19 => self.append_once(&tp),
            20..=27 => self.sync(&tp),
            28..=30 => self.tick(),
            31 => self.truncate(&tp),
            32 => self.delete_records(&tp),
            33 => self.read(&tp),
            34 => self.delete(&tp),
            35 => {
                self.epoch += 1;
                Ok(())
            }
            36 => self.start_over(&tp),
            37 => self.restart(),
            38 => {
                if let Some(log) = self.logs.get_mut(&tp) {
                    log.roll_now(self.now)?;
                }
                Ok(())
            }
            _ => {
                self.now += 4000;
                self.tick()
            }
        }
    }

    fn take(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        if self.logs.contains_key(tp) {
            return Ok(());
        }
        let id = match self.models.get(tp) {
            Some(model) => model.topic_id,
            None => TopicId(self.rng.kafka_uuid()),
        };
        let taken = self.manager()?.log(tp, id, self.config.clone(), None);
        let log = match taken {
            // What a topic of that name left behind that nothing durable was ever promised of.
            Err(StorageError::TopicId { .. }) if self.models.get(tp).is_none_or(|m| m.synced <= m.start) => {
                let unique = self.rng.uuid();
                self.manager()?.set_aside(tp, unique)?;
                self.manager()?.log(tp, id, self.config.clone(), None)?
            }
            other => other?,
        };
        self.logs.insert(tp.clone(), log);
        self.models.entry(tp.clone()).or_insert_with(|| Model { topic_id: id, ..Model::default() });
        Ok(())
    }

    fn parts(&mut self, tp: &TopicPartition) -> Result<(&mut Log, &mut Model), Stop> {
        match (self.logs.get_mut(tp), self.models.get_mut(tp)) {
            (Some(log), Some(model)) => Ok((log, model)),
            _ => Err(Stop::Broken(format!("{tp} is not open"))),
        }
    }

    fn append(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let (count, size) = (1 + self.rng.below(4) as i32, self.rng.below(120) as usize);
        let (retry, back) = (self.rng.chance(6), self.rng.below(RETRIED_BATCHES as u64) as usize);
        let (now, epoch, config) = (self.now, self.epoch, self.config.clone());
        let (log, model) = self.parts(tp)?;
        let start = log.log_start_offset();
        let retried = if retry && model.next_sequence > 0 && !model.producers_unsure {
            model.retriable(start).nth(back)
        } else {
            None
        };
        let (sequence, count, expected) = match retried {
            Some((base, written)) => (written.sequence, written.count, Some(base)),
            None => (model.next_sequence, count, None),
        };
        let mut builder = BatchBuilder::new(0).producer(STEADY, model.producer_epoch, sequence);
        for i in 0..count {
            let value = vec![sequence as u8; size];
            builder.append(now + Ms::from(i), Some(&sequence.to_be_bytes()), Some(&value));
        }
        let input = builder.finish();
        let mut plan = validate(&input, &config.validate, AppendOrigin::Client, now)
            .map_err(|e| Stop::Broken(e.to_string()))?;
        let end = log.log_end_offset();
        let base = expected.unwrap_or(end);
        // Noted before: the append may reach the disk though it fails.
        let info = log.append_as_leader(&input, &mut plan, AppendBy::client(epoch), now);
        if expected.is_none() {
            let mut bytes = plan.header_bytes().to_vec();
            bytes.extend_from_slice(plan.payload(&input));
            let last = end + i64::from(count) - 1;
            model.batches.insert(end, Written { last, bytes, sequence, count, ends: None });
        }
        let info = info?;
        ensure!(info.duplicate == expected.is_some(), "{tp}: duplicate {} at {base}", info.duplicate);
        ensure!(info.first_offset == base, "{tp}: {} instead of {base}", info.first_offset);
        if expected.is_none() {
            model.next_sequence = sequence + count;
            model.end = info.last_offset + 1;
        }
        ensure!(log.log_end_offset() == model.end, "{tp}: end {} not {}", log.log_end_offset(), model.end);
        Ok(())
    }

    /// A producer that is heard of once.
    fn append_once(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let (now, size) = (self.now, self.rng.below(60) as usize);
        let (_, model) = self.parts(tp)?;
        model.once += 1;
        let mut builder = BatchBuilder::new(0).producer(ONCE + model.once, 0, 0);
        builder.append(now, None, Some(&vec![7; size]));
        self.append_other(tp, &builder.finish(), AppendOrigin::Client, None)
    }

    /// A transaction begins, goes on or ends.
    fn append_in_transaction(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let (now, ends, commits) = (self.now, self.rng.chance(2), self.rng.chance(3));
        let (_, model) = self.parts(tp)?;
        let epoch = model.txn_epoch;
        if ends && model.transactions().1.is_some() {
            let marker = EndTxnMarker { commit: commits, coordinator_epoch: 0 };
            let input = end_txn_batch(0, -1, TRANSACTIONAL, epoch, marker, now);
            return self.append_other(tp, &input, AppendOrigin::Coordinator, Some(commits));
        }
        let last = model.of(TRANSACTIONAL).rfind(|(_, w)| w.ends.is_none() && w.producer_epoch() == epoch);
        let sequence = last.map_or(0, |(_, written)| written.sequence + written.count);
        let mut builder = BatchBuilder::new(0).producer(TRANSACTIONAL, epoch, sequence).transactional();
        builder.append(now, None, Some(b"in a transaction"));
        self.append_other(tp, &builder.finish(), AppendOrigin::Client, None)
    }

    fn append_other(
        &mut self,
        tp: &TopicPartition,
        input: &[u8],
        origin: AppendOrigin,
        ends: Option<bool>,
    ) -> Result<(), Stop> {
        let (now, epoch, config) = (self.now, self.epoch, self.config.clone());
        let (log, model) = self.parts(tp)?;
        let mut plan =
            validate(input, &config.validate, origin, now).map_err(|e| Stop::Broken(e.to_string()))?;
        let base = log.log_end_offset();
        let by = AppendBy { origin, ..AppendBy::client(epoch) };
        let info = log.append_as_leader(input, &mut plan, by, now);
        let mut bytes = plan.header_bytes().to_vec();
        bytes.extend_from_slice(plan.payload(input));
        let sequence = BatchHeader::new(&bytes).map_or(-1, |header| header.base_sequence());
        // Noted also if it failed: it may have reached the disk.
        model.batches.insert(base, Written { last: base, bytes, sequence, count: 1, ends });
        let info = info?;
        ensure!(!info.duplicate && info.first_offset == base, "{tp}: {info:?} where {base} was to be");
        model.end = base + 1;
        if ends.is_some() {
            // Alone, and what is appended is replicated.
            log.on_high_watermark(base + 1);
        }
        Ok(())
    }

    fn sync(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let (log, model) = self.parts(tp)?;
        if let Some(job) = log.sync_job() {
            let upto = job.upto();
            let done = job.run();
            log.synced(done)?;
            ensure!(log.synced_end_offset() == upto, "{tp}: synced to {}", log.synced_end_offset());
        }
        model.synced = log.synced_end_offset();
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Stop> {
        let now = self.now;
        let due = self.manager()?.tick(now);
        for tp in &due.sync {
            if self.logs.contains_key(tp) {
                self.sync(tp)?;
            }
        }
        for tp in &due.retention {
            if let Some(log) = self.logs.get_mut(tp) {
                let before = log.log_start_offset();
                log.delete_old_segments(now, log.synced_end_offset())?;
                ensure!(log.log_start_offset() == before, "{tp}: a start is seen before it is durable");
            }
        }
        let settled = self.manager()?.settle_starts();
        for tp in due.reap.iter().chain(&settled) {
            if let (Some(log), Some(model)) = (self.logs.get_mut(tp), self.models.get_mut(tp)) {
                let reaped = log.reap(now);
                model.start = log.log_start_offset();
                reaped?;
                model.deleted_to = log.log_start_offset();
            }
        }
        Ok(())
    }

    fn truncate(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let back = self.rng.below(12) as i64;
        let (log, model) = self.parts(tp)?;
        let to = (log.log_end_offset() - back).max(log.log_start_offset());
        let cut = model.batches.range(..to).next_back().filter(|(_, w)| w.last >= to).map(|(&base, _)| base);
        if cut.is_some_and(|base| base < log.log_start_offset()) {
            return Ok(());
        }
        model.synced = model.synced.min(cut.unwrap_or(to));
        model.maybe = model.batches.split_off(&cut.unwrap_or(to));
        // The producer starts anew: what it sent is gone.
        model.producer_epoch += 1;
        model.next_sequence = 0;
        log.truncate_to(to)?;
        model.maybe.clear();
        model.end = log.log_end_offset();
        ensure!(model.end == cut.unwrap_or(to), "{tp}: truncated to {} not {to}", model.end);
        Ok(())
    }

    fn start_over(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let ahead = self.rng.below(50) as i64;
        let (log, model) = self.parts(tp)?;
        let at = log.log_end_offset() + ahead;
        (model.synced, model.deleted_to) = (0, 0);
        model.maybe = std::mem::take(&mut model.batches);
        model.producer_epoch += 1;
        model.next_sequence = 0;
        log.truncate_fully_and_start_at(at)?;
        model.maybe.clear();
        model.producers_unsure = false;
        (model.start, model.synced, model.end) = (at, at, at);
        Ok(())
    }

    fn delete_records(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let draw = self.rng.next_u64();
        let (log, model) = self.parts(tp)?;
        let span = (log.synced_end_offset() - log.log_start_offset()).max(0) as u64;
        let to = log.log_start_offset() + (draw % (span + 1)) as i64;
        log.advance_log_start_offset(to)?;
        model.start = model.start.max(to);
        if draw >> 63 == 0 {
            log.log_dir().write_starts()?;
            model.deleted_to = log.log_start_offset();
        }
        Ok(())
    }

    fn delete(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let unique = self.rng.uuid();
        let now = self.now;
        let Some(log) = self.logs.remove(tp) else { return Ok(()) };
        if let Some(model) = self.models.get_mut(tp) {
            model.maybe_deleted = true;
        }
        // Of a directory that is out of use nothing is deleted. The topic may be there again after the next start.
        if log.is_offline() {
            return Err(Stop::Disk);
        }
        let retired = self.manager()?.retire(log, unique)?;
        self.manager()?.delete(retired.into_iter().collect(), now)?;
        self.models.remove(tp);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Stop> {
        let logs = std::mem::take(&mut self.logs);
        let ends: Vec<_> = logs.iter().map(|(tp, log)| (tp.clone(), log.log_end_offset())).collect();
        self.manager()?.close_logs(logs.into_values())?;
        for (tp, end) in ends {
            if let Some(model) = self.models.get_mut(&tp) {
                model.synced = end;
            }
        }
        self.manager()?.close(7)?;
        self.manager = None;
        self.open()?;
        ensure!(self.manager()?.clean_shutdown_epoch() == Some(7), "the stop was orderly");
        ensure!(!self.manager()?.needs_recovery(), "recovery after an orderly stop");
        self.check()
    }

    fn read(&mut self, tp: &TopicPartition) -> Result<(), Stop> {
        let (log, model) = self.parts(tp)?;
        check_content(tp, log, model)
    }

    /// Cuts the power, and has it back. `rng` decides what of the unsynced survives.
    pub fn crash(&mut self, rng: &mut Rng) {
        self.logs.clear();
        self.manager = None;
        self.disk.crash(rng);
    }

    /// Kills the process; the system goes on.
    pub fn kill(&mut self) {
        self.logs.clear();
        self.manager = None;
        self.disk.kill();
    }

    /// Checks every partition against its model; after a crash, what was not durable may be missing.
    /// Afterwards the model is what was found.
    pub fn check(&mut self) -> Result<(), Stop> {
        for tp in self.models.keys().cloned().collect::<Vec<_>>() {
            if self.models.get(&tp).is_some_and(|model| model.maybe_deleted)
                && !self.manager()?.found().iter().any(|found| found.partition == tp)
            {
                self.models.remove(&tp);
                continue;
            }
            self.take(&tp)?;
            let (log, model) = self.parts(&tp)?;
            // A directory that was being removed may be half empty.
            if model.maybe_deleted {
                (model.synced, model.deleted_to) = (0, 0);
            }
            let (start, end) = (log.log_start_offset(), log.log_end_offset());
            ensure!(start <= end, "{tp}: starts at {start}, ends at {end}");
            ensure!(end >= model.synced, "{tp}: ends at {end}, was durable up to {}", model.synced);
            ensure!(start >= model.deleted_to, "{tp}: starts at {start}, deleted up to {}", model.deleted_to);
            let all_gone = model.batches.is_empty();
            // Where nothing was durable the first segment may be lost and a later one not.
            let nothing_durable = model.synced <= model.start;
            ensure!(
                start <= model.start.max(model.synced) || all_gone || nothing_durable || model.maybe_deleted,
                "{tp}: starts at {start}, not {}",
                model.start
            );
            // What a truncation had not yet removed is fine too. Where a start anew was cut short, all was to be forgotten,
            // with its producers; of what is not in the log any more they may be known or not.
            let mut maybe = std::mem::take(&mut model.maybe);
            let all = maybe.len();
            maybe.retain(|_, written| written.last >= start);
            model.producers_unsure |= maybe.len() < all;
            model.batches.append(&mut maybe);
            (model.start, model.end) = (start, end);
            model.maybe_deleted = false;
            model.batches.retain(|_, written| written.last < end);
            check_content(&tp, log, model)?;
            check_producers(&tp, log, model)?;
            check_transactions(&tp, log, model)?;
            model.synced = log.synced_end_offset();
            model.txn_epoch += 1;
            // The next life's producer goes on where this one's log ends.
            let last = model.of(STEADY).next_back().map(|(_, w)| (w.producer_epoch(), w.sequence + w.count));
            match last {
                Some((epoch, next)) if !model.producers_unsure => {
                    (model.producer_epoch, model.next_sequence) = (epoch, next);
                }
                _ => (model.producer_epoch, model.next_sequence) = (model.producer_epoch + 1, 0),
            }
        }
        Ok(())
    }
}

fn check_content(tp: &TopicPartition, log: &mut Log, model: &Model) -> Result<(), Stop> {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let mut at = start;
    while at < end {
        let outcome = log.read(at, 700, end, true)?;
        let slice = outcome.slice.ok_or_else(|| Stop::Broken(format!("{tp}: nothing at {at} of {end}")))?;
        let bytes = slice.read().map_err(|_| Stop::Disk)?;
        let before = at;
        for batch in batches(&bytes) {
            let Ok(batch) = batch else { break };
            let header = batch.header();
            let base = header.base_offset();
            ensure!(base == at || (at == start && base < at), "{tp}: {base} where {at} should be");
            let written = model
                .batches
                .get(&base)
                .ok_or_else(|| Stop::Broken(format!("{tp}: nobody wrote a batch at {base}")))?;
            ensure!(written.bytes == batch.bytes(), "{tp}: other bytes at {base}");
            at = header.next_offset();
        }
        ensure!(at > before, "{tp}: no whole batch at {before}");
    }
    ensure!(at == end, "{tp}: batches end at {at}, the log at {end}");
    Ok(())
}

fn check_producers(tp: &TopicPartition, log: &mut Log, model: &mut Model) -> Result<(), Stop> {
    let start = log.log_start_offset();
    // Never durable, and not in the log any more: where nothing was durable, the first segment may be lost and a later one
    // not. A snapshot may know of what is lost.
    let (before, synced) = (model.batches.len(), model.synced);
    model.batches.retain(|_, written| written.last >= start || written.last < synced);
    model.producers_unsure |= model.batches.len() < before;
    if model.producers_unsure {
        return Ok(());
    }
    let all: BTreeMap<i64, ProducerEntry> =
        log.active_producers()?.into_iter().map(|(id, entry)| (id, entry.clone())).collect();
    for written in model.batches.values().filter(|written| written.producer() >= ONCE) {
        let id = written.producer();
        let last = all.get(&id).and_then(|entry| entry.last_batch()).map(|batch| batch.last_offset);
        ensure!(last == Some(written.last), "{tp}: producer {id} is known by {last:?}, not {}", written.last);
    }
    let Some((base, written)) = model.of(STEADY).next_back() else { return Ok(()) };
    let found = all.get(&STEADY).ok_or_else(|| Stop::Broken(format!("{tp}: the producer is forgotten")))?;
    let last = found.last_batch().map(|batch| (batch.first_offset(), batch.last_sequence));
    let expected = (base, written.sequence + written.count - 1);
    ensure!(last == Some(expected), "{tp}: producer {last:?} not {expected:?}");
    let known: Vec<Offset> = found.batches().iter().map(|batch| batch.first_offset()).collect();
    for (base, _) in model.retriable(start) {
        ensure!(
            known.contains(&base),
            "{tp}: a retry of the batch at {base} would not be known, only {known:?}"
        );
    }
    Ok(())
}

fn check_transactions(tp: &TopicPartition, log: &mut Log, model: &Model) -> Result<(), Stop> {
    if model.producers_unsure {
        return Ok(());
    }
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let (mut expected, open) = model.transactions();
    expected.retain(|&(_, last)| last >= start);
    let found = log.aborted_transactions(start, end)?;
    let found: Vec<_> = found.iter().map(|txn| (txn.first_offset, txn.last_offset)).collect();
    ensure!(found == expected, "{tp}: aborted transactions {found:?} not {expected:?}");
    // All there is counts as replicated, also the markers that a restart has read.
    log.on_high_watermark(end);
    let stable = log.last_stable_offset(end)?;
    ensure!(
        stable == open.map_or(end, |first| first.max(start)),
        "{tp}: stable up to {stable}, open since {open:?}"
    );
    Ok(())
}

#[cfg(test)]
#[path = "storage_test.rs"]
mod tests;
