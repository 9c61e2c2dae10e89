use proptest::prelude::*;
use uuid::Uuid;

use super::test_cluster::{Cluster, topic};
use super::*;
use crate::config::Props;
use crate::controller::command::*;
use crate::metadata::ConfigResource;
use crate::metadata::{MetadataDelta, NO_LEADER};

#[test]
fn topics_are_made_with_ids_partitions_and_configs() {
    let mut cluster = Cluster::new(3);
    let mut wanted = topic("t", 4, 2);
    wanted.configs = vec![("retention.ms".into(), Some("5".into()))];
    let created = cluster.create(wanted).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 2));
    let made = cluster.image.topics().get("t").unwrap().clone();
    assert_eq!(made.id, created.id);
    for (_, partition) in made.iter() {
        assert_eq!(partition.replicas, partition.isr);
        assert_eq!(partition.leader, partition.replicas[0]);
        let directory = Uuid::from_u128(1000 + partition.replicas[0] as u128);
        assert_eq!(partition.directories[0], directory);
    }
    let resource = ConfigResource::topic("t");
    assert_eq!(cluster.image.configs().of(&resource).get("retention.ms").map(|v| &**v), Some("5"));
}

#[test]
fn topics_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::new(1);
    cluster.create(topic("a.b", 1, 1)).unwrap();
    let long = "x".repeat(250);
    let cases = [
        (topic("a.b", 1, 1), ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists."),
        (
            topic("a_b", 1, 1),
            ErrorCode::InvalidTopicException,
            "Topic 'a_b' collides with existing topic: a.b",
        ),
        (
            topic("", 1, 1),
            ErrorCode::InvalidTopicException,
            "Topic name is invalid: the empty string is not allowed",
        ),
        (topic("..", 1, 1), ErrorCode::InvalidTopicException, "Topic name is invalid: '..' is not allowed"),
        (topic(&long, 1, 1), ErrorCode::InvalidTopicException, ""),
        (topic("a b", 1, 1), ErrorCode::InvalidTopicException, ""),
        (
            topic("t", 0, 1),
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            topic("t", 1, 0),
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            topic("t", 1, 3),
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 1 broker(s) are registered or some brokers have all their log directories cordoned.",
        ),
        (
            topic("t", 10_000, 1),
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ),
        (
            NewTopic { assignments: vec![(0, vec![7])], ..topic("t", -1, -1) },
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 7, but no such broker is registered.",
        ),
        (
            NewTopic { assignments: vec![(1, vec![1])], ..topic("t", -1, -1) },
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            NewTopic { configs: vec![("nonsense".into(), Some("1".into()))], ..topic("t", 1, 1) },
            ErrorCode::InvalidConfig,
            "Unknown topic config name: nonsense",
        ),
        (
            NewTopic { configs: vec![("retention.ms".into(), None)], ..topic("t", 1, 1) },
            ErrorCode::InvalidConfig,
            "Null value not supported for topic configs: retention.ms",
        ),
    ];
    for (wanted, code, message) in cases {
        let error = cluster.create(wanted).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(message.is_empty() || error.message.as_deref() == Some(message), "{error}");
    }
    assert_eq!(cluster.image.topics().len(), 1);
}

#[test]
fn a_fenced_broker_leads_nothing_and_leads_again_when_it_is_back() {
    let mut cluster = Cluster::new(2);
    cluster.create(topic("one", 2, 1)).unwrap();
    cluster.create(topic("two", 2, 2)).unwrap();
    let epoch = cluster.image.brokers().get(1).unwrap().epoch;
    cluster.run(Command::FenceBroker { broker: 1, epoch }).unwrap();
    for topic in cluster.image.topics().iter() {
        for (_, partition) in topic.iter() {
            assert_ne!(partition.leader, 1);
            assert!(!partition.isr.is_empty());
            assert!(partition.isr.len() == 1);
        }
    }
    cluster.beat(1, epoch, false, false);
    let one = cluster.image.topics().get("one").unwrap();
    assert!(one.iter().all(|(_, p)| p.leader == p.replicas[0]));
    // A new incarnation has another epoch, and the old one is refused.
    cluster.join(1);
    let error = cluster.run(Command::AllocateProducerIds { broker: 1, epoch }).unwrap_err();
    assert_eq!(error.code, ErrorCode::StaleBrokerEpoch);
    let epoch = cluster.image.brokers().get(1).unwrap().epoch;
    for first in [0, 1000] {
        let reply = cluster.run(Command::AllocateProducerIds { broker: 1, epoch }).unwrap();
        assert_eq!(reply, Reply::ProducerIds { first, count: 1000 });
    }
}

#[test]
fn fenced_brokers_get_replicas_that_are_not_in_sync() {
    let mut cluster = Cluster::new(3);
    cluster.fence(3);
    cluster.create(topic("t", 9, 3)).unwrap();
    let more = |count, assignments| Command::CreatePartitions {
        topics: vec![NewPartitions { topic: "t".into(), count, assignments }],
        validate_only: false,
    };
    cluster.run(more(12, None)).unwrap();
    let made = cluster.image.topics().get("t").unwrap();
    assert_eq!(made.partitions.len(), 12);
    for (_, partition) in made.iter() {
        assert_eq!((partition.replicas.len(), partition.isr.len()), (3, 2));
        assert!(!partition.isr.contains(&3) && partition.leader == partition.isr[0]);
    }
    // By hand, a fenced one may be the first, and must not be the only one.
    cluster.create(NewTopic { assignments: vec![(0, vec![3, 2])], ..topic("hand", -1, -1) }).unwrap();
    let hand = cluster.image.topics().partition("hand", 0).unwrap();
    assert_eq!((hand.leader, &*hand.isr), (2, &[2][..]));
    let none = "are fenced or in controlled shutdown.";
    let alone = NewTopic { assignments: vec![(0, vec![2]), (1, vec![3])], ..topic("alone", -1, -1) };
    let error = cluster.create(alone).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidReplicaAssignment);
    let words = "All brokers specified in the manual partition assignment for partition";
    assert_eq!(error.message, Some(format!("{words} 1 {none}")));
    cluster.create(topic("single", 1, 1)).unwrap();
    let topics = vec![NewPartitions { topic: "single".into(), count: 2, assignments: Some(vec![vec![3]]) }];
    let reply = cluster.run(Command::CreatePartitions { topics, validate_only: false }).unwrap();
    let Reply::CreatePartitions(answers) = reply else { panic!("another reply") };
    assert_eq!(answers[0].1.as_ref().unwrap_err().message, Some(format!("{words} 1 {none}")));
    // Nobody is left.
    cluster.fence(1);
    cluster.fence(2);
    let error = cluster.create(topic("none", 1, 1)).unwrap_err();
    let message = "Unable to replicate the partition 1 time(s): All brokers are currently fenced.";
    let expected = ApiError::new(ErrorCode::InvalidReplicationFactor, message);
    assert_eq!(error, expected);
    assert!(matches!(
        cluster.run(more(13, None)),
        Ok(Reply::CreatePartitions(answers))
            if answers[0].1.as_ref().unwrap_err().message.as_deref() == Some("All brokers are currently fenced.")
    ));
}

#[test]
fn the_only_broker_may_leave() {
    let mut cluster = Cluster::new(1);
    cluster.create(topic("t", 3, 1)).unwrap();
    let epoch = cluster.image.brokers().get(1).unwrap().epoch;
    let reply = cluster.beat(1, epoch, false, true);
    assert_eq!(reply, Reply::BrokerHeartbeat { is_fenced: true, should_shut_down: true, lease_ms: -1 });
    cluster.join(1);
    assert!(cluster.image.topics().get("t").unwrap().iter().all(|(_, p)| p.leader == 1 && *p.isr == [1]));
}

#[test]
fn a_fenced_broker_does_not_lead_again_before_it_knows_who_leads_in_its_stead() {
    let mut cluster = Cluster::new(2);
    cluster.create_on(&[1, 2]);
    let fenced = |reply| matches!(reply, Reply::BrokerHeartbeat { is_fenced: true, .. });
    let before = cluster.image.offset();
    cluster.fence(1);
    assert_eq!(cluster.partition().leader, 2);
    assert!(fenced(cluster.beat_knowing(1, before)), "it believes that it leads");
    let news = cluster.image.offset();
    assert!(fenced(cluster.beat_knowing(1, news - 1)));
    // What comes after that is none of its business: a busy log would keep it out for ever.
    cluster.create(topic("u", 1, 1)).unwrap();
    assert!(cluster.image.offset() > news);
    assert!(!fenced(cluster.beat_knowing(1, news)));
}

#[test]
fn a_broker_that_goes_hands_over_what_others_can_lead_first() {
    let mut cluster = Cluster::new(2);
    cluster.create(topic("one", 2, 1)).unwrap();
    cluster.create(topic("two", 2, 2)).unwrap();
    let epoch = cluster.image.brokers().get(1).unwrap().epoch;
    let reply = cluster.beat(1, epoch, false, true);
    assert_eq!(reply, Reply::BrokerHeartbeat { is_fenced: false, should_shut_down: false, lease_ms: -1 });
    let led = |cluster: &Cluster, name: &str| {
        cluster.image.topics().get(name).unwrap().iter().filter(|(_, p)| p.leader == 1).count()
    };
    assert_eq!((led(&cluster, "one"), led(&cluster, "two")), (1, 0));
    assert!(!cluster.image.is_active(1));
    // What only this one has cannot be handed over. The other has to know that it leads.
    let reply = cluster.beat(1, epoch, false, true);
    assert_eq!(reply, Reply::BrokerHeartbeat { is_fenced: false, should_shut_down: false, lease_ms: -1 });
    cluster.unfence(2);
    let reply = cluster.beat(1, epoch, false, true);
    assert_eq!(reply, Reply::BrokerHeartbeat { is_fenced: true, should_shut_down: true, lease_ms: -1 });
    assert_eq!(led(&cluster, "one"), 0);
    let again = cluster.beat(1, epoch, false, true);
    assert_eq!(again, Reply::BrokerHeartbeat { is_fenced: true, should_shut_down: true, lease_ms: -1 });
}

#[test]
fn configs_change_key_by_key_and_as_a_whole() {
    let mut cluster = Cluster::new(1);
    cluster.create(topic("t", 1, 1)).unwrap();
    let resource = ConfigResource::topic("t");
    let mut alter = |name: &str, op, value: Option<&str>| {
        let change = ConfigChange { name: name.into(), op, value: value.map(str::to_owned) };
        let changes = vec![(resource.clone(), vec![change])];
        let command = Command::IncrementalAlterConfigs { changes, validate_only: false };
        match cluster.run(command).unwrap() {
            Reply::AlterConfigs(mut answers) => answers.remove(0).1.map_err(|e| e.code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(alter("cleanup.policy", ConfigOp::Append, Some("compact")), Ok(()));
    assert_eq!(alter("cleanup.policy", ConfigOp::Subtract, Some("delete")), Ok(()));
    assert_eq!(alter("retention.ms", ConfigOp::Append, Some("1")), Err(ErrorCode::InvalidConfig));
    assert_eq!(alter("retention.ms", ConfigOp::Set, Some("x")), Err(ErrorCode::InvalidConfig));
    let set = cluster.image.configs().of(&ConfigResource::topic("t")).clone();
    assert_eq!(set.get("cleanup.policy").map(|v| &**v), Some("compact"));
    let configs = vec![
        (ConfigResource::topic("t"), vec![("retention.ms".to_owned(), Some("7".to_owned()))]),
        (ConfigResource::topic("none"), Vec::new()),
    ];
    let reply = cluster.run(Command::AlterConfigs { configs, validate_only: false }).unwrap();
    let Reply::AlterConfigs(answers) = reply else { panic!("another reply") };
    assert!(answers[0].1.is_ok());
    assert_eq!(answers[1].1.as_ref().unwrap_err().code, ErrorCode::UnknownTopicOrPartition);
    let set = cluster.image.configs().of(&ConfigResource::topic("t"));
    assert_eq!(set.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>(), [("retention.ms", "7")]);
}

#[test]
fn leaders_change_their_in_sync_replicas() {
    let mut cluster = Cluster::new(2);
    let id = cluster.create(topic("t", 1, 2)).unwrap().id;
    let before = cluster.image.topics().get("t").unwrap().partition(0).unwrap().clone();
    let epoch = cluster.image.brokers().get(before.leader).unwrap().epoch;
    let change = IsrChange {
        topic: id,
        partition: 0,
        leader_epoch: 0,
        partition_epoch: 0,
        isr: vec![(before.leader, epoch)],
        recovering: false,
    };
    let mut alter = |change: &IsrChange| {
        let partitions = vec![change.clone()];
        match cluster.run(Command::AlterPartition { broker: before.leader, epoch, partitions }).unwrap() {
            Reply::AlterPartition(mut answers) => answers.remove(0).2,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(alter(&change).unwrap().partition_epoch, 1);
    assert_eq!(alter(&change), Err(ErrorCode::InvalidUpdateVersion));
    assert_eq!(alter(&IsrChange { partition_epoch: 9, ..change.clone() }), Err(ErrorCode::NotController));
    let wrong = IsrChange { partition_epoch: 1, isr: Vec::new(), ..change };
    assert_eq!(alter(&wrong), Err(ErrorCode::InvalidRequest));
    let now = cluster.image.topics().get("t").unwrap().partition(0).unwrap();
    assert_eq!((now.isr.len(), now.leader_epoch), (1, 0));
}

/// As Kafka 4.3.1 answers, and in the order of its records.
#[test]
fn min_insync_replicas_is_the_clusters_while_eligible_leaders_are_on() {
    let mut cluster = Cluster::new(1);
    let feature = "eligible.leader.replicas.version";
    let file = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("min.insync.replicas", "2"),
    ];
    let file = file.map(|(key, value)| (key.to_owned(), value.to_owned()));
    cluster.rules.layers = Layers::new(Props::from(file));
    let set = |cluster: &mut Cluster, of: ConfigResource, op: ConfigOp, value: Option<&str>| {
        let value = value.map(str::to_owned);
        let change = ConfigChange { name: "min.insync.replicas".into(), op, value };
        let changes = vec![(of, vec![change])];
        match cluster.run(Command::IncrementalAlterConfigs { changes, validate_only: false }) {
            Ok(Reply::AlterConfigs(answers)) => {
                answers[0].1.clone().map_err(|e| e.message.unwrap_or_default())
            }
            other => panic!("{other:?}"),
        }
    };
    let (all, one) = (ConfigResource::cluster(), ConfigResource::broker(1));
    assert_eq!(set(&mut cluster, one.clone(), ConfigOp::Set, Some("3")), Ok(()));
    let mut image = cluster.image.clone();
    let level = crate::schema::metadata::FeatureLevelRecord { name: feature.into(), feature_level: 1 };
    let facts = Facts {
        image: &image,
        live: &cluster.live,
        now: 0,
        monotonic_ms: 0,
        next_offset: 1,
        rules: &cluster.rules,
    };
    for record in elr::before_turning_on(&facts).into_iter().chain([level.clone().into()]) {
        image.apply(&record, &mut MetadataDelta::default()).unwrap();
    }
    assert_eq!(&*image.configs().of(&all)["min.insync.replicas"], "2", "what the controller's file says");
    assert!(image.configs().of(&one).is_empty(), "no broker may differ");
    cluster.image = image;
    let refused = |what: &str| Err(format!("{what} while ELR is enabled."));
    let broker = refused("Broker-level min.insync.replicas cannot be altered");
    assert_eq!(set(&mut cluster, one.clone(), ConfigOp::Set, Some("3")), broker);
    assert_eq!(set(&mut cluster, one, ConfigOp::Delete, None), broker);
    let removed = refused("Cluster-level min.insync.replicas cannot be removed");
    assert_eq!(set(&mut cluster, all.clone(), ConfigOp::Delete, None), removed);
    assert_eq!(set(&mut cluster, all, ConfigOp::Set, Some("1")), Ok(()));
    let bootstrap: Vec<MetadataRecord> = vec![level.into()];
    let first = elr::first_record(&bootstrap, &cluster.rules.layers).expect("the feature is on");
    assert!(matches!(&first, MetadataRecord::Config(c) if c.value.as_deref() == Some("2")), "{first:?}");
    assert_eq!(elr::first_record(&[bootstrap, vec![first]].concat(), &cluster.rules.layers), None);
    assert_eq!(elr::first_record(&[], &cluster.rules.layers), None);
}

fn any_command() -> impl Strategy<Value = Command> {
    let name = "[a-c][._]?[a-c]?";
    let ids = 1..4i32;
    prop_oneof![
        (name, 0..4i32, 0..4i16).prop_map(|(name, p, r)| Command::CreateTopics {
            topics: vec![topic(&name, p, r)],
            validate_only: false
        }),
        name.prop_map(|name| Command::DeleteTopics(vec![TopicRef::Name(name.as_str().into())])),
        (name, 0..6i32).prop_map(|(name, count)| Command::CreatePartitions {
            topics: vec![NewPartitions { topic: name.as_str().into(), count, assignments: None }],
            validate_only: false,
        }),
        (any::<bool>()).prop_map(|unclean| Command::ElectLeaders {
            kind: if unclean { ElectionKind::Unclean } else { ElectionKind::Preferred },
            partitions: None,
        }),
        (ids.clone(), 0..3i64).prop_map(|(broker, epoch)| Command::AllocateProducerIds { broker, epoch }),
        ids.clone().prop_map(Command::UnregisterBroker),
        Just(Command::BalanceLeaders),
        Just(Command::ElectUncleanLeaders),
        (name, 0..3i32, prop::option::of(prop::collection::vec(ids, 0..4)), any::<bool>()).prop_map(
            |(name, partition, replicas, allow_replication_factor_change)| {
                let topics = vec![(name.into(), vec![Reassignment { partition, replicas }])];
                Command::AlterPartitionReassignments { topics, allow_replication_factor_change }
            }
        ),
        (name, any::<bool>()).prop_map(|(name, unclean)| Command::IncrementalAlterConfigs {
            changes: vec![(
                ConfigResource::topic(name.as_str()),
                vec![ConfigChange {
                    name: "unclean.leader.election.enable".into(),
                    op: ConfigOp::Set,
                    value: Some(unclean.to_string()),
                }],
            )],
            validate_only: false,
        }),
        (name, "[1-9]{1,3}").prop_map(|(name, value)| Command::IncrementalAlterConfigs {
            changes: vec![(
                ConfigResource::topic(name.as_str()),
                vec![ConfigChange { name: "retention.ms".into(), op: ConfigOp::Set, value: Some(value) }],
            )],
            validate_only: false,
        }),
    ]
}

/// What happens to a cluster.
#[derive(Clone, Debug)]
enum Step {
    Command(Command),
    /// The broker starts again, after a clean stop or not.
    Join(NodeId, bool),
    /// Its session ends.
    Dies(NodeId),
    /// Every leader takes in all replicas that are alive.
    CatchUp,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_command().prop_map(Step::Command),
        2 => (1..4i32, any::<bool>()).prop_map(|(id, clean)| Step::Join(id, clean)),
        2 => (1..4i32).prop_map(Step::Dies),
        1 => Just(Step::CatchUp),
    ]
}

fn check(partition: &crate::metadata::Partition, image: &MetadataImage, has_elr: bool) -> Result<(), String> {
    let p = partition;
    let distinct = |nodes: &[NodeId]| {
        let set: std::collections::BTreeSet<_> = nodes.iter().collect();
        set.len() == nodes.len()
    };
    let within = |nodes: &[NodeId]| nodes.iter().all(|node| p.replicas.contains(node));
    let claims = [
        (p.leader == NO_LEADER || p.isr.contains(&p.leader), "a leader is in sync"),
        (p.leader == NO_LEADER || image.is_active(p.leader), "a leader is alive"),
        (!p.replicas.is_empty() && distinct(&p.replicas), "replicas are distinct"),
        (within(&p.isr) && distinct(&p.isr), "the in-sync replicas are replicas"),
        (within(&p.elr) && distinct(&p.elr), "the eligible are replicas"),
        (p.elr.iter().all(|node| !p.isr.contains(node)), "nobody is both in sync and eligible"),
        (within(&p.removing), "what goes is there yet"),
        (has_elr || !p.isr.is_empty(), "somebody has everything"),
        (p.directories.len() == p.replicas.len(), "every replica has a directory"),
    ];
    match claims.iter().find(|(holds, _)| !holds) {
        Some((_, claim)) => Err(format!("{claim}: {p:?}")),
        None => Ok(()),
    }
}

proptest! {
    #[test]
    fn what_was_decided_is_sound_and_replays_to_the_same_image(
        has_elr: bool,
        steps in prop::collection::vec(any_step(), 0..60),
    ) {
        let mut cluster = if has_elr { Cluster::with_elr(3, 2) } else { Cluster::new(3) };
        for step in steps {
            match step {
                Step::Command(command) => {
                    // Refusals change nothing and write nothing.
                    let _answered = cluster.run(command);
                }
                Step::Join(id, clean) => cluster.restart(id, clean),
                Step::Dies(id) => cluster.fence(id),
                Step::CatchUp => cluster.catch_up(),
            }
            for topic in cluster.image.topics().iter() {
                for (_, partition) in topic.iter() {
                    let sound = check(partition, &cluster.image, has_elr);
                    prop_assert!(sound.is_ok(), "{:?}", sound);
                }
            }
        }
        let mut replayed = MetadataImage::empty();
        for record in &cluster.records {
            replayed.apply(record, &mut MetadataDelta::default()).unwrap();
        }
        replayed.set_position(cluster.image.offset(), 1);
        prop_assert_eq!(replayed, cluster.image);
    }
}
