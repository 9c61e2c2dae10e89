//! Checks of AlterConfigs and IncrementalAlterConfigs, and what they make of a resource's settings.
//!
//! Pure: what is stored goes in, what is to be stored comes out. Errors carry Kafka's code ([`ConfigError::code`]); a
//! broker's settings are refused with INVALID_REQUEST whatever is wrong with them, as Kafka does (KAFKA-13609).

use super::layers::{Layers, Props, is_list};
use super::property::{ConfigError, Property, Update, Value, one_line, split_list};
use super::{broker, client_metrics, group, topic};
use crate::types::ErrorCode;

/// A kind of resource that has settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// A topic.
    Topic,
    /// One broker.
    Broker,
    /// All brokers.
    AllBrokers,
    /// A group.
    Group,
    /// A client-metrics subscription.
    ClientMetrics,
}

/// What IncrementalAlterConfigs does with a key (KIP-339).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Gives it this value.
    Set(String),
    /// Takes its value away.
    Delete,
    /// Adds these members to its list.
    Append(String),
    /// Takes these members from its list.
    Subtract(String),
}

impl Resource {
    /// What the resource's key is; `None` if it has no such key.
    pub fn property(self, key: &str) -> Option<&'static Property> {
        match self {
            Resource::Topic => topic::property(key),
            Resource::Broker | Resource::AllBrokers => {
                broker::property(key).or_else(|| broker::split_listener_prefix(key).map(|(_, p)| p))
            }
            Resource::Group => group::property(key),
            Resource::ClientMetrics => client_metrics::property(key),
        }
    }
}

/// The settings that a resource has after `ops`, each key at most once. `current` is what it has now. Not yet
/// validated: that is [`validate`]'s part.
pub fn apply(
    layers: &Layers,
    resource: Resource,
    current: &Props,
    ops: &[(String, Op)],
) -> Result<Props, ConfigError> {
    let mut next = current.clone();
    for (at, (key, op)) in ops.iter().enumerate() {
        if ops[..at].iter().any(|(other, _)| other == key) {
            return Err(ConfigError::Request("Error due to duplicate config keys".to_owned()));
        }
        let changed = match op {
            Op::Set(value) => Some(value.clone()),
            Op::Delete => None,
            Op::Append(members) | Op::Subtract(members) => {
                let append = matches!(op, Op::Append(_));
                let Some(property) = resource.property(key).filter(|p| is_list(p)) else {
                    let verb = if append { "APPEND" } else { "SUBTRACT" };
                    let why = format!("Can't {verb} to key {key} because its type is not LIST.");
                    return Err(ConfigError::Conflict(why));
                };
                let mut list = match current.get(key) {
                    Some(text) => split_list(text),
                    None => inherited(layers, resource, property),
                };
                list.retain(|member| !member.is_empty());
                for member in split_list(members) {
                    match append {
                        true if list.contains(&member) => {}
                        true => list.push(member),
                        false => list.retain(|other| *other != member),
                    }
                }
                Some(list.join(","))
            }
        };
        match changed {
            Some(value) => next.insert(key.clone(), value),
            None => next.remove(key),
        };
    }
    Ok(next)
}

/// The list that a resource which sets none has.
fn inherited(layers: &Layers, resource: Resource, property: &'static Property) -> Vec<String> {
    let of_topic =
        || layers.topic_entries(&Props::new()).into_iter().find(|entry| entry.name == property.name);
    let text = match resource {
        Resource::Topic => of_topic().and_then(|entry| entry.value),
        Resource::Broker | Resource::AllBrokers => {
            layers.file_value(property.name).or(property.default_text()).map(str::to_owned)
        }
        Resource::Group | Resource::ClientMetrics => property.default_text().map(str::to_owned),
    };
    split_list(&text.unwrap_or_default())
}

/// Checks the settings that a resource is to have. `current` is what it has now: what does not change is not refused
/// for being read-only.
pub fn validate(
    layers: &Layers,
    resource: Resource,
    current: &Props,
    next: &Props,
) -> Result<(), ConfigError> {
    match resource {
        Resource::Topic => validate_topic(layers, next),
        Resource::Broker | Resource::AllBrokers => {
            validate_broker(layers, resource, current, next).map_err(|error| match error.code() {
                ErrorCode::InvalidRequest => error,
                _ => ConfigError::Request(error.to_string()),
            })
        }
        Resource::Group => validate_group(layers, next),
        Resource::ClientMetrics => {
            for (key, text) in next {
                let unknown = || {
                    ConfigError::Request(format!("Unknown client metrics configuration: {}", one_line(key)))
                };
                let p = client_metrics::property(key).ok_or_else(unknown)?;
                client_metrics::check(p, &p.parse(text)?)?;
            }
            Ok(())
        }
    }
}

/// Checks the settings that a topic is to have, as CreateTopics and the alterations do.
pub fn validate_topic(layers: &Layers, own: &Props) -> Result<(), ConfigError> {
    for (key, text) in own {
        topic::property(key)
            .ok_or_else(|| ConfigError::Unknown { resource: "topic", key: key.clone() })?
            .parse(text)?;
    }
    let config = layers.topic(own);
    config.validate()?;
    let tiered = layers
        .lookup("remote.log.storage.system.enable")
        .is_some_and(|(v, _)| v.eq_ignore_ascii_case("true"));
    if config.remote_storage_enable && !tiered {
        return Err(ConfigError::Conflict(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log \
             storage."
                .to_owned(),
        ));
    }
    Ok(())
}

fn validate_broker(
    layers: &Layers,
    resource: Resource,
    current: &Props,
    next: &Props,
) -> Result<(), ConfigError> {
    for (key, text) in next {
        if current.get(key) == Some(text) {
            continue;
        }
        if broker::DYNAMIC_ONLY.contains(&key.as_str()) {
            let why = match text.trim().parse::<i64>() {
                Ok(0..) => continue,
                Ok(_) => "Value must be at least 0".to_owned(),
                Err(_) => "Not a number of type LONG".to_owned(),
            };
            return Err(ConfigError::Value { key: key.clone(), value: one_line(text), why });
        }
        match broker::update_mode(key) {
            // A key that nobody knows is kept: a plug-in might ask for it.
            None => continue,
            Some(Update::ReadOnly) => return Err(ConfigError::ReadOnly(format!("[{key}]"))),
            Some(_) if broker::NOT_DYNAMIC_YET.contains(&key.as_str()) => {
                return Err(ConfigError::ReadOnly(format!("[{key}]")));
            }
            Some(Update::PerBroker) if key.starts_with("ssl.") => {
                return Err(ConfigError::Request(format!(
                    "These security configs can be dynamically updated only per-listener using the listener prefix: \
                     [{key}]"
                )));
            }
            Some(Update::PerBroker) if resource == Resource::AllBrokers => {
                return Err(ConfigError::Request(format!(
                    "Cannot update these configs at default cluster level, broker id must be specified: [{key}]"
                )));
            }
            Some(_) => {}
        }
        if let Some(property) = resource.property(key) {
            property.parse(text)?;
        }
    }
    // The values must go together with the rest of the node's.
    let combined = match resource {
        Resource::AllBrokers => layers.with_dynamic(next.clone(), Props::new()),
        _ => layers.with_dynamic(Props::new(), next.clone()),
    };
    broker::view::BrokerConfig::new(&combined).map(|_| ())
}

fn validate_group(layers: &Layers, next: &Props) -> Result<(), ConfigError> {
    for (key, text) in next {
        let property = group::property(key)
            .ok_or_else(|| ConfigError::Unknown { resource: "group", key: key.clone() })?;
        let Value::Number(n) = property.parse(text)? else { continue };
        let bounds = group::broker_bounds(key).map(|bound| {
            let value = |p: &'static Property| {
                let set = layers.lookup(p.name).and_then(|(text, _)| p.parse(text).ok());
                match set.unwrap_or_else(|| p.default_value()) {
                    Value::Number(limit) => Some((p.name, limit)),
                    _ => None,
                }
            };
            bound.and_then(value)
        });
        let why = match bounds {
            [Some((name, min)), _] if n < min => {
                format!("{key} must be greater than or equal to {name}")
            }
            [_, Some((name, max))] if n > max => {
                format!("{key} must be less than or equal to {name}")
            }
            _ => continue,
        };
        return Err(ConfigError::Conflict(why));
    }
    Ok(())
}

#[cfg(test)]
#[path = "alter_test.rs"]
mod tests;
