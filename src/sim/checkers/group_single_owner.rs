//! In a generation of a group a partition belongs to one member, and once a member of a later generation was
//! given its partitions, nobody commits in an earlier one.

use std::collections::BTreeMap;

use super::{Checker, Event, Promises};
use crate::sim::model::Slot;

pub(super) struct GroupSingleOwner {
    promises: Promises,
    /// By group and generation.
    owners: BTreeMap<(u32, i32), BTreeMap<Slot, u32>>,
    /// The latest generation that a client of a group could know of when it sent its commit.
    newest_when_sent: BTreeMap<(u32, u32), i32>,
}

impl GroupSingleOwner {
    pub(super) fn new(promises: Promises) -> Self {
        GroupSingleOwner { promises, owners: BTreeMap::new(), newest_when_sent: BTreeMap::new() }
    }

    fn newest(&self, group: u32) -> i32 {
        let of_group = self.owners.range((group, i32::MIN)..=(group, i32::MAX));
        of_group.last().map_or(-1, |((_, generation), _)| *generation)
    }
}

impl Checker for GroupSingleOwner {
    fn name(&self) -> &'static str {
        "group_single_owner"
    }

    fn see(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Owns { group, generation, client, slots } => {
                let owners = self.owners.entry((*group, *generation)).or_default();
                for slot in slots {
                    let owner = *owners.entry(*slot).or_insert(*client);
                    if owner != *client {
                        return Err(format!(
                            "{slot:?} is {owner}'s and {client}'s in generation {generation} of group {group}"
                        ));
                    }
                }
            }
            Event::Committing(commit) => {
                self.newest_when_sent.insert((commit.group, commit.client), self.newest(commit.group));
            }
            Event::Committed(commit) if commit.generation >= 0 => {
                let newest = self.newest_when_sent.get(&(commit.group, commit.client)).copied();
                if let Some(newest) = newest.filter(|newest| *newest > commit.generation) {
                    return Err(format!(
                        "{} commits in generation {} of group {}, which has come to {newest}",
                        commit.client, commit.generation, commit.group
                    ));
                }
                let owner = self.owners.get(&(commit.group, commit.generation));
                let owner = owner.and_then(|owners| owners.get(&commit.slot)).copied();
                if owner != Some(commit.client) {
                    return Err(format!("{commit:?}: the partition is {owner:?}'s"));
                }
            }
            Event::PowerLost if !self.promises.fsync => {
                self.owners.clear();
                self.newest_when_sent.clear();
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::model::Commit;

    const SLOT: Slot = (0, 0);

    fn owns(generation: i32, client: u32) -> Event {
        Event::Owns { group: 1, generation, client, slots: vec![SLOT] }
    }

    fn commit(generation: i32, client: u32) -> Commit {
        Commit { client, group: 1, generation, slot: SLOT, offset: 1 }
    }

    fn sees(events: &[Event]) -> Result<(), String> {
        let promises =
            Promises { fsync: true, retention: false, trims: false, idempotent_producers: 0, cluster: false };
        let mut checker = GroupSingleOwner::new(promises);
        events.iter().try_for_each(|event| checker.see(event))
    }

    #[test]
    fn two_owners_in_one_generation_are_seen() {
        assert!(sees(&[owns(1, 7), owns(2, 8)]).is_ok());
        assert!(sees(&[owns(1, 7), owns(1, 8)]).is_err());
    }

    #[test]
    fn a_commit_in_a_generation_that_is_over_is_seen() {
        let old = commit(1, 7);
        let sent_before = [owns(1, 7), Event::Committing(old), owns(2, 8), Event::Committed(old)];
        assert!(sees(&sent_before).is_ok());
        let sent_after = [owns(1, 7), owns(2, 8), Event::Committing(old), Event::Committed(old)];
        assert!(sees(&sent_after).is_err());
    }
}
