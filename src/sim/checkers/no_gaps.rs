//! Offsets follow one another: nothing here is compacted or aborted.

use super::{Checker, Event};

pub(super) struct NoGaps;

impl Checker for NoGaps {
    fn name(&self) -> &'static str {
        "no_gaps"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Read { slot, offset, expected, .. } if offset != expected => {
                Err(format!("{slot:?}: after {expected} was asked for, {offset} came"))
            }
            _ => Ok(()),
        }
    }
}
