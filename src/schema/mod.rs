//! Messages declared once: the records that Kafka's own topics hold, and what kafka-protocol lacks or lags
//! on. Pure.
//!
//! A declaration gives the type, its codec and its layout (see `macros.rs` for the grammar). Stored records
//! use `String`, for they are kept; messages of the wire use kafka-protocol's `StrBytes`, which points into
//! the request.
//!
//! Decoding is safe on hostile bytes by itself, see [`codec`].

#[macro_use]
mod macros;
pub mod codec;
pub mod consumer_protocol;
pub mod groups;
pub mod layout;
pub mod metadata;
pub mod quorum;
pub mod remote_log;
pub mod share_state;
pub mod transactions;
