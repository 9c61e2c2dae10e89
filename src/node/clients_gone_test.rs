use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::test_node::{on_a_node, soon};
use crate::schema::api::fetch_request::{FetchPartition, FetchTopic};
use crate::schema::api::join_group_request::JoinGroupRequestProtocol;
use crate::schema::api::{ApiVersionsRequest, FetchRequest, FindCoordinatorRequest, JoinGroupRequest};
use crate::sim::client::Client;
use crate::sim::node::PORT;

/// Longer than any test waits.
const AN_HOUR_MS: i32 = 3_600_000;
const CLIENTS: usize = 300;

/// A fetch of the empty partition `t`-0 that waits for an hour.
fn long_poll() -> FetchRequest {
    let partition = FetchPartition::default().with_partition(0).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("t")))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(AN_HOUR_MS)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

#[test]
fn fetches_of_clients_that_are_gone_are_given_up_at_once() {
    on_a_node(|machine, admin| async move {
        let node = machine.node().expect("the node runs");
        let partition = node.broker.replicas.partition("t", 0).expect("the partition");
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let mut client = Client::connect(&machine.net, PORT).await.expect("a connection");
            client.send(12, &long_poll()).await.expect("sent");
            if number % 3 == 0 {
                // Requests that a client sends behind its fetch do not hide its end.
                client.send(0, &ApiVersionsRequest::default()).await.expect("sent");
            }
            clients.push(client);
        }
        soon("all wait", || partition.waiting_fetches() == CLIENTS).await;
        clients.truncate(1);
        soon("one waits", || partition.waiting_fetches() == 1).await;
        soon("two are connected", || node.reception.limits.connections() == 2).await;
        drop((clients, admin));
        soon("nobody waits", || partition.waiting_fetches() == 0).await;
        soon("nobody is connected", || node.reception.limits.connections() == 0).await;
    });
}

#[test]
fn joins_of_clients_that_are_gone_are_given_up_at_once() {
    on_a_node(|machine, mut first| async move {
        let node = machine.node().expect("the node runs");
        let protocol = JoinGroupRequestProtocol::default().with_name(StrBytes::from_static_str("range"));
        let join = JoinGroupRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str("g")))
            .with_session_timeout_ms(60_000)
            .with_rebalance_timeout_ms(AN_HOUR_MS)
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        // The coordinator's topic is made when somebody asks for it.
        let find = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"));
        let mut error = -1;
        for _ in 0..1000 {
            first.call(2, &find).await.expect("an answer");
            error = first.call(3, &join).await.expect("an answer").error_code;
            if error == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(error, 0);
        let mut second = Client::connect(&machine.net, PORT).await.expect("a connection");
        second.send(3, &join).await.expect("sent");
        soon("two are connected", || node.reception.limits.connections() == 2).await;
        // It waits for the first to join again.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        drop(second);
        soon("one is connected", || node.reception.limits.connections() == 1).await;
    });
}
