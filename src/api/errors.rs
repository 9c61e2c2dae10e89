//! What went wrong inside, in the protocol's numbers and words: the one place where one becomes the other.

use kafka_protocol::protocol::StrBytes;

use crate::config::ConfigError;
use crate::controller::command::ApiError;
use crate::types::ErrorCode;

/// Code and text of an error for those answers that carry both.
pub(super) fn code_and_message(error: &ApiError) -> (i16, Option<StrBytes>) {
    (error.code.code(), Some(message(error)))
}

/// The text of an error: its own, or the protocol's for its code.
pub(super) fn message(error: &ApiError) -> StrBytes {
    match &error.message {
        Some(message) => StrBytes::from_string(message.clone()),
        None => StrBytes::from_static_str(standard_text(error.code)),
    }
}

/// An answer's error for a configuration that cannot be.
pub(super) fn of_config(error: &ConfigError) -> ApiError {
    ApiError::new(error.code(), error.to_string())
}

/// INVALID_REQUEST with words of its own.
pub(super) fn invalid_request(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

/// What Kafka says for a code when there is nothing more to say: the texts that scripts look for. Other codes say
/// their name.
fn standard_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownServerError => {
            "The server experienced an unexpected error when processing the request."
        }
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        ErrorCode::NotLeaderOrFollower => {
            "For requests intended only for the leader, this error indicates that the broker is not the current \
             leader. For requests intended for any replica, this error indicates that the broker is not a replica of \
             the topic partition."
        }
        ErrorCode::RequestTimedOut => "The request timed out.",
        ErrorCode::InvalidTopicException => {
            "The request attempted to perform an operation on an invalid topic."
        }
        ErrorCode::NotController => "This is not the correct controller for this cluster.",
        ErrorCode::TopicDeletionDisabled => "Topic deletion is disabled.",
        ErrorCode::PreferredLeaderNotAvailable => "The preferred leader was not available.",
        ErrorCode::EligibleLeadersNotAvailable => "Eligible topic partition leaders are not available.",
        ErrorCode::ElectionNotNeeded => "Leader election not needed for topic partition.",
        ErrorCode::LogDirNotFound => "The user-specified log directory is not found in the broker config.",
        ErrorCode::KafkaStorageError => "Disk error when trying to access log file on the disk.",
        other => other.name(),
    }
}
