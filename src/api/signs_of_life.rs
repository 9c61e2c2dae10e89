//! Who is known to live by a connection that is open.
//!
//! When such a connection ends, its other end may have died: whoever cares looks at once, and does not wait until the
//! silence has lasted long enough to be a proof.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::request::{Broker, ConnectionInfo};
use crate::controller::command::Command;
use crate::controller::gone;
use crate::env::Net;
use crate::types::{BrokerEpoch, NodeId};

/// How long fencing a broker that is gone may take.
const FENCE_WAIT: Duration = Duration::from_secs(5);

/// What came over a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignOfLife {
    /// The leader of the metadata quorum spoke.
    Leader(NodeId),
    /// A broker sent heartbeats to the active controller.
    Broker(NodeId, BrokerEpoch),
}

/// To be called when `connection` has ended.
pub fn connection_ended(broker: &Arc<Broker>, net: &Arc<dyn Net>, connection: &ConnectionInfo) {
    if connection.has_share_sessions.load(Ordering::Relaxed) {
        broker.share.connection_ended(&connection.fetch_waiter);
    }
    match connection.sign_of_life.get() {
        None => {}
        Some(SignOfLife::Leader(id)) => broker.quorum.suspect(*id),
        Some(SignOfLife::Broker(id, epoch)) if broker.quorum.leadership().borrow().is_me => {
            let (of, net) = (Arc::clone(broker), Arc::clone(net));
            broker.tasks.spawn("broker suspicion", fence_if_gone(of, net, *id, *epoch));
        }
        // Who leads now hears the broker over another connection.
        Some(SignOfLife::Broker(..)) => {}
    }
}

/// Has a broker fenced whose listener refuses: its process is gone.
async fn fence_if_gone(broker: Arc<Broker>, net: Arc<dyn Net>, id: NodeId, epoch: BrokerEpoch) {
    let Some(gone) = gone::suspect(&net, &broker.image(), id, epoch) else { return };
    if !gone.await {
        return;
    }
    tracing::info!("broker {id} is gone");
    let fence = Command::FenceBroker { broker: id, epoch };
    if let Err(e) = broker.controller.submit(fence, Instant::now() + FENCE_WAIT).await {
        tracing::debug!("broker {id} is not fenced yet: {e}");
    }
}
