//! Messages of the wire that kafka-protocol lacks, or of which it lacks the newest versions, declared whole.
//!
//! They implement kafka-protocol's traits, so that a handler sees no difference: fields have the same names
//! and types. There is no map of unknown tagged fields, and there are no `with_` methods: build them with
//! struct syntax and
//! `..Default::default()`.

#[macro_use]
mod traits;
pub mod api_versions_request;
pub mod api_versions_response;
pub mod broker_heartbeat_request;
pub mod broker_heartbeat_response;
pub mod delete_groups_request;
pub mod delete_groups_response;
pub mod describe_log_dirs_request;
pub mod describe_log_dirs_response;
pub mod list_offsets_request;
pub mod list_offsets_response;
pub mod offset_commit_request;
pub mod offset_fetch_request;
pub mod txn_offset_commit_request;
pub mod txn_offset_commit_response;
pub mod unregister_controller_request;
pub mod unregister_controller_response;
pub mod write_txn_markers_request;
pub mod write_txn_markers_response;

pub use api_versions_request::ApiVersionsRequest;
pub use api_versions_response::ApiVersionsResponse;
pub use broker_heartbeat_request::BrokerHeartbeatRequest;
pub use broker_heartbeat_response::BrokerHeartbeatResponse;
pub use delete_groups_request::DeleteGroupsRequest;
pub use delete_groups_response::DeleteGroupsResponse;
pub use describe_log_dirs_request::DescribeLogDirsRequest;
pub use describe_log_dirs_response::DescribeLogDirsResponse;
pub use list_offsets_request::ListOffsetsRequest;
pub use list_offsets_response::ListOffsetsResponse;
pub use offset_commit_request::OffsetCommitRequest;
pub use offset_fetch_request::OffsetFetchRequest;
pub use txn_offset_commit_request::TxnOffsetCommitRequest;
pub use txn_offset_commit_response::TxnOffsetCommitResponse;
pub use unregister_controller_request::UnregisterControllerRequest;
pub use unregister_controller_response::UnregisterControllerResponse;
pub use write_txn_markers_request::WriteTxnMarkersRequest;
pub use write_txn_markers_response::WriteTxnMarkersResponse;
