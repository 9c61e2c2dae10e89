//! A record of `__consumer_offsets` is an error or comes back the same.
//!
//! Input: the key's length, whether there is a value, the key, the value.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla::schema::groups::GroupRecord;

fuzz_target!(|data: &[u8]| {
    let Some(([key_len, has_value], rest)) = data.split_first_chunk::<2>() else { return };
    let (key, value) = rest.split_at(usize::from(*key_len).min(rest.len()));
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    let value = (has_value % 2 == 1).then_some(value);
    let Ok(record) = GroupRecord::decode(&key, value.as_ref()) else { return };
    assert_eq!(record.is_tombstone(), value.is_none());
    // A null that only an old version of a value allows cannot be written in the current one.
    let Ok((key, value)) = record.encode() else { return };
    let again = GroupRecord::decode(&key, value.as_ref()).expect("what was written can be read");
    assert_eq!(again.kind(), GroupRecord::decode(&key, None).expect("the key is good").kind());
});
