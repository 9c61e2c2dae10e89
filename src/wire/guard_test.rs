use super::*;
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};

fn produce(version: i16) -> Bytes {
    let partition = PartitionProduceData::default().with_records(Some(Bytes::from_static(&[7; 100])));
    let topic = TopicProduceData::default().with_partition_data(vec![partition]);
    let topic = if version < 13 {
        topic.with_name(kafka_protocol::messages::TopicName("topic".into()))
    } else {
        topic.with_topic_id(uuid::Uuid::from_u128(1))
    };
    let mut buf = BytesMut::new();
    ProduceRequest::default().with_topic_data(vec![topic]).encode(&mut buf, version).unwrap();
    buf.freeze()
}

#[test]
fn a_produce_passes_in_every_version_and_not_when_cut() {
    for version in 3..=13 {
        let body = produce(version);
        assert_eq!(check(0, version, &body, &Limits::default()), Ok(()));
        for cut in 0..body.len() {
            assert!(check(0, version, &body[..cut], &Limits::default()).is_err());
        }
        assert!(ProduceRequest::decode(&mut body.clone(), version).is_ok());
    }
}

/// librdkafka 2.16 reserves four bytes for the count of topics, of which "all" needs one, and leaves the others in.
#[test]
fn bytes_after_a_request_are_passed_over() {
    const ALL_TOPICS: [u8; 7] = [0, 0, 0, 0, 1, 0, 0];
    assert_eq!(check(3, 13, &ALL_TOPICS, &Limits::default()), Ok(()));
    let layout = requests::layout(3).unwrap();
    assert_eq!(check_layout(layout, 13, &ALL_TOPICS, &Limits::default()), Err(GuardError::Trailing(3)));
    let request =
        kafka_protocol::messages::MetadataRequest::decode(&mut Bytes::from_static(&ALL_TOPICS), 13).unwrap();
    assert_eq!(request.topics, None);
}

#[test]
fn apis_and_versions_that_are_not_there_are_refused() {
    let limits = Limits::default();
    assert_eq!(check(-1, 0, &[], &limits), Err(GuardError::UnknownApi(-1)));
    assert_eq!(check(4, 0, &[], &limits), Err(GuardError::UnknownApi(4)));
    assert_eq!(check(0, 2, &[], &limits), Err(GuardError::Version(0, 2)));
    assert_eq!(check(0, 14, &[], &limits), Err(GuardError::Version(0, 14)));
}

#[test]
fn the_counts_that_abort_the_decoder_are_refused() {
    let limits = Limits::default();
    // Metadata v1 with 2^31 - 1 topics.
    assert_eq!(check(3, 1, &[0x7f, 0xff, 0xff, 0xff], &limits), Err(GuardError::Short));
    assert_eq!(check(3, 1, &[0x80, 0, 0, 0], &limits), Err(GuardError::Negative(i32::MIN)));
    assert_eq!(check(3, 0, &[0xff, 0xff, 0xff, 0xff], &limits), Err(GuardError::Null));
    assert_eq!(check(3, 1, &[0xff, 0xff, 0xff, 0xff], &limits), Ok(()));
    // Produce v12 with 2^32 - 2 topics.
    let body = [0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(check(0, 12, &body, &limits), Err(GuardError::Short));
    let body = [0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(check(0, 12, &body, &limits), Err(GuardError::Varint));
}

#[test]
fn a_large_frame_of_small_elements_is_refused_for_its_memory() {
    // Three million topics with empty names: 6 MB that would become more than 200.
    let mut body = BytesMut::new();
    body.put_i32(3_000_000);
    body.put_bytes(0, 6_000_000);
    assert_eq!(check(3, 1, &body, &Limits::default()), Err(GuardError::Memory));
}

#[test]
fn tagged_fields_are_bounded() {
    // ApiVersions v3: two compact texts and then nothing but 10 million empty tagged fields.
    let count = 10_000_000u32;
    let mut body = BytesMut::from(&[1u8, 1][..]);
    crate::schema::codec::put_varint(&mut body, count);
    for _ in 0..count {
        body.put_slice(&[9, 0]);
    }
    assert_eq!(check(18, 3, &body, &Limits::default()), Err(GuardError::TaggedFields));
    assert_eq!(check(18, 3, &[1, 1, 2, 9, 0, 10, 1, 7], &Limits::default()), Ok(()));
}

#[test]
fn a_tagged_field_of_the_layout_is_as_long_as_it_says_and_comes_once() {
    // Fetch v12 with no topics and its cluster id, tag 0.
    let fetch = |tagged: &[u8]| {
        let mut body = vec![0; 25];
        body.extend_from_slice(&[1, 1, 1]);
        body.extend_from_slice(tagged);
        check(1, 12, &body, &Limits { tagged_fields: 0, ..Limits::default() })
    };
    assert_eq!(fetch(&[0]), Ok(()));
    assert_eq!(fetch(&[1, 0, 2, 2, b'c']), Ok(()));
    assert_eq!(fetch(&[1, 0, 1, 0]), Ok(()));
    assert_eq!(fetch(&[1, 0, 3, 2, b'c', 0]), Err(GuardError::TagSize));
    assert_eq!(fetch(&[1, 0, 1, 2, b'c']), Err(GuardError::TagSize));
    assert_eq!(fetch(&[2, 0, 1, 0, 0, 1, 0]), Err(GuardError::TaggedFields));
    assert_eq!(fetch(&[1, 7, 0]), Err(GuardError::TaggedFields));
    assert_eq!(fetch(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(GuardError::Short));
}
