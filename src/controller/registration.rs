//! What a node asks of the controller at its start and its end, for tests.

use tokio::time::Instant;

use super::active::ActiveController;
use super::command::{BrokerHeartbeat, BrokerRegistration, Command, ControllerRegistration, Reply};
use super::service::ControllerError;
use crate::types::BrokerEpoch;

/// Registers this node's controller with the active one, if its registration is not the same already.
pub async fn register_controller(
    controller: &ActiveController,
    registration: ControllerRegistration,
    deadline: Instant,
) -> Result<(), ControllerError> {
    controller.submit(Command::RegisterController(registration), deadline).await.map(|_| ())
}

/// Registers this node's broker. It is fenced until [`unfence`]. Returns its epoch.
pub async fn register_broker(
    controller: &ActiveController,
    registration: BrokerRegistration,
    deadline: Instant,
) -> Result<BrokerEpoch, ControllerError> {
    match controller.submit(Command::RegisterBroker(registration), deadline).await? {
        Reply::RegisterBroker(epoch) => Ok(epoch),
        other => unreachable!("a registration is answered by its epoch, not {other:?}"),
    }
}

/// Lets the broker lead: its replicas are open and it has applied the log up to `current_offset`, which is its epoch or
/// later. Returns true if it is unfenced now.
pub async fn unfence(
    controller: &ActiveController,
    id: crate::types::NodeId,
    epoch: BrokerEpoch,
    current_offset: i64,
    deadline: Instant,
) -> Result<bool, ControllerError> {
    let beat = BrokerHeartbeat { id, epoch, current_offset, want_fence: false, want_shut_down: false };
    heartbeat(controller, beat, deadline).await.map(|(is_fenced, _)| !is_fenced)
}

/// Asks to be let go. Returns true if the broker may stop: it leads nothing any more that another could lead.
pub async fn shut_down(
    controller: &ActiveController,
    id: crate::types::NodeId,
    epoch: BrokerEpoch,
    current_offset: i64,
    deadline: Instant,
) -> Result<bool, ControllerError> {
    let beat = BrokerHeartbeat { id, epoch, current_offset, want_fence: false, want_shut_down: true };
    heartbeat(controller, beat, deadline).await.map(|(_, may_stop)| may_stop)
}

async fn heartbeat(
    controller: &ActiveController,
    beat: BrokerHeartbeat,
    deadline: Instant,
) -> Result<(bool, bool), ControllerError> {
    match controller.submit(Command::BrokerHeartbeat(beat), deadline).await? {
        Reply::BrokerHeartbeat { is_fenced, should_shut_down, .. } => Ok((is_fenced, should_shut_down)),
        other => unreachable!("a heartbeat is answered by the broker's state, not {other:?}"),
    }
}
