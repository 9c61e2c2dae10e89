//! Keeps a client that sends nonsense from filling the log.

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

/// Lets through a few events a second.
pub struct RateLimit {
    per_second: u32,
    window: Mutex<(Option<Instant>, u32)>,
}

impl RateLimit {
    /// A limit of `per_second` events.
    pub fn new(per_second: u32) -> RateLimit {
        RateLimit { per_second, window: Mutex::new((None, 0)) }
    }

    /// True if the event is among the first of this second.
    pub fn allow(&self) -> bool {
        let now = Instant::now();
        let mut window = self.window.lock();
        match window.0 {
            Some(began) if now.duration_since(began) < Duration::from_secs(1) => window.1 += 1,
            _ => *window = (Some(now), 1),
        }
        window.1 <= self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_has_room_for_so_many() {
        let limit = RateLimit::new(2);
        assert_eq!([limit.allow(), limit.allow(), limit.allow()], [true, true, false]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limit.allow());
    }
}
