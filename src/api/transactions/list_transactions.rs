//! ListTransactions: the transactional ids that this broker coordinates (KIP-664, KIP-994, KIP-1152).

use std::collections::BTreeSet;

use kafka_protocol::messages::{ProducerId, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use regex::{Regex, RegexBuilder};

use super::mismatched;
use crate::api::{Api, On, RequestContext};
use crate::coordinator::runtime::Refused;
use crate::coordinator::txn::command::{ListTransactions as List, Listed};
use crate::coordinator::txn::state::State;
use crate::coordinator::txn::{Command, Reply};
use crate::schema::api::list_transactions_response::TransactionState;
use crate::schema::api::{ListTransactionsRequest, ListTransactionsResponse};
use crate::types::ErrorCode;

/// The most memory that a client's pattern may take once it is compiled.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Key 66.
pub struct ListTransactions;

impl Api for ListTransactions {
    type Request = ListTransactionsRequest;
    type Response = ListTransactionsResponse;
    const KEY: i16 = 66;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Broker;

    async fn handle(cx: &RequestContext, request: ListTransactionsRequest) -> ListTransactionsResponse {
        let response = ListTransactionsResponse::default();
        let pattern = match request.transactional_id_pattern.as_deref().map(whole_match).transpose() {
            Ok(pattern) => pattern,
            Err(error) => return response.with_error_code(error.code()),
        };
        let filters = &request.state_filters;
        let unknown = filters.iter().filter(|name| !State::is_name(name)).cloned().collect();
        let states: BTreeSet<State> = filters.iter().filter_map(|name| State::from_name(name)).collect();
        let producer_ids: BTreeSet<i64> = request.producer_id_filters.iter().map(|id| id.0).collect();
        let list = List {
            states: (!filters.is_empty()).then_some(states),
            producer_ids: (!producer_ids.is_empty()).then_some(producer_ids),
            longer_than_ms: (request.duration_filter >= 0).then_some(request.duration_filter),
        };
        match all(cx, &list).await {
            Ok(listed) => {
                let passes = |one: &&Listed| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&one.id));
                let states = listed.iter().filter(passes).map(state).collect();
                response.with_unknown_state_filters(unknown).with_transaction_states(states)
            }
            Err(error) => response.with_error_code(error.code()),
        }
    }
}

async fn all(cx: &RequestContext, list: &List) -> Result<Vec<Listed>, ErrorCode> {
    let transactions = &cx.broker.transactions;
    let mut all = Vec::new();
    for partition in transactions.partitions() {
        match transactions.request(partition, Command::List(list.clone())).await {
            Ok(Reply::Listed(listed)) => all.extend(listed),
            Ok(other) => return Err(mismatched(&other)),
            // Lost on the way: another broker has its ids now.
            Err(Refused::NotCoordinator) => {}
            Err(refused) => return Err(refused.error_code()),
        }
    }
    Ok(all)
}

/// A pattern that an id must match as a whole.
fn whole_match(pattern: &str) -> Result<Regex, ErrorCode> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    // By itself first: what closes a bracket that it has not opened makes sense only inside the one that is put around it.
    let built = build(pattern).and_then(|_| build(&format!("^(?:{pattern})$")));
    built.map_err(|_| ErrorCode::InvalidRegularExpression)
}

fn state(listed: &Listed) -> TransactionState {
    TransactionState::default()
        .with_transactional_id(TransactionalId(StrBytes::from_string(listed.id.to_string())))
        .with_producer_id(ProducerId(listed.producer_id))
        .with_transaction_state(StrBytes::from_static_str(listed.state.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_ids_and_are_bounded() {
        let pattern = whole_match("a|b.*").unwrap();
        assert!(pattern.is_match("a") && pattern.is_match("bcd"));
        assert!(!pattern.is_match("ab") && !pattern.is_match("xa"));
        for bad in ["(", "a)(b", "(a{1000}){1000}"] {
            assert_eq!(whole_match(bad).unwrap_err(), ErrorCode::InvalidRegularExpression, "{bad}");
        }
    }
}
