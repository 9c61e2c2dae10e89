//! The broker's configuration in typed form, and what its values must be together.
//!
//! Messages say what Kafka's say; each is one line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::endpoint::{self, Endpoint, SecurityProtocol};
use crate::config::layers::Layers;
use crate::config::property::{ConfigError, Value, one_line};
use crate::config::topic::{Durability, TopicConfig, durability};
use crate::config::values::Values;
use crate::types::{Ms, NodeId};

/// A voter of the metadata quorum, from `controller.quorum.voters`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voter {
    /// Its `node.id`.
    pub id: NodeId,
    /// Where its controller listens.
    pub host: String,
    /// Where its controller listens.
    pub port: u16,
}

/// A principal that every connection of a listener has (`conformance.listener.principals`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerPrincipal {
    /// Kind of principal, normally `User`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What a node does and where: every key it needs in typed form. Fields are named after their keys.
///
/// Times are in milliseconds and sizes in bytes unless the name says otherwise; bounds are those of the tables.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct BrokerConfig {
    // Who the node is.
    pub node_id: NodeId,
    pub is_broker: bool,
    pub is_controller: bool,
    pub broker_rack: Option<String>,
    pub broker_heartbeat_interval_ms: Ms,
    pub broker_lease_ms: Ms,
    pub broker_session_timeout_ms: Ms,
    pub controlled_shutdown_enable: bool,
    pub initial_broker_registration_timeout_ms: Ms,

    // Where it listens.
    pub listeners: Vec<Endpoint>,
    /// Endpoints of `listeners` that clients and brokers use.
    pub broker_listeners: Vec<Endpoint>,
    /// Endpoints of `listeners` that controllers use.
    pub controller_listeners: Vec<Endpoint>,
    /// What clients are told; a host of `None` means the machine's own name.
    pub advertised_listeners: Vec<Endpoint>,
    /// What other nodes are told about the controller.
    pub advertised_controller_listeners: Vec<Endpoint>,
    pub controller_listener_names: Vec<String>,
    pub inter_broker_listener_name: String,
    /// By listener name.
    pub listener_security_protocol_map: BTreeMap<String, SecurityProtocol>,
    /// By listener name.
    pub listener_principals: BTreeMap<String, ListenerPrincipal>,

    // Sockets.
    pub socket_listen_backlog_size: i32,
    /// -1 leaves it to the system.
    pub socket_receive_buffer_bytes: i32,
    /// -1 leaves it to the system.
    pub socket_send_buffer_bytes: i32,
    pub socket_request_max_bytes: usize,
    /// -1 for the built-in bound.
    pub queued_max_request_bytes: i64,
    pub connections_max_idle_ms: Ms,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// By host name or address, as configured.
    pub max_connections_per_ip_overrides: BTreeMap<String, usize>,
    pub max_incremental_fetch_session_cache_slots: usize,
    pub max_request_partition_size_limit: usize,
    pub fetch_max_bytes: usize,

    // Directories.
    /// At least one.
    pub log_dirs: Vec<PathBuf>,
    /// Need not be one of `log_dirs`.
    pub metadata_log_dir: PathBuf,
    pub num_recovery_threads_per_data_dir: usize,
    pub server_max_startup_time_ms: Ms,

    // Quorum.
    /// Empty where the voters are dynamic (KIP-853).
    pub controller_quorum_voters: Vec<Voter>,
    pub controller_quorum_auto_join: bool,
    pub controller_quorum_bootstrap_servers: Vec<String>,
    pub controller_quorum_election_timeout_ms: Ms,
    pub controller_quorum_fetch_timeout_ms: Ms,
    pub metadata_log_max_record_bytes_between_snapshots: i64,
    pub metadata_log_max_snapshot_interval_ms: Ms,
    pub metadata_log_segment_bytes: i32,

    // Topics.
    pub auto_create_topics_enable: bool,
    pub delete_topic_enable: bool,
    pub num_partitions: i32,
    pub default_replication_factor: i16,

    // Logs. What a topic may have of its own is in `topic_defaults`.
    pub topic_defaults: TopicConfig,
    pub acks_all_durability: Durability,
    pub message_max_bytes: i32,
    pub min_insync_replicas: i32,
    pub log_retention_check_interval_ms: Ms,
    pub log_initial_task_delay_ms: Ms,
    pub log_flush_scheduler_interval_ms: Ms,
    pub log_flush_offset_checkpoint_interval_ms: Ms,
    /// At least 1.
    pub num_replica_fetchers: usize,
    pub replica_fetch_backoff_ms: Ms,
    pub replica_fetch_max_bytes: i32,
    pub replica_fetch_min_bytes: i32,
    pub replica_fetch_response_max_bytes: i32,
    pub replica_fetch_wait_max_ms: i32,
    pub replica_lag_time_max_ms: Ms,
    pub replica_socket_timeout_ms: Ms,
    /// Whether consumers are sent to replicas in their racks (KIP-392).
    pub rack_aware_reads: bool,
    pub replica_high_watermark_checkpoint_interval_ms: Ms,
    pub log_cleaner_enable: bool,
    pub log_cleaner_threads: usize,
    pub log_cleaner_backoff_ms: Ms,
    pub log_cleaner_dedupe_buffer_size: i64,
    pub log_cleaner_io_buffer_load_factor: f64,
    pub log_cleaner_io_max_bytes_per_second: f64,
    pub producer_id_expiration_ms: i32,
    pub producer_id_expiration_check_interval_ms: i32,

    // Groups and committed offsets.
    pub group_consumer_assignment_interval_ms: [Ms; 3],
    pub group_consumer_assignors: Vec<String>,
    pub group_consumer_heartbeat_interval_ms: [Ms; 3],
    pub group_consumer_max_size: usize,
    pub group_consumer_migration_policy: String,
    pub group_consumer_regex_refresh_interval_ms: Ms,
    pub group_consumer_session_timeout_ms: [Ms; 3],
    pub group_coordinator_rebalance_protocols: Vec<String>,
    /// -1 lets the load decide.
    pub group_coordinator_append_linger_ms: i32,
    pub group_initial_rebalance_delay_ms: i32,
    pub group_min_session_timeout_ms: i32,
    pub group_max_session_timeout_ms: i32,
    pub group_max_size: usize,
    pub offset_metadata_max_bytes: usize,
    pub offsets_commit_timeout_ms: i32,
    pub offsets_load_buffer_size: usize,
    pub offsets_retention_minutes: i32,
    pub offsets_retention_check_interval_ms: Ms,
    /// Number of a codec; 0 for none.
    pub offsets_topic_compression_codec: i32,
    pub offsets_topic_num_partitions: i32,
    pub offsets_topic_replication_factor: i16,
    pub offsets_topic_segment_bytes: i32,

    // Other internal topics.
    pub add_partitions_to_txn_retry_backoff_max_ms: i32,
    pub transaction_abort_timed_out_transaction_cleanup_interval_ms: i32,
    pub transaction_max_timeout_ms: i32,
    pub transaction_remove_expired_transaction_cleanup_interval_ms: i32,
    pub transactional_id_expiration_ms: i32,
    pub transaction_state_log_load_buffer_size: usize,
    pub transaction_state_log_num_partitions: i32,
    pub transaction_state_log_replication_factor: i16,
    pub transaction_state_log_min_isr: i32,
    pub transaction_state_log_segment_bytes: i32,
    pub share_coordinator_state_topic_num_partitions: i32,
    pub share_coordinator_state_topic_replication_factor: i16,
    pub share_coordinator_state_topic_min_isr: i16,
    pub share_coordinator_state_topic_segment_bytes: i32,
    /// Number of a codec; 0 for none.
    pub share_coordinator_state_topic_compression_codec: i32,
    pub share_coordinator_state_topic_prune_interval_ms: Ms,
    pub share_coordinator_cold_partition_snapshot_interval_ms: Ms,
    pub share_coordinator_load_buffer_size: usize,
    pub share_coordinator_snapshot_update_records_per_snapshot: i32,
    pub share_coordinator_write_timeout_ms: i32,
    pub group_share_assignment_interval_ms: i32,
    pub group_share_heartbeat_interval_ms: i32,
    pub group_share_initialize_retry_interval_ms: i32,
    pub group_share_max_share_sessions: usize,
    pub group_share_max_size: usize,
    pub group_share_session_timeout_ms: i32,

    pub unstable_feature_versions_enable: bool,
}

impl BrokerConfig {
    /// The typed form of what the layers say. File values must be valid and fit together; a dynamic value that is not
    /// valid counts as not set, as in Kafka, since a node must come up to have it mended.
    pub fn new(layers: &Layers) -> Result<BrokerConfig, ConfigError> {
        let mut v = layers.broker_values()?;
        unify_ids(layers, &mut v)?;
        let voters = parse_voters(&v.list("controller.quorum.voters"))?;
        let topic_defaults = layers.topic(&BTreeMap::new());
        check_ranges(&v, &topic_defaults)?;
        let net = endpoint::Network::new(layers, &v)?;
        let config = BrokerConfig::build(&v, net, voters, topic_defaults)?;
        config.check_roles()?;
        Ok(config)
    }

    fn build(
        v: &Values,
        net: endpoint::Network,
        controller_quorum_voters: Vec<Voter>,
        topic_defaults: TopicConfig,
    ) -> Result<BrokerConfig, ConfigError> {
        let roles = v.list("process.roles");
        let log_dirs: Vec<PathBuf> = v
            .opt_list("log.dirs")
            .unwrap_or_else(|| v.list("log.dir"))
            .into_iter()
            .map(PathBuf::from)
            .collect();
        let metadata_log_dir = match v.opt_text("metadata.log.dir") {
            Some(dir) => PathBuf::from(dir),
            None => log_dirs.first().cloned().unwrap_or_default(),
        };
        Ok(BrokerConfig {
            node_id: v.int("node.id"),
            is_broker: roles.iter().any(|r| r == "broker"),
            is_controller: roles.iter().any(|r| r == "controller"),
            broker_rack: v.opt_text("broker.rack"),
            broker_heartbeat_interval_ms: v.int("broker.heartbeat.interval.ms").into(),
            broker_lease_ms: v.int("broker.lease.ms").into(),
            broker_session_timeout_ms: v.int("broker.session.timeout.ms").into(),
            controlled_shutdown_enable: v.boolean("controlled.shutdown.enable"),
            initial_broker_registration_timeout_ms: v.int("initial.broker.registration.timeout.ms").into(),
            listeners: net.listeners,
            broker_listeners: net.broker_listeners,
            controller_listeners: net.controller_listeners,
            advertised_listeners: net.advertised,
            advertised_controller_listeners: net.advertised_controllers,
            controller_listener_names: net.controller_names,
            inter_broker_listener_name: net.inter_broker,
            listener_security_protocol_map: net.protocols,
            listener_principals: parse_listener_principals(&v.list("conformance.listener.principals"))?,
            socket_listen_backlog_size: v.int("socket.listen.backlog.size"),
            socket_receive_buffer_bytes: v.int("socket.receive.buffer.bytes"),
            socket_send_buffer_bytes: v.int("socket.send.buffer.bytes"),
            socket_request_max_bytes: v.size("socket.request.max.bytes"),
            queued_max_request_bytes: v.long("queued.max.request.bytes"),
            connections_max_idle_ms: v.long("connections.max.idle.ms"),
            max_connections: v.size("max.connections"),
            max_connections_per_ip: v.size("max.connections.per.ip"),
            max_connections_per_ip_overrides: parse_overrides(&v.text("max.connections.per.ip.overrides"))?,
            max_incremental_fetch_session_cache_slots: v.size("max.incremental.fetch.session.cache.slots"),
            max_request_partition_size_limit: v.size("max.request.partition.size.limit"),
            fetch_max_bytes: v.size("fetch.max.bytes"),
            log_dirs,
            metadata_log_dir,
            num_recovery_threads_per_data_dir: v.size("num.recovery.threads.per.data.dir"),
            server_max_startup_time_ms: v.long("server.max.startup.time.ms"),
            controller_quorum_voters,
            controller_quorum_auto_join: v.boolean("controller.quorum.auto.join.enable"),
            controller_quorum_bootstrap_servers: v.list("controller.quorum.bootstrap.servers"),
            controller_quorum_election_timeout_ms: v.int("controller.quorum.election.timeout.ms").into(),
            controller_quorum_fetch_timeout_ms: v.int("controller.quorum.fetch.timeout.ms").into(),
            metadata_log_max_record_bytes_between_snapshots: v
                .long("metadata.log.max.record.bytes.between.snapshots"),
            metadata_log_max_snapshot_interval_ms: v.long("metadata.log.max.snapshot.interval.ms"),
            metadata_log_segment_bytes: v.int("metadata.log.segment.bytes"),
            auto_create_topics_enable: v.boolean("auto.create.topics.enable"),
            delete_topic_enable: v.boolean("delete.topic.enable"),
            num_partitions: v.int("num.partitions"),
            default_replication_factor: i16::try_from(v.int("default.replication.factor"))
                .unwrap_or(i16::MAX),
            topic_defaults,
            acks_all_durability: durability(&v.text("acks.all.durability")),
            message_max_bytes: v.int("message.max.bytes"),
            min_insync_replicas: v.int("min.insync.replicas"),
            log_retention_check_interval_ms: v.long("log.retention.check.interval.ms"),
            log_initial_task_delay_ms: v.long("log.initial.task.delay.ms"),
            log_flush_scheduler_interval_ms: v.long("log.flush.scheduler.interval.ms"),
            log_flush_offset_checkpoint_interval_ms: v.long("log.flush.offset.checkpoint.interval.ms"),
            num_replica_fetchers: v.size("num.replica.fetchers"),
            replica_fetch_backoff_ms: Ms::from(v.int("replica.fetch.backoff.ms")),
            replica_fetch_max_bytes: v.int("replica.fetch.max.bytes"),
            replica_fetch_min_bytes: v.int("replica.fetch.min.bytes"),
            replica_fetch_response_max_bytes: v.int("replica.fetch.response.max.bytes"),
            replica_fetch_wait_max_ms: v.int("replica.fetch.wait.max.ms"),
            replica_lag_time_max_ms: v.long("replica.lag.time.max.ms"),
            rack_aware_reads: v.opt_text("replica.selector.class").is_some(),
            replica_socket_timeout_ms: Ms::from(v.int("replica.socket.timeout.ms")),
            replica_high_watermark_checkpoint_interval_ms: v
                .long("replica.high.watermark.checkpoint.interval.ms"),
            log_cleaner_enable: v.boolean("log.cleaner.enable"),
            log_cleaner_threads: v.size("log.cleaner.threads"),
            log_cleaner_backoff_ms: v.long("log.cleaner.backoff.ms"),
            log_cleaner_dedupe_buffer_size: v.long("log.cleaner.dedupe.buffer.size"),
            log_cleaner_io_buffer_load_factor: v.double("log.cleaner.io.buffer.load.factor"),
            log_cleaner_io_max_bytes_per_second: v.double("log.cleaner.io.max.bytes.per.second"),
            producer_id_expiration_ms: v.int("producer.id.expiration.ms"),
            producer_id_expiration_check_interval_ms: v.int("producer.id.expiration.check.interval.ms"),
            group_consumer_assignment_interval_ms: bounded(v, "group.consumer.", "assignment.interval.ms"),
            group_consumer_assignors: v.list("group.consumer.assignors"),
            group_consumer_heartbeat_interval_ms: bounded(v, "group.consumer.", "heartbeat.interval.ms"),
            group_consumer_max_size: v.size("group.consumer.max.size"),
            group_consumer_migration_policy: v.text("group.consumer.migration.policy"),
            group_consumer_regex_refresh_interval_ms: v.long("group.consumer.regex.refresh.interval.ms"),
            group_consumer_session_timeout_ms: bounded(v, "group.consumer.", "session.timeout.ms"),
            group_coordinator_rebalance_protocols: v.list("group.coordinator.rebalance.protocols"),
            group_coordinator_append_linger_ms: v.int("group.coordinator.append.linger.ms"),
            group_initial_rebalance_delay_ms: v.int("group.initial.rebalance.delay.ms"),
            group_min_session_timeout_ms: v.int("group.min.session.timeout.ms"),
            group_max_session_timeout_ms: v.int("group.max.session.timeout.ms"),
            group_max_size: v.size("group.max.size"),
            offset_metadata_max_bytes: v.size("offset.metadata.max.bytes"),
            offsets_commit_timeout_ms: v.int("offsets.commit.timeout.ms"),
            offsets_load_buffer_size: v.size("offsets.load.buffer.size"),
            offsets_retention_minutes: v.int("offsets.retention.minutes"),
            offsets_retention_check_interval_ms: v.long("offsets.retention.check.interval.ms"),
            offsets_topic_compression_codec: v.int("offsets.topic.compression.codec"),
            offsets_topic_num_partitions: v.int("offsets.topic.num.partitions"),
            offsets_topic_replication_factor: v.short("offsets.topic.replication.factor"),
            offsets_topic_segment_bytes: v.int("offsets.topic.segment.bytes"),
            add_partitions_to_txn_retry_backoff_max_ms: v.int("add.partitions.to.txn.retry.backoff.max.ms"),
            transaction_abort_timed_out_transaction_cleanup_interval_ms: v
                .int("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            transaction_max_timeout_ms: v.int("transaction.max.timeout.ms"),
            transaction_remove_expired_transaction_cleanup_interval_ms: v
                .int("transaction.remove.expired.transaction.cleanup.interval.ms"),
            transactional_id_expiration_ms: v.int("transactional.id.expiration.ms"),
            transaction_state_log_load_buffer_size: v.size("transaction.state.log.load.buffer.size"),
            transaction_state_log_num_partitions: v.int("transaction.state.log.num.partitions"),
            transaction_state_log_replication_factor: v.short("transaction.state.log.replication.factor"),
            transaction_state_log_min_isr: v.int("transaction.state.log.min.isr"),
            transaction_state_log_segment_bytes: v.int("transaction.state.log.segment.bytes"),
            share_coordinator_state_topic_num_partitions: v
                .int("share.coordinator.state.topic.num.partitions"),
            share_coordinator_state_topic_replication_factor: v
                .short("share.coordinator.state.topic.replication.factor"),
            share_coordinator_state_topic_min_isr: v.short("share.coordinator.state.topic.min.isr"),
            share_coordinator_state_topic_segment_bytes: v.int("share.coordinator.state.topic.segment.bytes"),
            share_coordinator_state_topic_compression_codec: v
                .int("share.coordinator.state.topic.compression.codec"),
            share_coordinator_state_topic_prune_interval_ms: v
                .long("share.coordinator.state.topic.prune.interval.ms"),
            share_coordinator_cold_partition_snapshot_interval_ms: v
                .long("share.coordinator.cold.partition.snapshot.interval.ms"),
            share_coordinator_load_buffer_size: v.size("share.coordinator.load.buffer.size"),
            share_coordinator_snapshot_update_records_per_snapshot: v
                .int("share.coordinator.snapshot.update.records.per.snapshot"),
            share_coordinator_write_timeout_ms: v.int("share.coordinator.write.timeout.ms"),
            group_share_assignment_interval_ms: v.int("group.share.assignment.interval.ms"),
            group_share_heartbeat_interval_ms: v.int("group.share.heartbeat.interval.ms"),
            group_share_initialize_retry_interval_ms: v.int("group.share.initialize.retry.interval.ms"),
            group_share_max_share_sessions: v.size("group.share.max.share.sessions"),
            group_share_max_size: v.size("group.share.max.size"),
            group_share_session_timeout_ms: v.int("group.share.session.timeout.ms"),
            unstable_feature_versions_enable: v.boolean("unstable.feature.versions.enable"),
        })
    }

    /// The log directories and the metadata directory, each once, ordered.
    pub fn all_directories(&self) -> Vec<PathBuf> {
        let mut all = self.log_dirs.clone();
        all.push(self.metadata_log_dir.clone());
        all.sort();
        all.dedup();
        all
    }

    /// True if this node is the whole metadata quorum.
    pub fn is_alone(&self) -> bool {
        self.is_controller
            && self.controller_quorum_voters.iter().all(|voter| voter.id == self.node_id)
            && (!self.controller_quorum_voters.is_empty()
                || self.controller_quorum_bootstrap_servers.len() < 2)
    }

    fn check_roles(&self) -> Result<(), ConfigError> {
        let id = self.node_id;
        let ids: Vec<String> =
            self.controller_quorum_voters.iter().map(|voter| voter.id.to_string()).collect();
        let is_voter = self.controller_quorum_voters.iter().any(|voter| voter.id == id);
        let ids = ids.join(",");
        require(
            !self.controller_quorum_voters.is_empty() || !self.controller_quorum_bootstrap_servers.is_empty(),
            || {
                "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap \
             controllers or controller.quorum.voters must contain a parseable set of controllers."
                .to_owned()
            },
        )?;
        if self.is_controller {
            require(is_voter || self.controller_quorum_voters.is_empty(), || {
                format!(
                    "If process.roles contains the 'controller' role, the node id {id} must be included in the set of \
                     voters controller.quorum.voters={ids}"
                )
            })?;
            require(!self.controller_listeners.is_empty(), || {
                "controller.listener.names must contain at least one value appearing in the 'listeners' configuration \
                 when running the KRaft controller role"
                    .to_owned()
            })?;
        } else {
            require(!is_voter, || {
                format!(
                    "If process.roles contains just the 'broker' role, the node id {id} must not be included in the \
                     set of voters controller.quorum.voters={ids}"
                )
            })?;
            require(self.controller_listeners.is_empty(), || {
                "controller.listener.names must not contain a value appearing in the 'listeners' configuration when \
                 running KRaft with just the broker role"
                    .to_owned()
            })?;
        }
        require(!self.controller_listener_names.is_empty(), || {
            "controller.listener.names must contain at least one value when running KRaft".to_owned()
        })?;
        if !self.is_broker {
            return require(self.broker_listeners.is_empty(), || {
                "The listeners config must only contain KRaft controller listeners from controller.listener.names when \
                 process.roles=controller"
                    .to_owned()
            });
        }
        self.check_advertised()
    }

    fn check_advertised(&self) -> Result<(), ConfigError> {
        let names = |endpoints: &[Endpoint]| -> Vec<String> {
            endpoints.iter().map(|e| e.listener.clone()).collect()
        };
        let advertised = names(&self.advertised_listeners);
        require(!advertised.is_empty(), || {
            "There must be at least one broker advertised listener. Perhaps all listeners appear in \
             controller.listener.names?"
                .to_owned()
        })?;
        require(advertised.contains(&self.inter_broker_listener_name), || {
            format!(
                "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options \
                 based on currently configured listeners are {}",
                advertised.join(",")
            )
        })?;
        let listening = names(&self.listeners);
        require(advertised.iter().all(|name| listening.contains(name)), || {
            format!(
                "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. \
                 Found {}. The valid options based on the current configuration are {}",
                advertised.join(","),
                listening.join(",")
            )
        })?;
        let mut every = self.advertised_listeners.iter().chain(&self.advertised_controller_listeners);
        require(!every.any(|e| e.host.as_deref() == Some("0.0.0.0")), || {
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."
                .to_owned()
        })
    }
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Conflict(message())) }
}

/// Sends consumers to replicas in their racks.
const RACK_AWARE_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// `node.id` and `broker.id` are one: the one that is set gives the other its value.
fn unify_ids(layers: &Layers, v: &mut Values) -> Result<(), ConfigError> {
    let has_broker_id = layers.file_value("broker.id").is_some();
    let (node, broker) = (v.int("node.id"), v.int("broker.id"));
    require(!has_broker_id || node == broker, || {
        format!("You must set `node.id` to the same value as `broker.id`: they are {node} and {broker}")
    })?;
    v.set("broker.id", Value::Number(node.into()));
    Ok(())
}

fn check_ranges(v: &Values, topic: &TopicConfig) -> Result<(), ConfigError> {
    let bad = |key: &str, value: String, why: &str| {
        Err(ConfigError::Value { key: key.to_owned(), value, why: why.to_owned() })
    };
    let (long, int) = (|key: &str| v.long(key), |key: &str| v.int(key));
    // Keys that may change at run time are refused in Kafka's words.
    let required = |holds: bool, what: &str| require(holds, || format!("requirement failed: {what}"));
    required(topic.segment_ms >= 1, "log.roll.ms must be greater than or equal to 1")?;
    required(topic.segment_jitter_ms >= 0, "log.roll.jitter.ms must be greater than or equal to 0")?;
    required(
        topic.retention_ms != 0,
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
    )?;
    required(
        long("log.cleaner.dedupe.buffer.size") / long("log.cleaner.threads").max(1) > 1024 * 1024,
        "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
    )?;
    let wait = int("replica.fetch.wait.max.ms");
    if i64::from(wait) > long("replica.lag.time.max.ms") || wait > int("replica.socket.timeout.ms") {
        let why = "must not be more than replica.socket.timeout.ms and replica.lag.time.max.ms";
        return bad("replica.fetch.wait.max.ms", wait.to_string(), why);
    }
    if let Some(selector) = v.opt_text("replica.selector.class").filter(|class| class != RACK_AWARE_SELECTOR)
    {
        let why = "is a Java class; only the rack-aware selector of Kafka is there";
        return bad("replica.selector.class", selector, why);
    }
    let queued = long("queued.max.request.bytes");
    if queued > 0 && queued < long("socket.request.max.bytes") {
        let why = "must be larger or equal to socket.request.max.bytes";
        return bad("queued.max.request.bytes", queued.to_string(), why);
    }
    if int("max.connections.per.ip") == 0 && v.text("max.connections.per.ip.overrides").is_empty() {
        let why = "can be set to zero only if max.connections.per.ip.overrides property is set";
        return bad("max.connections.per.ip", "0".to_owned(), why);
    }
    let idle = long("connections.max.idle.ms");
    if idle >= 0 && i64::from(int("connection.failed.authentication.delay.ms")) >= idle {
        let value = int("connection.failed.authentication.delay.ms").to_string();
        let why = "should always be less than connections.max.idle.ms";
        return bad("connection.failed.authentication.delay.ms", value, why);
    }
    let protocols = v.list("group.coordinator.rebalance.protocols");
    if !protocols.iter().any(|p| p == "classic") {
        let why = "Disabling the 'classic' protocol is not supported.";
        return bad("group.coordinator.rebalance.protocols", protocols.join(","), why);
    }
    let assignors = v.list("group.consumer.assignors");
    if assignors.is_empty() || assignors.iter().any(|name| !ASSIGNORS.contains(&&**name)) {
        let why = "must name at least one of uniform and range; other assignors are Java classes";
        return bad("group.consumer.assignors", assignors.join(","), why);
    }
    check_group_bounds(v)
}

/// What groups get, and the least and the most that they may be given.
fn bounded(v: &Values, prefix: &str, key: &str) -> [Ms; 3] {
    ["", "min.", "max."].map(|which| v.long(&format!("{prefix}{which}{key}")))
}

/// Assignors that are there, by their names or Kafka's class names.
const ASSIGNORS: &[&str] = &[
    "uniform",
    "range",
    "org.apache.kafka.coordinator.group.assignor.UniformAssignor",
    "org.apache.kafka.coordinator.group.assignor.RangeAssignor",
];

/// Group settings lie within the bounds that groups themselves may be given.
fn check_group_bounds(v: &Values) -> Result<(), ConfigError> {
    const BOUNDED: &[(&str, &str)] = &[
        ("group.consumer.", "session.timeout.ms"),
        ("group.consumer.", "heartbeat.interval.ms"),
        ("group.consumer.", "assignment.interval.ms"),
        ("group.share.", "session.timeout.ms"),
        ("group.share.", "heartbeat.interval.ms"),
        ("group.share.", "assignment.interval.ms"),
        ("group.share.", "record.lock.duration.ms"),
        ("group.share.", "delivery.count.limit"),
        ("group.share.", "partition.max.record.locks"),
        ("group.streams.", "session.timeout.ms"),
        ("group.streams.", "heartbeat.interval.ms"),
        ("group.streams.", "assignment.interval.ms"),
    ];
    for (prefix, key) in BOUNDED {
        let (name, min, max) =
            (format!("{prefix}{key}"), format!("{prefix}min.{key}"), format!("{prefix}max.{key}"));
        let value = v.long(&name);
        let why = if value < v.long(&min) {
            format!("must be greater than or equal to {min}, which is {}", v.long(&min))
        } else if value > v.long(&max) {
            format!("must be less than or equal to {max}, which is {}", v.long(&max))
        } else {
            continue;
        };
        return Err(ConfigError::Value { key: name, value: value.to_string(), why });
    }
    Ok(())
}

fn parse_voters(list: &[String]) -> Result<Vec<Voter>, ConfigError> {
    let parse = |entry: &String| -> Option<Voter> {
        let (id, address) = entry.split_once('@')?;
        let (host, port) = endpoint::split_host_port(address)?;
        let id = id.trim().parse().ok().filter(|id: &NodeId| *id >= 0)?;
        Some(Voter { id, host: host?, port: port.parse().ok()? })
    };
    let mut voters = Vec::new();
    for entry in list {
        voters.push(parse(entry).ok_or_else(|| ConfigError::Value {
            key: "controller.quorum.voters".to_owned(),
            value: one_line(entry),
            why: "Each entry should be in the form `{id}@{host}:{port}`.".to_owned(),
        })?);
    }
    Ok(voters)
}

fn parse_overrides(text: &str) -> Result<BTreeMap<String, usize>, ConfigError> {
    let mut overrides = BTreeMap::new();
    for entry in crate::config::property::split_list(text) {
        let parsed = entry.rsplit_once(':').and_then(|(host, n)| Some((host.trim(), n.trim().parse().ok()?)));
        let Some((host, number)) = parsed else {
            return Err(ConfigError::Value {
                key: "max.connections.per.ip.overrides".to_owned(),
                value: one_line(&entry),
                why: "each entry is host:number".to_owned(),
            });
        };
        overrides.insert(host.trim_matches(['[', ']']).to_owned(), number);
    }
    Ok(overrides)
}

fn parse_listener_principals(list: &[String]) -> Result<BTreeMap<String, ListenerPrincipal>, ConfigError> {
    let mut principals = BTreeMap::new();
    for entry in list {
        let mut parts = entry.splitn(3, ':');
        let (Some(listener), Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ConfigError::Value {
                key: "conformance.listener.principals".to_owned(),
                value: one_line(entry),
                why: "each entry is LISTENER:User:name".to_owned(),
            });
        };
        let principal = ListenerPrincipal { kind: kind.to_owned(), name: name.to_owned() };
        principals.insert(listener.to_ascii_uppercase(), principal);
    }
    Ok(principals)
}

#[cfg(test)]
#[path = "view_test.rs"]
mod tests;
