//! What a node tells of itself.

pub mod log_level;
