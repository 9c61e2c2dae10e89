//! Blocks of producer ids (KIP-730).

use crate::schema::metadata::ProducerIdsRecord;
use crate::types::{BrokerEpoch, Bug, ErrorCode, NodeId};

use super::super::command::{ApiError, Reply};
use super::{Decision, Facts};

/// Ids in a block, as in Kafka.
pub const BLOCK: i32 = 1000;

pub(super) fn allocate(
    facts: &Facts<'_>,
    broker_id: NodeId,
    broker_epoch: BrokerEpoch,
) -> Result<Decision, ApiError> {
    facts.broker_in_epoch(broker_id, broker_epoch)?;
    let first = facts.image.producer_ids().next();
    let Some(next_producer_id) = first.checked_add(BLOCK.into()) else {
        return Err(ApiError::new(
            ErrorCode::UnknownServerError,
            "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit",
        ));
    };
    let next_producer_id = if Bug::ReusedProducerIds.is_planted() { first } else { next_producer_id };
    let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
    Ok(Decision { records: vec![record.into()], reply: Reply::ProducerIds { first, count: BLOCK } })
}
