//! Who is alive: sessions of brokers, kept by their heartbeats. Soft state: it is lost with the leadership, and then every
//! broker gets a whole session to be heard again.

use std::collections::BTreeMap;

use super::command::{Command, Reply};
use crate::metadata::MetadataImage;
use crate::types::{BrokerEpoch, Ms, NodeId, Offset};

/// Sessions of the brokers. Times are of a clock that never jumps.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    sessions: BTreeMap<NodeId, Session>,
    /// Brokers that shut down, with the offset of the metadata log at which they have given everything away.
    leaving: BTreeMap<NodeId, Offset>,
    /// Brokers that are fenced and heard, with the offset of the metadata log that each has to know before it may lead again.
    news: BTreeMap<NodeId, Offset>,
    /// `broker.session.timeout.ms`.
    timeout: Ms,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    epoch: BrokerEpoch,
    heard: Ms,
    /// How far it has applied the metadata log, as far as it told; -1 before it did.
    applied: Offset,
    /// The broker and this controller are one process: they cannot lose sight of each other.
    is_local: bool,
}

impl Liveness {
    /// Nobody was heard yet. `timeout` is `broker.session.timeout.ms`.
    pub fn new(timeout: Ms) -> Liveness {
        Liveness { sessions: BTreeMap::new(), leaving: BTreeMap::new(), news: BTreeMap::new(), timeout }
    }

    /// What a command that was decided says of who is alive. `me` is the broker that runs beside this controller, `image`
    /// what is decided so far.
    pub fn note(&mut self, command: &Command, reply: &Reply, image: &MetadataImage, now: Ms, me: NodeId) {
        match (command, reply) {
            (Command::RegisterBroker(wanted), Reply::RegisterBroker(epoch)) => {
                self.heard(wanted.id, *epoch, now, wanted.id == me);
                // A process that is new leads nothing by what an earlier one knew.
                self.news.insert(wanted.id, *epoch);
            }
            (
                Command::BrokerHeartbeat(beat),
                Reply::BrokerHeartbeat { should_shut_down: false, is_fenced, .. },
            ) => {
                self.heard(beat.id, beat.epoch, now, beat.id == me);
                self.applied(beat.id, beat.current_offset);
                if *is_fenced {
                    self.news.entry(beat.id).or_insert(image.offset());
                } else {
                    self.news.remove(&beat.id);
                }
                let broker = image.brokers().get(beat.id);
                if broker.is_some_and(|broker| broker.in_controlled_shutdown && !broker.fenced) {
                    self.leaves_at(beat.id, image.offset());
                }
            }
            (Command::BrokerHeartbeat(beat), _may_shut_down) => self.forget(beat.id),
            (Command::UnregisterBroker(id), _) => self.forget(*id),
            _of_nobody => {}
        }
    }

    /// A broker was heard.
    pub fn heard(&mut self, broker: NodeId, epoch: BrokerEpoch, now: Ms, is_local: bool) {
        let known = self.sessions.get(&broker).filter(|session| session.epoch == epoch);
        if known.is_none() {
            self.leaving.remove(&broker);
        }
        let applied = known.map_or(-1, |session| session.applied);
        self.sessions.insert(broker, Session { epoch, heard: now, applied, is_local });
    }

    /// A broker that is believed in until `until` if it is not heard before.
    pub fn expect(&mut self, broker: NodeId, epoch: BrokerEpoch, until: Ms, is_local: bool) {
        self.heard(broker, epoch, until - self.timeout, is_local);
    }

    /// A broker told how far it has applied the metadata log.
    fn applied(&mut self, broker: NodeId, offset: Offset) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.applied = offset;
        }
    }

    /// A broker that shuts down has given everything away in the image at `offset`. Only the first time counts.
    fn leaves_at(&mut self, broker: NodeId, offset: Offset) {
        self.leaving.entry(broker).or_insert(offset);
    }

    /// The offset of the image in which a broker that shuts down has given everything away; `None` while that is not known.
    pub fn left_at(&self, broker: NodeId) -> Option<Offset> {
        self.leaving.get(&broker).copied()
    }

    /// True if every broker that may lead has applied the metadata log up to `offset`. The local one's image is this
    /// controller's own.
    pub fn have_applied(&self, image: &MetadataImage, offset: Offset) -> bool {
        self.sessions.iter().all(|(id, s)| s.is_local || s.applied >= offset || !image.is_active(*id))
    }

    /// The offset of the metadata log that a fenced broker has to know before it may lead again: it includes who leads in
    /// its stead. `None` if it was not heard since it was fenced, as far as this controller knows.
    pub fn news_for(&self, broker: NodeId) -> Option<Offset> {
        self.news.get(&broker).copied()
    }

    /// A broker is no longer expected to be heard.
    pub fn forget(&mut self, broker: NodeId) {
        self.sessions.remove(&broker);
        self.leaving.remove(&broker);
        self.news.remove(&broker);
    }

    /// True if the broker was heard within its session.
    pub fn has_session(&self, broker: NodeId, now: Ms) -> bool {
        self.sessions.get(&broker).is_some_and(|s| !s.is_local && now - s.heard < self.timeout)
    }

    /// Brokers whose session has ended, with their epochs.
    pub fn expired(&self, now: Ms) -> Vec<(NodeId, BrokerEpoch)> {
        self.sessions
            .iter()
            .filter(|(_, s)| !s.is_local && now - s.heard >= self.timeout)
            .map(|(id, s)| (*id, s.epoch))
            .collect()
    }

    /// When the next session ends unless its broker is heard; `None` if none can.
    pub fn next_deadline(&self) -> Option<Ms> {
        self.sessions.values().filter(|s| !s.is_local).map(|s| s.heard + self.timeout).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_except_the_local_one() {
        let mut live = Liveness::new(100);
        live.heard(1, 5, 0, true);
        assert_eq!(live.next_deadline(), None);
        live.heard(2, 6, 50, false);
        assert_eq!(live.next_deadline(), Some(150));
        assert!(live.has_session(2, 149));
        assert!(live.expired(149).is_empty());
        assert_eq!(live.expired(1000), [(2, 6)]);
        live.expect(3, 7, 1020, false);
        assert!(live.has_session(3, 1019) && !live.has_session(3, 1020));
        live.heard(3, 7, 1010, false);
        assert!(live.has_session(3, 1109), "heard, it has a session like any other");
        live.forget(3);
        live.forget(2);
        assert!(live.expired(1000).is_empty());
    }
}
