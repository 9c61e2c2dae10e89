//! Frames and headers are taken from any bytes without a panic.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use ottla::wire::{frame, header};

const FRAME_BYTES_MAX: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let mut buf = BytesMut::from(data);
    while let Ok(Some(mut frame)) = frame::take(&mut buf, FRAME_BYTES_MAX) {
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let mut response = frame.clone();
        let _ = header::decode_response(&mut response, 1);
        if let Ok(header) = header::RequestHeader::decode(&mut frame) {
            let _ = (header.is_supported(), header.response_header_version());
        }
    }
});
