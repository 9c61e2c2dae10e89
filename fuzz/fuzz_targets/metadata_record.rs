//! A record of the metadata log is an error or comes back the same.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use ottla::schema::metadata::MetadataRecord;

fuzz_target!(|data: &[u8]| {
    let Ok((record, version)) = MetadataRecord::decode_versioned(Bytes::copy_from_slice(data)) else { return };
    let mut written = BytesMut::new();
    record.encode(&mut written, version).expect("what was read can be written");
    assert_eq!(written.len(), record.encoded_size(version));
    let again = MetadataRecord::decode_versioned(written.clone().freeze());
    let (again, _) = again.expect("what was written can be read");
    // Compared as bytes: a float that is no number is not equal to itself.
    let mut twice = BytesMut::new();
    again.encode(&mut twice, version).expect("what was read can be written");
    assert_eq!(written, twice);
});
