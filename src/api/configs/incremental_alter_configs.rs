//! IncrementalAlterConfigs: changes configurations key by key (KIP-339), and levels of loggers (KIP-412).

use kafka_protocol::protocol::StrBytes;

use super::loggers;
use super::preprocess::{Asked, Broker, Outcomes, check_all};
use crate::api::controller_gate::{DEFAULT_WAIT, submit, unexpected};
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, Reply};
use crate::metadata::ResourceType;
use crate::schema::api::incremental_alter_configs_request::AlterConfigsResource;
use crate::schema::api::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::schema::api::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use crate::types::ErrorCode;

/// Key 44.
pub struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    type Response = IncrementalAlterConfigsResponse;
    const KEY: i16 = 44;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Both;

    async fn handle(
        cx: &RequestContext,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let validate_only = request.validate_only;
        let asked: Vec<Asked> = request.resources.into_iter().map(Asked::from).collect();
        let checked = {
            let image = cx.broker.image();
            let node = cx.broker.config.node_id;
            let layers = image.configs().over(&cx.broker.layers.load(), node);
            let is_controller = cx.connection.listener.is_controller;
            check_all(&Broker { image: &image, layers: &layers, node, is_controller }, &asked, false)
        };
        let mut changes = Vec::new();
        // What is decided here; `None` waits for the controller.
        let decided: Vec<Result<Option<_>, ApiError>> = checked
            .into_iter()
            .map(|checked| {
                let (resource, keys) = checked?;
                if resource.kind == ResourceType::BrokerLogger {
                    loggers::alter(&keys, validate_only)?;
                    return Ok(None);
                }
                changes.push((resource.clone(), keys));
                Ok(Some(resource))
            })
            .collect();
        let outcomes = persist(cx, changes, validate_only).await;
        let each = asked.into_iter().zip(decided).map(|(asked, decided)| {
            let outcome = decided.and_then(|resource| match resource {
                None => Ok(()),
                Some(resource) => match &outcomes {
                    Err(error) => Err(error.clone()),
                    Ok(all) => match all.get(&resource) {
                        Some(outcome) => outcome.clone(),
                        None => Err(ErrorCode::UnknownServerError.into()),
                    },
                },
            });
            answer(asked.kind, asked.name, outcome)
        });
        IncrementalAlterConfigsResponse::default().with_responses(each.collect())
    }
}

impl From<AlterConfigsResource> for Asked {
    fn from(resource: AlterConfigsResource) -> Asked {
        let changes = resource.configs.into_iter();
        let changes =
            changes.map(|c| (c.name.to_string(), c.config_operation, c.value.map(|v| v.to_string())));
        Asked { kind: resource.resource_type, name: resource.resource_name, changes: changes.collect() }
    }
}

async fn persist(
    cx: &RequestContext,
    changes: Vec<(crate::metadata::ConfigResource, Vec<crate::controller::command::ConfigChange>)>,
    validate_only: bool,
) -> Result<Outcomes, ApiError> {
    if changes.is_empty() {
        return Ok(Outcomes::new());
    }
    let command = Command::IncrementalAlterConfigs { changes, validate_only };
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
