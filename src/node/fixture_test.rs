//! A node that serves, in virtual time, for the tests of what it is made of.

use std::time::Duration;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::runtime::Builder;

use crate::schema::api::CreateTopicsRequest;
use crate::schema::api::create_topics_request::CreatableTopic;
use crate::sim::client::Client;
use crate::sim::node::{Machine, PORT};
use crate::sim::options::Options;

/// Runs `test` in virtual time on a node that serves and has a topic `t` of one partition.
pub(super) fn on_a_node<F: Future<Output = ()>>(test: impl FnOnce(Machine, Client) -> F) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let options = Options { fsync: false, retention_ms: None, ..Options::from_seed(1) };
        let mut machine = Machine::new(&options);
        machine.start().await.expect("the node starts");
        let mut client = Client::connect(&machine.net, PORT).await.expect("a connection");
        let topic = CreatableTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("t")))
            .with_num_partitions(1)
            .with_replication_factor(1);
        let create = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let created = client.call(7, &create).await.expect("an answer");
        assert_eq!(created.topics[0].error_code, 0);
        test(machine, client).await;
    });
}

/// Waits for something that nothing but a few tasks have to run for.
pub(super) async fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what}");
}

#[path = "remote_follower_test.rs"]
mod remote_follower;
