//! The image as records: what a snapshot holds.
//!
//! Applying the records to an empty image gives the image back, so a snapshot is loaded by the code that reads the log.
//! Feature levels come first, since `metadata.version` says in which versions all else is written.

use uuid::Uuid;

use crate::schema::metadata::{self as records, MetadataRecord};

use super::brokers::{Broker, Controller, Endpoint, FeatureRange};
use super::image::MetadataImage;
use super::topics::{Partition, Topic};

/// The record that says all of a partition.
pub fn partition_record(topic_id: Uuid, partition_id: i32, partition: &Partition) -> MetadataRecord {
    let unless_empty = |nodes: &[i32]| (!nodes.is_empty()).then(|| nodes.to_vec());
    MetadataRecord::Partition(records::PartitionRecord {
        partition_id,
        topic_id,
        replicas: partition.replicas.to_vec(),
        isr: partition.isr.to_vec(),
        removing_replicas: partition.removing.to_vec(),
        adding_replicas: partition.adding.to_vec(),
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        directories: partition.directories.to_vec(),
        leader_recovery_state: i8::from(partition.recovering),
        eligible_leader_replicas: unless_empty(&partition.elr),
        last_known_elr: unless_empty(&partition.last_known_elr),
    })
}

fn topic_records(topic: &Topic) -> impl Iterator<Item = MetadataRecord> {
    let head = records::TopicRecord { name: topic.name.to_string(), topic_id: topic.id.0 };
    let partitions = topic.iter().map(|(index, partition)| partition_record(topic.id.0, index, partition));
    std::iter::once(MetadataRecord::Topic(head)).chain(partitions)
}

fn broker_record(broker: &Broker) -> MetadataRecord {
    let endpoint = |e: &Endpoint| records::BrokerEndpoint {
        name: e.listener.to_string(),
        host: e.host.to_string(),
        port: e.port,
        security_protocol: e.security_protocol,
    };
    let feature = |f: &FeatureRange| records::BrokerFeature {
        name: f.name.to_string(),
        min_supported_version: f.min,
        max_supported_version: f.max,
    };
    MetadataRecord::RegisterBroker(records::RegisterBrokerRecord {
        broker_id: broker.id,
        is_migrating_zk_broker: false,
        incarnation_id: broker.incarnation,
        broker_epoch: broker.epoch,
        end_points: broker.endpoints.iter().map(endpoint).collect(),
        features: broker.features.iter().map(feature).collect(),
        rack: broker.rack.as_ref().map(ToString::to_string),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: broker.log_dirs.clone(),
        cordoned_log_dirs: broker.cordoned_log_dirs.clone(),
    })
}

fn controller_record(controller: &Controller) -> MetadataRecord {
    let endpoint = |e: &Endpoint| records::ControllerEndpoint {
        name: e.listener.to_string(),
        host: e.host.to_string(),
        port: e.port,
        security_protocol: e.security_protocol,
    };
    let feature = |f: &FeatureRange| records::ControllerFeature {
        name: f.name.to_string(),
        min_supported_version: f.min,
        max_supported_version: f.max,
    };
    MetadataRecord::RegisterController(records::RegisterControllerRecord {
        controller_id: controller.id,
        incarnation_id: controller.incarnation,
        zk_migration_ready: controller.zk_migration_ready,
        end_points: controller.endpoints.iter().map(endpoint).collect(),
        features: controller.features.iter().map(feature).collect(),
    })
}

impl MetadataImage {
    /// The records that make this image out of an empty one, in an order in which they apply.
    pub fn to_records(&self) -> impl Iterator<Item = MetadataRecord> {
        let features = self.features.iter().map(|(name, level)| {
            MetadataRecord::FeatureLevel(records::FeatureLevelRecord {
                name: name.to_string(),
                feature_level: level,
            })
        });
        let controllers = self.controllers.iter().map(|c| controller_record(c));
        let brokers = self.brokers.iter().map(|b| broker_record(b));
        let topics = self.topics.iter().flat_map(|topic| topic_records(topic));
        let configs = self.configs.iter().flat_map(|(resource, values)| {
            values.iter().map(|(name, value)| {
                MetadataRecord::Config(records::ConfigRecord {
                    resource_type: resource.kind.code(),
                    resource_name: resource.name.to_string(),
                    name: name.to_string(),
                    value: Some(value.to_string()),
                })
            })
        });
        let quotas = self.quotas.iter().flat_map(|(entity, values)| {
            values.iter().map(|(key, value)| {
                let part =
                    |(kind, name): &(std::sync::Arc<str>, Option<std::sync::Arc<str>>)| records::EntityData {
                        entity_type: kind.to_string(),
                        entity_name: name.as_ref().map(ToString::to_string),
                    };
                MetadataRecord::ClientQuota(records::ClientQuotaRecord {
                    entity: entity.iter().map(part).collect(),
                    key: key.to_string(),
                    value: *value,
                    remove: false,
                })
            })
        });
        let producer_ids = self.producer_ids.last.iter().map(|last| {
            MetadataRecord::ProducerIds(records::ProducerIdsRecord {
                broker_id: last.broker,
                broker_epoch: last.broker_epoch,
                next_producer_id: last.next,
            })
        });
        let acls = self.acls.iter().map(|(id, acl)| {
            MetadataRecord::AccessControlEntry(records::AccessControlEntryRecord {
                id: *id,
                resource_type: acl.resource_type,
                resource_name: acl.resource_name.to_string(),
                pattern_type: acl.pattern_type,
                principal: acl.principal.to_string(),
                host: acl.host.to_string(),
                operation: acl.operation,
                permission_type: acl.permission_type,
            })
        });
        let scram = self.scram.iter().map(|((user, mechanism), credential)| {
            MetadataRecord::UserScramCredential(records::UserScramCredentialRecord {
                name: user.to_string(),
                mechanism: *mechanism,
                salt: credential.salt.to_vec().into(),
                stored_key: credential.stored_key.to_vec().into(),
                server_key: credential.server_key.to_vec().into(),
                iterations: credential.iterations,
            })
        });
        let tokens = self.tokens.iter().map(|(id, token)| {
            MetadataRecord::DelegationToken(records::DelegationTokenRecord {
                owner: token.owner.to_string(),
                requester: token.requester.to_string(),
                renewers: token.renewers.iter().map(ToString::to_string).collect(),
                issue_timestamp: token.issued,
                max_timestamp: token.max_timestamp,
                expiration_timestamp: token.expires,
                token_id: id.to_string(),
            })
        });
        features
            .chain(controllers)
            .chain(brokers)
            .chain(topics)
            .chain(configs)
            .chain(quotas)
            .chain(producer_ids)
            .chain(acls)
            .chain(scram)
            .chain(tokens)
    }
}
