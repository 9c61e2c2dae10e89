//! The quorum of controllers.

layouts! {
    vote_request VoteRequest [0-2] flexible [0+] {
        VoteRequest {
            cluster_id string [0+] null [0+];
            voter_id int32 [1+];
            topics [TopicData] [0+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            replica_epoch int32 [0+];
            replica_id int32 [0+];
            replica_directory_id uuid [1+];
            voter_directory_id uuid [1+];
            last_offset_epoch int32 [0+];
            last_offset int64 [0+];
            pre_vote bool [2+];
        }
    }

    begin_quorum_epoch_request BeginQuorumEpochRequest [0-1] flexible [1+] {
        BeginQuorumEpochRequest {
            cluster_id string [0+] null [0+];
            voter_id int32 [1+];
            topics [TopicData] [0+];
            leader_endpoints [LeaderEndpoint] [1+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            voter_directory_id uuid [1+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
        }
        LeaderEndpoint {
            name string [1+];
            host string [1+];
            port uint16 [1+];
        }
    }

    end_quorum_epoch_request EndQuorumEpochRequest [0-1] flexible [1+] {
        EndQuorumEpochRequest {
            cluster_id string [0+] null [0+];
            topics [TopicData] [0+];
            leader_endpoints [LeaderEndpoint] [1+];
        }
        TopicData {
            topic_name string [0+];
            partitions [PartitionData] [0+];
        }
        PartitionData {
            partition_index int32 [0+];
            leader_id int32 [0+];
            leader_epoch int32 [0+];
            preferred_successors [int32] [0];
            preferred_candidates [ReplicaInfo] [1+];
        }
        ReplicaInfo {
            candidate_id int32 [1+];
            candidate_directory_id uuid [1+];
        }
        LeaderEndpoint {
            name string [1+];
            host string [1+];
            port uint16 [1+];
        }
    }

    fetch_snapshot_request FetchSnapshotRequest [0-1] flexible [0+] {
        FetchSnapshotRequest {
            replica_id int32 [0+];
            max_bytes int32 [0+];
            topics [TopicSnapshot] [0+];
            cluster_id string [0+] null [0+] tag 0 [0+];
        }
        TopicSnapshot {
            name string [0+];
            partitions [PartitionSnapshot] [0+];
        }
        PartitionSnapshot {
            partition int32 [0+];
            current_leader_epoch int32 [0+];
            snapshot_id SnapshotId [0+];
            position int64 [0+];
            replica_directory_id uuid [1+] tag 0 [1+];
        }
        SnapshotId {
            end_offset int64 [0+];
            epoch int32 [0+];
        }
    }

    remove_raft_voter_request RemoveRaftVoterRequest [0] flexible [0+] {
        RemoveRaftVoterRequest {
            cluster_id string [0+] null [0+];
            voter_id int32 [0+];
            voter_directory_id uuid [0+];
        }
    }

    update_raft_voter_request UpdateRaftVoterRequest [0] flexible [0+] {
        UpdateRaftVoterRequest {
            cluster_id string [0+] null [0+];
            current_leader_epoch int32 [0+];
            voter_id int32 [0+];
            voter_directory_id uuid [0+];
            listeners [Listener] [0+];
            k_raft_version_feature KRaftVersionFeature [0+];
        }
        Listener {
            name string [0+];
            host string [0+];
            port uint16 [0+];
        }
        KRaftVersionFeature {
            min_supported_version int16 [0+];
            max_supported_version int16 [0+];
        }
    }
}
