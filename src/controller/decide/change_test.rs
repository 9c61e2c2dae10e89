use super::super::test_cluster::{Cluster, topic};
use crate::controller::command::{Command, ElectionKind, Reply};
use crate::metadata::{ConfigResource, NO_LEADER};
use crate::schema::metadata::MetadataRecord;
use crate::types::{ErrorCode, NodeId};

const UNCLEAN: &str = "unclean.leader.election.enable";

#[test]
fn who_leaves_a_set_that_is_too_small_stays_eligible() {
    let mut cluster = Cluster::with_elr(3, 2);
    cluster.create_on(&[1, 2, 3]);
    cluster.fence(3);
    assert_eq!(cluster.shape(), (1, vec![1, 2], vec![]));
    cluster.fence(2);
    assert_eq!(cluster.shape(), (1, vec![1], vec![2]));
    cluster.fence(1);
    assert_eq!(cluster.shape(), (NO_LEADER, vec![], vec![2, 1]));
    assert_eq!(*cluster.partition().last_known_elr, [1]);
    // Who is not eligible does not lead.
    cluster.unfence(3);
    assert_eq!(cluster.shape(), (NO_LEADER, vec![], vec![2, 1]));
    cluster.unfence(2);
    assert_eq!(cluster.shape(), (2, vec![2], vec![1]));
    assert!(cluster.partition().last_known_elr.is_empty() && !cluster.partition().recovering);
    cluster.catch_up();
    assert_eq!(cluster.shape(), (2, vec![2, 3], vec![]));
}

#[test]
fn a_broker_that_was_not_shut_down_cleanly_is_not_trusted() {
    let mut cluster = Cluster::with_elr(3, 2);
    cluster.create_on(&[1, 2, 3]);
    // A clean stop: out of the set, and still eligible.
    cluster.fence(2);
    cluster.fence(3);
    cluster.register(3, true);
    assert_eq!(cluster.shape(), (1, vec![1], vec![3]));
    cluster.register(3, false);
    assert_eq!(cluster.shape(), (1, vec![1], vec![]));
    // It leads and is gone without a word: nobody is left, but whoever led last has most.
    cluster.register(1, false);
    assert_eq!(cluster.shape(), (NO_LEADER, vec![], vec![]));
    assert_eq!(*cluster.partition().last_known_elr, [1]);
    cluster.unfence(2);
    assert_eq!(cluster.partition().leader, NO_LEADER);
    cluster.unfence(1);
    assert_eq!(cluster.shape(), (1, vec![1], vec![]));
    let partition = cluster.partition();
    assert!(partition.recovering && partition.last_known_elr.is_empty());
    cluster.catch_up();
    assert!(!cluster.partition().recovering);
}

#[test]
fn without_eligible_replicas_the_last_in_sync_stays_in_sync() {
    let mut cluster = Cluster::new(2);
    cluster.create_on(&[1, 2]);
    cluster.fence(2);
    cluster.restart(1, false);
    assert_eq!(cluster.shape(), (1, vec![1], vec![]));
    cluster.fence(1);
    assert_eq!(cluster.shape(), (NO_LEADER, vec![1], vec![]));
    cluster.unfence(2);
    assert_eq!(cluster.partition().leader, NO_LEADER);
    assert_eq!(cluster.partition().leader_epoch, 3);
}

#[test]
fn a_lower_min_insync_replicas_ends_eligibility_where_somebody_leads() {
    for (resource, at_once) in [(ConfigResource::topic("t"), true), (ConfigResource::cluster(), false)] {
        let mut cluster = Cluster::with_elr(3, 3);
        cluster.create_on(&[1, 2, 3]);
        cluster.fence(3);
        assert_eq!(cluster.shape(), (1, vec![1, 2], vec![3]));
        if at_once {
            cluster.set(resource, "min.insync.replicas", "1");
            assert_eq!(cluster.shape(), (1, vec![1, 2], vec![]));
            continue;
        }
        cluster.fence(2);
        cluster.fence(1);
        cluster.set(resource, "min.insync.replicas", "1");
        assert_eq!(cluster.shape(), (NO_LEADER, vec![], vec![3, 2, 1]), "nobody acknowledges anything");
        cluster.unfence(3);
        assert_eq!(cluster.shape(), (3, vec![3], vec![]), "from now on it does");
    }
}

#[test]
fn any_replica_may_lead_where_that_is_allowed() {
    for of_cluster in [false, true] {
        let mut cluster = Cluster::new(2);
        cluster.create_on(&[1, 2]);
        cluster.fence(2);
        cluster.unfence(2);
        let resource = if of_cluster { ConfigResource::cluster() } else { ConfigResource::topic("t") };
        cluster.set(resource, UNCLEAN, "true");
        cluster.fence(1);
        assert_eq!(cluster.shape(), (2, vec![2], vec![]));
        assert!(cluster.partition().recovering);
        assert!(cluster.alter_isr("t", 0, &[2]).is_ok());
        assert!(!cluster.partition().recovering);
    }
}

#[test]
fn topics_that_allow_it_later_get_a_leader_later() {
    let mut cluster = Cluster::new(2);
    cluster.create_on(&[1, 2]);
    cluster.fence(2);
    cluster.unfence(2);
    cluster.fence(1);
    assert_eq!(cluster.partition().leader, NO_LEADER);
    let written = cluster.records.len();
    let none = Reply::Elections { more: false };
    assert_eq!(cluster.run(Command::ElectUncleanLeaders), Ok(none.clone()));
    assert_eq!(cluster.records.len(), written, "it is not allowed");
    cluster.set(ConfigResource::topic("t"), UNCLEAN, "true");
    assert_eq!(cluster.run(Command::ElectUncleanLeaders), Ok(none));
    assert_eq!(cluster.shape(), (2, vec![2], vec![]));
}

fn elect(cluster: &mut Cluster, kind: ElectionKind) -> Result<(), ErrorCode> {
    let partitions = Some(vec![("t".into(), vec![0])]);
    match cluster.run(Command::ElectLeaders { kind, partitions }).unwrap() {
        Reply::ElectLeaders(answers) => answers[0].1[0].1.clone().map_err(|error| error.code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn leaders_are_elected_on_request() {
    let mut cluster = Cluster::new(3);
    cluster.create_on(&[1, 2, 3]);
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred), Err(ErrorCode::ElectionNotNeeded));
    cluster.fence(1);
    let not_there = Err(ErrorCode::PreferredLeaderNotAvailable);
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred), not_there);
    cluster.unfence(1);
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred), not_there, "it is not in sync");
    cluster.catch_up();
    assert_eq!(elect(&mut cluster, ElectionKind::Preferred), Ok(()));
    assert_eq!(cluster.partition().leader, 1);

    assert_eq!(elect(&mut cluster, ElectionKind::Unclean), Err(ErrorCode::ElectionNotNeeded));
    cluster.alter_isr("t", 0, &[1]).unwrap();
    cluster.fence(1);
    assert_eq!(elect(&mut cluster, ElectionKind::Unclean), Ok(()));
    assert_eq!(cluster.shape(), (2, vec![2], vec![]));
    assert!(cluster.partition().recovering);
    cluster.fence(2);
    cluster.fence(3);
    let nobody = Err(ErrorCode::EligibleLeadersNotAvailable);
    assert_eq!(elect(&mut cluster, ElectionKind::Unclean), nobody);
}

#[test]
fn leadership_goes_back_a_thousand_partitions_at_a_time() {
    let mut cluster = Cluster::new(2);
    cluster.create(topic("many", 2100, 2)).unwrap();
    cluster.fence(1);
    cluster.unfence(1);
    let balance = |cluster: &mut Cluster| {
        let before = cluster.records.len();
        let reply = cluster.run(Command::BalanceLeaders).unwrap();
        (reply, cluster.records.len() - before)
    };
    assert_eq!(balance(&mut cluster), (Reply::Elections { more: false }, 0), "nobody is in sync yet");
    cluster.catch_up();
    assert_eq!(balance(&mut cluster), (Reply::Elections { more: true }, 1000));
    let (reply, count) = balance(&mut cluster);
    assert!(reply == Reply::Elections { more: false } && count < 1000 && count > 0, "{count}");
    assert_eq!(balance(&mut cluster), (Reply::Elections { more: false }, 0));
    let topic = cluster.image.topics().get("many").unwrap();
    assert!(topic.iter().all(|(_, p)| p.leader == p.replicas[0]));
}

#[test]
fn a_broker_that_shuts_down_is_let_go_when_the_others_know() {
    let mut cluster = Cluster::new(3);
    cluster.create_on(&[1, 2, 3]);
    cluster.create(topic("alone", 3, 1)).unwrap();
    let epoch = cluster.epoch(1);
    let shut_down = |cluster: &mut Cluster| match cluster.beat(1, epoch, false, true) {
        Reply::BrokerHeartbeat { is_fenced, should_shut_down, .. } => (is_fenced, should_shut_down),
        other => panic!("{other:?}"),
    };
    assert_eq!(shut_down(&mut cluster), (false, false));
    assert!(cluster.image.brokers().get(1).unwrap().in_controlled_shutdown);
    assert_eq!(cluster.shape(), (2, vec![2, 3], vec![]));
    let alone = cluster.image.topics().get("alone").unwrap();
    assert!(alone.iter().all(|(_, p)| p.leader == p.replicas[0]), "what only it has, it leads to the end");
    let written = cluster.records.len();
    assert_eq!(shut_down(&mut cluster), (false, false), "2 and 3 have not applied it");
    cluster.unfence(2);
    assert_eq!(shut_down(&mut cluster), (false, false), "3 has not");
    assert_eq!(cluster.records.len(), written);
    cluster.unfence(3);
    assert_eq!(shut_down(&mut cluster), (true, true));
    assert!(cluster.image.brokers().get(1).unwrap().fenced);
    // It comes back.
    cluster.join(1);
    let alone = cluster.image.topics().get("alone").unwrap();
    assert!(alone.iter().all(|(_, p)| p.leader == p.replicas[0]));
}

#[test]
fn who_leads_nothing_may_go_at_once() {
    let mut cluster = Cluster::new(2);
    cluster.create_on(&[1, 2]);
    let epoch = cluster.epoch(2);
    let reply = cluster.beat(2, epoch, false, true);
    assert_eq!(reply, Reply::BrokerHeartbeat { is_fenced: true, should_shut_down: true, lease_ms: -1 });
    assert_eq!(cluster.shape(), (1, vec![1], vec![]));
}

#[test]
fn the_leader_epoch_rises_with_a_smaller_set_only_in_old_clusters() {
    for (level, epoch) in [(11, 1), (12, 0)] {
        let mut cluster = Cluster::new(2);
        cluster.create_on(&[1, 2]);
        let record = crate::schema::metadata::FeatureLevelRecord {
            name: crate::metadata::features::METADATA_VERSION.into(),
            feature_level: level,
        };
        cluster.image.apply(&MetadataRecord::from(record), &mut Default::default()).unwrap();
        let isr: &[NodeId] = &[1];
        assert_eq!(cluster.alter_isr("t", 0, isr).unwrap().leader_epoch, epoch);
        assert_eq!(cluster.alter_isr("t", 0, &[1, 2]).unwrap().leader_epoch, epoch, "a larger one never");
    }
}
