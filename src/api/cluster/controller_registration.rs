//! ControllerRegistration: a controller says where it listens and what it can do (KIP-919).

use crate::api::controller_gate::submit_for_node;
use crate::api::errors::code_and_message;
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{Command, ControllerRegistration as Registration};
use crate::metadata::{Endpoint, FeatureRange};
use crate::schema::api::{ControllerRegistrationRequest, ControllerRegistrationResponse};

/// Key 70.
pub struct ControllerRegistration;

impl Api for ControllerRegistration {
    type Request = ControllerRegistrationRequest;
    type Response = ControllerRegistrationResponse;
    const KEY: i16 = 70;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Controller;

    async fn handle(
        cx: &RequestContext,
        request: ControllerRegistrationRequest,
    ) -> ControllerRegistrationResponse {
        let response = ControllerRegistrationResponse::default().with_error_message(None);
        match submit_for_node(cx, command(&request)).await {
            Ok(_done) => response,
            Err(error) => {
                let (code, message) = code_and_message(&error);
                response.with_error_code(code).with_error_message(message)
            }
        }
    }
}

fn command(request: &ControllerRegistrationRequest) -> Command {
    let endpoints = request.listeners.iter().map(|listener| Endpoint {
        listener: (&*listener.name).into(),
        host: (&*listener.host).into(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    });
    let features = request.features.iter().map(|feature| FeatureRange {
        name: (&*feature.name).into(),
        min: feature.min_supported_version,
        max: feature.max_supported_version,
    });
    Command::RegisterController(Registration {
        id: request.controller_id,
        incarnation: request.incarnation_id,
        endpoints: endpoints.collect(),
        features: features.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::brokers::{REGISTER_CONTROLLER_VERSION, register_controller_request};

    #[test]
    fn a_registration_comes_over_the_wire_as_it_is() {
        let registration = Registration {
            id: 2,
            incarnation: uuid::Uuid::from_u128(3),
            endpoints: vec![Endpoint {
                listener: "CONTROLLER".into(),
                host: "h".into(),
                port: 9093,
                security_protocol: 0,
            }],
            features: vec![FeatureRange { name: "f".into(), min: 0, max: 1 }],
        };
        let request = register_controller_request(&registration);
        let request = over_the_wire(REGISTER_CONTROLLER_VERSION, &request);
        assert_eq!(command(&request), Command::RegisterController(registration));
    }
}
