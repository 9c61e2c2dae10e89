//! The simple assignor: every partition has a member that reads it, and every member has something to read, as evenly as that
//! goes.

use std::collections::BTreeMap;

use crate::coordinator::group::classic::MemberId;
use crate::coordinator::group::modern::{Partitions, TopicIdPartition};

/// Who may read what: the members, in order, each with the partitions it subscribes to.
pub(super) type Wishes = BTreeMap<MemberId, Vec<TopicIdPartition>>;

/// What each member is to read.
pub(super) fn assign(wishes: &Wishes) -> BTreeMap<MemberId, Partitions> {
    let mut readers: BTreeMap<TopicIdPartition, Vec<&MemberId>> = BTreeMap::new();
    for (member, wanted) in wishes {
        for &partition in wanted {
            readers.entry(partition).or_default().push(member);
        }
    }
    let mut assigned: BTreeMap<&MemberId, Vec<TopicIdPartition>> = BTreeMap::new();
    // Each partition goes to a member that has least yet; the first of them, so that it is the same every time.
    for (&partition, members) in &readers {
        let least = members.iter().min_by_key(|member| assigned.get(**member).map_or(0, Vec::len));
        if let Some(member) = least {
            assigned.entry(member).or_default().push(partition);
        }
    }
    // Who got nothing shares a partition that fewest read.
    let mut read_by: BTreeMap<TopicIdPartition, usize> =
        readers.keys().map(|&partition| (partition, 1)).collect();
    for (member, wanted) in wishes {
        if assigned.contains_key(member) {
            continue;
        }
        let least = wanted.iter().min_by_key(|partition| read_by.get(partition).copied().unwrap_or(0));
        if let Some(&partition) = least {
            *read_by.entry(partition).or_default() += 1;
            assigned.entry(member).or_default().push(partition);
        }
    }
    let all = wishes.keys().map(|member| {
        let partitions = assigned.remove(member).unwrap_or_default();
        (member.clone(), partitions.into_iter().collect())
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;

    fn partition(topic: u128, index: i32) -> TopicIdPartition {
        (TopicId(uuid::Uuid::from_u128(topic)), index)
    }

    fn sizes(wishes: &[(&str, Vec<TopicIdPartition>)]) -> Vec<usize> {
        let wishes: Wishes = wishes.iter().map(|(m, w)| (MemberId::from(*m), w.clone())).collect();
        let assigned = assign(&wishes);
        for (member, wanted) in &wishes {
            assert!(
                assigned[member].iter().all(|partition| wanted.contains(&partition)),
                "only what it wants"
            );
        }
        for partition in wishes.values().flatten() {
            assert!(assigned.values().any(|of| of.contains(*partition)), "{partition:?} is read");
        }
        assigned.values().map(Partitions::len).collect()
    }

    #[test]
    fn partitions_are_spread_and_nobody_is_idle() {
        let six: Vec<_> = (0..6).map(|i| partition(1, i)).collect();
        assert_eq!(sizes(&[("a", six.clone()), ("b", six.clone()), ("c", six.clone())]), [2, 2, 2]);
        let two: Vec<_> = (0..2).map(|i| partition(1, i)).collect();
        assert_eq!(sizes(&[("a", two.clone()), ("b", two.clone()), ("c", two.clone())]), [1, 1, 1]);
        assert_eq!(sizes(&[("a", vec![]), ("b", two)]), [0, 2]);
    }

    #[test]
    fn members_get_only_what_they_subscribe_to() {
        let (one, other) = (vec![partition(1, 0)], vec![partition(1, 0), partition(2, 0), partition(2, 1)]);
        assert_eq!(sizes(&[("a", one), ("b", other)]), [1, 2]);
    }
}
