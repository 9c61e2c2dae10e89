//! ReplicaSynced: a follower's disk has caught up. A private call between brokers.

use crate::api::{Api, On, RequestContext};
use crate::replica::REPLICA_SYNCED_KEY;
use crate::replica::leader_messages::synced_told;
use crate::schema::messages::replica_synced::{ReplicaSyncedRequest, ReplicaSyncedResponse};
use crate::types::ErrorCode;

/// Key 10010.
pub struct ReplicaSynced;

impl Api for ReplicaSynced {
    type Request = ReplicaSyncedRequest;
    type Response = ReplicaSyncedResponse;
    const KEY: i16 = REPLICA_SYNCED_KEY;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::InterBroker;

    /// `BROKER_ID_NOT_REGISTERED` for who is no broker, `STALE_BROKER_EPOCH` for an earlier life of one. Whether it is a
    /// follower, each partition looks at by itself.
    async fn handle(cx: &RequestContext, request: ReplicaSyncedRequest) -> ReplicaSyncedResponse {
        let error = match cx.broker.image().brokers().get(request.broker_id) {
            None => ErrorCode::BrokerIdNotRegistered,
            // A later life may be known there before it is here.
            Some(broker) if broker.epoch > request.broker_epoch => ErrorCode::StaleBrokerEpoch,
            Some(_) => {
                cx.broker.replicas.on_synced(&synced_told(&request));
                ErrorCode::None
            }
        };
        ReplicaSyncedResponse { error_code: error.code() }
    }
}
