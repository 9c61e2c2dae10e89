//! Makes topics that a client asked about and that are not there (`auto.create.topics.enable`), and the internal topics
//! of coordinators when they are first needed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::RequestContext;
use super::controller_gate::submit;
use super::internal_topics::{CONSUMER_OFFSETS, SHARE_GROUP_STATE, TRANSACTION_STATE};
use crate::config::BrokerConfig;
use crate::controller::command::{Command, NewTopic, Reply};
use crate::controller::decide::topics::invalid_name;
use crate::types::ErrorCode;

/// How long a client that asks for a topic is kept waiting for it to be made. It repeats the request anyway.
const WAIT: Duration = Duration::from_secs(5);

/// Makes those of the topics that are not there, and waits until this broker knows them. Names that cannot be a topic's are
/// passed over. What fails is logged: the caller finds the topic still missing and says so.
pub async fn auto_create<'a>(cx: &RequestContext, names: impl Iterator<Item = &'a str>) {
    let missing: BTreeSet<&str> = {
        let image = cx.broker.image();
        names.filter(|name| image.topics().get(name).is_none() && invalid_name(name).is_none()).collect()
    };
    if missing.is_empty() {
        return;
    }
    let topics = missing.iter().map(|name| new_topic(&cx.broker.config, name)).collect();
    let command = Command::CreateTopics { topics, validate_only: false };
    match submit(cx, command, WAIT).await {
        Ok(Reply::CreateTopics(outcomes)) => {
            for (name, outcome) in outcomes {
                match outcome {
                    Ok(_) => tracing::info!(topic = name, "topic created on first use"),
                    // Somebody else was faster.
                    Err(error) if error.code == ErrorCode::TopicAlreadyExists => {}
                    Err(error) => {
                        tracing::warn!(topic = name, "a topic was not created on first use: {error}")
                    }
                }
            }
        }
        Ok(other) => tracing::error!(reply = ?other, "the controller answered another command than was sent"),
        Err(error) => tracing::warn!(topics = ?missing, "topics were not created on first use: {error}"),
    }
}

/// What a topic is to be that is made on first use.
fn new_topic(config: &BrokerConfig, name: &str) -> NewTopic {
    let (partitions, replication_factor, configs) = match name {
        CONSUMER_OFFSETS => (
            config.offsets_topic_num_partitions,
            config.offsets_topic_replication_factor,
            vec![
                ("cleanup.policy", "compact".to_owned()),
                ("compression.type", "producer".to_owned()),
                ("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
            ],
        ),
        TRANSACTION_STATE => (
            config.transaction_state_log_num_partitions,
            config.transaction_state_log_replication_factor,
            vec![
                ("cleanup.policy", "compact".to_owned()),
                ("compression.type", "uncompressed".to_owned()),
                ("min.insync.replicas", config.transaction_state_log_min_isr.to_string()),
                ("segment.bytes", config.transaction_state_log_segment_bytes.to_string()),
                ("unclean.leader.election.enable", "false".to_owned()),
            ],
        ),
        SHARE_GROUP_STATE => (
            config.share_coordinator_state_topic_num_partitions,
            config.share_coordinator_state_topic_replication_factor,
            vec![
                ("cleanup.policy", "delete".to_owned()),
                ("compression.type", "uncompressed".to_owned()),
                ("min.insync.replicas", config.share_coordinator_state_topic_min_isr.to_string()),
                ("retention.ms", "-1".to_owned()),
                ("segment.bytes", config.share_coordinator_state_topic_segment_bytes.to_string()),
            ],
        ),
        _ => (config.num_partitions, config.default_replication_factor, Vec::new()),
    };
    NewTopic {
        name: name.to_owned(),
        partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
    }
}
