//! Settings of one group: its own where it has any, else the broker's (KIP-848).

use crate::coordinator::group::config::{GroupConfigs, Millis};
use crate::coordinator::group::state::GroupId;
use crate::coordinator::shard::Cx;
use crate::metadata::configs::ConfigResource;
use crate::types::Ms;

/// `consumer.session.timeout.ms`.
pub(super) fn session_timeout_ms(cx: &Cx<'_, GroupConfigs>, group: &GroupId) -> Ms {
    own(cx, group, "consumer.session.timeout.ms", &cx.config.consumer.session_timeout_ms)
}

/// `consumer.heartbeat.interval.ms`.
pub(super) fn heartbeat_interval_ms(cx: &Cx<'_, GroupConfigs>, group: &GroupId) -> Ms {
    own(cx, group, "consumer.heartbeat.interval.ms", &cx.config.consumer.heartbeat_interval_ms)
}

/// `consumer.assignment.interval.ms`; the broker's may be changed while it runs.
pub(super) fn assignment_interval_ms(cx: &Cx<'_, GroupConfigs>, group: &GroupId) -> Ms {
    const BROKER: &str = "group.consumer.assignment.interval.ms";
    let configs = cx.cluster.configs();
    let set = |resource| configs.of(&resource).get(BROKER).and_then(|value| value.trim().parse().ok());
    let broker = set(ConfigResource::broker(cx.config.node_id)).or_else(|| set(ConfigResource::cluster()));
    let fixed = &cx.config.consumer.assignment_interval_ms;
    let of_broker = Millis { value: broker.unwrap_or(fixed.value), ..*fixed };
    own(cx, group, "consumer.assignment.interval.ms", &of_broker)
}

/// A group's own value, within what the broker allows.
fn own(cx: &Cx<'_, GroupConfigs>, group: &GroupId, key: &str, of_broker: &Millis) -> Ms {
    let configs = cx.cluster.configs().of(&ConfigResource::group(group.clone()));
    let own = configs.get(key).and_then(|value| value.trim().parse::<Ms>().ok());
    own.map_or(of_broker.value, |own| own.clamp(of_broker.min, of_broker.max.max(of_broker.min)))
}
