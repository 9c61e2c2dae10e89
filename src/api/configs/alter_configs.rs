//! AlterConfigs: replaces all that is set on a resource (KIP-133). Older than IncrementalAlterConfigs, and still in use.

use kafka_protocol::protocol::StrBytes;

use super::preprocess::{Asked, Broker, Outcomes, check_all};
use crate::api::controller_gate::{DEFAULT_WAIT, submit, unexpected};
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, ConfigOp, Reply};
use crate::metadata::ConfigResource;
use crate::schema::api::alter_configs_request::AlterConfigsResource;
use crate::schema::api::alter_configs_response::AlterConfigsResourceResponse;
use crate::schema::api::{AlterConfigsRequest, AlterConfigsResponse};
use crate::types::ErrorCode;

/// Key 33.
pub struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    type Response = AlterConfigsResponse;
    const KEY: i16 = 33;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let asked: Vec<Asked> = request.resources.into_iter().map(Asked::from).collect();
        let checked = {
            let image = cx.broker.image();
            let node = cx.broker.config.node_id;
            let layers = image.configs().over(&cx.broker.layers.load(), node);
            let is_controller = cx.connection.listener.is_controller;
            check_all(&Broker { image: &image, layers: &layers, node, is_controller }, &asked, true)
        };
        let mut configs = Vec::new();
        let decided: Vec<Result<ConfigResource, ApiError>> = checked
            .into_iter()
            .map(|checked| {
                let (resource, keys) = checked?;
                let values = keys.into_iter().map(|change| (change.name, change.value)).collect();
                configs.push((resource.clone(), values));
                Ok(resource)
            })
            .collect();
        let outcomes = persist(cx, configs, request.validate_only).await;
        let each = asked.into_iter().zip(decided).map(|(asked, decided)| {
            let outcome = decided.and_then(|resource| match &outcomes {
                Err(error) => Err(error.clone()),
                Ok(all) => all.get(&resource).cloned().unwrap_or(Err(ErrorCode::UnknownServerError.into())),
            });
            answer(asked.kind, asked.name, outcome)
        });
        AlterConfigsResponse::default().with_responses(each.collect())
    }
}

impl From<AlterConfigsResource> for Asked {
    fn from(resource: AlterConfigsResource) -> Asked {
        let set = ConfigOp::Set as i8;
        let changes = resource.configs.into_iter();
        let changes = changes.map(|c| (c.name.to_string(), set, c.value.map(|value| value.to_string())));
        Asked { kind: resource.resource_type, name: resource.resource_name, changes: changes.collect() }
    }
}

async fn persist(
    cx: &RequestContext,
    configs: Vec<(ConfigResource, Vec<(String, Option<String>)>)>,
    validate_only: bool,
) -> Result<Outcomes, ApiError> {
    if configs.is_empty() {
        return Ok(Outcomes::new());
    }
    let command = Command::AlterConfigs { configs, validate_only };
    match submit(cx, command, DEFAULT_WAIT).await? {
        Reply::AlterConfigs(outcomes) => Ok(outcomes.into_iter().collect()),
        other => Err(unexpected(&other)),
    }
}

fn answer(kind: i8, name: StrBytes, outcome: Result<(), ApiError>) -> AlterConfigsResourceResponse {
    let (code, message) = match outcome {
        Ok(()) => (0, None),
        Err(error) => code_and_message(&error),
    };
    AlterConfigsResourceResponse::default()
        .with_error_code(code)
        .with_error_message(message)
        .with_resource_type(kind)
        .with_resource_name(name)
}
