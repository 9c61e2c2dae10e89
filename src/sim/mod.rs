//! Deterministic simulation: the outside world as values that one seed decides.
//!
//! [`clock`], [`disk`] and [`net`] stand in for the parts of [`crate::env::Env`]; [`node`] is a machine with
//! a real [`crate::node::Node`] on it. [`runner`] does what [`options`] says: clients of [`workload`] at work
//! while the machine loses power, is killed and runs out of disk; [`model`] writes down what clients were
//! promised and saw, and asks every one of [`checkers`]. Nothing in the product imports it, and nothing in
//! the product knows that it runs on it.
//!
//! The same seed gives the same run, to the byte of its trace: one thread, virtual time, tokio's scheduler
//! seeded, every generator split from the seed.

#[cfg(not(tokio_unstable))]
compile_error!("the simulator seeds tokio's scheduler: build with --cfg tokio_unstable");

pub mod checkers;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod cluster_options;
pub mod disk;
pub mod images;
pub mod logs;
pub mod model;
pub mod net;
pub mod node;
pub mod options;
pub mod route;
pub mod runner;
pub mod sabotage;
pub mod storage;
pub mod workload;

#[cfg(test)]
#[path = "voters_test.rs"]
mod voters;
