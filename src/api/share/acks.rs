//! Acknowledgements out of requests, and their outcome.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::api::RequestContext;
use crate::coordinator::share::ShareKey;
use crate::share_partition::session::{SessionKey, TopicIdPartition};
use crate::share_partition::state::{AckBatch, AckType};
use crate::types::ErrorCode;

/// What a member says of records of one partition; an error if it makes no sense.
pub(super) type Acks = (TopicIdPartition, Result<Vec<AckBatch>, ErrorCode>);

/// What a request says of a range of records.
pub(super) struct RawBatch<'a> {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) types: &'a [i8],
}

/// Reads batches of one partition. Locks are renewed only where `may_renew`.
///
/// # Errors
///
/// `INVALID_REQUEST` if there is neither one type for a batch nor one for each of its records, or a type that there is not.
pub(super) fn parse<'a>(
    batches: impl Iterator<Item = RawBatch<'a>>,
    may_renew: bool,
) -> Result<Vec<AckBatch>, ErrorCode> {
    let batches = batches.map(|batch| {
        let records = batch.last.checked_sub(batch.first).and_then(|count| count.checked_add(1));
        let count = batch.types.len();
        let fits = count == 1 || (count > 0 && records == i64::try_from(count).ok());
        let types: Option<Vec<AckType>> = batch.types.iter().map(|&code| AckType::from_code(code)).collect();
        let types = types.filter(|types| fits && (may_renew || !types.contains(&AckType::Renew)));
        types
            .map(|types| AckBatch { first: batch.first, last: batch.last, types })
            .ok_or(ErrorCode::InvalidRequest)
    });
    batches.collect()
}

/// Has all of them kept, at the same time. An error per partition, as asked.
pub(super) async fn keep(
    cx: &RequestContext,
    (group, member): &SessionKey,
    acks: Vec<Acks>,
) -> Vec<(TopicIdPartition, ErrorCode)> {
    let kept = acks.into_iter().map(|((topic, partition), batches)| async move {
        let key = ShareKey { group: Arc::clone(group), topic, partition };
        let outcome = match (batches, cx.broker.share.get(&key)) {
            (Err(error), _) => Err(error),
            (Ok(_), None) => Err(ErrorCode::UnknownTopicOrPartition),
            (Ok(batches), Some(share)) => share.acknowledge(member, &batches).await,
        };
        ((topic, partition), outcome.err().unwrap_or(ErrorCode::None))
    });
    join_all(kept).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(first: i64, last: i64, types: &[i8], may_renew: bool) -> Result<Vec<AckBatch>, ErrorCode> {
        parse([RawBatch { first, last, types }].into_iter(), may_renew)
    }

    #[test]
    fn there_is_one_type_for_all_records_or_one_for_each() {
        assert!(one(3, 5, &[1], false).is_ok());
        assert!(one(3, 5, &[1, 2, 3], false).is_ok());
        for (last, types) in [(5, &[][..]), (5, &[1, 1]), (5, &[1, 1, 5]), (5, &[-1]), (2, &[]), (1, &[1, 1])]
        {
            assert_eq!(one(3, last, types, true), Err(ErrorCode::InvalidRequest), "{types:?}");
        }
        assert_eq!(one(i64::MIN, i64::MAX, &[1, 1], true), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn locks_are_renewed_where_that_is_announced() {
        assert_eq!(one(3, 5, &[4], false), Err(ErrorCode::InvalidRequest));
        assert!(one(3, 5, &[4], true).is_ok());
    }
}
