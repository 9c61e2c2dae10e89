//! What an idempotent producer has sent stands in the log in the order in which it was sent.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::{Producer, Slot};
use crate::types::Offset;

pub(super) struct OrderPerProducer {
    promises: Promises,
    numbers: BTreeMap<(Slot, Producer), BTreeMap<Offset, u64>>,
}

impl OrderPerProducer {
    pub(super) fn new(promises: Promises) -> Self {
        OrderPerProducer { promises, numbers: BTreeMap::new() }
    }
}

impl Checker for OrderPerProducer {
    fn name(&self) -> &'static str {
        "order_per_producer"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Read { slot, offset, value: (producer, number), .. }
                if *producer < self.promises.idempotent_producers =>
            {
                let numbers = self.numbers.entry((*slot, *producer)).or_default();
                let before = numbers.range(..offset).next_back().map(|(at, number)| (*at, *number));
                let after = numbers.range(offset + 1..).next().map(|(at, number)| (*at, *number));
                numbers.insert(*offset, *number);
                if let Some((at, earlier)) = before.filter(|(_, earlier)| earlier > number) {
                    return Err(format!(
                        "{slot:?}: producer {producer} has {earlier} at {at}, then {number} at {offset}"
                    ));
                }
                if let Some((at, later)) = after.filter(|(_, later)| later < number) {
                    return Err(format!(
                        "{slot:?}: producer {producer} has {number} at {offset}, then {later} at {at}"
                    ));
                }
            }
            Event::PowerLost if !self.promises.fsync => self.numbers.clear(),
            _ => {}
        }
        Ok(())
    }
}
