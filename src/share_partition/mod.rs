//! The leader's side of share groups (KIP-932): who holds which records of the partitions that this broker leads.
//!
//! [`state`] decides, and is pure. A [`SharePartition`] is one partition for one group, with a task that loads its state
//! from the share coordinator, keeps what changes there, and takes records back whose locks have run out. A member's
//! [`session`] remembers what it fetches. [`SharePartitions`] has all of them. [`client`] is the way to share
//! coordinators, of this broker and of others; [`dead_letters`] writes what is given up to dead-letter queues.
//!
//! This layer does not know that requests exist: it is reached from `api::share`.

pub mod client;
pub mod dead_letters;
mod fetch;
mod letter;
mod manager;
mod messages;
mod partition;
pub mod session;
mod settings;
pub mod state;

pub use client::StateClient;
pub use dead_letters::DeadLetters;
pub use fetch::{Fetch, FetchFrom, Found};
pub use manager::SharePartitions;
pub use partition::SharePartition;
pub use settings::{GroupSettings, SettingsOf, settings_of};
