//! Applying records: the only writer of an image.
//!
//! The same code runs on every node and for every log, so its meaning is Kafka's and does not change: what a record
//! that is in some log does to the image is for ever. A record that does not fit (an unknown topic, a stale epoch) is
//! a bug of whoever wrote the log, or a log that is damaged; the error says what, and the caller stops.

use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;

use crate::schema::metadata::{self as records, MetadataRecord};
use crate::types::{BrokerEpoch, NodeId, PartitionIndex, TopicId};

use super::acls::Acl;
use super::brokers::{Broker, Controller, Endpoint, FeatureRange};
use super::configs::{ConfigResource, ResourceType};
use super::delta::MetadataDelta;
use super::image::MetadataImage;
use super::producer_ids::LastBlock;
use super::quotas::QuotaEntity;
use super::scram::ScramCredential;
use super::tokens::Token;
use super::topics::{Partition, directory};

/// Largest partition number that is taken from a log: far above what a cluster can hold, far below what would cost
/// memory by itself.
const PARTITION_INDEX_MAX: PartitionIndex = 10_000_000;

/// A record that does not fit the image it is applied to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The name or the id is taken.
    #[error("topic {name} with id {id} is there already, by its name or its id")]
    DuplicateTopic {
        /// The record's name.
        name: String,
        /// The record's id.
        id: TopicId,
    },
    /// No such topic.
    #[error("a {record} names the unknown topic {id}")]
    UnknownTopic {
        /// Kind of record.
        record: &'static str,
        /// The id it names.
        id: TopicId,
    },
    /// No such partition.
    #[error("a PartitionChangeRecord names the unknown partition {index} of topic {id}")]
    UnknownPartition {
        /// The topic.
        id: TopicId,
        /// The partition.
        index: PartitionIndex,
    },
    /// A number that no cluster has.
    #[error("a PartitionRecord of topic {id} has the impossible number {index}")]
    BadPartitionIndex {
        /// The topic.
        id: TopicId,
        /// The number.
        index: PartitionIndex,
    },
    /// No such broker, or not in this epoch.
    #[error("a {record} names broker {id} in epoch {epoch}, which is not registered so")]
    UnknownBroker {
        /// Kind of record.
        record: &'static str,
        /// The broker.
        id: NodeId,
        /// The epoch it names.
        epoch: BrokerEpoch,
    },
    /// No such thing.
    #[error("a {record} names {what}, which is not there")]
    Unknown {
        /// Kind of record.
        record: &'static str,
        /// What it names.
        what: String,
    },
    /// A number without a meaning.
    #[error("a {record} has the unknown value {value} as {field}")]
    BadValue {
        /// Kind of record.
        record: &'static str,
        /// The field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
}

/// What a "changed or not" byte of a BrokerRegistrationChangeRecord says.
fn change(field: &'static str, value: i8) -> Result<Option<bool>, ApplyError> {
    match value {
        -1 => Ok(Some(false)),
        0 => Ok(None),
        1 => Ok(Some(true)),
        _ => {
            Err(ApplyError::BadValue { record: "BrokerRegistrationChangeRecord", field, value: value.into() })
        }
    }
}

impl MetadataImage {
    /// Applies one record and notes in `delta` what it touched.
    ///
    /// Costs O(log n) of the cluster's size. After an error nothing has changed.
    pub fn apply(&mut self, record: &MetadataRecord, delta: &mut MetadataDelta) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::RegisterBroker(r) => self.register_broker(r, delta),
            MetadataRecord::UnregisterBroker(r) => {
                self.broker("UnregisterBrokerRecord", r.broker_id, r.broker_epoch, delta)?;
                self.brokers.remove(r.broker_id);
            }
            MetadataRecord::FenceBroker(r) => {
                self.broker("FenceBrokerRecord", r.id, r.epoch, delta)?.fenced = true;
            }
            MetadataRecord::UnfenceBroker(r) => {
                self.broker("UnfenceBrokerRecord", r.id, r.epoch, delta)?.fenced = false;
            }
            MetadataRecord::BrokerRegistrationChange(r) => {
                let fenced = change("fenced", r.fenced)?;
                let leaving = change("inControlledShutdown", r.in_controlled_shutdown)?;
                let record = "BrokerRegistrationChangeRecord";
                let broker = self.broker(record, r.broker_id, r.broker_epoch, delta)?;
                broker.fenced = fenced.unwrap_or(broker.fenced);
                broker.in_controlled_shutdown = leaving.unwrap_or(broker.in_controlled_shutdown);
                if !r.log_dirs.is_empty() {
                    broker.log_dirs = r.log_dirs.clone();
                }
                if let Some(cordoned) = &r.cordoned_log_dirs {
                    broker.cordoned_log_dirs = Some(cordoned.clone());
                }
            }
            MetadataRecord::RegisterController(r) => self.register_controller(r, delta),
            MetadataRecord::UnregisterController(r) => {
                if !self.controllers.remove(r.controller_id) {
                    let what = format!("controller {}", r.controller_id);
                    return Err(ApplyError::Unknown { record: "UnregisterControllerRecord", what });
                }
                delta.controllers.insert(r.controller_id);
            }
            MetadataRecord::Topic(r) => {
                let id = TopicId(r.topic_id);
                let name: crate::types::TopicName = (*r.name).into();
                if !self.topics.insert(name.clone(), id) {
                    return Err(ApplyError::DuplicateTopic { name: name.to_string(), id });
                }
                delta.topic_created(id, name);
            }
            MetadataRecord::RemoveTopic(r) => self.remove_topic(TopicId(r.topic_id), delta)?,
            MetadataRecord::Partition(r) => self.set_partition(r, delta)?,
            MetadataRecord::PartitionChange(r) => self.change_partition(r, delta)?,
            MetadataRecord::ClearElr(r) => self.clear_elr(&r.topic_name, delta)?,
            MetadataRecord::Config(r) => {
                let Some(kind) = ResourceType::from_code(r.resource_type) else {
                    let value = r.resource_type.into();
                    return Err(ApplyError::BadValue {
                        record: "ConfigRecord",
                        field: "resourceType",
                        value,
                    });
                };
                let resource = ConfigResource::new(kind, &*r.resource_name);
                self.configs.set(&resource, &r.name, r.value.as_deref());
                delta.configs.insert(resource);
            }
            MetadataRecord::FeatureLevel(r) => {
                self.features.set(&r.name, r.feature_level);
                delta.features = true;
            }
            MetadataRecord::ProducerIds(r) => {
                let (broker, broker_epoch, next) = (r.broker_id, r.broker_epoch, r.next_producer_id);
                self.producer_ids.last = Some(LastBlock { broker, broker_epoch, next });
                delta.producer_ids = true;
            }
            MetadataRecord::UserScramCredential(r) => {
                let credential = ScramCredential {
                    salt: (*r.salt).into(),
                    stored_key: (*r.stored_key).into(),
                    server_key: (*r.server_key).into(),
                    iterations: r.iterations,
                };
                self.scram.put(&r.name, r.mechanism, credential);
                delta.scram = true;
            }
            MetadataRecord::RemoveUserScramCredential(r) => {
                if !self.scram.remove(&r.name, r.mechanism) {
                    let what = format!("a credential of a user for mechanism {}", r.mechanism);
                    return Err(ApplyError::Unknown { record: "RemoveUserScramCredentialRecord", what });
                }
                delta.scram = true;
            }
            MetadataRecord::AccessControlEntry(r) => {
                let acl = Acl {
                    resource_type: r.resource_type,
                    resource_name: (*r.resource_name).into(),
                    pattern_type: r.pattern_type,
                    principal: (*r.principal).into(),
                    host: (*r.host).into(),
                    operation: r.operation,
                    permission_type: r.permission_type,
                };
                self.acls.put(r.id, acl);
                delta.acls = true;
            }
            MetadataRecord::RemoveAccessControlEntry(r) => {
                if !self.acls.remove(r.id) {
                    let what = format!("the access control entry {}", r.id);
                    return Err(ApplyError::Unknown { record: "RemoveAccessControlEntryRecord", what });
                }
                delta.acls = true;
            }
            MetadataRecord::ClientQuota(r) => {
                let mut entity: QuotaEntity = r
                    .entity
                    .iter()
                    .map(|part| ((*part.entity_type).into(), part.entity_name.as_deref().map(Arc::from)))
                    .collect();
                entity.sort();
                self.quotas.set(entity, &r.key, (!r.remove).then_some(r.value));
                delta.quotas = true;
            }
            MetadataRecord::DelegationToken(r) => {
                let token = Token {
                    owner: (*r.owner).into(),
                    requester: (*r.requester).into(),
                    renewers: r.renewers.iter().map(|renewer| Arc::from(&**renewer)).collect(),
                    issued: r.issue_timestamp,
                    max_timestamp: r.max_timestamp,
                    expires: r.expiration_timestamp,
                };
                self.tokens.put(&r.token_id, token);
                delta.tokens = true;
            }
            MetadataRecord::RemoveDelegationToken(r) => {
                if !self.tokens.remove(&r.token_id) {
                    let what = "a delegation token".to_owned();
                    return Err(ApplyError::Unknown { record: "RemoveDelegationTokenRecord", what });
                }
                delta.tokens = true;
            }
            // Nothing to say: the first is Kafka's heartbeat of the log, the second the end of a migration that every
            // log that can be read here has behind it, and transactions are the reader's business: it holds back what
            // lies between begin and end, and knows how to forget it.
            MetadataRecord::NoOp(_)
            | MetadataRecord::ZkMigrationState(_)
            | MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::AbortTransaction(_) => {}
        }
        Ok(())
    }

    fn broker(
        &mut self,
        record: &'static str,
        id: NodeId,
        epoch: BrokerEpoch,
        delta: &mut MetadataDelta,
    ) -> Result<&mut Broker, ApplyError> {
        match self.brokers.get_mut(id) {
            Some(broker) if broker.epoch == epoch => {
                delta.brokers.insert(id);
                Ok(broker)
            }
            _ => Err(ApplyError::UnknownBroker { record, id, epoch }),
        }
    }

    fn register_broker(&mut self, r: &records::RegisterBrokerRecord, delta: &mut MetadataDelta) {
        self.brokers.put(Broker {
            id: r.broker_id,
            epoch: r.broker_epoch,
            incarnation: r.incarnation_id,
            endpoints: r
                .end_points
                .iter()
                .map(|e| Endpoint {
                    listener: (*e.name).into(),
                    host: (*e.host).into(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                })
                .collect(),
            features: r
                .features
                .iter()
                .map(|f| FeatureRange {
                    name: (*f.name).into(),
                    min: f.min_supported_version,
                    max: f.max_supported_version,
                })
                .collect(),
            rack: r.rack.as_deref().map(Arc::from),
            fenced: r.fenced,
            in_controlled_shutdown: r.in_controlled_shutdown,
            log_dirs: r.log_dirs.clone(),
            cordoned_log_dirs: r.cordoned_log_dirs.clone(),
        });
        delta.brokers.insert(r.broker_id);
    }

    fn register_controller(&mut self, r: &records::RegisterControllerRecord, delta: &mut MetadataDelta) {
        self.controllers.put(Controller {
            id: r.controller_id,
            incarnation: r.incarnation_id,
            zk_migration_ready: r.zk_migration_ready,
            endpoints: r
                .end_points
                .iter()
                .map(|e| Endpoint {
                    listener: (*e.name).into(),
                    host: (*e.host).into(),
                    port: e.port,
                    security_protocol: e.security_protocol,
                })
                .collect(),
            features: r
                .features
                .iter()
                .map(|f| FeatureRange {
                    name: (*f.name).into(),
                    min: f.min_supported_version,
                    max: f.max_supported_version,
                })
                .collect(),
        });
        delta.controllers.insert(r.controller_id);
    }

    fn remove_topic(&mut self, id: TopicId, delta: &mut MetadataDelta) -> Result<(), ApplyError> {
        let unknown = ApplyError::UnknownTopic { record: "RemoveTopicRecord", id };
        let topic = self.topics.remove(id).ok_or(unknown)?;
        let resource = ConfigResource::topic(topic.name.clone());
        if self.configs.clear(&resource) {
            delta.configs.insert(resource);
        }
        delta.topic_deleted(id, topic.name.clone());
        Ok(())
    }

    fn set_partition(
        &mut self,
        r: &records::PartitionRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let (id, index) = (TopicId(r.topic_id), r.partition_id);
        if !(0..=PARTITION_INDEX_MAX).contains(&index) {
            return Err(ApplyError::BadPartitionIndex { id, index });
        }
        let partition = Partition {
            replicas: (&*r.replicas).into(),
            isr: (&*r.isr).into(),
            removing: (&*r.removing_replicas).into(),
            adding: (&*r.adding_replicas).into(),
            elr: r.eligible_leader_replicas.as_deref().unwrap_or_default().into(),
            last_known_elr: r.last_known_elr.as_deref().unwrap_or_default().into(),
            directories: directories(&r.directories, r.replicas.len()),
            leader: r.leader,
            leader_epoch: r.leader_epoch,
            partition_epoch: r.partition_epoch,
            recovering: recovering("PartitionRecord", r.leader_recovery_state)?,
        };
        if !self.topics.put_partition(id, index, partition) {
            return Err(ApplyError::UnknownTopic { record: "PartitionRecord", id });
        }
        delta.partition_changed(id, index);
        Ok(())
    }

    fn change_partition(
        &mut self,
        r: &records::PartitionChangeRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let (id, index) = (TopicId(r.topic_id), r.partition_id);
        if self.topics.get_by_id(id).is_none() {
            return Err(ApplyError::UnknownTopic { record: "PartitionChangeRecord", id });
        }
        let Some(before) = self.topics.any_partition(id, index) else {
            return Err(ApplyError::UnknownPartition { id, index });
        };
        let after = before.after(r)?;
        self.topics.put_partition(id, index, after);
        delta.partition_changed(id, index);
        Ok(())
    }

    /// Forgets the eligible leader replicas of one topic, or of all under the empty name. Epochs stay.
    fn clear_elr(&mut self, topic: &str, delta: &mut MetadataDelta) -> Result<(), ApplyError> {
        let topics: Vec<Arc<super::topics::Topic>> = if topic.is_empty() {
            self.topics.iter().cloned().collect()
        } else {
            let unknown = || ApplyError::Unknown {
                record: "ClearElrRecord",
                what: format!("topic {}", topic.escape_debug()),
            };
            vec![self.topics.get(topic).cloned().ok_or_else(unknown)?]
        };
        for topic in topics {
            for (index, partition) in topic.iter() {
                if partition.elr.is_empty() && partition.last_known_elr.is_empty() {
                    continue;
                }
                let cleared = Partition {
                    elr: Box::new([]),
                    last_known_elr: Box::new([]),
                    ..Partition::clone(partition)
                };
                self.topics.put_partition(topic.id, index, cleared);
                delta.partition_changed(topic.id, index);
            }
        }
        Ok(())
    }
}

impl Partition {
    /// The partition after a change. A record that names a leader raises the leader epoch, the same leader too.
    ///
    /// # Errors
    ///
    /// If the record has a value without a meaning.
    pub fn after(&self, r: &records::PartitionChangeRecord) -> Result<Partition, ApplyError> {
        /// "The leader did not change", which also leaves the leader epoch.
        const NO_LEADER_CHANGE: NodeId = -2;
        let mut after = self.clone();
        let replace = |field: &mut Box<[NodeId]>, with: &Option<Vec<NodeId>>| {
            if let Some(with) = with {
                *field = with.as_slice().into();
            }
        };
        replace(&mut after.isr, &r.isr);
        replace(&mut after.replicas, &r.replicas);
        replace(&mut after.removing, &r.removing_replicas);
        replace(&mut after.adding, &r.adding_replicas);
        replace(&mut after.elr, &r.eligible_leader_replicas);
        replace(&mut after.last_known_elr, &r.last_known_elr);
        let known = r.directories.as_deref().unwrap_or(&after.directories);
        after.directories = directories(known, after.replicas.len());
        if r.leader != NO_LEADER_CHANGE {
            after.leader = r.leader;
            after.leader_epoch = after.leader_epoch.saturating_add(1);
        }
        if r.leader_recovery_state != -1 {
            after.recovering = recovering("PartitionChangeRecord", r.leader_recovery_state)?;
        }
        after.partition_epoch = after.partition_epoch.saturating_add(1);
        Ok(after)
    }
}

/// One directory for each replica. Records from before directories had ids name none.
fn directories(told: &[Uuid], replicas: usize) -> Box<[Uuid]> {
    if told.len() == replicas {
        return told.into();
    }
    let filler = if told.is_empty() { directory::MIGRATING } else { directory::UNASSIGNED };
    (0..replicas).map(|i| told.get(i).copied().unwrap_or(filler)).collect()
}

fn recovering(record: &'static str, state: i8) -> Result<bool, ApplyError> {
    match state {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ApplyError::BadValue { record, field: "leaderRecoveryState", value: state.into() }),
    }
}
