//! [`DescribeLogDirsResponse`].

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

message! {
    /// Log directories and their replicas (KIP-827, KIP-1066).
    DescribeLogDirsResponse [1-5] flexible [2+] {
        throttle_time_ms: i32, [0+];
        error_code: i16, [3+];
        results: Vec<DescribeLogDirsResult>, [0+];
    }
}

structure! {
    /// A part of [`DescribeLogDirsResponse`].
    DescribeLogDirsResult {
        error_code: i16, [0+];
        log_dir: StrBytes, [0+];
        topics: Vec<DescribeLogDirsTopic>, [0+];
        total_bytes: i64, [4+], default -1;
        usable_bytes: i64, [4+], default -1;
        is_cordoned: bool, [5+];
    }
}

structure! {
    /// A part of [`DescribeLogDirsResponse`].
    DescribeLogDirsTopic {
        name: TopicName, [0+];
        partitions: Vec<DescribeLogDirsPartition>, [0+];
    }
}

structure! {
    /// A part of [`DescribeLogDirsResponse`].
    DescribeLogDirsPartition {
        partition_index: i32, [0+];
        partition_size: i64, [0+];
        offset_lag: i64, [0+];
        is_future_key: bool, [0+];
    }
}

wire_message! { response DescribeLogDirsResponse }
