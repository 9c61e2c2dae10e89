//! `min.insync.replicas` while eligible leader replicas are on (KIP-966).
//!
//! Who is eligible depends on the value, so all brokers and the controller must have the same one: it is kept as a
//! dynamic value of the whole cluster, which no broker may override and nobody may take away.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Layers;
use crate::metadata::{ConfigResource, ResourceType, Topic};
use crate::schema::metadata::{ConfigRecord, MetadataRecord, PartitionChangeRecord};
use crate::types::{ErrorCode, TopicId};

use super::super::command::ApiError;
use super::Facts;

/// The feature that turns it on from level 1.
pub(super) const FEATURE: &str = "eligible.leader.replicas.version";
const KEY: &str = "min.insync.replicas";

/// What a new cluster that begins with these records needs besides.
pub fn first_record(bootstrap: &[MetadataRecord], file: &Layers) -> Option<MetadataRecord> {
    let is_on = |record: &MetadataRecord| match record {
        MetadataRecord::FeatureLevel(feature) => feature.name == FEATURE && feature.feature_level > 0,
        _ => false,
    };
    let is_set = |record: &MetadataRecord| match record {
        MetadataRecord::Config(config) => {
            is_of_cluster(config) && config.name == KEY && config.value.is_some()
        }
        _ => false,
    };
    let missing = bootstrap.iter().any(is_on) && !bootstrap.iter().any(is_set);
    missing.then(|| record("", Some(file.number(KEY).to_string())))
}

/// What must be written before the feature is turned on in a cluster that had it off.
pub(super) fn before_turning_on(facts: &Facts<'_>) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    if !facts.image.configs().of(&ConfigResource::cluster()).contains_key(KEY) {
        records.push(record("", Some(facts.rules.layers.number(KEY).to_string())));
    }
    let brokers = facts.image.configs().iter().filter(|(resource, values)| {
        resource.kind == ResourceType::Broker && !resource.name.is_empty() && values.contains_key(KEY)
    });
    records.extend(brokers.map(|(resource, _)| record(&resource.name, None)));
    records
}

/// Refuses changes of configurations that would let brokers differ.
pub(super) fn check(facts: &Facts<'_>, changes: &[MetadataRecord]) -> Result<(), ApiError> {
    if facts.image.features().level(FEATURE) < 1 {
        return Ok(());
    }
    for change in changes {
        let MetadataRecord::Config(config) = change else { continue };
        if config.name != KEY || config.resource_type != ResourceType::Broker.code() {
            continue;
        }
        let why = match (is_of_cluster(config), &config.value) {
            (false, _) => "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
            (true, None) => "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
            (true, Some(_)) => continue,
        };
        return Err(ApiError::new(ErrorCode::InvalidConfig, why));
    }
    Ok(())
}

/// What must be written with changes of configurations. With a lower `min.insync.replicas` a leader acknowledges what those
/// do not have who were eligible under the higher one. Where nobody leads, nothing is acknowledged, and they stay.
pub(super) fn after_changes(facts: &Facts<'_>, changes: &[MetadataRecord]) -> Vec<MetadataRecord> {
    if facts.image.features().level(FEATURE) < 1 {
        return Vec::new();
    }
    let topics = facts.image.topics();
    let mut concerned: BTreeMap<TopicId, &Arc<Topic>> = BTreeMap::new();
    for change in changes {
        let MetadataRecord::Config(config) = change else { continue };
        if config.name != KEY {
            continue;
        }
        if config.resource_type == ResourceType::Topic.code() {
            concerned.extend(topics.get(&config.resource_name).map(|topic| (topic.id, topic)));
        } else {
            concerned.extend(topics.iter().map(|topic| (topic.id, topic)));
        }
    }
    let mut records = Vec::new();
    for topic in concerned.values() {
        let eligible = topic.iter().filter(|(_, p)| !p.elr.is_empty() && !p.isr.is_empty());
        records.extend(eligible.map(|(partition_id, _)| {
            let eligible_leader_replicas = Some(Vec::new());
            let topic_id = topic.id.0;
            let none = PartitionChangeRecord::default();
            PartitionChangeRecord { partition_id, topic_id, eligible_leader_replicas, ..none }.into()
        }));
    }
    records
}

fn is_of_cluster(config: &ConfigRecord) -> bool {
    config.resource_type == ResourceType::Broker.code() && config.resource_name.is_empty()
}

fn record(broker: &str, value: Option<String>) -> MetadataRecord {
    let (resource_type, resource_name) = (ResourceType::Broker.code(), broker.to_owned());
    ConfigRecord { resource_type, resource_name, name: KEY.to_owned(), value }.into()
}
