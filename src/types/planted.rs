//! Bugs that servers of this kind have had, to show that the simulator's checkers find them.
//!
//! Only tests and the simulator have the switch; in a product's build [`Bug::is_planted`] is `false`, and nothing of a bug
//! is left.

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A follower does not cut its log back when the leader's epoch has changed.
    NoTruncation,
    /// The high watermark goes by the in-sync set that the leader has proposed and the controller has not taken.
    HighWatermarkFromProposedIsr,
    /// acks=all is answered before the followers have anything.
    AcksWithoutFollowers,
    /// With `acks.all.durability=fsync`, replicas count by what is not synced.
    CountsUnsynced,
    /// Every broker is given the same block of producer ids.
    ReusedProducerIds,
    /// Consumers are given what is above the high watermark.
    ReadsAboveHighWatermark,
    /// Whoever is alive may lead, in sync or not.
    ElectsOutOfSync,
    /// A controller's vote is not written down.
    ForgetsVote,
    /// A replica may join the in-sync set on the word of an earlier life.
    IsrWithoutBrokerEpoch,
}

impl Bug {
    /// Every kind.
    pub const ALL: [Bug; 9] = [
        Bug::NoTruncation,
        Bug::HighWatermarkFromProposedIsr,
        Bug::AcksWithoutFollowers,
        Bug::CountsUnsynced,
        Bug::ReusedProducerIds,
        Bug::ReadsAboveHighWatermark,
        Bug::ElectsOutOfSync,
        Bug::ForgetsVote,
        Bug::IsrWithoutBrokerEpoch,
    ];

    /// True if this bug is planted in what runs on the calling thread.
    #[cfg(any(test, feature = "sim"))]
    pub fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }

    /// Never.
    #[cfg(not(any(test, feature = "sim")))]
    #[inline(always)]
    pub fn is_planted(self) -> bool {
        false
    }

    /// Plants a bug, or none, in all that runs on the calling thread from now on.
    #[cfg(any(test, feature = "sim"))]
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}

#[cfg(any(test, feature = "sim"))]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}
