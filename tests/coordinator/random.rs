//! Random requests, random time, random crashes: what must always hold, does.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla::coordinator::group::GroupConfigs;
use ottla::coordinator::group::command::*;
use ottla::coordinator::shard::Ticket;
use ottla::types::{ErrorCode, TopicId};
use proptest::prelude::*;

use super::machine::{Done, Machine};
use super::scripts::subscription;

const GROUPS: [&str; 2] = ["g", "h"];

/// One step; numbers choose among what there is when it is taken.
#[derive(Clone, Debug)]
enum Op {
    Join { group: usize, member: usize, instance: Option<usize>, protocols: u8, old_version: bool },
    Sync { group: usize, member: usize, behind: bool },
    Beat { group: usize, member: usize },
    Leave { group: usize, member: usize, by_instance: Option<usize> },
    Commit { group: usize, member: Option<usize>, partition: i32 },
    DeleteOffsets { group: usize },
    Delete { group: usize },
    DropTopic,
    After { ms: i64 },
    Restart,
    EndTxn { committed: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let group = 0..GROUPS.len();
    let member = 0..6usize;
    let instance = proptest::option::weighted(0.3, 0..2usize);
    prop_oneof![
        8 => (group.clone(), member.clone(), instance, 1..4u8, any::<bool>()).prop_map(
            |(group, member, instance, protocols, old_version)| Op::Join {
                group, member, instance, protocols, old_version
            }
        ),
        8 => (group.clone(), member.clone(), proptest::bool::weighted(0.1))
            .prop_map(|(group, member, behind)| Op::Sync { group, member, behind }),
        4 => (group.clone(), member.clone()).prop_map(|(group, member)| Op::Beat { group, member }),
        2 => (group.clone(), member.clone(), proptest::option::weighted(0.3, 0..2usize))
            .prop_map(|(group, member, by_instance)| Op::Leave { group, member, by_instance }),
        3 => (group.clone(), proptest::option::of(member), 0..3i32)
            .prop_map(|(group, member, partition)| Op::Commit { group, member, partition }),
        1 => group.clone().prop_map(|group| Op::DeleteOffsets { group }),
        1 => group.prop_map(|group| Op::Delete { group }),
        1 => Just(Op::DropTopic),
        6 => prop_oneof![0..10i64, 0..5_000i64, 0..700_000i64].prop_map(|ms| Op::After { ms }),
        1 => Just(Op::Restart),
        1 => any::<bool>().prop_map(|committed| Op::EndTxn { committed }),
    ]
}

/// What clients know.
#[derive(Default)]
struct Clients {
    /// Per group: members by their id, with the generation they were told last.
    known: BTreeMap<&'static str, Vec<(Arc<str>, Option<Arc<str>>, i32)>>,
    asked: BTreeMap<Ticket, (&'static str, Option<Arc<str>>, Asked)>,
    /// What each generation agreed on.
    agreed: BTreeMap<(&'static str, i32), Option<Arc<str>>>,
    /// What a leader gave whom.
    given: BTreeMap<(&'static str, i32, Arc<str>), Bytes>,
}

#[derive(Clone, Debug)]
enum Asked {
    Join,
    Sync { member: Arc<str>, generation: i32 },
    Other,
}

impl Clients {
    fn member(&self, group: &'static str, index: usize) -> Option<(Arc<str>, Option<Arc<str>>, i32)> {
        let known = self.known.get(group)?;
        (!known.is_empty()).then(|| known[index % known.len()].clone())
    }

    fn hear(&mut self, done: &Done) {
        for (ticket, reply) in &done.replies {
            let (group, instance, asked) = self.asked.remove(ticket).expect("asked once, answered once");
            match (reply, asked) {
                (Reply::Join(joined), Asked::Join) => self.joined(group, instance, joined),
                (Reply::Sync(synced), Asked::Sync { member, generation }) => {
                    if synced.error == ErrorCode::None
                        && let Some(given) = self.given.get(&(group, generation, member))
                    {
                        assert_eq!(*given, synced.assignment, "everybody gets what the leader gave");
                    }
                }
                _ => {}
            }
        }
    }

    fn joined(&mut self, group: &'static str, instance: Option<Arc<str>>, joined: &Joined) {
        let known = self.known.entry(group).or_default();
        match joined.error {
            ErrorCode::None => {
                let agreed = self.agreed.entry((group, joined.generation)).or_insert(joined.protocol.clone());
                assert_eq!(*agreed, joined.protocol, "one generation has one protocol");
                if *joined.leader == *joined.member && !joined.members.is_empty() {
                    assert!(
                        joined.members.iter().any(|m| m.id == joined.member),
                        "the leader is in its list"
                    );
                }
                known.retain(|(id, _, _)| *id != joined.member);
                known.push((joined.member.clone(), instance, joined.generation));
            }
            ErrorCode::MemberIdRequired => known.push((joined.member.clone(), None, -1)),
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                known.retain(|(id, _, _)| *id != joined.member);
            }
            _ => {}
        }
        let excess = known.len().saturating_sub(6);
        known.drain(..excess);
    }
}

fn take(machine: &mut Machine, clients: &mut Clients, op: Op) {
    let ask = |machine: &mut Machine, clients: &mut Clients, group, instance, asked, command| {
        let (ticket, done) = machine.ask(command);
        clients.asked.insert(ticket, (group, instance, asked));
        clients.hear(&done);
    };
    match op {
        Op::Join { group, member, instance, protocols, old_version } => {
            let group = GROUPS[group];
            let known = clients.member(group, member).filter(|_| member > 1);
            let (member, instance) = match known {
                Some((member, instance, _)) => (member, instance),
                None => (Arc::from(""), instance.map(|i| Arc::from(format!("i{i}")))),
            };
            let names = ["range", "sticky"];
            let names = names.iter().enumerate().filter(|(i, _)| protocols & (1 << i) != 0);
            let protocols = names
                .map(|(_, &name)| Protocol { name: name.into(), metadata: subscription(&["a"]) })
                .collect();
            let command = Command::Join(Join {
                group: group.into(),
                member,
                instance_id: instance.clone(),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                session_timeout_ms: 10_000,
                rebalance_timeout_ms: 30_000,
                protocol_type: "consumer".into(),
                protocols,
                requires_known_member_id: !old_version,
                can_skip_assignment: !old_version,
            });
            ask(machine, clients, group, instance, Asked::Join, command);
        }
        Op::Sync { group, member, behind } => {
            let group = GROUPS[group];
            let Some((member, instance_id, generation)) = clients.member(group, member) else { return };
            let generation = generation - i32::from(behind);
            let live = machine.soft.groups().find(|g| &*g.id == group);
            let leads = live.is_some_and(|g| {
                g.is_leader(&member)
                    && g.generation == generation
                    && g.is(ottla::coordinator::group::classic::State::CompletingRebalance)
                    && instance_id.as_ref().is_none_or(|i| g.static_member(i) == Some(&member))
            });
            let mut assignments = Vec::new();
            for m in live.into_iter().flat_map(|g| g.members()) {
                assignments.push((m.id.clone(), Bytes::from(format!("{}@{generation}", m.id))));
            }
            if leads {
                for (id, what) in &assignments {
                    clients.given.insert((group, generation, id.clone()), what.clone());
                }
            }
            let asked = Asked::Sync { member: member.clone(), generation };
            let command = Command::Sync(Sync {
                group: group.into(),
                generation,
                member,
                instance_id,
                protocol_type: None,
                protocol: None,
                assignments,
            });
            ask(machine, clients, group, None, asked, command);
        }
        Op::Beat { group, member } => {
            let group = GROUPS[group];
            let Some((member, instance_id, generation)) = clients.member(group, member) else { return };
            let command =
                Command::Heartbeat(Heartbeat { group: group.into(), generation, member, instance_id });
            ask(machine, clients, group, None, Asked::Other, command);
        }
        Op::Leave { group, member, by_instance } => {
            let group = GROUPS[group];
            let who = match by_instance {
                Some(i) => (Arc::from(""), Some(Arc::from(format!("i{i}")))),
                None => match clients.member(group, member) {
                    Some((member, instance, _)) => (member, instance),
                    None => return,
                },
            };
            let command = Command::Leave(Leave { group: group.into(), members: vec![who] });
            ask(machine, clients, group, None, Asked::Other, command);
        }
        Op::Commit { group, member, partition } => {
            let group = GROUPS[group];
            let who = member.and_then(|member| clients.member(group, member));
            let (member, instance_id, generation) = who.unwrap_or_else(|| (Arc::from(""), None, -1));
            let index = partition;
            let one = CommitPartition { index, offset: machine.now, leader_epoch: -1, metadata: "".into() };
            let topic = CommitTopic { name: "a".into(), id: TopicId::NIL, partitions: vec![one] };
            let command = Command::Commit(OffsetCommit {
                producer: None,
                group: group.into(),
                generation,
                member,
                instance_id,
                retention_ms: -1,
                topics: vec![topic],
                knows_member_epochs: true,
            });
            ask(machine, clients, group, None, Asked::Other, command);
        }
        Op::DeleteOffsets { group } => {
            let group = GROUPS[group];
            let command = Command::DeleteOffsets(OffsetDelete {
                group: group.into(),
                topics: vec![("a".into(), vec![0, 1])],
            });
            ask(machine, clients, group, None, Asked::Other, command);
        }
        Op::Delete { group } => {
            let group = GROUPS[group];
            ask(machine, clients, group, None, Asked::Other, Command::Delete(vec![group.into()]));
        }
        Op::DropTopic => {
            let done = machine.delete_topics(&["a"]);
            clients.hear(&done);
        }
        Op::After { ms } => pass(machine, clients, ms),
        Op::Restart => {
            for ticket in machine.restart() {
                clients.asked.remove(&ticket);
            }
            // A generation that nobody had written down may come again.
            clients.agreed.clear();
            clients.given.clear();
        }
        Op::EndTxn { committed } => machine.end_txn(1, committed),
    }
}

fn pass(machine: &mut Machine, clients: &mut Clients, ms: i64) {
    let until = machine.now + ms;
    let mut steps = 0;
    while let Some(done) = machine.next_due(until) {
        clients.hear(&done);
        machine.check();
        steps += 1;
        assert!(steps < 100_000, "time passes");
    }
    machine.now = until;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_keep_their_promises(
        ops in proptest::collection::vec(op(), 1..120),
        seed in any::<u64>(),
        delay in prop_oneof![Just(0), Just(3_000)],
        max_size in prop_oneof![3 => Just(100usize), 1 => Just(2)],
    ) {
        let config = GroupConfigs { initial_rebalance_delay_ms: delay, max_size, ..GroupConfigs::default() };
        let mut machine = Machine::new(config, seed);
        let mut clients = Clients::default();
        for op in ops {
            take(&mut machine, &mut clients, op);
            machine.check();
            // A group of the same name as one that is gone counts from the beginning again.
            clients.agreed.retain(|(group, _), _| machine.hard.groups.contains_key(*group));
            clients.given.retain(|(group, _, _), _| machine.hard.groups.contains_key(*group));
        }
        // Nobody asks any more: everybody who waits is answered, and all groups become empty.
        pass(&mut machine, &mut clients, 3_600_000);
        prop_assert!(machine.open.is_empty(), "left waiting: {:?}", machine.open);
        prop_assert!(clients.asked.is_empty());
        prop_assert!(machine.soft.groups().next().is_none(), "everybody is gone");
        // And a restart changes nothing of what is kept.
        let before = machine.hard.clone();
        machine.restart();
        prop_assert_eq!(before, machine.hard);
    }
}
