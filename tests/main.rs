//! The integration tests: one binary, a module per part of the server.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // Tests are outside of `Env`.

mod api_table;
mod coordinator;
#[cfg(feature = "sim")]
mod sim;
mod wire;
