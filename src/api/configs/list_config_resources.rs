//! ListConfigResources: what has, or may have, a configuration (KIP-714, KIP-1142).

use std::collections::BTreeSet;

use kafka_protocol::protocol::StrBytes;

use crate::api::{Api, On, RequestContext};
use crate::metadata::{MetadataImage, ResourceType};
use crate::schema::api::list_config_resources_response::ConfigResource;
use crate::schema::api::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use crate::types::ErrorCode;

/// Every kind, in the order of an answer.
const KINDS: &[ResourceType] = &[
    ResourceType::Topic,
    ResourceType::Broker,
    ResourceType::BrokerLogger,
    ResourceType::ClientMetrics,
    ResourceType::Group,
];

/// Key 74.
pub struct ListConfigResources;

impl Api for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    type Response = ListConfigResourcesResponse;
    const KEY: i16 = 74;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=1;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
        let wanted: BTreeSet<i8> = match cx.version {
            0 => BTreeSet::from([ResourceType::ClientMetrics.code()]),
            _ if request.resource_types.is_empty() => KINDS.iter().map(|kind| kind.code()).collect(),
            _ => request.resource_types.into_iter().collect(),
        };
        if wanted.iter().any(|&code| ResourceType::from_code(code).is_none()) {
            return ListConfigResourcesResponse::default()
                .with_error_code(ErrorCode::UnsupportedVersion.code());
        }
        let image = cx.broker.image();
        let kinds = KINDS.iter().filter(|kind| wanted.contains(&kind.code()));
        let each = kinds.flat_map(|&kind| {
            names(&image, kind).into_iter().map(move |name| {
                ConfigResource::default()
                    .with_resource_name(StrBytes::from_string(name))
                    .with_resource_type(kind.code())
            })
        });
        ListConfigResourcesResponse::default().with_config_resources(each.collect())
    }
}

/// Topics and brokers that are there; groups and subscriptions of which something is set.
fn names(image: &MetadataImage, kind: ResourceType) -> Vec<String> {
    match kind {
        ResourceType::Topic => image.topics().iter().map(|topic| topic.name.to_string()).collect(),
        ResourceType::Broker | ResourceType::BrokerLogger => {
            image.brokers().unfenced().map(|broker| broker.id.to_string()).collect()
        }
        ResourceType::ClientMetrics | ResourceType::Group => {
            let set = image.configs().iter().filter(|(resource, _)| resource.kind == kind);
            set.map(|(resource, _)| resource.name.to_string()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_image::image;

    #[test]
    fn groups_are_listed_once_something_is_set() {
        let image =
            image(&[("t", 1), ("u", 1)], &[(32, "g", "x", "1"), (16, "m", "y", "1"), (2, "t", "z", "1")]);
        let listed: Vec<Vec<String>> = KINDS.iter().map(|&kind| names(&image, kind)).collect();
        assert_eq!(listed, [vec!["t", "u"], vec!["1"], vec!["1"], vec!["m"], vec!["g"]]);
    }
}
