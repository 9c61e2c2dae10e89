//! Waits that grow.

use std::time::Duration;

use crate::types::Rng;

/// How long to wait after the first failure, the second and so on: twice as long each time up to a limit, and up to a
/// fifth more or less by chance, so that many who fail together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// From `first` up to about `max`.
    pub fn new(first: Duration, max: Duration) -> Backoff {
        Backoff { first, max, failures: 0 }
    }

    /// How long to wait after one more failure.
    pub fn next(&mut self, rng: &mut Rng) -> Duration {
        let wait = self.first.saturating_mul(1u32 << self.failures.min(20)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX / 2);
        Duration::from_micros(micros - micros / 5 + rng.below(micros / 5 * 2 + 1))
    }

    /// It went well: the next failure is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_anew_after_success() {
        let mut rng = Rng::new(1);
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
        for around in [10u64, 20, 40, 80, 100, 100] {
            let wait = backoff.next(&mut rng).as_micros() as u64;
            assert!((around * 800..=around * 1200).contains(&wait), "{wait} us, {around} ms expected");
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= Duration::from_millis(12));
    }
}
