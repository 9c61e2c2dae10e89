//! Records and batches: what is built is read, and hostile lengths end the walk.

use proptest::prelude::*;

use super::*;
use crate::wire::batch::{BatchError, batches};

type Owned = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

fn record() -> impl Strategy<Value = Owned> {
    let header = (bytes(), proptest::option::of(bytes()));
    (
        -5_000_000i64..5_000_000_000_000,
        proptest::option::of(bytes()),
        proptest::option::of(bytes()),
        proptest::collection::vec(header, 0..5),
    )
}

fn build(records: &[Owned]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(42).leader_epoch(7).producer(9, 3, 100);
    for (ts, key, value, headers) in records {
        let headers: Vec<Header<'_>> = headers.iter().map(|(k, v)| (k.as_slice(), v.as_deref())).collect();
        builder.append_with_headers(*ts, key.as_deref(), value.as_deref(), &headers);
    }
    builder.finish()
}

proptest! {
    #[test]
    fn what_is_built_is_read(records in proptest::collection::vec(record(), 1..20)) {
        let bytes = build(&records);
        let batch = Batch::first_of(&bytes).unwrap();
        batch.verify_checksum().unwrap();
        let header = batch.header();
        prop_assert_eq!(header.records_count() as usize, records.len());
        prop_assert_eq!(header.last_offset(), 42 + records.len() as i64 - 1);
        prop_assert_eq!(header.base_timestamp(), records[0].0);
        prop_assert_eq!(header.max_timestamp(), records.iter().map(|r| r.0).max().unwrap().max(-1));
        let read: Vec<Owned> = Records::of(&batch)
            .unwrap()
            .map(|r| {
                let r = r.unwrap();
                let headers = r.headers.map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec))).collect();
                let (key, value) = (r.key.map(<[u8]>::to_vec), r.value.map(<[u8]>::to_vec));
                (r.timestamp(header.base_timestamp()), key, value, headers)
            })
            .collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn hostile_bytes_end_the_walk(payload in bytes(), count in any::<i32>()) {
        // Each record costs at least one byte, and one error ends it.
        prop_assert!(Records::new(&payload, count).count() <= payload.len() + 1);
    }

    #[test]
    fn a_flipped_byte_never_panics(records in proptest::collection::vec(record(), 1..4), at in any::<usize>(), to: u8) {
        let mut bytes = build(&records);
        let at = at % bytes.len();
        bytes[at] = to;
        for batch in batches(&bytes).flatten() {
            for record in Records::new(batch.payload(), batch.header().records_count()).flatten() {
                assert_eq!(record.headers.len(), record.headers.count());
            }
        }
    }

    #[test]
    fn varints_go_both_ways(int: i32, long: i64) {
        let mut out = Vec::new();
        put_varint(&mut out, int);
        prop_assert_eq!(out.len(), varint_bytes(int));
        put_varlong(&mut out, long);
        prop_assert_eq!(out.len(), varint_bytes(int) + varlong_bytes(long));
        let mut cursor = Cursor(&out);
        prop_assert_eq!(cursor.varint(), Ok(int));
        prop_assert_eq!(cursor.varlong(), Ok(long));
        prop_assert!(cursor.0.is_empty());
    }
}

#[test]
fn varints_are_bounded() {
    assert_eq!(Cursor(&[0xff; 5]).varint(), Err(RecordError::Varint));
    assert_eq!(Cursor(&[0xff; 4]).varint(), Err(RecordError::Truncated));
    assert_eq!(Cursor(&[0xff; 10]).varlong(), Err(RecordError::Varint));
    assert_eq!(Cursor(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint(), Ok(i32::MIN));
}

#[test]
fn lengths_and_counts_are_compared_with_what_is_there() {
    // length 2^31-1
    assert_eq!(Record::take(&[0xfe, 0xff, 0xff, 0xff, 0x0f, 0]), Err(RecordError::Truncated));
    // length -1
    assert_eq!(Record::take(&[1, 0]), Err(RecordError::NegativeLength(-1)));
    // 2^31-1 headers
    let mut record = vec![0u8, 0, 0, 1, 1];
    put_varint(&mut record, i32::MAX);
    let mut whole = Vec::new();
    put_varint(&mut whole, record.len() as i32);
    whole.extend(&record);
    assert_eq!(Record::take(&whole), Err(RecordError::Truncated));
    // A byte too many inside the record.
    assert_eq!(Record::take(&[14, 0, 0, 0, 1, 1, 0, 9]), Err(RecordError::TrailingBytes(1)));
    // Counts.
    let one = [12u8, 0, 0, 0, 1, 1, 0];
    let errors = |count| Records::new(&one, count).filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(errors(1), []);
    assert_eq!(errors(0), [RecordError::BytesAfterLast(7)]);
    assert_eq!(errors(-3), [RecordError::Count(-3)]);
    assert_eq!(errors(i32::MAX), [RecordError::TooFew(i32::MAX - 1)]);
}

#[test]
fn ranges_are_walked_batch_by_batch() {
    let one = build(&[(5, None, Some(b"a".to_vec()), vec![])]);
    let mut two = one.clone();
    two.extend(&one);
    assert_eq!(batches(&two).filter(Result::is_ok).count(), 2);
    assert_eq!(batches(&[]).count(), 0);
    let cut = &two[..two.len() - 1];
    let last = batches(cut).last().unwrap();
    assert_eq!(last.err(), Some(BatchError::Truncated { have: one.len() - 1, need: one.len() }));
    two[one.len() + 16] = 1;
    assert_eq!(batches(&two).last().unwrap().err(), Some(BatchError::Magic(1)));
    let mut small = one.clone();
    small[8..12].copy_from_slice(&48i32.to_be_bytes());
    assert_eq!(batches(&small).last().unwrap().err(), Some(BatchError::Length(48)));
    small[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(batches(&small).last().unwrap().err(), Some(BatchError::Truncated { .. })));
    let mut rotten = one.clone();
    rotten[65] ^= 1;
    assert!(matches!(Batch::first_of(&rotten).unwrap().verify_checksum(), Err(BatchError::Checksum { .. })));
}
