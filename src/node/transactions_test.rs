//! Transactions on a node that serves: the requests of producers, consumers and coordinators, with a coordinator of the
//! test's own.

use std::collections::VecDeque;
use std::sync::Arc;

use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, GroupId, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;

use super::test_node::{on_a_node, soon};
use crate::api::transactions::{TxnOffsetCommit, WriteTxnMarkers};
use crate::api::{Api, ConnectionInfo, ListenerInfo, RequestContext};
use crate::coordinator::routing::{CONSUMER_OFFSETS, TRANSACTION_STATE, partition_for};
use crate::node::Node;
use crate::schema::api::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use crate::schema::api::create_topics_request::CreatableTopic;
use crate::schema::api::describe_producers_request::TopicRequest;
use crate::schema::api::fetch_request::{FetchPartition, FetchTopic};
use crate::schema::api::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::schema::api::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use crate::schema::api::produce_request::{PartitionProduceData, TopicProduceData};
use crate::schema::api::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use crate::schema::api::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use crate::schema::api::{
    CreateTopicsRequest, DescribeProducersRequest, FetchRequest, FindCoordinatorRequest,
    IncrementalAlterConfigsRequest, OffsetFetchRequest, ProduceRequest, TxnOffsetCommitRequest,
    WriteTxnMarkersRequest,
};
use crate::schema::messages::ListOffsetsRequest;
use crate::schema::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::sim::client::Client;
use crate::types::ErrorCode;
use crate::wire::records::BatchBuilder;

/// The coordinator: what it was asked, and what it will say of each partition; nothing is wrong with those of whom it has
/// nothing to say.
#[derive(Clone, Default)]
struct Coordinator {
    asked: Arc<Mutex<Vec<AddPartitionsToTxnRequest>>>,
    answers: Arc<Mutex<VecDeque<ErrorCode>>>,
}

impl Coordinator {
    fn on(node: &Node) -> Coordinator {
        let coordinator = Coordinator::default();
        let here = coordinator.clone();
        node.broker.txn_verifier.coordinate_here(Arc::new(move |_node, _lane, request| {
            let answer = here.answer(&request);
            here.asked.lock().push(request);
            Box::pin(async move { Ok(answer) })
        }));
        coordinator
    }

    fn answer(&self, request: &AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
        let error = self.answers.lock().pop_front().unwrap_or(ErrorCode::None);
        let results = request.transactions.iter().map(|transaction| {
            let topics = transaction.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|&index| {
                    AddPartitionsToTxnPartitionResult::default()
                        .with_partition_index(index)
                        .with_partition_error_code(error.code())
                });
                AddPartitionsToTxnTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_results_by_partition(partitions.collect())
            });
            AddPartitionsToTxnResult::default()
                .with_transactional_id(transaction.transactional_id.clone())
                .with_topic_results(topics.collect())
        });
        AddPartitionsToTxnResponse::default().with_results_by_transaction(results.collect())
    }

    fn will_say(&self, errors: &[ErrorCode]) {
        self.answers.lock().extend(errors);
    }

    fn asked(&self) -> Vec<AddPartitionsToTxnRequest> {
        std::mem::take(&mut self.asked.lock())
    }
}

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn id(id: &'static str) -> TransactionalId {
    TransactionalId(StrBytes::from_static_str(id))
}

/// What a handler that is not in the registry yet is called with.
fn cx(node: &Node, api_key: i16, version: i16) -> RequestContext {
    let listener = ListenerInfo {
        name: "PLAINTEXT".into(),
        security_protocol: 0,
        is_controller: false,
        principal: "User:ANONYMOUS".into(),
    };
    let connection = ConnectionInfo::new(Arc::new(listener), ([127, 0, 0, 1], 1).into());
    RequestContext {
        broker: Arc::clone(&node.broker),
        connection: Arc::new(connection),
        api_key,
        version,
        correlation_id: 0,
        client_id: StrBytes::default(),
    }
}

async fn make_topic(client: &mut Client, topic: &str) {
    let topic =
        CreatableTopic::default().with_name(name(topic)).with_num_partitions(1).with_replication_factor(1);
    let create = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let created = client.call(7, &create).await.expect("an answer");
    assert_eq!(created.topics[0].error_code, 0);
}

fn batch(producer: i64, epoch: i16, sequence: i32) -> Vec<u8> {
    let mut batch = BatchBuilder::new(0).producer(producer, epoch, sequence).transactional();
    batch.append(1_700_000_000_000, None, Some(b"value"));
    batch.finish()
}

fn produce(transactional_id: Option<TransactionalId>, batch: Vec<u8>, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(batch.into()));
    let topic = TopicProduceData::default().with_name(name("t")).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(transactional_id)
        .with_acks(acks)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

/// The error and the base offset that a produce is answered with.
async fn produced(client: &mut Client, version: i16, request: &ProduceRequest) -> (ErrorCode, i64) {
    let answer = client.call(version, request).await.expect("an answer");
    let partition = &answer.responses[0].partition_responses[0];
    (ErrorCode::from_code(partition.error_code).expect("an error of Kafka's"), partition.base_offset)
}

async fn end(node: &Node, topic: &str, partition: i32, producer: i64, epoch: i16, commit: bool) -> ErrorCode {
    let topic = WritableTxnMarkerTopic { name: name(topic), partition_indexes: vec![partition] };
    let marker = WritableTxnMarker {
        producer_id: ProducerId(producer),
        producer_epoch: epoch,
        transaction_result: commit,
        topics: vec![topic],
        coordinator_epoch: 5,
        transaction_version: 2,
    };
    let request = WriteTxnMarkersRequest { markers: vec![marker] };
    let answer = WriteTxnMarkers::handle(&cx(node, 27, 2), request).await;
    assert_eq!(answer.markers[0].producer_id.0, producer);
    let partition = &answer.markers[0].topics[0].partitions[0];
    ErrorCode::from_code(partition.error_code).expect("an error of Kafka's")
}

#[test]
fn a_transactional_produce_needs_an_id_and_a_coordinator_that_agrees() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        let without_id = produce(None, batch(7, 0, 0), -1);
        let answer = produced(&mut client, 12, &without_id).await;
        assert_eq!(answer, (ErrorCode::TransactionalIdAuthorizationFailed, -1));
        let first = produce(Some(id("x")), batch(7, 0, 0), -1);
        for version in [9, 11, 12] {
            let answer = produced(&mut client, version, &first).await;
            assert_eq!(answer, (ErrorCode::NotEnoughReplicas, -1), "there is no coordinator");
        }
        make_topic(&mut client, TRANSACTION_STATE).await;
        let coordinator = Coordinator::on(node);
        let refusal = ErrorCode::TransactionAbortable;
        for (version, told) in [(10, ErrorCode::InvalidTxnState), (11, refusal), (12, refusal)] {
            coordinator.will_say(&[refusal]);
            assert_eq!(produced(&mut client, version, &first).await, (told, -1), "in version {version}");
            let asked = coordinator.asked();
            assert_eq!(asked.len(), 1);
            let transaction = &asked[0].transactions[0];
            assert_eq!(transaction.verify_only, version < 12, "in version {version}");
            assert_eq!((&*transaction.transactional_id.0, transaction.producer_id.0), ("x", 7));
            assert_eq!((&**transaction.topics[0].name, &*transaction.topics[0].partitions), ("t", &[0][..]));
        }
        // The last transaction is still being ended: asked again, but only for who may begin the next at once.
        let busy = ErrorCode::ConcurrentTransactions;
        coordinator.will_say(&[busy]);
        assert_eq!(produced(&mut client, 11, &first).await, (ErrorCode::NotEnoughReplicas, -1));
        assert_eq!(coordinator.asked().len(), 1);
        coordinator.will_say(&[busy; 100]);
        assert_eq!(produced(&mut client, 12, &first).await, (busy, -1));
        assert!((3..20).contains(&coordinator.asked().len()), "for a tenth of a second");
        coordinator.answers.lock().clear();
        coordinator.will_say(&[busy, busy]);
        assert_eq!(produced(&mut client, 12, &first).await, (ErrorCode::None, 0));
        assert_eq!(coordinator.asked().len(), 3);
        // From here on the partition knows; what is sent again is known too.
        let second = produce(Some(id("x")), batch(7, 0, 1), -1);
        assert_eq!(produced(&mut client, 12, &second).await, (ErrorCode::None, 1));
        assert_eq!(produced(&mut client, 12, &first).await, (ErrorCode::None, 0));
        assert_eq!(coordinator.asked().len(), 0);
    });
}

#[test]
fn what_a_producer_sends_behind_its_first_batch_comes_behind_it() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        make_topic(&mut client, TRANSACTION_STATE).await;
        let coordinator = Coordinator::on(node);
        coordinator.will_say(&[ErrorCode::ConcurrentTransactions]);
        let mut sent = Vec::new();
        for sequence in 0..5 {
            let request = produce(Some(id("x")), batch(7, 0, sequence), -1);
            sent.push(client.send(12, &request).await.expect("it is sent"));
        }
        for (offset, id) in sent.into_iter().enumerate() {
            let answer = client.receive::<ProduceRequest>(12, id).await.expect("an answer");
            let partition = &answer.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, offset as i64));
        }
        assert_eq!(coordinator.asked().len(), 2);
        // Who wants no answer gets none.
        assert_eq!(end(node, "t", 0, 7, 1, true).await, ErrorCode::None);
        client.send(12, &produce(Some(id("x")), batch(7, 1, 0), 0)).await.expect("it is sent");
        let next = produce(Some(id("x")), batch(7, 1, 1), -1);
        assert_eq!(produced(&mut client, 12, &next).await, (ErrorCode::None, 7));
        // Two transactions in one produce are no produce of a client's.
        let mut two = produce(Some(id("x")), batch(7, 1, 2), -1);
        let other = PartitionProduceData::default().with_index(1).with_records(Some(batch(8, 0, 0).into()));
        two.topic_data[0].partition_data.push(other);
        let answer = client.call(12, &two).await.expect("an answer");
        let errors = answer.responses[0].partition_responses.iter().map(|partition| partition.error_code);
        assert_eq!(errors.collect::<Vec<_>>(), [ErrorCode::InvalidProducerIdMapping.code(); 2]);
    });
}

async fn fetch(client: &mut Client, node: &Node, version: i16, offset: i64) -> (i64, Vec<(i64, i64)>, usize) {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let mut topic = FetchTopic::default().with_partitions(vec![partition]);
    match version >= 13 {
        true => topic.topic_id = node.image().topics().get("t").expect("the topic").id.0,
        false => topic.topic = name("t"),
    }
    let request = FetchRequest::default()
        .with_session_epoch(-1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(1)
        .with_topics(vec![topic]);
    let answer = client.call(version, &request).await.expect("an answer");
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    let aborted = partition.aborted_transactions.iter().flatten();
    let aborted = aborted.map(|txn| (txn.producer_id.0, txn.first_offset)).collect();
    (partition.last_stable_offset, aborted, partition.records.as_ref().map_or(0, |records| records.len()))
}

#[test]
fn consumers_of_committed_records_are_told_what_was_aborted() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        make_topic(&mut client, TRANSACTION_STATE).await;
        let _coordinator = Coordinator::on(node);
        let first = produce(Some(id("x")), batch(7, 0, 0), -1);
        assert_eq!(produced(&mut client, 12, &first).await, (ErrorCode::None, 0));
        let versions = [4, 5, 11, 12, 13, 17, 18];
        for version in versions {
            assert_eq!(fetch(&mut client, node, version, 0).await, (0, vec![], 0), "in version {version}");
        }
        let latest = |isolation| {
            let partition =
                ListOffsetsPartition { timestamp: -1, current_leader_epoch: -1, ..Default::default() };
            ListOffsetsRequest {
                replica_id: (-1).into(),
                isolation_level: isolation,
                topics: vec![ListOffsetsTopic { name: name("t"), partitions: vec![partition] }],
                ..ListOffsetsRequest::default()
            }
        };
        for (isolation, offset) in [(0, 1), (1, 0)] {
            let answer = client.call(10, &latest(isolation)).await.expect("an answer");
            assert_eq!(answer.topics[0].partitions[0].offset, offset);
        }
        let describe = DescribeProducersRequest::default()
            .with_topics(vec![TopicRequest::default().with_name(name("t")).with_partition_indexes(vec![0])]);
        let described = client.call(0, &describe).await.expect("an answer");
        let producer = described.topics[0].partitions[0].active_producers[0].clone();
        assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, 0));

        assert_eq!(end(node, "t", 0, 7, 0, false).await, ErrorCode::InvalidProducerEpoch);
        assert_eq!(end(node, "nothing", 0, 7, 1, false).await, ErrorCode::UnknownTopicOrPartition);
        assert_eq!(end(node, "t", 0, 7, 1, false).await, ErrorCode::None);
        assert_eq!(end(node, "t", 0, 7, 1, false).await, ErrorCode::None, "it is repeated");
        for version in versions {
            let (stable, aborted, bytes) = fetch(&mut client, node, version, 0).await;
            assert_eq!((stable, aborted), (3, vec![(7, 0)]), "in version {version}");
            assert!(bytes > 0);
        }
        let described = client.call(0, &describe).await.expect("an answer");
        let producer = described.topics[0].partitions[0].active_producers[0].clone();
        assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (5, -1));
        assert_eq!(producer.producer_epoch, 1);
    });
}

#[test]
fn a_transaction_commits_offsets_of_a_group() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        make_topic(&mut client, TRANSACTION_STATE).await;
        let coordinator = Coordinator::on(node);
        let find = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
        client.call(3, &find).await.expect("an answer");
        let partitions = node.image().topics().get(CONSUMER_OFFSETS).expect("made").iter().count();
        let partition = partition_for("g", partitions as i32);
        soon("the coordinator loads", || node.broker.groups.is_active(partition)).await;
        let request = |epoch, offset| TxnOffsetCommitRequest {
            transactional_id: id("x"),
            group_id: GroupId(StrBytes::from_static_str("g")),
            producer_id: ProducerId(7),
            producer_epoch: epoch,
            generation_id_or_member_epoch: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: name("t"),
                topic_id: node.image().topics().get("t").expect("the topic").id.0,
                partitions: [0, 9]
                    .map(|partition_index| TxnOffsetCommitRequestPartition {
                        partition_index,
                        committed_offset: offset,
                        committed_leader_epoch: -1,
                        committed_metadata: None,
                    })
                    .to_vec(),
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let commit = async |version, request| {
            let answer = TxnOffsetCommit::handle(&cx(node, 28, version), request).await;
            let errors = answer.topics[0].partitions.iter().map(|p| p.error_code);
            errors.map(|code| ErrorCode::from_code(code).expect("an error")).collect::<Vec<_>>()
        };
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let topic = OffsetFetchRequestTopics {
            name: name("t"),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: GroupId(StrBytes::from_static_str("g")),
            member_epoch: -1,
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        let fetch = OffsetFetchRequest { groups: vec![group], require_stable: true, ..Default::default() };

        for (version, told) in [(3, ErrorCode::InvalidTxnState), (4, ErrorCode::TransactionAbortable)] {
            coordinator.will_say(&[ErrorCode::TransactionAbortable]);
            assert_eq!(commit(version, request(0, 5)).await, [told, unknown]);
        }
        coordinator.will_say(&[ErrorCode::NotCoordinator]);
        assert_eq!(commit(5, request(0, 5)).await, [ErrorCode::NotCoordinator, unknown]);
        let asked = coordinator.asked();
        assert!(asked[1].transactions[0].verify_only && !asked[2].transactions[0].verify_only);
        assert_eq!(&**asked[0].transactions[0].topics[0].name, CONSUMER_OFFSETS);
        assert_eq!(asked[0].transactions[0].topics[0].partitions, [partition]);

        assert_eq!(commit(5, request(0, 5)).await, [ErrorCode::None, unknown]);
        assert_eq!(commit(6, request(0, 6)).await, [ErrorCode::None, unknown]);
        assert_eq!(coordinator.asked().len(), 1, "the partition knows the transaction by then");
        let answer = client.call(8, &fetch).await.expect("an answer");
        let committed = &answer.groups[0].topics[0].partitions[0];
        assert_eq!(committed.error_code, ErrorCode::UnstableOffsetCommit.code());
        assert_eq!(end(node, CONSUMER_OFFSETS, partition, 7, 0, true).await, ErrorCode::InvalidProducerEpoch);
        assert_eq!(end(node, CONSUMER_OFFSETS, partition, 7, 1, true).await, ErrorCode::None);
        let answer = client.call(8, &fetch).await.expect("an answer");
        let committed = &answer.groups[0].topics[0].partitions[0];
        assert_eq!((committed.error_code, committed.committed_offset), (0, 6));
        // A producer whose transaction was ended cannot commit any more.
        assert_eq!(commit(5, request(0, 7)).await, [ErrorCode::InvalidProducerEpoch, unknown]);
        // Nor can who is not a member of a generation that he names.
        let member = TxnOffsetCommitRequest { generation_id_or_member_epoch: 3, ..request(1, 7) };
        assert_eq!(commit(5, member).await, [ErrorCode::UnknownMemberId, unknown]);
    });
}

#[test]
fn without_verification_only_the_second_version_asks_the_coordinator() {
    on_a_node(|machine, mut client| async move {
        let node = machine.node().expect("the node runs");
        make_topic(&mut client, TRANSACTION_STATE).await;
        let coordinator = Coordinator::on(node);
        let off = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("transaction.partition.verification.enable"))
            .with_value(Some(StrBytes::from_static_str("false")));
        let all_brokers = AlterConfigsResource::default().with_resource_type(4).with_configs(vec![off]);
        let alter = IncrementalAlterConfigsRequest::default().with_resources(vec![all_brokers]);
        let altered = client.call(1, &alter).await.expect("an answer");
        assert_eq!(altered.responses[0].error_code, 0);
        let is_on = || node.broker.layers.load().boolean("transaction.partition.verification.enable");
        soon("it is off", || !is_on()).await;
        let of = |producer| produce(Some(id("x")), batch(producer, 0, 0), -1);
        assert_eq!(produced(&mut client, 11, &of(7)).await, (ErrorCode::None, 0));
        assert_eq!(coordinator.asked().len(), 0);
        assert_eq!(produced(&mut client, 12, &of(8)).await, (ErrorCode::None, 1));
        assert_eq!(coordinator.asked().len(), 1);
    });
}
