//! The features that this release can do, as Apache Kafka 4.4 has them (KIP-584, KIP-1022).
//!
//! A level says what may be written and spoken in the cluster; whether an API is served is `api::registry`'s to say.

use super::versions::{METADATA_VERSION_MAX, METADATA_VERSION_MIN};

/// The feature that gates the metadata log and everything that came with it.
pub const METADATA_VERSION: &str = "metadata.version";
/// The feature that gates dynamic voters. Kept in the Raft log's control records, not in feature level records.
pub const KRAFT_VERSION: &str = "kraft.version";

/// A feature and its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    /// Its name.
    pub name: &'static str,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
    /// The level of a cluster that is formatted for this release.
    pub default: i16,
}

const fn feature(name: &'static str, min: i16, max: i16) -> SupportedFeature {
    SupportedFeature { name, min, max, default: max }
}

/// Every feature, by name.
pub static SUPPORTED: &[SupportedFeature] = &[
    feature("eligible.leader.replicas.version", 0, 1),
    feature("group.version", 0, 1),
    feature(KRAFT_VERSION, 0, 1),
    feature(METADATA_VERSION, METADATA_VERSION_MIN, METADATA_VERSION_MAX),
    feature("share.version", 0, 2),
    feature("streams.version", 0, 1),
    feature("transaction.version", 0, 2),
];

/// The feature of this name.
pub fn supported(name: &str) -> Option<&'static SupportedFeature> {
    SUPPORTED.iter().find(|feature| feature.name == name)
}
