use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::metadata::MetadataDelta;
use crate::metadata::apply::ApplyError;
use crate::metadata::versions::{METADATA_VERSION_MAX, record_version};
use crate::schema::metadata::*;
use crate::types::TopicId;

fn topic(id: u128, name: &str) -> MetadataRecord {
    TopicRecord { name: name.into(), topic_id: Uuid::from_u128(id) }.into()
}

fn partition(id: u128, index: i32) -> MetadataRecord {
    PartitionRecord {
        partition_id: index,
        topic_id: Uuid::from_u128(id),
        replicas: vec![1],
        isr: vec![1],
        leader: 1,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: vec![Uuid::from_u128(77)],
        ..PartitionRecord::default()
    }
    .into()
}

fn image_of(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::empty();
    let mut delta = MetadataDelta::default();
    for record in records {
        image.apply(record, &mut delta).unwrap();
    }
    image
}

#[test]
fn partitions_that_come_out_of_order_wait_for_those_before() {
    let mut image = image_of(&[topic(1, "t"), partition(1, 2), partition(1, 1)]);
    assert_eq!(image.topics().get("t").unwrap().partitions.len(), 0);
    assert_eq!(image.topics().partition_count(), 2);
    image.apply(&partition(1, 0), &mut MetadataDelta::default()).unwrap();
    assert_eq!(image.topics().get_by_id(TopicId(Uuid::from_u128(1))).unwrap().partitions.len(), 3);
    let in_order = image_of(&[topic(1, "t"), partition(1, 0), partition(1, 1), partition(1, 2)]);
    assert_eq!(image, in_order);
}

#[test]
fn what_does_not_fit_is_said_and_changes_nothing() {
    let image = image_of(&[topic(1, "t")]);
    let change = PartitionChangeRecord { topic_id: Uuid::from_u128(1), ..PartitionChangeRecord::default() };
    let bad = [
        topic(1, "other"),
        topic(2, "t"),
        partition(2, 0),
        partition(1, -1),
        partition(1, i32::MAX),
        change.into(),
        RemoveTopicRecord { topic_id: Uuid::from_u128(3) }.into(),
        UnregisterBrokerRecord { broker_id: 1, broker_epoch: 4 }.into(),
        ConfigRecord { resource_type: 3, ..ConfigRecord::default() }.into(),
    ];
    for record in &bad {
        let (mut copy, mut delta) = (image.clone(), MetadataDelta::from(&image));
        let _: ApplyError = copy.apply(record, &mut delta).unwrap_err();
        assert_eq!(copy, image);
        assert!(delta.is_empty());
    }
}

#[test]
fn a_delta_names_what_changed() {
    let before = image_of(&[topic(1, "a"), partition(1, 0), partition(1, 1), topic(2, "b")]);
    let mut after = before.clone();
    let mut delta = MetadataDelta::from(&before);
    let config = ConfigRecord {
        resource_type: 2,
        resource_name: "b".into(),
        name: "retention.ms".into(),
        value: Some("1".into()),
    };
    let change = PartitionChangeRecord {
        topic_id: Uuid::from_u128(1),
        partition_id: 1,
        leader: -1,
        ..PartitionChangeRecord::default()
    };
    for record in [
        config.into(),
        change.into(),
        RemoveTopicRecord { topic_id: Uuid::from_u128(2) }.into(),
        topic(3, "c"),
        topic(4, "gone at once"),
        RemoveTopicRecord { topic_id: Uuid::from_u128(4) }.into(),
    ] {
        after.apply(&record, &mut delta).unwrap();
    }
    assert_eq!(delta.topics_created.values().map(|n| &**n).collect::<Vec<_>>(), ["c"]);
    assert_eq!(delta.topics_deleted.values().map(|n| &**n).collect::<Vec<_>>(), ["b"]);
    assert_eq!(delta.partitions.len(), 1);
    assert!(after.configs().iter().next().is_none(), "a topic's configuration goes with it");
    let changed = after.topics().partition("a", 1).unwrap();
    assert_eq!((changed.leader, changed.leader_epoch, changed.partition_epoch), (-1, 1, 1));
    assert_eq!(before.topics().partition("a", 1).unwrap().leader, 1);
    assert_eq!(after.topics().iter_from("b").map(|t| &*t.name).collect::<Vec<_>>(), ["c"]);
}

/// A record of some kind, often one that fits what the others make.
fn any_record() -> impl Strategy<Value = MetadataRecord> {
    let id = 1u128..6;
    prop_oneof![
        (id.clone(), "[a-e]").prop_map(|(id, name)| topic(id, &name)),
        (id.clone(), 0..5i32).prop_map(|(id, index)| partition(id, index)),
        (id.clone(), 0..5i32, prop::collection::vec(1..4i32, 0..3), -2..3i32).prop_map(
            |(id, index, isr, leader)| {
                PartitionChangeRecord {
                    topic_id: Uuid::from_u128(id),
                    partition_id: index,
                    isr: Some(isr.clone()),
                    eligible_leader_replicas: Some(isr),
                    leader,
                    ..PartitionChangeRecord::default()
                }
                .into()
            }
        ),
        id.prop_map(|id| RemoveTopicRecord { topic_id: Uuid::from_u128(id) }.into()),
        ("[a-c]", "[xyz]", proptest::option::of("[0-9]")).prop_map(|(resource_name, name, value)| {
            ConfigRecord { resource_type: 2, resource_name, name, value }.into()
        }),
        (0..3i32, 0..3i64, any::<bool>()).prop_map(|(broker_id, broker_epoch, fenced)| {
            RegisterBrokerRecord {
                broker_id,
                broker_epoch,
                fenced,
                rack: None,
                end_points: vec![BrokerEndpoint { name: "L".into(), port: 9092, ..Default::default() }],
                log_dirs: vec![Uuid::from_u128(5)],
                ..RegisterBrokerRecord::default()
            }
            .into()
        }),
        (0..3i32, 0..3i64, -1..2i8).prop_map(|(broker_id, broker_epoch, fenced)| {
            BrokerRegistrationChangeRecord { broker_id, broker_epoch, fenced, ..Default::default() }.into()
        }),
        ("[fg]", 0..4i16)
            .prop_map(|(name, feature_level)| { FeatureLevelRecord { name, feature_level }.into() }),
        (0..9i64)
            .prop_map(|next_producer_id| ProducerIdsRecord { next_producer_id, ..Default::default() }.into()),
        ("[uv]", any::<bool>(), 0..9i32).prop_map(|(name, remove, value)| {
            let entity = vec![EntityData { entity_type: "user".into(), entity_name: Some(name) }];
            ClientQuotaRecord { entity, key: "k".into(), value: value.into(), remove }.into()
        }),
        "[uv]".prop_map(|name| {
            let salt = Bytes::from_static(b"salt");
            UserScramCredentialRecord { name, mechanism: 1, salt, ..Default::default() }.into()
        }),
        (1..4u128).prop_map(|id| {
            AccessControlEntryRecord { id: Uuid::from_u128(id), ..Default::default() }.into()
        }),
        "[tu]".prop_map(|token_id| DelegationTokenRecord { token_id, ..Default::default() }.into()),
    ]
}

proptest! {
    #[test]
    fn a_snapshot_gives_the_image_back(records in prop::collection::vec(any_record(), 0..80)) {
        let mut image = MetadataImage::empty();
        let mut delta = MetadataDelta::default();
        for record in &records {
            let before = image.clone();
            if image.apply(record, &mut delta).is_err() {
                prop_assert_eq!(&before, &image);
            }
        }
        // Partitions behind a hole are not in a snapshot; a complete log has none.
        let whole = image.topics().iter().map(|t| t.partitions.len()).sum::<usize>();
        prop_assume!(whole == image.topics().partition_count());
        let mut back = MetadataImage::empty();
        for record in image.to_records() {
            let version = record_version(&record, METADATA_VERSION_MAX);
            let mut buf = bytes::BytesMut::new();
            record.encode(&mut buf, version).unwrap();
            let record = MetadataRecord::decode(buf.freeze()).unwrap();
            back.apply(&record, &mut MetadataDelta::default()).unwrap();
        }
        prop_assert_eq!(&back, &image);
        // A change from nothing to all of it, as a snapshot, names every topic.
        let delta = MetadataDelta::of_snapshot(&MetadataImage::empty(), &back);
        prop_assert_eq!(delta.topics_created.len(), back.topics().len());
    }
}
