//! The way to the active controller, and back to a metadata image that shows what it did.
//!
//! A client that was told "created" asks for the topic next, often on the same connection; so an answer leaves only
//! when this broker's image has it.

use std::time::Duration;

use tokio::time::Instant;

use super::RequestContext;
use crate::controller::command::{ApiError, Command, Reply};
use crate::types::ErrorCode;

/// How long a request waits that names no time of its own: Kafka's `request.timeout.ms` of brokers.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// The wait that a request's `timeout_ms` asks for.
pub(super) fn wait_of(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0))
}

/// Has the active controller carry out `command` and waits until this broker's image shows it.
///
/// # Errors
///
/// `REQUEST_TIMED_OUT` if that takes longer than `wait`; the command may still be carried out. Otherwise what the
/// controller answers, `NOT_CONTROLLER` if there is none here now.
pub(super) async fn submit(cx: &RequestContext, command: Command, wait: Duration) -> Result<Reply, ApiError> {
    let answer = cx.broker.controller.submit(command, Instant::now() + wait).await;
    answer.map_err(|error| error.to_api_error())
}

/// The answer to a reply that does not belong to its command.
pub(super) fn unexpected(reply: &Reply) -> ApiError {
    debug_assert!(false, "the controller answered another command: {reply:?}");
    tracing::error!(?reply, "the controller answered another command than was sent");
    ErrorCode::UnknownServerError.into()
}
