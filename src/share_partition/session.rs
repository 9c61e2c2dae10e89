//! Share sessions: what each member fetches, and whether its requests come in order (KIP-932).
//!
//! A session belongs to a member of a group and to the connection it was begun on. Its epoch counts the member's requests:
//! 0 begins it, -1 ends it, anything else must be the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::MemberId;
use crate::replica::FetchWaiter;
use crate::types::{ErrorCode, PartitionIndex, TopicId};

/// Begins a session.
pub const INITIAL_EPOCH: i32 = 0;
/// Ends it.
pub const FINAL_EPOCH: i32 = -1;
/// Partitions that one session may have.
const PARTITIONS_MAX: usize = 100_000;

/// A group and a member of it.
pub type SessionKey = (Arc<str>, MemberId);
/// A partition by its topic's id.
pub type TopicIdPartition = (TopicId, PartitionIndex);

struct Session {
    /// What the next request must say.
    next_epoch: i32,
    /// In the order in which they were named.
    partitions: Vec<TopicIdPartition>,
    /// The connection that it was begun on.
    connection: Arc<FetchWaiter>,
}

/// All sessions of the broker.
pub struct Sessions {
    sessions: BTreeMap<SessionKey, Session>,
    max: usize,
}

/// A session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What its member may hold records of.
    pub partitions: Vec<TopicIdPartition>,
    /// True if nobody of the group has a session here any more.
    pub is_last: bool,
}

impl Sessions {
    /// No session; at most `max` (`group.share.max.share.sessions`).
    pub fn new(max: usize) -> Sessions {
        Sessions { sessions: BTreeMap::new(), max }
    }

    /// A ShareFetch has come in: begins a session or goes on with one. Gives what is to be fetched.
    ///
    /// # Errors
    ///
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`, `SHARE_SESSION_LIMIT_REACHED`; `INVALID_REQUEST` for
    /// acknowledgements before there is a session, or more partitions than a session may have.
    pub fn fetch(
        &mut self,
        key: &SessionKey,
        epoch: i32,
        added: &[TopicIdPartition],
        forgotten: &[TopicIdPartition],
        acknowledges: bool,
        connection: &Arc<FetchWaiter>,
    ) -> Result<Vec<TopicIdPartition>, ErrorCode> {
        match epoch {
            FINAL_EPOCH if self.sessions.contains_key(key) => return Ok(Vec::new()),
            FINAL_EPOCH => return Err(ErrorCode::ShareSessionNotFound),
            INITIAL_EPOCH if acknowledges || added.len() > PARTITIONS_MAX => {
                return Err(ErrorCode::InvalidRequest);
            }
            INITIAL_EPOCH => {
                self.sessions.remove(key);
                if self.sessions.len() >= self.max {
                    return Err(ErrorCode::ShareSessionLimitReached);
                }
                let mut session =
                    Session { next_epoch: 1, partitions: Vec::new(), connection: Arc::clone(connection) };
                session.add(added);
                let partitions = session.partitions.clone();
                self.sessions.insert(key.clone(), session);
                return Ok(partitions);
            }
            _ => {}
        }
        let session = self.in_order(key, epoch)?;
        if session.partitions.len() + added.len() > PARTITIONS_MAX + forgotten.len() {
            return Err(ErrorCode::InvalidRequest);
        }
        session.advance();
        session.connection = Arc::clone(connection);
        session.partitions.retain(|partition| !forgotten.contains(partition));
        session.add(added);
        Ok(session.partitions.clone())
    }

    /// A ShareAcknowledge has come in.
    ///
    /// # Errors
    ///
    /// `SHARE_SESSION_NOT_FOUND`, `INVALID_SHARE_SESSION_EPOCH`.
    pub fn acknowledge(&mut self, key: &SessionKey, epoch: i32) -> Result<(), ErrorCode> {
        match epoch {
            INITIAL_EPOCH => Err(ErrorCode::InvalidShareSessionEpoch),
            FINAL_EPOCH if self.sessions.contains_key(key) => Ok(()),
            FINAL_EPOCH => Err(ErrorCode::ShareSessionNotFound),
            _ => {
                self.in_order(key, epoch)?.advance();
                Ok(())
            }
        }
    }

    /// Ends a session; `None` if there is none. With `connection`, only if it is that connection's.
    pub fn end(&mut self, key: &SessionKey, connection: Option<&Arc<FetchWaiter>>) -> Option<Ended> {
        let session = self.sessions.get(key)?;
        if connection.is_some_and(|connection| !Arc::ptr_eq(connection, &session.connection)) {
            return None;
        }
        let partitions = self.sessions.remove(key)?.partitions;
        Some(Ended { partitions, is_last: !self.has_group(&key.0) })
    }

    /// The sessions that were begun on a connection, or used it last.
    pub fn of_connection(&self, connection: &Arc<FetchWaiter>) -> Vec<SessionKey> {
        let of_it = self.sessions.iter().filter(|(_, session)| Arc::ptr_eq(&session.connection, connection));
        of_it.map(|(key, _)| key.clone()).collect()
    }

    /// True if a member of the group has a session here.
    pub fn has_group(&self, group: &Arc<str>) -> bool {
        let from: SessionKey = (Arc::clone(group), Arc::from(""));
        self.sessions.range(from..).next().is_some_and(|((of, _), _)| of == group)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    fn in_order(&mut self, key: &SessionKey, epoch: i32) -> Result<&mut Session, ErrorCode> {
        let session = self.sessions.get_mut(key).ok_or(ErrorCode::ShareSessionNotFound)?;
        if session.next_epoch == epoch { Ok(session) } else { Err(ErrorCode::InvalidShareSessionEpoch) }
    }
}

impl Session {
    fn advance(&mut self) {
        self.next_epoch = if self.next_epoch == i32::MAX { 1 } else { self.next_epoch + 1 };
    }

    fn add(&mut self, added: &[TopicIdPartition]) {
        if added.is_empty() {
            return;
        }
        let mut known: std::collections::BTreeSet<_> = self.partitions.iter().copied().collect();
        self.partitions.extend(added.iter().filter(|partition| known.insert(**partition)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(member: &str) -> SessionKey {
        ("g".into(), member.into())
    }

    fn partition(index: PartitionIndex) -> TopicIdPartition {
        (TopicId(uuid::Uuid::from_u128(7)), index)
    }

    #[test]
    fn requests_of_a_session_come_in_order() {
        let mut sessions = Sessions::new(2);
        let here = FetchWaiter::new();
        let fetch = |sessions: &mut Sessions, member, epoch, added: &[_], forgotten: &[_]| {
            sessions.fetch(&key(member), epoch, added, forgotten, false, &here)
        };
        assert_eq!(fetch(&mut sessions, "a", 1, &[], &[]), Err(ErrorCode::ShareSessionNotFound));
        assert_eq!(fetch(&mut sessions, "a", -1, &[], &[]), Err(ErrorCode::ShareSessionNotFound));
        assert_eq!(fetch(&mut sessions, "a", 0, &[partition(1)], &[]), Ok(vec![partition(1)]));
        assert_eq!(fetch(&mut sessions, "a", 2, &[], &[]), Err(ErrorCode::InvalidShareSessionEpoch));
        let both = vec![partition(1), partition(0)];
        assert_eq!(fetch(&mut sessions, "a", 1, &[partition(0), partition(1)], &[]), Ok(both));
        assert_eq!(sessions.acknowledge(&key("a"), 1), Err(ErrorCode::InvalidShareSessionEpoch));
        assert_eq!(sessions.acknowledge(&key("a"), 2), Ok(()));
        assert_eq!(sessions.acknowledge(&key("a"), 0), Err(ErrorCode::InvalidShareSessionEpoch));
        assert_eq!(fetch(&mut sessions, "a", 3, &[], &[partition(1)]), Ok(vec![partition(0)]));
        assert!(fetch(&mut sessions, "b", 0, &[], &[]).is_ok());
        assert_eq!(fetch(&mut sessions, "c", 0, &[], &[]), Err(ErrorCode::ShareSessionLimitReached));
        assert!(fetch(&mut sessions, "b", 0, &[], &[]).is_ok(), "it takes its own place");
        let ended = sessions.end(&key("a"), None);
        assert_eq!(ended, Some(Ended { partitions: vec![partition(0)], is_last: false }));
        assert_eq!(sessions.end(&key("b"), Some(&FetchWaiter::new())), None, "another connection");
        assert_eq!(sessions.end(&key("b"), Some(&here)).map(|ended| ended.is_last), Some(true));
        assert!(sessions.is_empty());
    }

    #[test]
    fn nothing_is_acknowledged_before_there_is_a_session() {
        let mut sessions = Sessions::new(2);
        let begun = sessions.fetch(&key("a"), 0, &[], &[], true, &FetchWaiter::new());
        assert_eq!(begun, Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn epochs_begin_again_at_one() {
        let mut session =
            Session { next_epoch: i32::MAX, partitions: Vec::new(), connection: FetchWaiter::new() };
        session.advance();
        assert_eq!(session.next_epoch, 1);
    }
}
