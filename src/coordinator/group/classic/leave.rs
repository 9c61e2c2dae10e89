//! LeaveGroup.

use std::sync::Arc;

use super::{ClassicGroup, MemberId, State, Step};
use crate::coordinator::group::command::{Leave, Left, Reply};
use crate::coordinator::shard::Ticket;
use crate::types::ErrorCode;

impl Step<'_, '_> {
    /// Takes members out. An administrator names static members by their instance id alone.
    pub(in super::super) fn leave(&mut self, group: &mut ClassicGroup, ticket: Ticket, leave: Leave) {
        let mut left = Vec::with_capacity(leave.members.len());
        let mut any = false;
        for (member, instance_id) in leave.members {
            let error = self.leave_one(group, &member, instance_id.as_ref()).err().unwrap_or(ErrorCode::None);
            any |= !error.is_err();
            left.push(Left { member, instance_id, error });
        }
        if any {
            match group.state() {
                State::Stable | State::CompletingRebalance => self.prepare_rebalance(group),
                State::PreparingRebalance => self.complete_join_if_all_came(group),
                State::Empty => {}
            }
        }
        self.out.reply(ticket, Reply::Leave(left));
    }

    fn leave_one(
        &mut self,
        group: &mut ClassicGroup,
        member: &MemberId,
        instance_id: Option<&Arc<str>>,
    ) -> Result<(), ErrorCode> {
        let id = match instance_id {
            Some(instance_id) if member.is_empty() => {
                group.static_member(instance_id).cloned().ok_or(ErrorCode::UnknownMemberId)?
            }
            _ if self.remove_pending(group, member) => return Ok(()),
            Some(_) | None => {
                group.check_member(member, instance_id.map(|i| &**i))?;
                member.clone()
            }
        };
        self.remove_member(group, &id, ErrorCode::UnknownMemberId);
        Ok(())
    }
}
