//! A whole cluster: machines, each with its script of faults, a network with one of its own, and clients at work. Then
//! all is healed: everybody must get on, every replica come into sync, everything be there, twice, and the logs on the
//! disks be the same.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::clock::SimClock;
use super::cluster_options::{ClusterOptions, Fault, LinkFault, LinkStep, Step};
use super::disk::{self, Call};
use super::images::Images;
use super::logs;
use super::model::{Event, Model};
use super::net::SimNet;
use super::node::{Machine, PORT, host_name, power_is_lost};
use super::route::Place;
use super::runner::{Clients, FAULT_PATIENCE, Outcome, PROGRESS, by_itself, check_all, progress, runtime};
use super::workload::in_sync;
use crate::types::{Bug, NodeId, Rng, uuid_to_base64};

/// How long the start of a node may take once all is healed, in virtual time.
const START: Duration = Duration::from_secs(120);
/// How often it is looked what nodes take the metadata to be.
const LOOK: Duration = Duration::from_millis(20);
/// How long to wait after a start that failed.
const START_AGAIN: Duration = Duration::from_millis(300);

/// Runs what `options` say. The calling thread is used alone; it must not be within a runtime.
pub fn run(options: &ClusterOptions) -> Outcome {
    Bug::plant(options.bug);
    let outcome = runtime(options.base.seed).block_on(async {
        let clock = Arc::new(SimClock::new());
        let model = Model::new(&options.base, clock, true);
        let mut cluster = Cluster::new(options, &model);
        if let Err(why) = cluster.simulate().await {
            model.violated(why);
        }
        for member in &mut cluster.members {
            member.machine.kill().await;
        }
        Outcome {
            options: options.base.clone(),
            cluster: Some(options.clone()),
            violation: model.violation(),
            counts: model.counts(),
            trace: model.trace(),
        }
    });
    Bug::plant(None);
    outcome
}

/// A machine of the cluster.
struct Member {
    id: NodeId,
    machine: Machine,
    /// What was done to its disk may end the node, until it starts again.
    may_fail: bool,
    model: Model,
    images: Images,
}

struct Cluster {
    options: ClusterOptions,
    model: Model,
    /// The network as clients see it.
    clients: SimNet,
    members: Vec<Member>,
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

/// Does all at once. -> the first failure
async fn all(mut works: Vec<Work<'_>>) -> Result<(), String> {
    let mut outcome = Ok(());
    poll_fn(|cx| {
        let mut at = 0;
        while at < works.len() {
            match works[at].as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(ended) => {
                    drop(works.remove(at));
                    if outcome.is_ok() {
                        outcome = ended;
                    }
                }
            }
        }
        // What is left after a failure is of no more interest.
        if works.is_empty() || outcome.is_err() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outcome
}

impl Cluster {
    fn new(options: &ClusterOptions, model: &Model) -> Cluster {
        let mut rng = Rng::new(options.base.seed ^ 0x6d61_6368_696e_6573);
        let net = SimNet::new(rng.split(), options.base.net_delay_ms_max);
        let cluster_id = uuid_to_base64(rng.kafka_uuid());
        let images = Images::default();
        let member = |id: NodeId| {
            let machine = Machine::in_cluster(options, id, &cluster_id, &net, rng.split());
            machine.clock.jump(options.skews[id as usize - 1]);
            Member { id, machine, may_fail: false, model: model.clone(), images: images.clone() }
        };
        let members = (1..=options.nodes).map(member).collect();
        Cluster { options: options.clone(), model: model.clone(), clients: net.host("client"), members }
    }

    async fn simulate(&mut self) -> Result<(), String> {
        self.start_all().await?;
        let places: Vec<Place> = self.members.iter().map(|member| (host_name(member.id), PORT)).collect();
        let mut clients = Clients::start(&self.clients, places, &self.model, &self.options.base);
        let outcome = self.with_clients(&mut clients).await;
        clients.kill().await;
        outcome
    }

    async fn with_clients(&mut self, clients: &mut Clients) -> Result<(), String> {
        self.suffer().await?;
        self.violation()?;
        self.heal();
        self.start_all().await?;
        self.while_all_are_well(|model, options| progress(std::future::pending(), model, options)).await?;
        let cx = clients.cx.clone();
        self.while_all_are_well(|_, _| async move {
            let waited = timeout(PROGRESS, in_sync::wait(&cx)).await;
            waited.map_err(|_| "not every replica comes into sync".to_owned())
        })
        .await?;
        clients.finish().await?;
        let cx = clients.cx.clone();
        self.while_all_are_well(|model, _| async move { check_all(model, &cx).await }).await?;
        self.converge().await?;
        for member in &mut self.members {
            member.stop().await?;
        }
        self.logs_are_the_same()?;
        self.start_all().await?;
        let cx = clients.cx.clone();
        self.while_all_are_well(|model, _| async move { check_all(model, &cx).await }).await
    }

    fn violation(&self) -> Result<(), String> {
        self.model.violation().map_or(Ok(()), Err)
    }

    /// Starts whoever does not run.
    async fn start_all(&mut self) -> Result<(), String> {
        all(self.members.iter_mut().map(|member| Box::pin(member.start()) as Work<'_>).collect()).await
    }

    /// Everything that the options have for the cluster.
    async fn suffer(&mut self) -> Result<(), String> {
        let began = Instant::now();
        let hosts: Vec<SimNet> = self.members.iter().map(|member| member.machine.net.clone()).collect();
        let (clients, model) = (self.clients.clone(), self.model.clone());
        let mut works: Vec<Work<'_>> = Vec::new();
        for (member, script) in self.members.iter_mut().zip(&self.options.scripts) {
            works.push(Box::pin(member.live(script, began)));
        }
        for step in &self.options.links {
            works.push(Box::pin(disturb(*step, began, &hosts, &clients, &model)));
        }
        all(works).await
    }

    fn heal(&mut self) {
        self.model.note("all is healed");
        for member in &self.members {
            member.machine.heal();
            member.machine.net.mend_all();
        }
    }

    /// Does something while every node is well and looked at.
    async fn while_all_are_well<'a, F>(
        &'a self,
        work: impl FnOnce(&'a Model, &'a super::options::Options) -> F,
    ) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>>,
    {
        let watched = self.members.iter().map(|member| Box::pin(member.watch()) as Work<'_>).collect();
        tokio::select! {
            biased;
            failed = all(watched) => failed,
            outcome = work(&self.model, &self.options.base) => outcome,
        }
    }

    /// Waits until all nodes have the same metadata.
    async fn converge(&self) -> Result<(), String> {
        let same = async {
            loop {
                let mut images = self.members.iter().filter_map(|m| m.machine.node().map(|n| n.image()));
                let first = images.next();
                if images.all(|image| first.as_ref().is_some_and(|first| *first == image)) {
                    return;
                }
                sleep(LOOK).await;
            }
        };
        timeout(PROGRESS, same).await.map_err(|_| "the nodes' metadata do not converge".to_owned())
    }

    fn logs_are_the_same(&self) -> Result<(), String> {
        let disks: Vec<_> = self.members.iter().map(|m| (m.id, m.machine.disk.clone())).collect();
        for (slot, end) in self.model.ends() {
            logs::are_the_same(&disks, slot, end)?;
        }
        self.model.note("the logs are the same");
        Ok(())
    }
}

impl Member {
    fn note(&self, what: impl std::fmt::Display) {
        self.model.note(format!("node {}: {what}", self.id));
    }

    /// Starts the node unless it runs, for good.
    async fn start(&mut self) -> Result<(), String> {
        // A log that could not be written is out of use until the node starts again, which the node notices late.
        if self.may_fail && timeout(FAULT_PATIENCE, self.machine.failed()).await.is_ok() {
            self.kill().await;
        }
        if !self.machine.is_running() {
            let started = self.machine.start_within(START).await;
            started.map_err(|why| format!("node {} does not start: {why}", self.id))?;
            self.serves();
        }
        self.may_fail = false;
        Ok(())
    }

    fn serves(&mut self) {
        self.may_fail = false;
        self.note("serves");
        self.model.started();
    }

    /// Lives through a script.
    async fn live(&mut self, script: &[Step], began: Instant) -> Result<(), String> {
        for step in script {
            self.go_on_until(began + Duration::from_millis(step.at)).await?;
            self.suffer(step.fault).await?;
        }
        Ok(())
    }

    /// Lets the node run, or start, until `moment`.
    async fn go_on_until(&mut self, moment: Instant) -> Result<(), String> {
        while Instant::now() < moment {
            if !self.machine.is_running() {
                match self.machine.start_within(moment - Instant::now()).await {
                    Ok(()) => self.serves(),
                    Err(why) => {
                        // The others may be away as well; whether it can start at all is seen when all is healed.
                        self.note(format!("has not started: {why}"));
                        sleep_until(moment.min(Instant::now() + START_AGAIN)).await;
                    }
                }
                continue;
            }
            let failed = tokio::select! {
                biased;
                failed = self.watch() => failed,
                () = sleep_until(moment) => Ok(()),
            };
            match failed {
                Err(why) if self.may_fail => {
                    self.note(why);
                    self.kill().await;
                }
                failed => failed?,
            }
        }
        Ok(())
    }

    /// Looks at a running node. Ends only when something is wrong.
    async fn watch(&self) -> Result<(), String> {
        loop {
            let Some(node) = self.machine.node() else { return std::future::pending().await };
            self.images.see(self.id, node.image())?;
            tokio::select! {
                biased;
                why = self.machine.failed() => return Err(format!("node {}: {}", self.id, by_itself(&why))),
                () = sleep(LOOK) => {}
            }
        }
    }

    async fn kill(&mut self) {
        self.machine.kill().await;
        self.note("is killed");
        self.model.see(Event::Killed);
    }

    async fn lose_power(&mut self) {
        self.machine.lose_power().await;
        self.note("is without power");
        self.model.see(Event::PowerLost);
    }

    async fn stop(&mut self) -> Result<(), String> {
        self.machine.stop().await.map_err(|why| format!("node {} does not stop in order: {why}", self.id))?;
        self.note("has stopped in order");
        Ok(())
    }

    async fn suffer(&mut self, fault: Fault) -> Result<(), String> {
        self.note(format!("{fault:?}"));
        let down = match fault {
            Fault::Kill(down) => {
                self.kill().await;
                down
            }
            Fault::PowerLoss(down) => {
                self.lose_power().await;
                down
            }
            Fault::PowerLossAtCall { calls, down_ms } => {
                let disk = &self.machine.disk;
                disk.lose_power_at(disk.calls() + calls);
                // A node with little to do may not come that far.
                let _ = timeout(FAULT_PATIENCE, power_is_lost(disk)).await;
                self.lose_power().await;
                down_ms
            }
            Fault::FailedSync { after, down_ms } => {
                let fault = disk::Fault { path_contains: String::new(), call: Call::Sync, after, times: 1 };
                self.machine.disk.inject(fault);
                let _ = timeout(FAULT_PATIENCE, self.machine.failed()).await;
                self.lose_power().await;
                self.machine.disk.heal();
                down_ms
            }
            Fault::Stop(down) => {
                match self.machine.stop().await {
                    Ok(()) => self.note("has stopped in order"),
                    // Nothing ends in order on a disk that was full.
                    Err(why) if self.may_fail => self.note(format!("has not stopped in order: {why}")),
                    Err(why) => return Err(format!("node {} does not stop in order: {why}", self.id)),
                }
                down
            }
            Fault::Pause(ms) => {
                self.machine.pause();
                sleep(Duration::from_millis(ms)).await;
                self.machine.resume();
                self.note("goes on");
                return Ok(());
            }
            Fault::SlowDisk { ms, delay_ms_max } => {
                self.machine.slow_disk(Some(delay_ms_max));
                sleep(Duration::from_millis(ms)).await;
                self.machine.slow_disk(None);
                return Ok(());
            }
            Fault::FullDisk { after, ms } => {
                self.may_fail = true;
                let disk = &self.machine.disk;
                disk.set_capacity(Some(disk.used() + after));
                sleep(Duration::from_millis(ms)).await;
                self.machine.disk.set_capacity(None);
                self.note("has room again");
                return Ok(());
            }
            Fault::ClockJump(ms) => {
                self.machine.clock.jump(ms);
                return Ok(());
            }
        };
        sleep(Duration::from_millis(down)).await;
        Ok(())
    }
}

/// One fault of the network, from its beginning to its end.
async fn disturb(
    step: LinkStep,
    began: Instant,
    hosts: &[SimNet],
    clients: &SimNet,
    model: &Model,
) -> Result<(), String> {
    let host = |node: NodeId| &hosts[node as usize - 1];
    let begins = began + Duration::from_millis(step.at);
    let ends = begins + Duration::from_millis(step.ms);
    sleep_until(begins).await;
    model.note(format!("{:?} for {} ms", step.fault, step.ms));
    match step.fault {
        LinkFault::CutOff { node, clients_too } => {
            let others = (1..).zip(hosts).filter(|(id, _)| *id != node).map(|(_, other)| other);
            let others: Vec<&SimNet> = others.chain(clients_too.then_some(clients)).collect();
            for other in &others {
                host(node).cut(other);
                other.cut(host(node));
            }
            sleep_until(ends).await;
            for other in &others {
                host(node).mend(other);
                other.mend(host(node));
            }
        }
        LinkFault::OneWay { from, to } => {
            host(from).cut(host(to));
            sleep_until(ends).await;
            host(from).mend(host(to));
        }
        LinkFault::Slow { from, to, delay_ms_max } => {
            host(from).slow_down(host(to), Some(delay_ms_max));
            sleep_until(ends).await;
            host(from).slow_down(host(to), None);
        }
        LinkFault::Reset { from, to } => host(from).reset_between(host(to)),
    }
    model.note(format!("{:?} is over", step.fault));
    Ok(())
}
