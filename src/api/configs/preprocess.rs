//! What a broker says of a change of configurations before the controller sees it.
//!
//! Only the broker that a change is for knows its own file, so changes of brokers are checked there and not again by the
//! controller that they are passed on to. What is left goes to the controller, and its answers are put back in the order
//! of the request.

use std::collections::BTreeMap;

use kafka_protocol::protocol::StrBytes;

use crate::api::errors::{invalid_request, of_config};
use crate::config::alter::{self, Op, Resource};
use crate::config::{Layers, Props};
use crate::controller::command::{ApiError, ConfigChange, ConfigOp};
use crate::metadata::{ConfigResource, MetadataImage, ResourceType};
use crate::types::{ErrorCode, NodeId};

/// What became of each resource of a request.
pub(super) type Outcomes = BTreeMap<ConfigResource, Result<(), ApiError>>;

/// A change of one resource as it came; values are checked here, kinds are known.
pub(super) struct Asked {
    /// Number of the kind, as sent.
    pub(super) kind: i8,
    /// Name, as sent.
    pub(super) name: StrBytes,
    /// Key, number of the operation, value. Replacing everything is setting everything.
    pub(super) changes: Vec<(String, i8, Option<String>)>,
}

/// What the broker must know to check a change.
pub(super) struct Broker<'a> {
    pub(super) image: &'a MetadataImage,
    pub(super) layers: &'a Layers,
    pub(super) node: NodeId,
    /// True if it is asked as a controller, which takes changes of any broker.
    pub(super) is_controller: bool,
}

/// Refuses what can be refused here; gives back what to do otherwise, at the resource's place in the request.
pub(super) fn check_all(
    broker: &Broker<'_>,
    asked: &[Asked],
    replaces: bool,
) -> Vec<Result<(ConfigResource, Vec<ConfigChange>), ApiError>> {
    let mut times: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    for one in asked {
        *times.entry((one.kind, &one.name)).or_default() += 1;
    }
    let each = asked.iter().map(|one| {
        if times.get(&(one.kind, &*one.name)) != Some(&1) {
            return Err(invalid_request("Each resource must appear at most once."));
        }
        check_one(broker, one, replaces)
    });
    each.collect()
}

fn check_one(
    broker: &Broker<'_>,
    asked: &Asked,
    replaces: bool,
) -> Result<(ConfigResource, Vec<ConfigChange>), ApiError> {
    let mut keys: Vec<&str> = asked.changes.iter().map(|(key, ..)| key.as_str()).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid_request("Error due to duplicate config keys"));
    }
    let deletes = |op: i8| !replaces && op == ConfigOp::Delete as i8;
    let nulls = asked.changes.iter().filter(|(_, op, value)| value.is_none() && !deletes(*op));
    let nulls: Vec<&str> = nulls.map(|(key, ..)| key.as_str()).collect();
    if !nulls.is_empty() {
        return Err(invalid_request(format!("Null value not supported for : {}", nulls.join(", "))));
    }
    let kind = ResourceType::from_code(asked.kind);
    let Some(kind) = kind.filter(|kind| !(replaces && *kind == ResourceType::BrokerLogger)) else {
        return Err(invalid_request(format!("Unknown resource type {}", asked.kind)));
    };
    let resource = ConfigResource::new(kind, &*asked.name);
    let is_named_broker = kind == ResourceType::Broker && !asked.name.is_empty();
    if kind == ResourceType::BrokerLogger || (is_named_broker && !broker.is_controller) {
        check_broker_id(broker.node, &asked.name)?;
    }
    let changes: Vec<ConfigChange> = asked
        .changes
        .iter()
        .map(|(key, op, value)| {
            let op = ConfigOp::from_code(*op)
                .ok_or_else(|| invalid_request(format!("Unknown operations type {op}")))?;
            Ok(ConfigChange { name: key.clone(), op, value: value.clone() })
        })
        .collect::<Result<_, ApiError>>()?;
    if kind == ResourceType::Broker && !broker.is_controller {
        check_broker_change(broker, &resource, &changes, replaces)?;
    }
    Ok((resource, changes))
}

fn check_broker_id(node: NodeId, name: &str) -> Result<(), ApiError> {
    match name.parse::<NodeId>() {
        Err(_) => Err(invalid_request(format!("Node id must be an integer, but it is: {name}"))),
        Ok(id) if id != node => {
            Err(invalid_request(format!("Unexpected broker id, expected {node}, but received {name}")))
        }
        Ok(_) => Ok(()),
    }
}

fn check_broker_change(
    broker: &Broker<'_>,
    resource: &ConfigResource,
    changes: &[ConfigChange],
    replaces: bool,
) -> Result<(), ApiError> {
    let kind = if resource.name.is_empty() { Resource::AllBrokers } else { Resource::Broker };
    let current = broker.image.configs().props(resource);
    for change in changes {
        let is_list_op = matches!(change.op, ConfigOp::Append | ConfigOp::Subtract);
        let is_list = || {
            let property = kind.property(&change.name);
            property.is_some_and(|property| property.kind == crate::config::property::Kind::List)
        };
        if is_list_op && !is_list() {
            let verb = change.op.name().to_ascii_lowercase();
            let why = format!("Config value {verb} is not allowed for config key: {}", change.name);
            return Err(ApiError::new(ErrorCode::InvalidConfig, why));
        }
    }
    let ops: Vec<(String, Op)> = changes.iter().map(|change| (change.name.clone(), op(change))).collect();
    let base = if replaces { Props::new() } else { current.clone() };
    let next = alter::apply(broker.layers, kind, &base, &ops).map_err(|error| of_config(&error))?;
    alter::validate(broker.layers, kind, &current, &next).map_err(|error| of_config(&error))
}

fn op(change: &ConfigChange) -> Op {
    let value = || change.value.clone().unwrap_or_default();
    match change.op {
        ConfigOp::Set => Op::Set(value()),
        ConfigOp::Delete => Op::Delete,
        ConfigOp::Append => Op::Append(value()),
        ConfigOp::Subtract => Op::Subtract(value()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_image::image;

    fn check(asked: &[(i8, &'static str, &[(&str, i8, Option<&str>)])], replaces: bool) -> Vec<String> {
        let image = image(&[("t", 1)], &[(4, "", "num.io.threads", "9")]);
        let file = [
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("controller.quorum.voters", "1@localhost:9093"),
            ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            ("controller.listener.names", "CONTROLLER"),
        ];
        let layers = Layers::new(file.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let broker = Broker { image: &image, layers: &layers, node: 1, is_controller: false };
        let asked = asked.iter().map(|&(kind, name, changes)| {
            let changes =
                changes.iter().map(|&(key, op, value)| (key.to_owned(), op, value.map(str::to_owned)));
            Asked { kind, name: StrBytes::from_static_str(name), changes: changes.collect() }
        });
        let asked: Vec<Asked> = asked.collect();
        let checked = check_all(&broker, &asked, replaces).into_iter();
        checked.map(|one| one.map_or_else(|e| e.message.unwrap_or_default(), |_| "ok".to_owned())).collect()
    }

    #[test]
    fn requests_that_make_no_sense_go_no_further() {
        let set: &[(&str, i8, Option<&str>)] = &[("retention.ms", 0, Some("1"))];
        let one = |kind, name, changes| check(&[(kind, name, changes)], false).remove(0);
        assert_eq!(one(2, "t", set), "ok");
        assert_eq!(one(7, "t", set), "Unknown resource type 7");
        assert_eq!(one(2, "t", &[("a", 0, None)]), "Null value not supported for : a");
        assert_eq!(one(2, "t", &[("a", 1, None)]), "ok");
        assert_eq!(one(2, "t", &[("a", 9, Some(""))]), "Unknown operations type 9");
        assert_eq!(one(2, "t", &[("a", 0, Some("")), ("a", 1, None)]), "Error due to duplicate config keys");
        assert_eq!(
            check(&[(2, "t", set), (2, "u", set), (2, "t", set)], false),
            ["Each resource must appear at most once.", "ok", "Each resource must appear at most once.",]
        );
        assert_eq!(check(&[(8, "1", set)], true), ["Unknown resource type 8"]);
    }

    #[test]
    fn a_broker_changes_only_itself_and_only_what_may_change() {
        let one = |name, changes| check(&[(4, name, changes)], false).remove(0);
        assert_eq!(one("1", &[("num.io.threads", 0, Some("8"))]), "ok");
        assert_eq!(one("", &[("num.io.threads", 0, Some("8"))]), "ok");
        assert_eq!(one("2", &[]), "Unexpected broker id, expected 1, but received 2");
        assert_eq!(one("x", &[]), "Node id must be an integer, but it is: x");
        assert_eq!(
            one("1", &[("num.io.threads", 2, Some("8"))]),
            "Config value append is not allowed for config key: num.io.threads"
        );
        assert_eq!(one("1", &[("log.cleanup.policy", 2, Some("compact"))]), "ok");
        assert!(
            one("1", &[("log.dirs", 0, Some("/x"))]).starts_with("Cannot update these configs dynamically")
        );
        assert!(one("1", &[("log.segment.bytes", 0, Some("x"))]).starts_with("Invalid value x"));
    }

    #[test]
    fn what_is_passed_on_and_its_answer_come_over_the_wire_as_they_are() {
        use crate::api::test_wire::over_the_wire;
        use crate::controller::command::Reply;
        use crate::controller::remote::configs::{
            INCREMENTAL_VERSION, REPLACE_VERSION, incremental_reply, incremental_request, replace_request,
        };
        use crate::schema::api::IncrementalAlterConfigsResponse;
        use crate::schema::api::incremental_alter_configs_response::AlterConfigsResourceResponse;
        let image = image(&[("t", 1)], &[]);
        let layers = Layers::new(Props::new());
        // Another node than the one that the changes are for.
        let controller = Broker { image: &image, layers: &layers, node: 9, is_controller: true };
        let (topic, broker) = (ConfigResource::topic("t"), ConfigResource::broker(1));
        let change = |name: &str, op, value: Option<&str>| ConfigChange {
            name: name.to_owned(),
            op,
            value: value.map(str::to_owned),
        };
        let of_topic = vec![
            change("cleanup.policy", ConfigOp::Append, Some("compact")),
            change("retention.ms", ConfigOp::Delete, None),
        ];
        let of_broker = vec![change("num.io.threads", ConfigOp::Set, Some("9"))];
        let changes = vec![(topic.clone(), of_topic), (broker.clone(), of_broker)];
        let request = over_the_wire(INCREMENTAL_VERSION, &incremental_request(&changes, true));
        assert!(request.validate_only);
        let asked: Vec<Asked> = request.resources.into_iter().map(Asked::from).collect();
        let arrived: Result<Vec<_>, ApiError> = check_all(&controller, &asked, false).into_iter().collect();
        assert_eq!(arrived, Ok(changes));

        let values = vec![("retention.ms".to_owned(), Some("5".to_owned()))];
        let configs = vec![(topic.clone(), values.clone()), (broker.clone(), Vec::new())];
        let request = over_the_wire(REPLACE_VERSION, &replace_request(&configs, false));
        let asked: Vec<Asked> = request.resources.into_iter().map(Asked::from).collect();
        let arrived: Result<Vec<_>, ApiError> = check_all(&controller, &asked, true).into_iter().collect();
        let arrived = arrived.map(|all| {
            let values =
                |changes: Vec<ConfigChange>| changes.into_iter().map(|c| (c.name, c.value)).collect();
            all.into_iter().map(|(resource, changes)| (resource, values(changes))).collect::<Vec<_>>()
        });
        assert_eq!(arrived, Ok(configs));

        let answer = |resource: &ConfigResource, code, message: Option<&'static str>| {
            AlterConfigsResourceResponse::default()
                .with_resource_type(resource.kind.code())
                .with_resource_name(StrBytes::from_string(resource.name.to_string()))
                .with_error_code(code)
                .with_error_message(message.map(StrBytes::from_static_str))
        };
        let responses = vec![answer(&topic, 0, None), answer(&broker, 40, Some("why"))];
        let reply = incremental_reply(IncrementalAlterConfigsResponse::default().with_responses(responses));
        let error = ApiError::new(ErrorCode::InvalidConfig, "why");
        assert_eq!(reply, Reply::AlterConfigs(vec![(topic, Ok(())), (broker, Err(error))]));
    }
}
