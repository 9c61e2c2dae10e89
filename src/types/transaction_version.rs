//! Levels of the feature `transaction.version`.

/// How a transaction works, by the level of `transaction.version` (KIP-890).
///
/// At 0 records of `__transaction_state` have no tagged fields, at 1 they have. From 2 on a producer's epoch rises with
/// each transaction, so that nothing which is late can be taken for a part of the next one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TransactionVersion(i16);

impl TransactionVersion {
    /// As it was before there were versions.
    pub const V0: TransactionVersion = TransactionVersion(0);
    /// With tagged fields in the records.
    pub const V1: TransactionVersion = TransactionVersion(1);
    /// With a new epoch for each transaction.
    pub const V2: TransactionVersion = TransactionVersion(2);

    /// The name of the feature that has the level of a cluster.
    pub const FEATURE: &'static str = "transaction.version";

    /// The version of a feature's level; what lies below 0 is taken for 0.
    pub fn of_level(level: i16) -> TransactionVersion {
        TransactionVersion(level.max(0))
    }

    /// The level, 0 and up.
    pub fn level(self) -> i16 {
        self.0
    }

    /// True if each transaction has an epoch of its own.
    pub fn bumps_epoch(self) -> bool {
        self >= TransactionVersion::V2
    }

    /// The version of the values that are written to `__transaction_state`.
    pub fn log_value_version(self) -> i16 {
        i16::from(self >= TransactionVersion::V1)
    }
}
