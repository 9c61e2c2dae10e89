//! A fetch session as the follower sees it (KIP-227): what the leader remembers, so that only changes are sent.

use std::collections::{BTreeMap, BTreeSet};

use super::leader_endpoint::FetchedFrom;
use crate::types::{ErrorCode, PartitionIndex, TopicId, TopicName};

type Key = (TopicId, PartitionIndex);

/// The session with one leader: what is wanted of it, and what of that it does not know yet. A request costs what it says,
/// however many partitions there are that nothing happens to.
#[derive(Default)]
pub(super) struct SessionState {
    id: i32,
    /// Of the next request; 0 begins a new session.
    epoch: i32,
    /// Everything that is fetched.
    wanted: BTreeMap<Key, FetchedFrom>,
    /// What of it has changed since the last request.
    news: BTreeSet<Key>,
    /// What is not fetched any more since then.
    forgotten: BTreeMap<Key, TopicName>,
}

/// What goes into the next request.
pub(super) struct SessionPart {
    pub(super) id: i32,
    pub(super) epoch: i32,
    pub(super) partitions: Vec<FetchedFrom>,
    pub(super) forgotten: Vec<(TopicId, TopicName, PartitionIndex)>,
}

impl SessionState {
    /// From now on a partition is fetched like this.
    pub(super) fn want(&mut self, from: FetchedFrom) {
        let key = (from.topic_id, from.partition);
        if self.wanted.get(&key) == Some(&from) {
            return;
        }
        // A leader takes up what a request names before it forgets what it names: both must not be in one.
        self.forgotten.remove(&key);
        self.wanted.insert(key, from);
        self.news.insert(key);
    }

    /// From now on a partition is not fetched.
    pub(super) fn forget(&mut self, key: Key) {
        if let Some(from) = self.wanted.remove(&key) {
            self.news.remove(&key);
            self.forgotten.insert(key, from.topic);
        }
    }

    /// True if nothing is fetched.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The request that fetches what is wanted.
    pub(super) fn plan(&mut self) -> SessionPart {
        let (news, forgotten) = (std::mem::take(&mut self.news), std::mem::take(&mut self.forgotten));
        let (id, epoch) = (self.id, self.epoch);
        if epoch == 0 {
            let partitions = self.wanted.values().cloned().collect();
            return SessionPart { id, epoch, partitions, forgotten: Vec::new() };
        }
        let partitions = news.iter().filter_map(|key| self.wanted.get(key).cloned()).collect();
        let forgotten =
            forgotten.into_iter().map(|((id, partition), topic)| (id, topic, partition)).collect();
        SessionPart { id, epoch, partitions, forgotten }
    }

    /// What was asked of a partition with the last request, itself or as part of the session.
    pub(super) fn asked(&self, topic_id: TopicId, partition: PartitionIndex) -> Option<&FetchedFrom> {
        self.wanted.get(&(topic_id, partition))
    }

    /// Takes in the answer to the last request. False if it cannot be used: the session is not what it was thought to be.
    pub(super) fn answered(&mut self, error: ErrorCode, session_id: i32) -> bool {
        if error.is_err() {
            // Whatever the leader still has of it, a new one takes its place.
            self.id = if error == ErrorCode::FetchSessionIdNotFound { 0 } else { self.id };
            self.epoch = 0;
            return false;
        }
        if self.epoch == 0 {
            self.id = session_id;
            self.epoch = i32::from(session_id != 0);
        } else if session_id == self.id {
            self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        } else {
            (self.id, self.epoch) = (0, 0);
        }
        true
    }

    /// No answer came: the leader may have served the request or not. The next one begins a session and ends this one.
    pub(super) fn lost(&mut self) {
        self.epoch = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::fetch_session::{FetchKey, Fetcher, Plan, Sessions, Wanted};
    use crate::types::Rng;

    fn from(partition: PartitionIndex, offset: i64) -> FetchedFrom {
        FetchedFrom {
            topic_id: TopicId::NIL,
            topic: "t".into(),
            partition,
            offset,
            last_fetched_epoch: 0,
            leader_epoch: 0,
            log_start: 0,
            synced: 0,
            bytes_max: 100,
        }
    }

    /// Makes `wanted` all that is wanted, and plans the next request.
    fn plan(state: &mut SessionState, wanted: Vec<FetchedFrom>) -> SessionPart {
        let keys: BTreeSet<_> = wanted.iter().map(|from| (from.topic_id, from.partition)).collect();
        let gone: Vec<_> = state.wanted.keys().filter(|key| !keys.contains(key)).copied().collect();
        gone.into_iter().for_each(|key| state.forget(key));
        wanted.into_iter().for_each(|from| state.want(from));
        state.plan()
    }

    /// Serves a request as a leader does; gives back its answer and the offsets that it would read.
    fn serve(sessions: &mut Sessions, part: &SessionPart) -> (ErrorCode, i32, Vec<(PartitionIndex, i64)>) {
        let key = |partition| FetchKey { topic_id: TopicId::NIL, topic: "t".into(), partition };
        let added = part.partitions.iter().map(|w| {
            let wanted = Wanted {
                fetch_offset: w.offset,
                log_start_offset: 0,
                max_bytes: 100,
                current_leader_epoch: 0,
                last_fetched_epoch: 0,
                synced_end_offset: Some(w.synced),
            };
            (key(w.partition), wanted)
        });
        let forgotten = part.forgotten.iter().map(|(_, _, partition)| key(*partition));
        let named = part.partitions.iter().map(|w| (w.partition, w.offset)).collect();
        let fetcher = Fetcher { uses_topic_ids: true, is_follower: true };
        match sessions.plan(part.id, part.epoch, fetcher, added, forgotten, 0) {
            Plan::Refused(error) => (error, 0, Vec::new()),
            Plan::Sessionless => (ErrorCode::None, 0, named),
            Plan::Full(id) => (ErrorCode::None, id, named),
            Plan::Incremental(id) => {
                let session = sessions.get_mut(id).expect("it has just been used");
                let mut wanted: Vec<_> =
                    session.wanted().map(|(key, w)| (key.partition, w.fetch_offset)).collect();
                wanted.sort_unstable();
                (ErrorCode::None, id, wanted)
            }
        }
    }

    #[test]
    fn both_sides_agree_on_what_is_wanted() {
        let mut sessions = Sessions::new(10, Rng::new(1));
        let mut state = SessionState::default();
        let mut rng = Rng::new(2);
        for round in 0..500 {
            let count = rng.below(5) as i32 + 1;
            let wanted: Vec<_> = (0..count).map(|p| from(p, (rng.below(4)) as i64)).collect();
            let expected: Vec<_> = wanted.iter().map(|w| (w.partition, w.offset)).collect();
            let part = plan(&mut state, wanted);
            if rng.below(20) == 0 {
                // The request or its answer gets lost.
                if rng.below(2) == 0 {
                    serve(&mut sessions, &part);
                }
                state.lost();
                continue;
            }
            let (error, id, served) = serve(&mut sessions, &part);
            assert!(state.answered(error, id), "round {round}: {error}");
            assert_eq!(served, expected, "round {round}");
            assert_eq!(state.asked(TopicId::NIL, 0).map(|w| w.offset), Some(expected[0].1));
        }
        sessions.remove(state.id);
        let part = plan(&mut state, vec![from(0, 9)]);
        let (error, id, _) = serve(&mut sessions, &part);
        assert_eq!((error, state.answered(error, id)), (ErrorCode::FetchSessionIdNotFound, false));
        let part = plan(&mut state, vec![from(0, 9)]);
        let (error, id, served) = serve(&mut sessions, &part);
        assert_eq!((state.answered(error, id), served), (true, vec![(0, 9)]));
    }

    #[test]
    fn nothing_is_said_where_nothing_changed() {
        let mut state = SessionState::default();
        assert_eq!(plan(&mut state, vec![from(0, 1), from(1, 1)]).partitions.len(), 2);
        state.answered(ErrorCode::None, 7);
        let part = plan(&mut state, vec![from(0, 1), from(1, 2)]);
        assert_eq!((part.id, part.epoch, part.partitions), (7, 1, vec![from(1, 2)]));
        state.answered(ErrorCode::None, 7);
        let part = plan(&mut state, vec![from(1, 2)]);
        assert_eq!((part.partitions.len(), part.forgotten.len(), part.epoch), (0, 1, 2));
        state.answered(ErrorCode::None, 7);
        state.forget((TopicId::NIL, 1));
        assert!(state.is_idle());
        state.want(from(1, 2));
        let part = state.plan();
        assert_eq!(
            (part.partitions.len(), part.forgotten.len()),
            (1, 0),
            "wanted again before it was forgotten"
        );
        // A leader without room for sessions is told everything each time.
        let mut state = SessionState::default();
        for _ in 0..3 {
            assert_eq!(plan(&mut state, vec![from(0, 1)]).partitions.len(), 1);
            assert!(state.answered(ErrorCode::None, 0));
        }
    }
}
