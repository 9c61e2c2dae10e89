//! EndTxn: a producer commits or aborts (KIP-98, KIP-890).

use kafka_protocol::messages::ProducerId;

use super::{answerable, ask, kept, mismatched};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::shard::Producer;
use crate::coordinator::txn::command::EndTxn as End;
use crate::coordinator::txn::{Command, Reply};
use crate::schema::api::{EndTxnRequest, EndTxnResponse};
use crate::types::{ErrorCode, TransactionVersion};

/// From this version on clients know PRODUCER_FENCED (KIP-588).
const FENCED_FROM: i16 = 2;
/// From this version on each transaction has an epoch of its own, and the answer tells it (KIP-890).
const EPOCH_FROM: i16 = 5;

/// Key 26.
pub struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;
    type Response = EndTxnResponse;
    const KEY: i16 = 26;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Broker;
    const PARKS: bool = true;

    async fn handle(cx: &RequestContext, request: EndTxnRequest) -> EndTxnResponse {
        let response = EndTxnResponse::default();
        match end(cx, &request).await {
            Ok(producer) if cx.version >= EPOCH_FROM => {
                response.with_producer_id(ProducerId(producer.id)).with_producer_epoch(producer.epoch)
            }
            Ok(_) => response,
            Err(error) => response.with_error_code(answerable(cx, error, FENCED_FROM).code()),
        }
    }
}

async fn end(cx: &RequestContext, request: &EndTxnRequest) -> Result<Producer, ErrorCode> {
    let id = kept(&request.transactional_id)?;
    let version = match cx.version >= EPOCH_FROM {
        true => TransactionVersion::V2,
        false => TransactionVersion::V0,
    };
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let end = End { id: id.clone(), producer, commit: request.committed, version };
    match ask(&cx.broker, &id, Command::End(end)).await? {
        Reply::Ended(ended) => ended,
        other => Err(mismatched(&other)),
    }
}
