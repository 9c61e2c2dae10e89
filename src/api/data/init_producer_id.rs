//! InitProducerId: an id for an idempotent producer (KIP-98).
//!
//! Ids come in blocks from the controller, so that a producer rarely waits for the metadata log.

use kafka_protocol::messages::ProducerId;

use crate::api::{Api, On, RequestContext};
use crate::schema::api::{InitProducerIdRequest, InitProducerIdResponse};
use crate::types::ErrorCode;

/// Key 22.
pub struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;
    const KEY: i16 = 22;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let response =
            InitProducerIdResponse::default().with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
        let refused = match &request.transactional_id {
            // The protocol's own word for an empty id.
            Some(id) if id.is_empty() => Some(ErrorCode::InvalidRequest),
            // Transactions are not served; the answer must end the attempt rather than have it repeated.
            Some(_) => Some(ErrorCode::TransactionalIdAuthorizationFailed),
            None => None,
        };
        if let Some(error) = refused {
            return response.with_error_code(error.code());
        }
        // An idempotent producer that asks again gets a new id, whatever it had (KIP-360 lets it keep nothing).
        match cx.broker.producer_ids.next(&cx.broker).await {
            Ok(id) => response.with_producer_id(ProducerId(id)).with_producer_epoch(0),
            Err(error) => response.with_error_code(error.code()),
        }
    }
}
