//! A broker that follows a node over the network, with partitions and metadata as the test has them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::on_a_node;
use crate::client::{ConnectionSettings, Pool, ToBrokers};
use crate::config::topic::{Durability, TopicConfig};
use crate::env::{Env, Seeds, Tasks};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::node::Node;
use crate::replica::{
    Acks, Append, FetcherSettings, FollowerIdentity, PartitionSettings, ProduceWaitSlot, ReplicaManager,
    Verification, remote_endpoints,
};
use crate::schema::api::fetch_request::{FetchPartition, FetchTopic};
use crate::schema::api::produce_request::{PartitionProduceData, TopicProduceData};
use crate::schema::api::{FetchRequest, ProduceRequest, ProduceResponse};
use crate::schema::messages::ListOffsetsRequest;
use crate::schema::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::schema::metadata::{
    ConfigRecord, MetadataRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};
use crate::sim::clock::SimClock;
use crate::sim::disk::SimDisk;
use crate::sim::net::SimNet;
use crate::storage::validate::AppendOrigin;
use crate::storage::{Manager, ManagerConfig};
use crate::types::ErrorCode;
use crate::wire::records::BatchBuilder;

const FOLLOWER: i32 = 7;
const EPOCH: i64 = 1_000;

/// A follower of `node`, which believes what the test says of the cluster.
struct Follower {
    replicas: Arc<ReplicaManager>,
    identity: FollowerIdentity,
    image: Arc<ArcSwap<MetadataImage>>,
    tasks: Tasks,
}

impl Follower {
    fn start(node: &Node, net: &SimNet) -> Follower {
        let env = Env {
            clock: Arc::new(SimClock::new()),
            disk: Arc::new(SimDisk::new()),
            net: Arc::new(net.clone()),
            seeds: Seeds::from_seed(9),
            tasks: Tasks::simulated(),
        };
        let dir = PathBuf::from("/follower");
        env.disk.create_dir_all(&dir).expect("a directory");
        let logs = Manager::open(Arc::clone(&env.disk), &[dir], ManagerConfig::default(), 0).expect("logs");
        let settings = PartitionSettings {
            durability: Durability::Fsync,
            ..PartitionSettings::from(&TopicConfig::default())
        };
        let replicas =
            ReplicaManager::new(FOLLOWER, &env, Arc::new(logs), Box::new(move |_, _| settings.clone()));
        let identity = FollowerIdentity {
            node_id: FOLLOWER,
            broker_epoch: Arc::new(AtomicI64::new(EPOCH)),
            cluster_id: Arc::clone(&node.broker.cluster_id),
        };
        let image = Arc::new(ArcSwap::from(node.broker.image()));
        let pool = Pool::new(&env, ConnectionSettings::default());
        let listener: Arc<str> = node.broker.config.inter_broker_listener_name.as_str().into();
        let timeout = Duration::from_secs(30);
        let brokers = ToBrokers::new(pool, Arc::clone(&image), listener);
        let endpoints = remote_endpoints(brokers, identity.clone(), timeout);
        replicas.start_fetching(endpoints, FetcherSettings::from(&*node.broker.config));
        Follower { replicas, identity, image, tasks: env.tasks }
    }

    /// Both sides learn of a change of the cluster.
    fn publish(&self, node: &Node, records: &[MetadataRecord]) {
        let mut image = MetadataImage::clone(&self.image.load());
        let mut delta = MetadataDelta::from(&image);
        records.iter().for_each(|record| image.apply(record, &mut delta).expect("it applies"));
        let image = Arc::new(image);
        node.broker.metadata.store(Arc::clone(&image));
        self.image.store(Arc::clone(&image));
        node.broker.replicas.apply(&image, &delta);
        self.replicas.apply(&image, &delta);
    }

    /// A topic of one partition with two replicas, that the node leads and syncs.
    fn create_topic(&self, node: &Node, name: &str, id: u128) {
        let leader = node.broker.config.node_id;
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: Uuid::from_u128(id),
            replicas: vec![leader, FOLLOWER],
            isr: vec![leader, FOLLOWER],
            leader,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![Uuid::from_u128(1000); 2],
            ..PartitionRecord::default()
        };
        let durability = ConfigRecord {
            resource_type: 2,
            resource_name: name.to_owned(),
            name: "acks.all.durability".into(),
            value: Some("fsync".into()),
        };
        let topic = TopicRecord { name: name.to_owned(), topic_id: Uuid::from_u128(id) };
        self.publish(node, &[topic.into(), durability.into(), partition.into()]);
    }
}

/// How long an append takes that every replica has to have on its disk.
async fn append_to_all(node: &Node, topic: &str) -> Duration {
    let mut batch = BatchBuilder::new(0);
    batch.append(1_700_000_000_000, None, Some(b"value"));
    let append = Append {
        acks: Acks::All,
        origin: AppendOrigin::Client,
        now: 1_700_000_000_000,
        index: 0,
        verification: Verification::default(),
    };
    let began = Instant::now();
    let mut wait = ProduceWaitSlot::default();
    let partition = node.broker.replicas.partition(topic, 0).expect("the partition");
    partition.append(&batch.finish(), &append, &mut wait).expect("it is appended");
    let wait = wait.into_wait().expect("there is a follower to wait for");
    tokio::time::timeout(Duration::from_secs(60), wait.done()).await.expect("the follower has it");
    assert_eq!(wait.failures(), []);
    began.elapsed()
}

#[test]
fn a_follower_in_another_process_copies_what_is_appended_and_says_what_is_synced() {
    on_a_node(|machine, _client| async move {
        let node = machine.node().expect("the node runs");
        let follower = Follower::start(node, &machine.net);
        let registration = RegisterBrokerRecord {
            broker_id: FOLLOWER,
            broker_epoch: EPOCH,
            fenced: false,
            ..RegisterBrokerRecord::default()
        };
        follower.publish(node, &[registration.into()]);
        follower.create_topic(node, "followed", 55);
        append_to_all(node, "followed").await;
        for _ in 0..20 {
            let took = append_to_all(node, "followed").await;
            assert!(took < Duration::from_millis(250), "nothing waits for a fetch to time out: {took:?}");
        }
        let partition = follower.replicas.partition("followed", 0).expect("the follower's replica");
        assert_eq!(partition.log_offsets(), (0, 21));
        // What is new to the follower is asked for at once, though a fetch waits.
        tokio::time::sleep(Duration::from_millis(100)).await;
        follower.create_topic(node, "followed too", 56);
        let took = append_to_all(node, "followed too").await;
        assert!(took < Duration::from_millis(250), "the fetch that waited has ended: {took:?}");
        // So is it told of records that were deleted.
        let leader = node.broker.replicas.partition("followed", 0).expect("the leader's replica");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        assert_eq!(leader.delete_records(20).map(|deleted| deleted.low_watermark), Ok(0));
        assert_eq!(leader.deleted_everywhere(20).await, Ok(20));
        assert!(began.elapsed() < Duration::from_millis(250), "it took {:?}", began.elapsed());
        assert_eq!(partition.log_offsets(), (20, 21));
        follower.tasks.kill();
        follower.tasks.ended().await;
    });
}

#[test]
fn without_a_lease_nothing_is_acknowledged_nor_told_to_clients() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        let follower = Follower::start(node, &machine.net);
        let registration = RegisterBrokerRecord {
            broker_id: FOLLOWER,
            broker_epoch: EPOCH,
            fenced: false,
            ..RegisterBrokerRecord::default()
        };
        follower.publish(node, &[registration.into()]);
        follower.identity.broker_epoch.store(EPOCH - 1, Ordering::Release);
        follower.create_topic(node, "followed", 55);
        let produce = |topic: &str, acks: i16| {
            let mut batch = BatchBuilder::new(0);
            batch.append(1_700_000_000_000, None, Some(b"value"));
            let data = PartitionProduceData::default().with_records(Some(batch.finish().into()));
            let name = TopicName(StrBytes::from_string(topic.to_owned()));
            let topic = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
            ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
        };
        let error = |response: &ProduceResponse| response.responses[0].partition_responses[0].error_code;
        let no_leader = ErrorCode::NotLeaderOrFollower.code();
        let lease = node.broker.replicas.lease();
        lease.extend(Instant::now() + Duration::from_secs(2));
        let answer = client.call(9, &produce("t", 1)).await.expect("an answer");
        assert_eq!(error(&answer), 0);
        // Appended while the lease held, and on every disk when it holds no more.
        let id = client.send(9, &produce("followed", -1)).await.expect("it is sent");
        let partition = node.broker.replicas.partition("followed", 0).expect("the partition");
        while partition.log_offsets().1 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        follower.identity.broker_epoch.store(EPOCH, Ordering::Release);
        let answer = client.receive::<ProduceRequest>(9, id).await.expect("an answer");
        assert_eq!((error(&answer), partition.high_watermark()), (no_leader, 1));
        for acks in [1, -1] {
            let answer = client.call(9, &produce("t", acks)).await.expect("an answer");
            assert_eq!(error(&answer), no_leader);
        }
        let name = || TopicName(StrBytes::from_static_str("t"));
        let wanted = ListOffsetsPartition { timestamp: -1, ..ListOffsetsPartition::default() };
        let topic = ListOffsetsTopic { name: name(), partitions: vec![wanted] };
        let list = ListOffsetsRequest { replica_id: (-1).into(), topics: vec![topic], ..Default::default() };
        let answer = client.call(5, &list).await.expect("an answer");
        assert_eq!(answer.topics[0].partitions[0].error_code, no_leader);
        let wanted = FetchPartition::default().with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic(name()).with_partitions(vec![wanted]);
        let fetch = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_session_epoch(-1)
            .with_max_bytes(1 << 20)
            .with_topics(vec![topic]);
        let answer = client.call(11, &fetch).await.expect("an answer");
        assert_eq!(answer.responses[0].partitions[0].error_code, no_leader);
        lease.extend(Instant::now() + Duration::from_secs(60));
        assert_eq!(error(&client.call(9, &produce("t", -1)).await.expect("an answer")), 0);
        let answer = client.call(11, &fetch).await.expect("an answer");
        assert_eq!(answer.responses[0].partitions[0].error_code, 0);
        follower.tasks.kill();
        follower.tasks.ended().await;
    });
}

#[test]
fn a_follower_of_an_earlier_life_or_of_another_cluster_does_not_count() {
    on_a_node(|machine, _client| async move {
        let node = machine.node().expect("the node runs");
        let mut follower = Follower::start(node, &machine.net);
        let registration = RegisterBrokerRecord {
            broker_id: FOLLOWER,
            broker_epoch: EPOCH + 1,
            fenced: false,
            ..RegisterBrokerRecord::default()
        };
        follower.publish(node, &[registration.into()]);
        follower.create_topic(node, "followed", 55);
        let partition = node.broker.replicas.partition("followed", 0).expect("the partition");
        let waited = tokio::time::timeout(Duration::from_secs(5), append_to_all(node, "followed")).await;
        assert!(waited.is_err(), "an earlier life of the follower has told nothing");
        assert_eq!(partition.high_watermark(), 0);
        follower.identity.broker_epoch.store(EPOCH + 1, Ordering::Release);
        append_to_all(node, "followed").await;
        assert_eq!(partition.high_watermark(), 2);
        follower.tasks.kill();
        follower.tasks.ended().await;

        follower.identity.cluster_id = "another".into();
        let env = Env {
            clock: Arc::new(SimClock::new()),
            disk: Arc::new(SimDisk::new()),
            net: Arc::new(machine.net.clone()),
            seeds: Seeds::from_seed(10),
            tasks: Tasks::simulated(),
        };
        let brokers = ToBrokers::new(
            Pool::new(&env, ConnectionSettings::default()),
            Arc::clone(&follower.image),
            node.broker.config.inter_broker_listener_name.as_str().into(),
        );
        let endpoints = remote_endpoints(brokers, follower.identity.clone(), Duration::from_secs(30));
        let request = crate::replica::FollowerFetchRequest {
            session_id: 0,
            session_epoch: 0,
            wait_ms_max: 500,
            bytes_min: 1,
            bytes_max: 1 << 20,
            partitions: Vec::new(),
            forgotten: Vec::new(),
        };
        let leader = endpoints(node.broker.config.node_id, 0);
        let answer = leader.fetch(&request).await.expect("an answer");
        assert_eq!(answer.error, ErrorCode::InconsistentClusterId);
        let unknown = endpoints(77, 0).fetch(&request).await;
        assert!(unknown.is_err_and(|why| why.to_string().contains("not registered")));
        env.tasks.kill();
        env.tasks.ended().await;
    });
}
