//! Classic groups, live: who is in, who is awaited, what generation stands.
//!
//! A group goes Empty -> PreparingRebalance (members join) -> CompletingRebalance (all are told the generation, the
//! leader assigns) -> Stable, and back to PreparingRebalance whenever something changes. Only two things reach the
//! topic: a generation once its leader has assigned, and an empty group. In between the live group is ahead of its
//! record; a crash then falls back to the generation before, and members find out by ILLEGAL_GENERATION.
//!
//! [`group`] holds the state and its elementary changes; the files beside it are the requests and timeouts.

pub mod group;
mod join;
mod leave;
pub mod member;
mod rebalance;
mod sync;

use std::sync::Arc;

pub use group::{ClassicGroup, State};
pub use member::Member;

use super::config::GroupConfigs;
use super::shard::GroupShard;
use super::timers::Timers;
use crate::coordinator::shard::{Cx, Output};

/// Id of a member, made by the coordinator; empty where a request has none.
pub type MemberId = Arc<str>;

/// What a step of a group's life may use.
pub(super) struct Step<'a, 'c> {
    pub(super) timers: &'a mut Timers,
    pub(super) cx: &'a mut Cx<'c, GroupConfigs>,
    pub(super) out: &'a mut Output<GroupShard>,
}
