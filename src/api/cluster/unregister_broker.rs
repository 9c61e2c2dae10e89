//! UnregisterBroker: forgets a broker that will not come back (KIP-631).

use crate::api::controller_gate::{DEFAULT_WAIT, submit};
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::Command;
use crate::schema::api::{UnregisterBrokerRequest, UnregisterBrokerResponse};

/// Key 64.
pub struct UnregisterBroker;

impl Api for UnregisterBroker {
    type Request = UnregisterBrokerRequest;
    type Response = UnregisterBrokerResponse;
    const KEY: i16 = 64;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
        let response = UnregisterBrokerResponse::default().with_error_message(None);
        match submit(cx, Command::UnregisterBroker(request.broker_id.0), DEFAULT_WAIT).await {
            Ok(_done) => response,
            Err(error) => {
                let (code, message) = code_and_message(&error);
                response.with_error_code(code).with_error_message(message)
            }
        }
    }
}
