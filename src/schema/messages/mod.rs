//! Messages of the wire that kafka-protocol lacks, or of which it lacks the newest versions, declared whole.
//!
//! They implement kafka-protocol's traits, so that a handler sees no difference: fields have the same names
//! and types. There is no map of unknown tagged fields, and there are no `with_` methods: build them with
//! struct syntax and `..Default::default()`.

#[macro_use]
mod traits;
pub mod add_raft_voter_request;
pub mod add_raft_voter_response;
pub mod api_versions_request;
pub mod api_versions_response;
pub mod broker_heartbeat_request;
pub mod broker_heartbeat_response;
pub mod default_principal_data;
pub mod delete_groups_request;
pub mod delete_groups_response;
pub mod describe_log_dirs_request;
pub mod describe_log_dirs_response;
pub mod describe_share_group_offsets_request;
pub mod describe_share_group_offsets_response;
pub mod list_offsets_request;
pub mod list_offsets_response;
pub mod offset_commit_request;
pub mod offset_fetch_request;
pub mod raft;
pub mod read_share_group_state_summary_request;
pub mod read_share_group_state_summary_response;
pub mod replica_synced;
pub mod share_acknowledge_request;
pub mod share_acknowledge_response;
pub mod share_fetch_request;
pub mod share_fetch_response;
pub mod streams_group_describe_request;
pub mod streams_group_describe_response;
pub mod streams_group_heartbeat_request;
pub mod streams_group_heartbeat_response;
pub mod streams_group_topology_description_update_request;
pub mod streams_group_topology_description_update_response;
pub mod txn_offset_commit_request;
pub mod txn_offset_commit_response;
pub mod unregister_controller_request;
pub mod unregister_controller_response;
pub mod write_share_group_state_request;
pub mod write_share_group_state_response;
pub mod write_txn_markers_request;
pub mod write_txn_markers_response;

pub use add_raft_voter_request::AddRaftVoterRequest;
pub use add_raft_voter_response::AddRaftVoterResponse;
pub use api_versions_request::ApiVersionsRequest;
pub use api_versions_response::ApiVersionsResponse;
pub use broker_heartbeat_request::BrokerHeartbeatRequest;
pub use broker_heartbeat_response::BrokerHeartbeatResponse;
pub use delete_groups_request::DeleteGroupsRequest;
pub use delete_groups_response::DeleteGroupsResponse;
pub use describe_log_dirs_request::DescribeLogDirsRequest;
pub use describe_log_dirs_response::DescribeLogDirsResponse;
pub use describe_share_group_offsets_request::DescribeShareGroupOffsetsRequest;
pub use describe_share_group_offsets_response::DescribeShareGroupOffsetsResponse;
pub use list_offsets_request::ListOffsetsRequest;
pub use list_offsets_response::ListOffsetsResponse;
pub use offset_commit_request::OffsetCommitRequest;
pub use offset_fetch_request::OffsetFetchRequest;
pub use read_share_group_state_summary_request::ReadShareGroupStateSummaryRequest;
pub use read_share_group_state_summary_response::ReadShareGroupStateSummaryResponse;
pub use share_acknowledge_request::ShareAcknowledgeRequest;
pub use share_acknowledge_response::ShareAcknowledgeResponse;
pub use share_fetch_request::ShareFetchRequest;
pub use share_fetch_response::ShareFetchResponse;
pub use streams_group_describe_request::StreamsGroupDescribeRequest;
pub use streams_group_describe_response::StreamsGroupDescribeResponse;
pub use streams_group_heartbeat_request::StreamsGroupHeartbeatRequest;
pub use streams_group_heartbeat_response::StreamsGroupHeartbeatResponse;
pub use streams_group_topology_description_update_request::StreamsGroupTopologyDescriptionUpdateRequest;
pub use streams_group_topology_description_update_response::StreamsGroupTopologyDescriptionUpdateResponse;
pub use txn_offset_commit_request::TxnOffsetCommitRequest;
pub use txn_offset_commit_response::TxnOffsetCommitResponse;
pub use unregister_controller_request::UnregisterControllerRequest;
pub use unregister_controller_response::UnregisterControllerResponse;
pub use write_share_group_state_request::WriteShareGroupStateRequest;
pub use write_share_group_state_response::WriteShareGroupStateResponse;
pub use write_txn_markers_request::WriteTxnMarkersRequest;
pub use write_txn_markers_response::WriteTxnMarkersResponse;
