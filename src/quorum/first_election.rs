//! The first election after a start does not wait for anybody's silence.
//!
//! A node that has just started has heard no leader whose time must run out first. So it asks at once, by pre-votes, whether
//! the others would elect it, one voter after another: where a leader is at work they would not, and nothing changes; where
//! all have started anew, there is a leader as soon as a majority is up. Whom a node took for the leader before it ended
//! says nothing.

use std::cmp::Ordering;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::time::timeout;

use super::{Quorum, VoterPart};
use crate::env::Env;
use crate::types::NodeId;

/// What one voter leaves the next one for its attempt.
const TURN: Duration = Duration::from_millis(100);

impl Quorum {
    /// Has this node ask for its election, in turns with the others, until it leads or some leader has spoken to it.
    pub(super) fn spawn_first_election(&self, env: &Env) {
        let quorum = self.clone();
        env.tasks.spawn("metadata-quorum-first-election", async move {
            let Some(part) = quorum.voter() else { return };
            let (before, after) = part.turns(|_| true);
            let (mut leadership, mut heard) = (quorum.leadership.clone(), part.heard.subscribe());
            let mut wait = TURN * (before + 1);
            loop {
                let is_led = async {
                    tokio::select! {
                        biased;
                        _heard = heard.wait_for(|heard| *heard) => {}
                        _leads = leadership.wait_for(|l| l.is_me) => {}
                    }
                };
                if timeout(wait, is_led).await.is_ok() || part.raft.trigger().elect(true).await.is_err() {
                    return;
                }
                wait = TURN * (before + 1 + after);
            }
        });
    }
}

impl VoterPart {
    /// How many of the voters that take part have their turn before this one, and how many after it.
    pub(super) fn turns(&self, takes_part: impl Fn(NodeId) -> bool) -> (u32, u32) {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        let voters = seen.membership_config.membership().voter_ids();
        voters.filter(|id| takes_part(id.0)).fold((0, 0), |(before, after), id| {
            match id.0.cmp(&self.links.me) {
                Ordering::Less => (before + 1, after),
                Ordering::Equal => (before, after),
                Ordering::Greater => (before, after + 1),
            }
        })
    }
}
