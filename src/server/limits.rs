//! `max.connections`, `max.connections.per.ip` and its overrides: who may connect.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts connections of one broker, in all and by address.
pub struct ConnectionLimits {
    in_all_max: usize,
    per_ip_max: usize,
    per_ip_overrides: BTreeMap<IpAddr, usize>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    in_all: usize,
    by_ip: BTreeMap<IpAddr, usize>,
}

impl ConnectionLimits {
    /// Limits as `max.connections`, `max.connections.per.ip` and `max.connections.per.ip.overrides` give them.
    pub fn new(
        in_all_max: usize,
        per_ip_max: usize,
        per_ip_overrides: BTreeMap<IpAddr, usize>,
    ) -> Arc<ConnectionLimits> {
        Arc::new(ConnectionLimits { in_all_max, per_ip_max, per_ip_overrides, counts: Mutex::default() })
    }

    /// Lets a connection in, until the permit is dropped; `None` where a limit is reached.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<ConnectionPermit> {
        let ip = ip.to_canonical();
        let mut counts = self.counts.lock();
        let from_ip = counts.by_ip.get(&ip).copied().unwrap_or(0);
        let from_ip_max = self.per_ip_overrides.get(&ip).copied().unwrap_or(self.per_ip_max);
        if counts.in_all >= self.in_all_max || from_ip >= from_ip_max {
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
        let limits = ConnectionLimits::new(3, 2, BTreeMap::from([(two, 1)]));
        let first = limits.admit(one).unwrap();
        let _second = limits.admit("::ffff:10.0.0.1".parse().unwrap()).unwrap();
        assert!(limits.admit(one).is_none(), "two from one address");
        let _third = limits.admit(two).unwrap();
        assert!(limits.admit(two).is_none(), "one from the other, by its override");
        assert!(limits.admit("10.0.0.3".parse().unwrap()).is_none(), "three in all");
        drop(first);
        assert!(limits.admit(one).is_some());
        assert_eq!(limits.connections(), 2, "a dropped permit frees its place");
    }
}
