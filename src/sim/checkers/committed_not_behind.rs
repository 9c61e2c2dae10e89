//! A group's offset is never behind the last one whose commit was acknowledged before it was asked for. Every
//! client of a group commits more than it has fetched or committed before.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::Slot;
use crate::types::Offset;

pub(super) struct CommittedNotBehind {
    promises: Promises,
    committed: BTreeMap<(u32, Slot), Offset>,
    /// What was committed when a client asked.
    asked: BTreeMap<(u32, u32, Slot), Offset>,
}

impl CommittedNotBehind {
    pub(super) fn new(promises: Promises) -> Self {
        CommittedNotBehind { promises, committed: BTreeMap::new(), asked: BTreeMap::new() }
    }
}

impl Checker for CommittedNotBehind {
    fn name(&self) -> &'static str {
        "committed_not_behind"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Committed(commit) => {
                let last = self.committed.entry((commit.group, commit.slot)).or_insert(-1);
                *last = commit.offset.max(*last);
            }
            Event::Fetching { client, group, slot } => {
                let last = self.committed.get(&(*group, *slot)).copied().unwrap_or(-1);
                self.asked.insert((*client, *group, *slot), last);
            }
            Event::Fetched { client, group, slot, offset } => {
                let last = self.asked.get(&(*client, *group, *slot)).copied().unwrap_or(-1);
                if *offset < last {
                    return Err(format!(
                        "group {group} had committed {last} of {slot:?}, and {offset} came back"
                    ));
                }
            }
            Event::PowerLost if !self.promises.fsync => {
                self.committed.clear();
                self.asked.clear();
            }
            _ => {}
        }
        Ok(())
    }
}
