//! Commands over the wire: each as Kafka's own request for it, and its answer back as a reply.
//!
//! What clients ask for travels in Kafka's Envelope (KIP-590) with the client's name and address; what the broker asks for
//! itself travels plainly (KIP-631). The conversions are pure, a file for each family; the controller's side is the
//! API's handler in `api`.

pub mod brokers;
pub mod configs;
pub mod envelope;
pub mod features;
pub mod partitions;
pub mod topics;

use std::time::Duration;

use kafka_protocol::protocol::{Request, StrBytes};
use tokio::time::Instant;

use super::active::Asker;
use super::command::{ApiError, Command, Reply};
use super::service::ControllerError;
use crate::client::{CallError, Terms, ToController};
use crate::types::{ErrorCode, Offset};

/// Heartbeats wait behind nothing. An answer that takes longer is worth another attempt, perhaps elsewhere.
const HEARTBEATS: Terms =
    Terms { lane: "heartbeat", is_idempotent: true, answer_max: Duration::from_millis(500) };
/// Changes of in-sync replicas. The epochs in them make a second time harmless.
const ISR: Terms = Terms { lane: "isr", is_idempotent: true, answer_max: Duration::from_secs(5) };
/// What else a broker asks for itself: a registration is the same as long as its incarnation is, and producer ids that
/// nobody heard of are never used.
const BROKER: Terms = Terms { lane: "broker", is_idempotent: true, answer_max: Duration::from_secs(5) };
/// What clients ask for. Requests of one connection are answered in turn, so there are several.
const ADMIN_LANES: [&str; 4] = ["admin-0", "admin-1", "admin-2", "admin-3"];
/// How long an answer to a client's request may take where it can be asked again.
const ADMIN_ANSWER_MAX: Duration = Duration::from_secs(10);

/// Has the active controller carry out a command. The offset is where its metadata log was afterwards, for admin commands.
pub(super) async fn submit(
    to: &ToController,
    asker: Option<&Asker>,
    command: &Command,
    deadline: Instant,
) -> Result<(Reply, Option<Offset>), ControllerError> {
    let timeout_ms = timeout_ms(deadline);
    match command {
        Command::CreateTopics { topics, validate_only } => {
            let request = topics::create_request(topics, *validate_only, timeout_ms);
            let again = *validate_only;
            let sent = forward(to, asker, topics::CREATE_VERSION, &request, again, deadline).await;
            sent.map(|(response, offset)| (topics::create_reply(response), offset))
        }
        Command::DeleteTopics(wanted) => {
            let request = topics::delete_request(wanted, timeout_ms);
            let sent = forward(to, asker, topics::DELETE_VERSION, &request, false, deadline).await;
            sent.map(|(response, offset)| (topics::delete_reply(wanted, response), offset))
        }
        Command::CreatePartitions { topics, validate_only } => {
            let request = topics::create_partitions_request(topics, *validate_only, timeout_ms);
            let (version, again) = (topics::CREATE_PARTITIONS_VERSION, *validate_only);
            let sent = forward(to, asker, version, &request, again, deadline).await;
            sent.map(|(response, offset)| (topics::create_partitions_reply(response), offset))
        }
        Command::ElectLeaders { kind, partitions } => {
            let request = topics::elect_request(*kind, partitions.as_deref(), timeout_ms);
            let (response, offset) =
                forward(to, asker, topics::ELECT_VERSION, &request, false, deadline).await?;
            Ok((topics::elect_reply(response)?, offset))
        }
        Command::AlterPartitionReassignments { topics, allow_replication_factor_change: allow } => {
            let request = topics::reassign_request(topics, *allow, timeout_ms);
            let version = topics::REASSIGN_VERSION;
            let (response, offset) = forward(to, asker, version, &request, false, deadline).await?;
            Ok((topics::reassign_reply(response)?, offset))
        }
        Command::IncrementalAlterConfigs { changes, validate_only } => {
            let request = configs::incremental_request(changes, *validate_only);
            let (version, again) = (configs::INCREMENTAL_VERSION, *validate_only);
            let sent = forward(to, asker, version, &request, again, deadline).await;
            sent.map(|(response, offset)| (configs::incremental_reply(response), offset))
        }
        Command::AlterConfigs { configs, validate_only } => {
            let request = configs::replace_request(configs, *validate_only);
            let sent = forward(to, asker, configs::REPLACE_VERSION, &request, true, deadline).await;
            sent.map(|(response, offset)| (configs::replace_reply(response), offset))
        }
        Command::UpdateFeatures { updates, validate_only } => {
            let request = features::request(updates, *validate_only, timeout_ms);
            let (version, again) = (features::VERSION, *validate_only);
            let (response, offset) = forward(to, asker, version, &request, again, deadline).await?;
            Ok((features::reply(response)?, offset))
        }
        Command::UnregisterBroker(id) => {
            let request = brokers::unregister_request(*id);
            let (version, again) = (brokers::UNREGISTER_VERSION, false);
            let (response, offset) = forward(to, asker, version, &request, again, deadline).await?;
            Ok((brokers::unregister_reply(response)?, offset))
        }
        Command::UnregisterController(id) => {
            let request = brokers::unregister_controller_request(*id);
            let version = brokers::UNREGISTER_CONTROLLER_VERSION;
            let (response, offset) = forward(to, asker, version, &request, false, deadline).await?;
            Ok((brokers::unregister_controller_reply(response)?, offset))
        }
        Command::AllocateProducerIds { broker, epoch } => {
            let request = brokers::allocate_request(*broker, *epoch);
            let version = brokers::ALLOCATE_VERSION;
            let response = plain(to, version, &request, BROKER, |r| r.error_code, deadline).await?;
            Ok((brokers::allocate_reply(&response)?, None))
        }
        Command::RegisterBroker(registration) => {
            let request = brokers::register_request(registration);
            let version = brokers::REGISTER_VERSION;
            let response = plain(to, version, &request, BROKER, |r| r.error_code, deadline).await?;
            Ok((brokers::register_reply(&response)?, None))
        }
        Command::RegisterController(registration) => {
            let request = brokers::register_controller_request(registration);
            let version = brokers::REGISTER_CONTROLLER_VERSION;
            let response = plain(to, version, &request, BROKER, |r| r.error_code, deadline).await?;
            Ok((brokers::register_controller_reply(response)?, None))
        }
        Command::BrokerHeartbeat(beat) => {
            let request = brokers::heartbeat_request(beat);
            let version = brokers::HEARTBEAT_VERSION;
            let response = plain(to, version, &request, HEARTBEATS, |r| r.error_code, deadline).await?;
            Ok((brokers::heartbeat_reply(&response)?, None))
        }
        Command::AlterPartition { broker, epoch, partitions } => {
            let request = partitions::alter_request(*broker, *epoch, partitions);
            let version = partitions::ALTER_VERSION;
            let response = plain(to, version, &request, ISR, |r| r.error_code, deadline).await?;
            Ok((partitions::alter_reply(response)?, None))
        }
        // Only the active controller itself comes to think so.
        Command::FenceBroker { .. } | Command::BalanceLeaders | Command::ElectUncleanLeaders => {
            Err(ControllerError::NotController(None))
        }
    }
}

/// Sends what the broker asks for itself.
async fn plain<R: Request>(
    to: &ToController,
    version: i16,
    request: &R,
    terms: Terms,
    error_code: impl Fn(&R::Response) -> i16,
    deadline: Instant,
) -> Result<R::Response, ControllerError> {
    let is_elsewhere = |response: &R::Response| error_code(response) == ErrorCode::NotController.code();
    to.call(version, request, terms, is_elsewhere, deadline).await.map_err(of_call)
}

/// Sends what a client asks for, or the broker in a client's manner. Gives the answer and where the controller's metadata
/// log was.
pub(super) async fn forward<R: Request>(
    to: &ToController,
    asker: Option<&Asker>,
    version: i16,
    request: &R,
    is_idempotent: bool,
    deadline: Instant,
) -> Result<(R::Response, Option<Offset>), ControllerError> {
    let wrapped = envelope::wrap(asker, version, request).map_err(|why| of_call(CallError::Encode(why)))?;
    let lane = to.lane_in_turn(&ADMIN_LANES);
    let terms = Terms { lane, is_idempotent, answer_max: ADMIN_ANSWER_MAX };
    let version_of_envelope = envelope::VERSION;
    let response = plain(to, version_of_envelope, &wrapped, terms, |r| r.error_code, deadline).await?;
    envelope::unwrap::<R>(version, response)
}

/// What came of a call that has no answer.
fn of_call(error: CallError) -> ControllerError {
    match error {
        CallError::Unreachable(why) => {
            tracing::debug!("the active controller was not found: {why}");
            ControllerError::NotController(None)
        }
        CallError::TimedOut | CallError::Lost(_) | CallError::Malformed(_) => {
            tracing::debug!("no answer of the active controller: {error}");
            ControllerError::TimedOut
        }
        CallError::Encode(why) => {
            tracing::error!("a request to the controller cannot be written: {why}");
            ApiError::from(ErrorCode::UnknownServerError).into()
        }
    }
}

/// What is left until `deadline`, less an eighth, in which the answer comes back: a call that is given up ends its
/// connection, and what else is under way on it.
fn timeout_ms(deadline: Instant) -> i32 {
    let left = deadline.saturating_duration_since(Instant::now());
    i32::try_from((left - left / 8).as_millis()).unwrap_or(i32::MAX)
}

/// The error that an answer names; `None` if all is well.
fn error_of(code: i16, message: Option<StrBytes>) -> Option<ApiError> {
    if code == 0 {
        return None;
    }
    let code = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
    Some(ApiError { code, message: message.filter(|text| !text.is_empty()).map(|text| text.to_string()) })
}

/// The same as a result.
fn outcome(code: i16, message: Option<StrBytes>) -> Result<(), ApiError> {
    error_of(code, message).map_or(Ok(()), Err)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
