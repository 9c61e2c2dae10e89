//! Producer ids handed out in blocks (KIP-730).

use crate::types::{BrokerEpoch, NodeId, ProducerId};

/// The last block handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerIds {
    pub(super) last: Option<LastBlock>,
}

/// Who got the last block, and where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastBlock {
    /// The broker that got it.
    pub broker: NodeId,
    /// That broker's epoch.
    pub broker_epoch: BrokerEpoch,
    /// First id of the block after it.
    pub next: ProducerId,
}

impl ProducerIds {
    /// First id that nobody has got; 0 and up.
    pub fn next(&self) -> ProducerId {
        self.last.map_or(0, |last| last.next)
    }

    /// The last block handed out; `None` before the first.
    pub fn last(&self) -> Option<LastBlock> {
        self.last
    }
}
