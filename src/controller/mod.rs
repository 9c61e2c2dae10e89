//! The brain of the cluster, on the quorum's leader.
//!
//! [`decide`] turns a [`command::Command`] and the image into records (pure); the service has them committed through
//! `quorum` and answers. Only the active controller decides; what it decided is applied everywhere alike.

pub mod command;
pub mod decide;
pub mod liveness;
pub mod placement;
