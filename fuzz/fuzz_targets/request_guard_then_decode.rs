//! What the guard lets through, the decoder survives, without asking for much memory at once.
//!
//! Input: API key, version, request or response, then the body.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla::wire::guard::{self, Limits};

#[path = "../../tests/wire/allocations.rs"]
#[allow(dead_code)]
mod allocations;
#[path = "../../tests/wire/dispatch.rs"]
#[allow(dead_code)]
mod dispatch;

fuzz_target!(|data: &[u8]| {
    let Some(([key, version, side], body)) = data.split_first_chunk::<3>() else { return };
    let (key, version) = (i16::from(*key), i16::from(*version));
    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let (side, verdict) = if side % 2 == 0 {
        (dispatch::Side::Request, guard::check(key, version, body, &limits))
    } else {
        (dispatch::Side::Response, guard::check_response(key, version, body, &limits))
    };
    if verdict.is_err() {
        return;
    }
    let Some(codec) = dispatch::of(key, side) else { return };
    let body = Bytes::copy_from_slice(body);
    let (most, _) = allocations::largest(|| (codec.decode)(body, version));
    assert!(most <= limits.memory, "{most} bytes at once");
});
