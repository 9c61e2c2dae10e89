//! The log on disk, and what is checked before bytes get there.

pub mod validate;
