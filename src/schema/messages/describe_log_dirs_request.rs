//! [`DescribeLogDirsRequest`].

use kafka_protocol::messages::TopicName;

message! {
    /// Asks for log directories and the sizes of replicas in them (KIP-113).
    DescribeLogDirsRequest [1-5] flexible [2+] {
        topics: Option<Vec<DescribableLogDirTopic>>, [0+], null [0+], default Some(Default::default());
    }
}

structure! {
    /// A part of [`DescribeLogDirsRequest`].
    DescribableLogDirTopic {
        topic: TopicName, [0+];
        partitions: Vec<i32>, [0+];
    }
}

wire_message! {
    request DescribeLogDirsRequest, key 35,
    response super::describe_log_dirs_response::DescribeLogDirsResponse
}
