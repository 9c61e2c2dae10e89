//! The integration tests: one binary, a module per part of the server.

mod coordinator;
mod wire;
