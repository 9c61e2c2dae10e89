//! Incremental fetch sessions (KIP-227). Pure: time comes in as an argument.
//!
//! A session remembers which partitions a fetcher wants and what it was told of them, so that a request names only what
//! changed and an answer holds only partitions with news. The cache has a fixed number of places; a session that was not
//! used for a while gives its place to a newer one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::{ErrorCode, LeaderEpoch, Ms, Offset, PartitionIndex, Rng, TopicId};

/// Epoch of a request that begins a session.
pub const INITIAL_EPOCH: i32 = 0;
/// Epoch of a request that wants no session, or ends one.
pub const FINAL_EPOCH: i32 = -1;
/// A session that was used less than this long ago keeps its place.
pub const EVICTION_MS_MIN: Ms = 120_000;

/// A partition as fetchers name it: by id from version 13 on, by name before.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FetchKey {
    /// Id of the topic; nil before version 13.
    pub topic_id: TopicId,
    /// Name of the topic; empty from version 13 on.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: PartitionIndex,
}

/// What a fetcher wants of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The first offset to return.
    pub fetch_offset: Offset,
    /// The fetcher's own log start; -1 for a consumer.
    pub log_start_offset: Offset,
    /// The most bytes to return of this partition.
    pub max_bytes: i32,
    /// The leader epoch that the fetcher believes in, or -1.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record that the fetcher has, or -1.
    pub last_fetched_epoch: LeaderEpoch,
    /// What of a follower's log is on its disk, if it tells.
    pub synced_end_offset: Option<Offset>,
}

/// What the answer says of a partition, as far as a session must remember it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// The high watermark.
    pub high_watermark: Offset,
    /// The first offset of the log.
    pub log_start_offset: Offset,
    /// Bytes of records.
    pub record_bytes: u64,
    /// True if there is anything else to say, an error above all.
    pub has_news: bool,
}

#[derive(Clone, Debug)]
struct Place {
    wanted: Wanted,
    high_watermark: Offset,
    log_start_offset: Offset,
    /// Position in the order in which partitions are served.
    turn: u64,
}

/// Who fetches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fetcher {
    /// Whether it names topics by id.
    pub uses_topic_ids: bool,
    /// Whether it is a broker that follows.
    pub is_follower: bool,
}

/// One fetcher's session.
#[derive(Debug)]
pub struct Session {
    id: i32,
    /// The epoch that the next request must name.
    epoch: i32,
    uses_topic_ids: bool,
    of_follower: bool,
    places: BTreeMap<FetchKey, Place>,
    order: BTreeMap<u64, FetchKey>,
    next_turn: u64,
    used_at: Ms,
}

impl Session {
    fn new(id: i32, fetcher: Fetcher, now: Ms) -> Session {
        Session {
            id,
            epoch: 1,
            uses_topic_ids: fetcher.uses_topic_ids,
            of_follower: fetcher.is_follower,
            places: BTreeMap::new(),
            order: BTreeMap::new(),
            next_turn: 0,
            used_at: now,
        }
    }

    /// How many partitions it holds.
    pub fn partitions(&self) -> usize {
        self.places.len()
    }

    fn want(&mut self, key: FetchKey, wanted: Wanted) {
        if let Some(place) = self.places.get_mut(&key) {
            place.wanted = wanted;
            return;
        }
        let turn = self.take_turn(key.clone());
        // Whatever is answered first is news.
        self.places.insert(key, Place { wanted, high_watermark: -1, log_start_offset: -1, turn });
    }

    fn take_turn(&mut self, key: FetchKey) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.order.insert(turn, key);
        turn
    }

    fn forget(&mut self, key: &FetchKey) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place.turn);
        }
    }

    /// The partitions to read, in the order in which to serve them.
    pub fn wanted(&self) -> impl Iterator<Item = (&FetchKey, &Wanted)> {
        self.order.values().filter_map(|key| self.places.get(key).map(|place| (key, &place.wanted)))
    }

    /// True if the answer for `key` must be sent in an incremental answer.
    pub fn is_news(&self, key: &FetchKey, told: &Told) -> bool {
        let Some(place) = self.places.get(key) else { return false };
        told.has_news
            || told.record_bytes > 0
            || place.high_watermark != told.high_watermark
            || place.log_start_offset != told.log_start_offset
    }

    /// Remembers what is being sent. A partition that got records goes to the end of the order, so that one with much
    /// data does not starve the others.
    pub fn tell(&mut self, key: &FetchKey, told: &Told) {
        let Some(place) = self.places.get_mut(key) else { return };
        // An error is repeated for as long as it lasts.
        place.high_watermark = if told.has_news { -1 } else { told.high_watermark };
        place.log_start_offset = told.log_start_offset;
        if told.record_bytes > 0 {
            let old = place.turn;
            self.order.remove(&old);
            let turn = self.take_turn(key.clone());
            if let Some(place) = self.places.get_mut(key) {
                place.turn = turn;
            }
        }
    }
}

/// How a fetch is to be served.
#[derive(Debug)]
pub enum Plan {
    /// Everything the request names, with no session.
    Sessionless,
    /// Everything the request names; the answer carries the id of a new session, or 0 if there was no place for it.
    Full(i32),
    /// What the session wants; the answer holds only news.
    Incremental(i32),
    /// Not at all.
    Refused(ErrorCode),
}

/// The sessions of one broker.
#[derive(Debug)]
pub struct Sessions {
    places_max: usize,
    sessions: BTreeMap<i32, Session>,
    /// Sessions by when they were used last.
    by_use: BTreeMap<(Ms, i32), ()>,
    rng: Rng,
    /// Ids divided by `shards` leave this.
    shard: i32,
    shards: i32,
}

impl Sessions {
    /// A cache of `max.incremental.fetch.session.cache.slots` places.
    pub fn new(places_max: usize, rng: Rng) -> Sessions {
        Sessions::shard(places_max, rng, 0, 1)
    }

    /// One of `shards` caches, the number `shard`: the ids that it gives leave `shard` when divided by `shards`.
    pub fn shard(places_max: usize, rng: Rng, shard: i32, shards: i32) -> Sessions {
        Sessions { places_max, sessions: BTreeMap::new(), by_use: BTreeMap::new(), rng, shard, shards }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// True if there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The session `id`, if it still has its place.
    pub fn get_mut(&mut self, id: i32) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// Takes in a request and says how to serve it. `added` are the partitions it names, `forgotten` those it drops.
    pub fn plan(
        &mut self,
        session_id: i32,
        session_epoch: i32,
        fetcher: Fetcher,
        added: impl Iterator<Item = (FetchKey, Wanted)>,
        forgotten: impl Iterator<Item = FetchKey>,
        now: Ms,
    ) -> Plan {
        if session_epoch == INITIAL_EPOCH || session_epoch == FINAL_EPOCH {
            if session_id != 0 {
                self.remove(session_id);
            }
            if session_epoch == FINAL_EPOCH {
                return Plan::Sessionless;
            }
            let mut added = added.peekable();
            if added.peek().is_none() {
                return Plan::Full(0);
            }
            let Some(id) = self.place(fetcher, now) else { return Plan::Full(0) };
            if let Some(session) = self.sessions.get_mut(&id) {
                added.for_each(|(key, wanted)| session.want(key, wanted));
            }
            return Plan::Full(id);
        }
        let Some(session) = self.sessions.get_mut(&session_id) else {
            return Plan::Refused(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != session_epoch {
            return Plan::Refused(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != fetcher.uses_topic_ids {
            return Plan::Refused(ErrorCode::FetchSessionTopicIdError);
        }
        added.for_each(|(key, wanted)| session.want(key, wanted));
        forgotten.for_each(|key| session.forget(&key));
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        self.by_use.remove(&(session.used_at, session_id));
        session.used_at = now;
        self.by_use.insert((now, session_id), ());
        if session.places.is_empty() {
            self.remove(session_id);
            return Plan::Sessionless;
        }
        Plan::Incremental(session_id)
    }

    /// Forgets a session.
    pub fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.by_use.remove(&(session.used_at, session.id));
        }
    }

    /// A new session, on a free place or on that of one that is no longer used. For a follower, the consumer gives way whose
    /// session was used longest ago: followers fetch many partitions, and for ever.
    fn place(&mut self, fetcher: Fetcher, now: Ms) -> Option<i32> {
        if self.sessions.len() >= self.places_max {
            let (&(used_at, oldest), ()) = self.by_use.first_key_value()?;
            let goes = if now - used_at > EVICTION_MS_MIN {
                oldest
            } else if fetcher.is_follower {
                let of_consumer = |id: &i32| self.sessions.get(id).is_some_and(|s| !s.of_follower);
                self.by_use.keys().map(|&(_, id)| id).find(of_consumer)?
            } else {
                return None;
            };
            self.remove(goes);
        }
        let id = loop {
            let id = self.rng.below((i32::MAX / self.shards) as u64) as i32 * self.shards + self.shard;
            if id != 0 && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.sessions.insert(id, Session::new(id, fetcher, now));
        self.by_use.insert((now, id), ());
        Some(id)
    }
}

#[cfg(test)]
#[path = "fetch_session_test.rs"]
mod tests;
