//! Configuration: Kafka's keys, their layers, and typed views of them.
//!
//! A value comes from the strongest layer that has it: default < file < cluster-wide dynamic < per-broker dynamic, and
//! above these the topic's own (KIP-226). [`property`] holds what a key is, the tables hold the keys, [`layers`]
//! resolves them, [`alter`] checks changes, [`file`] reads `server.properties`, [`directories`] knows whose data is where.
//!
//! Invariants: every key that Kafka knows is in a table; a key in a table either works or says why it has no effect; a
//! typed view is made only of values that passed the table's checks.

pub mod alter;
pub mod broker;
pub mod client_metrics;
pub mod directories;
pub mod docs;
pub mod endpoint;
pub mod file;
pub mod group;
pub mod layers;
pub mod property;
pub mod setup;
pub mod topic;
pub mod values;

pub use broker::view::{BrokerConfig, ListenerPrincipal, Voter};
pub use endpoint::{Endpoint, SecurityProtocol};
pub use layers::{Entry, Layers, Props, Source, Synonym};
pub use property::{ConfigError, Property, Secret};
pub use setup::{LogDirectory, Setup};
pub use topic::{CompressionType, Durability, ThrottledReplicas, TimestampType, TopicConfig};
