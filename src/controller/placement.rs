//! Which brokers get the replicas of new partitions: Kafka's striped placement (pure).
//!
//! Brokers are listed by rack. Each partition begins at the next rack and takes one broker of each rack in turn, so that
//! leaders and replicas spread over racks and brokers evenly. The first replica is never a fenced broker; fenced ones
//! come last in their rack. After as many partitions as there are unfenced brokers the order is shuffled, lest the same
//! assignments repeat.

use std::collections::BTreeMap;

use crate::types::{NodeId, Rng};

/// A broker that may get replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsableBroker {
    /// Its id.
    pub id: NodeId,
    /// Its rack.
    pub rack: Option<String>,
    /// True if it may not lead now.
    pub fenced: bool,
}

/// Brokers that are dealt out in turn; each round begins one further.
#[derive(Default)]
struct Stripe {
    brokers: Vec<NodeId>,
    dealt: usize,
    offset: usize,
    round: usize,
}

impl Stripe {
    fn start(&mut self, rng: &mut Rng) {
        self.brokers.sort_unstable();
        if !self.brokers.is_empty() {
            self.offset = rng.below(self.brokers.len() as u64) as usize;
        }
    }

    fn next(&mut self, round: usize) -> Option<NodeId> {
        let len = self.brokers.len();
        if len == 0 {
            return None;
        }
        if self.round != round {
            (self.round, self.dealt) = (round, 0);
            self.offset = (self.offset + 1) % len;
        }
        if self.dealt == len {
            return None;
        }
        self.dealt += 1;
        Some(self.brokers[(self.dealt - 1 + self.offset) % len])
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Stripe,
    fenced: Stripe,
}

impl Rack {
    fn next(&mut self, round: usize) -> Option<NodeId> {
        self.unfenced.next(round).or_else(|| self.fenced.next(round))
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for at in (1..items.len()).rev() {
        items.swap(at, rng.below(at as u64 + 1) as usize);
    }
}

/// Replicas for `partitions` new partitions, `replication_factor` each, the preferred leader first.
///
/// # Errors
///
/// In Kafka's words, if there are too few brokers or all are fenced.
pub fn place(
    brokers: impl IntoIterator<Item = UsableBroker>,
    partitions: usize,
    replication_factor: i16,
    rng: &mut Rng,
) -> Result<Vec<Vec<NodeId>>, String> {
    let mut by_rack: BTreeMap<Option<String>, Rack> = BTreeMap::new();
    let (mut total, mut unfenced) = (0usize, 0usize);
    for broker in brokers {
        let rack = by_rack.entry(broker.rack).or_default();
        total += 1;
        if broker.fenced {
            rack.fenced.brokers.push(broker.id);
        } else {
            unfenced += 1;
            rack.unfenced.brokers.push(broker.id);
        }
    }
    let Some(replicas) = usize::try_from(replication_factor).ok().filter(|r| *r > 0) else {
        return Err(format!(
            "Invalid replication factor {replication_factor}: the replication factor must be positive."
        ));
    };
    if unfenced == 0 {
        return Err("All brokers are currently fenced.".to_owned());
    }
    if replicas > total {
        return Err(format!(
            "The target replication factor of {replicas} cannot be reached because only {total} broker(s) are \
             registered or some brokers have all their log directories cordoned."
        ));
    }
    let mut racks: Vec<Rack> = by_rack.into_values().collect();
    for rack in &mut racks {
        rack.unfenced.start(rng);
        rack.fenced.start(rng);
    }
    let mut first = rng.below(racks.len() as u64) as usize;
    let mut round = 0;
    let mut placed = Vec::with_capacity(partitions);
    for _ in 0..partitions {
        if round == unfenced && unfenced > 1 {
            shuffle(&mut racks, rng);
            for rack in &mut racks {
                shuffle(&mut rack.unfenced.brokers, rng);
                shuffle(&mut rack.fenced.brokers, rng);
            }
            round = 0;
        }
        first %= racks.len();
        placed.push(place_one(&mut racks, first, round, replicas));
        round += 1;
        first += 1;
    }
    Ok(placed)
}

fn place_one(racks: &mut [Rack], first: usize, round: usize, replicas: usize) -> Vec<NodeId> {
    let count = racks.len();
    let mut chosen = Vec::with_capacity(replicas);
    // The leader: the first rack from `first` on with somebody who may lead.
    let mut leader_rack = None;
    for step in 0..count {
        let at = (first + step) % count;
        if let Some(leader) = racks[at].unfenced.next(round) {
            chosen.push(leader);
            leader_rack = Some(at);
            break;
        }
    }
    // The others: one from each rack in turn, passing over the leader's rack the first time.
    let mut at = first;
    let mut passes = 0;
    while chosen.len() < replicas && passes <= replicas * count + count {
        if leader_rack == Some(at) {
            leader_rack = None;
        } else if let Some(follower) = racks[at].next(round) {
            chosen.push(follower);
        }
        at = (at + 1) % count;
        passes += 1;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Rng;
    use proptest::prelude::*;

    fn broker(id: NodeId, rack: Option<&str>, fenced: bool) -> UsableBroker {
        UsableBroker { id, rack: rack.map(str::to_owned), fenced }
    }

    #[test]
    fn errors_are_in_kafkas_words() {
        let mut rng = Rng::new(1);
        let mut place = |brokers: Vec<UsableBroker>, rf| place(brokers, 1, rf, &mut rng).unwrap_err();
        assert_eq!(place(vec![broker(1, None, true)], 1), "All brokers are currently fenced.");
        assert_eq!(
            place(vec![broker(1, None, false)], 3),
            "The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or some \
             brokers have all their log directories cordoned."
        );
    }

    proptest! {
        #[test]
        fn replicas_are_distinct_and_leaders_even(
            seed: u64,
            racks in prop::collection::vec(0..3u8, 1..8),
            fenced in prop::collection::vec(any::<bool>(), 8),
            partitions in 0..40usize,
        ) {
            let brokers: Vec<UsableBroker> = racks
                .iter()
                .zip(&fenced)
                .enumerate()
                .map(|(id, (rack, fenced))| broker(id as NodeId, Some(&rack.to_string()), *fenced && id > 0))
                .collect();
            let replicas = brokers.len().min(3);
            let placed =
                place(brokers.clone(), partitions, replicas as i16, &mut Rng::new(seed)).unwrap();
            prop_assert_eq!(placed.len(), partitions);
            for replicas_of_one in &placed {
                let mut sorted = replicas_of_one.clone();
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(sorted.len(), replicas);
                prop_assert!(!brokers[replicas_of_one[0] as usize].fenced, "a fenced broker leads");
            }
        }
    }
}
