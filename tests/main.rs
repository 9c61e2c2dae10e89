//! The integration tests: one binary, a module per part of the server.

mod coordinator;
#[cfg(feature = "sim")]
mod sim;
mod wire;
