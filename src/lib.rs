//! ottla: a Kafka server.
//!
//! # The map
//!
//! A **produce** goes `server::connection` -> `wire::frame` -> `api::registry` -> `api::data::produce` ->
//! `replica::manager` -> `replica::partition` -> `storage::validate` -> `storage::log` -> `storage::segment`,
//! and for acks=all waits in `replica::purgatory` until the high watermark has passed it.
//!
//! A **metadata change** goes `api::topics::create_topics` -> `controller::service` -> `controller::decide` ->
//! `quorum::propose` -> commit -> `quorum::state_machine` -> `metadata::image` -> `metadata::delta` ->
//! `quorum::publish` -> `replica::roles` -> `storage::manager`.
//!
//! A **group request** goes `api::groups` -> `coordinator::routing` -> `coordinator::runtime` ->
//! `coordinator::group::shard` -> the log of `__consumer_offsets`.
//!
//! # Invariants
//!
//! * Layers point one way; the modules below stand in dependency order. `tests/tidy.rs` holds the table.
//! * State that must survive changes only in `replay`/`apply`; deciding and appending come before.
//! * Time, disk, network and chance enter through [`env::Env`]. Pure folders get them as arguments.
//! * Everything from a socket or a file is foreign: bounded before it costs memory, answered with Kafka's errors.

pub mod types;

pub mod config;
pub mod env;
pub mod schema;
pub mod telemetry;
pub mod wire;

pub mod metadata;
pub mod storage;

pub mod client;

pub mod quorum;

pub mod controller;
pub mod replica;

pub mod coordinator;
pub mod share_partition;

pub mod api;
pub mod server;

pub mod node;

pub mod cli;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
