//! Between openraft's messages and those of the wire.
//!
//! What comes in is checked here as far as it can be without knowing the log: openraft takes a message for one that a
//! node like it has sent, and stops the node where that cannot be so.

use bytes::Bytes;
use thiserror::Error;

use crate::schema::messages::raft::{
    RaftAppendEntriesRequest, RaftAppendEntriesResponse, RaftLogId, RaftSnapshotRequest,
    RaftTransferLeaderRequest, RaftTransferLeaderResponse, RaftVote, RaftVoteRequest,
};
use crate::types::{LeaderEpoch, NodeId, Offset};
use crate::wire::batch::Batch;

use super::batches;
use super::types::{
    AppendRequest, AppendResponse, Entry, EntryPayload, LogId, Membership, RaftId, StoredMembership,
    TransferRequest, TransferResponse, Vote, VoteRequest, log_id, term_of,
};

/// Most entries in one message; a leader of ours sends far fewer.
const ENTRIES_MAX: usize = 1 << 16;

/// A message that no node of ours sends.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct BadMessage(String);

fn bad<T>(what: impl Into<String>) -> Result<T, BadMessage> {
    Err(BadMessage(what.into()))
}

pub(super) fn vote_to_wire(vote: &Vote) -> RaftVote {
    RaftVote {
        term: vote.leader_id.term as i64,
        node_id: vote.leader_id.voted_for.0,
        committed: vote.committed,
    }
}

pub(super) fn vote_from_wire(vote: &RaftVote) -> Result<Vote, BadMessage> {
    let term = LeaderEpoch::try_from(vote.term).ok().filter(|term| *term >= 0);
    let (Some(term), 0..) = (term, vote.node_id) else {
        return bad(format!("a vote for {} in term {}", vote.node_id, vote.term));
    };
    let (term, node) = (term as u64, RaftId(vote.node_id));
    Ok(if vote.committed { Vote::new_committed(term, node) } else { Vote::new(term, node) })
}

pub(super) fn log_id_to_wire(id: Option<&LogId>) -> RaftLogId {
    match id {
        Some(id) => RaftLogId { term: term_of(id) as i64, index: id.index() as i64 },
        None => RaftLogId::default(),
    }
}

pub(super) fn log_id_from_wire(id: &RaftLogId) -> Result<Option<LogId>, BadMessage> {
    match (id.term, id.index) {
        (-1, -1) => Ok(None),
        // No log has so many entries that counting on from here could overflow.
        (0..=0x7fff_ffff, 0..=0x3fff_ffff_ffff_ffff) => Ok(Some(log_id(id.term as u64, id.index as u64))),
        (term, index) => bad(format!("entry {index} of term {term}")),
    }
}

pub(super) fn vote_request(request: &RaftVoteRequest) -> Result<VoteRequest, BadMessage> {
    let vote = vote_from_wire(&request.vote)?;
    if vote.committed || request.vote.node_id != request.head.sender_id {
        return bad("somebody asks for a vote for another");
    }
    let mut asked = VoteRequest::new(vote, log_id_from_wire(&request.last_entry)?);
    asked.leadership_transfer = request.leadership_transfer;
    Ok(asked)
}

pub(super) fn append_request(request: RaftAppendEntriesRequest) -> Result<AppendRequest, BadMessage> {
    let vote = leaders_vote(&request.vote, request.head.sender_id)?;
    let prev_log_id = log_id_from_wire(&request.previous)?;
    let leader_commit = log_id_from_wire(&request.committed)?;
    if leader_commit.is_some_and(|id| term_of(&id) > vote.leader_id.term) {
        return bad("entries of later terms are committed");
    }
    let entries = entries(prev_log_id, vote.leader_id.term, request.records)?;
    Ok(AppendRequest { vote, prev_log_id, entries: entries.0, leader_commit })
}

/// The vote of who leads, and that is the sender.
pub(super) fn leaders_vote(vote: &RaftVote, sender: NodeId) -> Result<Vote, BadMessage> {
    let leader = vote_from_wire(vote)?;
    if !leader.committed || vote.node_id != sender {
        return bad("somebody speaks for another leader");
    }
    Ok(leader)
}

/// The entries in `records`, which come behind `previous` and were written in terms up to `term_max`; and the offset of
/// the first record.
pub(super) fn entries(
    previous: Option<LogId>,
    term_max: u64,
    mut records: Bytes,
) -> Result<(Vec<Entry>, Option<Offset>), BadMessage> {
    let mut index = previous.map_or(0, |id| id.index() + 1);
    let mut term = previous.map_or(0, |id| term_of(&id));
    if term > term_max {
        return bad("entries of later terms");
    }
    let (mut entries, mut first, mut next) = (Vec::new(), None, None);
    while !records.is_empty() {
        let batch = Batch::first_of(&records).map_err(|e| BadMessage(e.to_string()))?;
        batch.verify_checksum().map_err(|e| BadMessage(e.to_string()))?;
        let header = batch.header();
        let length = batch.bytes().len();
        let base = header.base_offset();
        if base < 0 || header.last_offset_delta() < 0 || next.is_some_and(|next| next != base) {
            return bad(format!("a batch at offset {base} where {next:?} comes"));
        }
        match u64::try_from(header.partition_leader_epoch()) {
            Ok(epoch) if epoch >= term && epoch <= term_max => term = epoch,
            _ => return bad(format!("a batch of epoch {}", header.partition_leader_epoch())),
        }
        let whole = records.slice(..length);
        let content = batches::decode(&batch, &whole).map_err(|e| BadMessage(e.to_string()))?;
        next = base.checked_add(content.offsets());
        if next.is_none() || content.offsets() == 0 || entries.len() >= ENTRIES_MAX {
            return bad("too many offsets or entries, or none");
        }
        first = first.or(Some(base));
        let payload = EntryPayload { content, batch: Some(whole) };
        entries.push(Entry { log_id: log_id(term, index), payload });
        index += 1;
        records = records.slice(length..);
    }
    Ok((entries, first))
}

pub(super) fn append_response_to_wire(response: &AppendResponse, out: &mut RaftAppendEntriesResponse) {
    match response {
        AppendResponse::Success => out.outcome = 0,
        AppendResponse::PartialSuccess(matching) => {
            out.outcome = 1;
            out.matching = log_id_to_wire(matching.as_ref());
        }
        AppendResponse::Conflict => out.outcome = 2,
        AppendResponse::HigherVote(vote) => {
            out.outcome = 3;
            out.vote = vote_to_wire(vote);
        }
    }
}

pub(super) fn append_response(response: &RaftAppendEntriesResponse) -> Result<AppendResponse, BadMessage> {
    Ok(match response.outcome {
        0 => AppendResponse::Success,
        1 => AppendResponse::PartialSuccess(log_id_from_wire(&response.matching)?),
        2 => AppendResponse::Conflict,
        3 => AppendResponse::HigherVote(vote_from_wire(&response.vote)?),
        other => return bad(format!("the outcome {other}")),
    })
}

/// What a snapshot says of itself besides its content.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SnapshotOf {
    pub(super) vote: Vote,
    pub(super) end: Offset,
    pub(super) last: LogId,
    pub(super) voters: StoredMembership,
}

pub(super) fn snapshot_request(request: &RaftSnapshotRequest) -> Result<SnapshotOf, BadMessage> {
    let vote = leaders_vote(&request.vote, request.head.sender_id)?;
    let Some(last) = log_id_from_wire(&request.last_entry)? else { return bad("a snapshot of nothing") };
    if term_of(&last) > vote.leader_id.term || request.end_offset <= 0 {
        return bad("a snapshot of a later term, or without an end");
    }
    let voters_entry = log_id_from_wire(&request.voters_entry)?;
    if voters_entry.is_some_and(|id| id > last) {
        return bad("voters that were named later than the snapshot ends");
    }
    let voters: Membership =
        batches::membership_of(request.voters.clone()).map_err(|e| BadMessage(e.to_string()))?;
    let voters = StoredMembership::new(voters_entry, voters);
    Ok(SnapshotOf { vote, end: request.end_offset, last, voters })
}

pub(super) fn transfer_request(
    request: &RaftTransferLeaderRequest,
    me: NodeId,
) -> Result<TransferRequest, BadMessage> {
    let vote = leaders_vote(&request.vote, request.head.sender_id)?;
    Ok(TransferRequest::new(vote, RaftId(me), log_id_from_wire(&request.last_entry)?))
}

pub(super) fn transfer_response(response: &RaftTransferLeaderResponse) -> Result<u8, BadMessage> {
    match response.outcome {
        outcome @ 0..=2 => Ok(outcome as u8),
        other => bad(format!("the outcome {other}")),
    }
}

pub(super) fn transfer_response_to_wire(response: &TransferResponse, out: &mut RaftTransferLeaderResponse) {
    use super::types::TransferError;
    match response {
        Ok(()) => out.outcome = 0,
        Err(TransferError::VoteChanged { actual, .. }) => {
            out.outcome = 1;
            out.vote = vote_to_wire(actual);
        }
        Err(TransferError::LogNotFlushed { actual, .. }) => {
            out.outcome = 2;
            out.last_entry = log_id_to_wire(actual.as_ref());
        }
    }
}

/// Reads a request of another controller as it is read before anything is done with it: for those who search for bytes
/// that do harm.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_request(key: i16, mut body: Bytes) -> Result<(), String> {
    let text = |e: BadMessage| e.to_string();
    match key {
        10_000 => {
            let request = RaftVoteRequest::decode(&mut body, 0).map_err(|e| e.to_string())?;
            vote_request(&request).map(drop).map_err(text)
        }
        10_001 => {
            let request = RaftAppendEntriesRequest::decode(&mut body, 0).map_err(|e| e.to_string())?;
            append_request(request).map(drop).map_err(text)
        }
        10_002 => {
            let request = RaftSnapshotRequest::decode(&mut body, 0).map_err(|e| e.to_string())?;
            snapshot_request(&request).map_err(text)?;
            super::snapshot::parse(&request.data).map(drop)
        }
        10_003 => {
            let request = RaftTransferLeaderRequest::decode(&mut body, 0).map_err(|e| e.to_string())?;
            transfer_request(&request, 1).map(drop).map_err(text)
        }
        _ => Err(format!("there is no call {key}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::types::{Payload, Records};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn batch(base: Offset, epoch: LeaderEpoch, values: usize) -> Vec<u8> {
        let values: Vec<Bytes> = (0..values).map(|_| Bytes::from_static(b"value")).collect();
        let payload = Payload::Normal(Records(Arc::from(values)));
        batches::encode(&payload, base, epoch, 5, (1, &BTreeMap::new()))
    }

    #[test]
    fn entries_keep_their_batches_and_must_follow_each_other() {
        let two = [batch(10, 3, 2), batch(12, 4, 1)];
        let (found, first) = entries(Some(log_id(3, 7)), 4, two.concat().into()).unwrap();
        assert_eq!(first, Some(10));
        let ids: Vec<LogId> = found.iter().map(|e| e.log_id).collect();
        assert_eq!(ids, [log_id(3, 8), log_id(4, 9)]);
        assert!(
            found.iter().zip(&two).all(|(entry, batch)| entry.payload.batch.as_deref() == Some(&**batch))
        );
        for wrong in [
            [batch(10, 3, 2), batch(13, 4, 1)].concat(), // A hole.
            [batch(10, 4, 2), batch(12, 3, 1)].concat(), // An epoch that falls.
            batch(10, 5, 1),                             // An epoch after the leader's.
            batch(10, 2, 1),                             // An epoch before that of the entry before.
            batch(10, 3, 1)[..70].to_vec(),
        ] {
            assert!(entries(Some(log_id(3, 7)), 4, wrong.into()).is_err());
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for (term, index) in [(-1, 0), (0, -1), (i64::MAX, 1), (1, i64::MAX), (-2, -2)] {
            assert!(log_id_from_wire(&RaftLogId { term, index }).is_err());
        }
        for (term, node_id) in [(-1, 1), (1, -1), (i64::MAX, 1)] {
            assert!(vote_from_wire(&RaftVote { term, node_id, committed: true }).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_an_error(key in 9_999i16..10_005, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check_request(key, bytes.into());
        }
    }
}
