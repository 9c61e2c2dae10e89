//! A topic that a client saw created is known to every later life of the node.

use std::collections::BTreeSet;

use super::{Checker, Event};

#[derive(Default)]
pub(super) struct TopicsKept {
    created: BTreeSet<u32>,
}

impl Checker for TopicsKept {
    fn name(&self) -> &'static str {
        "topics_kept"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Created(topic) => {
                self.created.insert(*topic);
            }
            Event::Missing(topic) if self.created.contains(topic) => {
                return Err(format!("topic {topic} was created and is not known"));
            }
            _ => {}
        }
        Ok(())
    }
}
