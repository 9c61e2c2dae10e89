//! Where a value comes from: default < file < cluster-wide dynamic < per-broker dynamic < the topic's own.
//!
//! [`Layers`] are what one node knows of its own configuration; cloning shares. They answer what a key's value is, who
//! won and what stood behind (DescribeConfigs), and make the typed views. A stored dynamic value that is not valid, or
//! whose key may not change while running, counts as not set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::broker;
use super::client_metrics::CLIENT_METRICS_PROPERTIES;
use super::group::{self, GROUP_PROPERTIES};
use super::property::{ConfigError, Kind, Property, Update, Value};
use super::topic::{self, TOPIC_PROPERTIES, TopicConfig};
use super::values::Values;

/// Values by key, as stated.
pub type Props = BTreeMap<String, String>;

/// Who set a value. The numbers are those of DescribeConfigs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set dynamically on the broker.
    DynamicBroker = 2,
    /// Set dynamically for all brokers.
    DynamicDefaultBroker = 3,
    /// From the file or the command line.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
    /// Level of a logger.
    DynamicBrokerLogger = 6,
    /// Set on a client-metrics subscription.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

impl Source {
    /// The number in DescribeConfigs.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// A value that stands behind a key, and who set it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Synonym {
    /// The key that has it; may be another one than was asked for.
    pub name: String,
    /// `None` where it must not be shown.
    pub value: Option<String>,
    /// Who set it.
    pub source: Source,
}

/// One key as DescribeConfigs answers it.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// `None` for null and for what must not be shown.
    pub value: Option<String>,
    /// Who set it.
    pub source: Source,
    /// True if it cannot change while the node runs.
    pub read_only: bool,
    /// True if the value must not be shown.
    pub sensitive: bool,
    /// Everything that stands behind it, the strongest first; the winner is the first.
    pub synonyms: Vec<Synonym>,
    /// What the key is; `None` for a key that nobody knows.
    pub property: Option<&'static Property>,
}

impl Entry {
    /// The type's number in DescribeConfigs; 0 for a key that nobody knows.
    pub fn kind_code(&self) -> i8 {
        self.property.map_or(0, |p| p.kind.code())
    }

    /// What the key does; empty for a key that nobody knows.
    pub fn doc(&self) -> &'static str {
        self.property.map_or("", Property::doc)
    }
}

/// What one node knows of its own configuration.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    file: Arc<Props>,
    cluster: Arc<Props>,
    broker: Arc<Props>,
}

/// The other name of a key of which either sets both.
fn twin(key: &str) -> Option<&'static str> {
    match key {
        "node.id" => Some("broker.id"),
        "broker.id" => Some("node.id"),
        _ => None,
    }
}

/// Keys of different units that stand for one thing, the strongest first.
const UNIT_GROUPS: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];

impl Layers {
    /// Layers of which only the file's is set.
    pub fn new(file: Props) -> Layers {
        Layers { file: Arc::new(file), cluster: Arc::default(), broker: Arc::default() }
    }

    /// The same file under other dynamic values: those for all brokers, and those for this one.
    pub fn with_dynamic(&self, cluster: Props, broker: Props) -> Layers {
        Layers { file: Arc::clone(&self.file), cluster: Arc::new(cluster), broker: Arc::new(broker) }
    }

    /// What the file and the command line say.
    pub fn file(&self) -> &Props {
        &self.file
    }

    /// What the file and the command line say of a key.
    pub fn file_value(&self, key: &str) -> Option<&str> {
        self.file.get(key).map(String::as_str)
    }

    /// The strongest value that is set for a broker key, and who set it; `None` where the default holds.
    pub fn lookup(&self, key: &str) -> Option<(&str, Source)> {
        let mode = broker::update_mode(key).unwrap_or(Update::ReadOnly);
        let dynamic = |layer: &'_ Props| -> bool {
            let valid = |text: &String| broker::property(key).is_none_or(|p| p.parse(text).is_ok());
            layer.get(key).is_some_and(valid)
        };
        if mode != Update::ReadOnly && dynamic(&self.broker) {
            return self.broker.get(key).map(|v| (v.as_str(), Source::DynamicBroker));
        }
        if mode == Update::ClusterWide && dynamic(&self.cluster) {
            return self.cluster.get(key).map(|v| (v.as_str(), Source::DynamicDefaultBroker));
        }
        let own = self.file.get(key).or_else(|| self.file.get(twin(key)?));
        own.map(|v| (v.as_str(), Source::StaticBroker))
    }

    /// The value of a key for one listener: its own (`listener.name.<listener>.<key>`), or the general one.
    pub fn lookup_for_listener(&self, listener: &str, key: &str) -> Option<(&str, Source)> {
        let prefixed = format!("listener.name.{}.{key}", listener.to_ascii_lowercase());
        self.lookup(&prefixed).or_else(|| self.lookup(key))
    }

    /// Every broker key, parsed; the error of the first, by name, that is wrong or missing.
    pub(crate) fn broker_values(&self) -> Result<Values, ConfigError> {
        let set = |key: &str| self.lookup(key).map(|(text, _)| text);
        Values::try_of(broker::properties().iter().copied(), set).map_err(|error| match error {
            ConfigError::Missing { key, .. } => {
                let hint = " Without --config and --override, ottla starts as a single node.".to_owned();
                ConfigError::Missing { key, hint }
            }
            other => other,
        })
    }

    /// The number that a broker key has now; 0 for a key that is no number, or null.
    pub fn number(&self, key: &str) -> i64 {
        match broker::property(key).map(|property| self.broker_value(property)) {
            Some(Value::Number(n)) => n,
            other => {
                debug_assert_eq!(other, Some(Value::Null), "{key} is no number");
                0
            }
        }
    }

    /// A rate that brokers only have dynamically (see [`broker::DYNAMIC_ONLY`]), of this broker or of all; `None` if neither
    /// has it.
    pub fn dynamic_rate(&self, key: &str) -> Option<i64> {
        debug_assert!(broker::DYNAMIC_ONLY.contains(&key), "{key} is in the file");
        let own = self.broker.get(key).or_else(|| self.cluster.get(key))?;
        own.trim().parse().ok().filter(|rate| *rate >= 0)
    }

    /// True if a broker key is switched on now; false for a key that is no switch.
    pub fn boolean(&self, key: &str) -> bool {
        broker::property(key).is_some_and(|property| self.broker_value(property) == Value::Boolean(true))
    }

    fn broker_value(&self, property: &Property) -> Value {
        match self.lookup(property.name) {
            Some((text, _)) => property.parse(text).unwrap_or_else(|_| property.default_value()),
            None => property.default_value(),
        }
    }

    /// The value of a topic key that the topic does not set: that of the first broker key behind it that has one, in
    /// the topic key's unit.
    fn topic_fallback(&self, property: &Property) -> Value {
        for key in topic::broker_synonyms(property.name) {
            let Some(behind) = broker::property(key) else { continue };
            match in_milliseconds(key, self.broker_value(behind)) {
                Value::Null => {}
                // Kafka takes every negative retention for "for ever".
                Value::Number(n) if n < 0 && property.name == "retention.ms" => return Value::Number(-1),
                value => return value,
            }
        }
        property.default_value()
    }

    /// What a topic with these settings of its own obeys on this broker.
    pub fn topic(&self, own: &Props) -> TopicConfig {
        let mut values = Values::of(TOPIC_PROPERTIES, own);
        for property in TOPIC_PROPERTIES {
            if own.get(property.name).is_none_or(|text| property.parse(text).is_err()) {
                values.set(property.name, self.topic_fallback(property));
            }
        }
        TopicConfig::from_values(&values)
    }

    /// DescribeConfigs of this broker: every documented key, and the unknown ones of the file, ordered by name.
    pub fn broker_entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> =
            broker::properties().iter().filter(|p| !p.internal).map(|p| self.broker_entry(p)).collect();
        let unknown = self.file.keys().chain(self.broker.keys()).chain(self.cluster.keys());
        let mut names: Vec<&String> = unknown.filter(|key| broker::property(key).is_none()).collect();
        names.sort();
        names.dedup();
        entries.extend(names.into_iter().map(|key| self.unknown_entry(key)));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// DescribeConfigs of the brokers' common resource, the one without a name: what is set for all brokers.
    pub fn cluster_entries(&self) -> Vec<Entry> {
        let known = self.cluster.keys().map(|key| match broker::property(key) {
            Some(p) => self.broker_entry(p),
            None => self.unknown_entry(key),
        });
        let only_cluster = |mut entry: Entry| {
            entry.synonyms.retain(|s| s.source == Source::DynamicDefaultBroker);
            entry.source = Source::DynamicDefaultBroker;
            entry.value = if entry.sensitive { None } else { self.cluster.get(&entry.name).cloned() };
            entry
        };
        known.map(only_cluster).collect()
    }

    fn broker_entry(&self, property: &'static Property) -> Entry {
        let names: &[&'static str] = match UNIT_GROUPS.iter().find(|group| group.contains(&property.name)) {
            Some(group) => group,
            None => &[property.name],
        };
        let mut synonyms = self.synonyms(names);
        // What stands behind another unit's key does not stand behind this one before this one's own.
        let own = synonyms.iter().position(|s| s.name == property.name).unwrap_or(synonyms.len());
        synonyms.drain(..own);
        let value = text_of(&self.broker_value(property));
        Entry {
            name: property.name.to_owned(),
            value: if property.is_sensitive() { None } else { value },
            source: synonyms.first().map_or(Source::Default, |s| s.source),
            read_only: property.update == Update::ReadOnly,
            sensitive: property.is_sensitive(),
            synonyms,
            property: Some(property),
        }
    }

    /// A key that no table has: since nobody knows whether it is a secret, its value is not shown. The keys that only
    /// exist dynamically are known to be none.
    fn unknown_entry(&self, key: &str) -> Entry {
        let property = broker::split_listener_prefix(key).map(|(_, p)| p);
        let sensitive = !broker::DYNAMIC_ONLY.contains(&key) && property.is_none_or(Property::is_sensitive);
        let shown = |text: &String| if sensitive { None } else { Some(text.clone()) };
        let layers = [
            (&self.broker, Source::DynamicBroker),
            (&self.cluster, Source::DynamicDefaultBroker),
            (&self.file, Source::StaticBroker),
        ];
        let synonyms: Vec<Synonym> = layers
            .into_iter()
            .filter_map(|(layer, source)| {
                layer.get(key).map(|text| Synonym { name: key.to_owned(), value: shown(text), source })
            })
            .collect();
        Entry {
            name: key.to_owned(),
            value: synonyms.first().and_then(|s| s.value.clone()),
            source: synonyms.first().map_or(Source::Default, |s| s.source),
            read_only: broker::update_mode(key).is_none_or(|mode| mode == Update::ReadOnly),
            sensitive,
            synonyms,
            property,
        }
    }

    /// Everything that is set for the given keys, the strongest layer first and within a layer the first key first.
    fn synonyms(&self, names: &[&'static str]) -> Vec<Synonym> {
        let properties: Vec<&Property> = names.iter().filter_map(|name| broker::property(name)).collect();
        let mut found = Vec::new();
        let mut add = |p: &Property, text: &str, source| {
            let value = if p.is_sensitive() { None } else { Some(text.to_owned()) };
            found.push(Synonym { name: p.name.to_owned(), value, source });
        };
        let layers = [
            (&self.broker, Source::DynamicBroker, Update::PerBroker),
            (&self.cluster, Source::DynamicDefaultBroker, Update::ClusterWide),
            (&self.file, Source::StaticBroker, Update::ReadOnly),
        ];
        for (layer, source, least) in layers {
            for p in &properties {
                let may = match least {
                    Update::ReadOnly => true,
                    Update::PerBroker => p.update != Update::ReadOnly,
                    Update::ClusterWide => p.update == Update::ClusterWide,
                };
                let text = layer
                    .get(p.name)
                    .or_else(|| if source == Source::StaticBroker { layer.get(twin(p.name)?) } else { None });
                if let Some(text) = text.filter(|text| may && p.parse(text).is_ok()) {
                    add(p, text, source);
                }
            }
        }
        for p in &properties {
            if let Some(text) = p.default_text() {
                add(p, text, Source::Default);
            }
        }
        found
    }

    /// DescribeConfigs of a topic with these settings of its own, ordered by name.
    pub fn topic_entries(&self, own: &Props) -> Vec<Entry> {
        let described = TOPIC_PROPERTIES.iter().filter(|p| !p.internal);
        described
            .map(|p| {
                let set = own.get(p.name).and_then(|text| p.parse(text).ok());
                let value = set.clone().unwrap_or_else(|| self.topic_fallback(p));
                let names = topic::broker_synonyms(p.name);
                let mut behind = self.synonyms(names);
                // As with a broker's keys: another unit's key counts behind this unit's own.
                let own_unit =
                    behind.iter().position(|s| names.first().is_some_and(|first| s.name == *first));
                behind.drain(..own_unit.unwrap_or(behind.len()));
                own_entry(p, set, text_of(&value), behind, Source::Topic)
            })
            .collect()
    }

    /// The value that a group key has for a group with these settings of its own; null for a key that there is not.
    pub fn group_value(&self, own: &Props, key: &str) -> Value {
        let Some(property) = group::property(key) else { return Value::Null };
        let set = own.get(property.name).and_then(|text| property.parse(text).ok());
        set.unwrap_or_else(|| self.group_fallback(property))
    }

    fn group_fallback(&self, property: &Property) -> Value {
        match group::broker_synonym(property.name).and_then(broker::property) {
            Some(behind) => self.broker_value(behind),
            None => property.default_value(),
        }
    }

    /// DescribeConfigs of a group with these settings of its own, ordered by name.
    pub fn group_entries(&self, own: &Props) -> Vec<Entry> {
        let entry = |p: &'static Property| {
            let set = own.get(p.name).and_then(|text| p.parse(text).ok());
            let synonym = group::broker_synonym(p.name);
            let value = set.clone().unwrap_or_else(|| self.group_fallback(p));
            let own_default = || {
                let value = p.default_text().map(str::to_owned);
                value.map(|value| Synonym {
                    name: p.name.to_owned(),
                    value: Some(value),
                    source: Source::Default,
                })
            };
            let behind = match synonym {
                Some(name) => self.synonyms(&[name]),
                None => own_default().into_iter().collect(),
            };
            own_entry(p, set, text_of(&value), behind, Source::Group)
        };
        GROUP_PROPERTIES.iter().map(entry).collect()
    }
}

/// DescribeConfigs of a client-metrics subscription with these settings, ordered by name.
pub fn client_metrics_entries(own: &Props) -> Vec<Entry> {
    let entry = |p: &'static Property| {
        let set = own.get(p.name).and_then(|text| p.parse(text).ok());
        let value = text_of(&set.clone().unwrap_or_else(|| p.default_value()));
        own_entry(p, set, value, Vec::new(), Source::ClientMetrics)
    };
    CLIENT_METRICS_PROPERTIES.iter().map(entry).collect()
}

/// The entry of a key that a resource may set over what stands behind it.
fn own_entry(
    property: &'static Property,
    set: Option<Value>,
    value: Option<String>,
    mut synonyms: Vec<Synonym>,
    source: Source,
) -> Entry {
    if set.is_some() {
        synonyms.insert(0, Synonym { name: property.name.to_owned(), value: value.clone(), source });
    }
    Entry {
        name: property.name.to_owned(),
        value,
        source: synonyms.first().map_or(Source::Default, |s| s.source),
        read_only: false,
        sensitive: property.is_sensitive(),
        synonyms,
        property: Some(property),
    }
}

fn in_milliseconds(key: &str, value: Value) -> Value {
    let factor = match key {
        _ if key.ends_with(".hours") => 3_600_000,
        _ if key.ends_with(".minutes") => 60_000,
        _ => 1,
    };
    match value {
        Value::Number(n) => Value::Number(n.saturating_mul(factor)),
        other => other,
    }
}

/// A value as DescribeConfigs shows it, in Java's notation; `None` for null and for secrets.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Secret(_) => None,
        Value::Boolean(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        Value::Double(n) => Some(java_double(*n)),
        Value::Text(text) => Some(text.clone()),
        Value::List(list) => Some(list.join(",")),
    }
}

fn java_double(n: f64) -> String {
    let plain = n == 0.0 || (1e-3..1e7).contains(&n.abs()) || !n.is_finite();
    if plain {
        return match n {
            _ if n.is_nan() => "NaN".to_owned(),
            _ if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
            _ => format!("{n:?}"),
        };
    }
    let scientific = format!("{n:E}");
    match scientific.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => scientific,
    }
}

/// True if append and subtract make sense for a key of this type.
pub(crate) fn is_list(property: &Property) -> bool {
    property.kind == Kind::List
}

#[cfg(test)]
#[path = "layers_test.rs"]
mod tests;
