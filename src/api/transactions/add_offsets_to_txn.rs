//! AddOffsetsToTxn: a transaction is about to commit offsets of a group (KIP-98).

use std::sync::Arc;

use super::{answerable, ask, kept, mismatched};
use crate::api::auto_create::auto_create;
use crate::api::{Api, On, RequestContext};
use crate::coordinator::routing::{CONSUMER_OFFSETS, partition_for};
use crate::coordinator::shard::Producer;
use crate::coordinator::txn::command::AddPartitions;
use crate::coordinator::txn::state::Partitions;
use crate::coordinator::txn::{Command, Reply};
use crate::schema::api::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::types::{ErrorCode, TransactionVersion};

/// From this version on clients know PRODUCER_FENCED (KIP-588).
const FENCED_FROM: i16 = 2;

/// Key 25.
pub struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    type Response = AddOffsetsToTxnResponse;
    const KEY: i16 = 25;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;
    const ON: On = On::Broker;
    const PARKS: bool = true;

    async fn handle(cx: &RequestContext, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
        let error = match add(cx, &request).await {
            Ok(()) => ErrorCode::None,
            Err(error) => answerable(cx, error, FENCED_FROM),
        };
        AddOffsetsToTxnResponse::default().with_error_code(error.code())
    }
}

async fn add(cx: &RequestContext, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let id = kept(&request.transactional_id)?;
    // The group may be one that nobody looked for yet.
    auto_create(cx, [CONSUMER_OFFSETS].into_iter()).await;
    let count = cx.broker.image().topics().get(CONSUMER_OFFSETS).map_or(0, |topic| topic.partitions.len());
    let partition = match i32::try_from(count) {
        Ok(count @ 1..) => partition_for(&request.group_id, count),
        Ok(_) | Err(_) => return Err(ErrorCode::CoordinatorNotAvailable),
    };
    let add = AddPartitions {
        id: id.clone(),
        producer: Producer { id: request.producer_id.0, epoch: request.producer_epoch },
        partitions: Partitions::from([(Arc::from(CONSUMER_OFFSETS), [partition].into())]),
        // Clients of later versions of transactions leave this to the group's coordinator.
        version: TransactionVersion::V0,
    };
    match ask(&cx.broker, &id, Command::AddPartitions(add)).await? {
        Reply::Added(added) => added,
        other => Err(mismatched(&other)),
    }
}
