//! What changed between two images.
//!
//! Collected while records are applied, so its cost follows the change and not the cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::{NodeId, PartitionIndex, TopicId, TopicName};

use super::configs::ConfigResource;
use super::image::MetadataImage;

/// What changed from [`MetadataDelta::before`] to the image that is published with it.
///
/// Names what was touched, not how; the two images say how. Something touched and put back is still named.
#[derive(Clone, Debug, Default)]
pub struct MetadataDelta {
    /// The image that the change began from.
    pub before: MetadataImage,
    /// True if the change came as a whole snapshot: everything there is and was is named.
    pub is_snapshot: bool,
    /// Topics that are new.
    pub topics_created: BTreeMap<TopicId, TopicName>,
    /// Topics that are gone.
    pub topics_deleted: BTreeMap<TopicId, TopicName>,
    /// Partitions that are new or changed, by topic; those of new topics too, those of deleted topics not.
    pub partitions: BTreeMap<TopicId, BTreeSet<PartitionIndex>>,
    /// Brokers that registered, changed or left.
    pub brokers: BTreeSet<NodeId>,
    /// Controllers that registered, changed or left.
    pub controllers: BTreeSet<NodeId>,
    /// Resources whose configuration changed; of deleted topics too.
    pub configs: BTreeSet<ConfigResource>,
    /// True if a feature level changed.
    pub features: bool,
    /// True if producer ids were handed out.
    pub producer_ids: bool,
    /// True if SCRAM credentials changed.
    pub scram: bool,
    /// True if access control entries changed.
    pub acls: bool,
    /// True if client quotas changed.
    pub quotas: bool,
    /// True if delegation tokens changed.
    pub tokens: bool,
}

impl MetadataDelta {
    /// Nothing changed yet from `before` on.
    pub fn from(before: &MetadataImage) -> MetadataDelta {
        MetadataDelta { before: before.clone(), ..MetadataDelta::default() }
    }

    /// The change from one whole image to another that came as a snapshot. Costs O(cluster).
    pub fn of_snapshot(before: &MetadataImage, after: &MetadataImage) -> MetadataDelta {
        let mut delta = MetadataDelta::from(before);
        delta.is_snapshot = true;
        for topic in after.topics().iter() {
            if before.topics().get_by_id(topic.id).is_none() {
                delta.topics_created.insert(topic.id, topic.name.clone());
            }
            delta.partitions.insert(topic.id, topic.iter().map(|(index, _)| index).collect());
        }
        for topic in before.topics().iter() {
            if after.topics().get_by_id(topic.id).is_none() {
                delta.topics_deleted.insert(topic.id, topic.name.clone());
            }
        }
        for image in [before, after] {
            delta.brokers.extend(image.brokers().iter().map(|b| b.id));
            delta.controllers.extend(image.controllers().iter().map(|c| c.id));
            delta.configs.extend(image.configs().iter().map(|(resource, _)| resource.clone()));
        }
        delta.features = before.features() != after.features();
        delta.producer_ids = before.producer_ids() != after.producer_ids();
        delta.scram = before.scram() != after.scram();
        delta.acls = before.acls() != after.acls();
        delta.quotas = before.quotas() != after.quotas();
        delta.tokens = before.tokens() != after.tokens();
        delta
    }

    /// True if no record changed anything.
    pub fn is_empty(&self) -> bool {
        self.topics_created.is_empty()
            && self.topics_deleted.is_empty()
            && self.partitions.is_empty()
            && self.brokers.is_empty()
            && self.controllers.is_empty()
            && self.configs.is_empty()
            && !(self.features || self.producer_ids || self.scram || self.acls || self.quotas || self.tokens)
    }

    pub(super) fn topic_created(&mut self, id: TopicId, name: TopicName) {
        self.topics_created.insert(id, name);
    }

    pub(super) fn topic_deleted(&mut self, id: TopicId, name: TopicName) {
        self.partitions.remove(&id);
        // A topic that came and went between the two images was in neither.
        if self.topics_created.remove(&id).is_none() {
            self.topics_deleted.insert(id, name);
        }
    }

    pub(super) fn partition_changed(&mut self, id: TopicId, index: PartitionIndex) {
        self.partitions.entry(id).or_default().insert(index);
    }
}
