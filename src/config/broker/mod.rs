//! The keys of a broker and controller, by area.
//!
//! The tables are concatenated; [`property`] finds a key in any of them. What the keys mean together is checked where
//! the typed view is made, in [`view`].

mod groups;
mod log;
mod metrics;
mod network;
mod node;
mod quorum;
mod replication;
mod security;
mod share;
mod tiered;
mod transactions;
pub mod view;

use std::sync::LazyLock;

use super::property::{Property, Update};

/// The tables, by the title they have in documentation.
pub static AREAS: &[(&str, &[Property])] = &[
    ("Node and directories", node::NODE),
    ("Network", network::NETWORK),
    ("Logs", log::LOG),
    ("Replication", replication::REPLICATION_KEYS),
    ("Metadata quorum", quorum::QUORUM),
    ("Groups", groups::GROUPS),
    ("Transactions", transactions::TRANSACTION_KEYS),
    ("Share groups", share::SHARE),
    ("Security", security::SECURITY),
    ("Tiered storage", tiered::TIERED_KEYS),
    ("Metrics and quotas", metrics::METRIC_KEYS),
];

static BY_NAME: LazyLock<Vec<&'static Property>> = LazyLock::new(|| {
    let mut all: Vec<&'static Property> = AREAS.iter().flat_map(|(_, table)| table.iter()).collect();
    all.sort_by_key(|p| p.name);
    all
});

/// Every key, ordered by name.
pub fn properties() -> &'static [&'static Property] {
    &BY_NAME
}

/// The property of a key; `None` if Kafka does not know it either. Listener prefixes are not looked through; see
/// [`split_listener_prefix`].
pub fn property(key: &str) -> Option<&'static Property> {
    BY_NAME.binary_search_by_key(&key, |p| p.name).ok().map(|at| BY_NAME[at])
}

/// Splits `listener.name.<listener>.<key>` into listener and key, where the rest names a key that listeners may have of
/// their own; a SASL mechanism may stand between (`listener.name.sasl_ssl.plain.sasl.jaas.config`).
pub fn split_listener_prefix(key: &str) -> Option<(&str, &'static Property)> {
    let (listener, rest) = key.strip_prefix("listener.name.")?.split_once('.')?;
    let own = |name: &str| property(name).filter(|p| listener_may_have(p.name));
    let found = own(rest).or_else(|| own(rest.split_once('.')?.1).filter(|p| p.name.starts_with("sasl.")))?;
    Some((listener, found))
}

fn listener_may_have(key: &str) -> bool {
    const SINGLE: &[&str] = &[
        "connections.max.reauth.ms",
        "max.connections",
        "max.connection.creation.rate",
        "num.network.threads",
        "principal.builder.class",
    ];
    key.starts_with("ssl.") || key.starts_with("sasl.") || SINGLE.contains(&key)
}

/// When a key may change; keys that carry a listener's prefix change for one broker at a time.
pub fn update_mode(key: &str) -> Option<Update> {
    if let Some(property) = property(key) {
        return Some(property.update);
    }
    let (_, property) = split_listener_prefix(key)?;
    Some(if property.update == Update::ReadOnly { Update::ReadOnly } else { Update::PerBroker })
}

/// Keys that only exist dynamically, on brokers (KIP-73); numbers from 0 up.
pub const DYNAMIC_ONLY: &[&str] = &[
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];

/// Keys that Kafka's brokers change while they run, and this one only by a new start: a change that would be taken and
/// not done is refused.
pub const NOT_DYNAMIC_YET: &[&str] = &["listener.security.protocol.map", "listeners"];

/// Keys of Kafka versions before 4.0 that are still found in files, with what to say about them.
pub const REMOVED: &[(&str, &str)] = &[
    ("control.plane.listener.name", "there is no ZooKeeper mode any more"),
    ("inter.broker.protocol.version", "the cluster's feature levels decide what is spoken"),
    ("inter.broker.protocol.version.auto", "the cluster's feature levels decide what is spoken"),
    ("log.message.downconversion.enable", "Kafka 4 converts no record formats"),
    ("log.message.format.version", "Kafka 4 knows one record format"),
    ("log.message.timestamp.difference.max.ms", "use log.message.timestamp.before.max.ms and .after.max.ms"),
    ("offsets.commit.required.acks", "offset commits are always acks=all"),
    ("zookeeper.connect", "there is no ZooKeeper any more"),
    ("zookeeper.connection.timeout.ms", "there is no ZooKeeper any more"),
    ("zookeeper.session.timeout.ms", "there is no ZooKeeper any more"),
];

/// Keys that Kafka's definition lacks but that plug-ins of Kafka's own read; known, without effect yet.
pub const PLUGIN_KEYS: &[(&str, &str)] =
    &[("allow.everyone.if.no.acl.found", security::AUTHORIZATION), ("super.users", security::AUTHORIZATION)];

#[cfg(test)]
#[path = "broker_test.rs"]
mod tests;
