//! A broker in another process, as far as the active controller can tell: everything that it asks goes over the wire.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use uuid::Uuid;

use super::test_node::on_a_node;
use crate::client::{ConnectionSettings, Pool, ToController};
use crate::controller::command::*;
use crate::controller::remote::envelope;
use crate::controller::{ActiveController, Asker, ControllerError, registration};
use crate::env::{Disk as _, Env, Seeds, Tasks};
use crate::metadata::{ConfigResource, Endpoint, FeatureRange};
use crate::quorum::{Publisher, Quorum, QuorumConfig};
use crate::schema::api::describe_quorum_request::{PartitionData, TopicData};
use crate::schema::api::{DescribeQuorumRequest, EnvelopeRequest, MetadataRequest, UnregisterBrokerRequest};
use crate::sim::client::Client;
use crate::sim::disk::SimDisk;
use crate::sim::node::{Machine, PORT};
use crate::types::{ErrorCode, TopicId};
use crate::wire::header::encode_request;
use crate::wire::versions::known;

const CONTROLLER_PORT: u16 = PORT + 1;
const ID: i32 = 7;
const DIR: &str = "/observer";

struct Remote {
    quorum: Quorum,
    controller: ActiveController,
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn remote(machine: &Machine) -> Remote {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let env = Env {
        clock: machine.clock.clone(),
        disk: Arc::new(disk),
        net: Arc::new(machine.net.clone()),
        seeds: Seeds::from_seed(5),
        tasks: Tasks::simulated(),
    };
    let node = machine.node().unwrap();
    let config = QuorumConfig {
        cluster_id: node.broker.cluster_id.to_string(),
        node_id: ID,
        log_dir: DIR.into(),
        directory_id: Uuid::from_u128(7777),
        voters: BTreeMap::new(),
        segment_bytes: 1 << 30,
        snapshot_bytes: 1 << 30,
        snapshot_interval_ms: 0,
        kept_entries: 0,
        election_timeout_ms: 1000,
        fetch_timeout_ms: 2000,
    };
    let places = vec![("localhost".to_owned(), CONTROLLER_PORT)];
    let quorum = Quorum::observe(&env, config, places, Publisher::new()).await.unwrap();
    let named = quorum.clone();
    let to = ToController::new(
        &env,
        Pool::new(&env, ConnectionSettings::default()),
        Arc::new(move || named.leader_endpoint().map(|(_, host, port)| (host, port))),
        vec![("localhost".into(), CONTROLLER_PORT)],
    );
    let controller = ActiveController::new(None, quorum.clone(), Some(to));
    Remote { quorum, controller }
}

impl Remote {
    async fn submit(&self, command: Command) -> Result<Reply, ControllerError> {
        let asker = Asker { principal: "User:alice".into(), address: [10, 0, 0, 1].into() };
        self.controller.submit_as(&asker, command, soon()).await
    }

    async fn join(&self, machine: &Machine) -> i64 {
        let node = machine.node().unwrap();
        let image = node.broker.image();
        let features = image.brokers().get(1).unwrap().features.clone();
        let registration = BrokerRegistration {
            id: ID,
            cluster_id: node.broker.cluster_id.to_string(),
            incarnation: Uuid::from_u128(1),
            endpoints: vec![Endpoint {
                listener: "PLAINTEXT".into(),
                host: "h".into(),
                port: 1,
                security_protocol: 0,
            }],
            features,
            rack: Some("r".to_owned()),
            log_dirs: vec![Uuid::from_u128(9999)],
            previous_epoch: -1,
        };
        let epoch =
            registration::register_broker(&self.controller, registration.clone(), soon()).await.unwrap();
        let stranger = BrokerRegistration { cluster_id: "another".to_owned(), ..registration };
        let refused = registration::register_broker(&self.controller, stranger, soon()).await;
        assert_eq!(refused, Err(ApiError::from(ErrorCode::InconsistentClusterId).into()));
        // Not before it knows of itself.
        assert!(!registration::unfence(&self.controller, ID, epoch, epoch - 1, soon()).await.unwrap());
        assert!(registration::unfence(&self.controller, ID, epoch, epoch, soon()).await.unwrap());
        self.quorum.publisher().wait_for(epoch).await;
        epoch
    }
}

#[test]
fn what_a_broker_asks_is_done_by_the_controller_of_another_process() {
    on_a_node(|machine, _client| async move {
        let remote = remote(&machine).await;
        let epoch = remote.join(&machine).await;

        // Topics: the broker's own image shows what was answered.
        let topic = NewTopic {
            name: "a".to_owned(),
            partitions: 2,
            replication_factor: 1,
            configs: vec![("retention.ms".to_owned(), Some("5000".to_owned()))],
            ..NewTopic::default()
        };
        let create = Command::CreateTopics { topics: vec![topic], validate_only: false };
        let Ok(Reply::CreateTopics(created)) = remote.submit(create.clone()).await else { panic!() };
        let (name, created) = &created[0];
        let created = created.as_ref().unwrap();
        let image = remote.quorum.image();
        assert_eq!(image.topics().get(name).unwrap().id, created.id);
        assert_eq!((created.partitions, created.replication_factor), (2, 1));
        assert_eq!(created.configs, [("retention.ms".into(), "5000".into())]);
        let Ok(Reply::CreateTopics(again)) = remote.submit(create).await else { panic!() };
        assert_eq!(again[0].1.as_ref().unwrap_err().code, ErrorCode::TopicAlreadyExists);

        let more = NewPartitions { topic: "a".into(), count: 3, assignments: None };
        let command = Command::CreatePartitions { topics: vec![more], validate_only: false };
        let done = Reply::CreatePartitions(vec![("a".into(), Ok(()))]);
        assert_eq!(remote.submit(command).await, Ok(done));
        assert_eq!(remote.quorum.image().topics().get("a").unwrap().partitions.len(), 3);

        // Configurations, also of the broker that asks, which is another node than the controller's.
        let (of_topic, of_broker) = (ConfigResource::topic("a"), ConfigResource::broker(ID));
        let change = |name: &str, value: &str| ConfigChange {
            name: name.to_owned(),
            op: ConfigOp::Set,
            value: Some(value.to_owned()),
        };
        let changes = vec![
            (of_topic.clone(), vec![change("retention.ms", "7")]),
            (of_broker.clone(), vec![change("num.io.threads", "9")]),
            (ConfigResource::topic("b"), vec![change("retention.ms", "7")]),
        ];
        let command = Command::IncrementalAlterConfigs { changes, validate_only: false };
        let Ok(Reply::AlterConfigs(outcomes)) = remote.submit(command).await else { panic!() };
        assert_eq!(outcomes[..2], [(of_topic.clone(), Ok(())), (of_broker.clone(), Ok(()))]);
        assert_eq!(outcomes[2].1.as_ref().unwrap_err().code, ErrorCode::UnknownTopicOrPartition);
        let configs = remote.quorum.image().configs().clone();
        assert_eq!(configs.props(&of_topic).get("retention.ms").map(String::as_str), Some("7"));
        assert_eq!(configs.props(&of_broker).get("num.io.threads").map(String::as_str), Some("9"));
        let command =
            Command::AlterConfigs { configs: vec![(of_topic.clone(), vec![])], validate_only: false };
        assert_eq!(remote.submit(command).await, Ok(Reply::AlterConfigs(vec![(of_topic.clone(), Ok(()))])));
        assert!(remote.quorum.image().configs().props(&of_topic).is_empty());

        // Elections and features.
        let partitions = Some(vec![("a".into(), vec![0])]);
        let command = Command::ElectLeaders { kind: ElectionKind::Preferred, partitions };
        let Ok(Reply::ElectLeaders(outcomes)) = remote.submit(command).await else { panic!() };
        assert_eq!(outcomes[0].1[0].1.as_ref().unwrap_err().code, ErrorCode::ElectionNotNeeded);
        let update = FeatureUpdate { name: "no.such".to_owned(), level: 1, kind: 1 };
        let command = Command::UpdateFeatures { updates: vec![update], validate_only: false };
        let Err(ControllerError::Refused(error)) = remote.submit(command).await else { panic!() };
        assert_eq!(error.code, ErrorCode::InvalidUpdateVersion);
        assert!(error.message.unwrap().starts_with("Invalid update version"));

        // Producer ids, by who has them in its epoch.
        let ids = async |epoch| {
            remote.controller.submit(Command::AllocateProducerIds { broker: ID, epoch }, soon()).await
        };
        let Ok(Reply::ProducerIds { first, count }) = ids(epoch).await else { panic!() };
        assert_eq!(ids(epoch).await, Ok(Reply::ProducerIds { first: first + 1000, count }));
        assert_eq!(ids(epoch + 1).await, Err(ApiError::from(ErrorCode::StaleBrokerEpoch).into()));

        // In-sync replicas of a partition that another leads.
        let change = IsrChange {
            topic: TopicId(Uuid::from_u128(3)),
            partition: 0,
            leader_epoch: 0,
            partition_epoch: 0,
            isr: vec![(ID, epoch)],
            recovering: false,
        };
        let alter = |epoch| Command::AlterPartition { broker: ID, epoch, partitions: vec![change.clone()] };
        let answer = vec![(change.topic, 0, Err(ErrorCode::UnknownTopicId))];
        assert_eq!(remote.controller.submit(alter(epoch), soon()).await, Ok(Reply::AlterPartition(answer)));
        let stale = remote.controller.submit(alter(epoch + 1), soon()).await;
        assert_eq!(stale, Err(ApiError::from(ErrorCode::StaleBrokerEpoch).into()));

        // A controller that is no voter yet.
        let own = ControllerRegistration {
            id: ID,
            incarnation: Uuid::from_u128(2),
            endpoints: Vec::new(),
            features: vec![FeatureRange { name: "f".into(), min: 0, max: 1 }],
        };
        registration::register_controller(&remote.controller, own, soon()).await.unwrap();
        assert!(remote.quorum.image().controllers().get(ID).is_some());
        assert_eq!(remote.submit(Command::UnregisterController(ID)).await, Ok(Reply::Done));
        assert!(remote.quorum.image().controllers().get(ID).is_none());
        let refused = remote.submit(Command::UnregisterController(ID)).await;
        assert!(
            matches!(refused, Err(ControllerError::Refused(e)) if e.code == ErrorCode::ControllerIdNotRegistered)
        );

        // And gone it is, whatever only it could lead.
        assert!(registration::shut_down(&remote.controller, ID, epoch, epoch, soon()).await.unwrap());
        let delete = Command::DeleteTopics(vec![TopicRef::Name("a".into())]);
        let Ok(Reply::DeleteTopics(deleted)) = remote.submit(delete).await else { panic!() };
        assert_eq!(deleted[0].1, Ok(("a".into(), created.id)));
        assert!(remote.quorum.image().topics().get("a").is_none());
        assert_eq!(remote.submit(Command::UnregisterBroker(ID)).await, Ok(Reply::Done));
        assert!(remote.quorum.image().brokers().get(ID).is_none());
        let refused = remote.submit(Command::UnregisterBroker(ID)).await;
        assert!(
            matches!(refused, Err(ControllerError::Refused(e)) if e.code == ErrorCode::BrokerIdNotRegistered)
        );
    });
}

#[test]
fn the_quorum_is_described_by_its_leader() {
    on_a_node(|machine, _client| async move {
        let remote = remote(&machine).await;
        remote.join(&machine).await;
        let asker = Asker { principal: "User:alice".into(), address: [10, 0, 0, 1].into() };
        let partition = PartitionData::default().with_partition_index(0);
        let topic = TopicData::default()
            .with_topic_name(kafka_protocol::protocol::StrBytes::from_static_str("__cluster_metadata").into())
            .with_partitions(vec![partition]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let answer = remote.controller.forward(&asker, 2, &request, true, soon()).await.unwrap().unwrap();
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id.0), (0, 1));
        let observer = &partition.observers[0];
        assert_eq!(observer.replica_id.0, ID);
        assert!(observer.last_fetch_timestamp > 0 && observer.last_caught_up_timestamp > 0);
        assert!(partition.current_voters[0].last_fetch_timestamp > 0);
    });
}

fn plain_request(key: i16, version: i16, body: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    encode_request(&mut bytes, known(key).unwrap(), version, 1, None);
    bytes.extend_from_slice(body);
    bytes.freeze()
}

#[test]
fn an_envelope_with_nonsense_is_refused_and_the_connection_goes_on() {
    on_a_node(|machine, _client| async move {
        let mut client = Client::connect(&machine.net, CONTROLLER_PORT).await.unwrap();
        let request = UnregisterBrokerRequest::default().with_broker_id(99.into());
        let asker = Asker { principal: "User:alice".into(), address: [10, 0, 0, 1].into() };
        let good = envelope::wrap(Some(&asker), 0, &request).unwrap();
        let nested = {
            let mut body = BytesMut::new();
            kafka_protocol::protocol::Encodable::encode(&good, &mut body, 0).unwrap();
            plain_request(58, 0, &body)
        };
        let metadata = envelope::wrap(None, 12, &MetadataRequest::default()).unwrap().request_data;
        let with = |data: Bytes| good.clone().with_request_data(data);
        let cases: Vec<(EnvelopeRequest, ErrorCode)> = vec![
            (with(Bytes::new()), ErrorCode::UnsupportedVersion),
            (with(vec![0xff; 40].into()), ErrorCode::UnsupportedVersion),
            (with(nested), ErrorCode::InvalidRequest),
            (with(metadata), ErrorCode::InvalidRequest),
            (with(plain_request(63, 2, &[0; 40])), ErrorCode::InvalidRequest),
            (with(plain_request(10_000, 0, &[0; 40])), ErrorCode::InvalidRequest),
            // A version that there is not, and bodies that are none.
            (with(plain_request(64, 9, &[0; 8])), ErrorCode::UnsupportedVersion),
            (with(plain_request(19, 7, &[0xff, 0xff, 0xff, 0xff, 0x0f])), ErrorCode::UnsupportedVersion),
            (with(plain_request(19, 7, &[])), ErrorCode::UnsupportedVersion),
            (
                good.clone().with_request_principal(Some(Bytes::from_static(b"nobody"))),
                ErrorCode::PrincipalDeserializationFailure,
            ),
            (good.clone().with_client_host_address(vec![1; 5].into()), ErrorCode::InvalidRequest),
        ];
        for (at, (envelope, expected)) in cases.into_iter().enumerate() {
            let answer = client.call(0, &envelope).await.unwrap();
            assert_eq!(ErrorCode::from_code(answer.error_code), Some(expected), "case {at}");
            assert_eq!(answer.response_data, None);
        }
        let answer = client.call(0, &good).await.unwrap();
        assert_eq!(answer.error_code, 0);
        let (inner, offset) = envelope::unwrap::<UnregisterBrokerRequest>(0, answer).unwrap();
        assert_eq!(inner.error_code, ErrorCode::BrokerIdNotRegistered.code());
        assert_eq!(offset, Some(machine.node().unwrap().broker.image().offset()));
    });
}
