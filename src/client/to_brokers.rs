//! Calls to the brokers of the cluster, by their ids.

use std::sync::Arc;

use arc_swap::ArcSwap;
use kafka_protocol::protocol::Request;
use tokio::time::Instant;

use super::{CallError, Peer, Pool};
use crate::metadata::MetadataImage;
use crate::types::NodeId;

/// The way to other brokers, through the listener that they have for each other. Clones share it.
#[derive(Clone)]
pub struct ToBrokers {
    pool: Pool,
    image: Arc<ArcSwap<MetadataImage>>,
    /// `inter.broker.listener.name`.
    listener: Arc<str>,
}

impl ToBrokers {
    /// Finds brokers in `image` as it is at each call.
    pub fn new(pool: Pool, image: Arc<ArcSwap<MetadataImage>>, inter_broker_listener: Arc<str>) -> ToBrokers {
        ToBrokers { pool, image, listener: inter_broker_listener }
    }

    /// Sends `request` to `broker` in `version`, on [`Peer::lane`] `lane`, and waits for the answer until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`Pool::call`]; a broker that is not known cannot be reached.
    pub async fn call<R: Request>(
        &self,
        broker: NodeId,
        lane: &'static str,
        version: i16,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response, CallError> {
        let peer = self.peer(broker, lane)?;
        self.pool.call(&peer, version, request, deadline).await
    }

    fn peer(&self, broker: NodeId, lane: &'static str) -> Result<Peer, CallError> {
        let image = self.image.load();
        let found = image
            .brokers()
            .get(broker)
            .ok_or_else(|| CallError::Unreachable(format!("broker {broker} is not registered")))?;
        let endpoint = found.endpoint(&self.listener).ok_or_else(|| {
            CallError::Unreachable(format!("broker {broker} has no listener {}", self.listener))
        })?;
        Ok(Peer { host: Arc::clone(&endpoint.host), port: endpoint.port, lane })
    }
}
