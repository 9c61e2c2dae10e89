//! The wall clock.

use crate::types::Ms;

/// Tells the time of day. Only for time that leaves the process (timestamps, retention); waiting and measuring is
/// `tokio::time`'s, which never jumps.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Ms;
}

/// The machine's clock.
pub(super) struct OsClock;

impl Clock for OsClock {
    #[allow(clippy::disallowed_methods)] // This is the place the ban points to.
    fn now(&self) -> Ms {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => since.as_millis() as Ms,
            Err(_before_1970) => 0,
        }
    }
}
