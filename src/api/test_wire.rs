//! Requests between nodes in tests: written, guarded and read again.

use bytes::BytesMut;
use kafka_protocol::protocol::Request;

use crate::wire::guard;

/// What arrives of `request`.
pub(super) fn over_the_wire<R: Request>(version: i16, request: &R) -> R {
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes, version).unwrap();
    let mut bytes = bytes.freeze();
    guard::check(R::KEY, version, &bytes, &guard::Limits::default()).unwrap();
    let arrived = R::decode(&mut bytes, version).unwrap();
    assert!(bytes.is_empty());
    arrived
}
