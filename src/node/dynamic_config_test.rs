use std::time::Duration;

use kafka_protocol::protocol::StrBytes;

use crate::config::broker;
use crate::config::property::Update;
use crate::node::Node;
use crate::node::test_node::{on_a_node, soon};
use crate::replica::{Acks, Append, ProduceWaitSlot, Verification};
use crate::schema::api::IncrementalAlterConfigsRequest;
use crate::schema::api::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::sim::client::Client;
use crate::storage::validate::AppendOrigin;
use crate::types::ErrorCode;
use crate::wire::records::BatchBuilder;

/// Where a change of a key shows.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Shows {
    /// In what a partition that is there already obeys.
    Partition,
    /// In the limits of connections.
    Connections,
    /// In what is kept of producers; has a test of its own.
    Producers,
    /// In what coordinators of transactions are asked; has a test of its own.
    Verification,
    /// At the next start, for it is used in starts alone.
    NextStart,
    /// In elections, which the controller holds; has a test of its own.
    Elections,
    /// In consumer groups, when they next assign: they read it from the cluster's configuration each time.
    ConsumerGroups,
    /// In share groups, when they next assign or give a record up.
    ShareGroups,
    /// Nowhere, for logs are not compacted yet.
    Compaction,
    /// It is refused, for listeners do not change while the node runs.
    Refused,
}

/// Every key that may change while a broker runs and that is not without effect, and another value for it.
const TABLE: &[(&str, &str, Shows)] = &[
    ("acks.all.durability", "fsync", Shows::Partition),
    ("compression.gzip.level", "2", Shows::Partition),
    ("compression.lz4.level", "3", Shows::Partition),
    ("compression.type", "gzip", Shows::Partition),
    ("compression.zstd.level", "4", Shows::Partition),
    ("config.providers", "env", Shows::NextStart),
    ("errors.deadletterqueue.auto.create.topics.enable", "true", Shows::ShareGroups),
    ("errors.deadletterqueue.topic.name.prefix", "dead.", Shows::ShareGroups),
    ("group.consumer.assignment.interval.ms", "5", Shows::ConsumerGroups),
    ("group.share.assignment.interval.ms", "5", Shows::ShareGroups),
    (
        "listener.security.protocol.map",
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,X:PLAINTEXT",
        Shows::Refused,
    ),
    ("listeners", "PLAINTEXT://localhost:9999,CONTROLLER://localhost:9998", Shows::Refused),
    ("log.cleaner.backoff.ms", "1", Shows::Compaction),
    ("log.cleaner.dedupe.buffer.size", "100000000", Shows::Compaction),
    ("log.cleaner.delete.retention.ms", "5", Shows::Compaction),
    ("log.cleaner.io.buffer.load.factor", "0.5", Shows::Compaction),
    ("log.cleaner.io.max.bytes.per.second", "1000", Shows::Compaction),
    ("log.cleaner.max.compaction.lag.ms", "100", Shows::Compaction),
    ("log.cleaner.min.cleanable.ratio", "0.1", Shows::Compaction),
    ("log.cleaner.min.compaction.lag.ms", "50", Shows::Compaction),
    ("log.cleaner.threads", "2", Shows::Compaction),
    ("log.cleanup.policy", "compact", Shows::Partition),
    ("log.flush.interval.messages", "10", Shows::Partition),
    ("log.flush.interval.ms", "11", Shows::Partition),
    ("log.index.interval.bytes", "12", Shows::Partition),
    ("log.index.size.max.bytes", "1024", Shows::Partition),
    ("log.message.timestamp.after.max.ms", "13", Shows::Partition),
    ("log.message.timestamp.before.max.ms", "14", Shows::Partition),
    ("log.message.timestamp.type", "LogAppendTime", Shows::Partition),
    ("log.preallocate", "true", Shows::Partition),
    ("log.retention.bytes", "1000000", Shows::Partition),
    ("log.retention.ms", "15000", Shows::Partition),
    ("log.roll.jitter.ms", "16", Shows::Partition),
    ("log.roll.ms", "17000", Shows::Partition),
    ("log.segment.bytes", "2000000", Shows::Partition),
    ("log.segment.delete.delay.ms", "18", Shows::Partition),
    ("max.connections", "190", Shows::Connections),
    ("max.connections.per.ip", "180", Shows::Connections),
    ("max.connections.per.ip.overrides", "127.0.0.1:170", Shows::Connections),
    ("max.decompressed.message.bytes", "1000000", Shows::Partition),
    ("message.max.bytes", "200000", Shows::Partition),
    ("min.insync.replicas", "2", Shows::Partition),
    ("num.recovery.threads.per.data.dir", "3", Shows::NextStart),
    ("num.replica.fetchers", "2", Shows::NextStart),
    ("producer.id.expiration.ms", "1000", Shows::Producers),
    ("transaction.partition.verification.enable", "false", Shows::Verification),
    ("unclean.leader.election.enable", "true", Shows::Elections),
];

/// Some of the keys show only together with these.
const WITH: &[(&str, &str, &str)] = &[
    ("compression.gzip.level", "compression.type", "gzip"),
    ("compression.lz4.level", "compression.type", "lz4"),
    ("compression.zstd.level", "compression.type", "zstd"),
];

const SET: i8 = 0;
const DELETE: i8 = 1;

/// Changes keys for one broker, or for all where `broker` is empty. -> the error
async fn alter(client: &mut Client, broker: &str, changes: &[(&str, i8, &str)]) -> i16 {
    let of_broker = 4;
    let config = |&(key, op, value): &(&str, i8, &str)| {
        AlterableConfig::default()
            .with_name(StrBytes::from_string(key.to_owned()))
            .with_config_operation(op)
            .with_value(Some(StrBytes::from_string(value.to_owned())))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(of_broker)
        .with_resource_name(StrBytes::from_string(broker.to_owned()))
        .with_configs(changes.iter().map(config).collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(1, &request).await.expect("an answer").responses[0].error_code
}

fn seen(node: &Node, shows: Shows) -> String {
    match shows {
        Shows::Partition => {
            format!("{:?}", node.broker.replicas.partition("t", 0).expect("the partition").settings())
        }
        Shows::Connections => format!("{:?}", node.reception.limits.most()),
        Shows::Producers
        | Shows::Verification
        | Shows::NextStart
        | Shows::Elections
        | Shows::ConsumerGroups
        | Shows::ShareGroups
        | Shows::Compaction
        | Shows::Refused => String::new(),
    }
}

#[test]
fn the_table_has_every_key_that_may_change() {
    let live = |p: &&&crate::config::Property| p.update != Update::ReadOnly && p.ignored.is_none();
    let keys: Vec<&str> = broker::properties().iter().filter(live).map(|p| p.name).collect();
    let known: Vec<&str> = TABLE.iter().map(|(key, ..)| *key).collect();
    assert_eq!(known, keys);
}

#[test]
fn what_changes_while_the_node_runs_is_seen() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        for (key, value, shows) in TABLE {
            let per_broker = broker::update_mode(key) == Some(Update::PerBroker);
            // All brokers must have the same while eligible leader replicas are on, and some value.
            let of_all = *key == "min.insync.replicas";
            let take_back = if of_all { (*key, SET, "1") } else { (*key, DELETE, "") };
            for broker in if per_broker {
                &["1"][..]
            } else if of_all {
                &[""][..]
            } else {
                &["", "1"]
            } {
                let with = WITH.iter().filter(|(of, ..)| of == key).map(|(_, other, v)| (*other, SET, *v));
                let with: Vec<_> = with.collect();
                if !with.is_empty() {
                    assert_eq!(alter(&mut client, "", &with).await, 0, "{with:?}");
                    soon("compression is asked for", || seen(node, Shows::Partition).contains("Some(Compr"))
                        .await;
                }
                let before = seen(node, *shows);
                let error = alter(&mut client, broker, &[(key, SET, value)]).await;
                if *shows == Shows::Refused {
                    assert_eq!(error, ErrorCode::InvalidRequest.code(), "{key}");
                    continue;
                }
                assert_eq!(error, 0, "{key} = {value} of broker '{broker}'");
                if matches!(shows, Shows::Partition | Shows::Connections) {
                    soon(&format!("{key} shows"), || seen(node, *shows) != before).await;
                }
                assert_eq!(alter(&mut client, broker, &[take_back]).await, 0, "{key}");
                soon(&format!("{key} is taken back"), || seen(node, *shows) == before).await;
                for (other, ..) in &with {
                    assert_eq!(alter(&mut client, "", &[(other, DELETE, "")]).await, 0, "{other}");
                }
            }
        }
    });
}

#[test]
fn producers_are_forgotten_after_the_time_that_holds_now() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        let partition = node.broker.replicas.partition("t", 0).expect("the partition");
        let mut batch = BatchBuilder::new(0).producer(77, 0, 0);
        batch.append(node.env.clock.now(), None, Some(b"x"));
        let append = Append {
            acks: Acks::Leader,
            origin: AppendOrigin::Client,
            now: node.env.clock.now(),
            index: 0,
            verification: Verification::default(),
        };
        let mut nobody = ProduceWaitSlot::default();
        partition.append(&batch.finish(), &append, &mut nobody).expect("appended");
        let producers = || partition.producers().expect("led here").len();
        assert_eq!(producers(), 1);
        assert_eq!(alter(&mut client, "", &[("producer.id.expiration.ms", SET, "1000")]).await, 0);
        // Kafka's default: looked for every ten minutes. A day would be the default of the time itself.
        tokio::time::sleep(Duration::from_secs(610)).await;
        assert_eq!(producers(), 0);
    });
}
