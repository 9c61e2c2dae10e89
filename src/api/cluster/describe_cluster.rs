//! DescribeCluster: the brokers, or the controllers, and which of them to talk to (KIP-700, KIP-919, KIP-1073).

use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;

use crate::api::{Api, On, RequestContext, authorized};
use crate::metadata::{Endpoint, MetadataImage};
use crate::schema::api::describe_cluster_response::DescribeClusterBroker;
use crate::schema::api::{DescribeClusterRequest, DescribeClusterResponse};
use crate::types::ErrorCode;

/// Kinds of endpoints in the protocol.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
/// What stands where operations were not asked for.
const NOT_ASKED: i32 = i32::MIN;
/// From this version on the kinds have error codes of their own.
const ENDPOINT_TYPES_FROM: i16 = 1;

/// Key 60.
pub struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    type Response = DescribeClusterResponse;
    const KEY: i16 = 60;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: DescribeClusterRequest) -> DescribeClusterResponse {
        let listener = &cx.connection.listener;
        let here = if listener.is_controller { CONTROLLERS } else { BROKERS };
        if let Err((error, message)) = check_kind(here, request.endpoint_type) {
            let error = if cx.version < ENDPOINT_TYPES_FROM { ErrorCode::InvalidRequest } else { error };
            return DescribeClusterResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_string(message)));
        }
        let image = cx.broker.image();
        let (nodes, controller) = if listener.is_controller {
            let leader = cx.broker.quorum.leadership().borrow().leader;
            (controllers(&image, &listener.name), leader.unwrap_or(-1))
        } else {
            let nodes = brokers(&image, &listener.name, request.include_fenced_brokers);
            (nodes, cx.broker.some_broker(&image))
        };
        let controller_is_told = nodes.iter().any(|node| node.broker_id == BrokerId(controller));
        let operations =
            if request.include_cluster_authorized_operations { authorized::CLUSTER } else { NOT_ASKED };
        let response = DescribeClusterResponse::default()
            .with_error_message(None)
            .with_cluster_id(StrBytes::from_string(cx.broker.cluster_id.to_string()))
            .with_controller_id(BrokerId(if controller_is_told { controller } else { -1 }))
            .with_brokers(nodes)
            .with_cluster_authorized_operations(operations);
        if cx.version < ENDPOINT_TYPES_FROM { response } else { response.with_endpoint_type(here) }
    }
}

fn check_kind(here: i8, asked: i8) -> Result<(), (ErrorCode, String)> {
    let name = |kind: i8| if kind == CONTROLLERS { "CONTROLLER" } else { "BROKER" };
    if asked == here {
        Ok(())
    } else if asked != BROKERS && asked != CONTROLLERS {
        Err((ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {asked}")))
    } else {
        let (is, wanted) = (name(here), name(asked));
        let message = format!(
            "The request was sent to an endpoint of type {is}, but we wanted an endpoint of type {wanted}"
        );
        Err((ErrorCode::MismatchedEndpointType, message))
    }
}

fn brokers(image: &MetadataImage, listener: &str, with_fenced: bool) -> Vec<DescribeClusterBroker> {
    let shown = image.brokers().iter().filter(|broker| with_fenced || !broker.fenced);
    let reachable = shown.filter_map(|broker| Some((broker, broker.endpoint(listener)?)));
    let each = reachable.map(|(broker, endpoint)| {
        let rack = broker.rack.as_ref().map(|rack| StrBytes::from_string(rack.to_string()));
        node(broker.id, endpoint).with_rack(rack).with_is_fenced(broker.fenced)
    });
    each.collect()
}

fn controllers(image: &MetadataImage, listener: &str) -> Vec<DescribeClusterBroker> {
    let reachable = image.controllers().iter().filter_map(|controller| {
        let endpoint = controller.endpoints.iter().find(|endpoint| *endpoint.listener == *listener)?;
        Some(node(controller.id, endpoint))
    });
    reachable.collect()
}

fn node(id: i32, endpoint: &Endpoint) -> DescribeClusterBroker {
    DescribeClusterBroker::default()
        .with_broker_id(BrokerId(id))
        .with_host(StrBytes::from_string(endpoint.host.to_string()))
        .with_port(i32::from(endpoint.port))
        .with_rack(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_endpoint_must_be_that_of_the_listener() {
        assert_eq!(check_kind(BROKERS, BROKERS), Ok(()));
        assert_eq!(check_kind(CONTROLLERS, CONTROLLERS), Ok(()));
        let (code, message) = check_kind(BROKERS, CONTROLLERS).unwrap_err();
        assert_eq!(code, ErrorCode::MismatchedEndpointType);
        assert!(
            message.ends_with("of type BROKER, but we wanted an endpoint of type CONTROLLER"),
            "{message}"
        );
        assert_eq!(check_kind(BROKERS, 7).unwrap_err().0, ErrorCode::UnsupportedEndpointType);
    }
}
