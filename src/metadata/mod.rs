//! The cluster as data: what the metadata log says, as an immutable value.
//!
//! [`MetadataImage`] is built by applying records in the log's order and by nothing else, so two nodes that applied the
//! same prefix hold equal images. It is persistent: a clone shares everything and costs a few pointers, and applying
//! a record copies only a path of O(log n). [`MetadataDelta`] says what changed between two images, collected while
//! applying. A snapshot is the image written as records.
//!
//! Everything here is pure. The log itself is `quorum`'s; who decides which records are written is `controller`.

pub mod acls;
pub mod apply;
pub mod brokers;
pub mod checkpoint_file;
pub mod configs;
pub mod delta;
pub mod features;
pub mod image;
pub mod producer_ids;
pub mod quotas;
pub mod scram;
pub mod snapshot;
pub mod supported;
pub mod tokens;
pub mod topics;
pub mod versions;

pub use apply::ApplyError;
pub use brokers::{Broker, Brokers, Controller, Controllers, Endpoint, FeatureRange};
pub use configs::{ConfigResource, Configs, ResourceType};
pub use delta::MetadataDelta;
pub use features::Features;
pub use image::MetadataImage;
pub use topics::{NO_LEADER, Partition, Topic, Topics};
