//! Whether the process of a broker is gone, which nobody needs to wait for to be silent.

use std::sync::Arc;

use crate::client::is_refused;
use crate::env::Net;
use crate::metadata::MetadataImage;
use crate::types::{BrokerEpoch, NodeId};

/// The question to a broker's listener; `None` if the broker is not registered in this epoch, or fenced already. The answer
/// is true only where the system there says that nobody listens.
pub fn suspect(
    net: &Arc<dyn Net>,
    image: &MetadataImage,
    id: NodeId,
    epoch: BrokerEpoch,
) -> Option<impl Future<Output = bool> + Send + use<>> {
    let broker = image.brokers().get(id).filter(|broker| broker.epoch == epoch && !broker.fenced)?;
    let endpoint = broker.endpoints.first()?;
    let (net, host, port) = (Arc::clone(net), Arc::clone(&endpoint.host), endpoint.port);
    Some(async move { is_refused(&*net, &host, port).await })
}
