//! Fetch sessions of a broker in shards, so that connections do not wait for one another (KAFKA-9401).
//!
//! A session's id says in which shard it is. Requests that begin a session take the shards in turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::fetch_session::Sessions;
use crate::types::Rng;

/// As many as Kafka has.
const SHARDS: usize = 8;

/// All incremental fetch sessions of a broker.
pub struct ShardedSessions {
    shards: Vec<Mutex<Sessions>>,
    next: AtomicUsize,
}

impl ShardedSessions {
    /// So many places, `max.incremental.fetch.session.cache.slots`, shared out evenly.
    pub fn new(places_max: usize, rng: &mut Rng) -> ShardedSessions {
        let count = SHARDS.min(places_max.max(1));
        let shard = |index: usize| {
            let places = places_max / count + usize::from(index < places_max % count);
            Mutex::new(Sessions::shard(places, rng.split(), index as i32, count as i32))
        };
        ShardedSessions { shards: (0..count).map(shard).collect(), next: AtomicUsize::new(0) }
    }

    /// The shard for a request that names session `id`; with 0 it names none, and may begin one in any shard.
    pub fn of(&self, id: i32) -> &Mutex<Sessions> {
        let at = match id {
            0 => self.next.fetch_add(1, Ordering::Relaxed),
            id => id.unsigned_abs() as usize,
        };
        &self.shards[at % self.shards.len()]
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// True if there is no session.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::replica::fetch_session::{FetchKey, Fetcher, INITIAL_EPOCH, Plan, Wanted};
    use crate::types::TopicId;

    const CONSUMER: Fetcher = Fetcher { uses_topic_ids: false, is_follower: false };

    fn begin(sessions: &ShardedSessions, id: i32) -> i32 {
        let key = FetchKey { topic_id: TopicId::NIL, topic: Arc::from("t"), partition: 0 };
        let wanted = Wanted {
            fetch_offset: 0,
            log_start_offset: -1,
            max_bytes: 1,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            synced_end_offset: None,
        };
        let mut shard = sessions.of(id).lock();
        match shard.plan(id, INITIAL_EPOCH, CONSUMER, [(key, wanted)].into_iter(), std::iter::empty(), 0) {
            Plan::Full(id) => id,
            other => panic!("a first fetch is full, not {other:?}"),
        }
    }

    #[test]
    fn every_session_is_found_by_its_id_and_every_place_is_used() {
        for places in [0, 1, 7, 10, 1000] {
            let sessions = ShardedSessions::new(places, &mut Rng::new(3));
            let ids: Vec<i32> = (0..places).map(|_| begin(&sessions, 0)).collect();
            assert!(ids.iter().all(|&id| id > 0 && sessions.of(id).lock().get_mut(id).is_some()));
            assert_eq!((sessions.len(), begin(&sessions, 0)), (places, 0), "{places} places, all taken");
            if let Some(&first) = ids.first() {
                let again = begin(&sessions, first);
                assert!(again != 0 && sessions.of(again).lock().get_mut(again).is_some());
                assert!(sessions.of(first).lock().get_mut(first).is_none() || again == first);
            }
            assert!(sessions.of(i32::MIN).lock().get_mut(i32::MIN).is_none(), "nobody's id finds nothing");
        }
    }
}
