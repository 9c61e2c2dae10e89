//! DescribeTransactions: transactional ids in detail (KIP-664).

use std::collections::BTreeSet;

use kafka_protocol::messages::{ProducerId, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use super::{ask, kept, mismatched};
use crate::api::{Api, On, RequestContext};
use crate::coordinator::txn::state::Transaction;
use crate::coordinator::txn::{Command, Reply};
use crate::schema::api::describe_transactions_response::{TopicData, TransactionState};
use crate::schema::api::{DescribeTransactionsRequest, DescribeTransactionsResponse};
use crate::types::{ErrorCode, PartitionIndex};

/// Key 65.
pub struct DescribeTransactions;

impl Api for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    type Response = DescribeTransactionsResponse;
    const KEY: i16 = 65;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=0;
    const ON: On = On::Broker;

    async fn handle(
        cx: &RequestContext,
        request: DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        let mut states = Vec::with_capacity(request.transactional_ids.len());
        for id in request.transactional_ids {
            let state = match find(cx, &id).await {
                Ok(transaction) => described(&transaction),
                Err(error) => TransactionState::default().with_error_code(error.code()),
            };
            states.push(state.with_transactional_id(id));
        }
        DescribeTransactionsResponse::default().with_transaction_states(states)
    }
}

async fn find(cx: &RequestContext, id: &TransactionalId) -> Result<Transaction, ErrorCode> {
    let id = kept(id)?;
    match ask(&cx.broker, &id, Command::Describe(id.clone())).await? {
        Reply::Described(found) => found.ok_or(ErrorCode::TransactionalIdNotFound),
        other => Err(mismatched(&other)),
    }
}

fn described(transaction: &Transaction) -> TransactionState {
    let topic = |(name, partitions): (&crate::types::TopicName, &BTreeSet<PartitionIndex>)| {
        TopicData::default()
            .with_topic(TopicName(StrBytes::from_string(name.to_string())))
            .with_partitions(partitions.iter().copied().collect())
    };
    TransactionState::default()
        .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
        .with_transaction_timeout_ms(transaction.timeout_ms)
        .with_transaction_start_time_ms(transaction.started_at.unwrap_or(-1))
        .with_producer_id(ProducerId(transaction.producer.id))
        .with_producer_epoch(transaction.producer.epoch)
        .with_topics(transaction.partitions.iter().map(topic).collect())
}
