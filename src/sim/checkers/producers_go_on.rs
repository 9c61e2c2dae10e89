//! An idempotent producer never ends fatally, unless the power took what only memory had promised.

use super::{Checker, Event, Promises};

pub(super) struct ProducersGoOn {
    promises: Promises,
    may_end: bool,
}

impl ProducersGoOn {
    pub(super) fn new(promises: Promises) -> Self {
        ProducersGoOn { promises, may_end: false }
    }
}

impl Checker for ProducersGoOn {
    fn name(&self) -> &'static str {
        "producers_go_on"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::PowerLost if !self.promises.fsync => self.may_end = true,
            Event::Fatal { slot, producer, error } if !self.may_end => {
                return Err(format!("{slot:?}: producer {producer} ended with {}", error.name()));
            }
            _ => {}
        }
        Ok(())
    }
}
