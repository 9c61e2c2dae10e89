//! Groups and their offsets.

layouts! {
    find_coordinator_request FindCoordinatorRequest [0-6] flexible [3+] {
        FindCoordinatorRequest {
            key string [0-3];
            key_type int8 [1+];
            coordinator_keys [string] [4+];
        }
    }

    join_group_request JoinGroupRequest [0-9] flexible [6+] {
        JoinGroupRequest {
            group_id string [0+];
            session_timeout_ms int32 [0+];
            rebalance_timeout_ms int32 [1+];
            member_id string [0+];
            group_instance_id string [5+] null [5+];
            protocol_type string [0+];
            protocols [JoinGroupRequestProtocol] [0+];
            reason string [8+] null [8+];
        }
        JoinGroupRequestProtocol {
            name string [0+];
            metadata bytes [0+];
        }
    }

    heartbeat_request HeartbeatRequest [0-4] flexible [4+] {
        HeartbeatRequest {
            group_id string [0+];
            generation_id int32 [0+];
            member_id string [0+];
            group_instance_id string [3+] null [3+];
        }
    }

    leave_group_request LeaveGroupRequest [0-5] flexible [4+] {
        LeaveGroupRequest {
            group_id string [0+];
            member_id string [0-2];
            members [MemberIdentity] [3+];
        }
        MemberIdentity {
            member_id string [3+];
            group_instance_id string [3+] null [3+];
            reason string [5+] null [5+];
        }
    }

    sync_group_request SyncGroupRequest [0-5] flexible [4+] {
        SyncGroupRequest {
            group_id string [0+];
            generation_id int32 [0+];
            member_id string [0+];
            group_instance_id string [3+] null [3+];
            protocol_type string [5+] null [5+];
            protocol_name string [5+] null [5+];
            assignments [SyncGroupRequestAssignment] [0+];
        }
        SyncGroupRequestAssignment {
            member_id string [0+];
            assignment bytes [0+];
        }
    }

    describe_groups_request DescribeGroupsRequest [0-6] flexible [5+] {
        DescribeGroupsRequest {
            groups [string] [0+];
            include_authorized_operations bool [3+];
        }
    }

    list_groups_request ListGroupsRequest [0-5] flexible [3+] {
        ListGroupsRequest {
            states_filter [string] [4+];
            types_filter [string] [5+];
        }
    }

    offset_delete_request OffsetDeleteRequest [0] flexible [none] {
        OffsetDeleteRequest {
            group_id string [0+];
            topics [OffsetDeleteRequestTopic] [0+];
        }
        OffsetDeleteRequestTopic {
            name string [0+];
            partitions [OffsetDeleteRequestPartition] [0+];
        }
        OffsetDeleteRequestPartition {
            partition_index int32 [0+];
        }
    }

    consumer_group_heartbeat_request ConsumerGroupHeartbeatRequest [0-1] flexible [0+] {
        ConsumerGroupHeartbeatRequest {
            group_id string [0+];
            member_id string [0+];
            member_epoch int32 [0+];
            instance_id string [0+] null [0+];
            rack_id string [0+] null [0+];
            rebalance_timeout_ms int32 [0+];
            subscribed_topic_names [string] [0+] null [0+];
            subscribed_topic_regex string [1+] null [1+];
            server_assignor string [0+] null [0+];
            topic_partitions [TopicPartitions] [0+] null [0+];
        }
        TopicPartitions {
            topic_id uuid [0+];
            partitions [int32] [0+];
        }
    }

    consumer_group_describe_request ConsumerGroupDescribeRequest [0-1] flexible [0+] {
        ConsumerGroupDescribeRequest {
            group_ids [string] [0+];
            include_authorized_operations bool [0+];
        }
    }
}
