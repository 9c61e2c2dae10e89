//! What a run of a whole cluster does, drawn from one seed.

use super::options::Options;
use crate::types::{Bug, Ms, NodeId, Rng};

/// The number of the first fault's earliest moment, in milliseconds after all nodes serve.
const CALM_MS: u64 = 500;
/// How long after the one before it a node of a rolling restart stops at least, in milliseconds.
const ROLLING_MS: u64 = 1500;

/// What befalls one machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// kill -9: what was written stays. It starts again after so many milliseconds.
    Kill(u64),
    /// The power goes, and comes back after so many milliseconds.
    PowerLoss(u64),
    /// The power goes during the disk call that comes so many calls later.
    PowerLossAtCall {
        /// Calls that still succeed.
        calls: u64,
        /// How long it is gone, in milliseconds.
        down_ms: u64,
    },
    /// An orderly stop. It starts again after so many milliseconds.
    Stop(u64),
    /// The node does nothing for so many milliseconds, and does not know.
    Pause(u64),
    /// The disk takes its time.
    SlowDisk {
        /// For how long, in milliseconds.
        ms: u64,
        /// The longest that a call takes, in milliseconds.
        delay_ms_max: u64,
    },
    /// The disk is full for a while.
    FullDisk {
        /// Bytes that still fit.
        after: u64,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// A sync fails, and the machine goes down with the lost pages.
    FailedSync {
        /// Syncs that still succeed.
        after: u64,
        /// How long it is down, in milliseconds.
        down_ms: u64,
    },
    /// Somebody sets the wall clock.
    ClockJump(Ms),
}

/// A fault and when it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Milliseconds after all nodes serve for the first time; later if the one before takes longer.
    pub at: u64,
    /// What.
    pub fault: Fault,
}

/// What befalls the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// A node and the other nodes do not hear each other.
    CutOff {
        /// Which.
        node: NodeId,
        /// Nor do clients and the node.
        clients_too: bool,
    },
    /// What one node sends does not arrive at another.
    OneWay {
        /// The sender.
        from: NodeId,
        /// The other.
        to: NodeId,
    },
    /// What one node sends takes up to so many milliseconds to another.
    Slow {
        /// The sender.
        from: NodeId,
        /// The other.
        to: NodeId,
        /// The longest, in milliseconds.
        delay_ms_max: u64,
    },
    /// All connections between two nodes are reset, once.
    Reset {
        /// One.
        from: NodeId,
        /// The other.
        to: NodeId,
    },
}

/// A fault of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkStep {
    /// Milliseconds after all nodes serve for the first time.
    pub at: u64,
    /// How long it lasts, in milliseconds.
    pub ms: u64,
    /// What.
    pub fault: LinkFault,
}

/// What a run of a cluster does.
#[derive(Clone, PartialEq, Debug)]
pub struct ClusterOptions {
    /// What clients do, and the settings that a node alone has as well.
    pub base: Options,
    /// How many nodes.
    pub nodes: NodeId,
    /// How many of them are controllers: the first ones.
    pub controllers: NodeId,
    /// `broker.lease.ms`.
    pub lease_ms: u64,
    /// `replica.lag.time.max.ms`.
    pub lag_ms_max: u64,
    /// How far off the wall clocks are at the beginning, in milliseconds.
    pub skews: Vec<Ms>,
    /// What befalls each machine.
    pub scripts: Vec<Vec<Step>>,
    /// What befalls the network.
    pub links: Vec<LinkStep>,
    /// A bug that the run must find.
    pub bug: Option<Bug>,
}

impl ClusterOptions {
    /// What `seed` stands for.
    pub fn from_seed(seed: u64) -> ClusterOptions {
        let mut rng = Rng::new(seed ^ 0x636c_7573_7465_7231);
        let rng = &mut rng;
        let mut base = Options::from_seed(seed);
        // The faults of one node alone, and what differs between replicas without anybody's fault.
        (base.lives, base.trims, base.retention_ms) = (Vec::new(), false, None);
        base.net_delay_ms_max = base.net_delay_ms_max.min(4);
        let (nodes, controllers) = match rng.below(6) {
            0 => (4, 3),
            1 => (5, 5),
            _ => (3, 3),
        };
        let mut options = ClusterOptions {
            base,
            nodes,
            controllers,
            lease_ms: 600 + rng.below(1400),
            lag_ms_max: 500 + rng.below(3000),
            skews: (0..nodes).map(|_| rng.below(1_200_000) as Ms - 600_000).collect(),
            scripts: vec![Vec::new(); nodes as usize],
            links: Vec::new(),
            bug: None,
        };
        let span = 2_000 + rng.below(10_000);
        for _ in 0..2 + rng.below(7) {
            let at = CALM_MS + rng.below(span);
            options.draw(rng, at);
        }
        options.scripts.iter_mut().for_each(|script| script.sort_by_key(|step| step.at));
        options.links.sort_by_key(|step| step.at);
        options
    }

    /// The same with a bug.
    pub fn with_bug(mut self, bug: Bug) -> ClusterOptions {
        self.bug = Some(bug);
        self
    }

    fn node(&self, rng: &mut Rng) -> NodeId {
        1 + rng.below(self.nodes as u64) as NodeId
    }

    fn other(&self, than: NodeId, rng: &mut Rng) -> NodeId {
        1 + (than + rng.below(self.nodes as u64 - 1) as NodeId) % self.nodes
    }

    fn add(&mut self, node: NodeId, at: u64, fault: Fault) {
        self.scripts[node as usize - 1].push(Step { at, fault });
    }

    fn draw(&mut self, rng: &mut Rng, at: u64) {
        // `replicated` promises that what is written on some machines is kept, not that it survives the power.
        let fsync = self.base.fsync;
        let node = self.node(rng);
        let down = rng.below(3000);
        match rng.below(20) {
            0..3 => self.add(node, at, Fault::Kill(down)),
            3..5 if fsync => self.add(node, at, Fault::PowerLoss(down)),
            5..7 if fsync => {
                let calls = 1 + rng.below(80);
                self.add(node, at, Fault::PowerLossAtCall { calls, down_ms: down });
            }
            7 if fsync => self.add(node, at, Fault::FailedSync { after: rng.below(10), down_ms: down }),
            8 => self.add(node, at, Fault::FullDisk { after: rng.below(5000), ms: 200 + rng.below(1500) }),
            9 => self.add(node, at, Fault::Stop(down)),
            10 => self.add(node, at, Fault::ClockJump(rng.below(2_400_000) as Ms - 1_200_000)),
            11 => {
                let fault = Fault::SlowDisk { ms: 500 + down, delay_ms_max: 20 + rng.below(300) };
                self.add(node, at, fault);
            }
            12 => {
                // Everything at once.
                let fault = if fsync && rng.chance(2) { Fault::PowerLoss } else { Fault::Kill };
                (1..=self.nodes).for_each(|node| self.add(node, at, fault(rng.below(1000))));
            }
            13 => {
                for node in 1..=self.nodes {
                    let at = at + (node as u64 - 1) * (ROLLING_MS + rng.below(1000));
                    self.add(node, at, Fault::Stop(rng.below(500)));
                }
            }
            3..8 | 14 => self.add(node, at, Fault::Pause(200 + down)),
            _ => {
                let to = self.other(node, rng);
                let fault = match rng.below(8) {
                    0..3 => LinkFault::CutOff { node, clients_too: rng.chance(2) },
                    3..5 => LinkFault::OneWay { from: node, to },
                    5 => LinkFault::Slow { from: node, to, delay_ms_max: 50 + rng.below(1000) },
                    _ => LinkFault::Reset { from: node, to },
                };
                self.links.push(LinkStep { at, ms: 300 + down, fault });
            }
        }
    }
}
