use super::super::test_cluster::Cluster;
use super::*;
use crate::metadata::ConfigResource;

/// Replicas, those being added, those being taken away, in-sync replicas, leader.
type Shape = (Vec<NodeId>, Vec<NodeId>, Vec<NodeId>, Vec<NodeId>, NodeId);

fn shape(cluster: &Cluster) -> Shape {
    let p = cluster.partition();
    (p.replicas.to_vec(), p.adding.to_vec(), p.removing.to_vec(), p.isr.to_vec(), p.leader)
}

fn on(replicas: &[NodeId]) -> Cluster {
    let mut cluster = Cluster::new(5);
    cluster.create_on(replicas);
    cluster
}

#[test]
fn replicas_are_added_and_the_others_go_when_the_new_ones_are_in_sync() {
    let mut cluster = on(&[1, 2]);
    cluster.reassign(Some(&[3, 2])).unwrap();
    assert_eq!(shape(&cluster), (vec![3, 2, 1], vec![3], vec![1], vec![1, 2], 1));
    assert_eq!(cluster.partition().leader_epoch, 0, "nobody has to notice yet");
    let directories = cluster.partition().directories;
    assert_eq!(directories.iter().map(|d| d.as_u128()).collect::<Vec<_>>(), [1003, 1002, 1001]);
    // The leader is among those that go: it is told so.
    assert_eq!(cluster.alter_isr("t", 0, &[1, 2, 3]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(shape(&cluster), (vec![3, 2], vec![], vec![], vec![2, 3], 3));
    let partition = cluster.partition();
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (1, 2));
    assert_eq!(partition.directories.len(), 2);
}

#[test]
fn a_leader_that_stays_gets_a_new_epoch_when_others_go() {
    let mut cluster = on(&[1, 2]);
    cluster.reassign(Some(&[1, 4])).unwrap();
    // An in-sync set that is not whole ends nothing.
    assert_eq!(cluster.alter_isr("t", 0, &[1]).unwrap().partition_epoch, 2);
    assert!(cluster.partition().is_reassigning());
    let state = cluster.alter_isr("t", 0, &[1, 4]).unwrap();
    assert_eq!((state.leader, state.leader_epoch, state.isr), (1, 1, vec![1, 4]));
    assert_eq!(shape(&cluster), (vec![1, 4], vec![], vec![], vec![1, 4], 1));
}

#[test]
fn what_needs_nobody_new_is_done_at_once() {
    let mut cluster = on(&[1, 2, 3]);
    cluster.reassign(Some(&[2, 1, 3])).unwrap();
    assert_eq!(shape(&cluster), (vec![2, 1, 3], vec![], vec![], vec![1, 2, 3], 1));
    let directories = cluster.partition().directories;
    assert_eq!(directories.iter().map(|d| d.as_u128()).collect::<Vec<_>>(), [1002, 1001, 1003]);
    cluster.reassign(Some(&[3])).unwrap();
    assert_eq!(shape(&cluster), (vec![3], vec![], vec![], vec![3], 3));
    assert_eq!(cluster.partition().leader_epoch, 1);
    let epoch = cluster.partition().partition_epoch;
    cluster.reassign(Some(&[3])).unwrap();
    assert_eq!(cluster.partition().partition_epoch, epoch, "it is there already");
    // More replicas.
    cluster.reassign(Some(&[3, 4, 5])).unwrap();
    assert_eq!(shape(&cluster), (vec![3, 4, 5], vec![4, 5], vec![], vec![3], 3));
    cluster.catch_up();
    assert_eq!(shape(&cluster), (vec![3, 4, 5], vec![], vec![], vec![3, 4, 5], 3));
}

#[test]
fn a_replica_that_stays_and_is_behind_keeps_it_under_way() {
    let mut cluster = on(&[1, 2, 3]);
    cluster.alter_isr("t", 0, &[1]).unwrap();
    cluster.reassign(Some(&[2, 3])).unwrap();
    assert_eq!(shape(&cluster), (vec![2, 3, 1], vec![], vec![1], vec![1], 1));
    cluster.catch_up();
    assert_eq!(shape(&cluster), (vec![2, 3], vec![], vec![], vec![2, 3], 2));
}

#[test]
fn it_can_be_given_up() {
    let mut cluster = on(&[1, 2]);
    let none = cluster.reassign(None).unwrap_err();
    assert_eq!(none.code, ErrorCode::NoReassignmentInProgress);
    assert_eq!(none.message.as_deref(), Some("No partition reassignment is in progress."));
    cluster.reassign(Some(&[3, 4])).unwrap();
    cluster.alter_isr("t", 0, &[1, 2, 3]).unwrap();
    cluster.reassign(None).unwrap();
    assert_eq!(shape(&cluster), (vec![1, 2], vec![], vec![], vec![1, 2], 1));
    assert_eq!(cluster.partition().leader_epoch, 1, "3 and 4 have to notice");
}

#[test]
fn giving_up_loses_nothing_unless_that_is_allowed() {
    let mut cluster = on(&[1]);
    cluster.reassign(Some(&[2, 3])).unwrap();
    cluster.alter_isr("t", 0, &[1, 2]).unwrap();
    cluster.fence(1);
    assert_eq!(shape(&cluster), (vec![2, 3, 1], vec![2, 3], vec![1], vec![2], 2));
    let error = cluster.reassign(None).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(
        error.message.as_deref(),
        Some(
            "Unable to revert partition assignment for t:0 because it would require an unclean leader election."
        )
    );
    cluster.set(ConfigResource::topic("t"), "unclean.leader.election.enable", "true");
    cluster.reassign(None).unwrap();
    assert_eq!(shape(&cluster), (vec![1], vec![], vec![], vec![1], -1));
    cluster.unfence(1);
    assert_eq!(cluster.partition().leader, 1);
}

#[test]
fn a_new_one_takes_the_place_of_one_that_is_under_way() {
    let mut cluster = on(&[1, 2]);
    cluster.reassign(Some(&[3, 4])).unwrap();
    assert_eq!(shape(&cluster), (vec![3, 4, 1, 2], vec![3, 4], vec![1, 2], vec![1, 2], 1));
    cluster.reassign(Some(&[4, 5])).unwrap();
    assert_eq!(shape(&cluster), (vec![4, 5, 1, 2, 3], vec![5], vec![1, 2, 3], vec![1, 2], 1));
    // Nothing shall go any more.
    cluster.reassign(Some(&[1, 2, 3, 4, 5])).unwrap();
    assert_eq!(shape(&cluster), (vec![1, 2, 3, 4, 5], vec![5], vec![], vec![1, 2], 1));
    // Back to what it was, at once.
    cluster.reassign(Some(&[1, 2])).unwrap();
    assert_eq!(shape(&cluster), (vec![1, 2], vec![], vec![], vec![1, 2], 1));
    // Who was to be added still is, and the rest is as Kafka lists it.
    cluster.reassign(Some(&[1, 2, 3])).unwrap();
    cluster.reassign(Some(&[3, 2, 1])).unwrap();
    assert_eq!(shape(&cluster), (vec![3, 2, 1], vec![3], vec![], vec![1, 2], 1));
    cluster.catch_up();
    assert_eq!(shape(&cluster), (vec![3, 2, 1], vec![], vec![], vec![3, 2, 1], 1));
}

#[test]
fn what_cannot_be_is_refused_in_kafkas_words() {
    let mut cluster = on(&[1, 2]);
    let cases: [(&str, i32, &[NodeId], ErrorCode, &str); 6] = [
        ("x", 0, &[1], ErrorCode::UnknownTopicOrPartition, "Unable to find a topic named x."),
        ("t", 1, &[1], ErrorCode::UnknownTopicOrPartition, "Unable to find partition t:1."),
        ("t", -1, &[1], ErrorCode::UnknownTopicOrPartition, "Unable to find partition t:-1."),
        (
            "t",
            0,
            &[],
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            "t",
            0,
            &[1, 2, 1],
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            "t",
            0,
            &[1, 9],
            ErrorCode::InvalidReplicaAssignment,
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
    ];
    let before = cluster.partition();
    for (name, index, replicas, code, message) in cases {
        let error = cluster.reassign_some(name, index, Some(replicas), true).unwrap_err();
        assert_eq!((error.code, error.message.as_deref()), (code, Some(message)));
    }
    assert_eq!(cluster.partition(), before);
    // KIP-860.
    let error = cluster.reassign_some("t", 0, Some(&[1]), false).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidReplicationFactor);
    assert_eq!(error.message.as_deref(), Some("The replication factor is changed from 2 to 1"));
    cluster.reassign_some("t", 0, Some(&[3, 4]), false).unwrap();
    cluster.reassign_some("t", 0, Some(&[1, 5]), false).unwrap();
    assert!(cluster.reassign_some("t", 0, Some(&[1, 5, 4]), false).is_err());
}
