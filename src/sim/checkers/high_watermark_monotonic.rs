//! No client sees a high watermark go back, nor a log start offset while the power lasts: what retention has
//! removed may be there again after a power loss, as in Kafka. And a position it has reached stays within the
//! log.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::Slot;
use crate::types::Offset;

pub(super) struct HighWatermarkMonotonic {
    promises: Promises,
    seen: BTreeMap<(u32, Slot), (Offset, Offset)>,
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
            Event::Answer { reader, slot, high_watermark, start } => {
                let seen = self.seen.entry((*reader, *slot)).or_default();
                if *high_watermark < seen.0 {
                    return Err(format!(
                        "{slot:?}: the high watermark was {} and is {high_watermark}",
                        seen.0
                    ));
                }
                if *start < seen.1 {
                    return Err(format!("{slot:?}: the log start offset was {} and is {start}", seen.1));
                }
                if start > high_watermark {
                    return Err(format!(
                        "{slot:?} begins at {start}, above its high watermark {high_watermark}"
                    ));
                }
                *seen = (*high_watermark, *start);
            }
            Event::OutOfRange { slot, position, end, .. } if position > end && !self.may_be_ahead => {
                return Err(format!("{slot:?}: read up to {position}, and it ends at {end}"));
            }
            Event::PowerLost if self.promises.fsync => {
                self.seen.values_mut().for_each(|(_, start)| *start = 0);
            }
            Event::PowerLost => {
                self.seen.clear();
                self.may_be_ahead = true;
            }
            _ => {}
        }
        Ok(())
    }
}
