//! Fetch: records out of partitions, with a wait for new ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, StrBytes};
use tokio::time::Instant;

use super::fetch_response::{self, NodeEndpoint, TopicAnswer};
use crate::api::{Answer, On, RequestContext, Response, Served, Wait};
use crate::replica::fetch_session::{FetchKey, Fetcher, Plan, Told, Wanted};
use crate::replica::{FollowerRead, Isolation, Partition, PartitionRead, Read, SYNCED_END_OFFSET_TAG};
use crate::schema::api::FetchRequest;
use crate::types::{BrokerEpoch, ErrorCode, NodeId, Offset, TopicId};

/// From this version on consumers tell their rack, and may read from followers (KIP-392).
const RACK_FROM: i16 = 11;
/// From this version on topics are named by id (KIP-516).
const TOPIC_ID_FROM: i16 = 13;
/// From this version on followers tell the epoch of their registration (KIP-903).
const REPLICA_STATE_FROM: i16 = 15;

/// Key 1.
pub struct Fetch;

impl Served for Fetch {
    const KEY: i16 = 1;
    const VERSIONS: std::ops::RangeInclusive<i16> = 4..=18;
    const ON: On = On::Both;

    fn begin(cx: RequestContext, mut body: Bytes) -> Answer {
        let request = match FetchRequest::decode(&mut body, cx.version) {
            Ok(request) => request,
            Err(e) => return Answer::Close(format!("the fetch cannot be read: {e:#}")),
        };
        if cx.connection.listener.is_controller {
            // Controllers have one log to give: the metadata's.
            let answer = Box::pin(async move {
                let response = cx.broker.quorum.fetch(cx.version, request).await;
                Response::encode(&cx, &response)
            });
            return Answer::Later { answer, wait: Wait::Parked };
        }
        if let Some(refused) = refused(&cx, &request) {
            return Answer::Ready(fetch_response::encode(&cx, refused, 0, Vec::new(), &[]));
        }
        let (plan, pass) = match Pass::new(&cx, &request) {
            Ok(planned) => planned,
            Err(error) => {
                return Answer::Ready(fetch_response::encode(&cx, error, 0, Vec::new(), &[]));
            }
        };
        let wait = Duration::from_millis(request.max_wait_ms.max(0) as u64);
        let min_bytes = i64::from(request.min_bytes);
        let now_or_never = request.max_wait_ms <= 0 || min_bytes <= 0 || pass.targets.is_empty();
        let mut woken = Box::pin(cx.connection.fetch_waiter.woken());
        if !now_or_never {
            woken.as_mut().enable();
            cx.connection.fetch_waiter.arm(min_bytes);
        }
        let reads = pass.run(&cx, !now_or_never, true);
        if now_or_never || reads.satisfy(min_bytes) {
            return Answer::Ready(answer(&cx, &plan, &pass, reads));
        }
        let deadline = Instant::now() + wait;
        let mut parked = Parked::new(cx, pass);
        let answer = Box::pin(async move {
            let waiter = Arc::clone(&parked.cx.connection.fetch_waiter);
            loop {
                let woken_in_time = tokio::time::timeout_at(deadline, woken.as_mut()).await.is_ok();
                let in_time = woken_in_time && !waiter.is_over();
                if in_time {
                    woken.set(waiter.woken());
                    woken.as_mut().enable();
                    waiter.arm(min_bytes);
                }
                let reads = parked.pass.run(&parked.cx, in_time, false);
                if !in_time || reads.satisfy(min_bytes) {
                    parked.is_over = true;
                    return Some(answer(&parked.cx, &plan, &parked.pass, reads));
                }
            }
        });
        Answer::Later { answer, wait: Wait::Parked }
    }
}

/// A fetch that waits. Given up before its time, it leaves nothing at the partitions: many clients may go away from
/// partitions where nothing ever happens.
struct Parked {
    cx: RequestContext,
    pass: Pass,
    is_over: bool,
}

impl Parked {
    fn new(cx: RequestContext, pass: Pass) -> Parked {
        if let Some((node, _)) = pass.follower {
            cx.broker.replicas.follower_waits().add(node, &cx.connection.fetch_waiter);
        }
        Parked { cx, pass, is_over: false }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        if let Some((node, _)) = self.pass.follower {
            self.cx.broker.replicas.follower_waits().remove(node, &self.cx.connection.fetch_waiter);
        }
        if self.is_over {
            return;
        }
        for partition in self.pass.targets.iter().filter_map(|target| target.found.as_ref().ok()) {
            partition.forget_waiter(&self.cx.connection.fetch_waiter);
        }
    }
}

/// One partition that a fetch reads.
struct Target {
    key: FetchKey,
    wanted: Wanted,
    found: Result<Arc<Partition>, ErrorCode>,
}

/// The partitions of one fetch, to be read once or, while it waits, again.
struct Pass {
    targets: Vec<Target>,
    bytes_max: u32,
    isolation: Isolation,
    /// Set if a follower fetches: its id and the epoch of its registration.
    follower: Option<(NodeId, BrokerEpoch)>,
    /// The consumer's rack, where consumers are sent to replicas in their racks (KIP-392).
    rack: Option<StrBytes>,
}

/// What one pass over the partitions has found.
struct Reads {
    reads: Vec<PartitionRead>,
    bytes: i64,
    /// Something must be told at once, an error above all.
    urgent: bool,
}

impl Reads {
    fn satisfy(&self, min_bytes: i64) -> bool {
        self.urgent || self.bytes >= min_bytes
    }
}

impl Pass {
    /// What the request wants, by itself or as part of its session.
    fn new(cx: &RequestContext, request: &FetchRequest) -> Result<(Plan, Pass), ErrorCode> {
        let by_id = cx.version >= TOPIC_ID_FROM;
        let no_name: Arc<str> = Arc::default();
        let key = |name: &str, id: uuid::Uuid, partition| FetchKey {
            topic: if by_id { Arc::clone(&no_name) } else { Arc::from(name) },
            topic_id: if by_id { TopicId(id) } else { TopicId::NIL },
            partition,
        };
        let added = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| {
                let wanted = Wanted {
                    fetch_offset: p.fetch_offset,
                    log_start_offset: p.log_start_offset,
                    max_bytes: p.partition_max_bytes,
                    current_leader_epoch: p.current_leader_epoch,
                    last_fetched_epoch: p.last_fetched_epoch,
                    synced_end_offset: synced_end_offset(&p.unknown_tagged_fields),
                };
                (key(&topic.topic, topic.topic_id, p.partition), wanted)
            })
        });
        let forgotten = request
            .forgotten_topics_data
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|&p| key(&topic.topic, topic.topic_id, p)));
        let replicas = &cx.broker.replicas;
        let target = |key: FetchKey, wanted: Wanted| {
            let topic = if by_id {
                replicas.topic_by_id(key.topic_id).ok_or(ErrorCode::UnknownTopicId)
            } else {
                replicas.topic(&key.topic).ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            Target { found: topic.and_then(|topic| topic.partition(key.partition)), key, wanted }
        };
        let now = cx.broker.clock.now();
        let (id, epoch) = (request.session_id, request.session_epoch);
        let mut sessions = cx.broker.fetch_sessions.of(id).lock();
        let follower = follower(cx.version, request);
        let fetcher = Fetcher { uses_topic_ids: by_id, is_follower: follower.is_some() };
        let plan = sessions.plan(id, epoch, fetcher, added.clone(), forgotten, now);
        let targets = match plan {
            Plan::Refused(error) => return Err(error),
            Plan::Sessionless | Plan::Full(_) => {
                drop(sessions);
                added.map(|(key, wanted)| target(key, wanted)).collect()
            }
            Plan::Incremental(id) => match sessions.get_mut(id) {
                None => return Err(ErrorCode::FetchSessionIdNotFound),
                Some(session) => session.wanted().map(|(key, &wanted)| target(key.clone(), wanted)).collect(),
            },
        };
        let bytes_max = (request.max_bytes.max(0) as usize).min(cx.broker.config.fetch_max_bytes) as u32;
        let isolation = Isolation::from_level(request.isolation_level);
        let rack = (follower.is_none() && cx.broker.config.rack_aware_reads && !request.rack_id.is_empty())
            .then(|| request.rack_id.clone());
        Ok((plan, Pass { targets, bytes_max, isolation, follower, rack }))
    }

    /// Reads every partition. With `wait`, partitions will tell the connection's waiter of what arrives from here on. What a
    /// follower says of itself counts with the first pass only.
    fn run(&self, cx: &RequestContext, wait: bool, is_first: bool) -> Reads {
        let waiter = wait.then_some(&cx.connection.fetch_waiter);
        let mut result = Reads { reads: Vec::with_capacity(self.targets.len()), bytes: 0, urgent: false };
        let mut left = self.bytes_max;
        let rack = self.rack.as_deref();
        for target in &self.targets {
            let held_back = match (&target.found, self.follower) {
                (Ok(partition), Some((node, _))) => partition.holds_back(node),
                _ => false,
            };
            let room = if held_back { 0 } else { left };
            let read = match &target.found {
                Err(error) => PartitionRead::failed(*error),
                Ok(partition) => partition.read(&Read {
                    offset: target.wanted.fetch_offset,
                    bytes_max: (target.wanted.max_bytes.max(0) as u32).min(room),
                    // The first records are sent however large their batch is, or a fetch could never get past it.
                    whole_batch: result.bytes == 0 && !held_back,
                    isolation: self.isolation,
                    current_leader_epoch: target.wanted.current_leader_epoch,
                    last_fetched_epoch: target.wanted.last_fetched_epoch,
                    waiter,
                    from_any_replica: cx.version >= RACK_FROM,
                    rack,
                    follower: self.follower.map(|(node, broker_epoch)| FollowerRead {
                        node,
                        broker_epoch,
                        log_start: target.wanted.log_start_offset,
                        synced: target.wanted.synced_end_offset,
                        is_first,
                    }),
                }),
            };
            let bytes = read.records_len();
            if let (Ok(partition), Some(_)) = (&target.found, self.follower) {
                partition.sent_to_follower(bytes);
            }
            left = left.saturating_sub(bytes);
            result.bytes += i64::from(bytes);
            // A follower that waits is told at once of records that were deleted.
            let deleted = self.follower.is_some()
                && !is_first
                && read.log_start_offset > target.wanted.log_start_offset;
            result.urgent |= read.is_urgent() || deleted;
            result.reads.push(read);
        }
        result
    }
}

/// Why a fetch is not looked at: a follower of another cluster.
fn refused(cx: &RequestContext, request: &FetchRequest) -> Option<ErrorCode> {
    let named = request.cluster_id.as_ref()?;
    (**named != *cx.broker.cluster_id).then_some(ErrorCode::InconsistentClusterId)
}

/// Who fetches, if it is a broker: consumers have no id, or a negative one.
fn follower(version: i16, request: &FetchRequest) -> Option<(NodeId, BrokerEpoch)> {
    let (node, broker_epoch) = if version >= REPLICA_STATE_FROM {
        (request.replica_state.replica_id.0, request.replica_state.replica_epoch)
    } else {
        (request.replica_id.0, -1)
    };
    (node >= 0).then_some((node, broker_epoch))
}

/// What of a follower's log is on its disk, if it says so.
fn synced_end_offset(tagged: &BTreeMap<i32, Bytes>) -> Option<Offset> {
    let field: &[u8] = tagged.get(&SYNCED_END_OFFSET_TAG)?;
    field.try_into().ok().map(Offset::from_be_bytes)
}

/// The answer, with what the plan leaves in it.
fn answer(cx: &RequestContext, plan: &Plan, pass: &Pass, reads: Reads) -> Response {
    let mut topics: Vec<TopicAnswer<'_>> = Vec::new();
    let mut leaders_differ = false;
    let (id, only_news) = match plan {
        Plan::Full(id) => (*id, false),
        Plan::Incremental(id) => (*id, true),
        Plan::Sessionless | Plan::Refused(_) => (0, false),
    };
    let mut sessions = (id != 0).then(|| cx.broker.fetch_sessions.of(id).lock());
    let mut session = sessions.as_mut().and_then(|sessions| sessions.get_mut(id));
    for (target, read) in pass.targets.iter().zip(reads.reads) {
        if let Some(session) = &mut session {
            let told = told(&read);
            if only_news && !session.is_news(&target.key, &told) {
                continue;
            }
            session.tell(&target.key, &told);
        }
        leaders_differ |= read.current_leader.is_some();
        let key = &target.key;
        match topics.last_mut() {
            Some(last) if last.topic_id == key.topic_id && *last.topic == *key.topic => {
                last.partitions.push((key.partition, read));
            }
            _ => topics.push(TopicAnswer {
                topic: &key.topic,
                topic_id: key.topic_id,
                partitions: vec![(key.partition, read)],
            }),
        }
    }
    drop(sessions);
    let endpoints = if leaders_differ { node_endpoints(cx, &topics) } else { Vec::new() };
    fetch_response::encode(cx, ErrorCode::None, id, topics, &endpoints)
}

fn told(read: &PartitionRead) -> Told {
    Told {
        high_watermark: read.high_watermark,
        log_start_offset: read.log_start_offset,
        record_bytes: u64::from(read.records_len()),
        has_news: read.is_urgent(),
    }
}

/// Where the leaders can be reached that the answer names (KIP-951).
fn node_endpoints(cx: &RequestContext, topics: &[TopicAnswer<'_>]) -> Vec<NodeEndpoint> {
    let leaders = topics.iter().flat_map(|t| &t.partitions).filter_map(|(_, read)| read.current_leader);
    let mut ids: Vec<_> = leaders.map(|(id, _epoch)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    let image = cx.broker.image();
    let mut endpoints = Vec::new();
    for id in ids {
        let Some(broker) = image.brokers().get(id) else { continue };
        let Some(endpoint) = broker.endpoint(&cx.connection.listener.name) else { continue };
        endpoints.push(NodeEndpoint {
            id,
            host: Bytes::copy_from_slice(endpoint.host.as_bytes()),
            port: i32::from(endpoint.port),
            rack: broker.rack.as_ref().map(|rack| Bytes::copy_from_slice(rack.as_bytes())),
        });
    }
    endpoints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::leader_messages::fetch_request;
    use crate::replica::{FetchedFrom, FollowerFetchRequest};

    #[test]
    fn followers_are_told_from_consumers() {
        let from = FetchedFrom {
            topic_id: TopicId::NIL,
            topic: "t".into(),
            partition: 0,
            offset: 9,
            last_fetched_epoch: 2,
            leader_epoch: 3,
            log_start: 1,
            synced: 7,
            bytes_max: 100,
        };
        let request = FollowerFetchRequest {
            session_id: 0,
            session_epoch: 0,
            wait_ms_max: 500,
            bytes_min: 1,
            bytes_max: 1000,
            partitions: vec![from],
            forgotten: Vec::new(),
        };
        let request = fetch_request(2, 77, &request);
        assert_eq!(follower(18, &request), Some((2, 77)));
        assert_eq!(follower(18, &FetchRequest::default()), None);
        assert_eq!(follower(14, &FetchRequest::default().with_replica_id(5.into())), Some((5, -1)));
        let mut tagged = request.topics[0].partitions[0].unknown_tagged_fields.clone();
        assert_eq!(synced_end_offset(&tagged), Some(7));
        tagged.insert(SYNCED_END_OFFSET_TAG, Bytes::from_static(b"short"));
        assert_eq!(synced_end_offset(&tagged), None, "what it is not does not count");
        assert_eq!(synced_end_offset(&BTreeMap::new()), None);
    }
}
