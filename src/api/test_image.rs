//! Small clusters for the tests of handlers.

use uuid::Uuid;

use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::metadata::{
    BrokerEndpoint, ConfigRecord, MetadataRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};

/// The id of the `number`th topic of [`image`].
pub(super) fn topic_id(number: usize) -> Uuid {
    Uuid::from_u128(100 + number as u128)
}

/// Broker 1, which listens on `PLAINTEXT`; topics with so many partitions on it; values that are set.
pub(super) fn image(topics: &[(&str, i32)], configs: &[(i8, &str, &str, &str)]) -> MetadataImage {
    let endpoint =
        BrokerEndpoint { name: "PLAINTEXT".into(), host: "h".into(), port: 1, security_protocol: 0 };
    let broker = RegisterBrokerRecord {
        broker_id: 1,
        fenced: false,
        end_points: vec![endpoint],
        ..RegisterBrokerRecord::default()
    };
    let mut records: Vec<MetadataRecord> = vec![broker.into()];
    for (number, &(name, partitions)) in topics.iter().enumerate() {
        records.push(TopicRecord { name: name.into(), topic_id: topic_id(number) }.into());
        for partition_id in 0..partitions {
            let partition = PartitionRecord {
                partition_id,
                topic_id: topic_id(number),
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                directories: vec![Uuid::from_u128(77)],
                ..PartitionRecord::default()
            };
            records.push(partition.into());
        }
    }
    for &(resource_type, resource, name, value) in configs {
        let record = ConfigRecord {
            resource_type,
            resource_name: resource.into(),
            name: name.into(),
            value: Some(value.into()),
        };
        records.push(record.into());
    }
    let mut image = MetadataImage::empty();
    for record in &records {
        image.apply(record, &mut MetadataDelta::default()).unwrap();
    }
    image
}
