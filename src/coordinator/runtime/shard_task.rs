//! The task of one shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::mailbox::{ACTIVE, Coordinator, Envelope, Metadata};
use super::replies::{Held, Replies, ReplyTo};
use super::{Refused, SharedLog, append, loader};
use crate::coordinator::shard::{Cx, Entry, Output, Producer, Shard, Ticket};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::replica::{TxnEnd, Verification};
use crate::types::{FastMap, Ms, Offset, PartitionIndex, Rng};

/// Commands taken from the queue before anything else is looked at.
const COMMANDS_PER_TURN: usize = 64;

/// What was decided and not appended yet.
struct Decided<S: Shard> {
    producer: Option<Producer>,
    /// Of the transaction that the records are part of, if of any.
    verification: Verification,
    records: Vec<S::Record>,
    /// How many of the records each command led to.
    together: Vec<usize>,
    /// Who gets which answer, and how many of the records must be written for it.
    replies: Vec<(usize, Ticket, S::Reply)>,
}

impl<S: Shard> Decided<S> {
    fn nothing() -> Decided<S> {
        Decided {
            producer: None,
            verification: Verification::default(),
            records: Vec::new(),
            together: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn add(&mut self, out: Output<S>) {
        self.producer = out.as_producer;
        let own = out.records.len();
        self.together.push(own);
        self.records.extend(out.records);
        // What writes nothing has seen nothing of what the others write.
        let needed = if own > 0 { self.records.len() } else { 0 };
        self.replies.extend(out.replies.into_iter().map(|(ticket, reply)| (needed, ticket, reply)));
    }
}

pub(super) struct ShardTask<S: Shard> {
    of: Arc<Coordinator<S>>,
    partition: PartitionIndex,
    log: SharedLog,
    phase: Arc<AtomicU8>,
    stop: CancellationToken,
    metadata: watch::Receiver<Metadata>,
    image: MetadataImage,
    rng: Rng,
    /// Where [`Cx::monotonic`] counts from.
    began: Instant,
    hard: S::Hard,
    soft: S::Soft,
    /// Offset after the last record written: what a reply without records waits for.
    written: Offset,
    tickets: u64,
    parked: FastMap<Ticket, ReplyTo<S::Reply>>,
    replies: Replies<S::Reply>,
    /// Of commands that share one append ([`Shard::shares_append`]). Empty but for the middle of a turn.
    shared: Decided<S>,
}

impl<S: Shard> ShardTask<S> {
    pub(super) fn new(
        of: Arc<Coordinator<S>>,
        partition: PartitionIndex,
        log: SharedLog,
        phase: Arc<AtomicU8>,
        stop: CancellationToken,
        metadata: watch::Receiver<Metadata>,
        rng: Rng,
    ) -> ShardTask<S> {
        let image = metadata.borrow().0.clone();
        let replies = Replies::new(of.settings.write_timeout);
        ShardTask {
            of,
            partition,
            log,
            phase,
            stop,
            metadata,
            image,
            rng,
            began: Instant::now(),
            hard: S::Hard::default(),
            soft: S::Soft::default(),
            written: 0,
            tickets: 0,
            parked: FastMap::default(),
            replies,
            shared: Decided::nothing(),
        }
    }

    /// Loads, then serves until it is stopped or the partition is not led any more.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Envelope<S>>) {
        if self.load().await {
            self.with_cx(|hard, soft, cx| S::loaded(hard, soft, cx));
            self.phase.store(ACTIVE, Ordering::Release);
            self.serve(&mut queue).await;
        }
        // Whoever still waits is told; those in the queue find out by its end.
        self.refuse_all(Refused::NotCoordinator);
    }

    /// True once loaded; false if there is nothing to load any more.
    async fn load(&mut self) -> bool {
        let (name, partition) = (self.of.settings.name, self.partition);
        let stop = self.stop.clone();
        loop {
            let mut hard = S::Hard::default();
            let load = loader::load::<S>(&*self.log, self.of.settings.load_chunk_bytes, &mut hard);
            let loaded = tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                loaded = load => loaded,
            };
            let error = match loaded {
                Ok(loaded) => {
                    let ms = self.began.elapsed().as_millis() as u64;
                    tracing::info!(coordinator = name, partition, ?loaded, ms, "loaded a partition");
                    self.hard = hard;
                    self.written = loaded.end;
                    return true;
                }
                Err(loader::LoadError::Read(super::ReadError::NotLeader)) => return false,
                Err(error) => error,
            };
            tracing::error!(coordinator = name, partition, %error, "a partition cannot be loaded; trying again");
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(self.of.settings.load_retry) => {}
            }
        }
    }

    async fn serve(&mut self, queue: &mut mpsc::Receiver<Envelope<S>>) {
        let mut high_watermark = self.log.high_watermark();
        let mut taken = Vec::with_capacity(COMMANDS_PER_TURN);
        let stop = self.stop.clone();
        let mut metadata = self.metadata.clone();
        loop {
            let passed = *high_watermark.borrow_and_update();
            self.replies.release(passed, || self.log.is_certain());
            let wake = self.wake_at();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = high_watermark.changed() => if changed.is_err() {
                    return;
                },
                () = sleep_until(wake) => if !self.on_time() {
                    return;
                },
                changed = metadata.changed() => {
                    let (image, delta) = metadata.borrow_and_update().clone();
                    // The node is stopping if nobody can publish any more.
                    if changed.is_err() || !self.metadata_changed(image, &delta) {
                        return;
                    }
                },
                count = queue.recv_many(&mut taken, COMMANDS_PER_TURN) => {
                    if count == 0 {
                        return;
                    }
                    for envelope in taken.drain(..) {
                        if !self.handle(envelope) {
                            return;
                        }
                    }
                    if !self.append_shared() {
                        return;
                    }
                },
            }
        }
    }

    fn monotonic(&self) -> Ms {
        self.began.elapsed().as_millis() as Ms
    }

    fn wake_at(&self) -> Option<Instant> {
        let due = S::next_deadline(&self.soft);
        let due = due.map(|at| self.began + Duration::from_millis(at.max(0) as u64));
        [due, self.replies.next_expiry()].into_iter().flatten().min()
    }

    fn with_cx<R>(&mut self, call: impl FnOnce(&S::Hard, &mut S::Soft, &mut Cx<'_, S::Config>) -> R) -> R {
        let mut cx = Cx {
            now: self.of.clock.now(),
            monotonic: self.monotonic(),
            cluster: &self.image,
            config: &*self.of.config,
            max_batch_bytes: self.log.max_batch_bytes(),
            rng: &mut self.rng,
        };
        call(&self.hard, &mut self.soft, &mut cx)
    }

    /// Decides one command, and carries it out unless that can wait for the commands behind it. False if the partition is
    /// not led any more.
    fn handle(&mut self, envelope: Envelope<S>) -> bool {
        let (command, verification, to) = match envelope {
            Envelope::Command { command, verification, to } => (command, verification, to),
            Envelope::EndTxn { end, to } => return self.end_transaction(&end, to),
        };
        let shares = S::shares_append(&self.hard, &command);
        if !shares && !self.append_shared() {
            return false;
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.parked.insert(ticket, to);
        let mut out = Output::default();
        self.with_cx(|hard, soft, cx| S::handle(hard, soft, cx, ticket, command, &mut out));
        if shares && out.as_producer.is_none() {
            self.shared.add(out);
            return true;
        }
        self.append_shared() && self.carry_out_verified(out, verification)
    }

    /// Appends and replays the end of a transaction. False if the partition is not led any more.
    fn end_transaction(&mut self, end: &TxnEnd, to: ReplyTo<()>) -> bool {
        if !self.append_shared() {
            let _ = to.send(Err(Refused::NotCoordinator));
            return false;
        }
        match self.log.append_marker(end) {
            Ok(at) => {
                let producer = Producer { id: end.producer_id, epoch: end.producer_epoch };
                let committed = end.marker.commit;
                S::replay(&mut self.hard, at, Entry::EndTxn { producer, committed });
                self.written = at + 1;
                self.replies.hold(self.written, Held::TxnEnded(to));
                true
            }
            Err(error) => {
                let (coordinator, partition) = (self.of.settings.name, self.partition);
                tracing::warn!(coordinator, partition, ?end, %error, "cannot end a transaction");
                let why = Refused::from(error);
                let _ = to.send(Err(why));
                why != Refused::NotCoordinator
            }
        }
    }

    /// Appends what has waited for that. False if the partition is not led any more.
    fn append_shared(&mut self) -> bool {
        let shared = std::mem::replace(&mut self.shared, Decided::nothing());
        shared.together.is_empty() || self.append(shared)
    }

    /// Does what is due.
    fn on_time(&mut self) -> bool {
        self.replies.expire();
        while S::next_deadline(&self.soft).is_some_and(|at| at <= self.monotonic()) {
            let mut out = Output::default();
            self.with_cx(|hard, soft, cx| S::on_deadline(hard, soft, cx, &mut out));
            if !self.carry_out(out) {
                return false;
            }
        }
        true
    }

    fn metadata_changed(&mut self, image: MetadataImage, delta: &MetadataDelta) -> bool {
        // Some images may have been missed; then the difference has to be found.
        let found = match delta.before.offset() == self.image.offset() {
            true => None,
            false => Some(MetadataDelta::of_snapshot(&self.image, &image)),
        };
        self.image = image;
        let delta = found.as_ref().unwrap_or(delta);
        let mut out = Output::default();
        self.with_cx(|hard, soft, cx| S::metadata_changed(hard, soft, cx, delta, &mut out));
        self.carry_out(out)
    }

    /// Appends and replays the records, and has the replies wait for them. False if the partition is not led any more.
    fn carry_out(&mut self, out: Output<S>) -> bool {
        self.carry_out_verified(out, Verification::default())
    }

    fn carry_out_verified(&mut self, out: Output<S>, verification: Verification) -> bool {
        let mut decided = Decided { verification, ..Decided::nothing() };
        decided.add(out);
        self.append(decided)
    }

    fn append(&mut self, mut decided: Decided<S>) -> bool {
        let mirrored = decided.records.iter().any(S::is_mirrored);
        let mut written = 0;
        let replies = std::mem::take(&mut decided.replies);
        let outcome = self.write(decided, &mut written);
        for (needed, ticket, reply) in replies {
            let Some(to) = self.parked.remove(&ticket) else { continue };
            match outcome {
                Err(why) if needed > written => {
                    let _ = to.send(Err(why));
                }
                Ok(()) | Err(_) => self.replies.hold(self.written, Held::Reply(to, reply)),
            }
        }
        let Err(why) = outcome else { return true };
        if why == Refused::NotCoordinator {
            return false;
        }
        if mirrored {
            // What is not in the log runs ahead of it: fall back to what the log says. Whoever is parked asks again.
            self.soft = S::Soft::default();
            self.refuse_parked(Refused::NotAvailable);
            self.with_cx(|hard, soft, cx| S::loaded(hard, soft, cx));
        }
        true
    }

    /// Counts in `done` the records that are in the log and replayed, also where it fails.
    fn write(&mut self, decided: Decided<S>, done: &mut usize) -> Result<(), Refused> {
        let Decided { producer, verification, records, together, .. } = decided;
        if records.is_empty() {
            return Ok(());
        }
        let settings = &self.of.settings;
        let (now, max_bytes) = (self.of.clock.now(), self.log.max_batch_bytes());
        let packed = append::pack(&records, &together, producer, now, settings.compression, max_bytes);
        let packed = packed.map_err(|error| {
            tracing::error!(coordinator = settings.name, partition = self.partition, %error, "unwritable record");
            Refused::TooLarge
        })?;
        let mut records = records.into_iter();
        for batch in packed {
            let last = self.log.append(batch.batch, verification).map_err(|error| {
                tracing::warn!(coordinator = settings.name, partition = self.partition, %error, "cannot append");
                Refused::from(error)
            })?;
            let first = last + 1 - batch.records as Offset;
            for (at, record) in (first..).zip(records.by_ref().take(batch.records)) {
                S::replay(&mut self.hard, at, Entry::Record { producer, record });
            }
            self.written = last + 1;
            *done += batch.records;
        }
        Ok(())
    }

    fn refuse_parked(&mut self, why: Refused) {
        for (_, to) in self.parked.drain() {
            let _ = to.send(Err(why));
        }
    }

    fn refuse_all(&mut self, why: Refused) {
        self.refuse_parked(why);
        self.replies.refuse(why);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
