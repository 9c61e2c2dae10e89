//! An offset never has two values: what was read there, or acknowledged to be there, stays.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::{Slot, Value};
use crate::types::Offset;

pub(super) struct OffsetsUnique {
    promises: Promises,
    values: BTreeMap<(Slot, Offset), Value>,
}

impl OffsetsUnique {
    pub(super) fn new(promises: Promises) -> Self {
        OffsetsUnique { promises, values: BTreeMap::new() }
    }

    fn is(&mut self, slot: Slot, offset: Offset, value: Value) -> Result<(), String> {
        let first = *self.values.entry((slot, offset)).or_insert(value);
        if first == value {
            return Ok(());
        }
        Err(format!("offset {offset} of {slot:?} was {first:?} and is {value:?}"))
    }
}

impl Checker for OffsetsUnique {
    fn name(&self) -> &'static str {
        "offsets_unique"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Read { slot, offset, value, .. } => self.is(*slot, *offset, *value),
            // What acks=1 has acknowledged may go with the power, and its offset be given again.
            Event::Acked { slot, first, count, base: Some(base), acks: -1 } => (0..u64::from(*count))
                .try_for_each(|i| self.is(*slot, base + i as Offset, (first.0, first.1 + i))),
            Event::PowerLost if !self.promises.fsync => {
                self.values.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
