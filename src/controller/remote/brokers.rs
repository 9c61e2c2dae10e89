//! Brokers and controllers: registrations, heartbeats, producer ids.

use kafka_protocol::messages::BrokerId;

use super::{outcome, text};
use crate::controller::command::{
    ApiError, BrokerHeartbeat, BrokerRegistration, ControllerRegistration, Reply,
};
use crate::schema::api::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, BrokerHeartbeatRequest, BrokerHeartbeatResponse,
    BrokerRegistrationRequest, BrokerRegistrationResponse, ControllerRegistrationRequest,
    ControllerRegistrationResponse, UnregisterBrokerRequest, UnregisterBrokerResponse,
    UnregisterControllerRequest, UnregisterControllerResponse, broker_registration_request,
    controller_registration_request,
};
use crate::types::{BrokerEpoch, NodeId};

/// The version that UnregisterBroker is asked in.
pub const UNREGISTER_VERSION: i16 = 0;
/// The version that UnregisterController is asked in.
pub const UNREGISTER_CONTROLLER_VERSION: i16 = 0;
/// The version that AllocateProducerIds is asked in.
pub const ALLOCATE_VERSION: i16 = 0;
/// The version that BrokerRegistration is asked in.
pub const REGISTER_VERSION: i16 = 4;
/// The version that ControllerRegistration is asked in.
pub const REGISTER_CONTROLLER_VERSION: i16 = 0;
/// The version that BrokerHeartbeat is asked in.
pub const HEARTBEAT_VERSION: i16 = 2;

/// UnregisterBroker as a broker passes it on.
pub fn unregister_request(id: NodeId) -> UnregisterBrokerRequest {
    UnregisterBrokerRequest::default().with_broker_id(BrokerId(id))
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says.
pub fn unregister_reply(response: UnregisterBrokerResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, response.error_message).map(|()| Reply::Done)
}

/// UnregisterController as a broker passes it on.
pub fn unregister_controller_request(controller_id: NodeId) -> UnregisterControllerRequest {
    UnregisterControllerRequest { controller_id }
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says.
pub fn unregister_controller_reply(response: UnregisterControllerResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, response.error_message).map(|()| Reply::Done)
}

/// AllocateProducerIds as a broker asks it.
pub fn allocate_request(broker: NodeId, epoch: BrokerEpoch) -> AllocateProducerIdsRequest {
    AllocateProducerIdsRequest::default().with_broker_id(BrokerId(broker)).with_broker_epoch(epoch)
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says.
pub fn allocate_reply(response: &AllocateProducerIdsResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, None)?;
    Ok(Reply::ProducerIds { first: response.producer_id_start.0, count: response.producer_id_len })
}

/// BrokerRegistration as a broker asks it.
pub fn register_request(wanted: &BrokerRegistration) -> BrokerRegistrationRequest {
    let listeners = wanted.endpoints.iter().map(|endpoint| {
        broker_registration_request::Listener::default()
            .with_name(text(&endpoint.listener))
            .with_host(text(&endpoint.host))
            .with_port(endpoint.port)
            .with_security_protocol(endpoint.security_protocol)
    });
    let features = wanted.features.iter().map(|feature| {
        broker_registration_request::Feature::default()
            .with_name(text(&feature.name))
            .with_min_supported_version(feature.min)
            .with_max_supported_version(feature.max)
    });
    BrokerRegistrationRequest::default()
        .with_broker_id(BrokerId(wanted.id))
        .with_cluster_id(text(&wanted.cluster_id))
        .with_incarnation_id(wanted.incarnation)
        .with_listeners(listeners.collect())
        .with_features(features.collect())
        .with_rack(wanted.rack.as_deref().map(text))
        .with_log_dirs(wanted.log_dirs.clone())
        .with_previous_broker_epoch(wanted.previous_epoch)
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says.
pub fn register_reply(response: &BrokerRegistrationResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, None).map(|()| Reply::RegisterBroker(response.broker_epoch))
}

/// ControllerRegistration as a controller asks it.
pub fn register_controller_request(wanted: &ControllerRegistration) -> ControllerRegistrationRequest {
    let listeners = wanted.endpoints.iter().map(|endpoint| {
        controller_registration_request::Listener::default()
            .with_name(text(&endpoint.listener))
            .with_host(text(&endpoint.host))
            .with_port(endpoint.port)
            .with_security_protocol(endpoint.security_protocol)
    });
    let features = wanted.features.iter().map(|feature| {
        controller_registration_request::Feature::default()
            .with_name(text(&feature.name))
            .with_min_supported_version(feature.min)
            .with_max_supported_version(feature.max)
    });
    ControllerRegistrationRequest::default()
        .with_controller_id(wanted.id)
        .with_incarnation_id(wanted.incarnation)
        .with_listeners(listeners.collect())
        .with_features(features.collect())
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says.
pub fn register_controller_reply(response: ControllerRegistrationResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, response.error_message).map(|()| Reply::Done)
}

/// BrokerHeartbeat as a broker asks it.
pub fn heartbeat_request(beat: &BrokerHeartbeat) -> BrokerHeartbeatRequest {
    BrokerHeartbeatRequest {
        broker_id: BrokerId(beat.id),
        broker_epoch: beat.epoch,
        current_metadata_offset: beat.current_offset,
        want_fence: beat.want_fence,
        want_shut_down: beat.want_shut_down,
        ..BrokerHeartbeatRequest::default()
    }
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says.
pub fn heartbeat_reply(response: &BrokerHeartbeatResponse) -> Result<Reply, ApiError> {
    outcome(response.error_code, None)?;
    let (is_fenced, should_shut_down) = (response.is_fenced, response.should_shut_down);
    Ok(Reply::BrokerHeartbeat { is_fenced, should_shut_down, lease_ms: response.lease_ms })
}
