//! In a leader epoch a partition has one leader, whoever says so, and nobody else answers for it.

use std::collections::BTreeMap;

use super::{Checker, Event};
use crate::sim::model::Slot;
use crate::types::{LeaderEpoch, NodeId};

#[derive(Default)]
pub(super) struct OneLeaderPerEpoch {
    leaders: BTreeMap<(Slot, LeaderEpoch), NodeId>,
}

impl OneLeaderPerEpoch {
    fn leads(&mut self, slot: Slot, leader: NodeId, epoch: LeaderEpoch) -> Result<(), String> {
        let first = *self.leaders.entry((slot, epoch)).or_insert(leader);
        if first == leader {
            return Ok(());
        }
        Err(format!("{slot:?}: {first} and {leader} lead in epoch {epoch}"))
    }
}

impl Checker for OneLeaderPerEpoch {
    fn name(&self) -> &'static str {
        "one_leader_per_epoch"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Led { slot, leader, epoch } => self.leads(*slot, *leader, *epoch),
            Event::Answer { slot, leader: (leader, epoch), .. } if *epoch >= 0 => {
                self.leads(*slot, *leader, *epoch)
            }
            _ => Ok(()),
        }
    }
}
