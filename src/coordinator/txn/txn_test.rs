//! Commands in; records, answers and work out.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::command::*;
use super::config::TxnConfigs;
use super::pending::{Routes, route};
use super::record::TxnRecord;
use super::shard::{Soft, TxnShard};
use super::state::*;
use super::transitions::{EPOCH_LAST, EPOCH_MAX};
use crate::coordinator::shard::{Cx, Entry, LogRecord, Output, Producer, Shard, Ticket};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::metadata::{FeatureLevelRecord, MetadataRecord, PartitionRecord, TopicRecord};
use crate::types::{ErrorCode, Ms, Rng, TransactionVersion};

const ID: &str = "tx";
const BEGINNING: Ms = 1_000_000;
const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;

/// A shard with the log it writes and somebody who does its work when told to; time moves when told to.
struct Machine {
    config: TxnConfigs,
    hard: Hard,
    soft: Soft,
    log: Vec<TxnRecord>,
    /// How many of the log's records the last call wrote.
    wrote: usize,
    image: MetadataImage,
    now: Ms,
    rng: Rng,
    tickets: u64,
    open: BTreeSet<Ticket>,
    replies: Vec<(Ticket, Reply)>,
    worker: Option<Ticket>,
    /// Work handed out and not done.
    work: Vec<Work>,
    next_id: i64,
    /// Appends fail.
    is_full: bool,
}

fn image(level: i16) -> MetadataImage {
    let mut image = MetadataImage::empty();
    let mut records: Vec<MetadataRecord> =
        vec![FeatureLevelRecord { name: TransactionVersion::FEATURE.into(), feature_level: level }.into()];
    records.push(TopicRecord { name: "t".into(), topic_id: Uuid::from_u128(1) }.into());
    for (partition_id, leader) in [(0, 1), (1, 2), (2, -1)] {
        let replicas = vec![1, 2];
        let topic_id = Uuid::from_u128(1);
        let directories = vec![Uuid::from_u128(7); 2];
        let partition = PartitionRecord {
            partition_id,
            topic_id,
            isr: replicas.clone(),
            replicas,
            leader,
            directories,
            ..Default::default()
        };
        records.push(partition.into());
    }
    for record in &records {
        image.apply(record, &mut MetadataDelta::default()).unwrap();
    }
    image
}

impl Machine {
    fn new(level: i16) -> Machine {
        let mut machine = Machine {
            config: TxnConfigs::default(),
            hard: Hard::default(),
            soft: Soft::default(),
            log: Vec::new(),
            wrote: 0,
            image: image(level),
            now: BEGINNING,
            rng: Rng::new(1),
            tickets: 0,
            open: BTreeSet::new(),
            replies: Vec::new(),
            worker: None,
            work: Vec::new(),
            next_id: 1000,
            is_full: false,
        };
        machine.load();
        machine
    }

    fn load(&mut self) {
        self.call(|hard, soft, cx, _| TxnShard::loaded(hard, soft, cx));
        self.take_up_work(true);
    }

    fn call(&mut self, call: impl FnOnce(&Hard, &mut Soft, &mut Cx<'_, TxnConfigs>, &mut Output<TxnShard>)) {
        let mut out = Output::default();
        let mut cx = Cx {
            now: self.now,
            monotonic: self.now,
            cluster: &self.image,
            config: &self.config,
            max_batch_bytes: 1 << 20,
            rng: &mut self.rng,
        };
        call(&self.hard, &mut self.soft, &mut cx, &mut out);
        let is_lost = self.is_full && !out.records.is_empty();
        self.wrote = if is_lost { 0 } else { out.records.len() };
        for record in out.records.into_iter().filter(|_| !is_lost) {
            // What is kept went through its log form.
            let (key, value) = record.encode().unwrap();
            self.log.push(TxnRecord::decode(Some(&key), value.as_ref()).unwrap().unwrap());
            TxnShard::replay(&mut self.hard, self.log.len() as i64, Entry::Record { producer: None, record });
        }
        assert_eq!(self.replayed(), self.hard, "what a restart finds is what there is");
        for (ticket, reply) in out.replies {
            assert!(self.open.remove(&ticket), "{ticket:?} is answered twice, or was never asked: {reply:?}");
            if is_lost {
                self.worker.take_if(|worker| *worker == ticket);
            } else if self.worker == Some(ticket) {
                self.worker = None;
                let Reply::Work(work) = reply else { panic!("{reply:?} for a worker") };
                self.work.extend(work);
            } else if reply != Reply::Work(Vec::new()) {
                self.replies.push((ticket, reply));
            }
        }
        if self.worker.is_none() && self.tickets > 0 && !is_lost {
            self.take_up_work(false);
        }
    }

    fn replayed(&self) -> Hard {
        let mut hard = Hard::default();
        for (at, record) in self.log.iter().enumerate() {
            TxnShard::replay(&mut hard, at as i64, Entry::Record { producer: None, record: record.clone() });
        }
        hard
    }

    fn take_up_work(&mut self, anew: bool) {
        if anew {
            self.work.clear();
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.worker = Some(ticket);
        self.open.insert(ticket);
        self.call(|hard, soft, cx, out| {
            TxnShard::handle(hard, soft, cx, ticket, Command::Work { anew }, out)
        });
    }

    /// Asks, and gives the answer if there is one.
    fn ask(&mut self, command: Command) -> Option<Reply> {
        let ticket = self.begin(command);
        self.answer(ticket)
    }

    fn begin(&mut self, command: Command) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.open.insert(ticket);
        self.call(|hard, soft, cx, out| TxnShard::handle(hard, soft, cx, ticket, command, out));
        ticket
    }

    fn answer(&mut self, ticket: Ticket) -> Option<Reply> {
        let at = self.replies.iter().position(|(of, _)| *of == ticket)?;
        Some(self.replies.remove(at).1)
    }

    /// Does what is due now.
    fn run_due(&mut self) {
        for _ in 0..100_000 {
            match TxnShard::next_deadline(&self.soft) {
                Some(at) if at <= self.now => self.call(TxnShard::on_deadline),
                _ => return,
            }
        }
        panic!("something is due for ever");
    }

    fn pass(&mut self, ms: Ms) {
        self.now += ms;
        self.run_due();
    }

    /// Gives out the producer ids that are wanted.
    fn give_ids(&mut self) {
        let wanted = self.work.extract_if(.., |work| matches!(work, Work::GetProducerIds(_)));
        let wanted: usize = wanted.map(|work| if let Work::GetProducerIds(n) = work { n } else { 0 }).sum();
        if wanted > 0 {
            let ids = (self.next_id..).take(wanted).collect();
            self.next_id += wanted as i64;
            assert_eq!(self.ask(Command::ProducerIds(Ok(ids))), Some(Reply::Noted));
            self.run_due();
        }
    }

    fn markers(&mut self) -> Vec<Markers> {
        let all = std::mem::take(&mut self.work);
        all.into_iter()
            .map(|work| if let Work::WriteMarkers(markers) = work { markers } else { panic!() })
            .collect()
    }

    fn written(&mut self, markers: &Markers, partitions: &Partitions) {
        let written =
            MarkersWritten { id: markers.id.clone(), token: markers.token, partitions: partitions.clone() };
        assert_eq!(self.ask(Command::MarkersWritten(written)), Some(Reply::Noted));
        self.run_due();
    }

    /// Writes all markers that are owed.
    fn write_markers(&mut self) -> Vec<Markers> {
        let all = self.markers();
        for markers in &all {
            self.written(markers, &markers.partitions.clone());
        }
        all
    }

    /// A crash, and another broker that takes over. Whoever waited is not answered.
    fn fail_over(&mut self) {
        self.hard = self.replayed();
        self.soft = Soft::default();
        self.open.clear();
        self.worker = None;
        self.load();
    }

    fn init_with(&mut self, expected: Option<Producer>) -> Ticket {
        let init = InitProducerId { id: ID.into(), timeout_ms: 60_000, expected };
        let ticket = self.begin(Command::InitProducerId(init));
        self.give_ids();
        ticket
    }

    fn init(&mut self, expected: Option<Producer>) -> Result<Producer, ErrorCode> {
        let ticket = self.init_with(expected);
        match self.answer(ticket) {
            Some(Reply::InitProducerId(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn add(&mut self, producer: Producer, partition: i32, version: TransactionVersion) -> Option<Reply> {
        self.ask(add(producer, partition, version))
    }

    fn verify(&mut self, producer: Producer, partition: i32) -> Result<ErrorCode, ErrorCode> {
        let partitions = vec![("t".into(), vec![partition])];
        match self.ask(Command::Verify(Verify { id: ID.into(), producer, partitions })) {
            Some(Reply::Verified(verified)) => verified.map(|verified| verified[0].1[0].1),
            other => panic!("{other:?}"),
        }
    }

    fn transaction(&self) -> &Transaction {
        self.hard.get(ID).unwrap()
    }

    fn state(&self) -> State {
        self.transaction().state
    }

    /// Sets what a record has, as if earlier transactions had brought it there.
    fn rewrite(&mut self, change: impl FnOnce(&mut Transaction)) {
        let mut transaction = self.transaction().clone();
        change(&mut transaction);
        let record = TxnRecord::put(ID.into(), transaction, V2);
        self.log.push(record.clone());
        TxnShard::replay(&mut self.hard, self.log.len() as i64, Entry::Record { producer: None, record });
    }
}

fn partitions(of_t: &[i32]) -> Partitions {
    [(Arc::from("t"), of_t.iter().copied().collect())].into()
}

fn add(producer: Producer, partition: i32, version: TransactionVersion) -> Command {
    Command::AddPartitions(AddPartitions {
        id: ID.into(),
        producer,
        partitions: partitions(&[partition]),
        version,
    })
}

fn end(producer: Producer, commit: bool, version: TransactionVersion) -> Command {
    Command::End(EndTxn { id: ID.into(), producer, commit, version })
}

const ADDED: Option<Reply> = Some(Reply::Added(Ok(())));

fn ended(producer: Producer) -> Option<Reply> {
    Some(Reply::Ended(Ok(producer)))
}

fn refused(error: ErrorCode) -> Option<Reply> {
    Some(Reply::Ended(Err(error)))
}

fn not_added(error: ErrorCode) -> Option<Reply> {
    Some(Reply::Added(Err(error)))
}

fn at(producer: Producer, epoch: i16) -> Producer {
    Producer { epoch, ..producer }
}

#[test]
fn a_transaction_without_epochs_of_its_own_from_beginning_to_end() {
    for commit in [true, false] {
        let mut machine = Machine::new(1);
        let producer = machine.init(None).unwrap();
        assert_eq!(producer, Producer { id: 1000, epoch: 0 });
        assert_eq!((machine.state(), machine.transaction().started_at), (State::Empty, None));
        assert_eq!(machine.add(producer, 0, V0), ADDED);
        assert_eq!(machine.transaction().started_at, Some(BEGINNING));
        machine.now += 5;
        assert_eq!(machine.add(producer, 1, V0), ADDED);
        let wrote = machine.log.len();
        assert_eq!(machine.add(producer, 1, V0), ADDED);
        assert_eq!(machine.log.len(), wrote, "what is in there is not written again");
        assert_eq!(machine.transaction().started_at, Some(BEGINNING));
        assert_eq!(*machine.transaction().partitions, partitions(&[0, 1]));

        let ticket = machine.begin(end(producer, commit, V0));
        assert_eq!(machine.answer(ticket), None, "it waits for the markers");
        let markers = machine.markers();
        let [markers] = &markers[..] else { panic!("{markers:?}") };
        assert_eq!((markers.producer, markers.committed, markers.version), (producer, commit, V0));
        assert_eq!(*markers.partitions, partitions(&[0, 1]));
        machine.written(markers, &partitions(&[1]));
        assert!(machine.state().is_prepared());
        assert_eq!(machine.answer(ticket), None);
        machine.written(markers, &partitions(&[0]));
        assert_eq!(machine.answer(ticket), ended(producer));
        assert_eq!(machine.state(), if commit { State::CompleteCommit } else { State::CompleteAbort });
        assert!(machine.transaction().partitions.is_empty());

        // Asked again, and the opposite.
        assert_eq!(machine.ask(end(producer, commit, V0)), ended(producer));
        assert_eq!(machine.ask(end(producer, !commit, V0)), refused(ErrorCode::InvalidTxnState));
        // The next one has nothing of it.
        assert_eq!(machine.add(producer, 2, V0), ADDED);
        assert_eq!(*machine.transaction().partitions, partitions(&[2]));
    }
}

#[test]
fn a_transaction_with_an_epoch_of_its_own_from_beginning_to_end() {
    let mut machine = Machine::new(2);
    let first = machine.init(None).unwrap();
    assert_eq!(machine.add(first, 0, V2), ADDED);
    let second = at(first, 1);
    let commit = machine.begin(end(first, true, V2));
    assert_eq!((machine.state(), machine.transaction().client_version), (State::PrepareCommit, V2));
    // The next transaction cannot begin before the markers are written; asked again, the end waits for them too.
    assert_eq!(machine.add(second, 1, V2), not_added(ErrorCode::ConcurrentTransactions));
    let again = machine.begin(end(first, true, V2));
    assert_eq!((machine.answer(commit), machine.answer(again)), (None, None));
    let markers = machine.write_markers();
    assert_eq!((markers[0].producer, markers[0].committed, markers[0].version), (second, true, V2));
    assert_eq!((machine.answer(commit), machine.answer(again)), (ended(second), ended(second)));
    assert_eq!(machine.add(second, 1, V2), ADDED);
    assert_eq!((machine.state(), machine.transaction().producer), (State::Ongoing, second));
    assert_eq!(*machine.transaction().partitions, partitions(&[1]));
    assert_eq!(machine.verify(second, 1), Ok(ErrorCode::None));
    assert_eq!(machine.verify(second, 0), Ok(ErrorCode::TransactionAbortable));
    assert_eq!(machine.verify(first, 1), Err(ErrorCode::ProducerFenced));
}

#[test]
fn who_waits_for_markers_does_not_wait_for_ever() {
    let mut machine = Machine::new(2);
    let first = machine.init(None).unwrap();
    machine.add(first, 0, V2);
    machine.ask(end(first, true, V2));
    let again = machine.begin(end(first, true, V2));
    let other = machine.init_with(None);
    machine.pass(machine.config.wait_ms);
    assert_eq!(machine.answer(again), refused(ErrorCode::ConcurrentTransactions));
    let concurrent = Reply::InitProducerId(Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(machine.answer(other), Some(concurrent));

    // An end that needs no epoch has happened when its record is there, whatever becomes of the markers.
    let mut machine = Machine::new(1);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V0);
    let ticket = machine.begin(end(producer, true, V0));
    machine.pass(machine.config.wait_ms);
    assert_eq!(machine.answer(ticket), ended(producer));
    // Whoever hears that begins the next one too early, and is told so.
    assert_eq!(machine.add(producer, 1, V0), not_added(ErrorCode::ConcurrentTransactions));
    machine.write_markers();
    assert_eq!(machine.add(producer, 1, V0), ADDED);
}

#[test]
fn ends_are_judged_by_state_and_epoch_as_in_kafka() {
    // Of the table in KIP-890's coordinator: with the current epoch and with the one before it.
    let fenced = refused(ErrorCode::ProducerFenced);
    let invalid = refused(ErrorCode::InvalidTxnState);
    for (state, commit, expected_again) in [
        (State::Empty, false, fenced.clone()),
        (State::Empty, true, fenced.clone()),
        (State::CompleteAbort, false, ended(Producer { id: 1000, epoch: 5 })),
        (State::CompleteAbort, true, invalid.clone()),
        (State::CompleteCommit, false, invalid.clone()),
        (State::CompleteCommit, true, ended(Producer { id: 1000, epoch: 5 })),
    ] {
        let mut machine = Machine::new(2);
        let producer = machine.init(None).unwrap();
        machine.rewrite(|transaction| {
            transaction.state = state;
            transaction.producer.epoch = 5;
        });
        let current = at(producer, 5);
        assert_eq!(machine.ask(end(at(producer, 4), commit, V2)), expected_again, "{state:?} {commit}");
        assert_eq!(machine.ask(end(at(producer, 6), commit, V2)), fenced, "{state:?} {commit}");
        let other = Producer { id: 7, epoch: 5 };
        assert_eq!(machine.ask(end(other, commit, V2)), refused(ErrorCode::InvalidProducerIdMapping));
        match commit {
            true => assert_eq!(machine.ask(end(current, commit, V2)), invalid, "{state:?}"),
            false => {
                // Nothing was added, but something may have been on its way: its epoch ends here.
                assert_eq!(machine.ask(end(current, commit, V2)), ended(at(producer, 6)));
                assert_eq!(machine.state(), State::CompleteAbort);
                assert_eq!((machine.wrote, machine.work.len()), (2, 0));
                assert_eq!(machine.transaction().started_at, Some(BEGINNING));
            }
        }
    }
    let mut machine = Machine::new(2);
    let unknown = Producer { id: 0, epoch: 0 };
    assert_eq!(machine.ask(end(unknown, true, V2)), refused(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(machine.add(unknown, 0, V2), not_added(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(machine.verify(unknown, 0), Err(ErrorCode::InvalidProducerIdMapping));
    let producer = machine.init(None).unwrap();
    assert_eq!(machine.ask(end(producer, false, V0)), invalid, "without epochs there must be a transaction");
    assert_eq!(machine.add(at(producer, 1), 0, V2), not_added(ErrorCode::ProducerFenced));
    assert_eq!(
        machine.add(Producer { id: 9, epoch: 0 }, 0, V2),
        not_added(ErrorCode::InvalidProducerIdMapping)
    );
}

#[test]
fn a_producer_that_begins_fences_the_one_before() {
    for level in [0, 1, 2] {
        let mut machine = Machine::new(level);
        let first = machine.init(None).unwrap();
        let second = machine.init(None).unwrap();
        assert_eq!(second, at(first, 1));
        assert_eq!(machine.add(first, 0, V0), not_added(ErrorCode::ProducerFenced));
        machine.add(second, 0, V0);
        // In the middle of a transaction: that is aborted first, and the epoch is raised once for it and once more.
        let third = machine.init_with(None);
        assert_eq!(machine.answer(third), None);
        assert_eq!((machine.state(), machine.transaction().producer), (State::PrepareAbort, at(first, 2)));
        assert_eq!(machine.ask(end(second, true, V0)), refused(ErrorCode::ProducerFenced));
        assert_eq!(machine.verify(second, 0), Err(ErrorCode::ProducerFenced));
        let markers = machine.write_markers();
        assert_eq!((markers[0].producer, markers[0].committed), (at(first, 2), false));
        assert_eq!(machine.answer(third), Some(Reply::InitProducerId(Ok(at(first, 3)))));
        assert_eq!(machine.state(), State::Empty);
    }
}

#[test]
fn a_producer_may_go_on_after_an_error_unless_another_has_begun() {
    let mut machine = Machine::new(1);
    let first = machine.init(None).unwrap();
    let second = machine.init(Some(first)).unwrap();
    assert_eq!(second, at(first, 1));
    assert_eq!(machine.init(Some(first)), Ok(second), "the answer was lost");
    assert_eq!(machine.init(Some(second)), Ok(at(first, 2)));
    assert_eq!(machine.init(Some(first)), Err(ErrorCode::ProducerFenced));
    assert_eq!(machine.init(Some(Producer { id: 5, epoch: 2 })), Err(ErrorCode::ProducerFenced));
    let other = machine.init(None).unwrap();
    assert_eq!(machine.init(Some(at(first, 2))), Err(ErrorCode::ProducerFenced));
    // Not even a transaction of the other one ends by that.
    machine.add(other, 0, V0);
    assert_eq!(machine.init(Some(at(first, 2))), Err(ErrorCode::ProducerFenced));
    assert_eq!(machine.state(), State::Ongoing);

    // What an id forgets, its producer may have again.
    let mut machine = Machine::new(1);
    assert_eq!(machine.init(Some(Producer { id: 77, epoch: 3 })), Ok(Producer { id: 1000, epoch: 0 }));
}

#[test]
fn timeouts_are_bounded() {
    let mut machine = Machine::new(2);
    for timeout_ms in [0, -1, 900_001, i32::MAX] {
        let init = InitProducerId { id: ID.into(), timeout_ms, expected: None };
        let invalid = Reply::InitProducerId(Err(ErrorCode::InvalidTransactionTimeout));
        assert_eq!(machine.ask(Command::InitProducerId(init)), Some(invalid));
    }
    assert!(machine.hard.transactions.is_empty());
}

#[test]
fn without_producer_ids_who_needs_one_is_told_to_ask_again() {
    let mut machine = Machine::new(2);
    let init = InitProducerId { id: ID.into(), timeout_ms: 1, expected: None };
    let ticket = machine.begin(Command::InitProducerId(init));
    assert_eq!(machine.work, [Work::GetProducerIds(1)]);
    assert_eq!(machine.answer(ticket), None);
    machine.ask(Command::ProducerIds(Err(ErrorCode::CoordinatorLoadInProgress)));
    let told = Reply::InitProducerId(Err(ErrorCode::CoordinatorLoadInProgress));
    assert_eq!(machine.answer(ticket), Some(told));
}

#[test]
fn what_is_late_never_touches_the_next_transaction() {
    // KAFKA-17754: a client that lost its connection ends its transaction on another; then the old requests arrive.
    let mut machine = Machine::new(2);
    let first = machine.init(None).unwrap();
    machine.add(first, 0, V2);
    machine.ask(end(first, false, V2));
    let late_add = add(first, 1, V2);
    assert_eq!(machine.ask(late_add.clone()), not_added(ErrorCode::ConcurrentTransactions));
    machine.write_markers();
    assert_eq!(machine.ask(late_add.clone()), not_added(ErrorCode::ProducerFenced));
    assert_eq!(machine.ask(end(first, true, V2)), refused(ErrorCode::InvalidTxnState));
    let second = at(first, 1);
    machine.add(second, 0, V2);
    assert_eq!(machine.ask(late_add), not_added(ErrorCode::ProducerFenced));
    for commit in [true, false] {
        assert_eq!(machine.ask(end(first, commit, V2)), refused(ErrorCode::ProducerFenced));
    }
    assert_eq!((machine.state(), machine.transaction().producer), (State::Ongoing, second));

    // Without epochs of their own, what is late and what comes next look alike. While a transaction ends nothing of
    // the kind waits for what it might hit.
    let mut machine = Machine::new(1);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V0);
    let ended_late = machine.begin(end(producer, false, V0));
    let late = machine.begin(end(producer, false, V0));
    assert_eq!(machine.add(producer, 1, V0), not_added(ErrorCode::ConcurrentTransactions));
    machine.write_markers();
    assert_eq!((machine.answer(ended_late), machine.answer(late)), (ended(producer), ended(producer)));
    assert_eq!(machine.state(), State::CompleteAbort);
}

#[test]
fn markers_of_one_transaction_are_not_taken_for_those_of_the_next() {
    // The same producer, the same epoch, the same partition.
    let mut machine = Machine::new(1);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V0);
    machine.begin(end(producer, true, V0));
    let first = machine.write_markers();
    machine.add(producer, 0, V0);
    machine.begin(end(producer, true, V0));
    let second = machine.markers();
    machine.written(&first[0], &partitions(&[0]));
    assert_eq!(machine.state(), State::PrepareCommit);
    machine.written(&second[0], &partitions(&[0]));
    assert_eq!(machine.state(), State::CompleteCommit);
}

#[test]
fn who_has_used_up_the_epochs_gets_another_id() {
    // By beginning anew, with and without saying who it was.
    for expected in [false, true] {
        let mut machine = Machine::new(1);
        let producer = machine.init(None).unwrap();
        machine.rewrite(|transaction| transaction.producer.epoch = EPOCH_LAST);
        let last = at(producer, EPOCH_LAST);
        let next = machine.init(expected.then_some(last)).unwrap();
        assert_eq!(next, Producer { id: 1001, epoch: 0 });
        if expected {
            assert_eq!(machine.init(Some(last)), Ok(next), "the answer was lost");
        }
    }
    // By ending a transaction.
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    machine.rewrite(|transaction| transaction.producer.epoch = EPOCH_LAST);
    let last = at(producer, EPOCH_LAST);
    machine.add(last, 0, V2);
    let ticket = machine.begin(end(last, true, V2));
    machine.give_ids();
    let next = Producer { id: 1001, epoch: 0 };
    assert_eq!(machine.transaction().next_id, Some(1001));
    assert_eq!(machine.add(next, 0, V2), not_added(ErrorCode::ConcurrentTransactions));
    let again = machine.begin(end(last, true, V2));
    let markers = machine.write_markers();
    assert_eq!(
        markers[0].producer,
        at(producer, EPOCH_MAX),
        "of the old id, in an epoch that nobody ever had"
    );
    assert_eq!((machine.answer(ticket), machine.answer(again)), (ended(next), ended(next)));
    assert_eq!(machine.add(next, 0, V2), ADDED);
    machine.rewrite(|transaction| {
        transaction.state = State::CompleteCommit;
        transaction.previous_id = Some(producer.id);
    });
    assert_eq!(machine.ask(end(last, true, V2)), ended(next), "the answer was lost");
    assert_eq!(machine.init(Some(last)), Ok(next));
}

#[test]
fn who_has_used_up_the_epochs_can_be_fenced() {
    // KAFKA-19367: the epoch is raised once for it and not twice; KAFKA-20090: the id is changed with it.
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    machine.rewrite(|transaction| transaction.producer.epoch = EPOCH_LAST);
    let last = at(producer, EPOCH_LAST);
    machine.add(last, 0, V2);
    machine.pass(60_000 + machine.config.abort_timed_out_interval_ms);
    assert_eq!(machine.state(), State::Ongoing, "it takes an id first");
    machine.give_ids();
    machine.pass(machine.config.abort_timed_out_interval_ms);
    assert_eq!(machine.transaction().producer, at(producer, EPOCH_MAX));
    // A late abort of its own, before and after.
    assert_eq!(machine.add(at(producer, EPOCH_MAX), 1, V2), not_added(ErrorCode::ConcurrentTransactions));
    machine.write_markers();
    let next = Producer { id: 1001, epoch: 0 };
    assert_eq!((machine.state(), machine.transaction().producer), (State::CompleteAbort, next));
    assert_eq!(machine.ask(end(last, false, V2)), ended(next));
    assert_eq!(machine.add(at(producer, EPOCH_MAX), 1, V2), not_added(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(machine.init(None), Ok(at(next, 1)));

    // An older coordinator may have left a transaction open in the epoch that nobody should have.
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V2);
    machine.rewrite(|transaction| transaction.producer.epoch = EPOCH_MAX);
    assert_eq!(machine.ask(end(at(producer, EPOCH_MAX), true, V2)), refused(ErrorCode::ProducerFenced));
    let ticket = machine.init_with(None);
    machine.write_markers();
    assert_eq!(machine.answer(ticket), Some(Reply::InitProducerId(Ok(Producer { id: 1001, epoch: 1 }))));
    let mut machine = Machine::new(1);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V0);
    machine.rewrite(|transaction| transaction.producer.epoch = EPOCH_MAX);
    let ticket = machine.init_with(None);
    machine.write_markers();
    machine.give_ids();
    assert_eq!(machine.answer(ticket), Some(Reply::InitProducerId(Ok(Producer { id: 1001, epoch: 0 }))));
}

#[test]
fn transactions_that_take_too_long_are_aborted() {
    for level in [0, 1, 2] {
        let mut machine = Machine::new(level);
        let producer = machine.init(None).unwrap();
        machine.add(producer, 0, V0);
        machine.pass(60_000);
        assert_eq!(machine.state(), State::Ongoing);
        machine.pass(machine.config.abort_timed_out_interval_ms);
        assert_eq!((machine.state(), machine.transaction().producer), (State::PrepareAbort, at(producer, 1)));
        assert_eq!(machine.ask(end(producer, true, V0)), refused(ErrorCode::ProducerFenced));
        machine.write_markers();
        assert_eq!(machine.state(), State::CompleteAbort);
        assert_eq!(machine.add(producer, 0, V0), not_added(ErrorCode::ProducerFenced));
        // And nothing more is due but the expiry of the id.
        machine.pass(machine.config.abort_timed_out_interval_ms);
        let wrote = machine.log.len();
        machine.pass(machine.config.abort_timed_out_interval_ms * 10);
        assert_eq!(machine.log.len(), wrote);
    }
}

#[test]
fn a_transaction_that_cannot_be_aborted_now_is_aborted_later() {
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V2);
    machine.is_full = true;
    machine.pass(60_000 + machine.config.abort_timed_out_interval_ms);
    assert_eq!(machine.state(), State::Ongoing);
    machine.is_full = false;
    machine.take_up_work(true);
    machine.pass(machine.config.abort_timed_out_interval_ms);
    machine.write_markers();
    assert_eq!((machine.state(), machine.transaction().producer), (State::CompleteAbort, at(producer, 1)));
}

#[test]
fn no_marker_is_written_for_an_end_that_is_not_in_the_log() {
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V2);
    // Nobody is there to do the work when the record fails.
    machine.worker = None;
    machine.soft = Soft::default();
    machine.is_full = true;
    machine.begin(end(producer, true, V2));
    machine.is_full = false;
    machine.take_up_work(false);
    assert_eq!(machine.work, []);
    // Somebody is.
    machine.is_full = true;
    machine.begin(end(producer, true, V2));
    machine.is_full = false;
    machine.take_up_work(true);
    assert_eq!((machine.state(), &machine.work[..]), (State::Ongoing, &[][..]));
    machine.ask(end(producer, false, V2));
    let markers = machine.write_markers();
    assert_eq!((markers.len(), markers[0].committed), (1, false));
}

#[test]
fn ids_at_rest_are_forgotten_and_others_are_not() {
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    for i in 0..600 {
        let init = InitProducerId { id: format!("other-{i}").into(), timeout_ms: 60_000, expected: None };
        machine.begin(Command::InitProducerId(init));
        machine.give_ids();
    }
    machine.config.id_expiration_ms = 2 * machine.config.remove_expired_interval_ms;
    machine.pass(machine.config.remove_expired_interval_ms);
    assert_eq!(machine.hard.transactions.len(), 601);
    machine.config.abort_timed_out_interval_ms = Ms::MAX / 2;
    machine.soft = Soft::default();
    machine.add(producer, 0, V2);
    machine.config.abort_timed_out_interval_ms = 10_000;
    machine.pass(machine.config.remove_expired_interval_ms);
    for _ in 0..10 {
        machine.pass(10);
    }
    assert_eq!(machine.hard.transactions.keys().map(|id| &**id).collect::<Vec<_>>(), [ID]);
    assert_eq!(machine.log.last().unwrap().encode().unwrap().1, None, "a tombstone");
}

#[test]
fn what_a_coordinator_owes_its_successor_pays() {
    // It dies after each record and after each marker.
    for level in [0, 1, 2] {
        let version = if level == 2 { V2 } else { V0 };
        for dies_at in 0..6 {
            let mut machine = Machine::new(level);
            let mut step = 0;
            let mut die = |machine: &mut Machine| {
                step += 1;
                if step == dies_at {
                    machine.fail_over();
                }
            };
            let producer = machine.init(None).unwrap();
            machine.add(producer, 0, version);
            die(&mut machine);
            machine.add(producer, 1, version);
            die(&mut machine);
            machine.begin(end(producer, true, version));
            assert_eq!(machine.state(), State::PrepareCommit);
            die(&mut machine);
            let owed = machine.markers();
            assert_eq!((owed.len(), &*owed[0].partitions), (1, &partitions(&[0, 1])));
            machine.written(&owed[0], &partitions(&[0]));
            die(&mut machine);
            if dies_at == 4 {
                // What was written before is written again; what comes late of the old life is of no account.
                machine.written(&owed[0], &partitions(&[1]));
                assert_eq!(machine.state(), State::PrepareCommit);
                machine.write_markers();
            } else {
                machine.written(&owed[0], &partitions(&[1]));
            }
            assert_eq!(machine.state(), State::CompleteCommit, "{level} {dies_at}");
            die(&mut machine);
            let next = if level == 2 { at(producer, 1) } else { producer };
            assert_eq!(machine.ask(end(producer, true, version)), ended(next), "asked again");
            assert_eq!(machine.add(next, 0, version), ADDED);
            assert_eq!(machine.work, []);
        }
    }
}

#[test]
fn a_coordinator_that_takes_over_aborts_what_takes_too_long() {
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    machine.add(producer, 0, V2);
    machine.fail_over();
    machine.pass(60_000 + machine.config.abort_timed_out_interval_ms);
    machine.write_markers();
    assert_eq!(machine.state(), State::CompleteAbort);
}

#[test]
fn transactions_are_listed_and_described() {
    let mut machine = Machine::new(2);
    let producer = machine.init(None).unwrap();
    let other = InitProducerId { id: "other".into(), timeout_ms: 1, expected: None };
    machine.begin(Command::InitProducerId(other));
    machine.give_ids();
    machine.add(producer, 1, V2);
    machine.now += 100;
    let mut list = |list: ListTransactions| match machine.ask(Command::List(list)) {
        Some(Reply::Listed(listed)) => listed.iter().map(|one| one.id.to_string()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(list(ListTransactions::default()), ["other", ID]);
    let states = Some([State::Ongoing, State::CompleteAbort].into());
    assert_eq!(list(ListTransactions { states, ..Default::default() }), [ID]);
    let producer_ids = Some([producer.id + 1].into());
    assert_eq!(list(ListTransactions { producer_ids, ..Default::default() }), ["other"]);
    let states = Some([State::Ongoing].into());
    for (longer_than_ms, found) in [(Some(99), 1), (Some(100), 0), (Some(0), 1)] {
        let states = states.clone();
        assert_eq!(list(ListTransactions { longer_than_ms, states, ..Default::default() }).len(), found);
    }
    let described = machine.ask(Command::Describe(ID.into()));
    assert_eq!(described, Some(Reply::Described(Some(machine.transaction().clone()))));
    assert_eq!(machine.ask(Command::Describe("none".into())), Some(Reply::Described(None)));
}

#[test]
fn markers_go_to_leaders_and_not_to_what_is_gone() {
    let mut wanted = partitions(&[0, 1, 2, 3]);
    wanted.extend([(Arc::from("gone"), [0].into())]);
    let routes = route(&wanted, &image(2));
    let mut gone = partitions(&[3]);
    gone.extend([(Arc::from("gone"), [0].into())]);
    let to = [(1, partitions(&[0])), (2, partitions(&[1]))].into();
    assert_eq!(routes, Routes { to, gone, leaderless: partitions(&[2]) });
}

#[test]
fn records_are_kafkas() {
    // The value of version 1 has its own producer ids in tagged fields; that of version 0 knows none of that.
    let transaction = Transaction {
        producer: Producer { id: 4000, epoch: 7 },
        previous_id: Some(3999),
        next_id: Some(4001),
        timeout_ms: 60_000,
        state: State::PrepareCommit,
        partitions: Arc::new(partitions(&[0, 5])),
        started_at: Some(1),
        updated_at: 2,
        client_version: V2,
    };
    let again = |record: &TxnRecord| {
        let (key, value) = record.encode().unwrap();
        TxnRecord::decode(Some(&key), value.as_ref()).unwrap().unwrap()
    };
    let record = TxnRecord::put(ID.into(), transaction.clone(), V2);
    assert_eq!(record.encode().unwrap().0[..], *b"\0\0\0\x02tx");
    assert_eq!(record.encode().unwrap().1.unwrap()[..2], [0, 1]);
    assert_eq!(again(&record).transaction, Some(transaction.clone()));
    let old = Transaction { client_version: V0, ..transaction.clone() };
    let record = TxnRecord::put(ID.into(), old.clone(), V0);
    assert_eq!(record.encode().unwrap().1.unwrap()[..2], [0, 0]);
    assert_eq!(again(&record), record);
    assert_eq!(record.transaction, Some(Transaction { previous_id: None, next_id: None, ..old }));
    // Who has epochs of its own keeps them in a cluster that does not ask for them.
    assert_eq!(again(&TxnRecord::put(ID.into(), transaction.clone(), V0)).transaction, Some(transaction));
    let tombstone = TxnRecord::tombstone(ID.into());
    assert_eq!((again(&tombstone), tombstone.encode().unwrap().1), (tombstone.clone(), None));
    // A key of another type is left alone; a state that there is not is an error.
    let unknown = bytes::Bytes::from_static(&[0, 9, 1]);
    assert_eq!(TxnRecord::decode(Some(&unknown), None), Ok(None));
    let (key, value) = record.encode().unwrap();
    let mut value = value.unwrap().to_vec();
    value[2 + 8 + 2 + 4] = 6;
    assert!(TxnRecord::decode(Some(&key), Some(&value.into())).is_err());
}
