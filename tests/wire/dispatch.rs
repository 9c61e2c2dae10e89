//! Any message, decoded and encoded again by the type that handlers use for it.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use ottla::schema::api;

/// Requests or responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// What a message's type makes of bytes.
pub(crate) struct Codec {
    /// The versions that the type has.
    pub(crate) versions: std::ops::RangeInclusive<i16>,
    /// Reads all of the bytes in the first version, and what it then writes in the second.
    pub(crate) again: fn(Bytes, i16, i16) -> Result<Vec<u8>, String>,
    /// Only reads.
    pub(crate) decode: fn(Bytes, i16) -> Result<(), String>,
    /// Whether unknown tagged fields are kept, as kafka-protocol does and our own types do not.
    pub(crate) keeps_unknown: bool,
}

fn again<T: Decodable + Encodable>(mut body: Bytes, read: i16, write: i16) -> Result<Vec<u8>, String> {
    let message = T::decode(&mut body, read).map_err(|e| format!("decode: {e}"))?;
    if !body.is_empty() {
        return Err(format!("{} bytes left", body.len()));
    }
    let mut buf = BytesMut::new();
    message.encode(&mut buf, write).map_err(|e| format!("encode: {e}"))?;
    let size = message.compute_size(write).map_err(|e| format!("size: {e}"))?;
    if size != buf.len() {
        return Err(format!("says {size} bytes and writes {}", buf.len()));
    }
    Ok(buf.to_vec())
}

fn decode<T: Decodable>(mut body: Bytes, version: i16) -> Result<(), String> {
    T::decode(&mut body, version).map(drop).map_err(|e| e.to_string())
}

fn codec<T: Decodable + Encodable + Message>() -> Codec {
    Codec {
        versions: T::VERSIONS.min..=T::VERSIONS.max,
        again: again::<T>,
        decode: decode::<T>,
        keeps_unknown: std::any::type_name::<T>().starts_with("kafka_protocol"),
    }
}

macro_rules! codecs {
    ($($key:literal => $request:ident, $response:ident;)*) => {
        /// The codec of an API's requests or responses; `None` if there is no type for them yet.
        pub(crate) fn of(api_key: i16, side: Side) -> Option<Codec> {
            Some(match (api_key, side) {
                $(
                    ($key, Side::Request) => codec::<api::$request>(),
                    ($key, Side::Response) => codec::<api::$response>(),
                )*
                _ => return None,
            })
        }
    };
}

codecs! {
    0 => ProduceRequest, ProduceResponse;
    1 => FetchRequest, FetchResponse;
    2 => ListOffsetsRequest, ListOffsetsResponse;
    3 => MetadataRequest, MetadataResponse;
    8 => OffsetCommitRequest, OffsetCommitResponse;
    9 => OffsetFetchRequest, OffsetFetchResponse;
    10 => FindCoordinatorRequest, FindCoordinatorResponse;
    11 => JoinGroupRequest, JoinGroupResponse;
    12 => HeartbeatRequest, HeartbeatResponse;
    13 => LeaveGroupRequest, LeaveGroupResponse;
    14 => SyncGroupRequest, SyncGroupResponse;
    15 => DescribeGroupsRequest, DescribeGroupsResponse;
    16 => ListGroupsRequest, ListGroupsResponse;
    17 => SaslHandshakeRequest, SaslHandshakeResponse;
    18 => ApiVersionsRequest, ApiVersionsResponse;
    19 => CreateTopicsRequest, CreateTopicsResponse;
    20 => DeleteTopicsRequest, DeleteTopicsResponse;
    21 => DeleteRecordsRequest, DeleteRecordsResponse;
    22 => InitProducerIdRequest, InitProducerIdResponse;
    23 => OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    24 => AddPartitionsToTxnRequest, AddPartitionsToTxnResponse;
    25 => AddOffsetsToTxnRequest, AddOffsetsToTxnResponse;
    26 => EndTxnRequest, EndTxnResponse;
    27 => WriteTxnMarkersRequest, WriteTxnMarkersResponse;
    28 => TxnOffsetCommitRequest, TxnOffsetCommitResponse;
    29 => DescribeAclsRequest, DescribeAclsResponse;
    30 => CreateAclsRequest, CreateAclsResponse;
    31 => DeleteAclsRequest, DeleteAclsResponse;
    32 => DescribeConfigsRequest, DescribeConfigsResponse;
    33 => AlterConfigsRequest, AlterConfigsResponse;
    34 => AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse;
    35 => DescribeLogDirsRequest, DescribeLogDirsResponse;
    36 => SaslAuthenticateRequest, SaslAuthenticateResponse;
    37 => CreatePartitionsRequest, CreatePartitionsResponse;
    38 => CreateDelegationTokenRequest, CreateDelegationTokenResponse;
    39 => RenewDelegationTokenRequest, RenewDelegationTokenResponse;
    40 => ExpireDelegationTokenRequest, ExpireDelegationTokenResponse;
    41 => DescribeDelegationTokenRequest, DescribeDelegationTokenResponse;
    42 => DeleteGroupsRequest, DeleteGroupsResponse;
    43 => ElectLeadersRequest, ElectLeadersResponse;
    44 => IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    45 => AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
    46 => ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
    47 => OffsetDeleteRequest, OffsetDeleteResponse;
    48 => DescribeClientQuotasRequest, DescribeClientQuotasResponse;
    49 => AlterClientQuotasRequest, AlterClientQuotasResponse;
    50 => DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse;
    51 => AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse;
    52 => VoteRequest, VoteResponse;
    53 => BeginQuorumEpochRequest, BeginQuorumEpochResponse;
    54 => EndQuorumEpochRequest, EndQuorumEpochResponse;
    55 => DescribeQuorumRequest, DescribeQuorumResponse;
    56 => AlterPartitionRequest, AlterPartitionResponse;
    57 => UpdateFeaturesRequest, UpdateFeaturesResponse;
    58 => EnvelopeRequest, EnvelopeResponse;
    59 => FetchSnapshotRequest, FetchSnapshotResponse;
    60 => DescribeClusterRequest, DescribeClusterResponse;
    61 => DescribeProducersRequest, DescribeProducersResponse;
    62 => BrokerRegistrationRequest, BrokerRegistrationResponse;
    63 => BrokerHeartbeatRequest, BrokerHeartbeatResponse;
    64 => UnregisterBrokerRequest, UnregisterBrokerResponse;
    65 => DescribeTransactionsRequest, DescribeTransactionsResponse;
    66 => ListTransactionsRequest, ListTransactionsResponse;
    67 => AllocateProducerIdsRequest, AllocateProducerIdsResponse;
    68 => ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
    69 => ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
    70 => ControllerRegistrationRequest, ControllerRegistrationResponse;
    71 => GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse;
    72 => PushTelemetryRequest, PushTelemetryResponse;
    73 => AssignReplicasToDirsRequest, AssignReplicasToDirsResponse;
    74 => ListConfigResourcesRequest, ListConfigResourcesResponse;
    75 => DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
    76 => ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse;
    77 => ShareGroupDescribeRequest, ShareGroupDescribeResponse;
    78 => ShareFetchRequest, ShareFetchResponse;
    79 => ShareAcknowledgeRequest, ShareAcknowledgeResponse;
    80 => AddRaftVoterRequest, AddRaftVoterResponse;
    81 => RemoveRaftVoterRequest, RemoveRaftVoterResponse;
    82 => UpdateRaftVoterRequest, UpdateRaftVoterResponse;
    83 => InitializeShareGroupStateRequest, InitializeShareGroupStateResponse;
    84 => ReadShareGroupStateRequest, ReadShareGroupStateResponse;
    85 => WriteShareGroupStateRequest, WriteShareGroupStateResponse;
    86 => DeleteShareGroupStateRequest, DeleteShareGroupStateResponse;
    87 => ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse;
    88 => StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse;
    89 => StreamsGroupDescribeRequest, StreamsGroupDescribeResponse;
    90 => DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse;
    91 => AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse;
    92 => DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse;
    93 => StreamsGroupTopologyDescriptionUpdateRequest, StreamsGroupTopologyDescriptionUpdateResponse;
    94 => UnregisterControllerRequest, UnregisterControllerResponse;
}
