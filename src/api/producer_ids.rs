//! A stock of producer ids (KIP-730).
//!
//! The controller hands ids out in blocks, so that a producer that starts rarely waits for the metadata log. Ids of a
//! block that is not used up when the broker stops are never used.

use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use super::Broker;
use crate::controller::command::{Command, Reply};
use crate::types::{ErrorCode, ProducerId};

/// How long the controller may take.
const WAIT: Duration = Duration::from_secs(10);

/// The block in use.
#[derive(Default)]
pub struct ProducerIdStock {
    block: Mutex<std::ops::Range<ProducerId>>,
}

impl ProducerIdStock {
    /// An id that nobody has. `COORDINATOR_LOAD_IN_PROGRESS`, which clients repeat, if the controller gives none now.
    pub async fn next(&self, broker: &Broker) -> Result<ProducerId, ErrorCode> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        let id = broker.config.node_id;
        let epoch = broker.image().brokers().get(id).map_or(-1, |registration| registration.epoch);
        let deadline = Instant::now() + WAIT;
        match broker.controller.submit(Command::AllocateProducerIds { broker: id, epoch }, deadline).await {
            Ok(Reply::ProducerIds { first, count }) => *block = first..first + ProducerId::from(count),
            Ok(other) => {
                tracing::error!(reply = ?other, "the controller answered something else than producer ids");
                return Err(ErrorCode::UnknownServerError);
            }
            Err(e) => {
                tracing::warn!("the controller gives no producer ids: {e}");
                return Err(ErrorCode::CoordinatorLoadInProgress);
            }
        }
        block.next().ok_or(ErrorCode::UnknownServerError)
    }
}
