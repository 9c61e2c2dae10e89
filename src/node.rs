//! The composition root: an environment and a configuration become a running broker, controller, or both.
//!
//! Starting goes from the ground up: sockets are bound, so that a taken port is known at once; the metadata log is
//! opened and the log directories are; controllers are answered from then on, since without them there is no quorum. A
//! broker registers, learns the cluster up to its own registration, recovers its logs with the settings that the
//! metadata gives them, brings partitions and coordinators to life, asks to lead, and only then takes clients in.
//! Stopping goes the other way.

mod broker_life;
mod coordinators;
mod dynamic_config;
mod isr_changes;
mod listeners;
mod maintenance;
mod quorum_part;
mod share_upkeep;
#[cfg(test)]
#[path = "node/fixture_test.rs"]
mod test_node;
mod txn_work;
mod voter_life;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use broker_life::{BrokerLife, Circumstances};
use isr_changes::IsrChanges;
use listeners::{Bound, Reception};

use crate::api::transactions::in_process;
use crate::api::{Broker, ProducerIdStock, RateLimit};
use crate::client::{ConnectionSettings, Pool, ToBrokers};
use crate::config::{BrokerConfig, Endpoint, Layers, Setup};
use crate::controller::command::BrokerRegistration;
use crate::controller::{ActiveController, ControllerError};
use crate::coordinator::runtime::Coordinator;
use crate::coordinator::share::ShareShard;
use crate::env::Env;
use crate::metadata::checkpoint_file::BOOTSTRAP_FILE;
use crate::metadata::supported::SUPPORTED;
use crate::metadata::{self, FeatureRange, MetadataImage};
use crate::quorum::{Publisher, Quorum, QuorumError};
use crate::replica::{
    FetcherSettings, FollowerIdentity, PartitionSettings, ReplicaManager, ShardedSessions, remote_endpoints,
};
use crate::share_partition::{DeadLetters, SharePartitions, StateClient, settings_of};
use crate::storage::{Manager as LogManager, ManagerConfig, RecoveryProgress, StorageError};
use crate::types::{BrokerEpoch, Rng};
use crate::wire::guard;

/// The line that containers wait for; Kafka's own words.
pub const READY_LINE: &str = "Transitioning from RECOVERY to RUNNING";
/// How long answers under way may take when the node stops.
const STOP_ANSWERS: Duration = Duration::from_secs(5);
/// How long a broker that stops waits until others lead what it leads.
const STOP_LEADING: Duration = Duration::from_secs(15);
/// How often it is looked whether a log directory is still in use.
const LOG_DIRS_CHECK: Duration = Duration::from_secs(1);
/// How many lines a second the log may take for clients that are refused.
const REFUSALS_PER_SECOND: u32 = 5;

/// Why a node does not start. One line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A listener's socket.
    #[error("cannot listen on {endpoint}: {source}")]
    Listen {
        /// What was to be bound.
        endpoint: String,
        /// What the system says.
        source: io::Error,
    },
    /// The log directories.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The metadata log.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// `bootstrap.checkpoint`.
    #[error("{BOOTSTRAP_FILE} cannot be read: {0}")]
    Bootstrap(String),
    /// `controller.quorum.bootstrap.servers`.
    #[error("Invalid value {0} for configuration controller.quorum.bootstrap.servers: it is host:port")]
    BootstrapServer(String),
    /// The controller did not take the broker in.
    #[error("the broker cannot register: {0}")]
    Register(#[from] ControllerError),
    /// The node died meanwhile.
    #[error("the node was stopped while it started")]
    Stopped,
}

/// A running node.
pub struct Node {
    env: Env,
    broker: Arc<Broker>,
    /// The broker's life in the cluster; `None` on a node that is only a controller.
    life: Option<BrokerLife>,
    quorum: Quorum,
    logs: Arc<LogManager>,
    reception: Reception,
    /// Where clients reach it, with the ports that were really bound.
    endpoints: Vec<Endpoint>,
}

impl Node {
    /// Starts a node. When this returns, it serves: a broker is registered and active then, while a controller alone
    /// may still be looking for the others.
    pub async fn start(env: &Env, setup: &Setup) -> Result<Node, NodeError> {
        let config = Arc::clone(&setup.config);
        let began = Instant::now();
        let Bound { controller: to_controller, broker: to_broker, advertised } =
            listeners::bind(env, &config).await?;

        let publisher = Publisher::new();
        let vital = env.vital();
        let quorum = quorum_part::take_part(&vital, setup, publisher.clone()).await?;
        let pool = pool(env, &config);
        let features: Vec<FeatureRange> =
            SUPPORTED.iter().map(|f| FeatureRange { name: f.name.into(), min: f.min, max: f.max }).collect();
        let controller = quorum_part::way_to_controller(&vital, setup, &quorum, &features)?;
        tracing::debug!(elapsed = ?began.elapsed(), "this node takes part in the metadata quorum");

        let layers = Arc::new(ArcSwap::from_pointee(setup.layers.clone()));
        // From here on the layers have what the metadata log says of this broker.
        let changes = dynamic_config::subscribe(&publisher, config.node_id, &layers);
        let settings_of = dynamic_config::settings_of(Arc::clone(&layers));
        let logs = open_logs(env, &config).await?;
        let replicas = ReplicaManager::new(config.node_id, env, Arc::clone(&logs), settings_of);
        let share_states = coordinators::start_share_states(env, &config);
        let share =
            share_partitions(env, &config, &layers, &publisher, &pool, &controller, &replicas, &share_states);
        let listener = config.inter_broker_listener_name.as_str().into();
        let brokers = ToBrokers::new(pool, publisher.shared(), listener);
        let broker = Arc::new(Broker {
            cluster_id: setup.cluster_id.as_str().into(),
            config: Arc::clone(&config),
            layers: Arc::clone(&layers),
            clock: Arc::clone(&env.clock),
            tasks: env.tasks.clone(),
            metadata: publisher.shared(),
            controller: controller.clone(),
            quorum: quorum.clone(),
            replicas: Arc::clone(&replicas),
            groups: coordinators::start_groups(env, &config),
            transactions: coordinators::start_transactions(env, &config),
            txn_verifier: coordinators::txn_verifier(env, &config, brokers.clone(), publisher.shared()),
            brokers,
            share_states,
            share,
            fetch_sessions: ShardedSessions::new(
                config.max_incremental_fetch_session_cache_slots,
                &mut env.seeds.rng(),
            ),
            producer_ids: ProducerIdStock::default(),
            guard_limits: guard::Limits::default(),
            refusals: RateLimit::new(REFUSALS_PER_SECOND),
        });
        dynamic_config::follow_throttled_rates(env, changes.clone(), &replicas);
        broker.txn_verifier.coordinate_here(in_process(&broker));
        let limits = dynamic_config::connection_limits(env, changes, &config).await;
        let reception = Reception::new(env, &broker, limits);
        reception.open_vital(to_controller);
        voter_life::begin(&vital, setup, &quorum)?;
        if config.is_controller {
            let registration = quorum_part::controller_registration(env, setup, &features);
            let register = quorum_part::register_controller(controller.clone(), registration);
            if config.is_alone() {
                register.await;
            } else {
                env.tasks.spawn("controller registration", register);
            }
        }

        let mut life = None;
        if config.is_broker {
            let around = Circumstances {
                controller,
                publisher: publisher.clone(),
                leadership: quorum.leadership(),
                replicas: Arc::clone(&replicas),
                tasks: vital.tasks.clone(),
            };
            let registration = broker_registration(env, setup, &advertised, &features, &logs);
            let begun = life.insert(BrokerLife::begin(&config, around, registration).await?);
            recover_logs(env, &logs, publisher.image(), &layers).await;
            come_to_life(&publisher, &broker, begun.epoch, env.seeds.rng());
            maintenance::start(env, &config, &layers, &replicas);
            let states = share_upkeep::keep_share_states_short(Arc::clone(&broker));
            env.tasks.spawn("share state upkeep", states);
            begun.activate().await;
            reception.open(to_broker);
        }
        tracing::info!(elapsed = ?began.elapsed(), "node {} serves", config.node_id);
        Ok(Node { env: env.clone(), broker, life, quorum, logs, reception, endpoints: advertised })
    }

    /// Where clients reach it, with the ports that were really bound.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The metadata as far as this node knows it.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.broker.image()
    }

    /// Waits until the node cannot go on, and says why: its metadata log has failed, or all of its log directories have.
    pub async fn failed(&self) -> String {
        tokio::select! {
            biased;
            why = self.quorum.failed() => why,
            () = self.broker.controller.ended_here() => "the controller has ended".to_owned(),
            () = self.log_dirs_failed() => "all log directories have failed".to_owned(),
        }
    }

    /// Waits until no log directory is in use any more, as Kafka's brokers do to end then.
    async fn log_dirs_failed(&self) {
        while !self.logs.dirs().iter().all(|dir| dir.is_failed()) {
            tokio::time::sleep(LOG_DIRS_CHECK).await;
        }
    }

    /// Stops in order: hands over what it leads, takes in nothing new, answers what is under way, writes everything out.
    pub async fn stop(mut self) -> Result<(), StorageError> {
        // Others may lead on, and must be able to fetch what they lack until they do.
        let hands_over = self.has_others() && self.broker.config.controlled_shutdown_enable;
        if hands_over && let Some(life) = &mut self.life {
            life.leave(Instant::now() + STOP_LEADING).await;
            // From here on its listeners refuse, by which others know that it is gone.
            self.broker.replicas.lease().end();
        }
        let deadline = Instant::now() + STOP_ANSWERS;
        self.reception.close();
        while !self.reception.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if !hands_over && let Some(life) = &mut self.life {
            life.leave(deadline).await;
        }
        coordinators::stop(&self.broker);
        self.quorum.stop().await;
        let epoch: BrokerEpoch = self.life.as_ref().map_or(-1, |life| life.epoch);
        let (logs, replicas) = (Arc::clone(&self.logs), Arc::clone(&self.broker.replicas));
        let stopped = self.env.tasks.run_blocking(move || {
            replicas.close();
            logs.close(epoch)
        });
        let outcome = stopped.await.unwrap_or(Ok(()));
        self.env.tasks.kill();
        outcome
    }

    /// True if another broker is there that could lead.
    fn has_others(&self) -> bool {
        let me = self.broker.config.node_id;
        self.broker.image().brokers().unfenced().any(|broker| broker.id != me)
    }
}

/// Share groups at the partitions that this broker leads, and the way to what is kept of them.
#[allow(clippy::too_many_arguments)] // Everything that a share group touches.
fn share_partitions(
    env: &Env,
    config: &BrokerConfig,
    layers: &Arc<ArcSwap<Layers>>,
    publisher: &Publisher,
    pool: &Pool,
    controller: &ActiveController,
    replicas: &Arc<ReplicaManager>,
    coordinator: &Arc<Coordinator<ShareShard>>,
) -> Arc<SharePartitions> {
    let listener: Arc<str> = config.inter_broker_listener_name.as_str().into();
    let states = StateClient::new(
        config.node_id,
        Arc::clone(coordinator),
        pool.clone(),
        publisher.shared(),
        Arc::clone(&listener),
        env.seeds.rng(),
    );
    let dead_letters = DeadLetters {
        node_id: config.node_id,
        layers: Arc::clone(layers),
        image: publisher.shared(),
        clock: Arc::clone(&env.clock),
        tasks: env.tasks.clone(),
        controller: controller.clone(),
        replicas: Arc::clone(replicas),
        pool: pool.clone(),
        listener,
    };
    SharePartitions::new(
        (Arc::clone(&env.clock), env.tasks.clone()),
        Arc::clone(replicas),
        Arc::new(states),
        Arc::new(dead_letters),
        settings_of(Arc::clone(layers), publisher.shared()),
        config.group_share_max_share_sessions,
    )
}

/// The connections of this node to others.
fn pool(env: &Env, config: &BrokerConfig) -> Pool {
    let client_id = format!("node-{}", config.node_id);
    Pool::new(env, ConnectionSettings { client_id: client_id.into(), ..ConnectionSettings::default() })
}

/// Opens the log directories. What was not shut down in order is not recovered yet.
async fn open_logs(env: &Env, config: &BrokerConfig) -> Result<Arc<LogManager>, NodeError> {
    let manager_config = ManagerConfig {
        checkpoint_interval_ms: config.log_flush_offset_checkpoint_interval_ms,
        retention_interval_ms: config.log_retention_check_interval_ms,
        initial_delay_ms: config.log_initial_task_delay_ms,
        ..ManagerConfig::default()
    };
    let (disk, dirs, now) = (Arc::clone(&env.disk), config.log_dirs.clone(), env.clock.now());
    let opened = env.tasks.run_blocking(move || LogManager::open(disk, &dirs, manager_config, now)).await;
    Ok(Arc::new(opened.ok_or(NodeError::Stopped)??))
}

/// Recovers logs with the settings that `image` gives them.
async fn recover_logs(
    env: &Env,
    logs: &Arc<LogManager>,
    image: Arc<MetadataImage>,
    layers: &Arc<ArcSwap<Layers>>,
) {
    if !logs.needs_recovery() {
        return;
    }
    let settings_of = dynamic_config::settings_of(Arc::clone(layers));
    let config_of = move |topic: &str| -> Arc<crate::storage::LogConfig> {
        let settings: PartitionSettings = settings_of(&image, topic);
        settings.log
    };
    let progress = |progress: RecoveryProgress| {
        tracing::debug!("recovered {} of {} logs", progress.done, progress.total);
    };
    let threads = usize::try_from(layers.load().number("num.recovery.threads.per.data.dir")).unwrap_or(1);
    logs.recover(&env.tasks, threads, Arc::new(config_of), Arc::new(progress)).await;
}

/// Brings partitions and coordinators to life as the image names them, now and whenever it changes.
fn come_to_life(publisher: &Publisher, broker: &Arc<Broker>, epoch: BrokerEpoch, rng: Rng) {
    let (config, replicas) = (&broker.config, &broker.replicas);
    let me = FollowerIdentity {
        node_id: config.node_id,
        broker_epoch: Arc::new(epoch.into()),
        cluster_id: Arc::clone(&broker.cluster_id),
    };
    let patience = Duration::from_millis(config.replica_socket_timeout_ms.unsigned_abs());
    let endpoints = remote_endpoints(broker.brokers.clone(), me, patience);
    replicas.set_replica_lag_ms_max(config.replica_lag_time_max_ms);
    replicas.start_fetching(endpoints, FetcherSettings::from(&**config));
    replicas.start_altering(Arc::new(IsrChanges::new(config.node_id, epoch, broker.controller.clone())));
    publisher.subscribe(Box::new({
        let replicas = Arc::clone(replicas);
        move |delta, image| {
            replicas.apply(image, delta);
            // The first image has all that was decided before this broker registered.
            replicas.caught_up(image);
        }
    }));
    coordinators::subscribe(publisher, broker, rng);
}

fn broker_registration(
    env: &Env,
    setup: &Setup,
    endpoints: &[Endpoint],
    features: &[FeatureRange],
    logs: &LogManager,
) -> BrokerRegistration {
    BrokerRegistration {
        id: setup.config.node_id,
        cluster_id: setup.cluster_id.clone(),
        incarnation: env.seeds.rng().uuid(),
        endpoints: endpoints.iter().map(wire_endpoint).collect(),
        features: features.to_vec(),
        rack: setup.config.broker_rack.clone(),
        log_dirs: setup.log_directories.iter().map(|dir| dir.id).collect(),
        previous_epoch: logs.clean_shutdown_epoch().unwrap_or(-1),
    }
}

fn wire_endpoint(endpoint: &Endpoint) -> metadata::Endpoint {
    metadata::Endpoint {
        listener: endpoint.listener.as_str().into(),
        host: endpoint.host.as_deref().unwrap_or("localhost").into(),
        port: endpoint.port,
        security_protocol: endpoint.protocol as i16,
    }
}

#[cfg(test)]
#[path = "node/clients_gone_test.rs"]
mod clients_gone;

#[cfg(test)]
#[path = "node/topic_again_test.rs"]
mod topic_again;

#[cfg(test)]
#[path = "node/transactions_test.rs"]
mod transactions;

#[cfg(test)]
#[path = "node/strays_test.rs"]
mod strays;

#[cfg(test)]
#[path = "node/remote_controller_test.rs"]
mod remote_controller;
