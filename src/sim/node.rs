//! One simulated machine with a node of the real kind on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::clock::SimClock;
use super::disk::SimDisk;
use super::net::SimNet;
use super::options::Options;
use super::sabotage::{BrokenDisk, Sabotage};
use crate::cli::Environment;
use crate::cli::start::{StartArgs, prepare};
use crate::env::{Clock as _, Disk, Env, Seeds, Tasks};
use crate::node::Node;
use crate::types::Rng;

/// Where clients reach the node.
pub const PORT: u16 = 9092;
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
    options: Options,
    rng: Rng,
    running: Option<(Tasks, Node)>,
}

impl Machine {
    /// A machine with an empty disk. Only within a runtime.
    pub fn new(options: &Options) -> Machine {
        let mut rng = Rng::new(options.seed);
        Machine {
            disk: SimDisk::new(),
            net: SimNet::new(rng.split(), options.net_delay_ms_max),
            clock: Arc::new(SimClock::new()),
            options: options.clone(),
            rng,
            running: None,
        }
    }

    /// Starts the node, which was not running; it serves when this returns well.
    pub async fn start(&mut self) -> Result<(), String> {
        assert!(self.running.is_none(), "a machine has one node");
        self.disk.set_now(self.clock.now());
        let disk: Arc<dyn Disk> = match self.options.sabotage {
            Some(sabotage) => Arc::new(BrokenDisk { disk: self.disk.clone(), sabotage }),
            None => Arc::new(self.disk.clone()),
        };
        let env = Env {
            clock: self.clock.clone(),
            disk,
            net: Arc::new(self.net.clone()),
            seeds: Seeds::from_seed(self.rng.next_u64()),
            tasks: Tasks::simulated_late(self.rng.split(), self.options.disk_delay_ms_max),
        };
        let started = async {
            let setup = prepare(&env, &self.arguments(), &Environment::new()).map_err(|e| e.to_string())?;
            Node::start(&env, &setup).await.map_err(|e| e.to_string())
        };
        let disk = self.disk.clone();
        let outcome = tokio::select! {
            biased;
            outcome = timeout(START, started) => match outcome {
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
        self.net.reset();
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

    fn arguments(&self) -> StartArgs {
        let options = &self.options;
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
        StartArgs {
            overrides,
            data_dir: Some(PathBuf::from("/data")),
            port: Some(PORT),
            ..StartArgs::default()
        }
    }
}

/// Waits until a power loss that was planned for some disk call has come.
pub async fn power_is_lost(disk: &SimDisk) {
    while !disk.is_without_power() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
