//! What clients were promised and what they saw: a list of events that every checker sees as they happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::checkers::{self, Checker};
use super::clock::SimClock;
use super::options::Options;
use crate::types::{ErrorCode, LeaderEpoch, NodeId, Offset};

/// A topic's number, and a partition of it.
pub type Slot = (u32, i32);
/// A producer's number. Idempotent ones come first.
pub type Producer = u32;

/// The first of the topics that come and go; the others stay.
pub const SHORT_LIVED_FROM: u32 = 100;

/// The name of topic `number`.
pub fn topic_name(number: u32) -> String {
    format!("events-{number}")
}

/// A record's value: who wrote it to this partition as the how manieth.
pub type Value = (Producer, u64);

/// A commit of a group's offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Who commits.
    pub client: u32,
    /// The group's number.
    pub group: u32,
    /// The generation in which it does; -1 outside of any.
    pub generation: i32,
    /// Of which partition.
    pub slot: Slot,
    /// What is committed.
    pub offset: Offset,
}

/// Something that a client learnt, or that befell the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A topic is asked for.
    Creating(u32),
    /// A topic is there: its creation was acknowledged, or metadata named it.
    Created(u32),
    /// The removal of a topic is asked for.
    Deleting(u32),
    /// The removal of a topic was acknowledged.
    Deleted(u32),
    /// A node that serves does not know a topic.
    Missing(u32),
    /// How many records a short-lived topic has, and how many it may have.
    Counted {
        /// Which.
        topic: u32,
        /// Records acknowledged since its creation.
        acked: u64,
        /// Records sent since its creation.
        sent: u64,
        /// Its end offset.
        end: Offset,
    },
    /// A batch was sent for the first time.
    Sent {
        /// Where to.
        slot: Slot,
        /// Who and with which number its first record has.
        first: Value,
        /// Number of records.
        count: u32,
    },
    /// A batch was acknowledged.
    Acked {
        /// Where.
        slot: Slot,
        /// Who and with which number its first record has.
        first: Value,
        /// Number of records.
        count: u32,
        /// The offset of its first record, unless the answer was only that it is there already.
        base: Option<Offset>,
        /// With which acks.
        acks: i16,
    },
    /// An idempotent producer goes on with a new epoch since a partition does not know its last batches any
    /// more: what it has sent and does not know of may come twice.
    Bumped {
        /// Where.
        slot: Slot,
        /// Who.
        producer: Producer,
        /// What it was told.
        error: ErrorCode,
    },
    /// An idempotent producer cannot go on.
    Fatal {
        /// Where.
        slot: Slot,
        /// Who.
        producer: Producer,
        /// Why.
        error: ErrorCode,
    },
    /// A reader begins to read a partition as a whole, from `start`.
    Begins {
        /// What.
        slot: Slot,
        /// The log start offset.
        start: Offset,
    },
    /// A record was read.
    Read {
        /// By whom.
        reader: u32,
        /// Where.
        slot: Slot,
        /// At which offset.
        offset: Offset,
        /// Which offset should have been next.
        expected: Offset,
        /// What it holds.
        value: Value,
    },
    /// All from what [`Event::Begins`] said up to `end` was read by it.
    Whole {
        /// What.
        slot: Slot,
        /// The first offset.
        start: Offset,
        /// The offset after the last.
        end: Offset,
    },
    /// What an answer to a fetch said of a partition.
    Answer {
        /// To whom.
        reader: u32,
        /// Of which partition.
        slot: Slot,
        /// Who answered, and for which leader epoch, -1 where there is one node alone.
        leader: (NodeId, LeaderEpoch),
        /// The high watermark.
        high_watermark: Offset,
        /// The log start offset.
        start: Offset,
    },
    /// Some node says who leads a partition.
    Led {
        /// Which.
        slot: Slot,
        /// Who.
        leader: NodeId,
        /// In which epoch.
        epoch: LeaderEpoch,
    },
    /// A reader's position is outside of the log.
    OutOfRange {
        /// Who.
        reader: u32,
        /// Where.
        slot: Slot,
        /// The next offset to read.
        position: Offset,
        /// The log start offset.
        start: Offset,
        /// The high watermark.
        end: Offset,
    },
    /// The removal of a partition's oldest records is asked for.
    Trimming {
        /// Where.
        slot: Slot,
        /// All before it.
        offset: Offset,
    },
    /// The removal of a partition's oldest records was acknowledged.
    Trimmed {
        /// Where.
        slot: Slot,
        /// The log start offset.
        start: Offset,
    },
    /// A member of a group was given its partitions.
    Owns {
        /// The group's number.
        group: u32,
        /// The generation.
        generation: i32,
        /// Who.
        client: u32,
        /// What.
        slots: Vec<Slot>,
    },
    /// A commit of an offset was sent.
    Committing(Commit),
    /// A commit of an offset was acknowledged.
    Committed(Commit),
    /// A group's offset is asked for.
    Fetching {
        /// Who asks.
        client: u32,
        /// The group's number.
        group: u32,
        /// Of which partition.
        slot: Slot,
    },
    /// A group's offset was fetched; -1 if there is none.
    Fetched {
        /// Who has asked.
        client: u32,
        /// The group's number.
        group: u32,
        /// Of which partition.
        slot: Slot,
        /// What was committed.
        offset: Offset,
    },
    /// The node was killed; what it had written is there.
    Killed,
    /// The machine has lost its power.
    PowerLost,
    /// Anything else, for whoever reads the trace.
    Note(String),
}

/// What a run promises, as checkers need to know it.
#[derive(Clone, Copy, Debug)]
pub struct Promises {
    /// acks=all survives power loss.
    pub fsync: bool,
    /// Old records may go.
    pub retention: bool,
    /// Old records may be removed on request.
    pub trims: bool,
    /// Producers below are idempotent.
    pub idempotent_producers: Producer,
    /// There are several nodes: what acks=1 acknowledged goes with its leader, and what one node knows another
    /// may not know yet.
    pub cluster: bool,
}

/// The history of one run. Clones are the same.
#[derive(Clone)]
pub struct Model {
    state: Arc<Mutex<State>>,
    clock: Arc<SimClock>,
}

struct State {
    checkers: Vec<Box<dyn Checker>>,
    trace: Vec<String>,
    violation: Option<String>,
    counts: Counts,
    ends: BTreeMap<Slot, Offset>,
}

/// How much happened.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Batches acknowledged, by producer.
    pub acked: BTreeMap<Producer, u64>,
    /// Records read, by reader.
    pub read: BTreeMap<u32, u64>,
    /// Commits acknowledged, by group.
    pub committed: BTreeMap<u32, u64>,
    /// Lives of the node.
    pub starts: u64,
}

impl Model {
    /// An empty history.
    pub fn new(options: &Options, clock: Arc<SimClock>, cluster: bool) -> Model {
        let promises = Promises {
            fsync: options.fsync,
            retention: options.retention_ms.is_some(),
            trims: options.trims,
            idempotent_producers: options.idempotent_producers,
            cluster,
        };
        let state = State {
            checkers: checkers::all(promises),
            trace: Vec::new(),
            violation: None,
            counts: Counts::default(),
            ends: BTreeMap::new(),
        };
        Model { state: Arc::new(Mutex::new(state)), clock }
    }

    /// Writes an event down and lets every checker see it.
    pub fn see(&self, event: Event) {
        let mut state = self.state.lock();
        let line = format!("{:>7} {event:?}", self.clock.elapsed());
        state.trace.push(line);
        match &event {
            Event::Acked { first, .. } => *state.counts.acked.entry(first.0).or_default() += 1,
            Event::Read { reader, .. } => *state.counts.read.entry(*reader).or_default() += 1,
            Event::Whole { slot, end, .. } => {
                state.ends.insert(*slot, *end);
            }
            Event::Committed(Commit { group, .. }) => *state.counts.committed.entry(*group).or_default() += 1,
            _ => {}
        }
        let State { checkers, violation, .. } = &mut *state;
        for checker in checkers {
            if let Err(why) = checker.see(&event)
                && violation.is_none()
            {
                *violation = Some(format!("{}: {why}", checker.name()));
            }
        }
    }

    /// Writes a remark down.
    pub fn note(&self, text: impl Into<String>) {
        self.see(Event::Note(text.into()));
    }

    /// Says that something is wrong which no checker sees.
    pub fn violated(&self, why: String) {
        self.note(format!("VIOLATION {why}"));
        self.state.lock().violation.get_or_insert(why);
    }

    /// The node serves once more.
    pub fn started(&self) {
        self.state.lock().counts.starts += 1;
        self.note("the node serves");
    }

    /// The first thing that was wrong.
    pub fn violation(&self) -> Option<String> {
        self.state.lock().violation.clone()
    }

    /// How much happened so far.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts.clone()
    }

    /// Up to where partitions were read as a whole.
    pub fn ends(&self) -> BTreeMap<Slot, Offset> {
        self.state.lock().ends.clone()
    }

    /// The clients' wall clock, or that of the machine where there is one alone.
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// Everything that was written down.
    pub fn trace(&self) -> Vec<String> {
        self.state.lock().trace.clone()
    }
}
