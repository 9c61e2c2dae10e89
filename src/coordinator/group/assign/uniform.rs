//! Equal shares that move as little as can be.
//!
//! Where all members read the same, each has a quota and what is above goes to those below. Where they do not, free
//! partitions go to the reader with the least, topics with the fewest readers per partition first; then partitions move
//! from readers with much to readers of the same topic with at least two less, topic by topic, until none does or
//! [`ROUNDS_MAX`] rounds have passed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::{Candidate, Sizes, is_homogeneous};
use crate::coordinator::group::modern::{Partitions, TopicIdPartition};
use crate::types::{FastMap, TopicId};

/// Rounds of levelling between members that read different topics.
const ROUNDS_MAX: usize = 16;

/// See [`super::assign`].
pub(super) fn assign(candidates: &[Candidate<'_>], sizes: &Sizes) -> Vec<Partitions> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let mut shares = Shares::new(candidates, sizes);
    if is_homogeneous(candidates) {
        shares.fill_quotas();
    } else {
        shares.fill_least();
        shares.level();
    }
    shares.of.into_iter().map(|own| own.into_iter().collect()).collect()
}

/// What everybody has so far.
struct Shares<'a> {
    /// By candidate.
    of: Vec<Vec<TopicIdPartition>>,
    /// What nobody has, in order.
    free: Vec<TopicIdPartition>,
    /// Who reads what, by candidate.
    readers: BTreeMap<TopicId, Vec<usize>>,
    sizes: &'a Sizes,
}

impl<'a> Shares<'a> {
    /// Everybody keeps what it had, as far as it still reads it and it is there.
    fn new(candidates: &[Candidate<'_>], sizes: &'a Sizes) -> Shares<'a> {
        let mut readers: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
        for (at, candidate) in candidates.iter().enumerate() {
            for id in candidate.topics.iter().filter(|id| sizes.contains_key(id)) {
                readers.entry(*id).or_default().push(at);
            }
        }
        let mut taken: FastMap<TopicIdPartition, ()> = FastMap::default();
        let mut of = vec![Vec::new(); candidates.len()];
        for (own, candidate) in of.iter_mut().zip(candidates) {
            let reads = |id: TopicId| candidate.topics.binary_search(&id).is_ok();
            let there = |(id, index): TopicIdPartition| sizes.get(&id).is_some_and(|&size| index < size);
            let kept = candidate.has.iter().filter(|&one| reads(one.0) && there(one));
            own.extend(kept.filter(|&one| taken.insert(one, ()).is_none()));
        }
        let all = readers.keys().flat_map(|&id| (0..sizes[&id]).map(move |index| (id, index)));
        let free = all.filter(|one| !taken.contains_key(one)).collect();
        Shares { of, free, readers, sizes }
    }

    /// All read the same: everybody gets the same number, some one more. Who has more than the least keeps one more
    /// before somebody else gets one.
    fn fill_quotas(&mut self) {
        let total = self.free.len() + self.of.iter().map(Vec::len).sum::<usize>();
        let (least, mut extra) = (total / self.of.len(), total % self.of.len());
        for own in &mut self.of {
            let quota = if own.len() > least && extra > 0 { least + 1 } else { least };
            if own.len() > least && extra > 0 {
                extra -= 1;
            }
            if own.len() > quota {
                self.free.extend(own.drain(quota..));
            }
        }
        self.free.sort_unstable();
        let mut free = std::mem::take(&mut self.free).into_iter();
        for own in &mut self.of {
            let mut quota = least;
            if extra > 0 && own.len() <= least {
                quota += 1;
                extra -= 1;
            }
            let missing = quota.saturating_sub(own.len());
            own.extend(free.by_ref().take(missing));
        }
        debug_assert!(free.next().is_none(), "quotas add up to all there is");
    }

    /// Free partitions go to the reader that has the least.
    fn fill_least(&mut self) {
        let mut by_topic: BTreeMap<TopicId, Vec<TopicIdPartition>> = BTreeMap::new();
        for one in std::mem::take(&mut self.free) {
            by_topic.entry(one.0).or_default().push(one);
        }
        for id in self.topics_in_order() {
            let Some(free) = by_topic.remove(&id) else { continue };
            let load = |&at: &usize| Reverse((self.of[at].len(), at));
            let mut heap: BinaryHeap<_> = self.readers[&id].iter().map(load).collect();
            for one in free {
                let Some(Reverse((count, at))) = heap.pop() else { break };
                self.of[at].push(one);
                heap.push(Reverse((count + 1, at)));
            }
        }
    }

    /// Topics with many partitions for each reader come first: those after them can still make it even.
    fn topics_in_order(&self) -> Vec<TopicId> {
        let mut order: Vec<TopicId> = self.readers.keys().copied().collect();
        let key = |id: &TopicId| {
            let (size, readers) = (i64::from(self.sizes[id]), self.readers[id].len() as i64);
            // Partitions per reader, in thousandths; descending.
            (Reverse(size * 1_000 / readers), readers, *id)
        };
        order.sort_by_key(key);
        order
    }

    /// Moves partitions between the readers of a topic, from who has most to who has least.
    fn level(&mut self) {
        let order = self.topics_in_order();
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            // Who has what of which topic, so that taking one is cheap.
            let mut held: BTreeMap<(TopicId, usize), Vec<TopicIdPartition>> = BTreeMap::new();
            let mut loads: Vec<usize> = self.of.iter().map(Vec::len).collect();
            for (at, own) in self.of.iter_mut().enumerate() {
                for one in own.drain(..) {
                    held.entry((one.0, at)).or_default().push(one);
                }
            }
            for id in &order {
                moved |= level_topic(*id, &self.readers[id], &mut held, &mut loads);
            }
            for ((_, at), own) in held {
                self.of[at].extend(own);
            }
            if !moved {
                return;
            }
        }
    }
}

/// True if anything moved.
fn level_topic(
    id: TopicId,
    readers: &[usize],
    held: &mut BTreeMap<(TopicId, usize), Vec<TopicIdPartition>>,
    loads: &mut [usize],
) -> bool {
    let holds = |at: &&usize| held.get(&(id, **at)).is_some_and(|own| !own.is_empty());
    let mut most: BinaryHeap<(usize, usize)> =
        readers.iter().filter(holds).map(|&at| (loads[at], at)).collect();
    let mut least: BinaryHeap<_> = readers.iter().map(|&at| Reverse((loads[at], at))).collect();
    let mut moved = false;
    while let (Some(&(much, from)), Some(&Reverse((little, to)))) = (most.peek(), least.peek()) {
        // Entries of before a move are put right when they come up.
        if much != loads[from] {
            most.pop();
            most.push((loads[from], from));
            continue;
        }
        if little != loads[to] {
            least.pop();
            least.push(Reverse((loads[to], to)));
            continue;
        }
        if much < little + 2 {
            break;
        }
        most.pop();
        let Some(one) = held.get_mut(&(id, from)).and_then(Vec::pop) else { continue };
        held.entry((id, to)).or_default().push(one);
        loads[from] -= 1;
        loads[to] += 1;
        moved = true;
        most.push((loads[from], from));
    }
    moved
}
