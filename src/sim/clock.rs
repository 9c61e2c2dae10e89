//! A wall clock over tokio's virtual time.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

use crate::env::Clock;
use crate::types::Ms;

/// Where every simulated wall clock begins: 2023-11-14, 22:13:20 UTC.
pub const EPOCH: Ms = 1_700_000_000_000;

/// Goes on with virtual time, and jumps when it is told to: the wall clock of a machine that somebody sets.
pub struct SimClock {
    began: Instant,
    offset: AtomicI64,
}

impl SimClock {
    /// A clock at [`EPOCH`]. Only within a runtime, whose time it follows.
    pub fn new() -> SimClock {
        SimClock { began: Instant::now(), offset: AtomicI64::new(0) }
    }

    /// Sets the clock forward, or back if `ms` is negative.
    pub fn jump(&self, ms: Ms) {
        self.offset.fetch_add(ms, Ordering::Relaxed);
    }

    /// Milliseconds of virtual time since the clock was made; jumps do not count.
    pub fn elapsed(&self) -> Ms {
        self.began.elapsed().as_millis() as Ms
    }
}

impl Default for SimClock {
    fn default() -> Self {
        SimClock::new()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Ms {
        EPOCH + self.elapsed() + self.offset.load(Ordering::Relaxed)
    }
}
