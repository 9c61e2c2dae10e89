//! One property per file. A checker sees every event and says at which one its property broke.

mod acked_not_lost;
mod committed_not_behind;
mod group_single_owner;
mod high_watermark_monotonic;
mod log_start_monotonic;
mod no_duplicates;
mod no_gaps;
mod offsets_unique;
mod one_leader_per_epoch;
mod order_per_producer;
mod producers_go_on;
mod topics_kept;

use super::model::{Event, Promises};

/// One property.
pub trait Checker: Send {
    /// Its name, which is its file's.
    fn name(&self) -> &'static str;
    /// Looks at the next event.
    fn see(&mut self, event: &Event) -> Result<(), String>;
}

/// Every checker there is.
pub fn all(promises: Promises) -> Vec<Box<dyn Checker>> {
    vec![
        Box::new(acked_not_lost::AckedNotLost::new(promises)),
        Box::new(committed_not_behind::CommittedNotBehind::new(promises)),
        Box::new(group_single_owner::GroupSingleOwner::new(promises)),
        Box::new(high_watermark_monotonic::HighWatermarkMonotonic::new(promises)),
        Box::new(log_start_monotonic::LogStartMonotonic::new(promises)),
        Box::new(one_leader_per_epoch::OneLeaderPerEpoch::default()),
        Box::new(no_duplicates::NoDuplicates::new(promises)),
        Box::new(no_gaps::NoGaps),
        Box::new(offsets_unique::OffsetsUnique::new(promises)),
        Box::new(order_per_producer::OrderPerProducer::new(promises)),
        Box::new(producers_go_on::ProducersGoOn::new(promises)),
        Box::new(topics_kept::TopicsKept::new(promises)),
    ]
}
