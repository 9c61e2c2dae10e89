//! What all partitions of a broker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::alter_partition::IsrChanges;
use super::lease::Lease;
use super::syncer::Syncer;
use super::throttle::Throttles;
use crate::metadata::Brokers;
use crate::types::{BrokerEpoch, Ms, NodeId};

/// Default of `replica.lag.time.max.ms`.
const LAG_MS_MAX: Ms = 30_000;

pub(super) struct Shared {
    pub(super) node_id: NodeId,
    pub(super) syncer: Arc<Syncer>,
    /// Changes of in-sync sets, on their way to the controller.
    pub(super) isr_changes: Arc<IsrChanges>,
    /// Who is registered, and whether it may lead.
    pub(super) brokers: ArcSwap<Brokers>,
    /// For how long this broker may act as a leader.
    pub(super) lease: Lease,
    /// How fast replicas may catch up.
    pub(super) throttles: Throttles,
    lag_ms_max: AtomicI64,
    started: Instant,
}

impl Shared {
    pub(super) fn new(node_id: NodeId, syncer: Arc<Syncer>) -> Arc<Shared> {
        Arc::new(Shared {
            node_id,
            syncer,
            isr_changes: Arc::default(),
            brokers: ArcSwap::from_pointee(Brokers::default()),
            lease: Lease::unlimited(),
            throttles: Throttles::default(),
            lag_ms_max: AtomicI64::new(LAG_MS_MAX),
            started: Instant::now(),
        })
    }

    /// A clock that does not jump.
    pub(super) fn now(&self) -> Ms {
        self.started.elapsed().as_millis() as Ms
    }

    pub(super) fn set_lag_ms_max(&self, ms: Ms) {
        self.lag_ms_max.store(ms, Ordering::Relaxed);
    }

    pub(super) fn lag_ms_max(&self) -> Ms {
        self.lag_ms_max.load(Ordering::Relaxed)
    }

    /// The epoch of this broker's registration, or -1 while it is not known.
    pub(super) fn own_epoch(&self) -> BrokerEpoch {
        self.brokers.load().get(self.node_id).map_or(-1, |broker| broker.epoch)
    }
}
