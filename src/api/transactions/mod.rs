//! Transactions, as their coordinators see them: who a producer is, what it writes to, how it ends.
//!
//! Handlers turn requests into commands of [`crate::coordinator::txn`], send them to the shard that keeps the transactional
//! id, and turn what it says into answers. Those who write to partitions ask the coordinator through [`TxnVerifier`], wherever
//! it is; what it decides comes back to the partitions in [`WriteTxnMarkers`].

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod describe_transactions;
mod end_txn;
mod init_producer_id;
mod list_transactions;
mod txn_offset_commit;
mod verification;
mod verify;
mod write_txn_markers;

use std::sync::Arc;

pub use add_offsets_to_txn::AddOffsetsToTxn;
pub use add_partitions_to_txn::{AddPartitionsToTxn, add_partitions};
pub use describe_transactions::DescribeTransactions;
pub use end_txn::EndTxn;
pub use init_producer_id::InitProducerId;
pub use list_transactions::ListTransactions;
pub use txn_offset_commit::TxnOffsetCommit;
pub(super) use verification::{Looked, Verified, verify_produce};
pub use verify::{AskCoordinator, TxnVerifier, in_process, over_the_network};
pub use write_txn_markers::{WriteTxnMarkers, write_markers};

use super::internal_topics::TRANSACTION_STATE;
use crate::api::{Broker, RequestContext};
use crate::coordinator::routing::partition_for;
use crate::coordinator::runtime::Refused;
use crate::coordinator::txn::state::TransactionalId;
use crate::coordinator::txn::{Command, Reply};
use crate::types::{ErrorCode, PartitionIndex};

/// The longest transactional id: what a record's key can hold.
const ID_BYTES_MAX: usize = i16::MAX as usize;

/// The partition of `__transaction_state` that keeps `id`; NOT_COORDINATOR while the topic is not there.
pub(super) fn partition_of(broker: &Broker, id: &str) -> Result<PartitionIndex, Refused> {
    let image = broker.image();
    let topic = image.topics().get(TRANSACTION_STATE).ok_or(Refused::NotCoordinator)?;
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if partitions == 0 { Err(Refused::NotCoordinator) } else { Ok(partition_for(id, partitions)) }
}

/// Asks the shard that keeps `id`, if it is on this broker.
async fn ask(broker: &Broker, id: &str, command: Command) -> Result<Reply, ErrorCode> {
    let partition = partition_of(broker, id).map_err(Refused::error_code)?;
    broker.transactions.request(partition, command).await.map_err(Refused::error_code)
}

/// A transactional id that outlives the request it came in, if it can be one.
fn kept(id: &str) -> Result<TransactionalId, ErrorCode> {
    match id.len() {
        1..=ID_BYTES_MAX => Ok(Arc::from(id)),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

/// The error as a client of the request's version knows it: before `fenced_from` there was no PRODUCER_FENCED (KIP-588).
fn answerable(cx: &RequestContext, error: ErrorCode, fenced_from: i16) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced if cx.version < fenced_from => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}

/// A reply of another kind than the command's cannot be; if it is, the client hears of an error of ours.
fn mismatched(reply: &Reply) -> ErrorCode {
    tracing::error!(?reply, "the coordinator answered another command than was sent");
    ErrorCode::UnknownServerError
}
