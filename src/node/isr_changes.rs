//! Changes of in-sync sets, in this broker's name, to the active controller.

use std::time::Duration;

use tokio::time::Instant;

use crate::controller::command::{self, Command, Reply};
use crate::controller::{ActiveController, ControllerError};
use crate::env::net::BoxFuture;
use crate::replica::leader::Altered;
use crate::replica::{AlterPartition, IsrChange};
use crate::types::{BrokerEpoch, ErrorCode, NodeId};

/// How long one request may take. What came of it is learned from the image otherwise.
const WAIT: Duration = Duration::from_secs(10);

/// The way of AlterPartition.
pub(super) struct IsrChanges {
    node_id: NodeId,
    epoch: BrokerEpoch,
    controller: ActiveController,
}

impl IsrChanges {
    pub(super) fn new(node_id: NodeId, epoch: BrokerEpoch, controller: ActiveController) -> IsrChanges {
        IsrChanges { node_id, epoch, controller }
    }

    async fn ask(&self, changes: &[IsrChange]) -> Result<Vec<Result<Altered, ErrorCode>>, ErrorCode> {
        let partitions = changes.iter().map(wanted).collect();
        let command = Command::AlterPartition { broker: self.node_id, epoch: self.epoch, partitions };
        match self.controller.submit(command, Instant::now() + WAIT).await {
            Ok(Reply::AlterPartition(answers)) => {
                Ok(answers.into_iter().map(|(_, _, answer)| answer.map(altered)).collect())
            }
            Ok(other) => unreachable!("changes of in-sync sets are answered one by one, not {other:?}"),
            Err(ControllerError::Refused(e)) => Err(e.code),
            Err(e) => Err(e.to_api_error().code),
        }
    }
}

impl AlterPartition for IsrChanges {
    fn alter<'a>(
        &'a self,
        changes: &'a [IsrChange],
    ) -> BoxFuture<'a, Result<Vec<Result<Altered, ErrorCode>>, ErrorCode>> {
        Box::pin(self.ask(changes))
    }
}

fn wanted(change: &IsrChange) -> command::IsrChange {
    let proposal = &change.proposal;
    command::IsrChange {
        topic: change.topic_id,
        partition: change.partition,
        leader_epoch: proposal.leader_epoch,
        partition_epoch: proposal.partition_epoch,
        isr: proposal.isr.clone(),
        // A leader that was elected uncleanly begins with its own log; there is nothing that it recovers first.
        recovering: false,
    }
}

fn altered(state: command::PartitionState) -> Altered {
    Altered { leader_epoch: state.leader_epoch, partition_epoch: state.partition_epoch, isr: state.isr }
}
