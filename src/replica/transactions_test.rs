use crate::replica::{TxnBegin, TxnEnd};
use crate::wire::control::EndTxnMarker;

use super::*;

const NOW: Ms = 1_700_000_000_000;

/// A transactional batch of `count` records.
fn in_transaction(producer: i64, epoch: i16, sequence: i32, count: usize) -> Vec<u8> {
    let mut batch = BatchBuilder::new(0).producer(producer, epoch, sequence).transactional();
    for _ in 0..count {
        batch.append(NOW, None, Some(b"value of some length"));
    }
    batch.finish()
}

fn end(producer_id: i64, producer_epoch: i16, commit: bool) -> TxnEnd {
    let marker = EndTxnMarker { commit, coordinator_epoch: 3 };
    TxnEnd { producer_id, producer_epoch, marker, txn_version: 0 }
}

async fn replicated(wait: ProduceWaitSlot) {
    if let Some(wait) = wait.into_wait() {
        tokio::time::timeout(DEADLINE, wait.done()).await.expect("the replicas have it");
        assert_eq!(wait.failures(), []);
    }
}

impl Cluster {
    async fn write(
        &self,
        node: NodeId,
        batch: &[u8],
        verification: Verification,
    ) -> Result<Offset, ErrorCode> {
        let mut wait = ProduceWaitSlot::default();
        let append =
            Append { acks: Acks::All, origin: AppendOrigin::Client, now: NOW, index: 0, verification };
        let appended = self.partition(node).append(batch, &append, &mut wait).map_err(|e| e.code)?;
        replicated(wait).await;
        Ok(appended.first_offset)
    }

    async fn write_in_transaction(&self, node: NodeId, producer: i64, sequence: i32) -> Offset {
        let batch = in_transaction(producer, 0, sequence, 2);
        self.write(node, &batch, Verification::default()).await.expect("it is appended")
    }

    async fn end(&self, node: NodeId, end: TxnEnd) -> Result<Offset, ErrorCode> {
        let mut wait = ProduceWaitSlot::default();
        let appended = self.partition(node).append_marker(&end, NOW, 0, &mut wait).map_err(|e| e.code)?;
        replicated(wait).await;
        Ok(appended.first_offset)
    }

    fn committed(&self, node: NodeId, from: Offset) -> PartitionRead {
        let read = Read { isolation: Isolation::ReadCommitted, ..consumer_read(from, true) };
        let found = self.partition(node).read(&read);
        assert_eq!(found.error, ErrorCode::None);
        found
    }

    /// The base offsets of the batches that a reader of committed records is given.
    fn given(&self, node: NodeId, from: Offset) -> Vec<Offset> {
        let Some(slice) = self.committed(node, from).records else { return Vec::new() };
        let bytes = slice.read().unwrap();
        batches(&bytes).map(|batch| batch.unwrap().header().base_offset()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_transaction_holds_back_readers_of_committed_records_wherever_they_read() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    assert_eq!(cluster.produce(1, "before").await, Ok(0));
    assert_eq!(cluster.write_in_transaction(1, 7, 0).await, 1);
    assert_eq!(cluster.produce(1, "behind").await, Ok(3));
    cluster.until_equal().await;
    for node in 1..=3 {
        let found = cluster.committed(node, 0);
        assert_eq!((found.high_watermark, found.last_stable_offset), (4, 1), "at {node}");
        assert_eq!((cluster.given(node, 0), found.aborted), (vec![0], Some(vec![])), "at {node}");
        assert!(cluster.given(node, 1).is_empty(), "at {node}");
    }
    let latest = |node, isolation| {
        let found = cluster.partition(node).find_offset(OffsetQuery::Latest(isolation), -1);
        found.unwrap().unwrap().offset
    };
    assert_eq!((latest(1, Isolation::ReadCommitted), latest(1, Isolation::ReadUncommitted)), (1, 4));
    let newest = |isolation| cluster.partition(1).find_offset(OffsetQuery::MaxTimestamp(isolation), -1);
    assert_eq!(newest(Isolation::ReadCommitted).unwrap().map(|at| at.offset), Some(0));

    // Who waits for more than a marker's bytes is woken by it, for it makes what lies before it readable.
    let waiter = FetchWaiter::new();
    let mut woken = Box::pin(waiter.woken());
    woken.as_mut().enable();
    waiter.arm(200);
    let read = Read { isolation: Isolation::ReadCommitted, ..consumer_read(1, true) };
    let found = cluster.partition(1).read(&Read { waiter: Some(&waiter), ..read });
    assert_eq!(found.records_len(), 0);
    assert_eq!(cluster.end(1, end(7, 0, false)).await, Ok(4));
    tokio::time::timeout(DEADLINE, woken).await.expect("it is woken");
    cluster.until_equal().await;
    for node in 1..=3 {
        let found = cluster.committed(node, 0);
        assert_eq!(found.last_stable_offset, 5, "at {node}");
        assert_eq!(found.aborted, Some(vec![(7, 1)]), "at {node}");
        assert_eq!(cluster.given(node, 0), [0, 1, 3, 4], "at {node}");
        assert_eq!(cluster.committed(node, 3).aborted, Some(vec![(7, 1)]), "its marker is to come");
        assert_eq!(cluster.committed(node, 5).aborted, Some(vec![]));
    }
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn transactions_go_on_under_the_next_leader() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    let batch = in_transaction(7, 0, 0, 2);
    assert_eq!(cluster.write(1, &batch, Verification::default()).await, Ok(0));
    assert_eq!(cluster.write_in_transaction(1, 8, 0).await, 2);
    assert_eq!(cluster.end(1, end(8, 0, false)).await, Ok(4));
    cluster.until_equal().await;
    cluster.crash(1, true).await;
    cluster.elect(2, &[2, 3]);
    let found = cluster.committed(2, 0);
    assert_eq!((found.last_stable_offset, found.records_len()), (0, 0));
    // A retry is answered with its first offset, and what is next goes on.
    assert_eq!(cluster.write(2, &batch, Verification::default()).await, Ok(0));
    assert_eq!(cluster.write_in_transaction(2, 7, 2).await, 5);
    let gap = in_transaction(7, 0, 9, 1);
    let refused = cluster.write(2, &gap, Verification::default()).await;
    assert_eq!(refused, Err(ErrorCode::OutOfOrderSequenceNumber));
    // So does the epoch of the coordinator.
    let fenced = TxnEnd { marker: EndTxnMarker { commit: true, coordinator_epoch: 2 }, ..end(8, 0, true) };
    assert_eq!(cluster.end(2, fenced).await, Err(ErrorCode::TransactionCoordinatorFenced));
    assert_eq!(cluster.end(2, end(7, 0, true)).await, Ok(7));
    let found = cluster.committed(2, 0);
    assert_eq!((found.last_stable_offset, found.aborted), (8, Some(vec![(8, 2)])));
    cluster.start(1);
    cluster.until_equal().await;
    cluster.until("1 is back", |cluster| cluster.isr() == [1, 2, 3]).await;
    cluster.elect(1, &[1, 2, 3]);
    let found = cluster.committed(1, 0);
    assert_eq!((found.last_stable_offset, found.aborted), (8, Some(vec![(8, 2)])));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_delayed_marker_does_not_end_the_next_transaction() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    let v2 = |epoch, commit| TxnEnd { txn_version: 2, ..end(7, epoch, commit) };
    cluster.write_in_transaction(1, 7, 0).await;
    let same_epoch = cluster.end(1, v2(0, true)).await;
    assert_eq!(same_epoch, Err(ErrorCode::InvalidProducerEpoch), "a marker of version 2 has the next epoch");
    assert_eq!(cluster.end(1, v2(1, true)).await, Ok(2));
    assert_eq!(cluster.end(1, v2(1, true)).await, Ok(3), "a retry finds the transaction over");
    let zombie = cluster.write(1, &in_transaction(7, 0, 2, 1), Verification::default()).await;
    assert_eq!(zombie, Err(ErrorCode::InvalidProducerEpoch));
    // The next transaction, with the epoch that the marker brought; the marker comes once more.
    assert_eq!(cluster.write(1, &in_transaction(7, 1, 0, 1), Verification::default()).await, Ok(4));
    assert_eq!(cluster.end(1, v2(1, false)).await, Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(cluster.end(1, v2(0, false)).await, Err(ErrorCode::InvalidProducerEpoch));
    assert_eq!(cluster.committed(1, 4).last_stable_offset, 4, "it is open still");
    let plain = BatchBuilder::new(0).producer(7, 1, 1);
    let mut plain = plain;
    plain.append(NOW, None, Some(b"outside"));
    let outside = cluster.write(1, &plain.finish(), Verification::default()).await;
    assert_eq!(outside, Err(ErrorCode::InvalidTxnState));
    assert_eq!(cluster.end(1, v2(2, true)).await, Ok(5));
    // Of the first version, where the epoch stays, a marker may come for a transaction without records.
    assert_eq!(cluster.end(1, end(9, 0, true)).await, Ok(6));
    assert_eq!(cluster.committed(1, 4).last_stable_offset, 7);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_batch_of_a_transaction_has_to_be_verified() {
    let cluster = Cluster::with_partition(Durability::Fsync, 2);
    let required = |guard| Verification { is_required: true, guard };
    let first = in_transaction(7, 0, 0, 1);
    assert_eq!(cluster.write(1, &first, required(None)).await, Err(ErrorCode::InvalidTxnState));
    let begin = TxnBegin { producer_id: 7, producer_epoch: 0, sequence: 0, supports_epoch_bump: true };
    assert_eq!(cluster.partition(2).begin_verification(&begin, NOW), Err(ErrorCode::NotLeaderOrFollower));
    let guard = cluster.partition(1).begin_verification(&begin, NOW).unwrap();
    assert!(guard.is_some());
    // The transaction ends before its batch comes: what was verified is not true any more.
    assert_eq!(cluster.end(1, end(7, 0, false)).await, Ok(0));
    assert_eq!(cluster.write(1, &first, required(guard)).await, Err(ErrorCode::InvalidTxnState));
    let guard = cluster.partition(1).begin_verification(&begin, NOW).unwrap();
    assert_eq!(cluster.write(1, &first, required(guard)).await, Ok(1));
    assert_eq!(cluster.partition(1).begin_verification(&begin, NOW), Ok(None), "it is open here");
    assert_eq!(cluster.write(1, &in_transaction(7, 0, 1, 1), required(None)).await, Ok(2));
    cluster.stop().await;
}
