//! No client sees a high watermark go back in a leader epoch, and a position it has reached stays within the log.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::Slot;
use crate::types::{LeaderEpoch, Offset};

pub(super) struct HighWatermarkMonotonic {
    promises: Promises,
    seen: BTreeMap<(u32, Slot, LeaderEpoch), Offset>,
    /// The power took what only memory had promised: readers may be ahead of the log.
    may_be_ahead: bool,
}

impl HighWatermarkMonotonic {
    pub(super) fn new(promises: Promises) -> Self {
        HighWatermarkMonotonic { promises, seen: BTreeMap::new(), may_be_ahead: false }
    }
}

impl Checker for HighWatermarkMonotonic {
    fn name(&self) -> &'static str {
        "high_watermark_monotonic"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Answer { reader, slot, leader, high_watermark, .. } => {
                let before = self.seen.insert((*reader, *slot, leader.1), *high_watermark).unwrap_or(0);
                if *high_watermark < before {
                    return Err(format!("{slot:?}: the high watermark was {before} and is {high_watermark}"));
                }
            }
            Event::OutOfRange { slot, position, end, .. } if position > end && !self.may_be_ahead => {
                return Err(format!("{slot:?}: read up to {position}, and it ends at {end}"));
            }
            Event::PowerLost if !self.promises.fsync => {
                self.seen.clear();
                self.may_be_ahead = true;
            }
            _ => {}
        }
        Ok(())
    }
}
