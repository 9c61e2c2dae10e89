//! What `__transaction_state` says: transactional ids and how far their last transactions have come. Changed by replay
//! only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::record::TxnRecord;
use crate::coordinator::shard::Producer;
use crate::types::{Ms, PartitionIndex, ProducerId, TopicName, TransactionVersion};

/// What a producer calls itself over its restarts; shared, since it is kept in many places.
pub type TransactionalId = Arc<str>;

/// Partitions by topic. No topic is without partitions.
pub type Partitions = BTreeMap<TopicName, BTreeSet<PartitionIndex>>;

/// The hard state of a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hard {
    /// Every transactional id there is.
    pub transactions: BTreeMap<TransactionalId, Transaction>,
}

impl Hard {
    /// What the log says of a transactional id.
    pub fn get(&self, id: &str) -> Option<&Transaction> {
        self.transactions.get(id)
    }

    pub(super) fn replay(&mut self, record: TxnRecord) {
        match record.transaction {
            Some(transaction) => drop(self.transactions.insert(record.id, transaction)),
            None => drop(self.transactions.remove(&record.id)),
        }
    }
}

/// How far a transaction has come.
///
/// Kafka has two more that are in no log: `Dead`, for an id that is being forgotten, and `PrepareEpochFence`, for one
/// whose producer is being fenced. Here both happen at once with the record that says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// There is none.
    Empty,
    /// It has partitions, or is about to.
    Ongoing,
    /// It will be committed; markers are owed.
    PrepareCommit,
    /// It will be aborted; markers are owed.
    PrepareAbort,
    /// It was committed, and each partition says so.
    CompleteCommit,
    /// It was aborted, and each partition says so.
    CompleteAbort,
}

/// Kafka's names of states that are in no log.
const NEVER_KEPT: [&str; 2] = ["Dead", "PrepareEpochFence"];

impl State {
    const ALL: [(State, i8, &str); 6] = [
        (State::Empty, 0, "Empty"),
        (State::Ongoing, 1, "Ongoing"),
        (State::PrepareCommit, 2, "PrepareCommit"),
        (State::PrepareAbort, 3, "PrepareAbort"),
        (State::CompleteCommit, 4, "CompleteCommit"),
        (State::CompleteAbort, 5, "CompleteAbort"),
    ];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        State::ALL[self as usize].2
    }

    /// The state of that name; `None` if there is none, or none that lasts.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.iter().find(|(_, _, its)| *its == name).map(|(state, ..)| *state)
    }

    /// True for the names of all states of Kafka.
    pub fn is_name(name: &str) -> bool {
        State::from_name(name).is_some() || NEVER_KEPT.contains(&name)
    }

    /// The number in records.
    pub fn code(self) -> i8 {
        State::ALL[self as usize].1
    }

    /// The state of a record's number.
    pub fn from_code(code: i8) -> Option<State> {
        State::ALL.iter().find(|(_, its, _)| *its == code).map(|(state, ..)| *state)
    }

    /// True while markers are owed.
    pub fn is_prepared(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }

    /// True if the id may be forgotten: nothing is under way.
    pub fn is_at_rest(self) -> bool {
        matches!(self, State::Empty | State::CompleteCommit | State::CompleteAbort)
    }
}

/// A transactional id, as its last record has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// Who may write under it.
    pub producer: Producer,
    /// The producer id before the last change; none in records without tagged fields.
    pub previous_id: Option<ProducerId>,
    /// The producer id that the next transaction gets, where this one has used up the epochs.
    pub next_id: Option<ProducerId>,
    /// How long a transaction may take, in milliseconds; at least 1.
    pub timeout_ms: i32,
    /// How far it has come.
    pub state: State,
    /// What it has written to, or may have. Shared by the records of one transaction.
    pub partitions: Arc<Partitions>,
    /// When it began; none where no transaction ever did since the producer was initialized.
    pub started_at: Option<Ms>,
    /// When anything changed last.
    pub updated_at: Ms,
    /// The version of transactions that ended it, or is to.
    pub client_version: TransactionVersion,
}

impl Transaction {
    /// True if it is in there.
    pub fn has(&self, topic: &str, partition: PartitionIndex) -> bool {
        self.partitions.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// True if it was open for longer than it may.
    pub fn is_timed_out(&self, now: Ms) -> bool {
        // Kafka's word for "no timeout", as transactions with two phases have it.
        let never = self.timeout_ms == i32::MAX;
        let began = self.started_at.unwrap_or(now);
        self.state == State::Ongoing && !never && began.saturating_add(Ms::from(self.timeout_ms)) < now
    }
}
