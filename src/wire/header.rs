//! The headers of requests and responses.
//!
//! A request's header says by itself in which version it is written, through the API's key and version.
//! Client ids are slices of the frame.

use bytes::{Buf as _, BufMut, Bytes};
use kafka_protocol::protocol::StrBytes;

use super::versions::{ApiVersion, known};
use crate::schema::codec::{get_varint, put_varint};

/// Tagged fields that a header may have; Kafka 4.4 knows none.
const TAGGED_FIELDS_MAX: u32 = 64;
/// Bytes before the client id: key, version, correlation id.
const FIXED_BYTES: usize = 8;

/// Why a frame does not begin with a header. Kafka closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The frame ends inside the header.
    #[error("the frame ends inside the header")]
    Short,
    /// Kafka has no API with this key, or no more.
    #[error("there is no API with the key {0}")]
    UnknownApi(i16),
    /// A length in the header is not possible.
    #[error("a length in the header is not possible")]
    Length,
    /// The client id is not UTF-8.
    #[error("the client id is not UTF-8")]
    ClientId,
}

/// What stands before a request's body.
#[derive(Clone, Debug)]
pub struct RequestHeader {
    /// The API, one that Kafka 4.4 has or one of our own.
    pub api: &'static ApiVersion,
    /// The version of the request, which may be one that does not exist; see [`RequestHeader::is_supported`].
    pub version: i16,
    /// What the response must repeat.
    pub correlation_id: i32,
    /// What the client calls itself; a slice of the frame, so copy it before keeping it.
    pub client_id: Option<StrBytes>,
}

impl RequestHeader {
    /// Takes the header from the front of a frame; the body is left.
    ///
    /// # Errors
    ///
    /// If the frame does not begin with a header of a known API. A version that does not exist is no error
    /// here: for ApiVersions it must be answered (KIP-511), for others the connection is closed.
    pub fn decode(frame: &mut Bytes) -> Result<RequestHeader, HeaderError> {
        if frame.len() < FIXED_BYTES {
            return Err(HeaderError::Short);
        }
        let key = frame.get_i16();
        let api = known(key).filter(|api| !api.versions.is_empty()).ok_or(HeaderError::UnknownApi(key))?;
        let version = frame.get_i16();
        let correlation_id = frame.get_i32();
        let client_id = match frame.try_get_i16().map_err(|_| HeaderError::Short)? {
            -1 => None,
            len => {
                let len = usize::try_from(len).map_err(|_| HeaderError::Length)?;
                if len > frame.len() {
                    return Err(HeaderError::Short);
                }
                Some(StrBytes::from_utf8(frame.split_to(len)).map_err(|_| HeaderError::ClientId)?)
            }
        };
        if api.request_header_version(version) >= 2 {
            skip_tagged(frame)?;
        }
        Ok(RequestHeader { api, version, correlation_id, client_id })
    }

    /// Whether Kafka 4.4 has this version of the API.
    pub fn is_supported(&self) -> bool {
        self.api.supports(self.version)
    }

    /// The version of the header that the response needs.
    pub fn response_header_version(&self) -> i16 {
        self.api.response_header_version(self.version)
    }
}

fn skip_tagged(frame: &mut Bytes) -> Result<(), HeaderError> {
    let varint = |frame: &mut Bytes| get_varint(frame).map_err(|_| HeaderError::Length);
    let count = varint(frame)?;
    if count > TAGGED_FIELDS_MAX {
        return Err(HeaderError::Length);
    }
    for _ in 0..count {
        varint(frame)?;
        let size = varint(frame)? as usize;
        if size > frame.len() {
            return Err(HeaderError::Short);
        }
        frame.advance(size);
    }
    Ok(())
}

/// Appends a request's header, for our own client. A client id longer than 32,767 bytes is left out.
pub fn encode_request<B: BufMut>(
    buf: &mut B,
    api: &ApiVersion,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) {
    buf.put_i16(api.key);
    buf.put_i16(version);
    buf.put_i32(correlation_id);
    match client_id.and_then(|id| i16::try_from(id.len()).ok().map(|len| (len, id))) {
        Some((len, id)) => {
            buf.put_i16(len);
            buf.put_slice(id.as_bytes());
        }
        None => buf.put_i16(-1),
    }
    if api.request_header_version(version) >= 2 {
        put_varint(buf, 0);
    }
}

/// Appends a response's header; `header_version` is [`ApiVersion::response_header_version`].
pub fn encode_response<B: BufMut>(buf: &mut B, header_version: i16, correlation_id: i32) {
    buf.put_i32(correlation_id);
    if header_version >= 1 {
        put_varint(buf, 0);
    }
}

/// Takes a response's header from the front of a frame: the correlation id. The body is left.
///
/// # Errors
///
/// If the frame ends inside the header or its tagged fields are not possible.
pub fn decode_response(frame: &mut Bytes, header_version: i16) -> Result<i32, HeaderError> {
    let correlation_id = frame.try_get_i32().map_err(|_| HeaderError::Short)?;
    if header_version >= 1 {
        skip_tagged(frame)?;
    }
    Ok(correlation_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;

    fn request(key: i16, version: i16, client_id: Option<&str>) -> Bytes {
        let mut buf = BytesMut::new();
        encode_request(&mut buf, known(key).unwrap(), version, 77, client_id);
        buf.put_slice(b"body");
        buf.freeze()
    }

    #[test]
    fn requests_come_back_in_both_header_versions() {
        for (key, version, client_id) in
            [(0, 3, Some("c")), (0, 9, None), (18, 0, Some("")), (18, 99, Some("x"))]
        {
            let mut frame = request(key, version, client_id);
            let header = RequestHeader::decode(&mut frame).unwrap();
            assert_eq!((header.api.key, header.version, header.correlation_id), (key, version, 77));
            assert_eq!(header.client_id.as_deref(), client_id);
            assert_eq!(&frame[..], b"body");
        }
    }

    #[test]
    fn an_api_versions_of_the_future_is_read_and_known_as_unsupported() {
        let header = RequestHeader::decode(&mut request(18, 99, None)).unwrap();
        assert!(!header.is_supported());
        assert_eq!(header.response_header_version(), 0);
    }

    #[test]
    fn hostile_headers_are_errors() {
        let decode = |bytes: &[u8]| RequestHeader::decode(&mut Bytes::copy_from_slice(bytes)).map(|_| ());
        assert_eq!(decode(&[]), Err(HeaderError::Short));
        assert_eq!(decode(&[0, 0, 0, 9, 0, 0, 0]), Err(HeaderError::Short));
        assert_eq!(decode(&[0, 0, 0, 9, 0, 0, 0, 1]), Err(HeaderError::Short));
        assert_eq!(decode(&[0, 4, 0, 0, 0, 0, 0, 1, 255, 255]), Err(HeaderError::UnknownApi(4)));
        assert_eq!(decode(&[1, 4, 0, 0, 0, 0, 0, 1, 255, 255]), Err(HeaderError::UnknownApi(260)));
        assert_eq!(decode(&[0, 0, 0, 3, 0, 0, 0, 1, 255, 254]), Err(HeaderError::Length));
        assert_eq!(decode(&[0, 0, 0, 3, 0, 0, 0, 1, 127, 255, 0]), Err(HeaderError::Short));
        assert_eq!(decode(&[0, 0, 0, 3, 0, 0, 0, 1, 0, 1, 255]), Err(HeaderError::ClientId));
        assert_eq!(decode(&[0, 0, 0, 9, 0, 0, 0, 1, 255, 255, 0xff, 0x0f]), Err(HeaderError::Length));
        assert_eq!(decode(&[0, 0, 0, 9, 0, 0, 0, 1, 255, 255, 1, 5, 9, 1]), Err(HeaderError::Short));
        assert_eq!(decode(&[0, 0, 0, 9, 0, 0, 0, 1, 255, 255, 1, 5, 1, 1]), Ok(()));
    }

    #[test]
    fn responses_come_back() {
        for version in [0, 1] {
            let mut buf = BytesMut::new();
            encode_response(&mut buf, version, -5);
            assert_eq!(buf.len(), 4 + version as usize);
            assert_eq!(decode_response(&mut buf.freeze(), version), Ok(-5));
        }
        assert_eq!(decode_response(&mut Bytes::from_static(&[0, 0, 0]), 0), Err(HeaderError::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40), key in 0i16..95) {
            let mut known = BytesMut::new();
            known.put_i16(key);
            known.put_slice(&bytes);
            let _ = RequestHeader::decode(&mut known.freeze());
            let _ = RequestHeader::decode(&mut Bytes::from(bytes));
        }
    }
}
