//! Requests that wait: for the end of a transaction, bounded in time and number, or for a producer id.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::command::{Command, Reply};
use super::state::TransactionalId;
use crate::coordinator::shard::Ticket;
use crate::types::Ms;

/// Requests of one shard that wait at a time. One more is answered at once as if it had waited long enough.
pub(super) const WAITING_MAX: usize = 4096;

/// What happens when the transaction has ended.
#[derive(Debug)]
pub(super) enum Then {
    /// The request is answered.
    Reply(Reply),
    /// The request is judged anew.
    Judge(Command),
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    until: Ms,
    then: Then,
    /// The answer if the transaction takes too long.
    late: Reply,
}

/// Those who wait for the end of a transaction, and those who can go on.
#[derive(Default, Debug)]
pub(super) struct Waiting {
    by_id: BTreeMap<TransactionalId, Vec<Waiter>>,
    deadlines: BTreeSet<(Ms, Ticket, TransactionalId)>,
    /// To be judged anew, in this order.
    ready: VecDeque<(Ticket, Command)>,
    /// Cannot be judged without a producer id.
    without_id: Vec<(Ticket, Command)>,
}

impl Waiting {
    /// Has a request wait for the end of the transaction of `id`, until `until`. The answer for it if too many wait.
    pub(super) fn wait(
        &mut self,
        id: &TransactionalId,
        ticket: Ticket,
        until: Ms,
        then: Then,
        late: Reply,
    ) -> Option<Reply> {
        if self.deadlines.len() >= WAITING_MAX {
            return Some(late);
        }
        self.deadlines.insert((until, ticket, id.clone()));
        self.by_id.entry(id.clone()).or_default().push(Waiter { ticket, until, then, late });
        None
    }

    /// The transaction of `id` has ended. Gives the answers that are due; the others are ready.
    pub(super) fn ended(&mut self, id: &TransactionalId) -> Vec<(Ticket, Reply)> {
        let mut replies = Vec::new();
        for waiter in self.by_id.remove(id).unwrap_or_default() {
            self.deadlines.remove(&(waiter.until, waiter.ticket, id.clone()));
            match waiter.then {
                Then::Reply(reply) => replies.push((waiter.ticket, reply)),
                Then::Judge(command) => self.ready.push_back((waiter.ticket, command)),
            }
        }
        replies
    }

    /// The next one that has waited too long.
    pub(super) fn expired(&mut self, now: Ms) -> Option<(Ticket, Reply)> {
        let (until, ..) = self.deadlines.first()?;
        if *until > now {
            return None;
        }
        let (_, ticket, id) = self.deadlines.pop_first()?;
        let waiters = self.by_id.get_mut(&id)?;
        let at = waiters.iter().position(|waiter| waiter.ticket == ticket)?;
        let waiter = waiters.remove(at);
        if waiters.is_empty() {
            self.by_id.remove(&id);
        }
        Some((ticket, waiter.late))
    }

    /// The next one to be judged anew.
    pub(super) fn next_ready(&mut self) -> Option<(Ticket, Command)> {
        self.ready.pop_front()
    }

    /// Has a request wait for a producer id. The request itself if too many do.
    pub(super) fn wait_for_id(&mut self, ticket: Ticket, command: Command) -> Option<Command> {
        if self.without_id.len() >= WAITING_MAX {
            return Some(command);
        }
        self.without_id.push((ticket, command));
        None
    }

    /// How many wait for a producer id.
    pub(super) fn without_id(&self) -> usize {
        self.without_id.len()
    }

    /// There are producer ids: those who waited for them are ready.
    pub(super) fn ids_came(&mut self) {
        self.ready.extend(self.without_id.drain(..));
    }

    /// There are none: who waited for them.
    pub(super) fn no_ids(&mut self) -> Vec<(Ticket, Command)> {
        std::mem::take(&mut self.without_id)
    }

    /// When there is something to do.
    pub(super) fn next_deadline(&self) -> Option<Ms> {
        match self.ready.is_empty() {
            true => self.deadlines.first().map(|(until, ..)| *until),
            false => Some(Ms::MIN),
        }
    }
}
