//! All logs of this broker: the log directories, what is found in them, who gets a new log, deletion,
//! checkpoints.
//!
//! The manager hands logs out and keeps none but those that recovery has opened and nobody has asked for yet.
//! Whoever owns a [`Log`] calls [`Manager::tick`] now and then and does what it says is due; the cost of a
//! tick follows the logs that were written to, not those that exist.
//!
//! # Directories
//!
//! * `topic-partition`: a log. `topic-partition.<uuid>-delete`: removed when it is found. `….<uuid>-future`:
//!   a log on its way to this directory; listed, not opened. `….<uuid>-stray`: set aside, because no topic has it
//!   any more ([`Manager::set_strays_aside`]); left alone until the operator removes it. `__cluster_metadata-0` is not
//!   the manager's. Anything else is left alone with a warning.
//! * A log belongs to the topic whose id is in its `partition.metadata`, and to no other of that name. The id is durable before
//!   any record in it counts as durable, so a log without one has lost it, or has nothing that anybody was promised to keep: it
//!   is nobody's and is set aside, or removed if it holds no record.
//! * A directory that fails is offline with all logs in it until the node starts again; the others go on.
//! * The mark of an orderly stop is taken away, durably, before anything else is done.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

use super::checkpoint::{self, Offsets};
use super::dir::LogDir;
use super::fault::{At, StorageError};
use super::log::Log;
use super::{LogConfig, recovery};
use crate::env::{Disk, Tasks};
use crate::types::{BrokerEpoch, Ms, Offset, PartitionIndex, TopicId, TopicPartition};

/// The metadata log's directory, which belongs to the quorum.
const METADATA_LOG: &str = "__cluster_metadata-0";
/// Longest file name.
const NAME_BYTES_MAX: usize = 255;

/// How often recovery points are written down, at most. Until one is on disk, damage to what was synced since the one
/// before passes for a write that power loss cut off.
const POINTS_INTERVAL_MS: Ms = 1000;

/// Gives the settings of a topic, as far as they are known yet.
pub type ConfigOf = Arc<dyn Fn(&str) -> Arc<LogConfig> + Send + Sync>;

/// Intervals of the manager's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ManagerConfig {
    /// `log.flush.offset.checkpoint.interval.ms`: recovery points are written at least this often, and more often
    /// where that is cheap. A log that has been dirty for longer is synced, which bounds what recovery has to read.
    pub checkpoint_interval_ms: Ms,
    /// `log.retention.check.interval.ms`.
    pub retention_interval_ms: Ms,
    /// `log.initial.task.delay.ms`: after the start, retention waits as long.
    pub initial_delay_ms: Ms,
    /// Logs for which all recovery points are written every second: the file holds every log of its directory, some 40
    /// bytes each. With more logs it is written that much less often, and between, every second, those that have moved.
    pub points_per_second: i64,
    /// Up to so many logs of a directory are synced one by one when the node stops; one sync of the whole file system
    /// costs as much as some dozens of those.
    pub synced_one_by_one_max: usize,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        ManagerConfig {
            checkpoint_interval_ms: 60_000,
            retention_interval_ms: 300_000,
            initial_delay_ms: 30_000,
            points_per_second: 1000,
            synced_one_by_one_max: 64,
        }
    }
}

/// What the owner of the logs has to do now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Due {
    /// To sync: [`Log::sync_job`], and [`Log::write_out_indexes`] with it.
    pub sync: Vec<TopicPartition>,
    /// To look at for `flush.messages` and `flush.ms`: [`Log::sync_due`].
    pub unsynced: Vec<TopicPartition>,
    /// To look at for retention: [`Log::delete_old_segments`].
    pub retention: Vec<TopicPartition>,
    /// To move the start of, and remove files of: [`Log::reap`].
    pub reap: Vec<TopicPartition>,
}

/// A log whose name was taken away, to be deleted.
pub struct Retired {
    dir: Arc<LogDir>,
    path: PathBuf,
    delay_ms: Ms,
}

/// A log that was found at the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which partition, by its directory's name.
    pub partition: TopicPartition,
    /// The log directory it is in.
    pub dir: PathBuf,
}

/// How far recovery has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryProgress {
    /// Logs that are done.
    pub done: u64,
    /// Logs in all.
    pub total: u64,
}

#[derive(Clone)]
struct Entry {
    dir: Arc<LogDir>,
    clean: bool,
    recovery_point: Offset,
    start: Option<Offset>,
}

#[derive(Default)]
struct State {
    /// Logs on disk that nobody has asked for.
    found: BTreeMap<TopicPartition, Entry>,
    /// Logs in other log directories that have the name of one that was found, and another topic's id: one of the topics
    /// is gone.
    namesakes: Vec<(TopicPartition, TopicId, Entry)>,
    /// Of those found, the ones that recovery has opened, or what it failed with.
    recovered: BTreeMap<TopicPartition, Result<Log, StorageError>>,
    futures: Vec<PathBuf>,
    last_points: Ms,
    last_recent: Ms,
    next_retention: Ms,
}

/// See the module.
pub struct Manager {
    config: ManagerConfig,
    dirs: Vec<Arc<LogDir>>,
    /// Directories that could not be used from the start, and why.
    unusable: Vec<(PathBuf, StorageError)>,
    clean_epoch: Option<BrokerEpoch>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Manager({:?})", self.dirs)
    }
}

impl Manager {
    /// Locks the log directories and looks at what they hold; opens no log. A directory that cannot be read
    /// is left out; an error means that none is left, that one is locked by another process, or that two hold
    /// the same partition. Blocks.
    pub fn open(
        disk: Arc<dyn Disk>,
        paths: &[PathBuf],
        config: ManagerConfig,
        now: Ms,
    ) -> Result<Manager, StorageError> {
        let mut manager = Manager {
            config,
            dirs: Vec::new(),
            unusable: Vec::new(),
            clean_epoch: Some(-1),
            state: Mutex::default(),
        };
        let mut state = State {
            last_points: now,
            last_recent: now,
            next_retention: now.saturating_add(config.initial_delay_ms),
            ..State::default()
        };
        for path in paths {
            match manager.open_dir(disk.clone(), path, &mut state) {
                Ok(()) => {}
                Err(error @ (StorageError::Locked { .. } | StorageError::Corrupt { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(dir = %path.display(), %error, "log directory cannot be used");
                    manager.unusable.push((path.clone(), error));
                }
            }
        }
        manager.state = Mutex::new(state);
        if manager.dirs.is_empty() {
            return Err(match manager.unusable.pop() {
                Some((_, error)) => error,
                None => StorageError::Offline { path: PathBuf::new() },
            });
        }
        Ok(manager)
    }

    fn open_dir(&mut self, disk: Arc<dyn Disk>, path: &Path, state: &mut State) -> Result<(), StorageError> {
        let dir = Arc::new(LogDir::lock(disk.clone(), path.to_owned())?);
        let clean = checkpoint::read_clean_shutdown(&*disk, path)?;
        // The broker epoch counts only if every directory agrees.
        self.clean_epoch = match (self.clean_epoch, clean) {
            (Some(-1), epoch) => epoch,
            (Some(all), Some(epoch)) if all == epoch => Some(all),
            _ => None,
        };
        if clean.is_some() {
            let mark = path.join(checkpoint::CLEAN_SHUTDOWN);
            disk.remove_file(&mark).at(&mark)?;
            disk.sync_dir(path).at(path)?;
        }
        let read = |name: &str| match checkpoint::read_offsets(&*disk, &path.join(name)) {
            Ok(offsets) => Ok(Some(offsets)),
            Err(StorageError::Corrupt { why, .. }) => {
                tracing::warn!(file = %path.join(name).display(), why, "checkpoint is not used");
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let points = read(checkpoint::RECOVERY_POINT)?;
        let starts = read(checkpoint::LOG_START)?.unwrap_or_default();
        let clean = clean.is_some() && points.is_some();
        let mut points = points.unwrap_or_default();
        match checkpoint::read_recent_points(&*disk, path) {
            Ok(recent) => points.extend(recent),
            Err(StorageError::Corrupt { path, why, .. }) => {
                tracing::warn!(file = %path.display(), why, "checkpoint is not used");
            }
            Err(error) => return Err(error),
        }
        for entry in disk.list(path).at(path)? {
            if entry.is_dir {
                self.take_in(&dir, &entry.name, clean, &points, &starts, state)?;
            }
        }
        for tp in points.keys().chain(starts.keys()) {
            if !state.found.get(tp).is_some_and(|entry| Arc::ptr_eq(&entry.dir, &dir)) {
                dir.note_stale(tp);
            }
        }
        self.dirs.push(dir);
        Ok(())
    }

    fn take_in(
        &self,
        dir: &Arc<LogDir>,
        name: &str,
        clean: bool,
        points: &Offsets,
        starts: &Offsets,
        state: &mut State,
    ) -> Result<(), StorageError> {
        let path = dir.path().join(name);
        match classify(name) {
            DirKind::Metadata => {}
            DirKind::Delete => dir.doom(Ms::MIN, path),
            DirKind::Future => state.futures.push(path),
            DirKind::Stray => tracing::warn!(dir = %path.display(), "leaving a stray log alone"),
            DirKind::Unknown => tracing::warn!(dir = %path.display(), "leaving an unknown directory alone"),
            DirKind::Log(tp) => {
                let point = points.get(&tp).copied();
                let start = starts.get(&tp).copied();
                if let Some(start) = start {
                    dir.note_found(&tp, point.unwrap_or(0), start);
                }
                dir.count_log();
                let entry = Entry {
                    dir: dir.clone(),
                    // A log that the checkpoint does not know was not there when it was written.
                    clean: clean && point.is_some(),
                    recovery_point: point.unwrap_or(0),
                    start,
                };
                let Some(other) = state.found.get(&tp) else {
                    state.found.insert(tp, entry);
                    return Ok(());
                };
                let id_in = |path: &Path| checkpoint::read_partition_metadata(&**dir.disk(), path);
                let other_path = other.dir.path().join(name);
                match (id_in(&path)?, id_in(&other_path)?) {
                    (Some(id), Some(other_id)) if id == other_id => {
                        let why = format!("{tp} is in {} too", other.dir.path().display());
                        return Err(StorageError::Corrupt { path, position: 0, why });
                    }
                    // One without an id is of no topic.
                    (id, other_id) => {
                        let (id, other_id) = (id.unwrap_or(TopicId::NIL), other_id.unwrap_or(TopicId::NIL));
                        let (here, there) = (path.display(), other_path.display());
                        tracing::warn!("{here} and {there} are of topics of one name, {id} and {other_id}");
                        state.namesakes.push((tp, id, entry));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn config(&self) -> &ManagerConfig {
        &self.config
    }

    /// The broker epoch of the last run, if every directory was stopped in order; -1 if that did not say.
    pub fn clean_shutdown_epoch(&self) -> Option<BrokerEpoch> {
        self.clean_epoch
    }

    /// The log directories in use, in the order of the configuration. Some may have failed since.
    pub fn dirs(&self) -> &[Arc<LogDir>] {
        &self.dirs
    }

    /// The directories that could not be used from the start, and why.
    pub fn unusable(&self) -> &[(PathBuf, StorageError)] {
        &self.unusable
    }

    /// Why the log of `tp` may be where nothing can be read, if no directory in use was found to have it.
    pub fn may_be_out_of_reach(&self, tp: &TopicPartition) -> Option<&StorageError> {
        let (_, fault) = self.unusable.first()?;
        (!self.state.lock().found.contains_key(tp)).then_some(fault)
    }

    /// Logs that are on disk and that nobody has asked for.
    pub fn found(&self) -> Vec<Found> {
        let state = self.state.lock();
        let found = |(tp, entry): (&TopicPartition, &Entry)| Found {
            partition: tp.clone(),
            dir: entry.dir.path().to_owned(),
        };
        state.found.iter().map(found).collect()
    }

    /// Directories of logs that were on their way to another log directory when the broker stopped.
    pub fn futures(&self) -> Vec<PathBuf> {
        self.state.lock().futures.clone()
    }

    /// True if there are logs that [`Manager::recover`] must open.
    pub fn needs_recovery(&self) -> bool {
        let state = self.state.lock();
        state.found.iter().any(|(tp, entry)| !entry.clean && !state.recovered.contains_key(tp))
    }

    /// Opens every log that was not stopped in order, `threads_per_dir` at a time in each log directory
    /// (`num.recovery.threads.per.data.dir`). `config_of` gives the settings of a topic, as far as they are
    /// known yet. `progress` hears of every log that is done.
    pub async fn recover(
        self: &Arc<Self>,
        tasks: &Tasks,
        threads_per_dir: usize,
        config_of: ConfigOf,
        progress: Arc<dyn Fn(RecoveryProgress) + Send + Sync>,
    ) {
        let queues = self.recovery_queues();
        let total: u64 = queues.iter().map(|queue| queue.len() as u64).sum();
        let done = Arc::new(AtomicU64::new(0));
        let mut workers = Vec::new();
        for (dir, queue) in self.dirs.iter().zip(queues) {
            if queue.len() > threads_per_dir {
                self.begin_writing_out(tasks, dir);
            }
            let threads = threads_per_dir.clamp(1, queue.len().max(1));
            let queue = Arc::new(Mutex::new(queue));
            for _ in 0..threads {
                let (manager, queue, done) = (self.clone(), queue.clone(), done.clone());
                let (config_of, progress) = (config_of.clone(), progress.clone());
                let blocking = tasks.clone();
                workers.push(tasks.spawn("log-recovery", async move {
                    let work = move || loop {
                        let Some(tp) = queue.lock().pop_front() else { return };
                        manager.recover_one(&tp, config_of(&tp.topic));
                        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                        tracing::info!(partition = %tp, done, total, "recovered log");
                        progress(RecoveryProgress { done, total });
                    };
                    // A node that dies meanwhile needs no answer.
                    let _ = blocking.run_blocking(work).await;
                }));
            }
        }
        for worker in workers {
            // Ends early only with the node.
            let _ = worker.await;
        }
    }

    /// Has the system write out in the background what the last run left in its memory. Each log is synced soon after
    /// it was opened; reading takes the processor and that takes the disk, and neither should wait for the other log by log.
    fn begin_writing_out(&self, tasks: &Tasks, dir: &Arc<LogDir>) {
        let (dir, blocking) = (dir.clone(), tasks.clone());
        tasks.spawn("log-write-out", async move {
            // The logs' own syncs say what is durable. This only spares them the wait.
            let _ = blocking.run_blocking(move || dir.disk().sync_all(dir.path())).await;
        });
    }

    /// [`Manager::recover`] in the calling thread. Blocks.
    pub fn recover_here(&self, config_of: impl Fn(&str) -> Arc<LogConfig>) {
        for tp in self.recovery_queues().into_iter().flatten() {
            self.recover_one(&tp, config_of(&tp.topic));
        }
    }

    fn recovery_queues(&self) -> Vec<VecDeque<TopicPartition>> {
        let state = self.state.lock();
        let of = |dir: &Arc<LogDir>| {
            let todo = |(tp, entry): &(&TopicPartition, &Entry)| {
                Arc::ptr_eq(&entry.dir, dir) && !entry.clean && !state.recovered.contains_key(*tp)
            };
            state.found.iter().filter(todo).map(|(tp, _)| tp.clone()).collect()
        };
        self.dirs.iter().map(of).collect()
    }

    fn recover_one(&self, tp: &TopicPartition, config: Arc<LogConfig>) {
        let Some(entry) = self.state.lock().found.get(tp).cloned() else { return };
        let path = entry.dir.path().join(tp.to_string());
        if let Ok(None) = checkpoint::read_partition_metadata(&**entry.dir.disk(), &path) {
            // Nobody will have it. What is in it stays as it is.
            return;
        }
        let opened = open_log(tp, &entry, TopicId::NIL, config);
        self.state.lock().recovered.insert(tp.clone(), opened);
    }

    /// The log of a partition, to be owned by the caller: the one on disk, or a new one in the directory with
    /// the fewest logs (or in `preferred`). A log that must be recovered first and was not is recovered here,
    /// which blocks.
    ///
    /// [`StorageError::TopicId`] says that the directory belongs to another topic of that name, or that its topic id is lost;
    /// [`Manager::set_aside`] makes room.
    pub fn log(
        &self,
        tp: &TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        preferred: Option<&Path>,
    ) -> Result<Log, StorageError> {
        let Some(entry) = self.state.lock().found.get(tp).cloned() else {
            let dir = self.choose(preferred)?;
            dir.count_log();
            return Ok(Log::dormant(dir, tp.clone(), topic_id, config, 0, 0, false));
        };
        if entry.dir.is_failed() {
            return Err(entry.dir.offline());
        }
        let path = entry.dir.path().join(tp.to_string());
        let on_disk = entry.dir.watch(checkpoint::read_partition_metadata(&**entry.dir.disk(), &path))?;
        let found = on_disk.unwrap_or(TopicId::NIL);
        if found != topic_id {
            if self.take_namesake(tp, found, topic_id) {
                return self.log(tp, topic_id, config, preferred);
            }
            return Err(StorageError::TopicId { path, found, expected: topic_id });
        }
        let recovered = self.state.lock().recovered.remove(tp);
        let mut log = match recovered {
            Some(log) => log?,
            None => open_log(tp, &entry, topic_id, config.clone())?,
        };
        log.set_config(config);
        log.set_topic_id(topic_id);
        self.state.lock().found.remove(tp);
        Ok(log)
    }

    /// Lets the log of this name that has the topic id `wanted` take the place of the one found, which has `found`. False
    /// if there is none.
    fn take_namesake(&self, tp: &TopicPartition, found: TopicId, wanted: TopicId) -> bool {
        let mut state = self.state.lock();
        let Some(at) = state.namesakes.iter().position(|(name, id, _)| name == tp && *id == wanted) else {
            return false;
        };
        let (_, _, namesake) = state.namesakes.swap_remove(at);
        state.recovered.remove(tp);
        if let Some(other) = state.found.insert(tp.clone(), namesake) {
            state.namesakes.push((tp.clone(), found, other));
        }
        true
    }

    fn choose(&self, preferred: Option<&Path>) -> Result<Arc<LogDir>, StorageError> {
        let usable = || self.dirs.iter().filter(|dir| !dir.is_failed());
        let wanted = preferred.and_then(|path| usable().find(|dir| dir.path() == path));
        let chosen = wanted.or_else(|| usable().min_by_key(|dir| dir.partitions()));
        chosen.cloned().ok_or_else(|| match self.dirs.first() {
            Some(dir) => dir.offline(),
            None => StorageError::Offline { path: PathBuf::new() },
        })
    }

    /// Takes a log's name away from it, so that a new topic of that name finds nothing there. Only [`Manager::delete`]
    /// makes that durable; until then a power loss may bring the name back, and the topic id in the directory tells whose
    /// it is. `unique` makes the new name unique. `None` if there is nothing to delete.
    pub fn retire(&self, log: Log, unique: Uuid) -> Result<Option<Retired>, StorageError> {
        let (dir, tp, delay_ms) =
            (log.log_dir().clone(), log.partition().clone(), log.config().file_delete_delay_ms);
        let has_dir = log.has_dir;
        drop(log);
        dir.unregister(&tp);
        dir.discount_log();
        if !has_dir || dir.is_failed() {
            return Ok(None);
        }
        let path = rename_dir(&dir, &tp, unique, "delete")?;
        Ok(Some(Retired { dir, path, delay_ms }))
    }

    /// Deletes logs that were retired: their directories are removed `file.delete.delay.ms` from now
    /// ([`Manager::tick`]). Blocks for one sync of each log directory.
    pub fn delete(&self, retired: Vec<Retired>, now: Ms) -> Result<(), StorageError> {
        let mut synced: Vec<Arc<LogDir>> = Vec::new();
        for log in retired {
            if !synced.iter().any(|dir| Arc::ptr_eq(dir, &log.dir)) {
                sync_names(&log.dir)?;
                synced.push(Arc::clone(&log.dir));
            }
            log.dir.doom(now.saturating_add(log.delay_ms), log.path);
        }
        Ok(())
    }

    /// Gives the directory of a log that nobody has asked for a name with `-stray`: its topic is gone, or
    /// another topic has its name. Its bytes stay for the operator. One that has neither a topic id nor a record was being
    /// made when the power went, and is removed. Blocks.
    pub fn set_aside(&self, tp: &TopicPartition, unique: Uuid) -> Result<(), StorageError> {
        match self.rename_to_stray(tp, unique)? {
            Some((dir, to)) => {
                let (from, to) = (dir.path().join(tp.to_string()), to.display());
                tracing::warn!(
                    "log in {} is of another topic, or of none, and renamed to {to}",
                    from.display()
                );
                sync_names(&dir)
            }
            None => Ok(()),
        }
    }

    /// Sets aside every log that nobody has asked for and that is not `wanted`, by its name and by the topic id in its
    /// directory, if that has one. What fails is left for the next start. Gives back how many were set aside.
    ///
    /// To be called once it is known which logs this broker should have, and while nobody asks for logs. Blocks.
    pub fn set_strays_aside(
        &self,
        wanted: impl Fn(&TopicPartition, Option<TopicId>) -> bool,
        mut unique: impl FnMut() -> Uuid,
    ) -> usize {
        let found: Vec<(TopicPartition, Arc<LogDir>)> =
            self.state.lock().found.iter().map(|(tp, entry)| (tp.clone(), entry.dir.clone())).collect();
        let mut renamed: Vec<Arc<LogDir>> = Vec::new();
        let mut count = 0;
        for (tp, dir) in found.into_iter().filter(|(_, dir)| !dir.is_failed()) {
            let path = dir.path().join(tp.to_string());
            let outcome = dir
                .watch(checkpoint::read_partition_metadata(&**dir.disk(), &path))
                .map(|id| (id, wanted(&tp, id)))
                .and_then(|(id, wanted)| match wanted {
                    true => Ok(None),
                    false => Ok(self.rename_to_stray(&tp, unique())?.map(|(_, to)| (id, to))),
                });
            match outcome {
                Ok(None) => {}
                Ok(Some((id, to))) => {
                    let (from, to, id) = (path.display(), to.display(), id.unwrap_or(TopicId::NIL));
                    tracing::warn!("log in {from} is of no topic here (id {id}) and renamed to {to}");
                    count += 1;
                    if !renamed.iter().any(|other| Arc::ptr_eq(other, &dir)) {
                        renamed.push(dir);
                    }
                }
                Err(error) => tracing::error!("log in {} cannot be set aside: {error}", path.display()),
            }
        }
        let namesakes = std::mem::take(&mut self.state.lock().namesakes);
        for (tp, id, entry) in namesakes {
            if entry.dir.is_failed() || wanted(&tp, (id != TopicId::NIL).then_some(id)) {
                self.state.lock().namesakes.push((tp, id, entry));
                continue;
            }
            match take_name(&entry, &tp, unique()) {
                Ok(to) => {
                    let (from, to) = (entry.dir.path().join(tp.to_string()), to.display());
                    tracing::warn!(
                        "log in {} is of no topic here (id {id}) and renamed to {to}",
                        from.display()
                    );
                    count += 1;
                    if !renamed.iter().any(|other| Arc::ptr_eq(other, &entry.dir)) {
                        renamed.push(entry.dir);
                    }
                }
                Err(error) => tracing::error!("{tp} of topic {id} cannot be set aside: {error}"),
            }
        }
        for dir in renamed {
            // A failure has taken the directory offline and said so; without the sync, the next start does it again.
            let _ = sync_names(&dir);
        }
        count
    }

    /// Takes the name of a log that nobody has asked for, which the caller makes durable. Gives back the directory it is
    /// in and its new path; `None` if there is no such log.
    fn rename_to_stray(
        &self,
        tp: &TopicPartition,
        unique: Uuid,
    ) -> Result<Option<(Arc<LogDir>, PathBuf)>, StorageError> {
        let entry = {
            let mut state = self.state.lock();
            state.recovered.remove(tp);
            state.found.remove(tp)
        };
        let Some(entry) = entry else { return Ok(None) };
        let to = take_name(&entry, tp, unique)?;
        Ok(Some((entry.dir, to)))
    }

    /// Does what is due in the directories (checkpoints, removal of files) and says what is due in logs. To
    /// be called every second or so, where blocking is fine.
    pub fn tick(&self, now: Ms) -> Due {
        let mut due = Due::default();
        let logs: usize = self.dirs.iter().map(|dir| dir.partitions()).sum();
        let points_interval_ms = points_interval_ms(logs, self.config.points_per_second);
        let points_interval_ms = self.config.checkpoint_interval_ms.min(points_interval_ms);
        let (points, recent, retention) = {
            let mut state = self.state.lock();
            let points = now.saturating_sub(state.last_points) >= points_interval_ms;
            if points {
                state.last_points = now;
            }
            let recent = now.saturating_sub(state.last_recent) >= POINTS_INTERVAL_MS;
            if recent {
                state.last_recent = now;
            }
            let retention = now >= state.next_retention;
            if retention {
                state.next_retention = now.saturating_add(self.config.retention_interval_ms);
            }
            (points, recent, retention)
        };
        for dir in self.dirs.iter().filter(|dir| !dir.is_failed()) {
            for (tp, since) in dir.unsynced() {
                let old = now.saturating_sub(since) >= self.config.checkpoint_interval_ms;
                if old { due.sync.push(tp) } else { due.unsynced.push(tp) }
            }
            if retention {
                due.retention.extend(dir.with_data());
            }
            // A failure has taken the directory offline and said so.
            let _ = dir.remove_doomed(now);
            if points {
                let _ = dir.write_recovery_points();
            } else if recent {
                let _ = dir.write_recent_points();
            }
        }
        due.reap = self.settle_starts();
        due
    }

    /// Writes the log start offsets that have moved, durably, and says which logs can act on it: [`Log::reap`]. For
    /// after retention; [`Manager::tick`] does it too. Blocks.
    pub fn settle_starts(&self) -> Vec<TopicPartition> {
        let mut settled = Vec::new();
        for dir in self.dirs.iter().filter(|dir| !dir.is_failed()) {
            if dir.starts_moved() {
                // A failure has taken the directory offline and said so.
                let _ = dir.write_starts();
            }
            settled.extend(dir.take_reapable());
        }
        settled
    }

    /// Ends an orderly stop. Every log was closed ([`Log::close`]) before. Blocks.
    pub fn close(&self, broker_epoch: BrokerEpoch) -> Result<(), StorageError> {
        let mut outcome = Ok(());
        for dir in self.dirs.iter().filter(|dir| !dir.is_failed()) {
            if let Err(error) = dir.close(broker_epoch) {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// The high watermarks that were noted last, of all directories.
    pub fn read_high_watermarks(&self) -> Offsets {
        let mut all = Offsets::new();
        for dir in self.dirs.iter().filter(|dir| !dir.is_failed()) {
            let path = dir.path().join(checkpoint::HIGH_WATERMARK);
            match checkpoint::read_offsets(&**dir.disk(), &path) {
                Ok(offsets) => all.extend(offsets),
                Err(error) => tracing::warn!(%error, "high watermarks are not known"),
            }
        }
        all
    }

    /// Notes the high watermarks of the logs in `dir`. Blocks.
    pub fn write_high_watermarks(&self, dir: &LogDir, offsets: &Offsets) -> Result<(), StorageError> {
        if dir.is_failed() {
            return Err(dir.offline());
        }
        let path = dir.path().join(checkpoint::HIGH_WATERMARK);
        let lines = offsets.iter().map(|(tp, &offset)| (tp, offset));
        dir.watch(checkpoint::write_offsets(&**dir.disk(), &path, lines)).map(|_content| ())
    }
}

/// How often all recovery points are written with so many logs.
fn points_interval_ms(logs: usize, per_second: i64) -> Ms {
    let logs = i64::try_from(logs).unwrap_or(i64::MAX);
    (logs.saturating_mul(1000) / per_second.max(1)).max(POINTS_INTERVAL_MS)
}

fn open_log(
    tp: &TopicPartition,
    entry: &Entry,
    topic_id: TopicId,
    config: Arc<LogConfig>,
) -> Result<Log, StorageError> {
    let (start, point) = (entry.start.unwrap_or(0), entry.recovery_point);
    let mut log = Log::dormant(entry.dir.clone(), tp.clone(), topic_id, config, start, point, true);
    if !entry.clean {
        log.load(false)?;
    } else if entry.start.is_none() {
        // Kafka wrote this checkpoint, or the log is older than it: the first segment says where the log
        // begins.
        let first = recovery::first_base(&log)?;
        log.start = first.unwrap_or(0);
    }
    Ok(log)
}

/// Gives the directory of a log that nobody uses a name with `-stray`, or has it removed if nothing was ever in it.
fn take_name(entry: &Entry, tp: &TopicPartition, unique: Uuid) -> Result<PathBuf, StorageError> {
    let dir = &entry.dir;
    let is_unmade = dir.watch(is_unmade(&**dir.disk(), &dir.path().join(tp.to_string())))?;
    dir.unregister(tp);
    dir.discount_log();
    let path = rename_dir(dir, tp, unique, if is_unmade { "delete" } else { "stray" })?;
    if is_unmade {
        dir.doom(Ms::MIN, path.clone());
    }
    Ok(path)
}

/// True if the directory of a log has neither a topic id nor a record.
fn is_unmade(disk: &dyn Disk, path: &Path) -> Result<bool, StorageError> {
    if checkpoint::read_partition_metadata(disk, path)?.is_some() {
        return Ok(false);
    }
    for entry in disk.list(path).at(path)? {
        let file = path.join(&entry.name);
        if recovery::is_of_records(&entry.name) && disk.metadata(&file).at(&file)?.len > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn rename_dir(
    dir: &LogDir,
    tp: &TopicPartition,
    unique: Uuid,
    suffix: &str,
) -> Result<PathBuf, StorageError> {
    let rest = format!("-{}.{}-{suffix}", tp.partition, unique.simple());
    let room = NAME_BYTES_MAX.saturating_sub(rest.len());
    let topic: String = tp.topic.chars().take(room).collect();
    let (from, to) = (dir.path().join(tp.to_string()), dir.path().join(format!("{topic}{rest}")));
    let renamed = dir.disk().rename(&from, &to).at(&from);
    dir.watch(renamed)?;
    Ok(to)
}

fn sync_names(dir: &LogDir) -> Result<(), StorageError> {
    dir.watch(dir.disk().sync_dir(dir.path()).at(dir.path()))
}

#[derive(PartialEq, Eq, Debug)]
enum DirKind {
    Log(TopicPartition),
    Delete,
    Future,
    Stray,
    Metadata,
    Unknown,
}

fn classify(name: &str) -> DirKind {
    if name == METADATA_LOG {
        return DirKind::Metadata;
    }
    for (suffix, kind) in
        [("-delete", DirKind::Delete), ("-future", DirKind::Future), ("-stray", DirKind::Stray)]
    {
        if let Some(inner) = name.strip_suffix(suffix)
            && let Some((log, unique)) = inner.rsplit_once('.')
            && unique.len() == 32
            && unique.bytes().all(|b| b.is_ascii_hexdigit())
            && parse(log).is_some()
        {
            return kind;
        }
    }
    parse(name).map_or(DirKind::Unknown, DirKind::Log)
}

fn parse(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let index: PartitionIndex = partition.parse().ok()?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let canonical = index >= 0 && index.to_string() == partition;
    (!topic.is_empty() && topic.bytes().all(legal) && canonical).then(|| TopicPartition::new(topic, index))
}

#[cfg(test)]
#[path = "manager_test.rs"]
mod tests;
