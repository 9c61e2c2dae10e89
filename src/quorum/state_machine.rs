//! Applies committed entries to the image, publishes what comes of it, and keeps snapshots.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::Stream;
use openraft::OptionalSend;
use openraft::RaftSnapshotBuilder;
use openraft::storage::{EntryResponder, RaftStateMachine};
use parking_lot::Mutex;

use crate::env::{Clock, Disk, Tasks};
use crate::types::LeaderEpoch;

use super::applier::Applier;
use super::log_store::LogStore;
use super::publish::Publisher;
use super::snapshot::{self, Content, SnapshotId};
use super::types::{Applied, Entry, LogId, Membership, Payload, StoredMembership, TypeConfig, term_of};

pub(super) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
pub(super) type Snapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotHandle>;

/// A snapshot in memory: an image and its voters.
#[derive(Clone, Debug)]
pub(super) struct SnapshotHandle(pub(super) Content);

/// What applying and building snapshots share.
struct Shared {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    dir: PathBuf,
    log: LogStore,
    current: Mutex<Option<(SnapshotMeta, SnapshotHandle)>>,
    bytes_since_snapshot: AtomicU64,
}

/// The state machine.
pub(super) struct StateMachine {
    shared: Arc<Shared>,
    applier: Applier,
    applied: Option<LogId>,
    membership: StoredMembership,
}

/// Says how many bytes of records were applied since the last snapshot.
#[derive(Clone)]
pub(super) struct SnapshotPressure(Arc<Shared>);

impl SnapshotPressure {
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes_since_snapshot.load(Ordering::Relaxed)
    }
}

impl StateMachine {
    /// Loads the newest snapshot, if there is one. `configured` are the voters of the configuration, for a log that names
    /// none. Blocks.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        dir: PathBuf,
        log: LogStore,
        publisher: Publisher,
        configured: Option<Membership>,
    ) -> io::Result<StateMachine> {
        let newest = log.with_log(|log| snapshot::newest_that_meets(&*disk, &dir, log))?;
        let mut machine = StateMachine {
            shared: Arc::new(Shared {
                disk,
                clock,
                tasks,
                dir,
                log,
                current: Mutex::new(None),
                bytes_since_snapshot: AtomicU64::new(0),
            }),
            applier: Applier::new(publisher),
            applied: None,
            membership: StoredMembership::new(None, configured.unwrap_or_default()),
        };
        match newest {
            Some(id) => machine.load(id)?,
            None => {
                let start = machine.shared.log.with_log(|log| log.start_offset());
                if start > 0 {
                    let why = format!(
                        "the metadata log begins at offset {start} and no snapshot holds what was before"
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
        }
        Ok(machine)
    }

    fn load(&mut self, id: SnapshotId) -> io::Result<()> {
        let content = snapshot::read(&*self.shared.disk, &self.shared.dir, id)?;
        let last = self.shared.log.with_log(|log| match log.entry_before(id.end) {
            Some(last) => Ok(Some(last)),
            None if id.end == 0 => Ok(None),
            None => Err((log.start_offset(), log.end_offset())),
        });
        let last = last.map_err(|(start, end)| {
            let why = format!(
                "the snapshot {} does not meet the metadata log, which has offsets from {start} to {end}",
                id.path(&self.shared.dir).display()
            );
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?;
        if let Some(membership) = &content.membership {
            self.membership = StoredMembership::new(last, membership.clone());
        }
        if let Some(last) = last {
            self.shared.log.snapshot_stored(last, id.end);
        }
        let meta = SnapshotMeta { last_log_id: last, last_membership: self.membership.clone() };
        self.applied = last;
        self.applier.install(content.image.clone());
        *self.shared.current.lock() = Some((meta, SnapshotHandle(content)));
        Ok(())
    }

    /// How much was written since the last snapshot.
    pub(super) fn pressure(&self) -> SnapshotPressure {
        SnapshotPressure(self.shared.clone())
    }

    /// True if the log or a snapshot or the configuration says who the voters are.
    pub(super) fn has_voters(&self) -> bool {
        self.membership.voter_ids().next().is_some()
    }

    /// A new leader names the voters in its first record.
    fn tell_voters(&self) {
        let membership = self.membership.membership();
        let voters = membership.voter_ids().filter_map(|id| Some((id.0, membership.get_node(&id)?.clone())));
        self.shared.log.set_voters(voters.collect());
    }

    fn apply_entry(&mut self, entry: &Entry) -> io::Result<Applied> {
        let payload = &entry.payload.content;
        let bytes = self.applier.apply(payload, term_of(&entry.log_id) as LeaderEpoch)?;
        self.shared.bytes_since_snapshot.fetch_add(bytes, Ordering::Relaxed);
        if let Payload::Membership(membership) | Payload::Control { membership: Some(membership), .. } =
            payload
        {
            self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
            self.tell_voters();
        }
        self.applied = Some(entry.log_id);
        Ok(Applied { offset: self.applier.image().offset() })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotHandle;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        // Whoever waits for an entry wants to see it in the image, so answers go out after the publication.
        let mut answers = Vec::new();
        while let Some(next) = std::future::poll_fn(|cx| Pin::new(&mut entries).poll_next(cx)).await {
            let (entry, responder) = next?;
            let applied = self.apply_entry(&entry)?;
            answers.extend(responder.map(|responder| (responder, applied)));
        }
        self.applier.publish();
        for (responder, applied) in answers {
            responder.send(applied);
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        if self.applier.in_transaction() {
            return None;
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        // Voters that only the configuration names stay out of snapshots, as they stay out of the log.
        let in_log = self.membership.log_id().is_some();
        let membership = in_log.then(|| self.membership.membership().clone());
        let content = Content { image: self.applier.image().clone(), membership };
        Builder { shared: self.shared.clone(), meta, content }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotHandle,
    ) -> Result<(), io::Error> {
        let builder =
            Builder { shared: self.shared.clone(), meta: meta.clone(), content: snapshot.0.clone() };
        builder.store(true).await?;
        self.membership = meta.last_membership.clone();
        self.applied = meta.last_log_id;
        self.applier.install(snapshot.0.image);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let current = self.shared.current.lock().clone();
        Ok(current.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// Writes one snapshot, beside the state machine, which goes on.
pub(super) struct Builder {
    shared: Arc<Shared>,
    meta: SnapshotMeta,
    content: Content,
}

impl Builder {
    /// `from_elsewhere` if the log may not reach so far.
    async fn store(self, from_elsewhere: bool) -> io::Result<Snapshot> {
        let Builder { shared, meta, content } = self;
        let before = shared.bytes_since_snapshot.load(Ordering::Relaxed);
        let held = shared.clone();
        let stored = content.clone();
        let epoch = meta.last_log_id.map_or(0, |last| term_of(&last)) as LeaderEpoch;
        let id = SnapshotId { end: content.image.offset() + 1, epoch };
        let last_log_id = meta.last_log_id;
        let written = shared.tasks.run_blocking(move || {
            let bytes = snapshot::to_bytes(&stored, epoch, held.clock.now())?;
            snapshot::write(&*held.disk, &held.dir, id, &bytes)?;
            if let Some(last) = last_log_id {
                held.log.snapshot_stored(last, id.end);
                if from_elsewhere && !held.log.with_log(|log| log.has(last)) {
                    held.log.with_log(|log| log.reset_to(last, id.end))?;
                }
            }
            snapshot::remove_older(&*held.disk, &held.dir, id)
        });
        written.await.unwrap_or_else(|| Err(io::Error::other("the node is going down")))?;
        let snapshot = SnapshotHandle(content);
        *shared.current.lock() = Some((meta.clone(), snapshot.clone()));
        shared.bytes_since_snapshot.fetch_sub(before, Ordering::Relaxed);
        Ok(Snapshot { meta, snapshot })
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotHandle;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let builder =
            Builder { shared: self.shared.clone(), meta: self.meta.clone(), content: self.content.clone() };
        builder.store(false).await
    }
}
