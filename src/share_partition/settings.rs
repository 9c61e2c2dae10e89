//! What a share group may set for itself, over what the broker says.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::state::Limits;
use crate::config::Layers;
use crate::config::property::{ShareOffsetReset, Value, parse_share_offset_reset};
use crate::metadata::{ConfigResource, MetadataImage};
use crate::replica::Isolation;

/// A group's settings, as they are now.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// Limits on records in flight.
    pub limits: Limits,
    /// Where the group begins on a partition that it has no state for: `share.auto.offset.reset`.
    pub offset_reset: ShareOffsetReset,
    /// Which records are delivered: `share.isolation.level`.
    pub isolation: Isolation,
    /// Whether consumers may renew locks: `share.renew.acknowledge.enable`.
    pub may_renew: bool,
    /// The dead-letter queue: `errors.deadletterqueue.topic.name`.
    pub dead_letter_topic: Option<Arc<str>>,
    /// Whether dead letters carry the records: `errors.deadletterqueue.copy.record.enable`.
    pub dead_letters_copy_records: bool,
}

/// Gives a group's settings.
pub type SettingsOf = Arc<dyn Fn(&str) -> GroupSettings + Send + Sync>;

/// The settings of groups by the newest image and the broker's layers.
pub fn settings_of(layers: Arc<ArcSwap<Layers>>, image: Arc<ArcSwap<MetadataImage>>) -> SettingsOf {
    Arc::new(move |group| {
        let own = image.load().configs().props(&ConfigResource::group(group));
        let layers = layers.load();
        let value = |key: &str| layers.group_value(&own, key);
        let number = |key: &str| match value(key) {
            Value::Number(n) => n,
            _ => 0,
        };
        let text = |key: &str| match value(key) {
            Value::Text(text) => text,
            _ => String::new(),
        };
        let topic = text("errors.deadletterqueue.topic.name");
        let topic = (!topic.is_empty()).then(|| Arc::from(topic));
        let reset = parse_share_offset_reset(&text("share.auto.offset.reset"));
        let is_committed = text("share.isolation.level").eq_ignore_ascii_case("read_committed");
        GroupSettings {
            limits: Limits {
                lock_ms: number("share.record.lock.duration.ms").max(1),
                deliveries_max: i16::try_from(number("share.delivery.count.limit"))
                    .unwrap_or(i16::MAX)
                    .max(1),
                records_max: number("share.partition.max.record.locks").max(1),
                has_dead_letters: topic.is_some(),
            },
            offset_reset: reset.unwrap_or(ShareOffsetReset::Latest),
            isolation: if is_committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted },
            may_renew: value("share.renew.acknowledge.enable") == Value::Boolean(true),
            dead_letter_topic: topic,
            dead_letters_copy_records: value("errors.deadletterqueue.copy.record.enable")
                == Value::Boolean(true),
        }
    })
}
