//! What another controller sends is taken or refused, without a panic.
//!
//! Input: which of our own calls, then the body.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla::quorum::check_request;
use ottla::wire::guard::{self, Limits};

fuzz_target!(|data: &[u8]| {
    let Some((call, body)) = data.split_first() else { return };
    let key = 10_000 + i16::from(call % 5);
    if guard::check(key, 0, body, &Limits::default()).is_ok() {
        let _ = check_request(key, Bytes::copy_from_slice(body));
    }
});
