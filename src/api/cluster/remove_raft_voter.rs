//! RemoveRaftVoter: a controller loses its vote (KIP-853).

use tokio::time::Instant;

use super::raft_voters::{check_cluster, check_key, check_leads, of_change};
use crate::api::controller_gate::DEFAULT_WAIT;
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::ApiError;
use crate::schema::api::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};

/// Key 81.
pub struct RemoveRaftVoter;

impl Api for RemoveRaftVoter {
    type Request = RemoveRaftVoterRequest;
    type Response = RemoveRaftVoterResponse;
    const KEY: i16 = 81;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
        let deadline = Instant::now() + DEFAULT_WAIT;
        if !cx.connection.listener.is_controller {
            let (controller, asker) = (&cx.broker.controller, cx.asker());
            match controller.forward(&asker, cx.version, &request, false, deadline).await {
                Ok(Some(response)) => return response,
                Ok(None) => {}
                Err(error) => return answer(Err(error.to_api_error())),
            }
        }
        answer(remove(cx, &request, deadline).await)
    }
}

async fn remove(
    cx: &RequestContext,
    request: &RemoveRaftVoterRequest,
    deadline: Instant,
) -> Result<(), ApiError> {
    check_cluster(cx, request.cluster_id.as_ref())?;
    check_leads(cx)?;
    let (id, directory) = (request.voter_id, request.voter_directory_id);
    check_key("Remove", id, directory)?;
    let removed = cx.broker.quorum.remove_voter(id, directory, deadline).await;
    removed.map_err(|error| of_change(cx, &error))
}

fn answer(outcome: Result<(), ApiError>) -> RemoveRaftVoterResponse {
    let response = RemoveRaftVoterResponse::default().with_error_message(None);
    match outcome {
        Ok(()) => response,
        Err(error) => {
            let (code, message) = code_and_message(&error);
            response.with_error_code(code).with_error_message(message)
        }
    }
}
