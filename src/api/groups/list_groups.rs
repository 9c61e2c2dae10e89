//! ListGroups: the groups that this broker coordinates.

use super::{mismatched, text};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::command::{ListGroups as List, ListedGroup as Listed};
use crate::coordinator::group::{Command, Reply};
use crate::coordinator::runtime::Refused;
use crate::schema::api::list_groups_response::ListedGroup;
use crate::schema::api::{ListGroupsRequest, ListGroupsResponse};

/// Key 16.
pub struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;
    const KEY: i16 = 16;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: ListGroupsRequest) -> ListGroupsResponse {
        let list = List {
            states: request.states_filter.iter().map(|s| s.to_string()).collect(),
            types: request.types_filter.iter().map(|t| t.to_string()).collect(),
        };
        let mut groups = Vec::new();
        for partition in cx.broker.groups.partitions() {
            match cx.broker.groups.request(partition, Command::List(list.clone())).await {
                Ok(Reply::List(listed)) => groups.extend(listed.iter().map(group)),
                Ok(other) => return ListGroupsResponse::default().with_error_code(mismatched(&other).code()),
                // Lost on the way: its groups are another broker's now.
                Err(Refused::NotCoordinator) => {}
                Err(refused) => {
                    return ListGroupsResponse::default().with_error_code(refused.error_code().code());
                }
            }
        }
        ListGroupsResponse::default().with_groups(groups)
    }
}

fn group(listed: &Listed) -> ListedGroup {
    ListedGroup::default()
        .with_group_id(text(&listed.id).into())
        .with_protocol_type(text(&listed.protocol_type))
        .with_group_state(text(listed.state))
        .with_group_type(text(listed.kind))
}
