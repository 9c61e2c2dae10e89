use std::sync::Arc;

use uuid::Uuid;

use super::test_node::on_a_node;
use crate::env::Disk as _;
use crate::metadata::snapshot::partition_record;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::replica::{Acks, Append, Isolation, Partition, ProduceWaitSlot, Read, Verification};
use crate::schema::metadata::{MetadataRecord, RemoveTopicRecord, TopicRecord};
use crate::storage::validate::AppendOrigin;
use crate::wire::records::BatchBuilder;

/// Longer than the files of a deleted topic stay.
const FILES_ARE_GONE: std::time::Duration = std::time::Duration::from_secs(120);

fn append(partition: &Arc<Partition>, value: &[u8]) -> i64 {
    let mut builder = BatchBuilder::new(0);
    builder.append(1_000, None, Some(value));
    let append = Append {
        acks: Acks::Leader,
        origin: AppendOrigin::Client,
        now: 1_000,
        index: 0,
        verification: Verification::default(),
    };
    let batch = builder.finish();
    partition.append(&batch, &append, &mut ProduceWaitSlot::default()).expect("appended").first_offset
}

fn bytes_from_the_start(partition: &Arc<Partition>) -> u32 {
    let read = Read {
        offset: 0,
        bytes_max: 1 << 20,
        whole_batch: true,
        isolation: Isolation::ReadUncommitted,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        waiter: None,
        follower: None,
        from_any_replica: false,
        rack: None,
    };
    partition.read(&read).records_len()
}

#[test]
fn a_topic_that_is_made_again_at_once_keeps_what_is_written_to_it() {
    on_a_node(|machine, _client| async move {
        let node = machine.node().expect("the node runs");
        let replicas = &node.broker.replicas;
        let old = replicas.partition("t", 0).expect("the partition");
        for _ in 0..10 {
            append(&old, b"of the old topic");
        }
        let mut image = MetadataImage::clone(&node.broker.image());
        let registration = Arc::clone(image.topics().partition("t", 0).expect("it is registered"));
        let change = |image: &mut MetadataImage, records: &[MetadataRecord]| {
            let mut delta = MetadataDelta::from(image);
            records.iter().for_each(|record| image.apply(record, &mut delta).expect("it applies"));
            replicas.apply(image, &delta);
        };
        // No task runs between the two changes and the append.
        let (old_id, new_id) = (old.topic_id().0, Uuid::from_u128(77));
        change(&mut image, &[RemoveTopicRecord { topic_id: old_id }.into()]);
        let made = TopicRecord { name: "t".into(), topic_id: new_id }.into();
        change(&mut image, &[made, partition_record(new_id, 0, &registration)]);
        let new = replicas.partition("t", 0).expect("the new partition");
        assert_eq!(append(&new, b"of the new one"), 0, "it begins anew");
        let written = bytes_from_the_start(&new);
        assert!(written > 0);

        tokio::time::sleep(FILES_ARE_GONE).await;
        assert_eq!(append(&new, b"of the new one"), 1);
        assert_eq!(bytes_from_the_start(&new), 2 * written);
        let (dir, _) = new.log_size().expect("it has a log");
        let names = machine.disk.list(&dir).expect("the log directory");
        let names: Vec<String> = names.into_iter().map(|entry| entry.name).collect();
        assert!(names.iter().any(|name| name == "t-0"), "{names:?}");
        assert!(!names.iter().any(|name| name.ends_with("-delete")), "{names:?}");
    });
}
