//! The image itself: the parts, and the way in to read them.

use crate::types::{LeaderEpoch, NodeId, Offset};

use super::acls::Acls;
use super::brokers::{Brokers, Controllers};
use super::configs::Configs;
use super::features::Features;
use super::producer_ids::ProducerIds;
use super::quotas::Quotas;
use super::scram::ScramCredentials;
use super::tokens::Tokens;
use super::topics::Topics;

/// The state of the cluster after some offset of the metadata log.
///
/// Cloning costs a few reference counts. Only `apply` changes one; whoever got an image from
/// `quorum` holds it unchanged for as long as it likes.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataImage {
    pub(super) topics: Topics,
    pub(super) brokers: Brokers,
    pub(super) controllers: Controllers,
    pub(super) configs: Configs,
    pub(super) features: Features,
    pub(super) producer_ids: ProducerIds,
    pub(super) scram: ScramCredentials,
    pub(super) acls: Acls,
    pub(super) quotas: Quotas,
    pub(super) tokens: Tokens,
    pub(super) offset: Offset,
    pub(super) epoch: LeaderEpoch,
}

impl Default for MetadataImage {
    fn default() -> Self {
        MetadataImage::empty()
    }
}

impl MetadataImage {
    /// The image before the first record: nothing, at offset -1.
    pub fn empty() -> MetadataImage {
        MetadataImage {
            topics: Topics::default(),
            brokers: Brokers::default(),
            controllers: Controllers::default(),
            configs: Configs::default(),
            features: Features::default(),
            producer_ids: ProducerIds::default(),
            scram: ScramCredentials::default(),
            acls: Acls::default(),
            quotas: Quotas::default(),
            tokens: Tokens::default(),
            offset: -1,
            epoch: -1,
        }
    }

    /// Topics and their partitions.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Registered brokers, fenced ones too.
    pub fn brokers(&self) -> &Brokers {
        &self.brokers
    }

    /// Registered controllers.
    pub fn controllers(&self) -> &Controllers {
        &self.controllers
    }

    /// Dynamic configuration by resource.
    pub fn configs(&self) -> &Configs {
        &self.configs
    }

    /// Finalized feature levels.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Which producer ids have been handed out.
    pub fn producer_ids(&self) -> &ProducerIds {
        &self.producer_ids
    }

    /// SCRAM credentials of users.
    pub fn scram(&self) -> &ScramCredentials {
        &self.scram
    }

    /// Access control entries.
    pub fn acls(&self) -> &Acls {
        &self.acls
    }

    /// Client quotas.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Delegation tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Offset of the last record applied; -1 before the first.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Epoch of the controller that wrote it; -1 before the first.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// True if the broker is registered and not fenced: it may lead and may join in-sync replicas.
    pub fn is_active(&self, broker: NodeId) -> bool {
        self.brokers.get(broker).is_some_and(|b| !b.fenced && !b.in_controlled_shutdown)
    }

    /// Says how far the log has been applied. Control records and empty entries take offsets too, so the one who reads
    /// the log calls this after each batch.
    pub fn set_position(&mut self, offset: Offset, epoch: LeaderEpoch) {
        self.offset = offset;
        self.epoch = epoch;
    }
}

#[cfg(test)]
#[path = "image_test.rs"]
mod tests;
