//! The quorum of controllers.

layouts! {
    vote_response VoteResponse [0-2] flexible [0+] {
        VoteResponse {
            error_code int16 [0+];
            topics [TopicData] [0+];
            node_endpoints [NodeEndpoint] [1+] tag 0 [1+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
            vote_granted bool [0+];
        }
        NodeEndpoint {
            node_id int32 [1+];
            host string [1+];
            port uint16 [1+];
        }
    }

    begin_quorum_epoch_response BeginQuorumEpochResponse [0-1] flexible [1+] {
        BeginQuorumEpochResponse {
            error_code int16 [0+];
            topics [TopicData] [0+];
            node_endpoints [NodeEndpoint] [1+] tag 0 [1+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
        }
        NodeEndpoint {
            node_id int32 [1+];
            host string [1+];
            port uint16 [1+];
        }
    }

    end_quorum_epoch_response EndQuorumEpochResponse [0-1] flexible [1+] {
        EndQuorumEpochResponse {
            error_code int16 [0+];
            topics [TopicData] [0+];
            node_endpoints [NodeEndpoint] [1+] tag 0 [1+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            error_code int16 [0+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
        }
        NodeEndpoint {
            node_id int32 [1+];
            host string [1+];
            port uint16 [1+];
        }
    }

    fetch_snapshot_response FetchSnapshotResponse [0-1] flexible [0+] {
        FetchSnapshotResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            topics [TopicSnapshot] [0+];
            node_endpoints [NodeEndpoint] [1+] tag 0 [1+];
        }
        TopicSnapshot {
            name string [0+];
            partitions [PartitionSnapshot] [0+];
        }
        PartitionSnapshot {
            index int32 [0+];
            error_code int16 [0+];
            snapshot_id SnapshotId [0+];
            size int64 [0+];
            position int64 [0+];
            unaligned_records records [0+];
            current_leader LeaderIdAndEpoch [0+] tag 0 [0+];
        }
        SnapshotId {
            end_offset int64 [0+];
            epoch int32 [0+];
        }
        LeaderIdAndEpoch {
            leader_id int32 [0+];
            leader_epoch int32 [0+];
        }
        NodeEndpoint {
            node_id int32 [1+];
            host string [1+];
            port uint16 [1+];
        }
    }

    remove_raft_voter_response RemoveRaftVoterResponse [0] flexible [0+] {
        RemoveRaftVoterResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    update_raft_voter_response UpdateRaftVoterResponse [0] flexible [0+] {
        UpdateRaftVoterResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            current_leader CurrentLeader [0+] tag 0 [0+];
        }
        CurrentLeader {
            leader_id int32 [0+];
            leader_epoch int32 [0+];
            host string [0+];
            port int32 [0+];
        }
    }
}
