//! InitProducerId: who a producer is from now on (KIP-98, KIP-360).
//!
//! One without a transactional id gets an id that nobody had before. One with such an id is asked after at its
//! coordinator, which fences whoever used it until now.

use kafka_protocol::messages::ProducerId;

use super::{answerable, ask, kept, mismatched};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::shard::Producer;
use crate::coordinator::txn::command::InitProducerId as Init;
use crate::coordinator::txn::{Command, Reply};
use crate::schema::api::{InitProducerIdRequest, InitProducerIdResponse};
use crate::types::ErrorCode;

/// From this version on clients know PRODUCER_FENCED (KIP-588).
const FENCED_FROM: i16 = 4;

/// Key 22.
pub struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;
    const KEY: i16 = 22;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Broker;
    const PARKS: bool = true;

    async fn handle(cx: &RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let response =
            InitProducerIdResponse::default().with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
        match init(cx, &request).await {
            Ok(producer) => {
                response.with_producer_id(ProducerId(producer.id)).with_producer_epoch(producer.epoch)
            }
            Err(error) => response.with_error_code(answerable(cx, error, FENCED_FROM).code()),
        }
    }
}

async fn init(cx: &RequestContext, request: &InitProducerIdRequest) -> Result<Producer, ErrorCode> {
    let expected = match (request.producer_id.0, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Err(ErrorCode::InvalidRequest),
        (id, epoch) => Some(Producer { id, epoch }),
    };
    let Some(id) = &request.transactional_id else {
        // One that asks again gets a new id, whatever it had.
        let id = cx.broker.producer_ids.next(&cx.broker).await?;
        return Ok(Producer { id, epoch: 0 });
    };
    let id = kept(id)?;
    let init = Init { id: id.clone(), timeout_ms: request.transaction_timeout_ms, expected };
    match ask(&cx.broker, &id, Command::InitProducerId(init)).await? {
        Reply::InitProducerId(producer) => producer,
        other => Err(mismatched(&other)),
    }
}
