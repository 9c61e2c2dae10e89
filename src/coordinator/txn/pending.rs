//! Markers that are owed: to whom, and what is left.
//!
//! A transaction that is prepared owes each of its partitions a marker, until its record says that it is complete. That
//! follows from the log alone, so whoever leads the partition next owes the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::{Markers, MarkersWritten};
use super::state::{Hard, Partitions, State, Transaction, TransactionalId};
use crate::metadata::MetadataImage;
use crate::metadata::topics::NO_LEADER;
use crate::types::{NodeId, PartitionIndex, Rng, TopicName};

/// What is left to be written of each transaction that is prepared.
#[derive(Default, Debug)]
pub(super) struct Pending {
    owed: BTreeMap<TransactionalId, Owed>,
}

#[derive(Debug)]
struct Owed {
    /// Tells this transaction from others of the same producer, even of the same epoch: what comes late about one of
    /// those is about nothing.
    token: u64,
    left: Partitions,
}

impl Pending {
    /// Owes the markers of `transaction`, which is prepared, in all its partitions.
    pub(super) fn owe(&mut self, id: &TransactionalId, transaction: &Transaction, rng: &mut Rng) -> Markers {
        let token = rng.next_u64();
        let left = Partitions::clone(&transaction.partitions);
        self.owed.insert(Arc::clone(id), Owed { token, left });
        Markers {
            id: Arc::clone(id),
            token,
            producer: transaction.producer,
            committed: transaction.state == State::PrepareCommit,
            version: transaction.client_version,
            partitions: Arc::clone(&transaction.partitions),
        }
    }

    /// Owes all that the log says, and nothing else.
    pub(super) fn owe_all(&mut self, hard: &Hard, rng: &mut Rng) -> Vec<Markers> {
        self.owed.clear();
        let prepared = hard.transactions.iter().filter(|(_, of)| of.state.is_prepared());
        prepared.map(|(id, transaction)| self.owe(id, transaction, rng)).collect()
    }

    /// True if these markers are of a transaction that is prepared by the log.
    pub(super) fn is_owed(&self, markers: &Markers, hard: &Hard) -> bool {
        let is_meant = self.owed.get(&markers.id).is_some_and(|owed| owed.token == markers.token);
        is_meant && hard.get(&markers.id).is_some_and(|of| of.state.is_prepared())
    }

    /// Takes note of what was written. True if nothing is left of that transaction.
    pub(super) fn written(&mut self, written: &MarkersWritten) -> bool {
        let Some(owed) = self.owed.get_mut(&written.id).filter(|owed| owed.token == written.token) else {
            return false;
        };
        remove(&mut owed.left, &written.partitions);
        let done = owed.left.is_empty();
        if done {
            self.owed.remove(&written.id);
        }
        done
    }
}

/// Takes `these` out of `from`.
pub fn remove(from: &mut Partitions, these: &Partitions) {
    for (topic, partitions) in these {
        if let Some(left) = from.get_mut(topic) {
            left.retain(|partition| !partitions.contains(partition));
            if left.is_empty() {
                from.remove(topic);
            }
        }
    }
}

/// Where markers go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    /// By the broker that leads.
    pub to: BTreeMap<NodeId, Partitions>,
    /// Of topics that are deleted: nobody will ever read them.
    pub gone: Partitions,
    /// Without a leader now.
    pub leaderless: Partitions,
}

/// Finds the leaders of `partitions`, by the cluster as it is known.
///
/// Partitions come into a transaction only where they are known. A broker that coordinates has applied the record that
/// made it the leader, and so all that the leader before it knew of: what it does not know is gone.
pub fn route(partitions: &Partitions, cluster: &MetadataImage) -> Routes {
    let mut routes = Routes::default();
    let put = |into: &mut Partitions, topic: &TopicName, partition: PartitionIndex| {
        into.entry(Arc::clone(topic)).or_default().insert(partition);
    };
    for (topic, partitions) in partitions {
        for &partition in partitions {
            match cluster.topics().partition(topic, partition) {
                None => put(&mut routes.gone, topic, partition),
                Some(found) if found.leader == NO_LEADER => put(&mut routes.leaderless, topic, partition),
                Some(found) => put(routes.to.entry(found.leader).or_default(), topic, partition),
            }
        }
    }
    routes
}
