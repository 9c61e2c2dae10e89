//! What concerns topics: where their partitions are, making and removing them.

mod metadata;

pub use metadata::Metadata;
