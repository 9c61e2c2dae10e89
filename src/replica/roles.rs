//! From metadata to partitions: who leads, what is new, what goes.
//!
//! The publisher calls [`ReplicaManager::apply`] for every change of the image, one after another. It looks at what has
//! changed and at nothing else, so that a change costs the same however many partitions there are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::manager::{ReplicaManager, Slot, TopicReplicas};
use super::partition::Partition;
use super::settings::PartitionSettings;
use crate::metadata::{
    ConfigResource, MetadataDelta, MetadataImage, Partition as Registration, ResourceType, Topic,
};
use crate::storage::StorageError;
use crate::types::{ErrorCode, Offset, PartitionIndex, TopicId, TopicName, TopicPartition};

/// Works out a topic's settings from the image and the broker's own configuration.
pub type SettingsOf = Box<dyn Fn(&MetadataImage, &str) -> PartitionSettings + Send + Sync>;

impl ReplicaManager {
    /// Makes the partitions of this broker what `image` says they are.
    pub fn apply(&self, image: &MetadataImage, delta: &MetadataDelta) {
        if !delta.brokers.is_empty() {
            self.shared.brokers.store(Arc::new(image.brokers().clone()));
        }
        for (id, name) in &delta.topics_deleted {
            self.delete_topic(*id, name);
        }
        for (id, changed) in &delta.partitions {
            if let Some(topic) = image.topics().get_by_id(*id) {
                self.update_topic(image, topic, changed);
            }
        }
        self.update_settings(image, delta);
    }

    /// Costs what has changed, however many partitions the topic has.
    fn update_topic(&self, image: &MetadataImage, topic: &Topic, changed: &BTreeSet<PartitionIndex>) {
        let known = self.topic_by_id(topic.id);
        let mut partitions = known.map(|known| known.partitions.clone()).unwrap_or_default();
        // What a log tells out of order is part of the topic only once those before it have come.
        let new = partitions.len()..topic.partitions.len();
        partitions.extend(new.clone().map(|_| Slot::Elsewhere));
        let new = new.filter_map(|at| PartitionIndex::try_from(at).ok());
        let touched: BTreeSet<PartitionIndex> = changed.iter().copied().chain(new).collect();
        let mut settings = None;
        let mut left = Vec::new();
        for index in touched {
            let (Some(registration), Ok(at)) = (topic.partition(index), usize::try_from(index)) else {
                continue;
            };
            let slot = match (partitions.get(at), registration.is_on(self.node_id)) {
                (Some(slot @ (Slot::Here(_) | Slot::Offline)), true) => slot.clone(),
                (Some(Slot::Elsewhere) | None, true) => {
                    let settings = settings.get_or_insert_with(|| (self.settings_of)(image, &topic.name));
                    self.open(topic, index, registration, settings)
                }
                (Some(Slot::Here(partition)), false) => {
                    left.push(Arc::clone(partition));
                    Slot::Elsewhere
                }
                (Some(Slot::Elsewhere | Slot::Offline) | None, false) => Slot::Elsewhere,
            };
            if let Slot::Here(partition) = &slot {
                partition.become_what(registration);
                if let Some(fetchers) = self.fetchers.get() {
                    fetchers.assign(partition, registration);
                }
            }
            partitions.set(at, slot);
        }
        let replicas = Arc::new(TopicReplicas { name: Arc::clone(&topic.name), id: topic.id, partitions });
        {
            let mut topics = self.topics.write();
            topics.by_id.insert(topic.id, Arc::clone(&replicas));
            topics.by_name.insert(Arc::clone(&topic.name), replicas);
        }
        for partition in &left {
            tracing::info!("{}-{} has left this broker", topic.name, partition.index());
        }
        self.drop_logs(&topic.name, left.iter(), ErrorCode::NotLeaderOrFollower);
    }

    fn open(
        &self,
        topic: &Topic,
        index: i32,
        registration: &Registration,
        settings: &PartitionSettings,
    ) -> Slot {
        let name = TopicPartition::new(Arc::clone(&topic.name), index);
        // Were it made anew, the others would take it for what they all have lost. Kafka's brokers refuse it as well.
        if !self.is_caught_up.load(Ordering::Acquire)
            && let Some(fault) = self.logs.may_be_out_of_reach(&name)
        {
            tracing::error!("{name} is offline: a log directory that may have it cannot be used: {fault}");
            return Slot::Offline;
        }
        let open = || self.logs.log(&name, topic.id, Arc::clone(&settings.log), None);
        let opened = open().or_else(|fault| match fault {
            // A topic of the same name was deleted while this broker was away, or the log has lost its topic's id.
            StorageError::TopicId { .. } => {
                self.logs.set_aside(&name, self.rng.lock().uuid())?;
                open()
            }
            other => Err(other),
        });
        match opened {
            Ok(log) => {
                let identity = (Arc::clone(&topic.name), topic.id, index);
                // Where there is one replica, what is readable follows from what is there.
                let known = (registration.replicas.len() > 1).then(|| self.known_high_watermark(&name));
                let shared = Arc::clone(&self.shared);
                Slot::Here(Partition::new(shared, identity, log, known.flatten(), settings.clone()))
            }
            Err(fault) => {
                tracing::error!("{name} is offline: {fault}");
                Slot::Offline
            }
        }
    }

    /// Everything that was here before has been applied: what comes from now on is new here. Only the first call does anything.
    ///
    /// Sets logs aside that `image` gives to no partition of this broker, as Kafka's brokers do at the start: the topic was
    /// deleted, or moved away, while this broker could not take part. To be called after [`ReplicaManager::apply`] of
    /// an image that is as new as the broker's registration: no topic that had logs here before is missing from it.
    pub fn caught_up(&self, image: &MetadataImage) {
        if self.is_caught_up.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_here = |name: &TopicPartition, id: Option<TopicId>| {
            // Without an id it is nobody's, whatever its name.
            let topic = id.and_then(|id| image.topics().get_by_id(id));
            let topic = topic.filter(|topic| topic.name == name.topic);
            topic.and_then(|topic| topic.partition(name.partition)).is_some_and(|p| p.is_on(self.node_id))
        };
        let count = self.logs.set_strays_aside(is_here, || self.rng.lock().uuid());
        if count > 0 {
            tracing::warn!(
                "{count} logs are of no topic here and were set aside; remove them if they are not needed"
            );
        }
    }

    fn known_high_watermark(&self, name: &TopicPartition) -> Option<Offset> {
        self.high_watermarks.get_or_init(|| self.logs.read_high_watermarks()).get(name).copied()
    }

    fn delete_topic(&self, id: TopicId, name: &str) {
        let gone = {
            let mut topics = self.topics.write();
            let gone = topics.by_id.remove(&id);
            // The name may have been taken by a new topic already.
            if topics.by_name.get(name).is_some_and(|topic| topic.id == id) {
                topics.by_name.remove(name);
            }
            gone
        };
        let Some(gone) = gone else { return };
        tracing::info!("topic {name} is deleted");
        self.drop_logs(&gone.name, gone.iter(), ErrorCode::UnknownTopicOrPartition);
    }

    /// Deletes the logs of partitions that are not here any more. From here on their requests are refused with `error`.
    fn drop_logs<'a>(
        &self,
        topic: &TopicName,
        partitions: impl Iterator<Item = &'a Arc<Partition>>,
        error: ErrorCode,
    ) {
        // The names go now: the partition may come back, or a topic of the same name be made, and written to, in the very
        // next change.
        let mut retired = Vec::new();
        for partition in partitions {
            if let Some(fetchers) = self.fetchers.get() {
                fetchers.leave(partition.topic_id(), partition.index());
            }
            let Some(log) = partition.give_up_log(error) else { continue };
            match self.logs.retire(log, self.rng.lock().uuid()) {
                Ok(log) => retired.extend(log),
                Err(fault) => tracing::error!("{topic}-{} cannot be deleted: {fault}", partition.index()),
            }
        }
        if retired.is_empty() {
            return;
        }
        let (logs, now, tasks) = (Arc::clone(&self.logs), self.env.clock.now(), self.env.tasks.clone());
        let topic = Arc::clone(topic);
        self.env.tasks.spawn("delete logs", async move {
            let delete = move || {
                if let Err(fault) = logs.delete(retired, now) {
                    tracing::error!("logs of {topic} cannot be deleted: {fault}");
                }
            };
            tasks.run_blocking(delete).await;
        });
    }

    /// Brings changed topic configurations into use; a change of a broker's configuration may concern every topic.
    fn update_settings(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let of_brokers = |resource: &ConfigResource| resource.kind == ResourceType::Broker;
        let topics = if delta.configs.iter().any(of_brokers) {
            self.topics()
        } else {
            let changed = delta.configs.iter().filter(|resource| resource.kind == ResourceType::Topic);
            let names: BTreeSet<_> = changed.map(|resource| Arc::clone(&resource.name)).collect();
            names.iter().filter_map(|name| self.topic(name)).collect()
        };
        for topic in topics {
            let settings = (self.settings_of)(image, &topic.name);
            for partition in topic.iter() {
                partition.set_settings(settings.clone());
            }
        }
    }
}

#[cfg(test)]
#[path = "roles_test.rs"]
mod tests;
