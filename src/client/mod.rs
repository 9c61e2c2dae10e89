//! Calls to other nodes.
//!
//! [`Pool`] keeps a connection to each place that is called and makes a new one, with growing waits, where one was lost;
//! [`Connection`] carries calls that overlap. What comes back is as foreign as what clients send: its length is bounded
//! and the guard has seen it before anything decodes it. Nobody here tries a call again by itself, only the caller knows
//! whether that does harm; [`ToController`] is told, and looks for the active controller meanwhile.

mod backoff;
mod conn;
mod pool;
mod probe;
mod to_brokers;
mod to_controller;

use thiserror::Error;

pub use backoff::Backoff;
pub use conn::{Connection, ConnectionSettings};
pub use pool::{Peer, Pool};
pub use probe::is_refused;
pub use to_brokers::ToBrokers;
pub use to_controller::{Named, Place, Terms, ToController};

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// There is no connection and none could be made. Nothing was sent.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// No answer came in time. The request may have been carried out.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended. The request may have been carried out.
    #[error("the connection ended: {0}")]
    Lost(String),
    /// The answer cannot be read. The request may have been carried out.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The request cannot be written, a bug of whoever made it. Nothing was sent.
    #[error("the request cannot be written: {0}")]
    Encode(String),
}
