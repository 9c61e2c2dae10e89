//! Random heartbeats, joins, lost answers, silence and crashes: each partition has one reader, and in the end everything
//! is assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla::coordinator::group::GroupConfigs;
use ottla::coordinator::group::command::*;
use ottla::coordinator::group::consumer::State;
use ottla::coordinator::group::modern::TopicIdPartition;
use ottla::types::ErrorCode;
use proptest::prelude::*;

use super::machine::{Done, Machine};
use super::scripts::subscription;

const GROUP: &str = "g";
const CLIENTS: usize = 5;

#[derive(Clone, Debug)]
enum Op {
    /// A client sends a heartbeat, or joins; its answer may be lost.
    Beat {
        client: usize,
        answered: bool,
    },
    /// It wants other topics.
    Subscribe {
        client: usize,
        topics: u8,
        regex: bool,
    },
    /// It is gone without a word, and comes back as somebody new.
    Crash {
        client: usize,
    },
    /// It leaves.
    Leave {
        client: usize,
        for_a_while: bool,
    },
    /// A member that speaks the classic protocol joins, or joins again.
    ClassicJoin {
        client: usize,
    },
    /// And sends a heartbeat.
    ClassicBeat {
        client: usize,
    },
    /// A topic grows, or goes away.
    Topic {
        topic: usize,
        partitions: i32,
    },
    After {
        ms: i64,
    },
    Failover,
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    prop_oneof![
        16 => (client.clone(), proptest::bool::weighted(0.85)).prop_map(|(client, answered)| Op::Beat { client, answered }),
        2 => (client.clone(), 0..8u8, proptest::bool::weighted(0.2))
            .prop_map(|(client, topics, regex)| Op::Subscribe { client, topics, regex }),
        1 => client.clone().prop_map(|client| Op::Crash { client }),
        1 => (client.clone(), any::<bool>()).prop_map(|(client, for_a_while)| Op::Leave { client, for_a_while }),
        2 => client.clone().prop_map(|client| Op::ClassicJoin { client }),
        2 => client.prop_map(|client| Op::ClassicBeat { client }),
        1 => (0..3usize, 0..7i32).prop_map(|(topic, partitions)| Op::Topic { topic, partitions }),
        5 => prop_oneof![0..10i64, 0..3_000i64, 0..60_000i64].prop_map(|ms| Op::After { ms }),
        1 => Just(Op::Failover),
    ]
}

const TOPICS: [&str; 3] = ["a", "b", "c"];

/// A client of the consumer protocol: what it believes.
#[derive(Clone, Debug, Default)]
struct Client {
    id: Arc<str>,
    epoch: i32,
    owned: BTreeSet<TopicIdPartition>,
    topics: u8,
    regex: bool,
    /// True if it has to say everything, for it does not know what was heard of it.
    says_all: bool,
    is_static: bool,
}

struct World {
    machine: Machine,
    clients: Vec<Client>,
    lives: u64,
    /// Classic members: id and generation, by client.
    classic: BTreeMap<usize, (Arc<str>, i32)>,
    sizes: [i32; 3],
}

impl World {
    fn new(seed: u64, interval: i64) -> World {
        let mut config = GroupConfigs { initial_rebalance_delay_ms: 0, ..GroupConfigs::default() };
        config.consumer.assignment_interval_ms.value = interval;
        let mut machine = Machine::new(config, seed);
        for (topic, size) in TOPICS.iter().zip([4, 3, 1]) {
            machine.set_topic(topic, size);
        }
        let mut world =
            World { machine, clients: Vec::new(), lives: 0, classic: BTreeMap::new(), sizes: [4, 3, 1] };
        for client in 0..CLIENTS {
            let client = world.born(client, client as u8 % 7 + 1);
            world.clients.push(client);
        }
        world
    }

    fn born(&mut self, client: usize, topics: u8) -> Client {
        self.lives += 1;
        let id = format!("m{client}-{}", self.lives).into();
        Client { id, topics, says_all: true, is_static: client == 0, ..Client::default() }
    }

    fn heartbeat(&self, client: &Client, epoch: i32) -> ConsumerHeartbeat {
        let names = TOPICS.iter().enumerate().filter(|(i, _)| client.topics & (1 << i) != 0);
        let names: Vec<Arc<str>> = names.map(|(_, &name)| name.into()).collect();
        let all = client.says_all || epoch == 0;
        ConsumerHeartbeat {
            group: GROUP.into(),
            member: client.id.clone(),
            epoch,
            instance_id: client.is_static.then(|| "i".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms: if all { 20_000 } else { -1 },
            names: all.then(|| if client.regex { Vec::new() } else { names }),
            regex: all.then(|| if client.regex { "a|c".into() } else { "".into() }),
            owned: Some(client.owned.iter().copied().collect()),
            is_member_id_required: true,
            ..ConsumerHeartbeat::default()
        }
    }

    fn beat(&mut self, at: usize, answered: bool) {
        let client = self.clients[at].clone();
        let beat = self.heartbeat(&client, client.epoch);
        let (_, done) = self.machine.ask(Command::ConsumerHeartbeat(Box::new(beat)));
        let Reply::ConsumerHeartbeat(reply) = reply(&done) else { panic!("{:?}", done.replies) };
        if !answered {
            self.clients[at].says_all = true;
            return;
        }
        let client = &mut self.clients[at];
        match reply {
            Ok(beaten) => {
                assert!(beaten.epoch >= client.epoch, "epochs do not fall");
                client.epoch = beaten.epoch;
                client.says_all = false;
                if let Some(assignment) = beaten.assignment {
                    client.owned = assignment.iter().collect();
                }
            }
            Err(refusal) => {
                // It gives up everything and begins anew.
                client.owned.clear();
                client.epoch = 0;
                client.says_all = true;
                let rejoins = [
                    ErrorCode::FencedMemberEpoch,
                    ErrorCode::UnknownMemberId,
                    ErrorCode::GroupIdNotFound,
                    ErrorCode::UnreleasedInstanceId,
                    ErrorCode::FencedInstanceId,
                ];
                assert!(rejoins.contains(&refusal.error), "{refusal:?}");
            }
        }
    }

    /// What the client has is what the coordinator thinks, or less: who was told of no change since it spoke last does not
    /// count, for it has been fenced or has not heard yet.
    fn check(&self) {
        self.machine.check();
        let Some(group) = self.machine.hard.consumer(GROUP) else { return };
        let mut read = BTreeMap::new();
        for client in &self.clients {
            let Some(member) = group.member(&client.id) else { continue };
            if member.current.epochs.current < 0 || member.is_classic() {
                continue;
            }
            for &of in &client.owned {
                assert_eq!(group.owner(of), Some(&client.id), "{} reads {of:?}, which is not its", client.id);
                assert_eq!(read.insert(of, &client.id), None, "{of:?} is read by two");
            }
        }
    }

    fn take(&mut self, op: Op) {
        match op {
            Op::Beat { client, answered } => self.beat(client, answered),
            Op::Subscribe { client, topics, regex } => {
                let client = &mut self.clients[client];
                (client.topics, client.regex, client.says_all) = (topics, regex, true);
            }
            Op::Crash { client } => {
                let topics = self.clients[client].topics;
                self.clients[client] = self.born(client, topics);
            }
            Op::Leave { client, for_a_while } => {
                let mut gone = self.clients[client].clone();
                gone.owned.clear();
                let epoch = if for_a_while && gone.is_static { -2 } else { -1 };
                let beat = self.heartbeat(&gone, epoch);
                self.machine.ask(Command::ConsumerHeartbeat(Box::new(beat)));
                let topics = gone.topics;
                self.clients[client] = self.born(client, topics);
            }
            Op::ClassicJoin { client } => {
                let known = self.classic.get(&client).map(|(id, _)| id.clone());
                let (_, done) = self.machine.ask(Command::Join(Join {
                    group: GROUP.into(),
                    member: known.unwrap_or_else(|| "".into()),
                    instance_id: None,
                    client_id: "k".into(),
                    client_host: "/h".into(),
                    session_timeout_ms: 30_000,
                    rebalance_timeout_ms: 20_000,
                    protocol_type: "consumer".into(),
                    protocols: vec![Protocol { name: "range".into(), metadata: subscription(&["a", "b"]) }],
                    requires_known_member_id: false,
                    can_skip_assignment: true,
                }));
                self.hear(client, &done);
            }
            Op::ClassicBeat { client } => {
                let Some((member, generation)) = self.classic.get(&client).cloned() else { return };
                let beat = Heartbeat { group: GROUP.into(), generation, member, instance_id: None };
                let (_, done) = self.machine.ask(Command::Heartbeat(beat));
                self.hear(client, &done);
            }
            Op::Topic { topic, partitions } => {
                if partitions > self.sizes[topic] || partitions == 0 && self.sizes[topic] > 0 {
                    self.machine.set_topic(TOPICS[topic], partitions);
                    self.sizes[topic] = partitions;
                }
            }
            Op::After { ms } => self.pass(ms),
            Op::Failover => {
                self.machine.restart();
            }
        }
    }

    fn hear(&mut self, client: usize, done: &Done) {
        for (_, reply) in &done.replies {
            match reply {
                Reply::Join(joined) if joined.error == ErrorCode::None => {
                    self.classic.insert(client, (joined.member.clone(), joined.generation));
                }
                Reply::Join(_) => drop(self.classic.remove(&client)),
                _ => {}
            }
        }
    }

    fn pass(&mut self, ms: i64) {
        let until = self.machine.now + ms;
        let mut steps = 0;
        while self.machine.next_due(until).is_some() {
            self.check();
            steps += 1;
            assert!(steps < 100_000, "time passes");
        }
        self.machine.now = until;
    }
}

fn reply(done: &Done) -> Reply {
    done.replies.last().expect("answered at once").1.clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_partition_has_one_reader(
        ops in proptest::collection::vec(op(), 1..150),
        seed in any::<u64>(),
        interval in prop_oneof![Just(0), Just(1_000)],
    ) {
        let mut world = World::new(seed, interval);
        for op in ops {
            world.take(op);
            world.check();
        }
        // Nobody fails any more: who does not speak is out, and the others come to a rest with everything assigned.
        for _ in 0..60 {
            for client in 1..CLIENTS {
                world.beat(client, true);
                world.check();
            }
            world.pass(2_000);
        }
        // Classic members are gone by now; if they were the only ones, so is the group.
        let group = world.machine.hard.consumer(GROUP).expect("there are members");
        prop_assert_eq!(group.state(), State::Stable, "{:?}", group);
        let owned: usize = world.clients[1..].iter().map(|client| client.owned.len()).sum();
        let wanted = group.subscribed_topics();
        let all: i32 = TOPICS.iter().zip(world.sizes).filter(|(name, _)| wanted.contains(**name)).map(|(_, n)| n).sum();
        prop_assert_eq!(owned as i32, all, "everything is read");
        let before = world.machine.hard.clone();
        world.machine.restart();
        prop_assert_eq!(before, world.machine.hard);
    }
}
