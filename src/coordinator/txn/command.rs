//! What the transaction coordinator is asked, and what it answers: the requests' content without their wire form.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::state::{Partitions, State, Transaction, TransactionalId};
use crate::coordinator::shard::Producer;
use crate::types::{ErrorCode, Ms, PartitionIndex, ProducerId, TopicName, TransactionVersion};

/// A request to a shard. All transactional ids named in it belong to the shard's partition.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// InitProducerId, of a producer that has a transactional id.
    InitProducerId(InitProducerId),
    /// AddPartitionsToTxn, one transaction; AddOffsetsToTxn, with the partition of the group.
    AddPartitions(AddPartitions),
    /// AddPartitionsToTxn that only asks whether they were added.
    Verify(Verify),
    /// EndTxn.
    End(EndTxn),
    /// DescribeTransactions, one id.
    Describe(TransactionalId),
    /// ListTransactions.
    List(ListTransactions),
    /// Who does the shard's work in the world waits for some. There is one of that kind.
    Work {
        /// True if it begins: all that was handed out before is handed out again.
        anew: bool,
    },
    /// A piece of work is done, in part at least.
    MarkersWritten(MarkersWritten),
    /// Producer ids that were asked for, or why there are none now.
    ProducerIds(Result<Vec<ProducerId>, ErrorCode>),
}

/// The answer to a [`Command`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Command::InitProducerId`].
    InitProducerId(Result<Producer, ErrorCode>),
    /// To [`Command::AddPartitions`]: all of them, or none.
    Added(Result<(), ErrorCode>),
    /// To [`Command::Verify`]: an error for all, or each one's, in the order asked.
    Verified(Result<Vec<(TopicName, Vec<(PartitionIndex, ErrorCode)>)>, ErrorCode>),
    /// To [`Command::End`]: who the producer is in its next transaction.
    Ended(Result<Producer, ErrorCode>),
    /// To [`Command::Describe`]; none if there is no such id.
    Described(Option<Transaction>),
    /// To [`Command::List`], in the order of the ids.
    Listed(Vec<Listed>),
    /// To [`Command::Work`].
    Work(Vec<Work>),
    /// To [`Command::MarkersWritten`] and [`Command::ProducerIds`].
    Noted,
}

/// InitProducerId (KIP-98, KIP-360). The id is not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct InitProducerId {
    /// The producer's name.
    pub id: TransactionalId,
    /// How long its transactions may take, in milliseconds.
    pub timeout_ms: i32,
    /// Who it takes itself for, if it goes on after an error.
    pub expected: Option<Producer>,
}

/// AddPartitionsToTxn. The id is not empty, and the partitions are there.
#[derive(Clone, Debug, PartialEq)]
pub struct AddPartitions {
    /// The producer's name.
    pub id: TransactionalId,
    /// Who it takes itself for.
    pub producer: Producer,
    /// What it is about to write to.
    pub partitions: Partitions,
    /// The version of transactions that it follows.
    pub version: TransactionVersion,
}

/// AddPartitionsToTxn, `verify_only` (KIP-890).
#[derive(Clone, Debug, PartialEq)]
pub struct Verify {
    /// The producer's name.
    pub id: TransactionalId,
    /// Who it takes itself for.
    pub producer: Producer,
    /// What is looked for in its transaction.
    pub partitions: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// EndTxn. The id is not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct EndTxn {
    /// The producer's name.
    pub id: TransactionalId,
    /// Who it takes itself for.
    pub producer: Producer,
    /// True to commit, false to abort.
    pub commit: bool,
    /// The version of transactions that it follows.
    pub version: TransactionVersion,
}

/// ListTransactions: each filter that is there must let a transaction pass.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ListTransactions {
    /// States that pass.
    pub states: Option<BTreeSet<State>>,
    /// Producer ids that pass.
    pub producer_ids: Option<BTreeSet<ProducerId>>,
    /// What began longer ago passes.
    pub longer_than_ms: Option<Ms>,
}

/// A transaction in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The producer's name.
    pub id: TransactionalId,
    /// Its number.
    pub producer_id: ProducerId,
    /// How far the transaction has come.
    pub state: State,
}

/// What a shard wants done in the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Have the end of a transaction written to its partitions. The record that says so is replicated.
    WriteMarkers(Markers),
    /// Get this many producer ids.
    GetProducerIds(usize),
}

/// Markers that are owed.
#[derive(Clone, Debug, PartialEq)]
pub struct Markers {
    /// Whose transaction.
    pub id: TransactionalId,
    /// Says in [`MarkersWritten`] which transaction was meant.
    pub token: u64,
    /// The producer that the markers name.
    pub producer: Producer,
    /// True if it is committed, false if aborted.
    pub committed: bool,
    /// The version of transactions, by which leaders judge the epoch (KIP-1228).
    pub version: TransactionVersion,
    /// Where to.
    pub partitions: Arc<Partitions>,
}

/// Markers that are not owed any more: written, or their partitions are gone.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkersWritten {
    /// Whose transaction.
    pub id: TransactionalId,
    /// See [`Markers::token`].
    pub token: u64,
    /// Where.
    pub partitions: Partitions,
}
