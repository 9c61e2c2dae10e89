//! A group's offset is never behind the last one whose commit was acknowledged.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::Slot;
use crate::types::Offset;

pub(super) struct CommittedNotBehind {
    promises: Promises,
    committed: BTreeMap<(u32, Slot), Offset>,
}

impl CommittedNotBehind {
    pub(super) fn new(promises: Promises) -> Self {
        CommittedNotBehind { promises, committed: BTreeMap::new() }
    }
}

impl Checker for CommittedNotBehind {
    fn name(&self) -> &'static str {
        "committed_not_behind"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Committed { group, slot, offset } => {
                self.committed.insert((*group, *slot), *offset);
            }
            Event::Fetched { group, slot, offset } => {
                let last = self.committed.get(&(*group, *slot)).copied().unwrap_or(-1);
                if *offset < last {
                    return Err(format!(
                        "group {group} had committed {last} of {slot:?}, and {offset} came back"
                    ));
                }
            }
            Event::PowerLost if !self.promises.fsync => self.committed.clear(),
            _ => {}
        }
        Ok(())
    }
}
