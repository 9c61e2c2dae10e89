//! The contract between a coordinator's state machine and the runtime that drives it.
//!
//! Invariants:
//! * `Hard` is what the topic says: [`Shard::replay`] is its only writer, in life as after a restart, and cannot fail.
//!   So a crash at any point is only a load.
//! * `Soft` is what the topic does not say: parked tickets, sessions, deadlines. [`Shard::loaded`] rebuilds it; losing
//!   it costs clients a retry, never a wrong answer.
//! * Nothing waits in here: a request that cannot be answered yet parks its [`Ticket`] in `Soft`, and a later call names
//!   the ticket in [`Output::replies`]. Each ticket is answered exactly once.
//! * There are no timers in here: [`Shard::next_deadline`] says when to call [`Shard::on_deadline`].

use bytes::Bytes;

use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::codec::{DecodeError, EncodeError};
use crate::types::{Ms, Offset, ProducerEpoch, ProducerId, Rng};

/// Names one request that waits for its reply. Unique within one life of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// A producer whose transaction records belong to (KIP-98).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Producer {
    /// Its id, 0 and up.
    pub id: ProducerId,
    /// Its epoch, 0 and up.
    pub epoch: ProducerEpoch,
}

/// What the log of a shard holds, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry<R> {
    /// A record. With a producer it counts only once that producer's transaction commits.
    Record {
        /// The transaction's producer, if the record is part of one.
        producer: Option<Producer>,
        /// What it says.
        record: R,
    },
    /// The end of a producer's transaction in this partition.
    EndTxn {
        /// Whose.
        producer: Producer,
        /// True if committed, false if aborted.
        committed: bool,
    },
}

/// What a call may look at besides the state.
pub struct Cx<'a, C> {
    /// The wall clock: for timestamps that are written. It may jump.
    pub now: Ms,
    /// A clock that only goes forward, from an arbitrary start: for deadlines.
    pub monotonic: Ms,
    /// The cluster, as this broker knows it.
    pub cluster: &'a MetadataImage,
    /// The coordinator's settings.
    pub config: &'a C,
    /// The largest batch that the shard's partition takes now: `max.message.bytes` of its topic.
    pub max_batch_bytes: usize,
    /// The shard's own chance.
    pub rng: &'a mut Rng,
}

/// What a call wants done: records appended, then replies sent once the records are safe.
pub struct Output<S: Shard> {
    /// The transaction that the records belong to, if any.
    pub as_producer: Option<Producer>,
    /// In the order in which they are to be appended and replayed.
    pub records: Vec<S::Record>,
    /// Who gets which answer, after all the records are replicated.
    pub replies: Vec<(Ticket, S::Reply)>,
}

impl<S: Shard> Default for Output<S> {
    fn default() -> Self {
        Output { as_producer: None, records: Vec::new(), replies: Vec::new() }
    }
}

impl<S: Shard> Output<S> {
    /// Answers `ticket` with `reply`.
    pub fn reply(&mut self, ticket: Ticket, reply: S::Reply) {
        self.replies.push((ticket, reply));
    }
}

/// A record's form in the log.
pub trait LogRecord: Sized {
    /// Its key, and its value; no value is a tombstone. Commands are bounded so that every record they lead to can be
    /// written; an error is a bug in a state machine.
    fn encode(&self) -> Result<(Bytes, Option<Bytes>), Unreadable>;
    /// The reverse. `Ok(None)` is a record that this version knows to leave alone; an error is one that should be
    /// readable and is not. Both are skipped on load, the latter with a warning.
    fn decode(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Option<Self>, Unreadable>;
}

/// A record whose bytes make no sense, or that has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A record of an internal topic has a key.
    #[error("a record without a key")]
    NoKey,
    /// Not the bytes of the type that it claims.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Not to be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The state machine of one partition of an internal topic.
pub trait Shard: Sized + 'static {
    /// What it writes.
    type Record: LogRecord + Send + 'static;
    /// What it is asked.
    type Command: Send + 'static;
    /// What it answers.
    type Reply: Send + 'static;
    /// Settings.
    type Config: Send + Sync + 'static;
    /// State that is in the topic.
    type Hard: Default + Send + 'static;
    /// State that is not.
    type Soft: Default + Send + 'static;

    /// Decides a command. Reads `hard`, may change `soft`, names records and replies. `ticket` is answered here, or
    /// parked in `soft`.
    fn handle(
        hard: &Self::Hard,
        soft: &mut Self::Soft,
        cx: &mut Cx<'_, Self::Config>,
        ticket: Ticket,
        command: Self::Command,
        out: &mut Output<Self>,
    );

    /// Takes in what the log holds at `at`.
    fn replay(hard: &mut Self::Hard, at: Offset, entry: Entry<Self::Record>);

    /// True if `command` may share an append with others of which that is true: deciding one of them reads nothing that
    /// the records of another change, so that all of them can be decided before the first is appended.
    fn shares_append(hard: &Self::Hard, command: &Self::Command) -> bool;

    /// True if `soft` was changed in step with the record when it was decided. If such a record cannot be appended,
    /// `soft` is built anew from `hard`.
    fn is_mirrored(record: &Self::Record) -> bool;

    /// Rebuilds `soft`, which is new, after the log was replayed.
    fn loaded(hard: &Self::Hard, soft: &mut Self::Soft, cx: &mut Cx<'_, Self::Config>);

    /// The cluster has changed: [`Cx::cluster`] is after, `delta` what differs.
    fn metadata_changed(
        hard: &Self::Hard,
        soft: &mut Self::Soft,
        cx: &mut Cx<'_, Self::Config>,
        delta: &MetadataDelta,
        out: &mut Output<Self>,
    );

    /// When to call [`Shard::on_deadline`], on [`Cx::monotonic`]'s clock; `None` if nothing is due ever.
    fn next_deadline(soft: &Self::Soft) -> Option<Ms>;

    /// Does the first thing that is due. Called again while something else is.
    fn on_deadline(
        hard: &Self::Hard,
        soft: &mut Self::Soft,
        cx: &mut Cx<'_, Self::Config>,
        out: &mut Output<Self>,
    );
}
