//! Groups and their offsets.

layouts! {
    offset_commit_response OffsetCommitResponse [2-10] flexible [8+] {
        OffsetCommitResponse {
            throttle_time_ms int32 [3+];
            topics [OffsetCommitResponseTopic] [0+];
        }
        OffsetCommitResponseTopic {
            name string [0-9];
            topic_id uuid [10+];
            partitions [OffsetCommitResponsePartition] [0+];
        }
        OffsetCommitResponsePartition {
            partition_index int32 [0+];
            error_code int16 [0+];
        }
    }

    offset_fetch_response OffsetFetchResponse [1-10] flexible [6+] {
        OffsetFetchResponse {
            throttle_time_ms int32 [3+];
            topics [OffsetFetchResponseTopic] [0-7];
            error_code int16 [2-7];
            groups [OffsetFetchResponseGroup] [8+];
        }
        OffsetFetchResponseTopic {
            name string [0-7];
            partitions [OffsetFetchResponsePartition] [0-7];
        }
        OffsetFetchResponsePartition {
            partition_index int32 [0-7];
            committed_offset int64 [0-7];
            committed_leader_epoch int32 [5-7];
            metadata string [0-7] null [0-7];
            error_code int16 [0-7];
        }
        OffsetFetchResponseGroup {
            group_id string [8+];
            topics [OffsetFetchResponseTopics] [8+];
            error_code int16 [8+];
        }
        OffsetFetchResponseTopics {
            name string [8-9];
            topic_id uuid [10+];
            partitions [OffsetFetchResponsePartitions] [8+];
        }
        OffsetFetchResponsePartitions {
            partition_index int32 [8+];
            committed_offset int64 [8+];
            committed_leader_epoch int32 [8+];
            metadata string [8+] null [8+];
            error_code int16 [8+];
        }
    }

    find_coordinator_response FindCoordinatorResponse [0-6] flexible [3+] {
        FindCoordinatorResponse {
            throttle_time_ms int32 [1+];
            error_code int16 [0-3];
            error_message string [1-3] null [1-3];
            node_id int32 [0-3];
            host string [0-3];
            port int32 [0-3];
            coordinators [Coordinator] [4+];
        }
        Coordinator {
            key string [4+];
            node_id int32 [4+];
            host string [4+];
            port int32 [4+];
            error_code int16 [4+];
            error_message string [4+] null [4+];
        }
    }

    join_group_response JoinGroupResponse [0-9] flexible [6+] {
        JoinGroupResponse {
            throttle_time_ms int32 [2+];
            error_code int16 [0+];
            generation_id int32 [0+];
            protocol_type string [7+] null [7+];
            protocol_name string [0+] null [7+];
            leader string [0+];
            skip_assignment bool [9+];
            member_id string [0+];
            members [JoinGroupResponseMember] [0+];
        }
        JoinGroupResponseMember {
            member_id string [0+];
            group_instance_id string [5+] null [5+];
            metadata bytes [0+];
        }
    }

    heartbeat_response HeartbeatResponse [0-4] flexible [4+] {
        HeartbeatResponse {
            throttle_time_ms int32 [1+];
            error_code int16 [0+];
        }
    }

    leave_group_response LeaveGroupResponse [0-5] flexible [4+] {
        LeaveGroupResponse {
            throttle_time_ms int32 [1+];
            error_code int16 [0+];
            members [MemberResponse] [3+];
        }
        MemberResponse {
            member_id string [3+];
            group_instance_id string [3+] null [3+];
            error_code int16 [3+];
        }
    }

    sync_group_response SyncGroupResponse [0-5] flexible [4+] {
        SyncGroupResponse {
            throttle_time_ms int32 [1+];
            error_code int16 [0+];
            protocol_type string [5+] null [5+];
            protocol_name string [5+] null [5+];
            assignment bytes [0+];
        }
    }

    describe_groups_response DescribeGroupsResponse [0-6] flexible [5+] {
        DescribeGroupsResponse {
            throttle_time_ms int32 [1+];
            groups [DescribedGroup] [0+];
        }
        DescribedGroup {
            error_code int16 [0+];
            error_message string [6+] null [6+];
            group_id string [0+];
            group_state string [0+];
            protocol_type string [0+];
            protocol_data string [0+];
            members [DescribedGroupMember] [0+];
            authorized_operations int32 [3+];
        }
        DescribedGroupMember {
            member_id string [0+];
            group_instance_id string [4+] null [4+];
            client_id string [0+];
            client_host string [0+];
            member_metadata bytes [0+];
            member_assignment bytes [0+];
        }
    }

    list_groups_response ListGroupsResponse [0-5] flexible [3+] {
        ListGroupsResponse {
            throttle_time_ms int32 [1+];
            error_code int16 [0+];
            groups [ListedGroup] [0+];
        }
        ListedGroup {
            group_id string [0+];
            protocol_type string [0+];
            group_state string [4+];
            group_type string [5+];
        }
    }

    offset_delete_response OffsetDeleteResponse [0] flexible [none] {
        OffsetDeleteResponse {
            error_code int16 [0+];
            throttle_time_ms int32 [0+];
            topics [OffsetDeleteResponseTopic] [0+];
        }
        OffsetDeleteResponseTopic {
            name string [0+];
            partitions [OffsetDeleteResponsePartition] [0+];
        }
        OffsetDeleteResponsePartition {
            partition_index int32 [0+];
            error_code int16 [0+];
        }
    }

    consumer_group_heartbeat_response ConsumerGroupHeartbeatResponse [0-1] flexible [0+] {
        ConsumerGroupHeartbeatResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            member_id string [0+] null [0+];
            member_epoch int32 [0+];
            heartbeat_interval_ms int32 [0+];
            assignment Assignment [0+] null [0+];
        }
        TopicPartitions {
            topic_id uuid [0+];
            partitions [int32] [0+];
        }
        Assignment {
            topic_partitions [TopicPartitions] [0+];
        }
    }

    consumer_group_describe_response ConsumerGroupDescribeResponse [0-1] flexible [0+] {
        ConsumerGroupDescribeResponse {
            throttle_time_ms int32 [0+];
            groups [DescribedGroup] [0+];
        }
        TopicPartitions {
            topic_id uuid [0+];
            topic_name string [0+];
            partitions [int32] [0+];
        }
        Assignment {
            topic_partitions [TopicPartitions] [0+];
        }
        DescribedGroup {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            group_id string [0+];
            group_state string [0+];
            group_epoch int32 [0+];
            assignment_epoch int32 [0+];
            assignor_name string [0+];
            members [Member] [0+];
            authorized_operations int32 [0+];
        }
        Member {
            member_id string [0+];
            instance_id string [0+] null [0+];
            rack_id string [0+] null [0+];
            member_epoch int32 [0+];
            client_id string [0+];
            client_host string [0+];
            subscribed_topic_names [string] [0+];
            subscribed_topic_regex string [0+] null [0+];
            assignment Assignment [0+];
            target_assignment Assignment [0+];
            member_type int8 [1+];
        }
    }
}
