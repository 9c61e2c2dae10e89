//! DeleteGroups: forget groups that nobody is in, with their offsets.

use std::collections::BTreeMap;

use super::{by_partition, kept, mismatched, text};
use crate::api::share::delete_states;
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::state::GroupId;
use crate::coordinator::group::{Command, Reply};
use crate::schema::api::delete_groups_response::DeletableGroupResult;
use crate::schema::api::{DeleteGroupsRequest, DeleteGroupsResponse};
use crate::types::ErrorCode;

/// Key 42.
pub struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    type Response = DeleteGroupsResponse;
    const KEY: i16 = 42;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=3;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let mut done: BTreeMap<GroupId, ErrorCode> = BTreeMap::new();
        let mut ready = Vec::with_capacity(request.groups_names.len());
        for group in request.groups_names.iter().map(|group| kept(group)) {
            // What is kept elsewhere for a share group goes first: who would know of it once the group is gone?
            match delete_states(cx, &group).await {
                Ok(()) => ready.push(group),
                Err(error) => {
                    done.insert(group, error);
                }
            }
        }
        for (partition, ids) in by_partition(cx, ready.into_iter()) {
            let deleted = match partition {
                Err(error) => Err(error),
                Ok(partition) => {
                    match cx.broker.groups.request(partition, Command::Delete(ids.clone())).await {
                        Ok(Reply::Delete(deleted)) => Ok(deleted),
                        Ok(other) => Err(mismatched(&other)),
                        Err(refused) => Err(refused.error_code()),
                    }
                }
            };
            let all = deleted.unwrap_or_else(|error| ids.into_iter().map(|id| (id, error)).collect());
            for (id, error) in all {
                // The first answer counts for a group that is named twice.
                done.entry(id).or_insert(error);
            }
        }
        let results = done.iter().map(|(id, &error)| DeletableGroupResult {
            group_id: text(id).into(),
            error_code: error.code(),
            error_message: message(id, error).as_deref().map(text),
        });
        DeleteGroupsResponse { results: results.collect(), ..DeleteGroupsResponse::default() }
    }
}

fn message(id: &str, error: ErrorCode) -> Option<String> {
    match error {
        ErrorCode::None => None,
        ErrorCode::GroupIdNotFound => Some(format!("Group {id} not found.")),
        ErrorCode::NonEmptyGroup => Some("The group is not empty.".to_owned()),
        other => Some(other.name().to_owned()),
    }
}
