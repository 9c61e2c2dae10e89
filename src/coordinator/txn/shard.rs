//! The transaction coordinator as a [`Shard`].

use std::collections::{BTreeMap, BTreeSet};

use super::command::{
    AddPartitions, Command, EndTxn, InitProducerId, ListTransactions, Listed, MarkersWritten, Reply, Verify,
    Work,
};
use super::config::TxnConfigs;
use super::pending::Pending;
use super::record::TxnRecord;
use super::state::{Hard, State, Transaction, TransactionalId};
use super::transitions::{self, Next, Now, Step};
use super::waiting::{Then, Waiting};
use crate::coordinator::shard::{Cx, Entry, Output, Producer, Shard, Ticket};
use crate::metadata::MetadataDelta;
use crate::types::{ErrorCode, Ms, Offset, PartitionIndex, ProducerEpoch, ProducerId, TransactionVersion};

/// Transactions that are aborted, and ids that are forgotten, before anything else is looked at.
const SWEPT_AT_ONCE: usize = 256;
/// Milliseconds before the next so many.
const SWEEP_REST_MS: Ms = 10;

/// The transaction coordinator's state machine.
#[derive(Debug)]
pub struct TxnShard;

/// What the topic does not say. Nothing in it is ahead of the log in a way that matters: all of it is checked against
/// the log when it is used.
#[derive(Default, Debug)]
pub struct Soft {
    pending: Pending,
    waiting: Waiting,
    /// See [`Next::last_epoch`].
    last_epochs: BTreeMap<TransactionalId, ProducerEpoch>,
    /// Producer ids that nobody has.
    spares: Vec<ProducerId>,
    /// Transactions that are open, and some that were.
    ongoing: BTreeSet<TransactionalId>,
    /// When open transactions are looked through for those that take too long; none while there are none.
    abort_at: Option<Ms>,
    /// When ids are looked through for those that nobody uses any more; none while there are none.
    expire_at: Option<Ms>,
    /// The id up to which they were looked through.
    expired_up_to: Option<TransactionalId>,
    /// Who does the work.
    worker: Option<Ticket>,
    /// Work that it has not got yet.
    work: Vec<Work>,
}

type Out = Output<TxnShard>;

impl Shard for TxnShard {
    type Record = TxnRecord;
    type Command = Command;
    type Reply = Reply;
    type Config = TxnConfigs;
    type Hard = Hard;
    type Soft = Soft;

    fn handle(
        hard: &Hard,
        soft: &mut Soft,
        cx: &mut Cx<'_, TxnConfigs>,
        ticket: Ticket,
        command: Command,
        out: &mut Out,
    ) {
        let mut turn = Turn { hard, soft, cx, out, work: Vec::new() };
        turn.handle(ticket, command);
        turn.hand_out();
    }

    fn replay(hard: &mut Hard, _at: Offset, entry: Entry<TxnRecord>) {
        match entry {
            Entry::Record { record, .. } => hard.replay(record),
            // The topic of transactions takes part in none.
            Entry::EndTxn { .. } => {}
        }
    }

    fn shares_append(_hard: &Hard, _command: &Command) -> bool {
        // Two commands of one batch may be about the same id.
        false
    }

    fn is_mirrored(_record: &TxnRecord) -> bool {
        false
    }

    fn loaded(hard: &Hard, soft: &mut Soft, cx: &mut Cx<'_, TxnConfigs>) {
        let ongoing = hard.transactions.iter().filter(|(_, of)| of.state == State::Ongoing);
        soft.ongoing = ongoing.map(|(id, _)| id.clone()).collect();
        if !soft.ongoing.is_empty() {
            soft.abort_at = Some(cx.monotonic + cx.config.abort_timed_out_interval_ms);
        }
        if !hard.transactions.is_empty() {
            soft.expire_at = Some(cx.monotonic + cx.config.remove_expired_interval_ms);
        }
    }

    fn metadata_changed(
        _hard: &Hard,
        _soft: &mut Soft,
        _cx: &mut Cx<'_, TxnConfigs>,
        _delta: &MetadataDelta,
        _out: &mut Out,
    ) {
        // Whoever writes markers looks at the cluster by itself.
    }

    fn next_deadline(soft: &Soft) -> Option<Ms> {
        [soft.waiting.next_deadline(), soft.abort_at, soft.expire_at].into_iter().flatten().min()
    }

    fn on_deadline(hard: &Hard, soft: &mut Soft, cx: &mut Cx<'_, TxnConfigs>, out: &mut Out) {
        let mut turn = Turn { hard, soft, cx, out, work: Vec::new() };
        turn.on_deadline();
        turn.hand_out();
    }
}

/// One call of the shard.
struct Turn<'a, 'b> {
    hard: &'a Hard,
    soft: &'a mut Soft,
    cx: &'a mut Cx<'b, TxnConfigs>,
    out: &'a mut Out,
    /// What this call makes to do.
    work: Vec<Work>,
}

impl Turn<'_, '_> {
    fn handle(&mut self, ticket: Ticket, command: Command) {
        match command {
            Command::InitProducerId(init) => self.init(ticket, init),
            Command::AddPartitions(add) => self.add(ticket, add),
            Command::End(end) => self.end(ticket, end),
            Command::Verify(verify) => {
                self.out.reply(ticket, Reply::Verified(is_in_transaction(self.hard, verify)));
            }
            Command::Describe(id) => self.out.reply(ticket, Reply::Described(self.hard.get(&id).cloned())),
            Command::List(list) => {
                self.out.reply(ticket, Reply::Listed(listed(self.hard, &list, self.cx.now)))
            }
            Command::Work { anew } => {
                // Of two who do the work, the later one is alive.
                if let Some(other) = self.soft.worker.replace(ticket) {
                    self.out.reply(other, Reply::Work(Vec::new()));
                }
                if anew {
                    self.begin_work();
                }
            }
            Command::MarkersWritten(written) => {
                self.markers_written(&written);
                self.out.reply(ticket, Reply::Noted);
            }
            Command::ProducerIds(ids) => {
                self.producer_ids(ids);
                self.out.reply(ticket, Reply::Noted);
            }
        }
    }

    /// The level of `transaction.version` in the cluster.
    fn cluster_version(&self) -> TransactionVersion {
        TransactionVersion::of_level(self.cx.cluster.features().level(TransactionVersion::FEATURE))
    }

    fn now<'t>(&self, id: &str, transaction: &'t Transaction) -> Now<'t> {
        Now {
            transaction,
            last_epoch: self.soft.last_epochs.get(id).copied(),
            spare: self.soft.spares.last().copied(),
            at: self.cx.now,
        }
    }

    fn init(&mut self, ticket: Ticket, init: InitProducerId) {
        let refused = |error| Reply::InitProducerId(Err(error));
        if init.timeout_ms <= 0 || init.timeout_ms > self.cx.config.max_timeout_ms {
            return self.out.reply(ticket, refused(ErrorCode::InvalidTransactionTimeout));
        }
        let step = match self.hard.get(&init.id) {
            None => transitions::init_new(&init, self.soft.spares.last().copied(), self.cx.now),
            Some(transaction) => {
                transitions::init(self.now(&init.id, transaction), &init, self.cluster_version())
            }
        };
        match step {
            Step::Refuse(error) => self.out.reply(ticket, refused(error)),
            Step::Already(producer) => self.out.reply(ticket, Reply::InitProducerId(Ok(producer))),
            Step::NeedsId => self.wait_for_id(ticket, Command::InitProducerId(init)),
            Step::Wait => self.judge_after_end(ticket, Command::InitProducerId(init)),
            Step::Put(next) if next.transaction.state.is_prepared() => {
                // The transaction of the one before is aborted first, and then the epoch is raised once more.
                let id = init.id.clone();
                self.judge_after_end(ticket, Command::InitProducerId(init));
                self.put(&id, next);
            }
            Step::Put(next) => {
                let producer = next.transaction.producer;
                self.put(&init.id, next);
                self.out.reply(ticket, Reply::InitProducerId(Ok(producer)));
            }
        }
    }

    fn add(&mut self, ticket: Ticket, add: AddPartitions) {
        let refused = |error| Reply::Added(Err(error));
        let Some(transaction) = self.hard.get(&add.id) else {
            return self.out.reply(ticket, refused(ErrorCode::InvalidProducerIdMapping));
        };
        match transitions::add_partitions(self.now(&add.id, transaction), &add) {
            Step::Refuse(error) => self.out.reply(ticket, refused(error)),
            Step::Already(_) => self.out.reply(ticket, Reply::Added(Ok(()))),
            Step::Wait => self.judge_after_end(ticket, Command::AddPartitions(add)),
            Step::NeedsId => self.wait_for_id(ticket, Command::AddPartitions(add)),
            Step::Put(next) => {
                self.put(&add.id, next);
                self.out.reply(ticket, Reply::Added(Ok(())));
            }
        }
    }

    fn end(&mut self, ticket: Ticket, end: EndTxn) {
        let refused = |error| Reply::Ended(Err(error));
        let Some(transaction) = self.hard.get(&end.id) else {
            return self.out.reply(ticket, refused(ErrorCode::InvalidProducerIdMapping));
        };
        match transitions::end(self.now(&end.id, transaction), &end) {
            Step::Refuse(error) => self.out.reply(ticket, refused(error)),
            Step::Already(producer) => self.out.reply(ticket, Reply::Ended(Ok(producer))),
            Step::Wait => {
                // It is this transaction that is meant, never the next: the request is answered and not judged anew.
                let then = Then::Reply(Reply::Ended(Ok(transitions::after_end(transaction))));
                self.wait(&end.id, ticket, then, refused(ErrorCode::ConcurrentTransactions));
            }
            Step::NeedsId => self.wait_for_id(ticket, Command::End(end)),
            Step::Put(next) => {
                let ended = Reply::Ended(Ok(transitions::after_end(&next.transaction)));
                match next.transaction.partitions.is_empty() {
                    true => self.out.reply(ticket, ended),
                    // So that the next transaction, which comes at once, does not come too early.
                    false => self.wait(&end.id, ticket, Then::Reply(ended.clone()), ended),
                }
                self.put(&end.id, next);
            }
        }
    }

    fn wait(&mut self, id: &TransactionalId, ticket: Ticket, then: Then, late: Reply) {
        let until = self.cx.monotonic + self.cx.config.wait_ms;
        if let Some(reply) = self.soft.waiting.wait(id, ticket, until, then, late) {
            self.out.reply(ticket, reply);
        }
        // It may be that only the second of its last two records could not be written.
        if let Some(prepared) = self.hard.get(id)
            && prepared.state.is_prepared()
            && prepared.partitions.is_empty()
        {
            self.complete(id, prepared);
        }
    }

    fn judge_after_end(&mut self, ticket: Ticket, command: Command) {
        let Some((id, late)) = refusal(&command, ErrorCode::ConcurrentTransactions) else { return };
        self.wait(&id, ticket, Then::Judge(command), late);
    }

    fn wait_for_id(&mut self, ticket: Ticket, command: Command) {
        if let Some(command) = self.soft.waiting.wait_for_id(ticket, command) {
            self.without_id(ticket, &command, ErrorCode::CoordinatorLoadInProgress);
        } else {
            self.work.push(Work::GetProducerIds(1));
        }
    }

    fn without_id(&mut self, ticket: Ticket, command: &Command, error: ErrorCode) {
        if let Some((_, reply)) = refusal(command, error) {
            self.out.reply(ticket, reply);
        }
    }

    fn producer_ids(&mut self, ids: Result<Vec<ProducerId>, ErrorCode>) {
        match ids {
            Ok(ids) => {
                self.soft.spares.extend(ids);
                self.soft.waiting.ids_came();
            }
            Err(error) => {
                for (ticket, command) in self.soft.waiting.no_ids() {
                    self.without_id(ticket, &command, error);
                }
            }
        }
    }

    /// Writes what an id becomes, and has its markers written if it owes any.
    fn put(&mut self, id: &TransactionalId, next: Next) {
        let Next { transaction, last_epoch, took_id } = next;
        if took_id {
            self.soft.spares.pop();
        }
        match last_epoch {
            Some(epoch) => drop(self.soft.last_epochs.insert(id.clone(), epoch)),
            None => drop(self.soft.last_epochs.remove(id)),
        }
        let now = self.cx.monotonic;
        let config = self.cx.config;
        self.soft.expire_at.get_or_insert(now + config.remove_expired_interval_ms);
        if transaction.state == State::Ongoing && self.soft.ongoing.insert(id.clone()) {
            self.soft.abort_at.get_or_insert(now + config.abort_timed_out_interval_ms);
        }
        let owes_nothing = transaction.partitions.is_empty();
        let prepared = transaction.state.is_prepared().then(|| transaction.clone());
        self.write(id, transaction);
        match prepared {
            Some(prepared) if owes_nothing => self.complete(id, &prepared),
            Some(prepared) => {
                let markers = self.soft.pending.owe(id, &prepared, self.cx.rng);
                self.work.push(Work::WriteMarkers(markers));
            }
            None => {}
        }
    }

    fn write(&mut self, id: &TransactionalId, transaction: Transaction) {
        let record = TxnRecord::put(id.clone(), transaction, self.cluster_version());
        self.out.records.push(record);
    }

    fn complete(&mut self, id: &TransactionalId, prepared: &Transaction) {
        self.write(id, transitions::complete(prepared, self.cx.now));
        self.out.replies.extend(self.soft.waiting.ended(id));
    }

    fn markers_written(&mut self, written: &MarkersWritten) {
        if !self.soft.pending.written(written) {
            return;
        }
        // What is owed may come from a record that was not appended in the end.
        if let Some(prepared) = self.hard.get(&written.id).filter(|of| of.state.is_prepared()) {
            self.complete(&written.id, prepared);
        }
    }

    /// Whoever does the work begins: it has not got anything, or has forgotten it.
    fn begin_work(&mut self) {
        self.soft.work.clear();
        for markers in self.soft.pending.owe_all(self.hard, self.cx.rng) {
            match self.hard.get(&markers.id) {
                Some(prepared) if markers.partitions.is_empty() => self.complete(&markers.id, prepared),
                _ => self.work.push(Work::WriteMarkers(markers)),
            }
        }
        let without_id = self.soft.waiting.without_id();
        if without_id > 0 {
            self.work.push(Work::GetProducerIds(without_id));
        }
    }

    /// Gives the worker what there is. What this call made to do is given with its records, and refused with them; what
    /// was made before is given if its records are in the log.
    fn hand_out(&mut self) {
        if self.soft.worker.is_none() || (self.work.is_empty() && self.soft.work.is_empty()) {
            self.soft.work.append(&mut self.work);
            return;
        }
        let mut work = std::mem::take(&mut self.soft.work);
        work.retain(|work| match work {
            Work::WriteMarkers(markers) => self.soft.pending.is_owed(markers, self.hard),
            Work::GetProducerIds(_) => true,
        });
        work.append(&mut self.work);
        if !work.is_empty()
            && let Some(worker) = self.soft.worker.take()
        {
            self.out.reply(worker, Reply::Work(work));
        }
    }

    fn on_deadline(&mut self) {
        if let Some((ticket, command)) = self.soft.waiting.next_ready() {
            self.handle(ticket, command);
        } else if let Some((ticket, late)) = self.soft.waiting.expired(self.cx.monotonic) {
            self.out.reply(ticket, late);
        } else if self.soft.abort_at.is_some_and(|at| at <= self.cx.monotonic) {
            self.abort_timed_out();
        } else if self.soft.expire_at.is_some_and(|at| at <= self.cx.monotonic) {
            self.forget_expired();
        }
    }

    fn abort_timed_out(&mut self) {
        let hard = self.hard;
        self.soft.ongoing.retain(|id| hard.get(id).is_some_and(|of| of.state == State::Ongoing));
        let is_late = |id: &&TransactionalId| hard.get(id).is_some_and(|of| of.is_timed_out(self.cx.now));
        let late: Vec<_> = self.soft.ongoing.iter().filter(is_late).take(SWEPT_AT_ONCE).cloned().collect();
        let (mut all, mut wanted) = (late.len() < SWEPT_AT_ONCE, 0);
        for id in late {
            let Some(transaction) = hard.get(&id) else { continue };
            match transitions::fence(self.now(&id, transaction), self.cluster_version()) {
                Step::Put(next) => {
                    tracing::info!(transactional_id = &*id, "a transaction takes too long and is aborted");
                    self.put(&id, next);
                }
                // It is aborted the next time.
                Step::NeedsId => wanted += 1,
                Step::Refuse(_) | Step::Already(_) | Step::Wait => {}
            }
        }
        if wanted > 0 {
            self.work.push(Work::GetProducerIds(wanted));
            all = true;
        }
        let again = if all { self.cx.config.abort_timed_out_interval_ms } else { SWEEP_REST_MS };
        self.soft.abort_at = (!self.soft.ongoing.is_empty()).then(|| self.cx.monotonic + again);
    }

    fn forget_expired(&mut self) {
        use std::ops::Bound::{Excluded, Unbounded};
        let before = self.cx.now - self.cx.config.id_expiration_ms;
        let from = self.soft.expired_up_to.take();
        let from = from.as_ref().map_or(Unbounded, Excluded);
        let ids = self.hard.transactions.range::<TransactionalId, _>((from, Unbounded));
        let expired = ids.filter(|(_, of)| of.state.is_at_rest() && of.updated_at <= before);
        let expired: Vec<_> = expired.take(SWEPT_AT_ONCE).map(|(id, _)| id.clone()).collect();
        let all = expired.len() < SWEPT_AT_ONCE;
        let is_last = all && expired.len() == self.hard.transactions.len();
        self.soft.expired_up_to = expired.last().filter(|_| !all).cloned();
        for id in expired {
            self.soft.last_epochs.remove(&id);
            self.out.records.push(TxnRecord::tombstone(id));
        }
        let again = if all { self.cx.config.remove_expired_interval_ms } else { SWEEP_REST_MS };
        self.soft.expire_at = (!is_last).then(|| self.cx.monotonic + again);
    }
}

/// The answer that refuses a request which can wait, and the id that it is about.
fn refusal(command: &Command, error: ErrorCode) -> Option<(TransactionalId, Reply)> {
    match command {
        Command::InitProducerId(init) => Some((init.id.clone(), Reply::InitProducerId(Err(error)))),
        Command::AddPartitions(add) => Some((add.id.clone(), Reply::Added(Err(error)))),
        Command::End(end) => Some((end.id.clone(), Reply::Ended(Err(error)))),
        Command::Verify(_)
        | Command::Describe(_)
        | Command::List(_)
        | Command::Work { .. }
        | Command::MarkersWritten(_)
        | Command::ProducerIds(_) => None,
    }
}

type Verified = Result<Vec<(crate::types::TopicName, Vec<(PartitionIndex, ErrorCode)>)>, ErrorCode>;

/// Whether partitions are in the open transaction of a producer.
fn is_in_transaction(hard: &Hard, verify: Verify) -> Verified {
    let Some(transaction) = hard.get(&verify.id) else { return Err(ErrorCode::InvalidProducerIdMapping) };
    transitions::is_producer(transaction, verify.producer)?;
    if transaction.state.is_prepared() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    let of_topic = |(topic, partitions): (crate::types::TopicName, Vec<PartitionIndex>)| {
        let verified = partitions.into_iter().map(|partition| match transaction.has(&topic, partition) {
            true => (partition, ErrorCode::None),
            false => (partition, ErrorCode::TransactionAbortable),
        });
        let verified = verified.collect();
        (topic, verified)
    };
    Ok(verify.partitions.into_iter().map(of_topic).collect())
}

fn listed(hard: &Hard, list: &ListTransactions, now: Ms) -> Vec<Listed> {
    let passes = |transaction: &Transaction| {
        let Producer { id, .. } = transaction.producer;
        list.states.as_ref().is_none_or(|states| states.contains(&transaction.state))
            && list.producer_ids.as_ref().is_none_or(|ids| ids.contains(&id))
            && list.longer_than_ms.is_none_or(|ms| now - transaction.started_at.unwrap_or(-1) > ms)
    };
    let listed = hard.transactions.iter().filter(|(_, transaction)| passes(transaction));
    listed
        .map(|(id, transaction)| Listed {
            id: id.clone(),
            producer_id: transaction.producer.id,
            state: transaction.state,
        })
        .collect()
}
