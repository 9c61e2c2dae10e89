//! What became of a commit of offsets, partition by partition in the order of its request.

use crate::coordinator::group::command::TopicErrors;
use crate::types::{ErrorCode, PartitionIndex, TopicName};

/// Deals out the coordinator's answer, which leaves out what is not there and so was never sent to it.
pub(in crate::api) struct CommitAnswer {
    committed: std::vec::IntoIter<TopicErrors>,
    failed: ErrorCode,
}

impl CommitAnswer {
    /// `committed` is in the order of the request.
    pub(in crate::api) fn new(committed: Result<Vec<TopicErrors>, ErrorCode>) -> CommitAnswer {
        let (committed, failed) = match committed {
            Ok(committed) => (committed, ErrorCode::UnknownServerError),
            Err(error) => (Vec::new(), error),
        };
        CommitAnswer { committed: committed.into_iter(), failed }
    }

    /// The errors of the request's next topic: `name` is what it is called, or why that is not known.
    pub(in crate::api) fn of_topic(
        &mut self,
        name: Result<&TopicName, &ErrorCode>,
        partitions: &[PartitionIndex],
        is_there: impl Fn(&str, PartitionIndex) -> bool,
    ) -> Vec<ErrorCode> {
        let name = match name {
            Ok(name) => name,
            Err(&unknown) => return vec![unknown; partitions.len()],
        };
        let any = partitions.iter().any(|&index| is_there(name, index));
        let done = if any { self.committed.next() } else { None };
        let mut done = done.map(|done| done.partitions).unwrap_or_default().into_iter();
        let mut of = |&index: &PartitionIndex| match is_there(name, index) {
            true => done.next().map_or(self.failed, |(_, error)| error),
            false => ErrorCode::UnknownTopicOrPartition,
        };
        partitions.iter().map(&mut of).collect()
    }
}
