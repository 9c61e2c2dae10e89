//! What concerns the cluster as a whole: versions, brokers, quorum, features, disks.

mod api_versions;

pub use api_versions::ApiVersions;
