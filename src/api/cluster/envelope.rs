//! Envelope: a broker passes a client's request on to the active controller (KIP-590).
//!
//! The request within begins as any other does, the guard included, in the name of the client that the Envelope names.
//! Only what Kafka passes on may be in one; an Envelope may not.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::api::response::{Part, Response};
use crate::api::{Answer, Api, On, RequestContext, registry};
use crate::controller::remote::envelope::{TAG_OFFSET, address_from_wire, principal_from_wire};
use crate::schema::api::{EnvelopeRequest, EnvelopeResponse};
use crate::types::ErrorCode;
use crate::wire::header::RequestHeader;

/// What Kafka's brokers pass on, as far as it is an API of controllers: topics, ACLs, configurations, delegation tokens,
/// elections, reassignments, quotas, SCRAM credentials, the quorum and its voters, features, brokers that are gone.
const FORWARDABLE: &[i16] =
    &[19, 20, 30, 31, 33, 37, 38, 39, 40, 43, 44, 45, 46, 49, 51, 55, 57, 64, 80, 81, 94];
/// The length before an answer, which an Envelope's content does not have.
const LENGTH_BYTES: usize = 4;

/// Key 58.
pub struct Envelope;

impl Api for Envelope {
    type Request = EnvelopeRequest;
    type Response = EnvelopeResponse;
    const KEY: i16 = 58;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: EnvelopeRequest) -> EnvelopeResponse {
        let refused = |error: ErrorCode| EnvelopeResponse::default().with_error_code(error.code());
        let leads = || cx.broker.quorum.leadership().borrow().is_me;
        if !leads() {
            return refused(ErrorCode::NotController);
        }
        let answered = match open(cx, request) {
            Ok((connection, answer)) => match answer_of(answer).await {
                // What was done by a controller that is not active any more was not done, as far as anybody knows.
                _ if connection.met_no_controller() => Err(ErrorCode::NotController),
                answered => answered,
            },
            Err(error) => Err(error),
        };
        let mut response = match answered {
            Ok(data) => EnvelopeResponse::default().with_response_data(Some(data)),
            Err(error) => return refused(error),
        };
        let offset = cx.broker.quorum.image().offset();
        response.unknown_tagged_fields.insert(TAG_OFFSET, Bytes::copy_from_slice(&offset.to_be_bytes()));
        response
    }
}

/// Begins the request within.
fn open(
    cx: &RequestContext,
    envelope: EnvelopeRequest,
) -> Result<(Arc<crate::api::ConnectionInfo>, Answer), ErrorCode> {
    let principal = match envelope.request_principal {
        Some(bytes) => principal_from_wire(bytes).ok_or(ErrorCode::PrincipalDeserializationFailure)?,
        // The broker asks for itself.
        None => Arc::clone(&cx.connection.listener.principal),
    };
    let address = address_from_wire(&envelope.client_host_address).ok_or(ErrorCode::InvalidRequest)?;
    check_header(&envelope.request_data)?;
    let connection = Arc::new(cx.connection.of_forwarded(principal, address));
    let answer = registry::begin(&cx.broker, &connection, envelope.request_data);
    Ok((connection, answer))
}

/// A request that cannot be understood is answered as one of an unknown version, so that it is told from an Envelope that
/// cannot, as Kafka does.
fn check_header(request: &Bytes) -> Result<(), ErrorCode> {
    let header = RequestHeader::decode(&mut request.clone()).map_err(|_| ErrorCode::UnsupportedVersion)?;
    if FORWARDABLE.contains(&header.api.key) { Ok(()) } else { Err(ErrorCode::InvalidRequest) }
}

async fn answer_of(answer: Answer) -> Result<Bytes, ErrorCode> {
    let response = match answer {
        Answer::Ready(response) => Some(response),
        Answer::Later { answer, wait: _ } => answer.await,
        Answer::Nothing => return Err(ErrorCode::InvalidRequest),
        Answer::Close(why) => {
            tracing::debug!("a request that was passed on cannot be answered: {why}");
            return Err(ErrorCode::UnsupportedVersion);
        }
    };
    response.and_then(content).ok_or(ErrorCode::UnknownServerError)
}

/// The answer's header and body; `None` if parts of it lie in files, which no API has that is passed on.
fn content(response: Response) -> Option<Bytes> {
    let mut whole = BytesMut::new();
    for part in response.into_parts() {
        match part {
            Part::Bytes(bytes) => whole.extend_from_slice(&bytes),
            Part::File(_) => return None,
        }
    }
    let mut whole = whole.freeze();
    if whole.len() < LENGTH_BYTES {
        return None;
    }
    whole.advance(LENGTH_BYTES);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::header::encode_request;
    use crate::wire::versions::known;

    fn request(key: i16, version: i16) -> Bytes {
        let mut bytes = BytesMut::new();
        encode_request(&mut bytes, known(key).unwrap(), version, 1, None);
        bytes.freeze()
    }

    #[test]
    fn only_what_brokers_pass_on_is_opened() {
        assert_eq!(check_header(&request(19, 7)), Ok(()));
        // An Envelope within an Envelope, the brokers' own calls, those of clients that go to brokers, and ours.
        for key in [58, 56, 62, 63, 67, 70, 0, 1, 3, 10_000, 10_001] {
            assert_eq!(check_header(&request(key, 0)), Err(ErrorCode::InvalidRequest), "{key}");
        }
        let whole = request(19, 7);
        for cut in 0..whole.len() {
            let verdict = check_header(&whole.slice(..cut));
            assert_eq!(verdict, Err(ErrorCode::UnsupportedVersion), "{cut}");
        }
    }

    #[test]
    fn what_may_be_passed_on_is_served_to_clients_of_controllers() {
        for entry in FORWARDABLE.iter().filter_map(|key| registry::find(*key)) {
            assert_eq!(entry.on, On::Both, "{}", entry.key);
        }
    }
}
