//! What was acknowledged is there: with acks=all after everything that `acks.all.durability` covers, with
//! acks=1 until the power goes.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::{Slot, Value};
use crate::types::Offset;

pub(super) struct AckedNotLost {
    promises: Promises,
    /// What was acknowledged, with the offset if it is known and whether it was by acks=all.
    acked: BTreeMap<Slot, BTreeMap<Value, (Option<Offset>, bool)>>,
    /// What is read since a reader began to read the whole.
    found: BTreeMap<Slot, BTreeMap<Value, Offset>>,
    /// Up to where somebody wanted records removed.
    trimmed: BTreeMap<Slot, Offset>,
    /// The power took what only memory had promised: even a first segment and not the next.
    may_begin_later: bool,
}

impl AckedNotLost {
    pub(super) fn new(promises: Promises) -> Self {
        AckedNotLost {
            promises,
            acked: BTreeMap::new(),
            found: BTreeMap::new(),
            trimmed: BTreeMap::new(),
            may_begin_later: false,
        }
    }

    fn check(&self, slot: Slot, start: Offset) -> Result<(), String> {
        let (Some(acked), found) = (self.acked.get(&slot), self.found.get(&slot)) else { return Ok(()) };
        let removed = self.trimmed.get(&slot).copied().unwrap_or(0);
        if start > removed && !self.promises.retention && !self.may_begin_later {
            return Err(format!(
                "{slot:?} begins at {start}, and no more than {removed} may have been deleted"
            ));
        }
        for (value, (offset, _)) in acked {
            match (found.and_then(|found| found.get(value)), offset) {
                (Some(at), Some(offset)) if at != offset => {
                    return Err(format!("{value:?} was acknowledged at {offset} of {slot:?} and is at {at}"));
                }
                (Some(_), _) => {}
                // It may have been deleted.
                (None, Some(offset)) if *offset < start => {}
                (None, None) if start > 0 => {}
                (None, _) => {
                    return Err(format!("{value:?} was acknowledged ({offset:?}) and is not in {slot:?}"));
                }
            }
        }
        Ok(())
    }
}

impl Checker for AckedNotLost {
    fn name(&self) -> &'static str {
        "acked_not_lost"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Acked { acks, .. } if self.promises.cluster && *acks != -1 => {}
            Event::Acked { slot, first, count, base, acks } => {
                let acked = self.acked.entry(*slot).or_default();
                for i in 0..u64::from(*count) {
                    let offset = base.map(|base| base + i as Offset);
                    acked.insert((first.0, first.1 + i), (offset, *acks == -1));
                }
            }
            Event::PowerLost if self.promises.fsync => {
                self.acked.values_mut().for_each(|acked| acked.retain(|_, (_, all)| *all));
            }
            Event::PowerLost => {
                self.acked.clear();
                self.may_begin_later = true;
            }
            Event::Trimming { slot, offset } => {
                let removed = self.trimmed.entry(*slot).or_default();
                *removed = *offset.max(removed);
            }
            Event::Begins { slot, .. } => {
                self.found.remove(slot);
            }
            Event::Read { reader: crate::sim::workload::VERIFIER, slot, offset, value, .. } => {
                self.found.entry(*slot).or_default().insert(*value, *offset);
            }
            Event::Whole { slot, start, .. } => return self.check(*slot, *start),
            _ => {}
        }
        Ok(())
    }
}
