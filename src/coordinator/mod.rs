//! State machines replayed from internal topics: the coordinators of groups, of share groups' positions and of
//! transactions.
//!
//! A coordinator is two halves. The pure half ([`shard`], [`group`], [`share`], [`txn`]) decides: state and a command in,
//! records and replies out. The other half ([`runtime`]) is written once for all of them: it queues, appends, replays, waits for the
//! high watermark, keeps the time and answers. [`routing`] says which partition, and so which broker, serves a key.
//!
//! This layer does not know that sockets or requests exist; it is reached from `api::groups`, and writes to a
//! [`runtime::PartitionLog`], which a partition that this broker leads is.

pub mod group;
pub mod led_partition;
pub mod routing;
pub mod runtime;

pub mod shard;
pub mod share;
pub mod txn;
