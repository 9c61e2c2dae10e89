//! A leader whose connection has ended is looked after at once, where Raft alone would wait for its silence to last.
//!
//! The end of a connection proves nothing, and neither does silence; a port that refuses does: the process is gone. Then
//! there is nobody whose lease the others would have to respect, and the next leader is elected without waiting. The
//! voters go one after another, so that they do not split the votes.

use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::TransferLeaderRequest;

use super::types::RaftId;
use super::{Quorum, VoterPart};
use crate::client::is_refused;
use crate::types::NodeId;

/// What one voter leaves the next one for its election.
const TURN: Duration = Duration::from_millis(150);

impl Quorum {
    /// A connection has ended over which `node` spoke as the leader.
    pub fn suspect(&self, node: NodeId) {
        let Some(part) = self.voter() else { return };
        if self.leadership.borrow().leader != Some(node) || node == self.identity.node_id {
            return;
        }
        let quorum = self.clone();
        part.links.tasks.spawn("metadata-quorum-suspicion", async move {
            let Some(part) = quorum.voter() else { return };
            quorum.replace_if_gone(part, node).await;
        });
    }

    async fn replace_if_gone(&self, part: &VoterPart, node: NodeId) {
        let Some((host, port)) = part.endpoint_of(node) else { return };
        let believed = self.leadership.borrow().clone();
        if believed.leader != Some(node) || !is_refused(&*part.net, &host, port).await {
            return;
        }
        tracing::info!("controller {node}, which leads, is gone");
        let (before, _) = part.turns(|id| id != node);
        tokio::time::sleep(TURN * before).await;
        // Whoever was before this one may lead by now.
        if *self.leadership.borrow() != believed {
            return;
        }
        let vote = part.raft.metrics().borrow_watched().vote;
        if vote.leader_id.voted_for != RaftId(node) {
            return;
        }
        let request = TransferLeaderRequest::new(vote, RaftId(self.identity.node_id), None);
        if let Err(e) = part.raft.handle_transfer_leader(request).await {
            tracing::debug!("no election: {e}");
        }
    }
}
