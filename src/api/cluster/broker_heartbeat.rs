//! BrokerHeartbeat: a broker lives, and wants to lead, to be fenced or to go (KIP-631).
//!
//! Directories that failed or are cordoned are not heard yet: no broker of ours tells of any.

use crate::api::controller_gate::{submit_for_node, unexpected};
use crate::api::{Api, On, RequestContext, SignOfLife};
use crate::controller::command::{ApiError, BrokerHeartbeat as Heartbeat, Command, Reply};
use crate::schema::api::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use crate::types::Ms;

/// Key 63.
pub struct BrokerHeartbeat;

impl Api for BrokerHeartbeat {
    type Request = BrokerHeartbeatRequest;
    type Response = BrokerHeartbeatResponse;
    const KEY: i16 = 63;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: BrokerHeartbeatRequest) -> BrokerHeartbeatResponse {
        // A registration's epoch is its offset.
        let is_caught_up = request.current_metadata_offset >= request.broker_epoch;
        match beat(cx, &request).await {
            Ok((is_fenced, should_shut_down, lease_ms)) => {
                let sign = SignOfLife::Broker(request.broker_id.0, request.broker_epoch);
                cx.connection.sign_of_life.get_or_init(|| sign);
                BrokerHeartbeatResponse {
                    is_caught_up,
                    is_fenced,
                    should_shut_down,
                    lease_ms,
                    ..BrokerHeartbeatResponse::default()
                }
            }
            Err(error) => BrokerHeartbeatResponse {
                error_code: error.code.code(),
                ..BrokerHeartbeatResponse::default()
            },
        }
    }
}

async fn beat(cx: &RequestContext, request: &BrokerHeartbeatRequest) -> Result<(bool, bool, Ms), ApiError> {
    match submit_for_node(cx, command(request)).await? {
        Reply::BrokerHeartbeat { is_fenced, should_shut_down, lease_ms } => {
            Ok((is_fenced, should_shut_down, lease_ms))
        }
        other => Err(unexpected(&other)),
    }
}

fn command(request: &BrokerHeartbeatRequest) -> Command {
    Command::BrokerHeartbeat(Heartbeat {
        id: request.broker_id.0,
        epoch: request.broker_epoch,
        current_offset: request.current_metadata_offset,
        want_fence: request.want_fence,
        want_shut_down: request.want_shut_down,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::brokers::{HEARTBEAT_VERSION, heartbeat_request};

    #[test]
    fn a_heartbeat_comes_over_the_wire_as_it_is() {
        for (want_fence, want_shut_down) in [(false, false), (true, false), (false, true), (true, true)] {
            let beat = Heartbeat { id: 3, epoch: 1 << 40, current_offset: 99, want_fence, want_shut_down };
            let request = over_the_wire(HEARTBEAT_VERSION, &heartbeat_request(&beat));
            assert_eq!(command(&request), Command::BrokerHeartbeat(beat));
        }
    }
}
