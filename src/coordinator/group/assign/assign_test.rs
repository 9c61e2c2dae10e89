use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number + 1))
}

fn owners(candidates: &[Candidate<'_>], assigned: &[Partitions]) -> BTreeMap<(TopicId, i32), usize> {
    let mut owners = BTreeMap::new();
    for (at, own) in assigned.iter().enumerate() {
        for one in own.iter() {
            assert!(candidates[at].topics.contains(&one.0), "nobody gets what it does not read");
            assert_eq!(owners.insert(one, at), None, "each partition has one reader");
        }
    }
    owners
}

/// Everything that somebody reads is given to somebody.
fn check(candidates: &[Candidate<'_>], sizes: &Sizes, assigned: &[Partitions]) {
    let owners = owners(candidates, assigned);
    for (id, size) in sizes {
        let is_read = candidates.iter().any(|c| c.topics.contains(id));
        for index in 0..*size {
            assert_eq!(owners.contains_key(&(*id, index)), is_read, "{id}-{index}");
        }
    }
}

fn spread(assigned: &[Partitions]) -> usize {
    let counts = || assigned.iter().map(Partitions::len);
    counts().max().unwrap_or(0) - counts().min().unwrap_or(0)
}

/// Members with the topics they read, and sizes of topics.
fn group() -> impl Strategy<Value = (Vec<Vec<u128>>, Vec<i32>)> {
    let topics = 1..6usize;
    topics.prop_flat_map(|topics| {
        let reads = proptest::collection::btree_set(0..topics as u128, 0..=topics);
        let members = proptest::collection::vec(reads.prop_map(|set| set.into_iter().collect()), 1..12);
        (members, proptest::collection::vec(0..20i32, topics))
    })
}

fn candidates<'a>(ids: &'a [String], reads: &[Vec<u128>], has: &[Partitions]) -> Vec<Candidate<'a>> {
    let one = |(at, reads): (usize, &Vec<u128>)| Candidate {
        id: &ids[at],
        instance_id: None,
        topics: reads.iter().map(|&number| topic(number)).collect(),
        has: has.get(at).cloned().unwrap_or_default(),
    };
    reads.iter().enumerate().map(one).collect()
}

fn sizes_of(sizes: &[i32]) -> Sizes {
    sizes.iter().enumerate().map(|(number, &size)| (topic(number as u128), size)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_has_one_reader((reads, sizes) in group(), (before, sizes_before) in group(), range in any::<bool>()) {
        let assignor = if range { Assignor::Range } else { Assignor::Uniform };
        let ids: Vec<String> = (0..12).map(|i| format!("m{i:02}")).collect();
        // What they had was for other subscriptions and other sizes.
        let earlier = candidates(&ids, &before, &[]);
        let had = assign(assignor, &earlier, &sizes_of(&sizes_before));
        let (now, sizes) = (candidates(&ids, &reads, &had), sizes_of(&sizes));
        let assigned = assign(assignor, &now, &sizes);
        check(&now, &sizes, &assigned);
        prop_assert_eq!(&assigned, &assign(assignor, &now, &sizes), "chance has no part in it");
        // Assigned again, nothing moves.
        let again = candidates(&ids, &reads, &assigned);
        prop_assert_eq!(&assign(assignor, &again, &sizes), &assigned);
    }

    #[test]
    fn uniform_is_even_and_sticky(sizes in proptest::collection::vec(0..30i32, 1..5), members in 1..12usize, leaver in 0..12usize) {
        let ids: Vec<String> = (0..13).map(|i| format!("m{i:02}")).collect();
        let all: Vec<u128> = (0..sizes.len() as u128).collect();
        let sizes = sizes_of(&sizes);
        let reads = vec![all.clone(); members + 1];
        let had = assign(Assignor::Uniform, &candidates(&ids, &reads[1..], &[]), &sizes);
        prop_assert!(spread(&had) <= 1);
        // One comes: it gets its share, and the others give up no more than that.
        let more = candidates(&ids, &reads, &had);
        let assigned = assign(Assignor::Uniform, &more, &sizes);
        check(&more, &sizes, &assigned);
        prop_assert!(spread(&assigned) <= 1);
        let kept = |before: &[Partitions], after: &[Partitions]| -> usize {
            before.iter().zip(after).map(|(b, a)| b.iter().filter(|one| a.contains(*one)).count()).sum()
        };
        let total: usize = had.iter().map(Partitions::len).sum();
        prop_assert_eq!(kept(&had, &assigned), total - assigned[members].len());
        // One goes: the others keep all they have.
        let leaver = leaver % (members + 1);
        if members > 0 {
            let mut stay = candidates(&ids, &reads, &assigned);
            stay.remove(leaver);
            let after = assign(Assignor::Uniform, &stay, &sizes);
            let mut before = assigned.clone();
            before.remove(leaver);
            prop_assert_eq!(kept(&before, &after), before.iter().map(Partitions::len).sum::<usize>());
            prop_assert!(spread(&after) <= 1);
        }
    }

    #[test]
    fn uniform_levels_readers_of_a_topic((reads, sizes) in group()) {
        let ids: Vec<String> = (0..12).map(|i| format!("m{i:02}")).collect();
        let (now, sizes) = (candidates(&ids, &reads, &[]), sizes_of(&sizes));
        let assigned = assign(Assignor::Uniform, &now, &sizes);
        for (at, own) in assigned.iter().enumerate() {
            for (to, candidate) in now.iter().enumerate() {
                let could_take = own.iter().any(|one| candidate.topics.contains(&one.0));
                prop_assert!(!could_take || own.len() < assigned[to].len() + 2, "{at} has {} of what {to} reads", own.len());
            }
        }
    }
}

#[test]
fn ranges_are_kafkas() {
    let ids = ["b".to_owned(), "a".to_owned(), "c".to_owned()];
    let sizes = sizes_of(&[4, 2]);
    let mut three = candidates(&ids, &[vec![0, 1], vec![0, 1], vec![0, 1]], &[]);
    let numbers = |assigned: &[Partitions]| -> Vec<Vec<String>> {
        let text =
            |own: &Partitions| own.iter().map(|one| format!("{}{}", one.0.0.as_u128() - 1, one.1)).collect();
        assigned.iter().map(text).collect()
    };
    let expected = [vec!["02", "11"], vec!["00", "01", "10"], vec!["03"]];
    assert_eq!(numbers(&assign(Assignor::Range, &three, &sizes)), expected, "by id");
    three[2].instance_id = Some("z");
    let expected = [vec!["03"], vec!["02", "11"], vec!["00", "01", "10"]];
    assert_eq!(numbers(&assign(Assignor::Range, &three, &sizes)), expected, "static members first");
}
