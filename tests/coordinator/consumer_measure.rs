//! What consumer groups cost. Not a test of anything: `cargo test --release --test main measure -- --ignored --nocapture`.

use std::time::Instant;

use ottla::coordinator::group::GroupConfigs;
use ottla::coordinator::group::assign::{Assignor, Candidate, assign};
use ottla::coordinator::group::command::*;
use ottla::coordinator::group::modern::Partitions;
use ottla::coordinator::group::shard::GroupShard;
use ottla::coordinator::shard::Shard as _;
use ottla::types::TopicId;
use uuid::Uuid;

use super::machine::Machine;

fn beat(member: usize, epoch: i32, partitions: Option<&Partitions>) -> Command {
    Command::ConsumerHeartbeat(Box::new(ConsumerHeartbeat {
        group: "g".into(),
        member: format!("{member:022}").into(),
        epoch,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: if epoch == 0 { 300_000 } else { -1 },
        names: (epoch == 0).then(|| vec!["a".into(), "b".into()]),
        owned: match partitions {
            Some(partitions) => Some(partitions.iter().collect()),
            None => (epoch == 0).then(Vec::new),
        },
        is_member_id_required: true,
        ..ConsumerHeartbeat::default()
    }))
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
#[ignore = "a measurement"]
fn measure_a_large_group() {
    const MEMBERS: usize = 2_000;
    let mut machine = Machine::new(GroupConfigs::default(), 1);
    machine.set_topic("a", 4_000);
    machine.set_topic("b", 4_000);
    let began = Instant::now();
    for member in 0..MEMBERS {
        machine.ask(beat(member, 0, None));
        machine.now += 1;
    }
    println!("{MEMBERS} joins at one a millisecond: {:?}", began.elapsed());
    let mut has = vec![(0, Partitions::none()); MEMBERS];
    let began = Instant::now();
    let mut rounds = 0;
    loop {
        let mut all_same = true;
        for (member, (epoch, partitions)) in has.iter_mut().enumerate() {
            let (_, done) = machine.ask(beat(member, *epoch, Some(&*partitions)));
            let Reply::ConsumerHeartbeat(Ok(beaten)) = &done.replies[0].1 else {
                panic!("{:?}", done.replies)
            };
            all_same &= beaten.epoch == *epoch && beaten.assignment.is_none();
            *epoch = beaten.epoch;
            if let Some(assignment) = &beaten.assignment {
                partitions.clone_from(assignment);
            }
        }
        machine.now += 2_000;
        rounds += 1;
        if all_same {
            break;
        }
    }
    println!("at rest after {rounds} rounds, {:?}", began.elapsed());
    let began = Instant::now();
    for (member, (epoch, _)) in has.iter().enumerate() {
        let (_, done) = machine.ask(beat(member, *epoch, None));
        assert!(done.records.is_empty());
    }
    println!("a heartbeat of a group at rest: {:?}", began.elapsed() / MEMBERS as u32);
    let before = resident_bytes();
    let copies: Vec<_> = (0..10)
        .map(|_| {
            let mut hard = <GroupShard as ottla::coordinator::shard::Shard>::Hard::default();
            for (at, entry) in machine.log.iter().enumerate() {
                GroupShard::replay(&mut hard, at as i64, entry.clone());
            }
            hard
        })
        .collect();
    let bytes = (resident_bytes() - before) / copies.len() / MEMBERS;
    println!("replayed state of a member with four partitions: {bytes} bytes");
}

#[test]
#[ignore = "a measurement"]
fn measure_assignors() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        for mixed in [false, true] {
            for members in [500usize, 1_000, 2_000, 4_000] {
                let ids: Vec<String> = (0..members).map(|i| format!("{i:022}")).collect();
                let topics: Vec<TopicId> = (1..=100).map(|n| TopicId(Uuid::from_u128(n))).collect();
                let sizes = topics.iter().map(|&id| (id, 500)).collect();
                let candidate = |(i, id)| Candidate {
                    id,
                    instance_id: None,
                    topics: topics.iter().skip(if mixed { i % 50 } else { 0 }).copied().collect(),
                    has: Partitions::none(),
                };
                let mut candidates: Vec<_> =
                    ids.iter().map(String::as_str).enumerate().map(candidate).collect();
                let began = Instant::now();
                let assigned = assign(assignor, &candidates, &sizes);
                let first = began.elapsed();
                for (candidate, has) in candidates.iter_mut().zip(assigned) {
                    candidate.has = has;
                }
                candidates.pop();
                let began = Instant::now();
                assign(assignor, &candidates, &sizes);
                let name = assignor.name();
                println!(
                    "{name} mixed={mixed} {members} members: {first:?}, after one left {:?}",
                    began.elapsed()
                );
            }
        }
    }
}
