//! The broker's settings that the transaction coordinator looks at.

use crate::types::Ms;

/// Typed view of `transaction.*` and `transactional.id.*`; the fields are named after the properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnConfigs {
    /// `transaction.max.timeout.ms`: the longest timeout that a producer may ask for.
    pub max_timeout_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`, at least 1.
    pub abort_timed_out_interval_ms: Ms,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`, at least 1.
    pub remove_expired_interval_ms: Ms,
    /// `transactional.id.expiration.ms`: how long an id at rest is remembered.
    pub id_expiration_ms: Ms,
    /// How long a request waits for the transaction before to be ended in all its partitions, before its client has to
    /// ask again.
    pub wait_ms: Ms,
}

impl Default for TxnConfigs {
    /// Kafka's defaults.
    fn default() -> Self {
        TxnConfigs {
            max_timeout_ms: 900_000,
            abort_timed_out_interval_ms: 10_000,
            remove_expired_interval_ms: 3_600_000,
            id_expiration_ms: 604_800_000,
            wait_ms: 200,
        }
    }
}
