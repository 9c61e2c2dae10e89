//! DescribeConfigs: values, where they come from, and what they mean (KIP-133, KIP-226, KIP-569).

use std::collections::BTreeSet;

use kafka_protocol::protocol::StrBytes;

use super::loggers;
use crate::api::errors::{invalid_request, message};
use crate::api::{Api, On, RequestContext};
use crate::config::layers::client_metrics_entries;
use crate::config::{Entry, Layers};
use crate::controller::command::ApiError;
use crate::controller::decide::topics::invalid_name;
use crate::metadata::{ConfigResource, MetadataImage, ResourceType};
use crate::schema::api::describe_configs_request::DescribeConfigsResource;
use crate::schema::api::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::schema::api::{DescribeConfigsRequest, DescribeConfigsResponse};
use crate::types::{ErrorCode, NodeId};

/// Key 32.
pub struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    type Response = DescribeConfigsResponse;
    const KEY: i16 = 32;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=4;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let (with_synonyms, with_docs) = (request.include_synonyms, request.include_documentation);
        if let Some(other) =
            request.resources.iter().find(|r| ResourceType::from_code(r.resource_type).is_none())
        {
            // Kafka refuses the whole request for one kind that it does not know.
            tracing::debug!(kind = other.resource_type, "configurations of an unknown kind were asked for");
            return refuse_all(request.resources);
        }
        let image = cx.broker.image();
        let node = cx.broker.config.node_id;
        let layers = image.configs().over(&cx.broker.layers.load(), node);
        let view = View { image: &image, layers: &layers, node };
        let each = request.resources.into_iter().map(|resource| {
            let described = view.describe(&resource);
            let result = DescribeConfigsResult::default().with_resource_type(resource.resource_type);
            let result = match described {
                Err(error) => {
                    let text = if error.message.is_some() { message(&error) } else { Default::default() };
                    result.with_error_code(error.code.code()).with_error_message(Some(text))
                }
                Ok(entries) => {
                    let wanted = Wanted::of(resource.configuration_keys);
                    let shown = entries.into_iter().filter(|entry| wanted.has(&entry.name));
                    result.with_configs(shown.map(|entry| wire(entry, with_synonyms, with_docs)).collect())
                }
            };
            result.with_resource_name(resource.resource_name)
        });
        DescribeConfigsResponse::default().with_results(each.collect())
    }
}

fn refuse_all(resources: Vec<DescribeConfigsResource>) -> DescribeConfigsResponse {
    let text = "This most likely occurs because of a request being malformed by the client library or the message was \
                sent to an incompatible broker. See the broker logs for more details.";
    let each = resources.into_iter().map(|resource| {
        DescribeConfigsResult::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_error_message(Some(StrBytes::from_static_str(text)))
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    });
    DescribeConfigsResponse::default().with_results(each.collect())
}

/// The keys asked for: all of them if none is named.
struct Wanted(Option<BTreeSet<StrBytes>>);

impl Wanted {
    fn of(keys: Option<Vec<StrBytes>>) -> Wanted {
        Wanted(keys.filter(|keys| !keys.is_empty()).map(|keys| keys.into_iter().collect()))
    }

    fn has(&self, key: &str) -> bool {
        self.0.as_ref().is_none_or(|keys| keys.iter().any(|wanted| **wanted == *key))
    }
}

/// What a broker can say of configurations.
struct View<'a> {
    image: &'a MetadataImage,
    layers: &'a Layers,
    node: NodeId,
}

impl View<'_> {
    fn describe(&self, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, ApiError> {
        let name = &*resource.resource_name;
        let own = |kind: ResourceType| self.image.configs().props(&ConfigResource::new(kind, name));
        match ResourceType::from_code(resource.resource_type) {
            Some(ResourceType::Topic) => {
                if let Some(why) = invalid_name(name) {
                    return Err(ApiError::new(ErrorCode::InvalidTopicException, why));
                }
                if self.image.topics().get(name).is_none() {
                    return Err(ErrorCode::UnknownTopicOrPartition.into());
                }
                Ok(self.layers.topic_entries(&own(ResourceType::Topic)))
            }
            Some(ResourceType::Broker) if name.is_empty() => Ok(self.layers.cluster_entries()),
            Some(ResourceType::Broker) => {
                self.check_broker(name, " or empty string,")?;
                Ok(self.layers.broker_entries())
            }
            Some(ResourceType::BrokerLogger) if name.is_empty() => {
                Err(invalid_request("Broker id must not be empty"))
            }
            Some(ResourceType::BrokerLogger) => {
                self.check_broker(name, "")?;
                Ok(loggers::entries())
            }
            Some(ResourceType::ClientMetrics) if name.is_empty() => {
                Err(invalid_request("Client metrics subscription name must not be empty"))
            }
            Some(ResourceType::ClientMetrics) => {
                Ok(client_metrics_entries(&own(ResourceType::ClientMetrics)))
            }
            Some(ResourceType::Group) if name.is_empty() => {
                Err(invalid_request("Group name must not be empty"))
            }
            Some(ResourceType::Group) => Ok(self.layers.group_entries(&own(ResourceType::Group))),
            None => Err(ErrorCode::InvalidRequest.into()),
        }
    }

    /// Only a broker itself knows its file.
    fn check_broker(&self, name: &str, or: &str) -> Result<(), ApiError> {
        let id: NodeId = name
            .parse()
            .map_err(|_| invalid_request(format!("Broker id must be an integer, but it is: {name}")))?;
        if id == self.node {
            return Ok(());
        }
        let expected = self.node;
        Err(invalid_request(format!("Unexpected broker id, expected {expected}{or} but received {name}")))
    }
}

fn wire(entry: Entry, with_synonyms: bool, with_docs: bool) -> DescribeConfigsResourceResult {
    let result = DescribeConfigsResourceResult::default()
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.code())
        .with_is_sensitive(entry.sensitive)
        .with_config_type(entry.kind_code())
        .with_documentation(with_docs.then(|| StrBytes::from_static_str(entry.doc())));
    let synonyms = if with_synonyms { entry.synonyms } else { Vec::new() };
    let synonyms = synonyms.into_iter().map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_string(synonym.name))
            .with_value(synonym.value.map(StrBytes::from_string))
            .with_source(synonym.source.code())
    });
    result
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_synonyms(synonyms.collect())
}
