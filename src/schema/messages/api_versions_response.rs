//! [`ApiVersionsResponse`].

use kafka_protocol::protocol::StrBytes;

message! {
    /// The APIs a node serves, and the features of the cluster (KIP-584).
    ApiVersionsResponse [0-5] flexible [3+] {
        error_code: i16, [0+];
        api_keys: Vec<ApiVersion>, [0+];
        throttle_time_ms: i32, [1+];
        supported_features: Vec<SupportedFeatureKey>, [3+], tag 0 [3+];
        finalized_features_epoch: i64, [3+], tag 1 [3+], default -1;
        finalized_features: Vec<FinalizedFeatureKey>, [3+], tag 2 [3+];
        zk_migration_ready: bool, [3+], tag 3 [3+];
    }
}

structure! {
    /// A part of [`ApiVersionsResponse`].
    ApiVersion {
        api_key: i16, [0+];
        min_version: i16, [0+];
        max_version: i16, [0+];
    }
}

structure! {
    /// A part of [`ApiVersionsResponse`].
    SupportedFeatureKey {
        name: StrBytes, [3+];
        min_version: i16, [3+];
        max_version: i16, [3+];
    }
}

structure! {
    /// A part of [`ApiVersionsResponse`].
    FinalizedFeatureKey {
        name: StrBytes, [3+];
        max_version_level: i16, [3+];
        min_version_level: i16, [3+];
    }
}

wire_message! { response ApiVersionsResponse, plain header }
