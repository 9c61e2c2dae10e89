//! A cluster whose records are applied as they are decided, for tests.

use uuid::Uuid;

use super::{Facts, Rules, decide, elr};
use crate::config::{Layers, Props};
use crate::controller::command::*;
use crate::controller::liveness::Liveness;
use crate::metadata::features::METADATA_VERSION;
use crate::metadata::{
    ConfigResource, Endpoint, FeatureRange, MetadataDelta, MetadataImage, NO_LEADER, Partition,
};
use crate::schema::metadata::{FeatureLevelRecord, MetadataRecord};
use crate::types::{BrokerEpoch, ErrorCode, NodeId, PartitionIndex, Rng};

/// 4.3-IV0.
const LEVEL: i16 = 30;

pub(super) struct Cluster {
    pub(super) image: MetadataImage,
    pub(super) live: Liveness,
    pub(super) rules: Rules,
    pub(super) rng: Rng,
    pub(super) records: Vec<MetadataRecord>,
}

pub(super) fn topic(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic { name: name.into(), partitions, replication_factor, ..NewTopic::default() }
}

impl Cluster {
    /// Brokers from 1 on, all alive.
    pub(super) fn new(brokers: i32) -> Cluster {
        Cluster::with_levels(brokers, &[(METADATA_VERSION, LEVEL)])
    }

    /// The same with eligible leader replicas and this `min.insync.replicas`.
    pub(super) fn with_elr(brokers: i32, min_isr: i32) -> Cluster {
        let mut cluster = Cluster::with_levels(brokers, &[(METADATA_VERSION, LEVEL), (elr::FEATURE, 1)]);
        cluster.set(ConfigResource::cluster(), "min.insync.replicas", &min_isr.to_string());
        cluster
    }

    fn with_levels(brokers: i32, levels: &[(&str, i16)]) -> Cluster {
        let file = [
            ("process.roles", "controller"),
            ("node.id", "0"),
            ("controller.quorum.voters", "0@localhost:9093"),
            ("listeners", "CONTROLLER://localhost:9093"),
            ("controller.listener.names", "CONTROLLER"),
        ];
        let file = file.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let rules = Rules {
            node_id: 0,
            cluster_id: "c".into(),
            default_partitions: 1,
            default_replication_factor: 1,
            layers: Layers::new(Props::from(file)),
            features: Vec::new(),
        };
        let mut cluster = Cluster {
            image: MetadataImage::empty(),
            live: Liveness::new(1000),
            rules,
            rng: Rng::new(1),
            records: Vec::new(),
        };
        let level = |(name, level): &(&str, i16)| -> MetadataRecord {
            FeatureLevelRecord { name: (*name).to_owned(), feature_level: *level }.into()
        };
        cluster.apply(levels.iter().map(level).collect());
        for id in 1..=brokers {
            cluster.join(id);
        }
        cluster
    }

    fn apply(&mut self, records: Vec<MetadataRecord>) {
        let mut delta = MetadataDelta::default();
        for record in &records {
            self.image.apply(record, &mut delta).unwrap();
        }
        self.image.set_position(self.image.offset() + records.len() as i64, 1);
        self.records.extend(records);
    }

    pub(super) fn run(&mut self, command: Command) -> Result<Reply, ApiError> {
        let facts = Facts {
            image: &self.image,
            live: &self.live,
            now: 0,
            monotonic_ms: 0,
            next_offset: self.image.offset() + 1,
            rules: &self.rules,
        };
        let decision = decide(&facts, &command, &mut self.rng)?;
        self.apply(decision.records);
        self.live.note(&command, &decision.reply, &self.image, 0, self.rules.node_id);
        Ok(decision.reply)
    }

    /// A broker starts, after a clean stop if it was there before.
    pub(super) fn join(&mut self, id: NodeId) {
        self.restart(id, true);
    }

    /// A broker starts, and is alive.
    pub(super) fn restart(&mut self, id: NodeId, is_clean: bool) {
        let epoch = self.register(id, is_clean);
        self.beat(id, epoch, false, false);
    }

    /// A broker starts, and is fenced.
    pub(super) fn register(&mut self, id: NodeId, is_clean: bool) -> BrokerEpoch {
        self.live.forget(id);
        let endpoint =
            Endpoint { listener: "PLAINTEXT".into(), host: "h".into(), port: 9092, security_protocol: 0 };
        let feature = |name: &str, max| FeatureRange { name: name.into(), min: 0, max };
        let known = self.image.brokers().get(id).map(|broker| broker.epoch);
        let registration = BrokerRegistration {
            id,
            cluster_id: "c".into(),
            incarnation: self.rng.uuid(),
            endpoints: vec![endpoint],
            features: vec![feature(METADATA_VERSION, LEVEL), feature(elr::FEATURE, 1)],
            rack: None,
            log_dirs: vec![Uuid::from_u128(1000 + id as u128)],
            previous_epoch: known.filter(|_| is_clean).unwrap_or(-1),
        };
        match self.run(Command::RegisterBroker(registration)).unwrap() {
            Reply::RegisterBroker(epoch) => epoch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn epoch(&self, id: NodeId) -> BrokerEpoch {
        self.image.brokers().get(id).unwrap().epoch
    }

    pub(super) fn beat(
        &mut self,
        id: NodeId,
        epoch: BrokerEpoch,
        want_fence: bool,
        want_shut_down: bool,
    ) -> Reply {
        let current_offset = self.image.offset();
        let beat = BrokerHeartbeat { id, epoch, current_offset, want_fence, want_shut_down };
        self.run(Command::BrokerHeartbeat(beat)).unwrap()
    }

    /// A broker is heard that knows the cluster up to `current_offset`.
    pub(super) fn beat_knowing(&mut self, id: NodeId, current_offset: i64) -> Reply {
        let epoch = self.epoch(id);
        let beat = BrokerHeartbeat { id, epoch, current_offset, want_fence: false, want_shut_down: false };
        self.run(Command::BrokerHeartbeat(beat)).unwrap()
    }

    /// A broker's session ends, if it has one.
    pub(super) fn fence(&mut self, id: NodeId) {
        self.live.forget(id);
        if self.image.brokers().get(id).is_some() {
            let epoch = self.epoch(id);
            self.run(Command::FenceBroker { broker: id, epoch }).unwrap();
        }
    }

    /// A fenced broker is alive again.
    pub(super) fn unfence(&mut self, id: NodeId) {
        let epoch = self.epoch(id);
        self.beat(id, epoch, false, false);
    }

    pub(super) fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, ApiError> {
        match self.run(Command::CreateTopics { topics: vec![topic], validate_only: false })? {
            Reply::CreateTopics(mut answers) => answers.remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    /// A topic `t` of one partition on these brokers.
    pub(super) fn create_on(&mut self, replicas: &[NodeId]) {
        self.create(NewTopic { assignments: vec![(0, replicas.to_vec())], ..topic("t", -1, -1) }).unwrap();
    }

    /// Partition 0 of the topic `t`.
    pub(super) fn partition(&self) -> Partition {
        Partition::clone(self.image.topics().partition("t", 0).unwrap())
    }

    /// Its leader, in-sync and eligible replicas.
    pub(super) fn shape(&self) -> (NodeId, Vec<NodeId>, Vec<NodeId>) {
        let partition = self.partition();
        (partition.leader, partition.isr.to_vec(), partition.elr.to_vec())
    }

    pub(super) fn set(&mut self, resource: ConfigResource, name: &str, value: &str) {
        let change = ConfigChange { name: name.into(), op: ConfigOp::Set, value: Some(value.into()) };
        let changes = vec![(resource, vec![change])];
        match self.run(Command::IncrementalAlterConfigs { changes, validate_only: false }).unwrap() {
            Reply::AlterConfigs(answers) => assert_eq!(answers[0].1, Ok(())),
            other => panic!("{other:?}"),
        }
    }

    /// The leader of a partition asks for an in-sync set.
    pub(super) fn alter_isr(
        &mut self,
        name: &str,
        index: PartitionIndex,
        isr: &[NodeId],
    ) -> Result<PartitionState, ErrorCode> {
        let topic = self.image.topics().get(name).unwrap().clone();
        let partition = topic.partition(index).unwrap();
        let change = IsrChange {
            topic: topic.id,
            partition: index,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            isr: isr.iter().map(|id| (*id, self.epoch(*id))).collect(),
            recovering: false,
        };
        let (broker, epoch) = (partition.leader, self.epoch(partition.leader));
        match self.run(Command::AlterPartition { broker, epoch, partitions: vec![change] }).unwrap() {
            Reply::AlterPartition(mut answers) => answers.remove(0).2,
            other => panic!("{other:?}"),
        }
    }

    /// Every leader takes in all replicas that are alive.
    pub(super) fn catch_up(&mut self) {
        for topic in self.image.clone().topics().iter() {
            for (index, partition) in topic.iter().filter(|(_, p)| p.leader != NO_LEADER) {
                let alive = partition.replicas.iter().copied().filter(|id| self.image.is_active(*id));
                let isr: Vec<NodeId> = alive.collect();
                match self.alter_isr(&topic.name, index, &isr) {
                    Ok(_) | Err(ErrorCode::NewLeaderElected) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }

    /// Asks to move partition 0 of the topic `t`, or to give that up.
    pub(super) fn reassign(&mut self, replicas: Option<&[NodeId]>) -> Result<(), ApiError> {
        self.reassign_some("t", 0, replicas, true)
    }

    pub(super) fn reassign_some(
        &mut self,
        name: &str,
        partition: PartitionIndex,
        replicas: Option<&[NodeId]>,
        allow_replication_factor_change: bool,
    ) -> Result<(), ApiError> {
        let wanted = Reassignment { partition, replicas: replicas.map(<[NodeId]>::to_vec) };
        let topics = vec![(name.into(), vec![wanted])];
        let command = Command::AlterPartitionReassignments { topics, allow_replication_factor_change };
        match self.run(command)? {
            Reply::AlterPartitionReassignments(mut answers) => answers.remove(0).1.remove(0).1,
            other => panic!("{other:?}"),
        }
    }
}
