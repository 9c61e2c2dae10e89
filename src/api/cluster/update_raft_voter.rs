//! UpdateRaftVoter: a controller says where it listens now (KIP-853).

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::raft_voters::{check_cluster, check_key, check_leads, of_change, voter};
use crate::api::controller_gate::DEFAULT_WAIT;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::ApiError;
use crate::schema::api::update_raft_voter_response::CurrentLeader;
use crate::schema::api::{UpdateRaftVoterRequest, UpdateRaftVoterResponse};
use crate::types::ErrorCode;

/// Key 82.
pub struct UpdateRaftVoter;

impl Api for UpdateRaftVoter {
    type Request = UpdateRaftVoterRequest;
    type Response = UpdateRaftVoterResponse;
    const KEY: i16 = 82;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: UpdateRaftVoterRequest) -> UpdateRaftVoterResponse {
        let error_code = match update(cx, request).await {
            Ok(()) => 0,
            // The answer has no words.
            Err(error) => {
                tracing::info!("a voter was not updated: {error}");
                error.code.code()
            }
        };
        UpdateRaftVoterResponse::default().with_error_code(error_code).with_current_leader(leader(cx))
    }
}

async fn update(cx: &RequestContext, request: UpdateRaftVoterRequest) -> Result<(), ApiError> {
    check_cluster(cx, request.cluster_id.as_ref())?;
    let epoch = cx.broker.quorum.leadership().borrow().epoch;
    match request.current_leader_epoch {
        known if known < epoch => return Err(ErrorCode::FencedLeaderEpoch.into()),
        known if known > epoch => return Err(ErrorCode::UnknownLeaderEpoch.into()),
        _ => {}
    }
    check_leads(cx)?;
    let id = request.voter_id;
    check_key("Update", id, request.voter_directory_id)?;
    let listeners = request.listeners.into_iter().map(|l| (l.name, l.host, l.port));
    let voter = voter(cx, "Update", request.voter_directory_id, listeners)?;
    let deadline = Instant::now() + DEFAULT_WAIT;
    cx.broker.quorum.update_voter(id, voter, deadline).await.map_err(|error| of_change(cx, &error))
}

/// Who leads, so that the sender need not search.
fn leader(cx: &RequestContext) -> CurrentLeader {
    let epoch = cx.broker.quorum.leadership().borrow().epoch;
    let leader = CurrentLeader::default().with_leader_epoch(epoch);
    match cx.broker.quorum.leader_endpoint() {
        Some((id, host, port)) => leader
            .with_leader_id(BrokerId(id))
            .with_host(StrBytes::from_string(host.to_string()))
            .with_port(i32::from(port)),
        None => leader.with_leader_id(BrokerId(-1)),
    }
}
