//! One run: clients at work while the machine suffers what the options say, and then, once all is healed,
//! progress and a check of everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, RngSeed, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::cluster_options::ClusterOptions;
use super::disk::{Call, Fault};
use super::model::{Counts, Event, Model};
use super::net::SimNet;
use super::node::{Machine, PORT, power_is_lost};
use super::options::{Ending, Life, Options};
use super::route::Place;
use super::workload::produce::Producing;
use super::workload::{Context, Phase, TEAM, commit, consume, join, topics, trim, verify};
use crate::env::Tasks;
use crate::types::Rng;

/// How long a healed cluster may take to make progress, and to read everything, in virtual time.
pub(super) const PROGRESS: Duration = Duration::from_secs(60);
/// How many batches every producer must get acknowledged, and records every consumer must read, once all is
/// healed.
const PROGRESS_STEPS: u64 = 5;
/// How long to wait for a power loss at a disk call, or a failed sync, that was planned.
pub(super) const FAULT_PATIENCE: Duration = Duration::from_secs(3);

/// What came of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// What was run.
    pub options: Options,
    /// And on which cluster, if it was on one.
    pub cluster: Option<ClusterOptions>,
    /// What was wrong first, if anything was.
    pub violation: Option<String>,
    /// How much happened.
    pub counts: Counts,
    /// All that clients saw and that befell the machine, with virtual milliseconds.
    pub trace: Vec<String>,
}

impl Outcome {
    /// The first line in which the traces of two runs differ.
    pub fn first_difference(&self, other: &Outcome) -> Option<usize> {
        let differs = self.trace.iter().zip(&other.trace).position(|(one, another)| one != another);
        let shorter = self.trace.len().min(other.trace.len());
        differs.or_else(|| (self.trace.len() != other.trace.len()).then_some(shorter))
    }

    /// The one command that does the same again.
    pub fn command(&self) -> String {
        let sabotage = self.options.sabotage.map(|s| format!(" --sabotage {s:?}")).unwrap_or_default();
        let bug = self.cluster.as_ref().and_then(|cluster| cluster.bug);
        let bug = bug.map(|bug| format!(" --bug {bug:?}")).unwrap_or_default();
        let cluster = if self.cluster.is_some() { " --cluster" } else { "" };
        format!("cargo dev sim{cluster} --seed {}{sabotage}{bug}", self.options.seed)
    }
}

/// Runs what `options` say. The calling thread is used alone; it must not be within a runtime.
pub fn run(options: &Options) -> Outcome {
    runtime(options.seed).block_on(async {
        let mut machine = Machine::new(options);
        let model = Model::new(options, Arc::clone(&machine.clock), false);
        if let Err(why) = simulate(&mut machine, &model, options).await {
            model.violated(why);
        }
        machine.kill().await;
        Outcome {
            options: options.clone(),
            cluster: None,
            violation: model.violation(),
            counts: model.counts(),
            trace: model.trace(),
        }
    })
}

/// A runtime whose time is virtual and whose chance follows from `seed`.
pub(super) fn runtime(seed: u64) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()));
    builder.build().expect("a runtime without I/O needs nothing of the system")
}

/// The clients.
pub(super) struct Clients {
    tasks: Tasks,
    pub(super) cx: Context,
    phase: watch::Sender<Phase>,
    running: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Sets clients to work on the nodes at `places`, which they reach over `net`.
    pub(super) fn start(net: &SimNet, places: Vec<Place>, model: &Model, options: &Options) -> Clients {
        let mut rng = Rng::new(options.seed ^ 0x636c_6965_6e74_7321);
        let tasks = Tasks::simulated();
        let (phase, watched) = watch::channel(Phase::Work);
        let cx = Context {
            net: net.clone(),
            places: Arc::new(places),
            turn: Arc::default(),
            model: model.clone(),
            options: Arc::new(options.clone()),
            phase: watched,
        };
        let mut running = Vec::new();
        for id in 0..options.idempotent_producers + options.plain_producers {
            let producing = Producing::new(cx.clone(), id, rng.split());
            running.push(tasks.spawn("producer", producing.run()));
        }
        for id in 0..options.consumers {
            running.push(tasks.spawn("consumer", consume::run(cx.clone(), id)));
        }
        for id in 0..options.committers {
            running.push(tasks.spawn("committer", commit::run(cx.clone(), id, rng.split())));
        }
        for id in 0..options.members {
            running.push(tasks.spawn("member", join::run(cx.clone(), id, rng.split())));
        }
        if options.short_lived_topics {
            running.push(tasks.spawn("maker of topics", topics::run(cx.clone(), rng.split())));
        }
        if options.trims {
            running.push(tasks.spawn("trimmer", trim::run(cx.clone(), rng.split())));
        }
        Clients { tasks, cx, phase, running }
    }

    /// Lets every client come to its end.
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        self.phase.send_replace(Phase::Finish);
        for client in &mut self.running {
            let ended = timeout(PROGRESS, client).await;
            ended.map_err(|_| "a client does not come to an end".to_owned())?.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Ends every client as it is.
    pub(super) async fn kill(&self) {
        self.tasks.kill();
        self.tasks.ended().await;
    }
}

async fn simulate(machine: &mut Machine, model: &Model, options: &Options) -> Result<(), String> {
    machine.start().await.map_err(|why| format!("the node does not start: {why}"))?;
    model.started();
    let places = vec![("localhost".to_owned(), PORT)];
    let mut clients = Clients::start(&machine.net, places, model, options);
    let outcome = with_clients(machine, model, options, &mut clients).await;
    clients.kill().await;
    outcome
}

async fn with_clients(
    machine: &mut Machine,
    model: &Model,
    options: &Options,
    clients: &mut Clients,
) -> Result<(), String> {
    for life in &options.lives {
        live(machine, model, life).await?;
        if let Some(violation) = model.violation() {
            return Err(violation);
        }
    }
    progress(machine.failed(), model, options).await?;
    clients.finish().await?;
    check_all(model, &clients.cx).await?;
    machine.stop().await.map_err(|why| format!("the node does not stop in order: {why}"))?;
    model.note("stopped in order");
    machine.start().await.map_err(|why| format!("the node does not start: {why}"))?;
    model.started();
    check_all(model, &clients.cx).await
}

/// One life of the node to its end, and the start of the next.
async fn live(machine: &mut Machine, model: &Model, life: &Life) -> Result<(), String> {
    tokio::select! {
        biased;
        why = machine.failed() => return Err(by_itself(&why)),
        () = sleep(Duration::from_millis(life.ms)) => {}
    }
    model.note(format!("{:?}", life.ending));
    match life.ending {
        Ending::PowerLossAtCall(calls) => {
            machine.disk.lose_power_at(machine.disk.calls() + calls);
            // A node with little to do may not come that far.
            let _ = timeout(FAULT_PATIENCE, power_is_lost(&machine.disk)).await;
            lose_power(machine, model).await;
        }
        Ending::PowerLoss => lose_power(machine, model).await,
        Ending::Kill => {
            kill(machine, model).await;
        }
        Ending::Stop => {
            machine.stop().await.map_err(|why| format!("the node does not stop in order: {why}"))?;
            model.note("stopped in order");
        }
        Ending::FailedSync(after) => {
            let fault = Fault { path_contains: String::new(), call: Call::Sync, after, times: 1 };
            machine.disk.inject(fault);
            let _ = timeout(FAULT_PATIENCE, machine.failed()).await;
            lose_power(machine, model).await;
            machine.disk.heal();
        }
        Ending::FullDisk { after, ms } => {
            machine.disk.set_capacity(Some(machine.disk.used() + after));
            let mut failed = timeout(Duration::from_millis(ms), machine.failed()).await;
            machine.disk.set_capacity(None);
            model.note("there is room again");
            if failed.is_err() {
                // A sync that found no room puts a log directory out of use, which the node notices late.
                failed = timeout(FAULT_PATIENCE, machine.failed()).await;
            }
            match failed {
                Err(_) => return Ok(()),
                Ok(why) => {
                    model.note(format!("the node could not go on: {why}"));
                    kill(machine, model).await;
                }
            }
        }
    }
    sleep(Duration::from_millis(life.down_ms)).await;
    machine.clock.jump(life.clock_jump);
    if let Some(calls) = life.power_loss_in_start {
        machine.disk.lose_power_at(machine.disk.calls() + calls);
        if machine.start().await.is_ok() {
            model.started();
            let _ = timeout(FAULT_PATIENCE, power_is_lost(&machine.disk)).await;
        }
        lose_power(machine, model).await;
    }
    machine.start().await.map_err(|why| format!("the node does not start: {why}"))?;
    model.started();
    Ok(())
}

pub(super) fn by_itself(why: &str) -> String {
    format!("the node cannot go on, and nothing was done to it: {why}")
}

async fn kill(machine: &mut Machine, model: &Model) {
    machine.kill().await;
    model.see(Event::Killed);
}

async fn lose_power(machine: &mut Machine, model: &Model) {
    machine.lose_power().await;
    model.see(Event::PowerLost);
}

/// Demands that every client gets on, now that nothing is broken.
pub(super) async fn progress(
    failed: impl Future<Output = String>,
    model: &Model,
    options: &Options,
) -> Result<(), String> {
    let from = model.counts();
    let wanted = |counts: &Counts| {
        let on = |now: Option<&u64>, before: Option<&u64>| {
            now.copied().unwrap_or(0) >= before.copied().unwrap_or(0) + PROGRESS_STEPS
        };
        (0..options.idempotent_producers).all(|id| on(counts.acked.get(&id), from.acked.get(&id)))
            && (0..options.consumers).all(|id| on(counts.read.get(&id), from.read.get(&id)))
            && (0..options.committers).all(|id| on(counts.committed.get(&id), from.committed.get(&id)))
            && (options.members == 0 || on(counts.committed.get(&TEAM), from.committed.get(&TEAM)))
    };
    let advanced = async {
        while !wanted(&model.counts()) && model.violation().is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::select! {
        biased;
        why = failed => return Err(by_itself(&why)),
        waited = timeout(PROGRESS, advanced) => waited,
    };
    match (waited, model.violation()) {
        (_, Some(violation)) => Err(violation),
        (Ok(()), None) => Ok(()),
        (Err(_), None) => Err(format!("no progress: {from:?} became {:?}", model.counts())),
    }
}

pub(super) async fn check_all(model: &Model, cx: &Context) -> Result<(), String> {
    timeout(PROGRESS, verify::run(cx)).await.map_err(|_| "not everything can be read".to_owned())?;
    model.violation().map_or(Ok(()), Err)
}
