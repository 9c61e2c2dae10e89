//! WriteTxnMarkers: a transaction coordinator has transactions ended in partitions that this broker leads (KIP-98, KIP-1228).
//!
//! The answer comes when every marker is replicated. A marker of `__consumer_offsets` goes through the group coordinator,
//! which writes it in the order of its own records and lets the offsets of the transaction count.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::{ProducerId as WireProducerId, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, timeout_at};

use crate::api::{Api, Broker, On, RequestContext};
use crate::coordinator::routing::CONSUMER_OFFSETS;
use crate::coordinator::runtime::{Refused, TxnEnded};
use crate::replica::{ProduceWaitSlot, TxnEnd};
use crate::schema::api::write_txn_markers_request::WritableTxnMarker;
use crate::schema::api::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::schema::api::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use crate::types::{ErrorCode, PartitionIndex, ProducerId};
use crate::wire::control::EndTxnMarker;

/// How long replicas may take: `request.timeout.ms` of Kafka's brokers. The coordinator tries again.
const REPLICAS_WAIT_MAX: Duration = Duration::from_secs(30);

/// Key 27.
pub struct WriteTxnMarkers;

impl Api for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    type Response = WriteTxnMarkersResponse;
    const KEY: i16 = 27;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=2;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
        write_markers(&cx.broker, request).await
    }
}

/// Writes markers to partitions that this broker leads.
pub async fn write_markers(broker: &Broker, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
    let deadline = Instant::now() + REPLICAS_WAIT_MAX;
    let mut writing = Writing::default();
    for marker in &request.markers {
        writing.begin(broker, marker).await;
    }
    writing.finish(broker, deadline).await
}

/// One partition's marker.
struct Written {
    producer_id: ProducerId,
    topic: WireTopicName,
    partition: PartitionIndex,
    error: ErrorCode,
}

#[derive(Default)]
struct Writing {
    all: Vec<Written>,
    /// What waits for replicas, by the place in `all`.
    wait: ProduceWaitSlot,
    /// What the group coordinator has not answered yet, by the place in `all`.
    groups: Vec<(usize, TxnEnded)>,
}

impl Writing {
    /// Appends one transaction's markers.
    async fn begin(&mut self, broker: &Broker, marker: &WritableTxnMarker) {
        let end = TxnEnd {
            producer_id: marker.producer_id.0,
            producer_epoch: marker.producer_epoch,
            marker: EndTxnMarker {
                commit: marker.transaction_result,
                coordinator_epoch: marker.coordinator_epoch,
            },
            txn_version: i16::from(marker.transaction_version),
        };
        for topic in &marker.topics {
            let replicas = broker.replicas.topic(&topic.name);
            for &partition in &topic.partition_indexes {
                let index = self.all.len();
                let found = replicas.as_ref().and_then(|topic| topic.partition(partition).ok());
                let error = match found {
                    // Also for one that is elsewhere: the coordinator then looks for its leader.
                    None => ErrorCode::UnknownTopicOrPartition,
                    Some(_) if **topic.name == *CONSUMER_OFFSETS => {
                        match broker.groups.end_transaction(partition, end).await {
                            Ok(ended) => {
                                self.groups.push((index, ended));
                                ErrorCode::None
                            }
                            Err(refused) => told(refused),
                        }
                    }
                    Some(partition) => {
                        let now = broker.clock.now();
                        match partition.append_marker(&end, now, index, &mut self.wait) {
                            Ok(_appended) => ErrorCode::None,
                            Err(refused) => refused.code,
                        }
                    }
                };
                self.all.push(Written {
                    producer_id: end.producer_id,
                    topic: topic.name.clone(),
                    partition,
                    error,
                });
            }
        }
    }

    /// Waits for the replicas, and says what became of each marker.
    async fn finish(mut self, broker: &Broker, deadline: Instant) -> WriteTxnMarkersResponse {
        if let Some(wait) = self.wait.into_wait() {
            let in_time = timeout_at(deadline, wait.done()).await.is_ok();
            let failures =
                if in_time { wait.failures() } else { wait.unfinished(ErrorCode::RequestTimedOut) };
            for (index, error) in failures {
                self.all[index].error = error;
            }
        }
        for (index, ended) in self.groups {
            self.all[index].error = match timeout_at(deadline, ended).await {
                Ok(Ok(Ok(()))) => ErrorCode::None,
                Ok(Ok(Err(refused))) => told(refused),
                Ok(Err(_shard_is_gone)) => told(Refused::NotCoordinator),
                Err(_too_late) => ErrorCode::RequestTimedOut,
            };
        }
        if let Err(no_lease) = broker.replicas.lease().check() {
            // It may have been stopped for so long that another leads by now and has nothing of it.
            self.all.iter_mut().filter(|w| w.error == ErrorCode::None).for_each(|w| w.error = no_lease);
        }
        response(&self.all)
    }
}

/// The group coordinator's refusal in the words that transaction coordinators know: all of these are tried again but for
/// what concerns the producer.
fn told(refused: Refused) -> ErrorCode {
    match refused {
        Refused::NotCoordinator | Refused::Loading => ErrorCode::NotLeaderOrFollower,
        Refused::NotAvailable => ErrorCode::NotEnoughReplicas,
        Refused::TimedOut => ErrorCode::RequestTimedOut,
        Refused::TooLarge => ErrorCode::UnknownServerError,
        Refused::Producer(error) => error,
    }
}

/// By producer, topic and partition; the later of two results for the same counts.
fn response(all: &[Written]) -> WriteTxnMarkersResponse {
    type Topics<'a> = BTreeMap<&'a StrBytes, BTreeMap<PartitionIndex, ErrorCode>>;
    let mut producers: BTreeMap<ProducerId, Topics<'_>> = BTreeMap::new();
    for written in all {
        let topics = producers.entry(written.producer_id).or_default();
        topics.entry(&written.topic.0).or_default().insert(written.partition, written.error);
    }
    let partition = |(&index, error): (&PartitionIndex, &ErrorCode)| WritableTxnMarkerPartitionResult {
        partition_index: index,
        error_code: error.code(),
    };
    let topic = |(name, partitions): (&&StrBytes, &BTreeMap<PartitionIndex, ErrorCode>)| {
        WritableTxnMarkerTopicResult {
            name: WireTopicName((*name).clone()),
            partitions: partitions.iter().map(partition).collect(),
        }
    };
    let producer = |(&id, topics): (&ProducerId, &Topics<'_>)| WritableTxnMarkerResult {
        producer_id: WireProducerId(id),
        topics: topics.iter().map(topic).collect(),
    };
    WriteTxnMarkersResponse { markers: producers.iter().map(producer).collect() }
}
