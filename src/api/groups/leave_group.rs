//! LeaveGroup: members leave, or an administrator has them leave.

use super::{ask, invalid_group, kept, kept_option, mismatched, text, text_option};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{Leave, Left};
use crate::coordinator::group::{Command, Reply};
use crate::schema::api::leave_group_response::MemberResponse;
use crate::schema::api::{LeaveGroupRequest, LeaveGroupResponse};
use crate::types::ErrorCode;

/// From this version on a request names any number of members (KIP-345).
const BATCHED_FROM: i16 = 3;

/// Key 13.
pub struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    type Response = LeaveGroupResponse;
    const KEY: i16 = 13;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse {
        if let Some(error) = invalid_group(&request.group_id) {
            return failed(error);
        }
        let members = match cx.version < BATCHED_FROM {
            true => vec![(kept(&request.member_id), None)],
            false => {
                let one = |m: &crate::schema::api::leave_group_request::MemberIdentity| {
                    (kept(&m.member_id), kept_option(m.group_instance_id.as_ref()))
                };
                request.members.iter().map(one).collect()
            }
        };
        let command = Command::Leave(Leave { group: kept(&request.group_id), members });
        match ask(cx, &request.group_id, command).await {
            Ok(Reply::Leave(left)) if cx.version < BATCHED_FROM => {
                failed(left.first().map_or(ErrorCode::UnknownServerError, |left| left.error))
            }
            Ok(Reply::Leave(left)) => {
                LeaveGroupResponse::default().with_members(left.iter().map(member).collect())
            }
            Ok(other) => failed(mismatched(&other)),
            Err(refused) => failed(refused.error_code()),
        }
    }
}

fn failed(error: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse::default().with_error_code(error.code())
}

fn member(left: &Left) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(text(&left.member))
        .with_group_instance_id(text_option(left.instance_id.as_ref()))
        .with_error_code(left.error.code())
}
