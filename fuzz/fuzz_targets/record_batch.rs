//! Whatever a client produces is refused, or can be stored and read back with a right header.
//!
//! Input: choices of configuration, whether to make the checksum right (else nothing behind it is ever reached), then
//! the bytes of a Produce request's partition.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla::storage::validate::{AppendOrigin, TimestampType, ValidateConfig, check_stored, validate};
use ottla::wire::batch::{self, HEADER_BYTES, batches};
use ottla::wire::compress::{Codec, Compression};
use ottla::wire::records::Records;

const NOW: i64 = 1_700_000_000_000;
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some(([choices, target], bytes)) = data.split_first_chunk::<2>() else { return };
    let mut bytes = bytes.to_vec();
    if choices & 1 != 0 && bytes.len() >= HEADER_BYTES {
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        let crc = batch::checksum(&bytes);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    for found in batches(&bytes).flatten() {
        let records = Records::new(found.payload(), found.header().records_count());
        assert!(records.count() <= found.payload().len() + 1);
    }
    let config = ValidateConfig {
        max_decompressed_bytes: DECOMPRESSED_BYTES_MAX,
        timestamp_type: if choices & 2 != 0 { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        compacted: choices & 4 != 0,
        compression: Codec::from_number(target % 8).map(Compression::new),
        ..ValidateConfig::default()
    };
    let origin = if choices & 8 != 0 { AppendOrigin::Coordinator } else { AppendOrigin::Client };
    let Ok(mut plan) = validate(&bytes, &config, origin, NOW) else { return };
    plan.assign(42, 7);
    let whole = [plan.header_bytes().as_slice(), plan.payload(&bytes)].concat();
    let stored = check_stored(&whole, 42).expect("what is valid can be stored");
    assert_eq!(stored.bytes().len(), plan.bytes);
});
