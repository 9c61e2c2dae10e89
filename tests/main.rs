//! The integration tests: one binary, a module per part of the server.

mod api_table;
mod coordinator;
#[cfg(feature = "sim")]
mod sim;
mod wire;
