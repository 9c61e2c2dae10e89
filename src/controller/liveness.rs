//! Who is alive: sessions of brokers, kept by their heartbeats. Soft state: it is lost with the leadership, and then every
//! broker gets a whole session to be heard again.

use std::collections::BTreeMap;

use crate::types::{BrokerEpoch, Ms, NodeId};

/// Sessions of the brokers. Times are of a clock that never jumps.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    sessions: BTreeMap<NodeId, Session>,
    /// `broker.session.timeout.ms`.
    timeout: Ms,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    epoch: BrokerEpoch,
    heard: Ms,
    /// The broker and this controller are one process: they cannot lose sight of each other.
    is_local: bool,
}

impl Liveness {
    /// Nobody was heard yet. `timeout` is `broker.session.timeout.ms`.
    pub fn new(timeout: Ms) -> Liveness {
        Liveness { sessions: BTreeMap::new(), timeout }
    }

    /// A broker was heard.
    pub fn heard(&mut self, broker: NodeId, epoch: BrokerEpoch, now: Ms, is_local: bool) {
        self.sessions.insert(broker, Session { epoch, heard: now, is_local });
    }

    /// A broker is no longer expected to be heard.
    pub fn forget(&mut self, broker: NodeId) {
        self.sessions.remove(&broker);
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
        live.forget(2);
        assert!(live.expired(1000).is_empty());
    }
}
