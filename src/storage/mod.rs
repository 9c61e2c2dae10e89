//! The log on disk, and what is checked before bytes get there.

pub mod leader_epochs;
pub mod producer_state;
pub mod validate;
