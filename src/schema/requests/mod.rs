//! The layouts of every request of Apache Kafka 4.4, for the guard.
//!
//! A request whose type is declared in [`messages`] brings its layout along; the others are tables of their
//! own, since kafka-protocol's types have none. [`layout`] finds the one of an API key.

mod access;
mod cluster;
mod configs;
mod data;
mod groups;
mod raft;
mod share;
mod topics;
mod transactions;

use super::layout::MessageLayout;
use super::messages;

/// The layout of the requests with `api_key`; `None` if neither Kafka 4.4 nor this
/// server (from 10000 on) has such an API.
pub fn layout(api_key: i16) -> Option<&'static MessageLayout> {
    Some(match api_key {
        0 => &data::produce_request::MESSAGE,
        1 => &data::fetch_request::MESSAGE,
        2 => &messages::ListOffsetsRequest::LAYOUT,
        3 => &topics::metadata_request::MESSAGE,
        8 => &messages::OffsetCommitRequest::LAYOUT,
        9 => &messages::OffsetFetchRequest::LAYOUT,
        10 => &groups::find_coordinator_request::MESSAGE,
        11 => &groups::join_group_request::MESSAGE,
        12 => &groups::heartbeat_request::MESSAGE,
        13 => &groups::leave_group_request::MESSAGE,
        14 => &groups::sync_group_request::MESSAGE,
        15 => &groups::describe_groups_request::MESSAGE,
        16 => &groups::list_groups_request::MESSAGE,
        17 => &access::sasl_handshake_request::MESSAGE,
        18 => &messages::ApiVersionsRequest::LAYOUT,
        19 => &topics::create_topics_request::MESSAGE,
        20 => &topics::delete_topics_request::MESSAGE,
        21 => &data::delete_records_request::MESSAGE,
        22 => &transactions::init_producer_id_request::MESSAGE,
        23 => &data::offset_for_leader_epoch_request::MESSAGE,
        24 => &transactions::add_partitions_to_txn_request::MESSAGE,
        25 => &transactions::add_offsets_to_txn_request::MESSAGE,
        26 => &transactions::end_txn_request::MESSAGE,
        27 => &messages::WriteTxnMarkersRequest::LAYOUT,
        28 => &messages::TxnOffsetCommitRequest::LAYOUT,
        29 => &access::describe_acls_request::MESSAGE,
        30 => &access::create_acls_request::MESSAGE,
        31 => &access::delete_acls_request::MESSAGE,
        32 => &configs::describe_configs_request::MESSAGE,
        33 => &configs::alter_configs_request::MESSAGE,
        34 => &cluster::alter_replica_log_dirs_request::MESSAGE,
        35 => &messages::DescribeLogDirsRequest::LAYOUT,
        36 => &access::sasl_authenticate_request::MESSAGE,
        37 => &topics::create_partitions_request::MESSAGE,
        38 => &access::create_delegation_token_request::MESSAGE,
        39 => &access::renew_delegation_token_request::MESSAGE,
        40 => &access::expire_delegation_token_request::MESSAGE,
        41 => &access::describe_delegation_token_request::MESSAGE,
        42 => &messages::DeleteGroupsRequest::LAYOUT,
        43 => &topics::elect_leaders_request::MESSAGE,
        44 => &configs::incremental_alter_configs_request::MESSAGE,
        45 => &topics::alter_partition_reassignments_request::MESSAGE,
        46 => &topics::list_partition_reassignments_request::MESSAGE,
        47 => &groups::offset_delete_request::MESSAGE,
        48 => &configs::describe_client_quotas_request::MESSAGE,
        49 => &configs::alter_client_quotas_request::MESSAGE,
        50 => &access::describe_user_scram_credentials_request::MESSAGE,
        51 => &access::alter_user_scram_credentials_request::MESSAGE,
        52 => &raft::vote_request::MESSAGE,
        53 => &raft::begin_quorum_epoch_request::MESSAGE,
        54 => &raft::end_quorum_epoch_request::MESSAGE,
        55 => &cluster::describe_quorum_request::MESSAGE,
        56 => &cluster::alter_partition_request::MESSAGE,
        57 => &cluster::update_features_request::MESSAGE,
        58 => &cluster::envelope_request::MESSAGE,
        59 => &raft::fetch_snapshot_request::MESSAGE,
        60 => &cluster::describe_cluster_request::MESSAGE,
        61 => &data::describe_producers_request::MESSAGE,
        62 => &cluster::broker_registration_request::MESSAGE,
        63 => &messages::BrokerHeartbeatRequest::LAYOUT,
        64 => &cluster::unregister_broker_request::MESSAGE,
        65 => &transactions::describe_transactions_request::MESSAGE,
        66 => &transactions::list_transactions_request::MESSAGE,
        67 => &cluster::allocate_producer_ids_request::MESSAGE,
        68 => &groups::consumer_group_heartbeat_request::MESSAGE,
        69 => &groups::consumer_group_describe_request::MESSAGE,
        70 => &cluster::controller_registration_request::MESSAGE,
        71 => &configs::get_telemetry_subscriptions_request::MESSAGE,
        72 => &configs::push_telemetry_request::MESSAGE,
        73 => &cluster::assign_replicas_to_dirs_request::MESSAGE,
        74 => &configs::list_config_resources_request::MESSAGE,
        75 => &topics::describe_topic_partitions_request::MESSAGE,
        76 => &share::share_group_heartbeat_request::MESSAGE,
        77 => &share::share_group_describe_request::MESSAGE,
        78 => &messages::ShareFetchRequest::LAYOUT,
        79 => &messages::ShareAcknowledgeRequest::LAYOUT,
        80 => &messages::AddRaftVoterRequest::LAYOUT,
        81 => &raft::remove_raft_voter_request::MESSAGE,
        82 => &raft::update_raft_voter_request::MESSAGE,
        83 => &share::initialize_share_group_state_request::MESSAGE,
        84 => &share::read_share_group_state_request::MESSAGE,
        85 => &messages::WriteShareGroupStateRequest::LAYOUT,
        86 => &share::delete_share_group_state_request::MESSAGE,
        87 => &messages::ReadShareGroupStateSummaryRequest::LAYOUT,
        88 => &messages::StreamsGroupHeartbeatRequest::LAYOUT,
        89 => &messages::StreamsGroupDescribeRequest::LAYOUT,
        90 => &messages::DescribeShareGroupOffsetsRequest::LAYOUT,
        91 => &share::alter_share_group_offsets_request::MESSAGE,
        92 => &share::delete_share_group_offsets_request::MESSAGE,
        93 => &messages::StreamsGroupTopologyDescriptionUpdateRequest::LAYOUT,
        94 => &messages::UnregisterControllerRequest::LAYOUT,
        10000 => &messages::raft::RaftVoteRequest::LAYOUT,
        10001 => &messages::raft::RaftAppendEntriesRequest::LAYOUT,
        10002 => &messages::raft::RaftSnapshotRequest::LAYOUT,
        10003 => &messages::raft::RaftTransferLeaderRequest::LAYOUT,
        10010 => &messages::replica_synced::ReplicaSyncedRequest::LAYOUT,
        _ => return None,
    })
}
