//! The loads: what a client does to a broker, and what it checks while it does.

pub(crate) mod connect;
pub(crate) mod fetch;
pub(crate) mod latency;
pub(crate) mod produce;
pub(crate) mod scatter;

use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a check found wrong: the run does not count.
fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The result of a thread; its panic is an error like others.
fn joined<T>(thread: JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(wrong("a thread of the load panicked")))
}

fn sleep_until(when: Instant) {
    let left = when.saturating_duration_since(Instant::now());
    if left > Duration::ZERO {
        std::thread::sleep(left);
    }
}

/// Lets timers of this thread, and of those it starts, fire on time: 50 us late is the kernel's default.
fn fire_on_time() {
    let slack = std::num::NonZeroU64::new(1);
    let _ = rustix::thread::set_current_timer_slack(slack); // Late timers are measured and shown.
}
