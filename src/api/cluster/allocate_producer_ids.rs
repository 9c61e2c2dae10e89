//! AllocateProducerIds: a block of producer ids for a broker (KIP-730).

use kafka_protocol::messages::ProducerId;

use crate::api::controller_gate::{submit_for_node, unexpected};
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{Command, Reply};
use crate::schema::api::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};

/// Key 67.
pub struct AllocateProducerIds;

impl Api for AllocateProducerIds {
    type Request = AllocateProducerIdsRequest;
    type Response = AllocateProducerIdsResponse;
    const KEY: i16 = 67;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Controller;

    async fn handle(cx: &RequestContext, request: AllocateProducerIdsRequest) -> AllocateProducerIdsResponse {
        let response = AllocateProducerIdsResponse::default();
        match submit_for_node(cx, command(&request)).await {
            Ok(Reply::ProducerIds { first, count }) => {
                response.with_producer_id_start(ProducerId(first)).with_producer_id_len(count)
            }
            Ok(other) => response.with_error_code(unexpected(&other).code.code()),
            Err(error) => response.with_error_code(error.code.code()),
        }
    }
}

fn command(request: &AllocateProducerIdsRequest) -> Command {
    Command::AllocateProducerIds { broker: request.broker_id.0, epoch: request.broker_epoch }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_wire::over_the_wire;
    use crate::controller::remote::brokers::{ALLOCATE_VERSION, allocate_request};

    #[test]
    fn who_asks_comes_over_the_wire() {
        let request = over_the_wire(ALLOCATE_VERSION, &allocate_request(5, 77));
        assert_eq!(command(&request), Command::AllocateProducerIds { broker: 5, epoch: 77 });
    }
}
