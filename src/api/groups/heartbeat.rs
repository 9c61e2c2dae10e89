//! Heartbeat: a member of a classic group is alive.

use super::{ask, invalid_group, kept, kept_option, mismatched};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::Heartbeat as Beat;
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::runtime::Refused;
use crate::schema::api::{HeartbeatRequest, HeartbeatResponse};
use crate::types::ErrorCode;

/// Key 12.
pub struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    type Response = HeartbeatResponse;
    const KEY: i16 = 12;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=4;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: HeartbeatRequest) -> HeartbeatResponse {
        let error = match invalid_group(&request.group_id) {
            Some(error) => error,
            None => {
                let command = Command::Heartbeat(Beat {
                    group: kept(&request.group_id),
                    generation: request.generation_id,
                    member: kept(&request.member_id),
                    instance_id: kept_option(request.group_instance_id.as_ref()),
                });
                match ask(cx, &request.group_id, command).await {
                    Ok(Reply::Heartbeat(error)) => error,
                    Ok(other) => mismatched(&other),
                    // Sessions begin when loading ends; until then everybody is taken to be alive.
                    Err(Refused::Loading) => ErrorCode::None,
                    Err(refused) => refused.error_code(),
                }
            }
        };
        HeartbeatResponse::default().with_error_code(error.code())
    }
}
