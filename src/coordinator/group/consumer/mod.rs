//! Consumer groups (KIP-848): the coordinator assigns, and leads each member there step by step.
//!
//! [`state`] is what the topic says of a group, [`member`] of a member, [`record`] how it stands there.

pub mod member;
pub(super) mod offsets;
pub mod record;
pub mod state;
pub(super) mod tombstones;

pub use member::{Assigned, ClassicMember, Member, MemberState, Subscription};
pub use record::{Change, ConsumerRecord};
pub use state::{ConsumerGroup, State};
