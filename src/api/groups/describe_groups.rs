//! DescribeGroups: classic groups in detail.

use std::collections::BTreeMap;

use super::{by_partition, kept, mismatched, text, text_option};
use crate::api::{Api, On, RequestContext, authorized};
use crate::coordinator::group::command::{DescribedGroup as Described, DescribedMember};
use crate::coordinator::group::state::GroupId;
use crate::coordinator::group::{Command, Reply};
use crate::schema::api::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use crate::schema::api::{DescribeGroupsRequest, DescribeGroupsResponse};
use crate::types::ErrorCode;

/// From this version on a group that is not there is an error; before, it is `Dead` (KIP-1043).
const NOT_FOUND_FROM: i16 = 6;

/// Key 15.
pub struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    type Response = DescribeGroupsResponse;
    const KEY: i16 = 15;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=6;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let mut found: BTreeMap<GroupId, Result<Described, ErrorCode>> = BTreeMap::new();
        for (partition, ids) in by_partition(cx, request.groups.iter().map(|group| kept(group))) {
            let described = match partition {
                Err(error) => Err(error),
                Ok(partition) => {
                    match cx.broker.groups.request(partition, Command::Describe(ids.clone())).await {
                        Ok(Reply::Describe(described)) => Ok(described),
                        Ok(other) => Err(mismatched(&other)),
                        Err(refused) => Err(refused.error_code()),
                    }
                }
            };
            match described {
                Ok(described) => found.extend(described.into_iter().map(|d| (d.id.clone(), Ok(d)))),
                Err(error) => found.extend(ids.into_iter().map(|id| (id, Err(error)))),
            }
        }
        let answer = |group: &kafka_protocol::messages::GroupId| {
            let mut answer = match found.get(&***group) {
                Some(Ok(described)) => describe(cx, described),
                Some(Err(error)) => DescribedGroup::default().with_error_code(error.code()),
                None => DescribedGroup::default().with_error_code(ErrorCode::UnknownServerError.code()),
            };
            if request.include_authorized_operations && answer.error_code == 0 {
                answer.authorized_operations = authorized::GROUP;
            }
            answer.with_group_id(group.clone())
        };
        DescribeGroupsResponse::default().with_groups(request.groups.iter().map(answer).collect())
    }
}

fn describe(cx: &RequestContext, described: &Described) -> DescribedGroup {
    let says_error = cx.version >= NOT_FOUND_FROM && described.error.is_err();
    let error = if says_error { described.error } else { ErrorCode::None };
    let message = described.error_message.as_deref().filter(|_| says_error).map(text);
    DescribedGroup::default()
        .with_error_code(error.code())
        .with_error_message(message)
        .with_group_state(text(described.state))
        .with_protocol_type(text(&described.protocol_type))
        .with_protocol_data(text(&described.protocol))
        .with_members(described.members.iter().map(member).collect())
}

fn member(m: &DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(&m.id))
        .with_group_instance_id(text_option(m.instance_id.as_ref()))
        .with_client_id(text(&m.client_id))
        .with_client_host(text(&m.client_host))
        .with_member_metadata(m.metadata.clone())
        .with_member_assignment(m.assignment.clone())
}
