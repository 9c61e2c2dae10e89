//! `max.connections`, `max.connections.per.ip` and its overrides: who may connect.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

/// Counts connections of one broker, in all and by address.
pub struct ConnectionLimits {
    most: RwLock<Most>,
    counts: Mutex<Counts>,
}

/// How many connections there may be. Lower numbers than there are connections close none of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Most {
    /// `max.connections`.
    pub in_all: usize,
    /// `max.connections.per.ip`.
    pub per_ip: usize,
    /// `max.connections.per.ip.overrides`, with names looked up.
    pub per_ip_overrides: BTreeMap<IpAddr, usize>,
}

#[derive(Default)]
struct Counts {
    in_all: usize,
    by_ip: BTreeMap<IpAddr, usize>,
}

impl ConnectionLimits {
    /// Nobody is connected yet.
    pub fn new(most: Most) -> Arc<ConnectionLimits> {
        Arc::new(ConnectionLimits { most: RwLock::new(most), counts: Mutex::default() })
    }

    /// Other limits, for connections that come from now on.
    pub fn set(&self, most: Most) {
        *self.most.write() = most;
    }

    /// The limits, as they are now.
    pub fn most(&self) -> Most {
        self.most.read().clone()
    }

    /// Lets a connection in, until the permit is dropped; `None` where a limit is reached.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<ConnectionPermit> {
        let ip = ip.to_canonical();
        let most = self.most.read();
        let mut counts = self.counts.lock();
        let from_ip = counts.by_ip.get(&ip).copied().unwrap_or(0);
        let from_ip_max = most.per_ip_overrides.get(&ip).copied().unwrap_or(most.per_ip);
        if counts.in_all >= most.in_all || from_ip >= from_ip_max {
            return None;
        }
        counts.in_all += 1;
        counts.by_ip.insert(ip, from_ip + 1);
        Some(ConnectionPermit { limits: Arc::clone(self), ip })
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.counts.lock().in_all
    }
}

/// One connection's place.
pub struct ConnectionPermit {
    limits: Arc<ConnectionLimits>,
    ip: IpAddr,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.limits.counts.lock();
        counts.in_all -= 1;
        match counts.by_ip.get_mut(&self.ip) {
            Some(1) | None => {
                counts.by_ip.remove(&self.ip);
            }
            Some(n) => *n -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_in_all_and_by_address() {
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let two: IpAddr = "10.0.0.2".parse().unwrap();
        let most = Most { in_all: 3, per_ip: 2, per_ip_overrides: BTreeMap::from([(two, 1)]) };
        let limits = ConnectionLimits::new(most.clone());
        let first = limits.admit(one).unwrap();
        let _second = limits.admit("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(limits.admit(one).is_none(), "two from one address");
        let _third = limits.admit(two).unwrap();
        assert!(limits.admit(two).is_none(), "one from the other, by its override");
        assert!(limits.admit("10.0.0.3".parse().unwrap()).is_none(), "three in all");
        drop(first);
        assert!(limits.admit(one).is_some());
        assert_eq!(limits.connections(), 2, "a dropped permit frees its place");
        limits.set(Most { in_all: 2, ..most });
        assert!(limits.admit("10.0.0.3".parse().unwrap()).is_none(), "two in all, from now on");
    }
}
