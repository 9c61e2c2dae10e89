//! Configuration: Kafka's keys, their layers, and typed views of them.
//!
//! A value comes from the strongest layer that has it: default < file < cluster-wide dynamic < per-broker dynamic, and
//! above these the topic's own (KIP-226). [`property`] holds what a key is, the tables hold the keys, [`layers`]
//! resolves them, [`file`] reads `server.properties`.
//!
//! Invariants: every key that Kafka knows is in a table; a key in a table either works or says why it has no effect; a
//! typed view is made only of values that passed the table's checks.

pub mod property;
pub mod topic;
pub mod values;

pub use property::{ConfigError, Property, Secret};
pub use topic::{CompressionType, Durability, TimestampType, TopicConfig};
