//! The Envelope around a request that is passed on (KIP-590): the request as its client would have sent it, who the client
//! is and where. The answer comes back the same way, and with it where the controller's metadata log was (a tagged field
//! of ours).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable as _, HeaderVersion as _, Request};

use super::super::active::Asker;
use super::super::service::ControllerError;
use super::error_of;
use crate::schema::api::{EnvelopeRequest, EnvelopeResponse};
use crate::schema::messages::default_principal_data::DefaultPrincipalData;
use crate::types::Offset;
use crate::wire::guard;
use crate::wire::header::{decode_response, encode_request};
use crate::wire::versions::known;

/// The only version.
pub const VERSION: i16 = 0;
/// Tag of ours in the answer: the offset of the controller's newest image, 8 bytes.
pub const TAG_OFFSET: i32 = 10_000;
/// A principal has no more bytes than this.
const PRINCIPAL_BYTES_MAX: usize = 64 << 10;
const PRINCIPAL_VERSION: i16 = 0;

/// Puts `request` into an Envelope, without a principal where the broker asks for itself.
///
/// # Errors
///
/// If it cannot be written, a bug of whoever made it.
pub fn wrap<R: Request>(asker: Option<&Asker>, version: i16, request: &R) -> Result<EnvelopeRequest, String> {
    let api = known(R::KEY)
        .filter(|api| api.supports(version))
        .ok_or_else(|| format!("there is no version {version} of API {}", R::KEY))?;
    let size = request.compute_size(version).map_err(|e| format!("{e:#}"))?;
    let mut data = BytesMut::with_capacity(size + 64);
    encode_request(&mut data, api, version, 0, None);
    request.encode(&mut data, version).map_err(|e| format!("{e:#}"))?;
    let principal = asker.map(|asker| principal_to_wire(&asker.principal)).transpose()?;
    let address = asker.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |asker| asker.address);
    Ok(EnvelopeRequest::default()
        .with_request_data(data.freeze())
        .with_request_principal(principal)
        .with_client_host_address(address_to_wire(address)))
}

/// Takes the answer to a request of `version` out of its Envelope.
///
/// # Errors
///
/// What the Envelope says, or that the answer in it cannot be read: then the request may have been carried out.
pub fn unwrap<R: Request>(
    version: i16,
    envelope: EnvelopeResponse,
) -> Result<(R::Response, Option<Offset>), ControllerError> {
    if let Some(error) = error_of(envelope.error_code, None) {
        return Err(error.into());
    }
    let offset = envelope.unknown_tagged_fields.get(&TAG_OFFSET);
    let offset = offset.and_then(|bytes| Some(i64::from_be_bytes(*bytes.first_chunk()?)));
    let unreadable = |why: String| {
        tracing::warn!(api = R::KEY, "the controller's answer cannot be read: {why}");
        ControllerError::TimedOut
    };
    let mut body = envelope.response_data.unwrap_or_default();
    decode_response(&mut body, R::Response::header_version(version))
        .map_err(|e| unreadable(e.to_string()))?;
    guard::check_response(R::KEY, version, &body, &guard::Limits::default())
        .map_err(|e| unreadable(e.to_string()))?;
    let response = R::Response::decode(&mut body, version).map_err(|e| unreadable(format!("{e:#}")))?;
    Ok((response, offset))
}

/// A principal such as `User:alice` as Kafka's default serialisation has it.
fn principal_to_wire(principal: &str) -> Result<Bytes, String> {
    let (principal_type, name) = principal.split_once(':').unwrap_or(("User", principal));
    let (principal_type, name) = (principal_type.to_owned(), name.to_owned());
    let data = DefaultPrincipalData { principal_type, name, token_authenticated: false };
    let mut bytes = BytesMut::new();
    bytes.put_i16(PRINCIPAL_VERSION);
    data.encode(&mut bytes, PRINCIPAL_VERSION).map_err(|e| e.to_string())?;
    Ok(bytes.freeze())
}

/// The principal in an Envelope; `None` if the bytes are none.
pub fn principal_from_wire(mut bytes: Bytes) -> Option<Arc<str>> {
    if bytes.len() > PRINCIPAL_BYTES_MAX || bytes.try_get_i16().ok()? != PRINCIPAL_VERSION {
        return None;
    }
    let data = DefaultPrincipalData::decode(&mut bytes, PRINCIPAL_VERSION).ok()?;
    let whole = bytes.is_empty() && !data.principal_type.is_empty() && !data.principal_type.contains(':');
    whole.then(|| format!("{}:{}", data.principal_type, data.name).into())
}

fn address_to_wire(address: IpAddr) -> Bytes {
    match address.to_canonical() {
        IpAddr::V4(v4) => Bytes::copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => Bytes::copy_from_slice(&v6.octets()),
    }
}

/// The client's address in an Envelope; `None` if the bytes are none.
pub fn address_from_wire(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::command::ApiError;
    use crate::schema::api::{UnregisterBrokerRequest, UnregisterBrokerResponse};
    use crate::types::ErrorCode;
    use crate::wire::header::{RequestHeader, encode_response};
    use kafka_protocol::protocol::Encodable as _;

    #[test]
    fn a_request_and_who_asks_come_out_as_they_went_in() {
        let asker = Asker { principal: "User:a:b".into(), address: "::1".parse().unwrap() };
        let request = UnregisterBrokerRequest::default().with_broker_id(7.into());
        let envelope = wrap(Some(&asker), 0, &request).unwrap();
        let principal = envelope.request_principal.unwrap();
        assert_eq!(principal_from_wire(principal).as_deref(), Some("User:a:b"));
        assert_eq!(address_from_wire(&envelope.client_host_address), Some(asker.address));
        let mut body = envelope.request_data;
        let header = RequestHeader::decode(&mut body).unwrap();
        assert_eq!((header.api.key, header.version), (64, 0));
        assert_eq!(UnregisterBrokerRequest::decode(&mut body, 0).unwrap(), request);
        assert_eq!(wrap(None, 0, &request).unwrap().request_principal, None);
        assert!(wrap(None, 9, &request).is_err());
    }

    #[test]
    fn the_answer_comes_with_the_offset() {
        let response = UnregisterBrokerResponse::default().with_error_code(5);
        let mut data = BytesMut::new();
        encode_response(&mut data, 1, 0);
        response.encode(&mut data, 0).unwrap();
        let mut envelope = EnvelopeResponse::default().with_response_data(Some(data.freeze()));
        let whole = envelope.clone();
        let open = |envelope| unwrap::<UnregisterBrokerRequest>(0, envelope);
        assert_eq!(open(envelope.clone()), Ok((response.clone(), None)));
        envelope.unknown_tagged_fields.insert(TAG_OFFSET, Bytes::copy_from_slice(&77i64.to_be_bytes()));
        assert_eq!(open(envelope.clone()), Ok((response, Some(77))));
        // What cannot be read may have been done.
        let data = whole.response_data.clone().unwrap();
        for cut in 0..data.len() {
            let envelope = whole.clone().with_response_data(Some(data.slice(..cut)));
            assert_eq!(open(envelope), Err(ControllerError::TimedOut), "{cut}");
        }
        let refused = EnvelopeResponse::default().with_error_code(31);
        let error: ApiError = ErrorCode::ClusterAuthorizationFailed.into();
        assert_eq!(open(refused), Err(error.into()));
    }

    #[test]
    fn bytes_that_are_no_principal_or_address_are_none() {
        let good = principal_to_wire("User:alice").unwrap();
        for cut in 0..good.len() {
            assert_eq!(principal_from_wire(good.slice(..cut)), None, "{cut}");
        }
        let mut longer = good.to_vec();
        longer.push(0);
        assert_eq!(principal_from_wire(longer.into()), None);
        let mut newer = good.to_vec();
        newer[1] = 1;
        assert_eq!(principal_from_wire(newer.into()), None);
        assert_eq!(principal_from_wire(vec![0xff; 100].into()), None);
        for length in [0, 3, 5, 15, 17] {
            assert_eq!(address_from_wire(&vec![1; length]), None);
        }
    }
}
