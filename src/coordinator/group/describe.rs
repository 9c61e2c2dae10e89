//! ListGroups and DescribeGroups.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::group::CONSUMER_PROTOCOL_TYPE;
use super::classic::{ClassicGroup, State};
use super::command::{DescribedGroup, DescribedMember, ListGroups, ListedGroup};
use super::consumer::ConsumerGroup;
use super::share::ShareGroup;
use super::state::{Foreign, GroupId};
use crate::types::ErrorCode;

/// The state that DescribeGroups gives a group that is not there.
pub(super) const DEAD: &str = "Dead";

/// What a filter lets pass, with case and blanks taken off once.
pub(super) struct Filter {
    states: Vec<String>,
    types: Vec<String>,
}

impl Filter {
    pub(super) fn new(list: &ListGroups) -> Filter {
        let plain = |names: &[String]| names.iter().map(|name| name.trim().to_lowercase()).collect();
        Filter { states: plain(&list.states), types: plain(&list.types) }
    }

    pub(super) fn lets_pass(&self, group: &ListedGroup) -> bool {
        let within = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|n| n.eq_ignore_ascii_case(name))
        };
        within(&self.states, group.state) && within(&self.types, group.kind)
    }
}

pub(super) fn list_classic(group: &ClassicGroup) -> ListedGroup {
    ListedGroup {
        id: group.id.clone(),
        protocol_type: group.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
        state: group.state().name(),
        kind: "classic",
    }
}

pub(super) fn list_consumer(id: &GroupId, group: &ConsumerGroup) -> ListedGroup {
    ListedGroup {
        id: id.clone(),
        protocol_type: Arc::from(CONSUMER_PROTOCOL_TYPE),
        state: group.state().name(),
        kind: "consumer",
    }
}

pub(super) fn list_share(id: &GroupId, group: &ShareGroup) -> ListedGroup {
    ListedGroup { id: id.clone(), protocol_type: Arc::from("share"), state: group.state(), kind: "share" }
}

pub(super) fn list_foreign(id: &GroupId, group: &Foreign) -> ListedGroup {
    ListedGroup {
        id: id.clone(),
        protocol_type: Arc::from(group.kind.name()),
        // Its members cannot be served, so it makes no difference how far they had come.
        state: if group.members.is_empty() { State::Empty.name() } else { State::Stable.name() },
        kind: group.kind.name(),
    }
}

pub(super) fn describe_missing(id: &GroupId, is_foreign: bool) -> DescribedGroup {
    let why = match is_foreign {
        true => format!("Group {id} is not a classic group."),
        false => format!("Group {id} not found."),
    };
    DescribedGroup {
        id: id.clone(),
        error: ErrorCode::GroupIdNotFound,
        error_message: Some(why),
        state: DEAD,
        protocol_type: Arc::from(""),
        protocol: Arc::from(""),
        members: Vec::new(),
    }
}

pub(super) fn describe_classic(group: &ClassicGroup) -> DescribedGroup {
    // Before the group is stable, members may be changing what they know; their metadata says nothing then.
    let protocol = group.protocol.as_ref().filter(|_| group.is(State::Stable));
    let member = |m: &super::classic::Member| DescribedMember {
        id: m.id.clone(),
        instance_id: m.instance_id.clone(),
        client_id: m.client_id.clone(),
        client_host: m.client_host.clone(),
        metadata: protocol.map_or_else(Bytes::new, |p| m.metadata_for(p)),
        assignment: m.assignment.clone(),
    };
    DescribedGroup {
        id: group.id.clone(),
        error: ErrorCode::None,
        error_message: None,
        state: group.state().name(),
        protocol_type: group.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
        protocol: protocol.cloned().unwrap_or_else(|| Arc::from("")),
        members: group.members().map(member).collect(),
    }
}
