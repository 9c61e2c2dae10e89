//! Everything that differs between runs, drawn from one seed.

use super::sabotage::Sabotage;
use crate::types::{Ms, Rng};

/// A segment has room for the largest batch that producers send.
const SEGMENT_BYTES_MIN: u32 = 4000;

/// How a run ends a life of the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The power goes during the disk call that comes so many calls later.
    PowerLossAtCall(u64),
    /// The power goes at some moment between two calls.
    PowerLoss,
    /// kill -9: what was written stays.
    Kill,
    /// An orderly stop.
    Stop,
    /// A sync of a file fails, so many syncs later; the machine goes down with the node, and the lost pages
    /// with it.
    FailedSync(u64),
    /// The disk is full for so many milliseconds once so many bytes more are written; then there is room
    /// again. The node lives on.
    FullDisk {
        /// Bytes that still fit.
        after: u64,
        /// How long, in milliseconds.
        ms: u64,
    },
}

/// One life of the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// How long nothing happens to it, in milliseconds after it serves.
    pub ms: u64,
    /// What happens then.
    pub ending: Ending,
    /// How long it is down, in milliseconds.
    pub down_ms: u64,
    /// At which disk call of the next start the power goes once more.
    pub power_loss_in_start: Option<u64>,
    /// By how much somebody sets the machine's clock meanwhile, in milliseconds.
    pub clock_jump: Ms,
}

/// What a run does.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// All else is drawn from it.
    pub seed: u64,
    /// Topics in use.
    pub topics: u32,
    /// `num.partitions`.
    pub partitions: i32,
    /// `acks.all.durability` = `fsync`, in place of `replicated`.
    pub fsync: bool,
    /// `log.roll.ms`.
    pub roll_ms: u64,
    /// `log.retention.ms`, if old records are to go.
    pub retention_ms: Option<u64>,
    /// `log.index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// Idempotent producers with acks=all.
    pub idempotent_producers: u32,
    /// Producers without idempotence and with acks=1 or 0.
    pub plain_producers: u32,
    /// Consumers that follow everything.
    pub consumers: u32,
    /// Members of one group that commit offsets.
    pub committers: u32,
    /// Batches that a producer has under way at most.
    pub in_flight_max: usize,
    /// Records in a batch at most.
    pub batch_records_max: u32,
    /// Bytes of a record's value at least.
    pub value_bytes: usize,
    /// The longest that a producer waits between two batches, in milliseconds.
    pub think_ms_max: u64,
    /// The longest that a write travels, in milliseconds.
    pub net_delay_ms_max: u64,
    /// The longest that a blocking call of the node takes, in milliseconds.
    pub disk_delay_ms_max: u64,
    /// The lives, one after another.
    pub lives: Vec<Life>,
    /// Members of a group that divide the partitions among themselves.
    pub members: u32,
    /// How long a member may be silent before its group goes on without it, in milliseconds.
    pub session_ms: i32,
    /// Whether somebody makes and removes topics.
    pub short_lived_topics: bool,
    /// Whether somebody has old records removed.
    pub trims: bool,
    /// Where segments of topics roll by size, in bytes.
    pub segment_bytes: Option<u32>,
    /// A bug that the run must find.
    pub sabotage: Option<Sabotage>,
}

impl Options {
    /// What `seed` stands for.
    pub fn from_seed(seed: u64) -> Options {
        let mut rng = Rng::new(seed ^ 0x6e6f_6465_7369_6d31);
        let rng = &mut rng;
        let fsync = !rng.chance(4);
        let retention = rng.chance(4);
        let lives = 1 + rng.below(5);
        Options {
            seed,
            topics: 1 + rng.below(2) as u32,
            partitions: 1 + rng.below(3) as i32,
            fsync,
            roll_ms: 200 + rng.below(3000),
            retention_ms: retention.then(|| 1000 + rng.below(5000)),
            index_interval_bytes: 64 + rng.below(4096) as u32,
            idempotent_producers: 1 + rng.below(3) as u32,
            plain_producers: rng.below(2) as u32,
            consumers: 1 + rng.below(2) as u32,
            committers: rng.below(3) as u32,
            in_flight_max: 1 + rng.below(5) as usize,
            batch_records_max: 1 + rng.below(6) as u32,
            value_bytes: rng.below(400) as usize,
            think_ms_max: 5 + rng.below(60),
            net_delay_ms_max: rng.below(8),
            disk_delay_ms_max: rng.below(12),
            lives: (0..lives).map(|_| Life::draw(rng, fsync)).collect(),
            members: rng.below(4) as u32,
            session_ms: 150 + rng.below(1000) as i32,
            short_lived_topics: rng.chance(2),
            trims: rng.chance(3),
            segment_bytes: rng.chance(3).then(|| SEGMENT_BYTES_MIN + rng.below(20_000) as u32),
            sabotage: None,
        }
    }

    /// The same with producers, consumers and committers alone: what a seed stood for when the others were not
    /// there yet.
    pub fn with_few_kinds_of_clients(mut self) -> Options {
        (self.members, self.short_lived_topics, self.trims, self.segment_bytes) = (0, false, false, None);
        self
    }

    /// The same with a broken node.
    pub fn with_sabotage(mut self, sabotage: Sabotage) -> Options {
        self.sabotage = Some(sabotage);
        match sabotage {
            Sabotage::ForgetsProducers => {}
            // Only a promise that survives power loss shows these.
            _ => self.fsync = true,
        }
        self
    }
}

impl Life {
    fn draw(rng: &mut Rng, fsync: bool) -> Life {
        let ending = match rng.below(12) {
            0..4 => Ending::PowerLossAtCall(1 + rng.below(60)),
            4..6 => Ending::PowerLoss,
            6..8 => Ending::Kill,
            8 => Ending::Stop,
            9..11 => Ending::FailedSync(rng.below(10)),
            _ => Ending::FullDisk { after: rng.below(5000), ms: 200 + rng.below(1500) },
        };
        // What `replicated` promises ends with the power, and is of more interest without.
        let ending = if fsync || rng.chance(4) { ending } else { Ending::Kill };
        Life {
            ms: rng.below(2500),
            ending,
            down_ms: rng.below(500),
            power_loss_in_start: (fsync && rng.chance(4)).then(|| 1 + rng.below(120)),
            clock_jump: if rng.chance(5) { rng.below(4_000_000) as Ms - 2_000_000 } else { 0 },
        }
    }
}
