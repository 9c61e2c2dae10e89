//! The way into the shards: who leads what, and where to queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::replies::ReplyTo;
use super::shard_task::ShardTask;
use super::{Refused, SharedLog};
use crate::coordinator::shard::Shard;
use crate::env::{Clock, Env, Seeds, Tasks};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::replica::{TxnEnd, Verification};
use crate::types::{LeaderEpoch, PartitionIndex};
use crate::wire::compress::Compression;

/// How the runtime works; the same for all shards.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the coordinator is called in tasks and events.
    pub name: &'static str,
    /// Commands that may be queued for one shard; who comes then waits.
    pub queue: usize,
    /// How long a write may wait for the replicas.
    pub write_timeout: Duration,
    /// How the coordinator's own batches are compressed.
    pub compression: Compression,
    /// Bytes read at a time while loading.
    pub load_chunk_bytes: usize,
    /// How long to wait before a failed load is tried again.
    pub load_retry: Duration,
}

/// The newest image and what led to it.
pub(super) type Metadata = (MetadataImage, Arc<MetadataDelta>);

/// What is on its way to a shard.
pub(super) enum Envelope<S: Shard> {
    /// A command. `verification` is of the transaction that its records will be part of, if of any.
    Command { command: S::Command, verification: Verification, to: ReplyTo<S::Reply> },
    /// The end of a transaction in the shard's partition.
    EndTxn { end: TxnEnd, to: ReplyTo<()> },
}

/// The answer to [`Coordinator::end_transaction`], once it is there. An end of the channel means that the shard is gone.
pub type TxnEnded = oneshot::Receiver<Result<(), Refused>>;

/// All shards of one kind on this broker. Cheap to share behind an `Arc`.
pub struct Coordinator<S: Shard> {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) config: Arc<S::Config>,
    tasks: Tasks,
    seeds: Seeds,
    metadata: watch::Sender<Metadata>,
    shards: Mutex<BTreeMap<PartitionIndex, Handle<S>>>,
}

/// The way to one shard.
struct Handle<S: Shard> {
    epoch: LeaderEpoch,
    phase: Arc<AtomicU8>,
    mailbox: mpsc::Sender<Envelope<S>>,
    stop: CancellationToken,
}

/// The partition is being read.
pub(super) const LOADING: u8 = 0;
/// The shard takes commands.
pub(super) const ACTIVE: u8 = 1;

impl<S: Shard> Coordinator<S> {
    /// A coordinator that leads nothing yet.
    pub fn new(
        env: &Env,
        settings: Settings,
        config: Arc<S::Config>,
        image: MetadataImage,
    ) -> Arc<Coordinator<S>> {
        let nothing = Arc::new(MetadataDelta::from(&image));
        Arc::new(Coordinator {
            clock: env.clock.clone(),
            settings,
            config,
            tasks: env.tasks.clone(),
            seeds: env.seeds.clone(),
            metadata: watch::Sender::new((image, nothing)),
            shards: Mutex::new(BTreeMap::new()),
        })
    }

    /// This broker leads `partition` from now on: its shard is loaded and then serves. An epoch that is not newer than
    /// the one known changes nothing.
    pub fn elected(self: &Arc<Self>, partition: PartitionIndex, log: SharedLog) {
        let epoch = log.leader_epoch();
        let mut shards = self.shards.lock();
        if let Some(known) = shards.get(&partition) {
            if known.epoch >= epoch {
                return;
            }
            known.stop.cancel();
        }
        let (mailbox, queue) = mpsc::channel(self.settings.queue);
        let phase = Arc::new(AtomicU8::new(LOADING));
        let stop = CancellationToken::new();
        let task = ShardTask::new(
            self.clone(),
            partition,
            log,
            phase.clone(),
            stop.clone(),
            self.metadata.subscribe(),
            self.seeds.rng(),
        );
        shards.insert(partition, Handle { epoch, phase, mailbox, stop });
        drop(shards);
        self.tasks.spawn(self.settings.name, task.run(queue));
    }

    /// This broker does not lead `partition` any more, as of leader epoch `epoch`; `None` if the partition is gone.
    /// Everybody who waits is told NOT_COORDINATOR.
    pub fn resigned(&self, partition: PartitionIndex, epoch: Option<LeaderEpoch>) {
        let mut shards = self.shards.lock();
        if shards.get(&partition).is_some_and(|known| epoch.is_none_or(|epoch| known.epoch < epoch))
            && let Some(handle) = shards.remove(&partition)
        {
            handle.stop.cancel();
        }
    }

    /// The cluster has changed.
    pub fn metadata_changed(&self, image: MetadataImage, delta: Arc<MetadataDelta>) {
        self.metadata.send_replace((image, delta));
    }

    /// The partitions that this broker coordinates, loaded or not.
    pub fn partitions(&self) -> Vec<PartitionIndex> {
        self.shards.lock().keys().copied().collect()
    }

    /// True if `partition` is loaded and serves.
    pub fn is_active(&self, partition: PartitionIndex) -> bool {
        let shards = self.shards.lock();
        shards.get(&partition).is_some_and(|shard| shard.phase.load(Ordering::Acquire) == ACTIVE)
    }

    /// Has the shard of `partition` carry out a command. Waits until the answer may be known to the world.
    pub async fn request(&self, partition: PartitionIndex, command: S::Command) -> Result<S::Reply, Refused> {
        self.request_verified(partition, command, Verification::default()).await
    }

    /// The same for a command whose records become part of a transaction, which is verified as far as `verification` says.
    pub async fn request_verified(
        &self,
        partition: PartitionIndex,
        command: S::Command,
        verification: Verification,
    ) -> Result<S::Reply, Refused> {
        let (to, reply) = oneshot::channel();
        self.send(partition, Envelope::Command { command, verification, to }).await?;
        // Either end gone means that the shard is.
        reply.await.unwrap_or(Err(Refused::NotCoordinator))
    }

    /// Has the end of a transaction appended to the log of `partition` and replayed. Returns once it is queued, in the
    /// order of the calls; the answer comes when it is replicated.
    pub async fn end_transaction(&self, partition: PartitionIndex, end: TxnEnd) -> Result<TxnEnded, Refused> {
        let (to, ended) = oneshot::channel();
        self.send(partition, Envelope::EndTxn { end, to }).await?;
        Ok(ended)
    }

    async fn send(&self, partition: PartitionIndex, envelope: Envelope<S>) -> Result<(), Refused> {
        let mailbox = {
            let shards = self.shards.lock();
            let shard = shards.get(&partition).ok_or(Refused::NotCoordinator)?;
            if shard.phase.load(Ordering::Acquire) == LOADING {
                return Err(Refused::Loading);
            }
            shard.mailbox.clone()
        };
        mailbox.send(envelope).await.map_err(|_| Refused::NotCoordinator)
    }
}
