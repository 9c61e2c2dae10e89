//! What the three calls that change the set of voters have in common (KIP-853).

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::api::RequestContext;
use crate::api::errors::invalid_request;
use crate::controller::command::ApiError;
use crate::quorum::{Voter, VoterChangeError};
use crate::types::{ErrorCode, NodeId};

/// Listeners that one voter may name.
const LISTENERS_MAX: usize = 64;

/// Refuses what is meant for another cluster. None named is any.
pub(super) fn check_cluster(cx: &RequestContext, asked: Option<&StrBytes>) -> Result<(), ApiError> {
    let here = &*cx.broker.cluster_id;
    match asked {
        Some(asked) if **asked != *here => {
            let why = format!("The given id \"{asked}\" doesn't match the cluster id \"{here}\"");
            Err(ApiError::new(ErrorCode::InconsistentClusterId, why))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses what only the leader answers. What came from a broker inside an Envelope looks elsewhere then.
pub(super) fn check_leads(cx: &RequestContext) -> Result<(), ApiError> {
    if cx.broker.quorum.leadership().borrow().is_me {
        return Ok(());
    }
    Err(not_leader(cx))
}

fn not_leader(cx: &RequestContext) -> ApiError {
    cx.connection.meets_no_controller();
    ErrorCode::NotLeaderOrFollower.into()
}

/// Refuses an id or a directory that no voter has.
pub(super) fn check_key(what: &str, id: NodeId, directory: Uuid) -> Result<(), ApiError> {
    if id < 0 || directory.is_nil() {
        return Err(invalid_request(format!("{what} voter request didn't include a valid voter")));
    }
    Ok(())
}

/// The voter that a request describes. It must listen where this controller calls others.
pub(super) fn voter(
    cx: &RequestContext,
    what: &str,
    directory: Uuid,
    listeners: impl ExactSizeIterator<Item = (StrBytes, StrBytes, u16)>,
) -> Result<Voter, ApiError> {
    if listeners.len() > LISTENERS_MAX {
        return Err(invalid_request(format!("{what} voter request has more than {LISTENERS_MAX} listeners")));
    }
    let mut endpoints: Vec<(String, String, u16)> =
        listeners.map(|(name, host, port)| (name.to_string(), host.to_string(), port)).collect();
    let default = cx.broker.config.controller_listener_names.first().map_or("", String::as_str);
    let Some(at) = endpoints.iter().position(|(name, ..)| name == default) else {
        let why = format!(
            "{what} voter request didn't include the endpoint ({endpoints:?}) for the default listener {default}"
        );
        return Err(invalid_request(why));
    };
    // Others call a voter at its first endpoint.
    endpoints.swap(0, at);
    Ok(Voter { directory, endpoints })
}

/// What the quorum says, as the protocol does.
pub(super) fn of_change(cx: &RequestContext, error: &VoterChangeError) -> ApiError {
    let code = match error {
        VoterChangeError::NotLeader => return not_leader(cx),
        VoterChangeError::Busy | VoterChangeError::TimedOut | VoterChangeError::Lagging(_) => {
            ErrorCode::RequestTimedOut
        }
        VoterChangeError::Duplicate(..) => ErrorCode::DuplicateVoter,
        VoterChangeError::NotFound(..) => ErrorCode::VoterNotFound,
        VoterChangeError::Invalid(_) => ErrorCode::InvalidRequest,
    };
    ApiError::new(code, error.to_string())
}
