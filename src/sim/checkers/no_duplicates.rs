//! What an idempotent producer has sent is in the log once.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::{Slot, Value};
use crate::types::Offset;

pub(super) struct NoDuplicates {
    promises: Promises,
    at: BTreeMap<(Slot, Value), Offset>,
}

impl NoDuplicates {
    pub(super) fn new(promises: Promises) -> Self {
        NoDuplicates { promises, at: BTreeMap::new() }
    }
}

impl Checker for NoDuplicates {
    fn name(&self) -> &'static str {
        "no_duplicates"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Read { slot, offset, value, .. } if value.0 < self.promises.idempotent_producers => {
                let first = *self.at.entry((*slot, *value)).or_insert(*offset);
                if first != *offset {
                    return Err(format!("{value:?} is in {slot:?} at {first} and at {offset}"));
                }
            }
            Event::PowerLost if !self.promises.fsync => self.at.clear(),
            _ => {}
        }
        Ok(())
    }
}
