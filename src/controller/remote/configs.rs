//! Configurations: IncrementalAlterConfigs and AlterConfigs.

use kafka_protocol::protocol::StrBytes;

use super::{outcome, text};
use crate::controller::command::{ApiError, ConfigChange, ConfigValues, Reply};
use crate::metadata::{ConfigResource, ResourceType};
use crate::schema::api::alter_configs_request as replace;
use crate::schema::api::incremental_alter_configs_request as incremental;
use crate::schema::api::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

/// The versions that are asked in.
pub const INCREMENTAL_VERSION: i16 = 1;
/// See [`INCREMENTAL_VERSION`].
pub const REPLACE_VERSION: i16 = 2;

/// IncrementalAlterConfigs as a broker passes it on.
pub fn incremental_request(
    changes: &[(ConfigResource, Vec<ConfigChange>)],
    validate_only: bool,
) -> IncrementalAlterConfigsRequest {
    let config = |change: &ConfigChange| {
        incremental::AlterableConfig::default()
            .with_name(text(&change.name))
            .with_config_operation(change.op as i8)
            .with_value(change.value.as_deref().map(text))
    };
    let resources = changes.iter().map(|(resource, changes)| {
        incremental::AlterConfigsResource::default()
            .with_resource_type(resource.kind.code())
            .with_resource_name(text(&resource.name))
            .with_configs(changes.iter().map(config).collect())
    });
    IncrementalAlterConfigsRequest::default()
        .with_resources(resources.collect())
        .with_validate_only(validate_only)
}

/// Back from the answer.
pub fn incremental_reply(response: IncrementalAlterConfigsResponse) -> Reply {
    let each = response.responses.into_iter();
    reply(each.map(|one| (one.resource_type, one.resource_name, one.error_code, one.error_message)))
}

/// AlterConfigs as a broker passes it on.
pub fn replace_request(
    configs: &[(ConfigResource, ConfigValues)],
    validate_only: bool,
) -> AlterConfigsRequest {
    let config = |(name, value): &(String, Option<String>)| {
        replace::AlterableConfig::default().with_name(text(name)).with_value(value.as_deref().map(text))
    };
    let resources = configs.iter().map(|(resource, values)| {
        replace::AlterConfigsResource::default()
            .with_resource_type(resource.kind.code())
            .with_resource_name(text(&resource.name))
            .with_configs(values.iter().map(config).collect())
    });
    AlterConfigsRequest::default().with_resources(resources.collect()).with_validate_only(validate_only)
}

/// Back from the answer.
pub fn replace_reply(response: AlterConfigsResponse) -> Reply {
    let each = response.responses.into_iter();
    reply(each.map(|one| (one.resource_type, one.resource_name, one.error_code, one.error_message)))
}

/// Resources of kinds that nobody asked for are passed over; what was asked for and is missing, the caller notices.
fn reply(answers: impl Iterator<Item = (i8, StrBytes, i16, Option<StrBytes>)>) -> Reply {
    let each = answers.filter_map(|(kind, name, code, message)| {
        let resource = ConfigResource::new(ResourceType::from_code(kind)?, &*name);
        let outcome: Result<(), ApiError> = outcome(code, message);
        Some((resource, outcome))
    });
    Reply::AlterConfigs(each.collect())
}
