//! Deterministic simulation: the outside world as values that one seed decides.
//!
//! What is here stands in for the parts of [`crate::env::Env`]. Nothing in the product imports it, and
//! nothing in the
//! product knows that it runs on it.

pub mod disk;
pub mod storage;
