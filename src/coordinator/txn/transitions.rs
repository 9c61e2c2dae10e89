//! What becomes of a transactional id: Kafka's rules, as functions from what it is to what it is next.
//!
//! Epochs go up to [`EPOCH_MAX`]; that one is never told to a producer, so that whoever has the highest can still be
//! fenced. Who has used up the epochs of a producer id gets another id.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::command::{AddPartitions, EndTxn, InitProducerId};
use super::state::{Partitions, State, Transaction};
use crate::coordinator::shard::Producer;
use crate::types::{ErrorCode, Ms, ProducerEpoch, ProducerId, TransactionVersion};

/// The highest epoch, which only fences.
pub const EPOCH_MAX: ProducerEpoch = ProducerEpoch::MAX;
/// The highest epoch that a producer ever has.
pub const EPOCH_LAST: ProducerEpoch = EPOCH_MAX - 1;

/// What a command leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// It cannot be.
    Refuse(ErrorCode),
    /// It is so already; the producer as it is.
    Already(Producer),
    /// It can be judged when the transaction before has ended in all its partitions.
    Wait,
    /// It takes a producer id, and none was given.
    NeedsId,
    /// The id becomes this.
    Put(Next),
}

/// What an id becomes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Next {
    /// Its record.
    pub(super) transaction: Transaction,
    /// The epoch that the producer had before, for who asks again because it missed the answer (KIP-360). No record has
    /// it, in Kafka either; who asks again after a change of coordinators is fenced.
    pub(super) last_epoch: Option<ProducerEpoch>,
    /// True if the producer id that was given is used.
    pub(super) took_id: bool,
}

/// An id as it is, as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    /// By its record.
    pub(super) transaction: &'a Transaction,
    /// See [`Next::last_epoch`].
    pub(super) last_epoch: Option<ProducerEpoch>,
    /// A producer id that nobody has.
    pub(super) spare: Option<ProducerId>,
    /// The wall clock.
    pub(super) at: Ms,
}

fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch >= EPOCH_LAST
}

/// A producer that comes with a new transactional id.
pub(super) fn init_new(init: &InitProducerId, spare: Option<ProducerId>, at: Ms) -> Step {
    let Some(id) = spare else { return Step::NeedsId };
    let transaction = Transaction {
        producer: Producer { id, epoch: 0 },
        previous_id: Some(id),
        next_id: None,
        timeout_ms: init.timeout_ms,
        state: State::Empty,
        partitions: Arc::default(),
        started_at: None,
        updated_at: at,
        client_version: TransactionVersion::V0,
    };
    Step::Put(Next { transaction, last_epoch: None, took_id: true })
}

/// A producer that begins, or goes on after an error, under an id that there is. `cluster` is the level of the cluster.
pub(super) fn init(now: Now<'_>, init: &InitProducerId, cluster: TransactionVersion) -> Step {
    let transaction = now.transaction;
    if transaction.state.is_prepared() {
        return Step::Wait;
    }
    let current = transaction.producer;
    if let Some(expected) = init.expected {
        let is_before = transaction.previous_id == Some(expected.id) && is_exhausted(expected.epoch);
        if expected.id != current.id && !is_before {
            return Step::Refuse(ErrorCode::ProducerFenced);
        }
        // Kafka looks at the epoch only once an open transaction is aborted. Whoever has an epoch of long ago is refused
        // then all the same, so there is no need to abort what another producer has begun.
        if expected.epoch != current.epoch && Some(expected.epoch) != now.last_epoch {
            return Step::Refuse(ErrorCode::ProducerFenced);
        }
    }
    if transaction.state == State::Ongoing {
        return fence(now, cluster);
    }
    let expected = init.expected.map(|expected| expected.epoch);
    let (producer, last_epoch, took_id) = match expected {
        // Whoever asked missed the answer: it is given again.
        Some(epoch) if epoch != current.epoch => (current, now.last_epoch, false),
        _ if is_exhausted(current.epoch) => match now.spare {
            Some(id) => (Producer { id, epoch: 0 }, expected, true),
            None => return Step::NeedsId,
        },
        _ => (Producer { epoch: current.epoch + 1, ..current }, expected, false),
    };
    let transaction = Transaction {
        producer,
        previous_id: Some(current.id),
        timeout_ms: init.timeout_ms,
        state: State::Empty,
        partitions: Arc::default(),
        started_at: None,
        updated_at: now.at,
        ..transaction.clone()
    };
    Step::Put(Next { transaction, last_epoch, took_id })
}

/// Aborts an open transaction against its producer's will: another one came, or it took too long.
pub(super) fn fence(now: Now<'_>, cluster: TransactionVersion) -> Step {
    if cluster.bumps_epoch() {
        // The epoch that an abort takes fences by itself; a second one could be one too many (KAFKA-19367).
        return prepare(now, State::PrepareAbort, cluster, false);
    }
    let current = now.transaction.producer;
    let producer = Producer { epoch: current.epoch.saturating_add(1), ..current };
    let transaction = Transaction {
        producer,
        previous_id: Some(current.id),
        next_id: None,
        state: State::PrepareAbort,
        updated_at: now.at,
        client_version: TransactionVersion::V0,
        ..now.transaction.clone()
    };
    Step::Put(Next { transaction, last_epoch: None, took_id: false })
}

/// Partitions join the transaction, or begin one.
pub(super) fn add_partitions(now: Now<'_>, add: &AddPartitions) -> Step {
    let transaction = now.transaction;
    if transaction.state.is_prepared() {
        // Never waits: without epochs of their own there is no telling whether this belongs to the transaction that has
        // ended or to the next (KAFKA-17754); with them a leader asks, whose check before the batch must begin after the
        // marker of the transaction before.
        return Step::Refuse(ErrorCode::ConcurrentTransactions);
    }
    if let Err(error) = is_producer(transaction, add.producer) {
        return Step::Refuse(error);
    }
    let is_ongoing = transaction.state == State::Ongoing;
    let all_in = || {
        add.partitions
            .iter()
            .all(|(topic, them)| transaction.partitions.get(topic).is_some_and(|there| them.is_subset(there)))
    };
    if is_ongoing && all_in() {
        return Step::Already(transaction.producer);
    }
    // What was in the transaction before is not in this one.
    let mut partitions = if is_ongoing { Arc::clone(&transaction.partitions) } else { Arc::default() };
    merge(Arc::make_mut(&mut partitions), &add.partitions);
    let transaction = Transaction {
        previous_id: Some(transaction.producer.id),
        state: State::Ongoing,
        partitions,
        started_at: if is_ongoing { transaction.started_at } else { Some(now.at) },
        updated_at: now.at,
        client_version: add.version,
        ..transaction.clone()
    };
    Step::Put(Next { transaction, last_epoch: now.last_epoch, took_id: false })
}

fn merge(into: &mut Partitions, more: &Partitions) {
    for (topic, partitions) in more {
        let there: &mut BTreeSet<_> = into.entry(Arc::clone(topic)).or_default();
        there.extend(partitions);
    }
}

/// Whether `producer` is the one that may write now.
pub(super) fn is_producer(transaction: &Transaction, producer: Producer) -> Result<(), ErrorCode> {
    if transaction.producer.id != producer.id {
        Err(ErrorCode::InvalidProducerIdMapping)
    } else if transaction.producer.epoch != producer.epoch {
        Err(ErrorCode::ProducerFenced)
    } else {
        Ok(())
    }
}

/// The producer of a transaction ends it.
pub(super) fn end(now: Now<'_>, end: &EndTxn) -> Step {
    match end.version.bumps_epoch() {
        true => end_with_new_epoch(now, end),
        false => end_in_same_epoch(now, end),
    }
}

fn prepared(commit: bool) -> State {
    if commit { State::PrepareCommit } else { State::PrepareAbort }
}

/// EndTxn up to version 4.
fn end_in_same_epoch(now: Now<'_>, end: &EndTxn) -> Step {
    let transaction = now.transaction;
    if let Err(error) = is_producer(transaction, end.producer) {
        return Step::Refuse(error);
    }
    match (transaction.state, end.commit) {
        (State::Ongoing, commit) => Step::Put(Next {
            transaction: Transaction {
                previous_id: Some(transaction.producer.id),
                next_id: None,
                state: prepared(commit),
                updated_at: now.at,
                client_version: end.version,
                ..transaction.clone()
            },
            last_epoch: now.last_epoch,
            took_id: false,
        }),
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => Step::Wait,
        (State::CompleteCommit, true) | (State::CompleteAbort, false) => Step::Already(transaction.producer),
        _ => Step::Refuse(ErrorCode::InvalidTxnState),
    }
}

/// EndTxn from version 5 on, where the next transaction has another epoch. Who has the epoch before asks again because
/// it missed the answer; who has the current one means a transaction of its own, which may be aborted even if nothing
/// was added to it.
fn end_with_new_epoch(now: Now<'_>, end: &EndTxn) -> Step {
    let transaction = now.transaction;
    let (current, asked) = (transaction.producer, end.producer);
    let is_before = current.epoch.checked_sub(1) == Some(asked.epoch);
    let is_before_rotation =
        transaction.previous_id == Some(asked.id) && asked.epoch == EPOCH_LAST && current.epoch == 0;
    if asked.id != current.id && !is_before_rotation {
        return Step::Refuse(ErrorCode::InvalidProducerIdMapping);
    }
    let is_again = is_before || is_before_rotation;
    let is_valid = match transaction.state {
        State::Ongoing | State::Empty => asked.epoch == current.epoch,
        State::PrepareCommit | State::PrepareAbort => is_before,
        State::CompleteCommit | State::CompleteAbort => is_again || asked.epoch == current.epoch,
    };
    if !is_valid {
        return Step::Refuse(ErrorCode::ProducerFenced);
    }
    match (transaction.state, end.commit) {
        (State::Ongoing, commit) => prepare(now, prepared(commit), end.version, false),
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => Step::Wait,
        (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_again => Step::Already(current),
        (State::Empty | State::CompleteCommit | State::CompleteAbort, false) if !is_again => {
            prepare(now, State::PrepareAbort, end.version, true)
        }
        _ => Step::Refuse(ErrorCode::InvalidTxnState),
    }
}

/// The first half of an end that takes an epoch.
fn prepare(now: Now<'_>, state: State, version: TransactionVersion, begins: bool) -> Step {
    let transaction = now.transaction;
    let current = transaction.producer;
    // No producer has the highest epoch. Should one have, by an error of an older coordinator, its transaction can
    // still be aborted (KAFKA-20090).
    if current.epoch == EPOCH_MAX && state == State::PrepareCommit {
        return Step::Refuse(ErrorCode::ProducerFenced);
    }
    let takes_id = is_exhausted(current.epoch);
    let next_id = match now.spare {
        None if takes_id => return Step::NeedsId,
        spare => spare.filter(|_| takes_id),
    };
    let transaction = Transaction {
        producer: Producer { epoch: current.epoch.saturating_add(1), ..current },
        previous_id: Some(current.id),
        next_id,
        state,
        partitions: if begins { Arc::default() } else { Arc::clone(&transaction.partitions) },
        started_at: if begins { Some(now.at) } else { transaction.started_at },
        updated_at: now.at,
        client_version: version,
        timeout_ms: transaction.timeout_ms,
    };
    Step::Put(Next { transaction, last_epoch: Some(current.epoch), took_id: takes_id })
}

/// Who the producer of a prepared transaction is in its next one.
pub(super) fn after_end(transaction: &Transaction) -> Producer {
    match transaction.next_id.filter(|_| transaction.client_version.bumps_epoch()) {
        Some(id) => Producer { id, epoch: 0 },
        None => transaction.producer,
    }
}

/// The second half: all partitions know of the end.
pub(super) fn complete(prepared: &Transaction, at: Ms) -> Transaction {
    let state = match prepared.state {
        State::PrepareCommit => State::CompleteCommit,
        _ => State::CompleteAbort,
    };
    Transaction {
        producer: after_end(prepared),
        previous_id: Some(prepared.producer.id),
        next_id: None,
        state,
        partitions: Arc::default(),
        updated_at: at,
        ..prepared.clone()
    }
}
