//! Messages declared once: the records that Kafka's own topics hold, and what kafka-protocol lacks or lags
//! on. Pure.
//!
//! # Which type to take
//!
//! Requests and responses come from [`api`], for every API. It is kafka-protocol's set with our own
//! [`messages`] in place of those that lag behind Apache Kafka 4.4; both sorts implement kafka-protocol's
//! traits and have the same field names and types. Where a handler may build either, `let mut x =
//! T::default(); x.field = …;` works with both.
//!
//! Records of internal topics are in [`metadata`], [`quorum`], [`groups`], [`transactions`],
//! [`share_state`] and [`remote_log`]. They use `String`, for they are kept; messages of the wire use
//! `StrBytes`, which points into the request.
//!
//! # How
//!
//! A declaration gives the type, its codec and its layout (see `macros.rs` for the grammar). Decoding our own
//! types is safe on hostile bytes by itself, see [`codec`]; kafka-protocol's decoder is not, and what meets
//! it has passed `wire::guard`, which walks [`requests`] and [`responses`].

#[macro_use]
pub(crate) mod macros;
pub mod api;
pub mod codec;
pub mod consumer_protocol;
pub mod groups;
pub mod layout;
pub mod messages;
pub mod metadata;
pub mod quorum;
pub mod remote_log;
pub mod requests;
pub mod responses;
pub mod share_state;
pub mod transactions;
