//! Produce: batches of records into partitions.
//!
//! Appends happen while the request is begun, so that the produces of a connection enter the log in the order in which
//! they came. Only waiting, for the disk or for followers, is left for later. The first batch of a transaction is the
//! exception: its coordinator is asked first, and what its producer sends next waits for that.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, StrBytes};
use tokio::time::Instant;

use crate::api::transactions::{Looked, Verified, verify_produce};
use crate::api::{Answer, On, RequestContext, Response, Served, Wait};
use crate::replica::{Acks, Append, AppendError, ProduceWaitSlot};
use crate::schema::api::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use crate::schema::api::{ProduceRequest, ProduceResponse};
use crate::storage::validate::{AppendOrigin, codec_allowed};
use crate::types::{ErrorCode, NodeId, TopicId};

/// From this version on topics are named by id (KIP-516).
const TOPIC_ID_FROM: i16 = 13;
/// From this version on the answer tells the current leader (KIP-951).
const CURRENT_LEADER_FROM: i16 = 10;

/// Key 0.
pub struct Produce;

impl Served for Produce {
    const KEY: i16 = 0;
    const VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;
    const ON: On = On::Broker;

    fn begin(cx: RequestContext, mut body: Bytes) -> Answer {
        let request = match ProduceRequest::decode(&mut body, cx.version) {
            Ok(request) => request,
            Err(e) => return Answer::Close(format!("the produce cannot be read: {e:#}")),
        };
        match verify_produce(&cx, &request) {
            Err(refused) => refuse(&cx, &request, refused),
            Ok(Looked::Known(verified)) => Appending::begin(cx, request, verified).answer(),
            Ok(Looked::ToAsk(to_verify)) => {
                let answer = Box::pin(async move {
                    let verified = to_verify.verify().await;
                    match Appending::begin(cx, request, verified).answer() {
                        Answer::Ready(response) => Some(response),
                        Answer::Later { answer, .. } => answer.await,
                        Answer::Nothing => Some(Response::nothing()),
                        Answer::Close(why) => {
                            tracing::debug!("a produce is not answered: {why}");
                            None
                        }
                    }
                });
                // What the producer sends next comes behind this in the log, so it has to wait.
                Answer::Later { answer, wait: Wait::Alone }
            }
        }
    }
}

/// A produce whose batches are appended as far as they may be.
struct Appending {
    cx: RequestContext,
    acks: i16,
    timeout: Duration,
    response: ProduceResponse,
    wait: ProduceWaitSlot,
}

impl Appending {
    fn begin(cx: RequestContext, request: ProduceRequest, verified: Verified) -> Appending {
        let (acks, timeout) = (request.acks, Duration::from_millis(request.timeout_ms.max(0) as u64));
        let mut wait = ProduceWaitSlot::default();
        let response = append_all(&cx, request, verified, &mut wait);
        Appending { cx, acks, timeout, response, wait }
    }

    fn answer(self) -> Answer {
        let Appending { cx, acks, timeout, mut response, wait } = self;
        if acks == 0 {
            return unacknowledged(&response);
        }
        let Some(wait) = wait.into_wait() else {
            withhold_without_lease(&cx, &mut response);
            return ready(&cx, &response);
        };
        let deadline = Instant::now() + timeout;
        let answer = Box::pin(async move {
            let in_time = tokio::time::timeout_at(deadline, wait.done()).await.is_ok();
            let failures =
                if in_time { wait.failures() } else { wait.unfinished(ErrorCode::RequestTimedOut) };
            for (index, error) in failures {
                fail(&mut response, index, error);
            }
            withhold_without_lease(&cx, &mut response);
            Response::encode(&cx, &response)
        });
        Answer::Later { answer, wait: Wait::Overlaps }
    }
}

fn ready(cx: &RequestContext, response: &ProduceResponse) -> Answer {
    match Response::encode(cx, response) {
        Some(response) => Answer::Ready(response),
        None => Answer::Close("the answer to a produce cannot be encoded".to_owned()),
    }
}

/// Answers every partition of a produce with `error`; nothing is appended.
fn refuse(cx: &RequestContext, request: &ProduceRequest, error: ErrorCode) -> Answer {
    let mut response = ProduceResponse::default();
    for topic in &request.topic_data {
        let failed = |index| {
            let mut answer = PartitionProduceResponse::default();
            answer.index = index;
            answer.base_offset = -1;
            answer.error_code = error.code();
            answer
        };
        let mut answers = TopicProduceResponse::default();
        answers.name = topic.name.clone();
        answers.topic_id = topic.topic_id;
        answers.partition_responses = topic.partition_data.iter().map(|data| failed(data.index)).collect();
        response.responses.push(answers);
    }
    if request.acks == 0 { unacknowledged(&response) } else { ready(cx, &response) }
}

/// Acknowledges nothing if this broker may have been stopped since it appended for longer than it may act as a leader:
/// another may lead by now, that has nothing of it.
fn withhold_without_lease(cx: &RequestContext, response: &mut ProduceResponse) {
    let Err(no_lease) = cx.broker.replicas.lease().check() else { return };
    for answer in response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
        if answer.error_code == 0 {
            answer.error_code = no_lease.code();
            answer.base_offset = -1;
        }
    }
}

/// A client that wants no answer learns of errors by the end of its connection, as Kafka does it.
fn unacknowledged(response: &ProduceResponse) -> Answer {
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.find(|partition| partition.error_code != 0) {
        None => Answer::Nothing,
        Some(failed) => {
            Answer::Close(format!("a produce with acks=0 failed with error {}", failed.error_code))
        }
    }
}

fn append_all(
    cx: &RequestContext,
    request: ProduceRequest,
    mut verified: Verified,
    wait: &mut ProduceWaitSlot,
) -> ProduceResponse {
    let acks = Acks::from_code(request.acks);
    let mut response = ProduceResponse::default();
    response.responses.reserve_exact(request.topic_data.len());
    let mut index = 0;
    for topic in request.topic_data {
        let mut answers = TopicProduceResponse::default();
        answers.partition_responses.reserve_exact(topic.partition_data.len());
        let found = if cx.version >= TOPIC_ID_FROM {
            cx.broker.replicas.topic_by_id(TopicId(topic.topic_id)).ok_or(ErrorCode::UnknownTopicId)
        } else {
            cx.broker.replicas.topic(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        for data in topic.partition_data {
            let mut answer = PartitionProduceResponse::default();
            answer.index = data.index;
            answer.base_offset = -1;
            let appended = match (&found, acks) {
                (_, None) => Err(AppendError::from(ErrorCode::InvalidRequiredAcks)),
                (&Err(unknown), _) => Err(AppendError::from(unknown)),
                (Ok(topic), Some(acks)) => match topic.partition(data.index) {
                    Err(error) => Err(AppendError::from(error)),
                    Ok(partition) => {
                        let records = data.records.unwrap_or_default();
                        let now = cx.broker.clock.now();
                        if codec_allowed(&records, cx.version) {
                            verified.of(index).and_then(|verification| {
                                let origin = AppendOrigin::Client;
                                let append = Append { acks, origin, now, index, verification };
                                partition.append(&records, &append, wait)
                            })
                        } else {
                            Err(ErrorCode::UnsupportedCompressionType.into())
                        }
                    }
                },
            };
            match appended {
                Ok(appended) => {
                    answer.base_offset = appended.first_offset;
                    answer.log_append_time_ms = appended.log_append_time;
                    answer.log_start_offset = appended.log_start_offset;
                }
                Err(failure) => describe(cx, &mut answer, failure),
            }
            answers.partition_responses.push(answer);
            index += 1;
        }
        answers.name = topic.name;
        answers.topic_id = topic.topic_id;
        response.responses.push(answers);
    }
    tell_leaders(cx, &mut response);
    response
}

/// Says where the leaders can be reached that the answer names, so that the client goes on there at once (KIP-951).
fn tell_leaders(cx: &RequestContext, response: &mut ProduceResponse) {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let named = partitions.map(|partition| partition.current_leader.leader_id.0).filter(|id| *id >= 0);
    let leaders: std::collections::BTreeSet<NodeId> = named.collect();
    if leaders.is_empty() {
        return;
    }
    let image = cx.broker.image();
    for broker in leaders.into_iter().filter_map(|id| image.brokers().get(id)) {
        let Some(endpoint) = broker.endpoint(&cx.connection.listener.name) else { continue };
        let mut node = NodeEndpoint::default();
        node.node_id = broker.id.into();
        node.host = StrBytes::from_string(endpoint.host.to_string());
        node.port = i32::from(endpoint.port);
        node.rack = broker.rack.as_ref().map(|rack| StrBytes::from_string(rack.to_string()));
        response.node_endpoints.push(node);
    }
}

/// Puts an error into a partition's answer, with what helps the client on.
fn describe(cx: &RequestContext, answer: &mut PartitionProduceResponse, failure: AppendError) {
    answer.error_code = failure.code.code();
    answer.error_message = failure.message.map(StrBytes::from_string);
    answer.record_errors.extend(failure.records.into_iter().map(|(batch_index, message)| {
        let mut error = BatchIndexAndErrorMessage::default();
        error.batch_index = batch_index;
        error.batch_index_error_message = message.map(StrBytes::from_string);
        error
    }));
    if let Some((leader, epoch)) = failure.current_leader
        && cx.version >= CURRENT_LEADER_FROM
    {
        let mut current = LeaderIdAndEpoch::default();
        current.leader_id = leader.into();
        current.leader_epoch = epoch;
        answer.current_leader = current;
    }
}

fn fail(response: &mut ProduceResponse, index: usize, error: ErrorCode) {
    let mut partitions = response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses);
    if let Some(answer) = partitions.nth(index)
        && answer.error_code == 0
    {
        answer.error_code = error.code();
        answer.base_offset = -1;
    }
}
