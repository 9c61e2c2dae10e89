//! One number for the topics that a group reads: it changes with what an assignment would have to consider.
//!
//! Kafka keeps it in the group's record and computes it when it looks for changes, so ours must be the same number: a
//! group that moves between the two would otherwise be assigned anew. It is XXH3-64 over the fields below, with numbers
//! little-endian and texts as UTF-16 units followed by how many they are, as hash4j streams them to Kafka.

use std::hash::Hasher as _;

use twox_hash::XxHash3_64;

use crate::metadata::MetadataImage;
use crate::metadata::topics::Topic;
use crate::types::TopicName;

/// Says which fields follow.
const VERSION: u8 = 0;

/// The hash of `topics`; those that do not exist do not count. 0 if there are none.
pub fn group_hash<'a>(topics: impl Iterator<Item = &'a TopicName>, image: &MetadataImage) -> i64 {
    let mut sorted: Vec<&Topic> = topics.filter_map(|name| image.topics().get(name)).map(|t| &**t).collect();
    if sorted.is_empty() {
        return 0;
    }
    // Topic names are ASCII, so that bytes and UTF-16 units have one order.
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hasher = XxHash3_64::with_seed(0);
    for topic in sorted {
        hasher.write(&topic_hash(topic, image).to_le_bytes());
    }
    hasher.finish() as i64
}

/// The hash of one topic: its id, its name, and for each partition the racks of its replicas.
pub fn topic_hash(topic: &Topic, image: &MetadataImage) -> i64 {
    let mut hasher = XxHash3_64::with_seed(0);
    hasher.write(&[VERSION]);
    let (most, least) = topic.id.0.as_u64_pair();
    hasher.write(&most.to_le_bytes());
    hasher.write(&least.to_le_bytes());
    write_text(&mut hasher, &topic.name);
    hasher.write(&(topic.iter().count() as i32).to_le_bytes());
    for (index, partition) in topic.iter() {
        hasher.write(&index.to_le_bytes());
        let rack = |id| image.brokers().get(id).and_then(|broker| broker.rack.as_deref());
        let mut racks: Vec<&str> = partition.replicas.iter().filter_map(|&id| rack(id)).collect();
        racks.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
        for rack in racks {
            hasher.write(&(rack.encode_utf16().count() as i32).to_le_bytes());
            write_text(&mut hasher, rack);
        }
    }
    hasher.finish() as i64
}

fn write_text(hasher: &mut XxHash3_64, text: &str) {
    let mut units = 0i32;
    for unit in text.encode_utf16() {
        hasher.write(&unit.to_le_bytes());
        units += 1;
    }
    hasher.write(&units.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::metadata::MetadataDelta;
    use crate::schema::metadata::{MetadataRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord};
    use crate::types::uuid_from_base64;

    fn image(id: Uuid, rack: Option<&str>) -> MetadataImage {
        let broker =
            RegisterBrokerRecord { broker_id: 1, rack: rack.map(str::to_owned), ..Default::default() };
        let mut records: Vec<MetadataRecord> = vec![broker.into()];
        records.push(TopicRecord { name: "orders".into(), topic_id: id }.into());
        records.extend((0..4).map(|partition_id| {
            let replicas = vec![1];
            PartitionRecord { partition_id, topic_id: id, replicas, ..Default::default() }.into()
        }));
        let mut image = MetadataImage::empty();
        for record in &records {
            image.apply(record, &mut MetadataDelta::default()).unwrap();
        }
        image
    }

    #[test]
    fn hashes_are_kafkas() {
        // What Apache Kafka 4.3.1 wrote for a group that reads a topic that is there and one that is not.
        let image = image(uuid_from_base64("x6_XjZkmTVGp675L6WhWaQ").unwrap(), None);
        let topics: [TopicName; 2] = ["zzz".into(), "orders".into()];
        assert_eq!(group_hash(topics.iter(), &image), -1_218_931_272_627_138_647);
        assert_eq!(group_hash(topics[..1].iter(), &image), 0);
    }

    #[test]
    fn hashes_tell_what_counts() {
        let topics: [TopicName; 1] = ["orders".into()];
        let of = |id, rack| group_hash(topics.iter(), &image(Uuid::from_u128(id), rack));
        let all = [of(1, None), of(2, None), of(1, Some("a")), of(1, Some("b"))];
        for (i, hash) in all.iter().enumerate() {
            assert!(!all[..i].contains(hash), "{i} is told apart");
        }
    }
}
