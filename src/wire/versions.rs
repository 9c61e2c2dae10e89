//! Kafka 4.4's API keys: names, valid versions, and which versions are flexible (KIP-482).
//!
//! The table is what Apache Kafka has, not what we serve; the registry of APIs narrows it. It is our own
//! because kafka-protocol's is wrong where its decoders lag.

use crate::schema::layout::Versions;
use crate::schema::macros::versions;

/// An API of Kafka 4.4, or one that Kafka 4.0 removed.
#[derive(Clone, Copy, Debug)]
pub struct ApiVersion {
    /// The API's key.
    pub key: i16,
    /// Its name, as in `Produce`.
    pub name: &'static str,
    /// The valid versions of request and response; empty if the API was removed. Unstable ones are left out.
    pub versions: Versions,
    /// The flexible versions of request and response.
    pub flexible: Versions,
}

/// Key of Produce, the only API that is advertised from a version on that is not served.
pub const PRODUCE: i16 = 0;
/// Key of ApiVersions, which has rules of its own.
pub const API_VERSIONS: i16 = 18;

impl ApiVersion {
    /// Whether `version` is valid in Kafka 4.4.
    pub const fn supports(&self, version: i16) -> bool {
        self.versions.has(version)
    }

    /// The version of the header before a request of `version`: 2 if flexible, otherwise 1.
    ///
    /// For a version that is not known the newest rule holds, so that a client's question for ApiVersions
    /// can be answered whatever it asked in (KIP-511).
    pub const fn request_header_version(&self, version: i16) -> i16 {
        if self.flexible.has(version) { 2 } else { 1 }
    }

    /// The version of the header before a response of `version`: 1 if flexible, otherwise 0; always 0 for
    /// ApiVersions, whose reader does not know yet what we speak (KIP-511).
    pub const fn response_header_version(&self, version: i16) -> i16 {
        if self.key != API_VERSIONS && self.flexible.has(version) { 1 } else { 0 }
    }

    /// The range to advertise in ApiVersions where `served` is what we serve.
    ///
    /// Produce is advertised from 0 on: old librdkafka takes a higher minimum for a broker without message
    /// sets (KAFKA-18659). Versions below the range are refused when used.
    pub const fn advertised(&self, served: Versions) -> Versions {
        if self.key == PRODUCE { Versions::new(0, served.max) } else { served }
    }
}

/// The entry of `key`; `None` if Kafka never had it. A removed API has an entry whose versions are empty.
#[inline]
pub fn api(key: i16) -> Option<&'static ApiVersion> {
    usize::try_from(key).ok().and_then(|at| APIS.get(at))
}

/// The entry of `key`, be it Kafka's or one of our own calls.
#[inline]
pub fn known(key: i16) -> Option<&'static ApiVersion> {
    api(key).or_else(|| PRIVATE_APIS.iter().find(|api| api.key == key))
}

/// The first key of our own calls, far from Kafka's.
pub const PRIVATE_FROM: i16 = 10_000;

const fn private(key: i16, name: &'static str) -> ApiVersion {
    ApiVersion { key, name, versions: Versions::new(0, 0), flexible: Versions::new(0, i16::MAX) }
}

/// Calls of ours between the nodes of a cluster. They are in no ApiVersions.
pub const PRIVATE_APIS: &[ApiVersion] = &[
    private(10_000, "RaftVote"),
    private(10_001, "RaftAppendEntries"),
    private(10_002, "RaftSnapshot"),
    private(10_003, "RaftTransferLeader"),
    private(10_010, "ReplicaSynced"),
];

macro_rules! apis {
    ($($key:literal => $name:ident [$($v:tt)+] flexible [$($f:tt)+];)*) => {
        /// All APIs, each at the index that is its key.
        pub const APIS: &[ApiVersion] = &[$(ApiVersion {
            key: $key,
            name: stringify!($name),
            versions: versions!($($v)+),
            flexible: versions!($($f)+),
        }),*];
    };
}

apis! {
    0 => Produce [3-13] flexible [9+];
    1 => Fetch [4-18] flexible [12+];
    2 => ListOffsets [1-11] flexible [6+];
    3 => Metadata [0-13] flexible [9+];
    4 => LeaderAndIsr [none] flexible [none];
    5 => StopReplica [none] flexible [none];
    6 => UpdateMetadata [none] flexible [none];
    7 => ControlledShutdown [none] flexible [none];
    8 => OffsetCommit [2-10] flexible [8+];
    9 => OffsetFetch [1-10] flexible [6+];
    10 => FindCoordinator [0-6] flexible [3+];
    11 => JoinGroup [0-9] flexible [6+];
    12 => Heartbeat [0-4] flexible [4+];
    13 => LeaveGroup [0-5] flexible [4+];
    14 => SyncGroup [0-5] flexible [4+];
    15 => DescribeGroups [0-6] flexible [5+];
    16 => ListGroups [0-5] flexible [3+];
    17 => SaslHandshake [0-1] flexible [none];
    18 => ApiVersions [0-5] flexible [3+];
    19 => CreateTopics [2-7] flexible [5+];
    20 => DeleteTopics [1-6] flexible [4+];
    21 => DeleteRecords [0-2] flexible [2+];
    22 => InitProducerId [0-5] flexible [2+];
    23 => OffsetForLeaderEpoch [2-4] flexible [4+];
    24 => AddPartitionsToTxn [0-5] flexible [3+];
    25 => AddOffsetsToTxn [0-4] flexible [3+];
    26 => EndTxn [0-5] flexible [3+];
    27 => WriteTxnMarkers [1-2] flexible [1+];
    28 => TxnOffsetCommit [0-6] flexible [3+];
    29 => DescribeAcls [1-3] flexible [2+];
    30 => CreateAcls [1-3] flexible [2+];
    31 => DeleteAcls [1-3] flexible [2+];
    32 => DescribeConfigs [1-4] flexible [4+];
    33 => AlterConfigs [0-2] flexible [2+];
    34 => AlterReplicaLogDirs [1-2] flexible [2+];
    35 => DescribeLogDirs [1-5] flexible [2+];
    36 => SaslAuthenticate [0-2] flexible [2+];
    37 => CreatePartitions [0-3] flexible [2+];
    38 => CreateDelegationToken [1-3] flexible [2+];
    39 => RenewDelegationToken [1-2] flexible [2+];
    40 => ExpireDelegationToken [1-2] flexible [2+];
    41 => DescribeDelegationToken [1-3] flexible [2+];
    42 => DeleteGroups [0-3] flexible [2+];
    43 => ElectLeaders [0-2] flexible [2+];
    44 => IncrementalAlterConfigs [0-1] flexible [1+];
    45 => AlterPartitionReassignments [0-1] flexible [0+];
    46 => ListPartitionReassignments [0] flexible [0+];
    47 => OffsetDelete [0] flexible [none];
    48 => DescribeClientQuotas [0-1] flexible [1+];
    49 => AlterClientQuotas [0-1] flexible [1+];
    50 => DescribeUserScramCredentials [0] flexible [0+];
    51 => AlterUserScramCredentials [0] flexible [0+];
    52 => Vote [0-2] flexible [0+];
    53 => BeginQuorumEpoch [0-1] flexible [1+];
    54 => EndQuorumEpoch [0-1] flexible [1+];
    55 => DescribeQuorum [0-2] flexible [0+];
    56 => AlterPartition [2-3] flexible [0+];
    57 => UpdateFeatures [0-2] flexible [0+];
    58 => Envelope [0] flexible [0+];
    59 => FetchSnapshot [0-1] flexible [0+];
    60 => DescribeCluster [0-2] flexible [0+];
    61 => DescribeProducers [0] flexible [0+];
    62 => BrokerRegistration [0-4] flexible [0+];
    63 => BrokerHeartbeat [0-2] flexible [0+];
    64 => UnregisterBroker [0] flexible [0+];
    65 => DescribeTransactions [0] flexible [0+];
    66 => ListTransactions [0-2] flexible [0+];
    67 => AllocateProducerIds [0] flexible [0+];
    68 => ConsumerGroupHeartbeat [0-1] flexible [0+];
    69 => ConsumerGroupDescribe [0-1] flexible [0+];
    70 => ControllerRegistration [0] flexible [0+];
    71 => GetTelemetrySubscriptions [0] flexible [0+];
    72 => PushTelemetry [0] flexible [0+];
    73 => AssignReplicasToDirs [0] flexible [0+];
    74 => ListConfigResources [0-1] flexible [0+];
    75 => DescribeTopicPartitions [0] flexible [0+];
    76 => ShareGroupHeartbeat [1] flexible [0+];
    77 => ShareGroupDescribe [1] flexible [0+];
    78 => ShareFetch [1-2] flexible [0+];
    79 => ShareAcknowledge [1-2] flexible [0+];
    80 => AddRaftVoter [0-1] flexible [0+];
    81 => RemoveRaftVoter [0] flexible [0+];
    82 => UpdateRaftVoter [0] flexible [0+];
    83 => InitializeShareGroupState [0] flexible [0+];
    84 => ReadShareGroupState [0] flexible [0+];
    85 => WriteShareGroupState [0-1] flexible [0+];
    86 => DeleteShareGroupState [0] flexible [0+];
    87 => ReadShareGroupStateSummary [0-1] flexible [0+];
    88 => StreamsGroupHeartbeat [0-1] flexible [0+];
    89 => StreamsGroupDescribe [0-1] flexible [0+];
    90 => DescribeShareGroupOffsets [0-1] flexible [0+];
    91 => AlterShareGroupOffsets [0] flexible [0+];
    92 => DeleteShareGroupOffsets [0] flexible [0+];
    93 => StreamsGroupTopologyDescriptionUpdate [0] flexible [0+];
    94 => UnregisterController [0] flexible [0+];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_indices_and_91_apis_are_live() {
        assert_eq!(APIS.len(), 95);
        assert!(APIS.iter().enumerate().all(|(at, api)| api.key as usize == at));
        assert_eq!(APIS.iter().filter(|api| !api.versions.is_empty()).count(), 91);
        assert!(api(-1).is_none() && api(95).is_none() && api(i16::MAX).is_none());
        assert!(PRIVATE_APIS.iter().all(|api| api.key >= PRIVATE_FROM && super::api(api.key).is_none()));
    }

    #[test]
    fn headers_follow_flexibility_except_for_api_versions() {
        let produce = api(PRODUCE).unwrap();
        assert_eq!((produce.request_header_version(8), produce.response_header_version(8)), (1, 0));
        assert_eq!((produce.request_header_version(9), produce.response_header_version(9)), (2, 1));
        let api_versions = api(API_VERSIONS).unwrap();
        assert_eq!(
            (api_versions.request_header_version(99), api_versions.response_header_version(99)),
            (2, 0)
        );
        assert_eq!(produce.advertised(produce.versions), Versions::new(0, 13));
    }

    #[test]
    fn layouts_and_table_agree() {
        for api in APIS.iter().chain(PRIVATE_APIS) {
            let layout = crate::schema::requests::layout(api.key);
            assert_eq!(layout.is_some(), !api.versions.is_empty(), "{}", api.name);
            let Some(layout) = layout else { continue };
            // Version 6 of InitProducerId is unstable: declared, but not valid.
            assert_eq!(layout.versions.min, api.versions.min);
            assert!(layout.versions.max == api.versions.max || api.key == 22, "{}", api.name);
            assert_eq!(layout.flexible, api.flexible, "{}", api.name);
            if let Some(response) = crate::schema::responses::layout(api.key) {
                assert_eq!(response.flexible, api.flexible, "{}", api.name);
            }
        }
    }
}
