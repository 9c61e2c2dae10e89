//! All share partitions of this broker, and the sessions that fetch from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::client::StateClient;
use super::dead_letters::DeadLetters;
use super::partition::SharePartition;
use super::session::{Ended, SessionKey, Sessions};
use super::settings::SettingsOf;
use crate::coordinator::share::ShareKey;
use crate::env::{Clock, Tasks};
use crate::replica::{FetchWaiter, ReplicaManager};
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// See the module.
pub struct SharePartitions {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tasks: Tasks,
    pub(super) states: Arc<StateClient>,
    pub(super) dead_letters: Arc<DeadLetters>,
    replicas: Arc<ReplicaManager>,
    settings_of: SettingsOf,
    began: Instant,
    sessions: Mutex<Sessions>,
    partitions: Mutex<BTreeMap<ShareKey, Arc<SharePartition>>>,
}

impl SharePartitions {
    /// None yet; at most `sessions_max` sessions.
    pub fn new(
        (clock, tasks): (Arc<dyn Clock>, Tasks),
        replicas: Arc<ReplicaManager>,
        states: Arc<StateClient>,
        dead_letters: Arc<DeadLetters>,
        settings_of: SettingsOf,
        sessions_max: usize,
    ) -> Arc<SharePartitions> {
        Arc::new(SharePartitions {
            clock,
            tasks,
            states,
            dead_letters,
            replicas,
            settings_of,
            began: Instant::now(),
            sessions: Mutex::new(Sessions::new(sessions_max)),
            partitions: Mutex::default(),
        })
    }

    /// The way to share coordinators.
    pub fn states(&self) -> &Arc<StateClient> {
        &self.states
    }

    /// Gives groups' settings.
    pub fn settings_of(&self) -> &SettingsOf {
        &self.settings_of
    }

    /// The sessions.
    pub fn sessions(&self) -> &Mutex<Sessions> {
        &self.sessions
    }

    /// The partition for the group; it is loaded if it is not there.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PARTITION` and `NOT_LEADER_OR_FOLLOWER` as for any fetch.
    pub fn get_or_load(
        self: &Arc<Self>,
        group: &Arc<str>,
        topic: TopicId,
        index: PartitionIndex,
    ) -> Result<Arc<SharePartition>, ErrorCode> {
        let replicas = self.replicas.topic_by_id(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let partition = replicas.partition(index)?;
        let epoch = partition.leader_epoch().ok_or(ErrorCode::NotLeaderOrFollower)?;
        let key = ShareKey { group: Arc::clone(group), topic, partition: index };
        let mut partitions = self.partitions.lock();
        if let Some(known) = partitions.get(&key) {
            if known.is_of(&partition, epoch) {
                known.set_retires(false);
                return Ok(Arc::clone(known));
            }
            known.end(ErrorCode::NotLeaderOrFollower);
        }
        let settings_of = Arc::clone(&self.settings_of);
        let share = SharePartition::new(key.clone(), partition, epoch, settings_of, self.began);
        partitions.insert(key, Arc::clone(&share));
        drop(partitions);
        self.tasks.spawn("share partition", Arc::clone(&share).run(Arc::clone(self)));
        Ok(share)
    }

    /// The partition for the group, if it is there.
    pub fn get(&self, key: &ShareKey) -> Option<Arc<SharePartition>> {
        self.partitions.lock().get(key).cloned()
    }

    /// Ends a session and takes back what its member holds. With `connection`, only if it was begun there. False if there is
    /// no such session.
    pub fn end_session(&self, key: &SessionKey, connection: Option<&Arc<FetchWaiter>>) -> bool {
        let Some(Ended { partitions, is_last }) = self.sessions.lock().end(key, connection) else {
            return false;
        };
        let (group, member) = key;
        for (topic, partition) in partitions {
            let key = ShareKey { group: Arc::clone(group), topic, partition };
            if let Some(share) = self.get(&key) {
                share.release_member(member);
            }
        }
        if is_last {
            self.of_group(group).iter().for_each(|share| share.set_retires(true));
        }
        true
    }

    /// Ends the sessions of a connection that is gone.
    pub fn connection_ended(&self, connection: &Arc<FetchWaiter>) {
        let gone = self.sessions.lock().of_connection(connection);
        for key in gone {
            // A session that has moved to another connection meanwhile goes on.
            let _ended = self.end_session(&key, Some(connection));
        }
    }

    fn of_group(&self, group: &Arc<str>) -> Vec<Arc<SharePartition>> {
        let from = ShareKey { group: Arc::clone(group), topic: TopicId::NIL, partition: 0 };
        let partitions = self.partitions.lock();
        let of_group = partitions.range(from..).take_while(|(key, _)| key.group == *group);
        of_group.map(|(_, share)| Arc::clone(share)).collect()
    }

    /// The cluster has changed: ends what this broker does not lead any more.
    pub fn metadata_changed(&self) {
        let shares: Vec<_> = self.partitions.lock().values().cloned().collect();
        for share in shares {
            if share.partition().leader_epoch() != Some(share.leader_epoch()) {
                share.end(ErrorCode::NotLeaderOrFollower);
            }
        }
    }

    /// Ends all: the node stops.
    pub fn stop(&self) {
        let shares: Vec<_> = self.partitions.lock().values().cloned().collect();
        shares.iter().for_each(|share| share.end(ErrorCode::NotLeaderOrFollower));
    }

    /// Forgets a share partition at rest that nobody has a session for. False if somebody has come back.
    pub(super) fn retire(&self, share: &Arc<SharePartition>) -> bool {
        // In this order, as where it is given out: who finds it there has it kept.
        let mut partitions = self.partitions.lock();
        if !share.end_if_at_rest() {
            return false;
        }
        if partitions.get(share.key()).is_some_and(|known| Arc::ptr_eq(known, share)) {
            partitions.remove(share.key());
        }
        true
    }

    /// Forgets a share partition that has ended.
    pub(super) fn forget(&self, share: &Arc<SharePartition>) {
        let mut partitions = self.partitions.lock();
        if partitions.get(share.key()).is_some_and(|known| Arc::ptr_eq(known, share)) {
            partitions.remove(share.key());
        }
    }
}
