//! An idempotent producer never ends fatally, and no partition forgets its last batches unless the power took
//! what only memory had promised.

use super::{Checker, Event, Promises};

pub(super) struct ProducersGoOn {
    promises: Promises,
    may_forget: bool,
}

impl ProducersGoOn {
    pub(super) fn new(promises: Promises) -> Self {
        ProducersGoOn { promises, may_forget: false }
    }
}

impl Checker for ProducersGoOn {
    fn name(&self) -> &'static str {
        "producers_go_on"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::PowerLost if !self.promises.fsync => self.may_forget = true,
            Event::Fatal { slot, producer, error } => {
                return Err(format!("{slot:?}: producer {producer} ended with {}", error.name()));
            }
            Event::Bumped { slot, producer, error } if !self.may_forget => {
                return Err(format!("{slot:?}: producer {producer} got {}", error.name()));
            }
            _ => {}
        }
        Ok(())
    }
}
