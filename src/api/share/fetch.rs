//! ShareFetch: records for a member of a share group, with a wait for new ones, and what it says of others.
//!
//! Members wait as consumers do: the partitions tell the connection's waiter of what arrives, and share partitions of what
//! comes back or is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::acks::{self, Acks, RawBatch};
use super::fetch_response::{self, PartitionAnswer, TopAnswer};
use super::{fetch_error, kept, share_groups_enabled};
use crate::api::{Answer, On, RequestContext, Response, Served, Wait};
use crate::replica::FetchWaiter;
use crate::schema::api::ShareFetchRequest;
use crate::share_partition::session::{FINAL_EPOCH, SessionKey, TopicIdPartition};
use crate::share_partition::state::Mode;
use crate::share_partition::{Fetch, Found, SharePartition};
use crate::types::{ErrorCode, TopicId};

/// How often one partition is looked at again because what was found was for nobody.
const LOOKS_MAX: usize = 16;

/// Key 78.
pub struct ShareFetch;

impl Served for ShareFetch {
    const KEY: i16 = 78;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=2;
    const ON: On = On::Broker;

    fn begin(cx: RequestContext, mut body: Bytes) -> Answer {
        let request = match ShareFetchRequest::decode(&mut body, cx.version) {
            Ok(request) => request,
            Err(e) => return Answer::Close(format!("the share fetch cannot be read: {e:#}")),
        };
        let answer = Box::pin(async move { Some(run(&cx, request).await) });
        Answer::Later { answer, wait: Wait::Parked }
    }
}

async fn run(cx: &RequestContext, request: ShareFetchRequest) -> Response {
    match answer(cx, &request).await {
        Ok((top, partitions)) => fetch_response::encode(cx, &top, partitions),
        Err(error) => {
            let top = TopAnswer { error, lock_ms: 0 };
            fetch_response::encode(cx, &top, Vec::new())
        }
    }
}

async fn answer(
    cx: &RequestContext,
    request: &ShareFetchRequest,
) -> Result<(TopAnswer, Vec<PartitionAnswer>), ErrorCode> {
    if !share_groups_enabled(cx) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let group = request.group_id.as_ref().filter(|group| !group.is_empty());
    let member = request.member_id.as_ref().filter(|member| !member.is_empty());
    let (Some(group), Some(member)) = (group, member) else { return Err(ErrorCode::InvalidRequest) };
    let mode = Mode::from_code(request.share_acquire_mode).ok_or(ErrorCode::InvalidRequest)?;
    let session: SessionKey = (kept(group), kept(member));
    let settings = (cx.broker.share.settings_of())(&session.0);
    let fetches_nothing = request.max_records <= 0 || request.max_bytes <= 0;
    if request.is_renew_ack && (!settings.may_renew || !fetches_nothing) {
        return Err(ErrorCode::InvalidRequest);
    }
    let epoch = request.share_session_epoch;
    let acks = acks_of(request);
    let added: Vec<_> = named(request).collect();
    let forgotten = request.forgotten_topics_data.iter();
    let forgotten: Vec<_> =
        forgotten.flat_map(|t| t.partitions.iter().map(|&p| (TopicId(t.topic_id), p))).collect();
    let wanted = {
        let mut sessions = cx.broker.share.sessions().lock();
        let connection = &cx.connection.fetch_waiter;
        sessions.fetch(&session, epoch, &added, &forgotten, !acks.is_empty(), connection)?
    };
    cx.connection.has_share_sessions.store(true, Ordering::Relaxed);
    let outcomes = acks::keep(cx, &session, acks).await;
    let mut answers = if epoch == FINAL_EPOCH || fetches_nothing || wanted.is_empty() {
        wait_in_vain(request, epoch != FINAL_EPOCH && !fetches_nothing && outcomes.is_empty()).await;
        Vec::new()
    } else {
        let pass = Pass::new(cx, &session, request, mode, rotated(wanted, epoch));
        pass.run(request).await
    };
    if epoch == FINAL_EPOCH {
        cx.broker.share.end_session(&session, None);
    }
    for (at, error) in outcomes {
        match answers.iter_mut().find(|answer| answer.at == at) {
            Some(answer) => answer.acknowledge_error = error,
            None => answers.push(PartitionAnswer { acknowledge_error: error, ..PartitionAnswer::of(at) }),
        }
    }
    answers.sort_by_key(|answer| answer.at);
    let lock_ms = i32::try_from(settings.limits.lock_ms).unwrap_or(i32::MAX);
    Ok((TopAnswer { error: ErrorCode::None, lock_ms }, answers))
}

/// A member without partitions does not ask again at once.
async fn wait_in_vain(request: &ShareFetchRequest, waits: bool) {
    if waits {
        tokio::time::sleep(Duration::from_millis(request.max_wait_ms.max(0) as u64)).await;
    }
}

fn named(request: &ShareFetchRequest) -> impl Iterator<Item = TopicIdPartition> + '_ {
    request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| (TopicId(topic.topic_id), p.partition_index)))
}

fn acks_of(request: &ShareFetchRequest) -> Vec<Acks> {
    let partitions = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (TopicId(topic.topic_id), partition)));
    let with_acks = partitions.filter(|(_, partition)| !partition.acknowledgement_batches.is_empty());
    let acks = with_acks.map(|(topic, partition)| {
        let batches = partition.acknowledgement_batches.iter().map(|batch| RawBatch {
            first: batch.first_offset,
            last: batch.last_offset,
            types: &batch.acknowledge_types,
        });
        ((topic, partition.partition_index), acks::parse(batches, request.is_renew_ack))
    });
    acks.collect()
}

/// Another partition comes first each time.
fn rotated(mut partitions: Vec<TopicIdPartition>, epoch: i32) -> Vec<TopicIdPartition> {
    let by = usize::try_from(epoch).unwrap_or(0) % partitions.len().max(1);
    partitions.rotate_left(by);
    partitions
}

/// The partitions of one fetch, to be looked at once or, while it waits, again. Given up before its time, it leaves nothing
/// at them.
struct Pass<'a> {
    cx: &'a RequestContext,
    session: &'a SessionKey,
    wanted: Vec<TopicIdPartition>,
    records_max: i64,
    batch_records: i64,
    mode: Mode,
    bytes_max: u32,
    min_bytes: i64,
    /// Where it waits.
    shares: BTreeMap<TopicIdPartition, Arc<SharePartition>>,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.shares.values().for_each(|share| share.forget_waiter(&self.cx.connection.fetch_waiter));
    }
}

impl<'a> Pass<'a> {
    fn new(
        cx: &'a RequestContext,
        session: &'a SessionKey,
        request: &ShareFetchRequest,
        mode: Mode,
        wanted: Vec<TopicIdPartition>,
    ) -> Pass<'a> {
        let bytes_max = (request.max_bytes.max(0) as usize).min(cx.broker.config.fetch_max_bytes) as u32;
        Pass {
            cx,
            session,
            wanted,
            records_max: i64::from(request.max_records),
            batch_records: i64::from(request.batch_size.max(1)),
            mode,
            bytes_max,
            min_bytes: i64::from(request.min_bytes),
            shares: BTreeMap::new(),
        }
    }

    async fn run(mut self, request: &ShareFetchRequest) -> Vec<PartitionAnswer> {
        let waiter: Arc<FetchWaiter> = Arc::clone(&self.cx.connection.fetch_waiter);
        let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
        let mut woken = Box::pin(waiter.woken());
        loop {
            let in_time = Instant::now() < deadline;
            if in_time {
                woken.set(waiter.woken());
                woken.as_mut().enable();
                waiter.arm(self.min_bytes.max(1));
            }
            let answers = self.look(in_time.then_some(&waiter));
            if !in_time || !answers.is_empty() {
                return answers;
            }
            // Out of time, what there is is given, however little.
            let _woken_or_out_of_time = tokio::time::timeout_at(deadline, woken.as_mut()).await;
        }
    }

    /// Looks at every partition. With a waiter, too few bytes are nothing, and the waiter is told of more.
    fn look(&mut self, waiter: Option<&Arc<FetchWaiter>>) -> Vec<PartitionAnswer> {
        let mut answers = Vec::new();
        let mut found = Vec::new();
        let mut bytes = 0i64;
        let per_partition = (self.bytes_max / (self.wanted.len().max(1) as u32)).max(1);
        for &(topic, index) in &self.wanted {
            let share = match self.cx.broker.share.get_or_load(&self.session.0, topic, index) {
                Ok(share) => share,
                Err(error) => {
                    answers.push(PartitionAnswer::failed((topic, index), fetch_error(error)));
                    continue;
                }
            };
            if waiter.is_some() {
                let before = self.shares.insert((topic, index), Arc::clone(&share));
                if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, &share)) {
                    before.forget_waiter(&self.cx.connection.fetch_waiter);
                }
            }
            match share.look(per_partition, waiter) {
                Found::Nothing => {}
                Found::Failed(error) => {
                    answers.push(PartitionAnswer::failed((topic, index), fetch_error(error)));
                }
                Found::Records(from) => {
                    bytes += i64::from(from.bytes());
                    found.push(((topic, index), share, from));
                }
            }
        }
        if waiter.is_some() && bytes < self.min_bytes && answers.is_empty() {
            return answers;
        }
        let mut left = self.records_max;
        for (at, share, mut from) in found {
            for _ in 0..LOOKS_MAX {
                let fetch = Fetch {
                    member: &self.session.1,
                    records_max: left,
                    batch_records: self.batch_records,
                    mode: self.mode,
                };
                let (acquired, records, again) = from.acquire(&fetch);
                if !acquired.is_empty() {
                    left -= acquired.iter().map(|range| range.last - range.first + 1).sum::<i64>();
                    answers.push(PartitionAnswer { acquired, records, ..PartitionAnswer::of(at) });
                    break;
                }
                match again.then(|| share.look(per_partition, waiter)) {
                    Some(Found::Records(next)) => from = next,
                    Some(Found::Nothing | Found::Failed(_)) | None => break,
                }
            }
            if left <= 0 {
                break;
            }
        }
        answers
    }
}
