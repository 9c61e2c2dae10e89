//! The log of one partition: its only writer, its only reader.
//!
//! A plain struct; its owner keeps it behind a short lock. Appends and reads go to the page cache. Whatever
//! waits for the disk is a [`SyncJob`] that the owner runs elsewhere and reports back ([`Log::sync_job`],
//! [`Log::synced`]).
//!
//! # Invariants
//!
//! * `start <= synced <= end` unless the start was moved past what is synced; all below `synced` is durable,
//!   with the names, indexes and epochs that reading it back needs.
//! * State changes after the write that it describes has succeeded. A write that fails is cut off again: the
//!   log is as it was. Out of room is an answer ([`StorageError::Full`]); any other failure takes the log out
//!   of use.
//! * After a failed sync the log and its directory accept nothing more: the kernel has marked the pages
//!   clean, so a second sync would lie (ATC'20, "Can applications recover from fsync failures?").
//! * A log without records has no file and no directory; both come with the first append.
//! * Truncations are synced before they return: they are rare, and a crash must not bring back what a later
//!   append has half overwritten. Segments that retention removes go only when the new log start offset is
//!   durable ([`Log::reap`]), so that no crash leaves a hole.
//!
//! # Rooms
//!
//! One [`Log`], its methods by what they do: `append` (what comes in), `roll` (files that are made for it), `sync` (what
//! becomes durable, and the orderly end), `read` and `lookup` (what goes out), `truncate` (what goes from the end), `trim`
//! (what goes from the front), `producers`. How a log is opened is in [`super::recovery`].

mod append;
mod lookup;
mod producers;
mod read;
mod roll;
mod sync;
mod trim;
mod truncate;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

pub use append::{AppendBy, AppendError, AppendInfo};
pub use lookup::TimestampFound;
pub use read::ReadOutcome;
pub use sync::{SyncDone, SyncJob};

use super::LogConfig;
use super::dir::LogDir;
use super::fault::StorageError;
use super::leader_epochs::LeaderEpochs;
use super::producer_state::ProducerState;
use super::recovery;
use super::segment::BatchAt;
use super::segments::Segments;
use crate::env::File;
use crate::types::{Ms, Offset, TopicId, TopicPartition};

/// Leader epochs in a partition's directory.
pub(super) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";

/// One partition's log. See the module.
pub struct Log {
    pub(super) dir: Arc<LogDir>,
    pub(super) path: Box<Path>,
    pub(super) tp: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) config: Arc<LogConfig>,
    registration: u64,
    /// False until the directory was looked at, which the first use does.
    pub(super) loaded: bool,
    pub(super) has_dir: bool,
    failed: bool,
    in_flight: bool,
    pub(super) dir_dirty: bool,
    parent_dirty: bool,
    /// See [`Log::is_new`].
    is_new: bool,
    pub(super) epochs_dirty: bool,
    /// Whether records came or went since the log was opened.
    changed: bool,
    unsynced_noted: bool,
    data_noted: bool,
    generation: u32,
    pub(super) start: Offset,
    /// What retention wants the start to be, once that is durable. Below the start where it wants nothing.
    next_start: Offset,
    pub(super) synced: Offset,
    pub(super) end: Offset,
    unsynced_since: Ms,
    unsynced_from: Offset,
    pub(super) segments: Segments,
    recent: VecDeque<BatchAt>,
    pub(super) epochs: LeaderEpochs,
    pub(super) producers: ProducerState,
    /// Files besides the segments' that the next sync covers.
    pub(super) also_sync: Vec<Arc<dyn File>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({} {}..{}..{})", self.tp, self.start, self.synced, self.end)
    }
}

macro_rules! files {
    ($log:expr) => {
        Files { disk: &**$log.dir.disk(), dir: &$log.path }
    };
}
pub(super) use files;

impl Log {
    /// A log that is known by its name only: nothing is read before it is used. `start` and `end` are what
    /// checkpoints say; `exists` is true if it has a directory.
    pub(super) fn dormant(
        dir: Arc<LogDir>,
        tp: TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        start: Offset,
        end: Offset,
        exists: bool,
    ) -> Log {
        let path = dir.path().join(tp.to_string()).into_boxed_path();
        let registration = if exists { dir.register(&tp, end, start) } else { 0 };
        Log {
            dir,
            path,
            tp,
            topic_id,
            config,
            registration,
            loaded: !exists,
            has_dir: exists,
            failed: false,
            in_flight: false,
            dir_dirty: false,
            parent_dirty: false,
            is_new: false,
            epochs_dirty: false,
            changed: false,
            unsynced_noted: false,
            data_noted: false,
            generation: 0,
            start,
            next_start: start,
            synced: end,
            end,
            unsynced_since: 0,
            unsynced_from: end,
            segments: Segments::default(),
            recent: VecDeque::new(),
            epochs: LeaderEpochs::new(),
            producers: ProducerState::default(),
            also_sync: Vec::new(),
        }
    }

    /// The partition.
    pub fn partition(&self) -> &TopicPartition {
        &self.tp
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// The directory it is in.
    pub fn log_dir(&self) -> &Arc<LogDir> {
        &self.dir
    }

    /// The settings in use.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Says whose log it is, as its directory says too.
    pub(super) fn set_topic_id(&mut self, topic_id: TopicId) {
        self.topic_id = topic_id;
    }

    /// True from the first write on until it is durable which topic the log belongs to: until then a power loss takes all of
    /// it, so that it should be synced at once, whatever its settings.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Takes new settings into use, from the next append on.
    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        self.config = config;
    }

    /// Offset of the first record that may be read.
    pub fn log_start_offset(&self) -> Offset {
        self.start
    }

    /// Offset behind the last record.
    pub fn log_end_offset(&self) -> Offset {
        self.end
    }

    /// Everything below it is durable.
    pub fn synced_end_offset(&self) -> Offset {
        self.synced
    }

    /// True once a fault took the log or its directory out of use.
    pub fn is_offline(&self) -> bool {
        self.failed || self.dir.is_failed()
    }

    /// Bytes of all segments.
    pub fn size(&mut self) -> Result<u64, StorageError> {
        self.ready()?;
        Ok(self.segments.bytes())
    }

    /// Number of segments; 0 if nothing was ever appended.
    pub fn segment_count(&mut self) -> Result<usize, StorageError> {
        self.ready()?;
        Ok(self.segments.len())
    }

    /// Looks at the directory if that has not happened yet.
    pub(super) fn ready(&mut self) -> Result<(), StorageError> {
        if self.is_offline() {
            return Err(StorageError::Offline { path: self.path.to_path_buf() });
        }
        if self.loaded {
            return Ok(());
        }
        self.load(true)
    }

    /// Looks at the directory; walks the log from its recovery point on unless the last stop was `clean`.
    /// Blocks.
    pub(super) fn load(&mut self, clean: bool) -> Result<(), StorageError> {
        let loaded = recovery::load(self, clean);
        self.after(loaded)?;
        if self.end > self.start && !self.data_noted {
            self.data_noted = true;
            self.dir.note_data(&self.tp);
        }
        self.unsynced_from = self.synced;
        self.dir.note_start(&self.tp, self.registration, self.start);
        let is_clean = self.synced == self.end && !self.is_unsynced();
        self.dir.note_synced(&self.tp, self.registration, self.synced, is_clean);
        if !is_clean {
            // For longer than anybody knows.
            self.note_unsynced(Ms::MIN);
        }
        Ok(())
    }

    fn fail(&mut self, error: &StorageError) {
        if !self.failed {
            tracing::error!(partition = %self.tp, %error, "log is offline");
        }
        self.failed = true;
        self.dir.note_fault(&self.tp);
    }

    /// A fault other than lack of room takes the log out of use.
    fn after<T>(&mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &result
            && !error.is_full()
        {
            self.fail(error);
        }
        self.dir.watch(result)
    }
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
