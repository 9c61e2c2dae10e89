//! AddRaftVoter: a controller gets a vote (KIP-853).

use tokio::time::Instant;

use super::raft_voters::{check_cluster, check_key, check_leads, of_change, voter};
use crate::api::controller_gate::wait_of;
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::ApiError;
use crate::schema::api::{AddRaftVoterRequest, AddRaftVoterResponse};
use crate::types::ErrorCode;

/// Key 80. The answer comes when the change is committed, also where the sender would be content with less.
pub struct AddRaftVoter;

impl Api for AddRaftVoter {
    type Request = AddRaftVoterRequest;
    type Response = AddRaftVoterResponse;
    const KEY: i16 = 80;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
        let deadline = Instant::now() + wait_of(request.timeout_ms);
        if !cx.connection.listener.is_controller {
            let (controller, asker) = (&cx.broker.controller, cx.asker());
            match controller.forward(&asker, cx.version, &request, false, deadline).await {
                Ok(Some(response)) => return response,
                Ok(None) => {}
                Err(error) => return answer(Err(error.to_api_error())),
            }
        }
        answer(add(cx, request, deadline).await)
    }
}

async fn add(cx: &RequestContext, request: AddRaftVoterRequest, deadline: Instant) -> Result<(), ApiError> {
    check_cluster(cx, request.cluster_id.as_ref())?;
    check_leads(cx)?;
    let id = request.voter_id;
    check_key("Add", id, request.voter_directory_id)?;
    if cx.broker.config.is_alone() {
        let why = "This controller was started as the only one. Name all controllers in \
                   controller.quorum.bootstrap.servers, without controller.quorum.voters, and restart it.";
        return Err(ApiError::new(ErrorCode::UnsupportedVersion, why));
    }
    let listeners = request.listeners.into_iter().map(|l| (l.name, l.host, l.port));
    let voter = voter(cx, "Add", request.voter_directory_id, listeners)?;
    cx.broker.quorum.add_voter(id, voter, deadline).await.map_err(|error| of_change(cx, &error))
}

fn answer(outcome: Result<(), ApiError>) -> AddRaftVoterResponse {
    match outcome {
        Ok(()) => AddRaftVoterResponse::default(),
        Err(error) => {
            let (error_code, error_message) = code_and_message(&error);
            AddRaftVoterResponse { error_code, error_message, ..AddRaftVoterResponse::default() }
        }
    }
}
