//! Who is to read what: the assignors that the broker has (KIP-848).
//!
//! They are functions of the members' subscriptions, the topics' sizes, and the assignment before. Each gives every
//! partition that somebody subscribes to, to exactly one of those who do. Neither looks at racks, as Kafka's do not.
//! The cost is that of the members' subscriptions and of the partitions, with a logarithm at most.

mod range;
mod uniform;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::modern::Partitions;
use crate::types::{PartitionIndex, TopicId};

/// An assignor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Everybody gets equally much, and keeps what it has.
    Uniform,
    /// Everybody gets a range of each topic, the same of topics of equal size.
    Range,
}

impl Assignor {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The assignor of that name; `group.consumer.assignors` may name Kafka's classes too.
    pub fn from_name(name: &str) -> Option<Assignor> {
        match name {
            "uniform" | "org.apache.kafka.coordinator.group.assignor.UniformAssignor" => {
                Some(Assignor::Uniform)
            }
            "range" | "org.apache.kafka.coordinator.group.assignor.RangeAssignor" => Some(Assignor::Range),
            _ => None,
        }
    }
}

/// A member, as an assignor sees it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name across restarts, if it is static.
    pub instance_id: Option<&'a str>,
    /// The topics it reads, in order. Members that read the same may share the list.
    pub topics: Arc<[TopicId]>,
    /// What it was to have until now.
    pub has: Partitions,
}

/// Topics by id: how many partitions they have.
pub type Sizes = BTreeMap<TopicId, PartitionIndex>;

/// What each of `candidates`, in their order, is to have. Topics that are not in `sizes` are left out.
pub fn assign(assignor: Assignor, candidates: &[Candidate<'_>], sizes: &Sizes) -> Vec<Partitions> {
    match assignor {
        Assignor::Uniform => uniform::assign(candidates, sizes),
        Assignor::Range => range::assign(candidates, sizes),
    }
}

/// True if all read the same.
fn is_homogeneous(candidates: &[Candidate<'_>]) -> bool {
    let same =
        |a: &Candidate<'_>, b: &Candidate<'_>| Arc::ptr_eq(&a.topics, &b.topics) || a.topics == b.topics;
    candidates.windows(2).all(|two| same(&two[0], &two[1]))
}

#[cfg(test)]
#[path = "assign_test.rs"]
mod tests;
