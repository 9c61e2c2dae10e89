//! No client sees a log start offset go back while the node lives, nor over an orderly stop. What retention has
//! removed may be there again after a power loss, and what was removed on request after any sudden death: as in
//! Kafka, the new start is written down from time to time.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::Slot;
use crate::types::{LeaderEpoch, Offset};

pub(super) struct LogStartMonotonic {
    promises: Promises,
    seen: BTreeMap<(u32, Slot, LeaderEpoch), Offset>,
    trimmed: BTreeMap<Slot, Offset>,
}

impl LogStartMonotonic {
    pub(super) fn new(promises: Promises) -> Self {
        LogStartMonotonic { promises, seen: BTreeMap::new(), trimmed: BTreeMap::new() }
    }
}

impl Checker for LogStartMonotonic {
    fn name(&self) -> &'static str {
        "log_start_monotonic"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Answer { reader, slot, leader, high_watermark, start } => {
                let before = self.seen.insert((*reader, *slot, leader.1), *start).unwrap_or(0);
                if *start < before {
                    return Err(format!("{slot:?}: the log start offset was {before} and is {start}"));
                }
                if start > high_watermark {
                    return Err(format!(
                        "{slot:?} begins at {start}, above its high watermark {high_watermark}"
                    ));
                }
            }
            Event::Trimmed { slot, start } => {
                let before = self.trimmed.entry(*slot).or_default();
                *before = *start.max(before);
            }
            // Whoever reads the whole is alone: what was answered to others came before.
            Event::Begins { slot, start } => {
                let trimmed = self.trimmed.get(slot).copied().unwrap_or(0);
                if *start < trimmed {
                    return Err(format!("{slot:?} was trimmed up to {trimmed} and begins at {start}"));
                }
            }
            Event::Killed if !self.promises.trims => {}
            Event::PowerLost | Event::Killed => {
                self.seen.clear();
                self.trimmed.clear();
            }
            _ => {}
        }
        Ok(())
    }
}
