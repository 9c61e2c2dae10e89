use std::collections::VecDeque;
use std::pin::Pin;

use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use tokio::sync::Semaphore;

use super::*;
use crate::api::test_image;

/// A coordinator that answers as told, once it is let.
struct Coordinator {
    asked: Mutex<Vec<AddPartitionsToTxnRequest>>,
    /// Says of each partition what is wrong with it.
    error: Mutex<ErrorCode>,
    /// Answers instead of that.
    instead: Mutex<VecDeque<Result<AddPartitionsToTxnResponse, CallError>>>,
    may_answer: Semaphore,
}

impl Coordinator {
    fn new() -> Arc<Coordinator> {
        Arc::new(Coordinator {
            asked: Mutex::default(),
            error: Mutex::new(ErrorCode::None),
            instead: Mutex::default(),
            may_answer: Semaphore::new(0),
        })
    }

    fn verifier(self: &Arc<Self>, topics: &[(&str, i32)]) -> TxnVerifier {
        let coordinator = Arc::clone(self);
        let ask: AskCoordinator = Arc::new(move |node, _lane, request: AddPartitionsToTxnRequest| {
            assert_eq!(node, 1);
            let coordinator = Arc::clone(&coordinator);
            Box::pin(async move {
                coordinator.asked.lock().push(request.clone());
                coordinator.may_answer.acquire().await.expect("open").forget();
                let instead = coordinator.instead.lock().pop_front();
                instead.unwrap_or_else(|| Ok(says(&request, *coordinator.error.lock())))
            })
        });
        let image = Arc::new(ArcSwap::from_pointee(test_image::image(topics, &[])));
        TxnVerifier::new(9, image, Tasks::simulated(), ask)
    }

    /// How many transactions each request was about.
    fn sizes(&self) -> Vec<usize> {
        self.asked.lock().iter().map(|request| request.transactions.len()).collect()
    }

    async fn was_asked(&self, times: usize) {
        let asked = async {
            while self.asked.lock().len() < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked).await.expect("it is asked");
    }
}

/// A question that is under way.
async fn begun<F: Future<Output = Refusals>>(ask: F) -> Pin<Box<F>> {
    let mut ask = Box::pin(ask);
    let early = tokio::time::timeout(Duration::from_millis(1), ask.as_mut()).await;
    assert!(early.is_err(), "it waits for the coordinator");
    ask
}

fn says(request: &AddPartitionsToTxnRequest, error: ErrorCode) -> AddPartitionsToTxnResponse {
    let result = |transaction: &AddPartitionsToTxnTransaction| {
        let topic = |topic: &AddPartitionsToTxnTopic| {
            let partition = |&index: &i32| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(index)
                    .with_partition_error_code(error.code())
            };
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(topic.partitions.iter().map(partition).collect())
        };
        AddPartitionsToTxnResult::default()
            .with_transactional_id(transaction.transactional_id.clone())
            .with_topic_results(transaction.topics.iter().map(topic).collect())
    };
    AddPartitionsToTxnResponse::default()
        .with_results_by_transaction(request.transactions.iter().map(result).collect())
}

fn question(id: &str, epoch: ProducerEpoch, support: ClientSupport) -> Question {
    let place = |partition| (TopicName::from("t"), partition);
    Question {
        transactional_id: id.into(),
        producer_id: 7,
        producer_epoch: epoch,
        partitions: vec![place(0), place(3)],
        support,
    }
}

fn refused(error: ErrorCode) -> Refusals {
    question("any", 0, ClientSupport::Abortable).all(error)
}

const TOPICS: &[(&str, i32)] = &[(TRANSACTION_STATE, 2), ("t", 4)];

#[tokio::test(start_paused = true)]
async fn without_a_coordinator_nobody_is_asked() {
    let verifier = Coordinator::new().verifier(&[("t", 4)]);
    let refusals = verifier.ask(question("a", 0, ClientSupport::Abortable)).await;
    assert_eq!(refusals, refused(ErrorCode::CoordinatorNotAvailable));
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_question_is_under_way_goes_together() {
    let coordinator = Coordinator::new();
    let verifier = coordinator.verifier(TOPICS);
    let ask = |id: &str, support| {
        let (verifier, question) = (verifier.clone(), question(id, 0, support));
        async move { verifier.ask(question).await }
    };
    let first = begun(ask("a", ClientSupport::AddsPartitions)).await;
    let mut busy = Vec::new();
    for id in ["x", "y", "z"] {
        busy.push(begun(ask(id, ClientSupport::Abortable)).await);
    }
    coordinator.was_asked(LANES.len()).await;
    let mut others = Vec::new();
    for id in ["b", "c", "d"] {
        others.push(begun(ask(id, ClientSupport::Abortable)).await);
    }
    coordinator.may_answer.add_permits(LANES.len() + 1);
    assert_eq!(first.await, Refusals::new());
    for other in busy.into_iter().chain(others) {
        assert_eq!(other.await, Refusals::new());
    }
    assert_eq!(coordinator.sizes(), [1, 1, 1, 1, 3]);
    let asked = coordinator.asked.lock();
    let of_first = &asked[0].transactions[0];
    assert!(!of_first.verify_only, "with transaction version 2 the broker adds");
    assert_eq!(of_first.topics[0].partitions, [0, 3]);
    assert!(asked[4].transactions.iter().all(|transaction| transaction.verify_only));
}

#[tokio::test(start_paused = true)]
async fn the_later_of_two_questions_for_a_transaction_counts() {
    let coordinator = Coordinator::new();
    let verifier = coordinator.verifier(TOPICS);
    let ask = |id: &str, epoch| {
        let (verifier, question) = (verifier.clone(), question(id, epoch, ClientSupport::Abortable));
        async move { verifier.ask(question).await }
    };
    let mut busy = Vec::new();
    for lane in LANES {
        busy.push(begun(ask(lane, 0)).await);
    }
    coordinator.was_asked(LANES.len()).await;
    let tried = begun(ask("a", 3)).await;
    let again = begun(ask("a", 3)).await;
    assert_eq!(tried.await, refused(ErrorCode::NetworkException), "its producer has tried again");
    let newer = begun(ask("a", 4)).await;
    assert_eq!(again.await, refused(ErrorCode::InvalidProducerEpoch));
    assert_eq!(ask("a", 3).await, refused(ErrorCode::InvalidProducerEpoch));
    coordinator.may_answer.add_permits(LANES.len() + 1);
    for other in busy {
        assert_eq!(other.await, Refusals::new());
    }
    assert_eq!(newer.await, Refusals::new());
}

#[tokio::test(start_paused = true)]
async fn errors_are_told_as_the_producer_knows_them() {
    use ClientSupport::{Abortable, AddsPartitions, InvalidTxnState};
    let coordinator = Coordinator::new();
    let verifier = coordinator.verifier(TOPICS);
    coordinator.may_answer.add_permits(100);
    for (error, support, told) in [
        (ErrorCode::TransactionAbortable, InvalidTxnState, ErrorCode::InvalidTxnState),
        (ErrorCode::TransactionAbortable, Abortable, ErrorCode::TransactionAbortable),
        (ErrorCode::TransactionAbortable, AddsPartitions, ErrorCode::TransactionAbortable),
        (ErrorCode::ProducerFenced, Abortable, ErrorCode::InvalidProducerEpoch),
        (ErrorCode::ConcurrentTransactions, AddsPartitions, ErrorCode::ConcurrentTransactions),
    ] {
        *coordinator.error.lock() = error;
        assert_eq!(verifier.ask(question("a", 0, support)).await, refused(told), "{error}");
    }
    let whole = |error: ErrorCode| Ok(AddPartitionsToTxnResponse::default().with_error_code(error.code()));
    for (answer, told) in [
        (whole(ErrorCode::ClusterAuthorizationFailed), ErrorCode::InvalidTxnState),
        (whole(ErrorCode::NotCoordinator), ErrorCode::NotCoordinator),
        (Ok(AddPartitionsToTxnResponse::default()), ErrorCode::NetworkException),
        (Err(CallError::TimedOut), ErrorCode::NetworkException),
    ] {
        coordinator.instead.lock().push_back(answer);
        assert_eq!(verifier.ask(question("a", 0, Abortable)).await, refused(told));
    }
}
