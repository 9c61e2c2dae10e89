//! The check before a transaction's first batch in a partition: what of a produce must be verified, and what that means to
//! its partitions (KIP-890).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::verify::{ClientSupport, Place, Question, Refusals};
use crate::api::RequestContext;
use crate::replica::{AppendError, Partition, TxnBegin, Verification};
use crate::schema::api::ProduceRequest;
use crate::storage::producer_state::VerificationGuard;
use crate::types::{ErrorCode, ProducerEpoch, ProducerId, TopicId, TopicName};
use crate::wire::batch::BatchHeader;

/// From this version on topics are named by id (KIP-516).
const TOPIC_ID_FROM: i16 = 13;

/// What is known of a produce's partitions before anything is appended.
#[derive(Debug, Default)]
pub(in crate::api) struct Verified {
    /// `transaction.partition.verification.enable`, where there is a transaction.
    is_required: bool,
    /// Partitions of which there is more to say, by their place in the produce.
    partitions: BTreeMap<usize, Result<VerificationGuard, Refusal>>,
}

/// Why a partition is not written to.
#[derive(Debug)]
struct Refusal {
    code: ErrorCode,
    message: Option<String>,
}

impl Verified {
    /// How the batch for the partition at `index` is to be appended, if it may be.
    pub(in crate::api) fn of(&mut self, index: usize) -> Result<Verification, AppendError> {
        let is_required = self.is_required;
        match self.partitions.remove(&index) {
            None => Ok(Verification { is_required, guard: None }),
            Some(Ok(guard)) => Ok(Verification { is_required, guard: Some(guard) }),
            Some(Err(Refusal { code, message })) => Err(AppendError { message, ..AppendError::from(code) }),
        }
    }
}

/// What comes of looking at a produce's batches.
pub(in crate::api) enum Looked {
    /// Nothing has to be asked.
    Known(Verified),
    /// A coordinator has to be.
    ToAsk(ToVerify),
}

/// A transactional batch of a produce.
struct TxnBatch {
    index: usize,
    place: Place,
    sequence: i32,
}

/// A produce whose transaction has to be verified.
pub(in crate::api) struct ToVerify {
    cx: RequestContext,
    transactional_id: Arc<str>,
    producer: (ProducerId, ProducerEpoch),
    support: ClientSupport,
    is_required: bool,
    batches: Vec<TxnBatch>,
    begun: Begun,
}

/// What partitions have said to the beginning of a verification.
#[derive(Default)]
struct Begun {
    guards: BTreeMap<usize, VerificationGuard>,
    errors: BTreeMap<usize, ErrorCode>,
}

/// Looks for transactional batches.
///
/// # Errors
///
/// What the whole produce is answered with: `TRANSACTIONAL_ID_AUTHORIZATION_FAILED` for such batches without a
/// transactional id, `INVALID_PRODUCER_ID_MAPPING` for several producers.
pub(in crate::api) fn verify_produce(
    cx: &RequestContext,
    request: &ProduceRequest,
) -> Result<Looked, ErrorCode> {
    let mut producers = BTreeSet::new();
    let mut batches = Vec::new();
    let mut index = 0;
    for topic in &request.topic_data {
        let mut name: Option<TopicName> = None;
        for partition in &topic.partition_data {
            let header = partition.records.as_deref().and_then(BatchHeader::new);
            if let Some(header) = header.filter(|h| h.is_transactional() && h.has_producer_id()) {
                producers.insert((header.producer_id(), header.producer_epoch()));
                let name = name.get_or_insert_with(|| match cx.version >= TOPIC_ID_FROM {
                    true => {
                        let topic = cx.broker.replicas.topic_by_id(TopicId(topic.topic_id));
                        topic.map_or_else(|| TopicName::from(""), |topic| topic.name.clone())
                    }
                    false => TopicName::from(&**topic.name),
                });
                let place = (name.clone(), partition.index);
                batches.push(TxnBatch { index, place, sequence: header.base_sequence() });
            }
            index += 1;
        }
    }
    let Some(&producer) = producers.first() else { return Ok(Looked::Known(Verified::default())) };
    let Some(transactional_id) = &request.transactional_id else {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    };
    if producers.len() > 1 {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    let support = ClientSupport::of_produce(cx.version);
    let is_required = is_required(cx);
    if !is_required && !support.supports_epoch_bump() {
        return Ok(Looked::Known(Verified::default()));
    }
    let mut to_verify = ToVerify {
        cx: cx.clone(),
        transactional_id: Arc::from(&*transactional_id.0),
        producer,
        support,
        is_required,
        batches,
        begun: Begun::default(),
    };
    to_verify.begin();
    if to_verify.begun.guards.is_empty() {
        return Ok(Looked::Known(to_verify.conclude(&Refusals::new())));
    }
    Ok(Looked::ToAsk(to_verify))
}

/// `transaction.partition.verification.enable`, as it is now.
pub(super) fn is_required(cx: &RequestContext) -> bool {
    cx.broker.layers.load().boolean("transaction.partition.verification.enable")
}

impl ToVerify {
    /// Asks the coordinator, again for a while where it is still busy with the producer's last transaction.
    pub(in crate::api) async fn verify(mut self) -> Verified {
        let settings = self.cx.broker.layers.load_full();
        let ms = |key| Duration::from_millis(u64::try_from(settings.number(key)).unwrap_or(0));
        let rest = ms("add.partitions.to.txn.retry.backoff.ms");
        let until = Instant::now() + ms("add.partitions.to.txn.retry.backoff.max.ms");
        loop {
            let refusals = self.ask().await;
            let is_busy = refusals.values().any(|&error| error == ErrorCode::ConcurrentTransactions);
            if !is_busy || !self.support.supports_epoch_bump() || Instant::now() >= until {
                return self.conclude(&refusals);
            }
            tokio::time::sleep(rest).await;
            // Its partitions may have changed meanwhile.
            self.begin();
            if self.begun.guards.is_empty() {
                return self.conclude(&Refusals::new());
            }
        }
    }

    /// Tells the partitions that their batches are about to be verified.
    fn begin(&mut self) {
        let (producer_id, producer_epoch) = self.producer;
        self.begun = Begun::default();
        for batch in &self.batches {
            let (topic, partition) = &batch.place;
            let begin = TxnBegin {
                producer_id,
                producer_epoch,
                sequence: batch.sequence,
                supports_epoch_bump: self.support.supports_epoch_bump(),
            };
            let found: Result<Arc<Partition>, ErrorCode> =
                self.cx.broker.replicas.partition(topic, *partition);
            let now = self.cx.broker.clock.now();
            match found.and_then(|partition| partition.begin_verification(&begin, now)) {
                Ok(Some(guard)) => drop(self.begun.guards.insert(batch.index, guard)),
                Ok(None) => {}
                // The append itself meets the same, and says more of it.
                Err(_) if topic.is_empty() => {}
                Err(error) => drop(self.begun.errors.insert(batch.index, error)),
            }
        }
    }

    async fn ask(&self) -> Refusals {
        let unverified = self.batches.iter().filter(|b| self.begun.guards.contains_key(&b.index));
        let question = Question {
            transactional_id: Arc::clone(&self.transactional_id),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            partitions: unverified.map(|batch| batch.place.clone()).collect(),
            support: self.support,
        };
        self.cx.broker.txn_verifier.ask(question).await
    }

    fn conclude(&self, refusals: &Refusals) -> Verified {
        let mut verified = Verified { is_required: self.is_required, partitions: BTreeMap::new() };
        for batch in &self.batches {
            let refused = refusals.get(&batch.place).or_else(|| self.begun.errors.get(&batch.index));
            let outcome = match (refused, self.begun.guards.get(&batch.index)) {
                (Some(&error), _) => Err(to_producer(error, self.support)),
                (None, Some(&guard)) => Ok(guard),
                (None, None) => continue,
            };
            verified.partitions.insert(batch.index, outcome);
        }
        verified
    }
}

/// What a producer is told of an error of the verification. Where an older one would not try again, or look for another
/// leader first, it is told NOT_ENOUGH_REPLICAS.
fn to_producer(error: ErrorCode, support: ClientSupport) -> Refusal {
    let is_retried = match error {
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => true,
        ErrorCode::ConcurrentTransactions => !support.supports_epoch_bump(),
        _ => false,
    };
    if is_retried {
        let message = format!(
            "Unable to verify the partition has been added to the transaction. Underlying error: {}",
            error.name()
        );
        return Refusal { code: ErrorCode::NotEnoughReplicas, message: Some(message) };
    }
    let message = (error == ErrorCode::InvalidTxnState)
        .then(|| "Partition was not added to the transaction".to_owned());
    Refusal { code: error, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_that_the_producers_version_can_take() {
        use ClientSupport::{Abortable, AddsPartitions, InvalidTxnState};
        let told = |error, support| to_producer(error, support).code;
        for support in [InvalidTxnState, Abortable, AddsPartitions] {
            for retried in [
                ErrorCode::NetworkException,
                ErrorCode::CoordinatorLoadInProgress,
                ErrorCode::CoordinatorNotAvailable,
                ErrorCode::NotCoordinator,
            ] {
                assert_eq!(told(retried, support), ErrorCode::NotEnoughReplicas);
            }
            assert_eq!(told(ErrorCode::InvalidProducerEpoch, support), ErrorCode::InvalidProducerEpoch);
            assert_eq!(told(ErrorCode::NotLeaderOrFollower, support), ErrorCode::NotLeaderOrFollower);
        }
        let busy = ErrorCode::ConcurrentTransactions;
        assert_eq!(told(busy, InvalidTxnState), ErrorCode::NotEnoughReplicas);
        assert_eq!(told(busy, Abortable), ErrorCode::NotEnoughReplicas);
        assert_eq!(
            told(busy, AddsPartitions),
            busy,
            "it is common with transaction version 2, and retried there"
        );
        let versions = [3, 10, 11, 12, 13].map(ClientSupport::of_produce);
        assert_eq!(versions, [InvalidTxnState, InvalidTxnState, Abortable, AddsPartitions, AddsPartitions]);
        let versions = [0, 3, 4, 5, 6].map(ClientSupport::of_txn_offset_commit);
        assert_eq!(versions, [InvalidTxnState, InvalidTxnState, Abortable, AddsPartitions, AddsPartitions]);
    }
}
