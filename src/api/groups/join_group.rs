//! JoinGroup: become, or stay, a member of a classic group.

use bytes::Bytes;

use super::{ask, invalid_group, kept, kept_option, mismatched, text, text_option};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{Join, Joined, Protocol};
use crate::coordinator::group::{Command, Reply};
use crate::schema::api::join_group_response::JoinGroupResponseMember;
use crate::schema::api::{JoinGroupRequest, JoinGroupResponse};
use crate::types::ErrorCode;

/// From this version on a new member is given its id first (KIP-394).
const REQUIRES_MEMBER_ID_FROM: i16 = 4;
/// From this version on the name of the protocol may be null.
const NULL_PROTOCOL_FROM: i16 = 7;
/// From this version on a leader may be told not to assign (KIP-814).
const SKIP_ASSIGNMENT_FROM: i16 = 9;

/// Key 11.
pub struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    type Response = JoinGroupResponse;
    const KEY: i16 = 11;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=9;
    const ON: On = On::Broker;
    const PARKS: bool = true;

    async fn handle(cx: &RequestContext, request: JoinGroupRequest) -> JoinGroupResponse {
        let member = kept(&request.member_id);
        let config = &cx.broker.config;
        let session = request.session_timeout_ms;
        if let Some(error) = invalid_group(&request.group_id) {
            return answer(cx, Joined::error(error, member));
        }
        if session < config.group_min_session_timeout_ms || session > config.group_max_session_timeout_ms {
            return answer(cx, Joined::error(ErrorCode::InvalidSessionTimeout, member));
        }
        let command = Command::Join(Join {
            group: kept(&request.group_id),
            member: member.clone(),
            instance_id: kept_option(request.group_instance_id.as_ref()),
            client_id: kept(&cx.client_id),
            client_host: format!("/{}", cx.connection.peer.ip()).into(),
            session_timeout_ms: session,
            rebalance_timeout_ms: if cx.version == 0 { session } else { request.rebalance_timeout_ms },
            protocol_type: kept(&request.protocol_type),
            protocols: request
                .protocols
                .iter()
                .map(|p| Protocol { name: kept(&p.name), metadata: Bytes::copy_from_slice(&p.metadata) })
                .collect(),
            requires_known_member_id: cx.version >= REQUIRES_MEMBER_ID_FROM,
            can_skip_assignment: cx.version >= SKIP_ASSIGNMENT_FROM,
        });
        match ask(cx, &request.group_id, command).await {
            Ok(Reply::Join(joined)) => answer(cx, joined),
            Ok(other) => answer(cx, Joined::error(mismatched(&other), member)),
            Err(refused) => answer(cx, Joined::error(refused.error_code(), member)),
        }
    }
}

fn answer(cx: &RequestContext, joined: Joined) -> JoinGroupResponse {
    let member = |m: &crate::coordinator::group::command::JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&m.id))
            .with_group_instance_id(text_option(m.instance_id.as_ref()))
            .with_metadata(m.metadata.clone())
    };
    let no_protocol = (cx.version < NULL_PROTOCOL_FROM).then(|| text(""));
    JoinGroupResponse::default()
        .with_error_code(joined.error.code())
        .with_generation_id(joined.generation)
        .with_protocol_type(text_option(joined.protocol_type.as_ref()))
        .with_protocol_name(text_option(joined.protocol.as_ref()).or(no_protocol))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member))
        .with_members(joined.members.iter().map(member).collect())
}
