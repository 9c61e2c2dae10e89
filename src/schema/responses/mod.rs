//! The layouts of every response of Apache Kafka 4.4.
//!
//! They guard what a client decodes, and they are what tests generate responses from.

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

/// The layout of the responses with `api_key`; `None` if neither Kafka 4.4 nor this
/// server (from 10000 on) has such an API.
pub fn layout(api_key: i16) -> Option<&'static MessageLayout> {
    Some(match api_key {
        0 => &data::produce_response::MESSAGE,
        1 => &data::fetch_response::MESSAGE,
        2 => &messages::ListOffsetsResponse::LAYOUT,
        3 => &topics::metadata_response::MESSAGE,
        8 => &groups::offset_commit_response::MESSAGE,
        9 => &groups::offset_fetch_response::MESSAGE,
        10 => &groups::find_coordinator_response::MESSAGE,
        11 => &groups::join_group_response::MESSAGE,
        12 => &groups::heartbeat_response::MESSAGE,
        13 => &groups::leave_group_response::MESSAGE,
        14 => &groups::sync_group_response::MESSAGE,
        15 => &groups::describe_groups_response::MESSAGE,
        16 => &groups::list_groups_response::MESSAGE,
        17 => &access::sasl_handshake_response::MESSAGE,
        18 => &messages::ApiVersionsResponse::LAYOUT,
        19 => &topics::create_topics_response::MESSAGE,
        20 => &topics::delete_topics_response::MESSAGE,
        21 => &data::delete_records_response::MESSAGE,
        22 => &transactions::init_producer_id_response::MESSAGE,
        23 => &data::offset_for_leader_epoch_response::MESSAGE,
        24 => &transactions::add_partitions_to_txn_response::MESSAGE,
        25 => &transactions::add_offsets_to_txn_response::MESSAGE,
        26 => &transactions::end_txn_response::MESSAGE,
        27 => &messages::WriteTxnMarkersResponse::LAYOUT,
        28 => &messages::TxnOffsetCommitResponse::LAYOUT,
        29 => &access::describe_acls_response::MESSAGE,
        30 => &access::create_acls_response::MESSAGE,
        31 => &access::delete_acls_response::MESSAGE,
        32 => &configs::describe_configs_response::MESSAGE,
        33 => &configs::alter_configs_response::MESSAGE,
        34 => &cluster::alter_replica_log_dirs_response::MESSAGE,
        35 => &messages::DescribeLogDirsResponse::LAYOUT,
        36 => &access::sasl_authenticate_response::MESSAGE,
        37 => &topics::create_partitions_response::MESSAGE,
        38 => &access::create_delegation_token_response::MESSAGE,
        39 => &access::renew_delegation_token_response::MESSAGE,
        40 => &access::expire_delegation_token_response::MESSAGE,
        41 => &access::describe_delegation_token_response::MESSAGE,
        42 => &messages::DeleteGroupsResponse::LAYOUT,
        43 => &topics::elect_leaders_response::MESSAGE,
        44 => &configs::incremental_alter_configs_response::MESSAGE,
        45 => &topics::alter_partition_reassignments_response::MESSAGE,
        46 => &topics::list_partition_reassignments_response::MESSAGE,
        47 => &groups::offset_delete_response::MESSAGE,
        48 => &configs::describe_client_quotas_response::MESSAGE,
        49 => &configs::alter_client_quotas_response::MESSAGE,
        50 => &access::describe_user_scram_credentials_response::MESSAGE,
        51 => &access::alter_user_scram_credentials_response::MESSAGE,
        52 => &raft::vote_response::MESSAGE,
        53 => &raft::begin_quorum_epoch_response::MESSAGE,
        54 => &raft::end_quorum_epoch_response::MESSAGE,
        55 => &cluster::describe_quorum_response::MESSAGE,
        56 => &cluster::alter_partition_response::MESSAGE,
        57 => &cluster::update_features_response::MESSAGE,
        58 => &cluster::envelope_response::MESSAGE,
        59 => &raft::fetch_snapshot_response::MESSAGE,
        60 => &cluster::describe_cluster_response::MESSAGE,
        61 => &data::describe_producers_response::MESSAGE,
        62 => &cluster::broker_registration_response::MESSAGE,
        63 => &messages::BrokerHeartbeatResponse::LAYOUT,
        64 => &cluster::unregister_broker_response::MESSAGE,
        65 => &transactions::describe_transactions_response::MESSAGE,
        66 => &transactions::list_transactions_response::MESSAGE,
        67 => &cluster::allocate_producer_ids_response::MESSAGE,
        68 => &groups::consumer_group_heartbeat_response::MESSAGE,
        69 => &groups::consumer_group_describe_response::MESSAGE,
        70 => &cluster::controller_registration_response::MESSAGE,
        71 => &configs::get_telemetry_subscriptions_response::MESSAGE,
        72 => &configs::push_telemetry_response::MESSAGE,
        73 => &cluster::assign_replicas_to_dirs_response::MESSAGE,
        74 => &configs::list_config_resources_response::MESSAGE,
        75 => &topics::describe_topic_partitions_response::MESSAGE,
        76 => &share::share_group_heartbeat_response::MESSAGE,
        77 => &share::share_group_describe_response::MESSAGE,
        78 => &messages::ShareFetchResponse::LAYOUT,
        79 => &messages::ShareAcknowledgeResponse::LAYOUT,
        80 => &messages::AddRaftVoterResponse::LAYOUT,
        81 => &raft::remove_raft_voter_response::MESSAGE,
        82 => &raft::update_raft_voter_response::MESSAGE,
        83 => &share::initialize_share_group_state_response::MESSAGE,
        84 => &share::read_share_group_state_response::MESSAGE,
        85 => &messages::WriteShareGroupStateResponse::LAYOUT,
        86 => &share::delete_share_group_state_response::MESSAGE,
        87 => &messages::ReadShareGroupStateSummaryResponse::LAYOUT,
        88 => &messages::StreamsGroupHeartbeatResponse::LAYOUT,
        89 => &messages::StreamsGroupDescribeResponse::LAYOUT,
        90 => &messages::DescribeShareGroupOffsetsResponse::LAYOUT,
        91 => &share::alter_share_group_offsets_response::MESSAGE,
        92 => &share::delete_share_group_offsets_response::MESSAGE,
        93 => &messages::StreamsGroupTopologyDescriptionUpdateResponse::LAYOUT,
        94 => &messages::UnregisterControllerResponse::LAYOUT,
        10000 => &messages::raft::RaftVoteResponse::LAYOUT,
        10001 => &messages::raft::RaftAppendEntriesResponse::LAYOUT,
        10002 => &messages::raft::RaftSnapshotResponse::LAYOUT,
        10003 => &messages::raft::RaftTransferLeaderResponse::LAYOUT,
        _ => return None,
    })
}
