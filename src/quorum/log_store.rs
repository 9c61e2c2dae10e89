//! The metadata log and the vote, as openraft wants its storage.
//!
//! A vote is on disk before the call returns. Entries are written and synced before openraft hears that they are flushed;
//! proposals that arrive while a sync runs share the next one. After a write or sync that failed every call fails, so
//! that openraft stops and with it the node.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::env::{Clock, Disk, Tasks};
use crate::types::{NodeId, Offset};

use super::log::{MetadataLog, MetadataLogError};
use super::quorum_state;
use super::types::{Entry, LogId, Payload, TypeConfig, Vote, Voter};

/// The storage. Clones share it.
#[derive(Clone)]
pub(super) struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    log: Mutex<MetadataLog>,
    vote: Mutex<VoteState>,
    dir: PathBuf,
    directory_id: Uuid,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    me: NodeId,
}

struct VoteState {
    vote: Option<Vote>,
    /// Voters as the last entry that named them has it; they go into LeaderChange records.
    voters: BTreeMap<NodeId, Voter>,
    /// The newest snapshot: its last entry, and the offset after it.
    snapshot: Option<(LogId, Offset)>,
}

impl LogStore {
    /// Opens the log and the vote in `dir`. Blocks.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        dir: &Path,
        segment_bytes: u64,
        me: NodeId,
        directory_id: Uuid,
    ) -> Result<LogStore, MetadataLogError> {
        let log = MetadataLog::open(disk.clone(), dir, segment_bytes)?;
        let vote = quorum_state::read(&*disk, dir, me)
            .map_err(|source| MetadataLogError::Io { path: dir.join(quorum_state::FILE_NAME), source })?;
        let vote = Mutex::new(VoteState { vote, voters: BTreeMap::new(), snapshot: None });
        let (log, dir) = (Mutex::new(log), dir.to_owned());
        Ok(LogStore { shared: Arc::new(Shared { log, vote, dir, directory_id, disk, clock, tasks, me }) })
    }

    /// Names the voters for control batches to come.
    pub(super) fn set_voters(&self, voters: BTreeMap<NodeId, Voter>) {
        self.shared.vote.lock().voters = voters;
    }

    /// A snapshot up to entry `last`, which ends before `end`, is on disk: the log may be purged that far, also where it
    /// does not reach that far.
    pub(super) fn snapshot_stored(&self, last: LogId, end: Offset) {
        self.shared.vote.lock().snapshot = Some((last, end));
    }

    /// What this node has voted for last.
    pub(super) fn vote(&self) -> Option<Vote> {
        self.shared.vote.lock().vote
    }

    /// The directory that the newest set of voters names for one of them.
    pub(super) fn directory_of(&self, id: NodeId) -> Option<Uuid> {
        let state = self.shared.vote.lock();
        state.voters.get(&id).map(|voter| voter.directory).filter(|directory| !directory.is_nil())
    }

    /// Where the newest set of voters says that one of them listens.
    pub(super) fn place_of(&self, id: NodeId) -> Option<(Arc<str>, u16)> {
        let state = self.shared.vote.lock();
        let (_, host, port) = state.voters.get(&id)?.endpoints.first()?;
        Some((host.as_str().into(), *port))
    }

    /// The newest snapshot on disk: its last entry, and the offset after it.
    pub(super) fn snapshot(&self) -> Option<(LogId, Offset)> {
        self.shared.vote.lock().snapshot
    }

    /// Looks at the log.
    pub(super) fn with_log<R>(&self, look: impl FnOnce(&mut MetadataLog) -> R) -> R {
        look(&mut self.shared.log.lock())
    }

    /// True if nothing was ever voted or written here.
    pub(super) fn is_pristine(&self) -> bool {
        self.shared.vote.lock().vote.is_none() && self.with_log(|log| log.last_log_id()).is_none()
    }

    async fn run<R: Send + 'static>(
        &self,
        call: impl FnOnce(&Shared) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let shared = self.shared.clone();
        let ended = self.shared.tasks.run_blocking(move || call(&shared)).await;
        ended.unwrap_or_else(|| Err(io::Error::other("the node is going down")))
    }
}

/// Bytes of batches that go to a follower at once, unless one entry has more.
const REPLICATED_BYTES: usize = 1 << 20;

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        Ok(self.shared.log.lock().entries(from, to)?)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let log = self.shared.log.lock();
        let end = log.index_within(start, end, REPLICATED_BYTES);
        Ok(log.entries(start, end)?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.vote.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let log = self.shared.log.lock();
        Ok(LogState { last_purged_log_id: log.purged(), last_log_id: log.last_log_id() })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let vote = *vote;
        self.run(move |shared| {
            let written = quorum_state::write(&*shared.disk, &shared.dir, &vote, shared.directory_id);
            match written {
                Ok(()) => shared.vote.lock().vote = Some(vote),
                // What the file says now is not known, so nothing may be built on it.
                Err(_) => shared.log.lock().fail(),
            }
            written
        })
        .await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let flushed = self
            .run(move |shared| {
                let (leader, voters) = {
                    let mut state = shared.vote.lock();
                    for entry in &entries {
                        if let Payload::Membership(membership) = &entry.payload.content {
                            state.voters =
                                membership.nodes().map(|(id, voter)| (id.0, voter.clone())).collect();
                        }
                    }
                    (state.vote.map_or(shared.me, |v| v.leader_id.voted_for.0), state.voters.clone())
                };
                let now = shared.clock.now();
                let file = {
                    let mut log = shared.log.lock();
                    log.append(entries, now, leader, &voters)?;
                    log.file_to_sync()
                };
                if let Some(file) = file
                    && let Err(e) = file.sync()
                {
                    shared.log.lock().fail();
                    return Err(e);
                }
                Ok(())
            })
            .await;
        match flushed {
            Ok(()) => {
                callback.io_completed(Ok(()));
                Ok(())
            }
            Err(e) => {
                callback.io_completed(Err(io::Error::new(e.kind(), e.to_string())));
                Err(e)
            }
        }
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        self.run(move |shared| Ok(shared.log.lock().truncate_after(last_log_id)?)).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.run(move |shared| {
            let snapshot = shared.vote.lock().snapshot;
            let end = snapshot.filter(|(last, _)| *last == log_id).map(|(_, end)| end);
            Ok(shared.log.lock().purge(log_id, end)?)
        })
        .await
    }
}

#[cfg(test)]
#[path = "log_store_test.rs"]
mod tests;
