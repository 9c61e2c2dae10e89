//! Controllers of a running cluster get a vote and lose it (KIP-853), with whole nodes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::cli::Environment;
use crate::cli::format::{FormatOptions, Voters, format};
use crate::cli::start::{StartArgs, prepare};
use crate::config::Setup;
use crate::env::{Env, Seeds, Tasks};
use crate::node::Node;
use crate::schema::api::create_topics_request::CreatableTopic;
use crate::schema::api::describe_quorum_request::{PartitionData, TopicData};
use crate::schema::api::metadata_request::MetadataRequestTopic;
use crate::schema::api::{
    CreateTopicsRequest, DescribeQuorumRequest, MetadataRequest, RemoveRaftVoterRequest,
};
use crate::schema::messages::AddRaftVoterRequest;
use crate::schema::messages::add_raft_voter_request::Listener;
use crate::sim::client::Client;
use crate::sim::clock::SimClock;
use crate::sim::disk::SimDisk;
use crate::sim::net::SimNet;
use crate::types::{NodeId, Rng};

const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";
const PORT: u16 = 9092;
const CONTROLLER_PORT: u16 = 9093;

struct Member {
    env: Env,
    net: SimNet,
    arguments: StartArgs,
}

impl Member {
    fn new(id: NodeId, net: &SimNet) -> Member {
        let host = format!("node-{id}");
        let net = net.host(&host);
        let servers: Vec<String> = (1..=3).map(|id| format!("node-{id}:{CONTROLLER_PORT}")).collect();
        let overrides = vec![
            "process.roles=broker,controller".to_owned(),
            format!("node.id={id}"),
            format!("listeners=PLAINTEXT://{host}:{PORT},CONTROLLER://{host}:{CONTROLLER_PORT}"),
            format!("advertised.listeners=PLAINTEXT://{host}:{PORT}"),
            "controller.quorum.voters=".to_owned(),
            format!("controller.quorum.bootstrap.servers={}", servers.join(",")),
        ];
        let env = Env {
            clock: Arc::new(SimClock::new()),
            disk: Arc::new(SimDisk::new()),
            net: Arc::new(net.clone()),
            seeds: Seeds::from_seed(id as u64),
            tasks: Tasks::simulated(),
        };
        let arguments = StartArgs {
            overrides,
            data_dir: Some(PathBuf::from("/data")),
            port: Some(PORT),
            cluster_id: Some(CLUSTER_ID.to_owned()),
            ..StartArgs::default()
        };
        Member { env, net, arguments }
    }

    fn with(mut self, overrides: &[&str]) -> Member {
        self.arguments.overrides.extend(overrides.iter().map(|&text| text.to_owned()));
        self
    }

    fn setup(&self) -> Setup {
        prepare(&self.env, &self.arguments, &Environment::new()).unwrap()
    }

    /// Makes this the only controller of a new cluster, as `format --standalone` does.
    fn format_standalone(&self) {
        let elsewhere = Env { disk: Arc::new(SimDisk::new()), ..self.env.clone() };
        let config = prepare(&elsewhere, &self.arguments, &Environment::new()).unwrap().config;
        let options = FormatOptions { voters: Voters::Standalone, ..FormatOptions::new(CLUSTER_ID) };
        format(&self.env, &config, &options, &mut |_| {}).unwrap();
    }

    async fn client(&self) -> Client {
        Client::connect(&self.net, PORT).await.unwrap()
    }
}

async fn add(member: &Member, id: NodeId, directory: Uuid) -> i16 {
    let listener = Listener {
        name: StrBytes::from_static_str("CONTROLLER"),
        host: StrBytes::from_string(format!("node-{id}")),
        port: CONTROLLER_PORT,
    };
    let request = AddRaftVoterRequest {
        cluster_id: Some(StrBytes::from_static_str(CLUSTER_ID)),
        timeout_ms: 20_000,
        voter_id: id,
        voter_directory_id: directory,
        listeners: vec![listener],
        ..AddRaftVoterRequest::default()
    };
    member.client().await.call(1, &request).await.unwrap().error_code
}

/// The leader and the voters, as a node's clients are told.
async fn quorum(member: &Member) -> (NodeId, Vec<NodeId>) {
    let topic = TopicData::default()
        .with_topic_name(StrBytes::from_static_str("__cluster_metadata").into())
        .with_partitions(vec![PartitionData::default()]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer = member.client().await.call(2, &request).await.unwrap();
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((answer.error_code, partition.error_code), (0, 0));
    let voters = partition.current_voters.iter().map(|voter| voter.replica_id.0).collect();
    (partition.leader_id.0, voters)
}

/// Makes a topic, which the same connection must know then.
async fn create(member: &Member, name: &'static str, replicas: i16) {
    let name = TopicName(StrBytes::from_static_str(name));
    let topic = CreatableTopic::default()
        .with_name(name.clone())
        .with_num_partitions(1)
        .with_replication_factor(replicas);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let mut client = member.client().await;
    let created = client.call(7, &request).await.unwrap();
    assert_eq!(created.topics[0].error_code, 0, "{created:?}");
    let asked = MetadataRequestTopic::default().with_name(Some(name));
    let request =
        MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
    let told = client.call(12, &request).await.unwrap();
    assert_eq!(told.topics[0].error_code, 0, "{told:?}");
}

#[test]
fn a_cluster_grows_from_one_controller_to_three_and_shrinks() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let net = SimNet::new(Rng::new(3), 5);
        let [one, two, three] = [1, 2, 3].map(|id| Member::new(id, &net));
        one.format_standalone();
        let setup = one.setup();
        let directory = setup.metadata_directory.id;
        let first = Node::start(&one.env, &setup).await.unwrap();
        create(&one, "a", 1).await;
        assert_eq!(quorum(&one).await, (1, vec![1]));

        let mut nodes = Vec::new();
        for (id, member) in [(2, &two), (3, &three)] {
            let setup = member.setup();
            let adding = async {
                // Not before it listens; until then it is not caught up.
                sleep(Duration::from_secs(1)).await;
                add(&one, id, setup.metadata_directory.id).await
            };
            let (started, added) = tokio::join!(Node::start(&member.env, &setup), adding);
            assert_eq!(added, 0);
            nodes.push(started.unwrap());
        }
        assert_eq!(quorum(&two).await, (1, vec![1, 2, 3]));
        create(&three, "b", 3).await;

        // The first goes without a word, and the two others go on.
        one.env.tasks.kill();
        one.env.tasks.ended().await;
        one.net.reset();
        drop(first);
        create(&two, "c", 2).await;
        let (leader, _) = quorum(&three).await;
        assert_ne!(leader, 1);

        // It is taken out, and the vote of who is left is enough.
        let request = RemoveRaftVoterRequest::default()
            .with_cluster_id(Some(StrBytes::from_static_str(CLUSTER_ID)))
            .with_voter_id(1)
            .with_voter_directory_id(directory);
        let removed = two.client().await.call(0, &request).await.unwrap();
        assert_eq!(removed.error_code, 0, "{removed:?}");
        assert_eq!(quorum(&two).await.1, [2, 3]);
        create(&three, "d", 2).await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while nodes.iter().any(|node| node.image().topics().get("d").is_none()) {
            assert!(Instant::now() < deadline);
            sleep(Duration::from_millis(10)).await;
        }
    });
}

async fn until_voters(member: &Member, voters: &[NodeId]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while quorum(member).await.1 != voters {
        assert!(Instant::now() < deadline, "{voters:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn controllers_join_by_themselves() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let net = SimNet::new(Rng::new(4), 5);
        let joins = "controller.quorum.auto.join.enable=true";
        let [one, two, three] = [1, 2, 3].map(|id| Member::new(id, &net).with(&[joins]));
        one.format_standalone();
        let _first = Node::start(&one.env, &one.setup()).await.unwrap();
        let _second = Node::start(&two.env, &two.setup()).await.unwrap();
        let _third = Node::start(&three.env, &three.setup()).await.unwrap();
        until_voters(&one, &[1, 2, 3]).await;
    });
}
