//! BrokerRegistration: a broker joins the cluster (KIP-631, KIP-858).

use crate::api::controller_gate::{submit_for_node, unexpected};
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, BrokerRegistration as Registration, Command, Reply};
use crate::metadata::{Endpoint, FeatureRange};
use crate::schema::api::{BrokerRegistrationRequest, BrokerRegistrationResponse};
use crate::types::{BrokerEpoch, ErrorCode};

/// Key 62.
pub struct BrokerRegistration;

impl Api for BrokerRegistration {
    type Request = BrokerRegistrationRequest;
    type Response = BrokerRegistrationResponse;
    const KEY: i16 = 62;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: BrokerRegistrationRequest) -> BrokerRegistrationResponse {
        let id = request.broker_id.0;
        match register(cx, request).await {
            Ok(epoch) => BrokerRegistrationResponse::default().with_broker_epoch(epoch),
            Err(error) => {
                // The answer has no words.
                tracing::debug!(broker = id, "a broker was not registered: {error}");
                BrokerRegistrationResponse::default().with_error_code(error.code.code())
            }
        }
    }
}

async fn register(cx: &RequestContext, request: BrokerRegistrationRequest) -> Result<BrokerEpoch, ApiError> {
    match submit_for_node(cx, command(request)?).await? {
        Reply::RegisterBroker(epoch) => Ok(epoch),
        other => Err(unexpected(&other)),
    }
}

fn command(request: BrokerRegistrationRequest) -> Result<Command, ApiError> {
    if request.is_migrating_zk_broker {
        let why = "Controller does not support registering ZK brokers.";
        return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, why));
    }
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
    Ok(Command::RegisterBroker(Registration {
        id: request.broker_id.0,
        cluster_id: request.cluster_id.to_string(),
        incarnation: request.incarnation_id,
        endpoints: endpoints.collect(),
        features: features.collect(),
        rack: request.rack.map(|rack| rack.to_string()),
        log_dirs: request.log_dirs,
        previous_epoch: request.previous_broker_epoch,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::brokers::{REGISTER_VERSION, register_request};
    use uuid::Uuid;

    fn registration() -> Registration {
        let endpoint = |name: &str, port| Endpoint {
            listener: name.into(),
            host: "h".into(),
            port,
            security_protocol: 2,
        };
        Registration {
            id: 7,
            cluster_id: "c".to_owned(),
            incarnation: Uuid::from_u128(5),
            endpoints: vec![endpoint("A", 9092), endpoint("B", 65535)],
            features: vec![FeatureRange { name: "f".into(), min: 1, max: 9 }],
            rack: Some("r".to_owned()),
            log_dirs: vec![Uuid::from_u128(1000), Uuid::from_u128(1001)],
            previous_epoch: 77,
        }
    }

    #[test]
    fn a_registration_comes_over_the_wire_as_it_is() {
        for registration in [registration(), Registration { rack: None, ..registration() }] {
            let request = over_the_wire(REGISTER_VERSION, &register_request(&registration));
            assert_eq!(command(request), Ok(Command::RegisterBroker(registration)));
        }
    }

    #[test]
    fn brokers_of_zookeeper_are_not_taken() {
        let request = register_request(&registration()).with_is_migrating_zk_broker(true);
        assert_eq!(command(request).unwrap_err().code, ErrorCode::BrokerIdNotRegistered);
    }
}
