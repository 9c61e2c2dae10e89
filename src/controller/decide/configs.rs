//! Dynamic configuration: changed key by key, or replaced as a whole.

use std::collections::BTreeMap;

use crate::config::Props;
use crate::config::alter::{self, Op, Resource};
use crate::metadata::{ConfigResource, ResourceType};
use crate::schema::metadata::{ConfigRecord, MetadataRecord};
use crate::types::ErrorCode;

use super::super::command::{ApiError, ConfigChange, ConfigOp, Reply};
use super::topics::invalid_name;
use super::{Decision, Facts, elr};

pub(super) fn alter_incrementally(
    facts: &Facts<'_>,
    changes: &[(ConfigResource, Vec<ConfigChange>)],
    validate_only: bool,
) -> Result<Decision, ApiError> {
    finish(facts, changes, validate_only, |resource, changes| alter_one(facts, resource, changes))
}

pub(super) fn replace(
    facts: &Facts<'_>,
    configs: &[(ConfigResource, Vec<(String, Option<String>)>)],
    validate_only: bool,
) -> Result<Decision, ApiError> {
    finish(facts, configs, validate_only, |resource, values| replace_one(facts, resource, values))
}

fn finish<T>(
    facts: &Facts<'_>,
    wanted: &[(ConfigResource, T)],
    validate_only: bool,
    mut one: impl FnMut(&ConfigResource, &T) -> Result<Vec<MetadataRecord>, ApiError>,
) -> Result<Decision, ApiError> {
    let mut records = Vec::new();
    let mut answers = Vec::with_capacity(wanted.len());
    for (resource, what) in wanted {
        let answer = one(resource, what).map(|mut new_records| records.append(&mut new_records));
        answers.push((resource.clone(), answer));
    }
    if validate_only {
        records.clear();
    }
    records.extend(elr::after_changes(facts, &records));
    Ok(Decision { records, reply: Reply::AlterConfigs(answers) })
}

fn record(resource: &ConfigResource, name: &str, value: Option<&str>) -> MetadataRecord {
    ConfigRecord {
        resource_type: resource.kind.code(),
        resource_name: resource.name.to_string(),
        name: name.to_owned(),
        value: value.map(str::to_owned),
    }
    .into()
}

fn alter_one(
    facts: &Facts<'_>,
    resource: &ConfigResource,
    changes: &[ConfigChange],
) -> Result<Vec<MetadataRecord>, ApiError> {
    let current = current(facts, resource);
    let mut ops = Vec::with_capacity(changes.len());
    for ConfigChange { name, op, value } in changes {
        let op = match (op, value) {
            (ConfigOp::Delete, _) => Op::Delete,
            (ConfigOp::Set, Some(value)) => Op::Set(value.clone()),
            (ConfigOp::Append, Some(value)) => Op::Append(value.clone()),
            (ConfigOp::Subtract, Some(value)) => Op::Subtract(value.clone()),
            (ConfigOp::Set | ConfigOp::Append | ConfigOp::Subtract, None) => {
                let message = format!("Null value not supported for : {name}");
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        };
        ops.push((name.clone(), op));
    }
    let layers = facts.layers();
    let after = alter::apply(&layers, kind_of(resource)?, &current, &ops)?;
    validate(facts, resource, &after)?;
    must_exist(facts, resource)?;
    let mut records = Vec::new();
    for (name, _) in &ops {
        let (before, now) = (current.get(name), after.get(name));
        // A broker reloads what a key points to (a key store) also when the value stays.
        if before != now || resource.kind == ResourceType::Broker {
            records.push(record(resource, name, now.map(String::as_str)));
        }
    }
    elr::check(facts, &records)?;
    Ok(records)
}

fn current(facts: &Facts<'_>, resource: &ConfigResource) -> Props {
    facts.image.configs().props(resource)
}

/// The resource as configuration knows it.
fn kind_of(resource: &ConfigResource) -> Result<Resource, ApiError> {
    Ok(match resource.kind {
        ResourceType::Topic => Resource::Topic,
        ResourceType::Broker if resource.name.is_empty() => Resource::AllBrokers,
        ResourceType::Broker => Resource::Broker,
        ResourceType::Group => Resource::Group,
        ResourceType::ClientMetrics => Resource::ClientMetrics,
        ResourceType::BrokerLogger => {
            return Err(ApiError::new(ErrorCode::InvalidRequest, "Unknown resource type BROKER_LOGGER"));
        }
    })
}

fn replace_one(
    facts: &Facts<'_>,
    resource: &ConfigResource,
    values: &[(String, Option<String>)],
) -> Result<Vec<MetadataRecord>, ApiError> {
    let current = facts.image.configs().of(resource);
    let mut after = BTreeMap::new();
    let mut records = Vec::new();
    for (name, value) in values {
        let Some(value) = value else {
            let message = format!("Null value not supported for : {name}");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        };
        if after.insert(name.clone(), value.clone()).is_some() {
            let message = format!("Error due to duplicate config keys: {name}");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        let same = current.get(name.as_str()).is_some_and(|now| **now == **value);
        if !same || resource.kind == ResourceType::Broker {
            records.push(record(resource, name, Some(value)));
        }
    }
    for name in current.keys().filter(|name| !after.contains_key(&***name)) {
        records.push(record(resource, name, None));
    }
    validate(facts, resource, &after)?;
    must_exist(facts, resource)?;
    elr::check(facts, &records)?;
    Ok(records)
}

/// Only what is there can be configured; groups and client metrics may come later than their configuration.
fn must_exist(facts: &Facts<'_>, resource: &ConfigResource) -> Result<(), ApiError> {
    match resource.kind {
        ResourceType::Topic if facts.image.topics().get(&resource.name).is_none() => Err(ApiError::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{}' does not exist.", resource.name),
        )),
        ResourceType::Topic
        | ResourceType::Broker
        | ResourceType::BrokerLogger
        | ResourceType::ClientMetrics
        | ResourceType::Group => Ok(()),
    }
}

/// Checks the name of a resource and all values that it would have.
pub(super) fn validate(facts: &Facts<'_>, resource: &ConfigResource, values: &Props) -> Result<(), ApiError> {
    let request = |message: &str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    let kind = kind_of(resource)?;
    match kind {
        Resource::Topic => {
            if resource.name.is_empty() {
                return request("Default topic resources are not allowed.");
            }
            if let Some(why) = invalid_name(&resource.name) {
                return Err(ApiError::new(ErrorCode::InvalidTopicException, why));
            }
        }
        Resource::Broker => match resource.name.parse::<i32>() {
            Err(_) => return request("Unable to parse broker name as a base 10 number."),
            Ok(..0) => return request("Invalid negative broker ID."),
            Ok(_) => {}
        },
        Resource::AllBrokers => {}
        Resource::Group if resource.name.is_empty() => {
            return request("Default group resources are not allowed.");
        }
        Resource::ClientMetrics if resource.name.is_empty() => {
            return request("Subscription name can't be empty");
        }
        Resource::Group | Resource::ClientMetrics => {}
    }
    alter::validate(&facts.layers(), kind, &current(facts, resource), values)?;
    Ok(())
}
