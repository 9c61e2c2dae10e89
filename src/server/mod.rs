//! Sockets: connections in, requests to `api`, answers out in the order in which they were asked for.
//!
//! A connection is one task. It owns a buffer only while a request is half read, starts requests in order, and writes
//! answers in order. Nothing here knows what a request means.

mod connection;
mod limits;
mod listener;
mod memory;
mod read_buffer;
mod response;

pub use connection::{ConnectionSettings, serve};
pub use limits::{ConnectionLimits, ConnectionPermit, Most};
pub use listener::{ListenerSettings, Server};
pub use memory::RequestMemory;
