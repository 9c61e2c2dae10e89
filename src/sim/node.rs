//! One simulated machine with a node of the real kind on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::clock::SimClock;
use super::cluster_options::ClusterOptions;
use super::disk::SimDisk;
use super::net::SimNet;
use super::options::Options;
use super::sabotage::{BrokenDisk, Sabotage};
use crate::cli::Environment;
use crate::cli::start::{StartArgs, prepare};
use crate::env::{Clock as _, Disk, Env, Seeds, Tasks};
use crate::node::Node;
use crate::types::{NodeId, Rng};

/// Where clients reach the node.
pub const PORT: u16 = 9092;
/// Where controllers of a cluster reach each other.
pub const CONTROLLER_PORT: u16 = 9093;
/// Where the node keeps its data.
pub const DATA_DIR: &str = "/data";
/// How long a start may take, in virtual time.
const START: Duration = Duration::from_secs(90);

/// The machine, and the node while it runs.
pub struct Machine {
    /// Its disk.
    pub disk: SimDisk,
    /// Its network.
    pub net: SimNet,
    /// Its wall clock.
    pub clock: Arc<SimClock>,
    arguments: StartArgs,
    disk_delay_ms_max: u64,
    sabotage: Option<Sabotage>,
    /// Others are there that hear nothing any more of a machine without power.
    has_peers: bool,
    rng: Rng,
    running: Option<(Tasks, Node)>,
}

impl Machine {
    /// A machine with an empty disk, alone on its network. Only within a runtime.
    pub fn new(options: &Options) -> Machine {
        let mut rng = Rng::new(options.seed);
        let net = SimNet::new(rng.split(), options.net_delay_ms_max);
        let arguments = StartArgs { overrides: overrides(options), port: Some(PORT), ..StartArgs::default() };
        Machine::with(options, arguments, net, rng, false)
    }

    /// A machine with an empty disk in a cluster: node `id`, which its peers know by [`host_name`]. Only within a
    /// runtime.
    pub fn in_cluster(
        options: &ClusterOptions,
        id: NodeId,
        cluster_id: &str,
        net: &SimNet,
        rng: Rng,
    ) -> Machine {
        let mut overrides = overrides(&options.base);
        overrides.extend(cluster_overrides(options, id));
        let arguments = StartArgs {
            overrides,
            port: Some(PORT),
            cluster_id: Some(cluster_id.to_owned()),
            ..StartArgs::default()
        };
        Machine::with(&options.base, arguments, net.host(&host_name(id)), rng, true)
    }

    fn with(options: &Options, arguments: StartArgs, net: SimNet, rng: Rng, has_peers: bool) -> Machine {
        Machine {
            disk: SimDisk::new(),
            net,
            clock: Arc::new(SimClock::new()),
            arguments: StartArgs { data_dir: Some(PathBuf::from(DATA_DIR)), ..arguments },
            disk_delay_ms_max: options.disk_delay_ms_max,
            sabotage: options.sabotage,
            has_peers,
            rng,
            running: None,
        }
    }

    /// Starts the node, which was not running; it serves when this returns well.
    pub async fn start(&mut self) -> Result<(), String> {
        self.start_within(START).await
    }

    /// Starts the node, which was not running; it serves when this returns well, and is not there if it takes longer
    /// than `patience` of virtual time.
    pub async fn start_within(&mut self, patience: Duration) -> Result<(), String> {
        assert!(self.running.is_none(), "a machine has one node");
        self.net.appear();
        self.disk.set_now(self.clock.now());
        let disk: Arc<dyn Disk> = match self.sabotage {
            Some(sabotage) => Arc::new(BrokenDisk { disk: self.disk.clone(), sabotage }),
            None => Arc::new(self.disk.clone()),
        };
        let env = Env {
            clock: self.clock.clone(),
            disk,
            net: Arc::new(self.net.clone()),
            seeds: Seeds::from_seed(self.rng.next_u64()),
            tasks: Tasks::simulated_late(self.rng.split(), self.disk_delay_ms_max),
        };
        let started = async {
            let setup = prepare(&env, &self.arguments, &Environment::new()).map_err(|e| e.to_string())?;
            Node::start(&env, &setup).await.map_err(|e| e.to_string())
        };
        let disk = self.disk.clone();
        let outcome = tokio::select! {
            biased;
            outcome = timeout(patience, started) => match outcome {
                Ok(outcome) => outcome,
                Err(_) => Err("it takes too long".to_owned()),
            },
            () = power_is_lost(&disk) => Err("the power is gone".to_owned()),
        };
        match outcome {
            Ok(node) => {
                self.running = Some((env.tasks, node));
                Ok(())
            }
            Err(why) => {
                self.net.reset();
                env.tasks.kill();
                env.tasks.ended().await;
                self.disk.release();
                Err(why)
            }
        }
    }

    /// The node, while it runs.
    pub fn node(&self) -> Option<&Node> {
        self.running.as_ref().map(|(_, node)| node)
    }

    /// The machine loses its power.
    pub async fn lose_power(&mut self) {
        let mut rng = self.rng.split();
        if self.has_peers {
            self.net.vanish();
        } else {
            self.net.reset();
        }
        self.disk.crash(&mut rng);
        self.end().await;
    }

    /// The node is killed and the machine lives: what was written stays.
    pub async fn kill(&mut self) {
        self.net.reset();
        self.disk.kill();
        self.end().await;
    }

    async fn end(&mut self) {
        if let Some((tasks, node)) = self.running.take() {
            tasks.kill();
            tasks.ended().await;
            drop(node);
        }
    }

    /// Stops the node in order.
    pub async fn stop(&mut self) -> Result<(), String> {
        let Some((tasks, node)) = self.running.take() else { return Ok(()) };
        let outcome = timeout(START, node.stop()).await;
        self.net.reset();
        tasks.kill();
        tasks.ended().await;
        self.disk.kill();
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err("it takes too long".to_owned()),
        }
    }

    /// Waits until the node says that it cannot go on, and why. For ever if it is not running.
    pub async fn failed(&self) -> String {
        match &self.running {
            Some((_, node)) => node.failed().await,
            None => std::future::pending().await,
        }
    }

    /// True while the node runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The node does nothing from now on, and does not know; its machine goes on.
    pub fn pause(&self) {
        if let Some((tasks, _)) = &self.running {
            tasks.pause();
        }
    }

    /// The node goes on after [`Machine::pause`].
    pub fn resume(&self) {
        if let Some((tasks, _)) = &self.running {
            tasks.resume();
        }
    }

    /// Lets disk calls take up to so many milliseconds, or as many as they always do.
    pub fn slow_disk(&self, delay_ms_max: Option<u64>) {
        if let Some((tasks, _)) = &self.running {
            tasks.set_blocking_delay(delay_ms_max.unwrap_or(self.disk_delay_ms_max));
        }
    }

    /// Nothing is wrong with the machine any more.
    pub fn heal(&self) {
        self.disk.heal();
        self.disk.set_capacity(None);
        self.resume();
        self.slow_disk(None);
    }
}

/// The name by which a node of a cluster is known.
pub fn host_name(id: NodeId) -> String {
    format!("node-{id}")
}

fn overrides(options: &Options) -> Vec<String> {
    let broken = options.sabotage;
    let fsync = options.fsync && broken != Some(Sabotage::AnswersBeforeSync);
    let durability = if fsync { "fsync" } else { "replicated" };
    let mut overrides = vec![
        format!("acks.all.durability={durability}"),
        format!("num.partitions={}", options.partitions),
        format!("log.roll.ms={}", options.roll_ms),
        format!("log.index.interval.bytes={}", options.index_interval_bytes),
        "log.retention.check.interval.ms=300".to_owned(),
        "log.segment.delete.delay.ms=100".to_owned(),
        "log.flush.offset.checkpoint.interval.ms=700".to_owned(),
        "offsets.topic.num.partitions=2".to_owned(),
        "group.min.session.timeout.ms=100".to_owned(),
        "group.initial.rebalance.delay.ms=50".to_owned(),
    ];
    overrides.push(format!("log.retention.ms={}", options.retention_ms.map_or(-1, |ms| ms as i64)));
    if broken == Some(Sabotage::ForgetsProducers) {
        overrides.push("producer.id.expiration.ms=1".to_owned());
        overrides.push("producer.id.expiration.check.interval.ms=20".to_owned());
    }
    overrides
}

fn cluster_overrides(options: &ClusterOptions, id: NodeId) -> Vec<String> {
    let host = host_name(id);
    let voters = (1..=options.controllers).map(|id| format!("{id}@{}:{CONTROLLER_PORT}", host_name(id)));
    let voters: Vec<String> = voters.collect();
    let mut listeners = format!("PLAINTEXT://{host}:{PORT}");
    let is_controller = id <= options.controllers;
    if is_controller {
        listeners.push_str(&format!(",CONTROLLER://{host}:{CONTROLLER_PORT}"));
    }
    vec![
        format!("process.roles={}", if is_controller { "broker,controller" } else { "broker" }),
        format!("node.id={id}"),
        format!("listeners={listeners}"),
        format!("advertised.listeners=PLAINTEXT://{host}:{PORT}"),
        format!("controller.quorum.voters={}", voters.join(",")),
        format!("broker.lease.ms={}", options.lease_ms),
        format!("replica.lag.time.max.ms={}", options.lag_ms_max),
        "default.replication.factor=3".to_owned(),
        "min.insync.replicas=2".to_owned(),
        "offsets.topic.replication.factor=3".to_owned(),
        // Clients' clocks and those of nodes differ.
        "log.message.timestamp.after.max.ms=9223372036854775807".to_owned(),
    ]
}

/// Waits until a power loss that was planned for some disk call has come.
pub async fn power_is_lost(disk: &SimDisk) {
    while !disk.is_without_power() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
