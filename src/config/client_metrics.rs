//! The keys of a client-metrics subscription (resource type CLIENT_METRICS, KIP-714).

use super::property::{ConfigError, Property, Value, one_line, properties};

const TELEMETRY: &str = "client telemetry is not there yet";

properties! {
    /// Every key of the resource type CLIENT_METRICS, ordered by name.
    pub CLIENT_METRICS_PROPERTIES;

    /// How often clients push, from 100 to 3600000.
    "interval.ms", Int, Is("300000"), Any, Medium, ClusterWide, ignored: TELEMETRY;
    /// Which clients push, as `selector=pattern` separated by commas; empty for every client.
    "match", List, Is(""), Any, Medium, ClusterWide, ignored: TELEMETRY;
    /// What clients push, as prefixes of metric names; `*` for everything.
    "metrics", List, Is(""), Any, Medium, ClusterWide, ignored: TELEMETRY;
}

/// What clients can be chosen by.
const SELECTORS: &[&str] = &[
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// The property of a client-metrics key.
pub fn property(key: &str) -> Option<&'static Property> {
    CLIENT_METRICS_PROPERTIES.iter().find(|p| p.name == key)
}

/// Checks what a type and a bound cannot say. `value` is of the property.
pub(crate) fn check(property: &Property, value: &Value) -> Result<(), ConfigError> {
    match (property.name, value) {
        ("interval.ms", Value::Number(n)) if !(100..=3_600_000).contains(n) => {
            Err(ConfigError::Request(format!(
                "Invalid value {n} for {}, interval must be between 100 and 3600000 (1 hour)",
                property.name
            )))
        }
        ("match", Value::List(list)) => {
            for entry in list {
                match entry.split_once('=') {
                    Some((selector, pattern))
                        if SELECTORS.contains(&selector.trim()) && !pattern.is_empty() => {}
                    _ => {
                        let why = format!("Illegal client matching pattern: {}", one_line(entry));
                        return Err(ConfigError::Conflict(why));
                    }
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
