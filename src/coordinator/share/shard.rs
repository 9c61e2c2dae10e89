//! The share coordinator as a [`Shard`].

use std::sync::Arc;

use super::command::{Command, Each, Found, Initialize, Of, Reply, Summary, Write};
use super::config::ShareConfigs;
use super::record::{ShareRecord, Snapshot, Update};
use super::state::{Hard, ShareKey, ShareState, StateBatch, overlay};
use crate::coordinator::shard::{Cx, Entry, Output, Shard, Ticket};
use crate::metadata::MetadataDelta;
use crate::types::{ErrorCode, LeaderEpoch, Ms, Offset, PartitionIndex, TopicId};

/// The longest text that a record can hold.
const TEXT_BYTES_MAX: usize = i16::MAX as usize;
/// Snapshots may lie this far behind the end of the log before they are written anew, in records.
const COLD_AFTER_RECORDS: Offset = 10_000;
/// And this many times the number of states: what is written anew is a part of what is written anyway.
const COLD_AFTER_STATES: Offset = 4;
/// States that one command writes anew.
const SNAPSHOTS_MAX: usize = 500;

/// The share coordinator's state machine.
#[derive(Debug)]
pub struct ShareShard;

type Out = Output<ShareShard>;

impl Shard for ShareShard {
    type Record = ShareRecord;
    type Command = Command;
    type Reply = Reply;
    type Config = ShareConfigs;
    type Hard = Hard;
    type Soft = ();

    fn handle(
        hard: &Hard,
        _soft: &mut (),
        cx: &mut Cx<'_, ShareConfigs>,
        ticket: Ticket,
        command: Command,
        out: &mut Out,
    ) {
        let reply = match command {
            Command::Initialize(of) => {
                Reply::Done(each(hard, cx, of, &mut out.records, |key, state, cx, what| {
                    let record = initialize(key, state, cx.now, what)?;
                    Ok(((), Some(record)))
                }))
            }
            Command::Read(of) => {
                Reply::Found(each(hard, cx, of, &mut out.records, |key, state, _, epoch| {
                    read(key, state, epoch)
                }))
            }
            Command::Write(of) => {
                Reply::Done(each(hard, cx, of, &mut out.records, |key, state, cx, what| {
                    Ok(((), Some(write(key, state, cx, what)?)))
                }))
            }
            Command::Delete(of) => Reply::Done(delete(hard, of, &mut out.records)),
            Command::Summarize(of) => {
                Reply::Summaries(each(hard, cx, of, &mut out.records, |_, state, _, ()| {
                    Ok((state.map_or(Summary::UNINITIALIZED, summary), None))
                }))
            }
            Command::SnapshotCold => Reply::Snapshots(snapshot_cold(hard, cx, &mut out.records)),
            Command::Redundant => Reply::Redundant(hard.lowest_needed()),
        };
        out.reply(ticket, reply);
    }

    fn replay(hard: &mut Hard, at: Offset, entry: Entry<ShareRecord>) {
        hard.end = hard.end.max(at + 1);
        // Nobody writes here in transactions.
        let Entry::Record { record, .. } = entry else { return };
        match record {
            ShareRecord::Snapshot(key, None) => {
                hard.states.remove(&key);
            }
            ShareRecord::Snapshot(key, Some(snapshot)) => {
                let leader_epoch = hard.states.get(&key).map_or(-1, |old| old.leader_epoch);
                let mut batches = Vec::with_capacity(snapshot.batches.len());
                overlay(&mut batches, &snapshot.batches, snapshot.start_offset);
                let state = ShareState {
                    snapshot_epoch: snapshot.snapshot_epoch,
                    state_epoch: snapshot.state_epoch,
                    leader_epoch: snapshot.leader_epoch.max(leader_epoch),
                    start_offset: snapshot.start_offset,
                    delivery_complete_count: snapshot.delivery_complete_count,
                    created: snapshot.created,
                    batches,
                    updates: 0,
                    snapshot_at: at,
                };
                hard.states.insert(key, state);
            }
            ShareRecord::Update(key, update) => {
                // Without the snapshot that it adds to, an update says nothing: the state was deleted.
                let Some(state) = hard.states.get_mut(&key) else { return };
                state.leader_epoch = state.leader_epoch.max(update.leader_epoch);
                if update.start_offset != -1 {
                    state.start_offset = update.start_offset;
                }
                if update.delivery_complete_count != -1 {
                    state.delivery_complete_count = update.delivery_complete_count;
                }
                overlay(&mut state.batches, &update.batches, state.start_offset);
                state.updates += 1;
            }
        }
    }

    fn shares_append(_hard: &Hard, _command: &Command) -> bool {
        // Whether an update or a snapshot is due, and what is in it, depends on every update before it.
        false
    }

    fn is_mirrored(_record: &ShareRecord) -> bool {
        false
    }

    fn loaded(_hard: &Hard, _soft: &mut (), _cx: &mut Cx<'_, ShareConfigs>) {}

    fn metadata_changed(
        hard: &Hard,
        _soft: &mut (),
        _cx: &mut Cx<'_, ShareConfigs>,
        delta: &MetadataDelta,
        out: &mut Out,
    ) {
        if delta.topics_deleted.is_empty() {
            return;
        }
        let gone = hard.states.keys().filter(|key| delta.topics_deleted.contains_key(&key.topic));
        out.records.extend(gone.map(|key| ShareRecord::Snapshot(key.clone(), None)));
    }

    fn next_deadline(_soft: &()) -> Option<Ms> {
        None
    }

    fn on_deadline(_hard: &Hard, _soft: &mut (), _cx: &mut Cx<'_, ShareConfigs>, _out: &mut Out) {}
}

/// Answers for each partition, once; a partition that is named twice is asked about once.
fn each<T, R>(
    hard: &Hard,
    cx: &Cx<'_, ShareConfigs>,
    of: Of<T>,
    records: &mut Vec<ShareRecord>,
    mut decide: impl FnMut(
        &ShareKey,
        Option<&ShareState>,
        &Cx<'_, ShareConfigs>,
        T,
    ) -> Result<(R, Option<ShareRecord>), ErrorCode>,
) -> Each<R> {
    let mut answers: Each<R> = Vec::with_capacity(of.partitions.len());
    let mut seen = std::collections::BTreeSet::new();
    for (topic, partition, what) in of.partitions {
        let first = seen.insert((topic, partition));
        let answer = check(cx, &of.group, topic, partition, first).and_then(|()| {
            let key = ShareKey { group: Arc::clone(&of.group), topic, partition };
            decide(&key, hard.states.get(&key), cx, what)
        });
        let answer = answer.map(|(reply, record)| {
            records.extend(record);
            reply
        });
        answers.push((topic, partition, answer));
    }
    answers
}

fn check(
    cx: &Cx<'_, ShareConfigs>,
    group: &str,
    topic: TopicId,
    partition: PartitionIndex,
    first: bool,
) -> Result<(), ErrorCode> {
    if group.is_empty() || group.len() > TEXT_BYTES_MAX || topic.is_nil() || partition < 0 || !first {
        return Err(ErrorCode::InvalidRequest);
    }
    let known =
        cx.cluster.topics().get_by_id(topic).is_some_and(|topic| topic.partition(partition).is_some());
    if known { Ok(()) } else { Err(ErrorCode::UnknownTopicOrPartition) }
}

fn initialize(
    key: &ShareKey,
    state: Option<&ShareState>,
    now: Ms,
    what: Initialize,
) -> Result<ShareRecord, ErrorCode> {
    if what.state_epoch < 0 || what.start_offset < -1 {
        return Err(ErrorCode::InvalidRequest);
    }
    if state.is_some_and(|state| state.state_epoch > what.state_epoch) {
        return Err(ErrorCode::FencedStateEpoch);
    }
    let snapshot = Snapshot {
        snapshot_epoch: state.map_or(0, |state| state.snapshot_epoch.wrapping_add(1).max(0)),
        state_epoch: what.state_epoch,
        // Leaders of before stay fenced.
        leader_epoch: state.map_or(0, |state| state.leader_epoch),
        start_offset: what.start_offset,
        delivery_complete_count: if what.start_offset == -1 { -1 } else { 0 },
        created: state.map_or(now, |state| state.created),
        written: now,
        batches: Vec::new(),
    };
    Ok(ShareRecord::Snapshot(key.clone(), Some(snapshot)))
}

fn read(
    key: &ShareKey,
    state: Option<&ShareState>,
    leader_epoch: LeaderEpoch,
) -> Result<(Found, Option<ShareRecord>), ErrorCode> {
    let state = state.ok_or(ErrorCode::InvalidRequest)?;
    if leader_epoch != -1 && state.leader_epoch > leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    // From here on, leaders of before must not write: the epoch has to be in the log before the answer leaves.
    let record = (leader_epoch > state.leader_epoch).then(|| {
        let update = Update {
            snapshot_epoch: state.snapshot_epoch,
            leader_epoch,
            start_offset: -1,
            delivery_complete_count: -1,
            batches: Vec::new(),
        };
        ShareRecord::Update(key.clone(), update)
    });
    let found = Found {
        state_epoch: state.state_epoch,
        start_offset: state.start_offset,
        batches: state.batches.clone(),
    };
    Ok((found, record))
}

fn write(
    key: &ShareKey,
    state: Option<&ShareState>,
    cx: &Cx<'_, ShareConfigs>,
    what: Write,
) -> Result<ShareRecord, ErrorCode> {
    let state = state.ok_or(ErrorCode::InvalidRequest)?;
    if what.leader_epoch != -1 && state.leader_epoch > what.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if what.state_epoch != -1 && state.state_epoch > what.state_epoch {
        return Err(ErrorCode::FencedStateEpoch);
    }
    let makes_sense = |batch: &StateBatch| batch.first >= 0 && batch.first <= batch.last;
    if what.start_offset < -1 || !what.batches.iter().all(makes_sense) {
        return Err(ErrorCode::InvalidRequest);
    }
    if state.updates < cx.config.update_records_per_snapshot {
        let update = Update {
            snapshot_epoch: state.snapshot_epoch,
            leader_epoch: what.leader_epoch,
            start_offset: what.start_offset,
            delivery_complete_count: what.delivery_complete_count,
            batches: what.batches,
        };
        return Ok(ShareRecord::Update(key.clone(), update));
    }
    let mut snapshot = snapshot_of(state, cx.now);
    snapshot.leader_epoch = snapshot.leader_epoch.max(what.leader_epoch);
    snapshot.state_epoch = snapshot.state_epoch.max(what.state_epoch);
    if what.start_offset != -1 {
        snapshot.start_offset = what.start_offset;
    }
    if what.delivery_complete_count != -1 {
        snapshot.delivery_complete_count = what.delivery_complete_count;
    }
    overlay(&mut snapshot.batches, &what.batches, snapshot.start_offset);
    Ok(ShareRecord::Snapshot(key.clone(), Some(snapshot)))
}

/// Deleting what is not there is done already, also where its topic is gone.
fn delete(hard: &Hard, of: Of<()>, records: &mut Vec<ShareRecord>) -> Each<()> {
    let group = of.group;
    let deleted = of.partitions.into_iter().map(|(topic, partition, ())| {
        let key = ShareKey { group: Arc::clone(&group), topic, partition };
        if hard.states.contains_key(&key) {
            records.push(ShareRecord::Snapshot(key, None));
        }
        (topic, partition, Ok(()))
    });
    deleted.collect()
}

fn summary(state: &ShareState) -> Summary {
    Summary {
        state_epoch: state.state_epoch,
        leader_epoch: state.leader_epoch,
        start_offset: state.start_offset,
        delivery_complete_count: state.delivery_complete_count,
    }
}

/// The state once more, as the next snapshot.
fn snapshot_of(state: &ShareState, now: Ms) -> Snapshot {
    Snapshot {
        snapshot_epoch: state.snapshot_epoch.wrapping_add(1).max(0),
        state_epoch: state.state_epoch,
        leader_epoch: state.leader_epoch,
        start_offset: state.start_offset,
        delivery_complete_count: state.delivery_complete_count,
        created: state.created,
        written: now,
        batches: state.batches.clone(),
    }
}

fn snapshot_cold(hard: &Hard, cx: &Cx<'_, ShareConfigs>, records: &mut Vec<ShareRecord>) -> usize {
    let states = Offset::try_from(hard.states.len()).unwrap_or(Offset::MAX / COLD_AFTER_STATES);
    let far = COLD_AFTER_RECORDS.max(states.saturating_mul(COLD_AFTER_STATES));
    let is_gone = |key: &ShareKey| cx.cluster.topics().get_by_id(key.topic).is_none();
    let cold = hard.states.iter().filter(|(key, state)| hard.end - state.snapshot_at > far || is_gone(key));
    let cold = cold.take(SNAPSHOTS_MAX).map(|(key, state)| {
        let snapshot = (!is_gone(key)).then(|| snapshot_of(state, cx.now));
        ShareRecord::Snapshot(key.clone(), snapshot)
    });
    records.extend(cold);
    records.len()
}
