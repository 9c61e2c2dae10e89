//! ShareGroupDescribe: share groups in detail.

use super::{ask, kept, share_groups_enabled, text};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::group::modern::Partitions;
use crate::coordinator::group::share::ShareGroup;
use crate::coordinator::group::{Command, Reply};
use crate::metadata::MetadataImage;
use crate::schema::api::share_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use crate::schema::api::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};
use crate::types::ErrorCode;

/// Key 77.
pub struct ShareGroupDescribe;

impl Api for ShareGroupDescribe {
    type Request = ShareGroupDescribeRequest;
    type Response = ShareGroupDescribeResponse;
    const KEY: i16 = 77;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=1;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: ShareGroupDescribeRequest) -> ShareGroupDescribeResponse {
        let mut groups = Vec::with_capacity(request.group_ids.len());
        for id in &request.group_ids {
            let described = describe(cx, id).await;
            groups.push(described.unwrap_or_else(|(error, why)| {
                DescribedGroup::default().with_error_code(error.code()).with_error_message(Some(text(&why)))
            }));
            if let Some(group) = groups.last_mut() {
                group.group_id = id.clone();
            }
        }
        ShareGroupDescribeResponse::default().with_groups(groups)
    }
}

async fn describe(cx: &RequestContext, id: &str) -> Result<DescribedGroup, (ErrorCode, String)> {
    let error = |code: ErrorCode| (code, code.name().to_owned());
    if !share_groups_enabled(cx) {
        return Err(error(ErrorCode::UnsupportedVersion));
    }
    if id.is_empty() {
        return Err(error(ErrorCode::InvalidGroupId));
    }
    let reply = ask(cx, id, Command::ShareDescribe(vec![kept(&text(id))])).await;
    match reply.map_err(|refused| error(refused.error_code()))? {
        Reply::ShareDescribe(groups) => match groups.into_iter().next() {
            Some((_, Some(group))) => Ok(described(&group, &cx.broker.image())),
            Some((_, None)) | None => Err((ErrorCode::GroupIdNotFound, format!("Group {id} not found."))),
        },
        _ => Err(error(ErrorCode::UnknownServerError)),
    }
}

fn described(group: &ShareGroup, image: &MetadataImage) -> DescribedGroup {
    let members = group.members.iter().map(|(id, member)| {
        let wants = &member.subscription;
        Member::default()
            .with_member_id(text(id))
            .with_rack_id(wants.rack_id.as_deref().map(text))
            .with_member_epoch(member.epochs.current)
            .with_client_id(text(&wants.client_id))
            .with_client_host(text(&wants.client_host))
            .with_subscribed_topic_names(wants.names.iter().map(|name| text(name).into()).collect())
            .with_assignment(assignment(&member.assigned, image))
    });
    DescribedGroup::default()
        .with_group_state(text(group.state()))
        .with_group_epoch(group.epochs.group)
        .with_assignment_epoch(group.epochs.target)
        .with_assignor_name(text("simple"))
        .with_members(members.collect())
}

/// What is assigned, of topics that are still there.
fn assignment(of: &Partitions, image: &MetadataImage) -> Assignment {
    let topics = of.by_topic().filter_map(|(id, indexes)| {
        let topic = image.topics().get_by_id(id)?;
        let topic = TopicPartitions::default()
            .with_topic_id(id.0)
            .with_topic_name(text(&topic.name).into())
            .with_partitions(indexes.collect());
        Some(topic)
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
