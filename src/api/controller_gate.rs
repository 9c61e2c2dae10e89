//! The way to the active controller, and back to a metadata image that shows what it did.
//!
//! A client that was told "created" asks for the topic next, often on the same connection; so an answer leaves only
//! when this broker's image has it.

use std::time::Duration;

use tokio::time::Instant;

use super::RequestContext;
use crate::controller::ControllerError;
use crate::controller::command::{ApiError, Command, Reply};
use crate::types::ErrorCode;

/// How long a request waits that names no time of its own: Kafka's `request.timeout.ms` of brokers.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// The wait that a request's `timeout_ms` asks for.
pub(super) fn wait_of(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}

/// How long a call between nodes waits here. Whoever sent it has given up by then, as a rule.
const NODE_WAIT: Duration = Duration::from_secs(10);

/// Has the active controller carry out `command` and waits until this broker's image shows it. What came through a
/// listener of controllers is done here or by nobody: it was passed on already, or its client finds the way itself.
///
/// # Errors
///
/// `REQUEST_TIMED_OUT` if that takes longer than `wait`; the command may still be carried out. Otherwise what the
/// controller answers, `NOT_CONTROLLER` if there is none here now.
pub(super) async fn submit(cx: &RequestContext, command: Command, wait: Duration) -> Result<Reply, ApiError> {
    let (controller, deadline) = (&cx.broker.controller, Instant::now() + wait);
    if !cx.connection.listener.is_controller {
        let answer = controller.submit_as(&cx.asker(), command, deadline).await;
        return answer.map_err(|error| error.to_api_error());
    }
    let answer = controller.submit_here(command, deadline).await;
    answer.map_err(|error| {
        if matches!(error, ControllerError::NotController(_)) {
            cx.connection.meets_no_controller();
        }
        error.to_api_error()
    })
}

/// Has the controller of this node carry out what another node asks for itself.
///
/// # Errors
///
/// `NOT_CONTROLLER` if it is not the active one; the other node looks elsewhere then.
pub(super) async fn submit_for_node(cx: &RequestContext, command: Command) -> Result<Reply, ApiError> {
    submit(cx, command, NODE_WAIT).await
}

/// The answer to a reply that does not belong to its command.
pub(super) fn unexpected(reply: &Reply) -> ApiError {
    debug_assert!(false, "the controller answered another command: {reply:?}");
    tracing::error!(?reply, "the controller answered another command than was sent");
    ErrorCode::UnknownServerError.into()
}
