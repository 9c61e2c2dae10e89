//! The active controller, in this process or another.
//!
//! While this node leads the quorum, a command goes to the controller beside it; otherwise over the wire, as Kafka's
//! request for it (`remote`). Where there are no other nodes there is no wire, and a command costs what the queue costs.

use std::net::IpAddr;
use std::sync::Arc;

use kafka_protocol::protocol::Request;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::command::{Command, Reply};
use super::remote;
use super::service::{ControllerError, ControllerHandle};
use crate::client::ToController;
use crate::quorum::{Leadership, Publisher, Quorum};

/// On whose behalf something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Kind and name, as in `User:alice`.
    pub principal: Arc<str>,
    /// Where the client is.
    pub address: IpAddr,
}

/// The way to the active controller. Clones share it.
#[derive(Clone)]
pub struct ActiveController {
    local: Option<ControllerHandle>,
    leadership: watch::Receiver<Leadership>,
    publisher: Publisher,
    remote: Option<ToController>,
}

impl ActiveController {
    /// `local` is the controller of this process, if it has one; `remote` the way to others, if there may be any.
    pub fn new(
        local: Option<ControllerHandle>,
        quorum: Quorum,
        remote: Option<ToController>,
    ) -> ActiveController {
        let (leadership, publisher) = (quorum.leadership(), quorum.publisher().clone());
        ActiveController { local, leadership, publisher, remote }
    }

    /// Waits until the controller of this process, if it has one, has ended.
    pub async fn ended_here(&self) {
        match &self.local {
            Some(local) => local.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Has a command done that the broker itself asks for. When an admin command is answered, this node's image shows
    /// what it did, unless that takes longer than `deadline`.
    ///
    /// # Errors
    ///
    /// See [`ControllerError`]. Where there are other nodes, [`ControllerError::NotController`] comes only when `deadline` is
    /// over and no active controller was found.
    pub async fn submit(&self, command: Command, deadline: Instant) -> Result<Reply, ControllerError> {
        self.submit_for(None, command, deadline).await
    }

    /// Has a command done that a client asks for: the active controller judges by the client who may do what.
    ///
    /// # Errors
    ///
    /// As [`ActiveController::submit`].
    pub async fn submit_as(
        &self,
        asker: &Asker,
        command: Command,
        deadline: Instant,
    ) -> Result<Reply, ControllerError> {
        self.submit_for(Some(asker), command, deadline).await
    }

    /// Has a command done by the controller of this process or by nobody: what came to a controller goes no further.
    ///
    /// # Errors
    ///
    /// See [`ControllerError`].
    pub async fn submit_here(&self, command: Command, deadline: Instant) -> Result<Reply, ControllerError> {
        match &self.local {
            Some(local) => local.submit(command, deadline).await,
            None => Err(ControllerError::NotController(self.leadership.borrow().leader)),
        }
    }

    async fn submit_for(
        &self,
        asker: Option<&Asker>,
        command: Command,
        deadline: Instant,
    ) -> Result<Reply, ControllerError> {
        let Some(remote) = &self.remote else { return self.submit_here(command, deadline).await };
        let leads = self.leadership.borrow().is_me;
        if leads && let Some(local) = &self.local {
            match local.submit(command.clone(), deadline).await {
                // It led a moment ago.
                Err(ControllerError::NotController(_)) => {}
                outcome => return outcome,
            }
        }
        let (reply, offset) = remote::submit(remote, asker, &command, deadline).await?;
        self.until_shown(offset, deadline).await;
        Ok(reply)
    }

    /// Has the active controller answer a client's request that this node has no command for. `None` where there is no
    /// other node, or this one leads: then the answer is here.
    ///
    /// # Errors
    ///
    /// See [`ControllerError`].
    pub async fn forward<R: Request>(
        &self,
        asker: &Asker,
        version: i16,
        request: &R,
        is_idempotent: bool,
        deadline: Instant,
    ) -> Result<Option<R::Response>, ControllerError> {
        let leads = self.leadership.borrow().is_me;
        let Some(remote) = self.remote.as_ref().filter(|_| !leads) else { return Ok(None) };
        let forwarded = remote::forward(remote, Some(asker), version, request, is_idempotent, deadline);
        forwarded.await.map(|(response, _offset)| Some(response))
    }

    /// Waits until this node's image is as new as the controller's was when it answered.
    async fn until_shown(&self, offset: Option<crate::types::Offset>, deadline: Instant) {
        let Some(offset) = offset else { return };
        if timeout_at(deadline, self.publisher.wait_for(offset)).await.is_err() {
            tracing::debug!(offset, "the answer goes out before the metadata log has come here");
        }
    }
}

#[cfg(test)]
#[path = "active_test.rs"]
mod tests;
