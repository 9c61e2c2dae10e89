//! Leaders in other processes: [`LeaderEndpoint`] over connections between brokers.
//!
//! Where a leader can be reached is looked up in the newest image at each call, so that a broker which has come back at
//! another place is found at once. A broker answers the calls of one connection in turn, and a fetch may wait; so every
//! loop that fetches has a connection of its own, and what must not wait for it goes by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kafka_protocol::protocol::{Request, StrBytes};
use tokio::time::Instant;

use super::fetcher::Endpoints;
use super::leader_endpoint::{
    Asked, BoundsAnswer, EndpointError, EpochEndAnswer, FollowerFetchAnswer, FollowerFetchRequest,
    LeaderEndpoint, ReplicaSynced, SyncedPartition,
};
use super::leader_messages as messages;
use crate::client::ToBrokers;
use crate::env::net::BoxFuture;
use crate::types::{BrokerEpoch, LeaderEpoch, NodeId};

/// Fetch with ids of topics, the epoch of the follower's registration, and what diverges.
const FETCH_VERSION: i16 = 18;
/// OffsetForLeaderEpoch.
const EPOCH_ENDS_VERSION: i16 = 4;
/// ListOffsets; later versions bring nothing that replicas ask for.
const BOUNDS_VERSION: i16 = 9;
/// ReplicaSynced.
const SYNCED_VERSION: i16 = 0;

/// Connections that fetch from one broker, at most: `num.replica.fetchers` counts up to here.
pub(super) const FETCH_LANES: [&str; 32] = [
    "replica-0",
    "replica-1",
    "replica-2",
    "replica-3",
    "replica-4",
    "replica-5",
    "replica-6",
    "replica-7",
    "replica-8",
    "replica-9",
    "replica-10",
    "replica-11",
    "replica-12",
    "replica-13",
    "replica-14",
    "replica-15",
    "replica-16",
    "replica-17",
    "replica-18",
    "replica-19",
    "replica-20",
    "replica-21",
    "replica-22",
    "replica-23",
    "replica-24",
    "replica-25",
    "replica-26",
    "replica-27",
    "replica-28",
    "replica-29",
    "replica-30",
    "replica-31",
];
/// For questions beside the fetches.
const ASK_LANE: &str = "replica-ask";
/// For news of syncs, which produces wait for.
const SYNCED_LANE: &str = "replica-synced";

/// Who fetches: this broker, as it names itself to leaders. Clones share the epoch.
#[derive(Clone, Debug)]
pub struct FollowerIdentity {
    /// Its id.
    pub node_id: NodeId,
    /// The epoch of its registration, -1 until it is registered. Whoever registers it sets it.
    pub broker_epoch: Arc<AtomicI64>,
    /// The cluster that it belongs to. A leader of another one refuses it.
    pub cluster_id: Arc<str>,
}

impl FollowerIdentity {
    fn epoch(&self) -> BrokerEpoch {
        self.broker_epoch.load(Ordering::Acquire)
    }
}

/// What the ways to all leaders share.
struct Ways {
    brokers: ToBrokers,
    me: FollowerIdentity,
    timeout: Duration,
}

/// The way to one leader, for one loop.
struct RemoteLeader {
    ways: Arc<Ways>,
    leader: NodeId,
    lane: &'static str,
}

/// Gives the ways to leaders, by `brokers`. `timeout` is `replica.socket.timeout.ms`: how long an answer may take, the wait
/// of a fetch included.
pub fn remote_endpoints(brokers: ToBrokers, me: FollowerIdentity, timeout: Duration) -> Endpoints {
    let ways = Arc::new(Ways { brokers, me, timeout });
    Box::new(move |leader, slot| {
        let lane = FETCH_LANES[slot as usize % FETCH_LANES.len()];
        Arc::new(RemoteLeader { ways: Arc::clone(&ways), leader, lane }) as Arc<dyn LeaderEndpoint>
    })
}

impl RemoteLeader {
    async fn call<R: Request>(
        &self,
        lane: &'static str,
        version: i16,
        request: &R,
    ) -> Result<R::Response, EndpointError> {
        let deadline = Instant::now() + self.ways.timeout;
        let answered = self.ways.brokers.call(self.leader, lane, version, request, deadline).await;
        answered.map_err(|why| EndpointError(why.to_string()))
    }

    async fn tell(&self, partitions: &[SyncedPartition], end_wait: bool) -> Result<(), EndpointError> {
        let told = ReplicaSynced {
            node: self.ways.me.node_id,
            broker_epoch: self.ways.me.epoch(),
            partitions: partitions.to_vec(),
            end_wait,
        };
        let response = self.call(SYNCED_LANE, SYNCED_VERSION, &messages::synced_request(&told)).await?;
        match response.error_code {
            0 => Ok(()),
            code => Err(EndpointError(messages::error(code).to_string())),
        }
    }
}

impl LeaderEndpoint for RemoteLeader {
    fn tells_divergence(&self) -> bool {
        true
    }

    fn fetch<'a>(
        &'a self,
        request: &'a FollowerFetchRequest,
    ) -> BoxFuture<'a, Result<FollowerFetchAnswer, EndpointError>> {
        Box::pin(async move {
            let me = &self.ways.me;
            let request = messages::fetch_request(me.node_id, me.epoch(), request)
                .with_cluster_id(Some(StrBytes::from_string(me.cluster_id.as_ref().to_owned())));
            Ok(messages::fetch_answer(self.call(self.lane, FETCH_VERSION, &request).await?))
        })
    }

    fn epoch_ends<'a>(
        &'a self,
        asked: &'a [(Asked, LeaderEpoch)],
    ) -> BoxFuture<'a, Result<Vec<EpochEndAnswer>, EndpointError>> {
        Box::pin(async move {
            let request = messages::epoch_ends_request(self.ways.me.node_id, asked);
            let response = self.call(ASK_LANE, EPOCH_ENDS_VERSION, &request).await?;
            Ok(messages::epoch_ends_answer(asked, &response))
        })
    }

    fn bounds<'a>(&'a self, asked: &'a [Asked]) -> BoxFuture<'a, Result<Vec<BoundsAnswer>, EndpointError>> {
        Box::pin(async move {
            let [first, last] = messages::bounds_requests(self.ways.me.node_id, asked);
            let first = self.call(ASK_LANE, BOUNDS_VERSION, &first).await?;
            let last = self.call(ASK_LANE, BOUNDS_VERSION, &last).await?;
            Ok(messages::bounds_answer(asked, &[first, last]))
        })
    }

    fn synced<'a>(&'a self, partitions: &'a [SyncedPartition]) -> BoxFuture<'a, Result<(), EndpointError>> {
        Box::pin(self.tell(partitions, false))
    }

    fn end_wait(&self) -> BoxFuture<'_, Result<(), EndpointError>> {
        Box::pin(self.tell(&[], true))
    }
}
