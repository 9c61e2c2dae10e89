//! Every request and response type under one path; the place that handlers, coordinators and clients import
//! from.
//!
//! It is kafka-protocol's `messages` with our own declarations in place of those it lags on. Types are at
//! the top (`api::FetchRequest`), their parts in a module per message (`api::fetch_request::FetchTopic`).

pub use kafka_protocol::messages::*;

pub use super::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
    ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetFetchRequest, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse, UnregisterControllerRequest, UnregisterControllerResponse,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse, api_versions_request, api_versions_response,
    broker_heartbeat_request, broker_heartbeat_response, delete_groups_request, delete_groups_response,
    describe_log_dirs_request, describe_log_dirs_response, list_offsets_request, list_offsets_response,
    offset_commit_request, offset_fetch_request, txn_offset_commit_request, txn_offset_commit_response,
    unregister_controller_request, unregister_controller_response, write_txn_markers_request,
    write_txn_markers_response,
};
