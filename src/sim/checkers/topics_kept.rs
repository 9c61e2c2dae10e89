//! A topic that a client saw created is known to every later life of the node until somebody removes it, and one
//! that was removed does not come back, nor do its records under the next topic of its name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Event, Promises};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    There,
    Gone,
    /// A change was asked for and not answered.
    InDoubt,
}

pub(super) struct TopicsKept {
    promises: Promises,
    topics: BTreeMap<u32, Is>,
    /// Topics whose records may have gone with the power.
    may_have_lost: BTreeSet<u32>,
}

impl TopicsKept {
    pub(super) fn new(promises: Promises) -> Self {
        TopicsKept { promises, topics: BTreeMap::new(), may_have_lost: BTreeSet::new() }
    }
}

impl Checker for TopicsKept {
    fn name(&self) -> &'static str {
        "topics_kept"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Creating(topic) => {
                self.topics.insert(*topic, Is::InDoubt);
                self.may_have_lost.remove(topic);
            }
            Event::Deleting(topic) => {
                self.topics.insert(*topic, Is::InDoubt);
            }
            Event::Created(topic) => {
                let before = self.topics.insert(*topic, Is::There);
                if before == Some(Is::Gone) {
                    return Err(format!("topic {topic} was removed and is there"));
                }
            }
            Event::Deleted(topic) => {
                self.topics.insert(*topic, Is::Gone);
            }
            Event::Missing(topic) if self.topics.get(topic) == Some(&Is::There) => {
                return Err(format!("topic {topic} was created and is not known"));
            }
            Event::PowerLost if !self.promises.fsync => self.may_have_lost.extend(self.topics.keys()),
            Event::Counted { .. } if self.promises.cluster => {}
            Event::Counted { topic, acked, sent, end } => {
                let least = if self.may_have_lost.contains(topic) { 0 } else { *acked as i64 };
                if *end < least || *end > *sent as i64 {
                    return Err(format!(
                        "topic {topic} ends at {end}, after {acked} records were acknowledged of {sent} sent"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
