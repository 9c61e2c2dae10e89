//! Consumer groups (KIP-848): the coordinator assigns, and leads each member there step by step.
//!
//! [`state`] is what the topic says of a group, [`member`] of a member, [`record`] how it stands there. A heartbeat or a
//! JoinGroup becomes a [`plan`]: what the member wants, the group's epoch, the [`target`] where the epoch asks for one,
//! and the member's next step towards it ([`reconcile`]). [`turn`] carries plans out with their deadlines. The requests
//! are [`heartbeat`], and for members that speak the classic protocol [`classic_members`]; [`convert`] takes whole groups
//! from one protocol to the other.

mod classic_members;
mod convert;
pub(super) mod describe;
pub(super) mod heartbeat;
pub mod live;
pub mod member;
pub(super) mod offsets;
mod plan;
mod protocol;
mod reconcile;
pub mod record;
mod regex;
mod settings;
pub mod state;
mod target;
pub(super) mod tombstones;
pub(super) mod turn;

pub use member::{Assigned, ClassicMember, Member, MemberState, Subscription};
pub use record::{Change, ConsumerRecord};
pub use state::{ConsumerGroup, State};
