//! SyncGroup: the leader hands in the assignment, everybody gets its part.

use bytes::Bytes;

use super::{ask, invalid_group, kept, kept_option, mismatched, text_option};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{Sync, Synced};
use crate::coordinator::group::{Command, Reply};
use crate::schema::api::{SyncGroupRequest, SyncGroupResponse};
use crate::types::ErrorCode;

/// From this version on protocol type and name are required (KIP-559).
const NAMES_PROTOCOL_FROM: i16 = 5;

/// Key 14.
pub struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    type Response = SyncGroupResponse;
    const KEY: i16 = 14;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Broker;
    const PARKS: bool = true;

    async fn handle(cx: &RequestContext, request: SyncGroupRequest) -> SyncGroupResponse {
        if let Some(error) = invalid_group(&request.group_id) {
            return answer(Synced::error(error));
        }
        let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
        if cx.version >= NAMES_PROTOCOL_FROM && !names_protocol {
            return answer(Synced::error(ErrorCode::InconsistentGroupProtocol));
        }
        let command = Command::Sync(Sync {
            group: kept(&request.group_id),
            generation: request.generation_id,
            member: kept(&request.member_id),
            instance_id: kept_option(request.group_instance_id.as_ref()),
            protocol_type: kept_option(request.protocol_type.as_ref()),
            protocol: kept_option(request.protocol_name.as_ref()),
            assignments: request
                .assignments
                .iter()
                .map(|a| (kept(&a.member_id), Bytes::copy_from_slice(&a.assignment)))
                .collect(),
        });
        match ask(cx, &request.group_id, command).await {
            Ok(Reply::Sync(synced)) => answer(synced),
            Ok(other) => answer(Synced::error(mismatched(&other))),
            Err(refused) => answer(Synced::error(refused.error_code())),
        }
    }
}

fn answer(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(synced.error.code())
        .with_protocol_type(text_option(synced.protocol_type.as_ref()))
        .with_protocol_name(text_option(synced.protocol.as_ref()))
        .with_assignment(synced.assignment)
}
