//! The brain of the cluster, on the quorum's leader.
//!
//! [`decide`] turns a [`command::Command`] and the image into records (pure); [`service`] has them committed through
//! `quorum` and answers. Only the active controller decides; what it decided is applied everywhere alike. [`active`] is the
//! way to it, from wherever one is.

pub mod active;
pub mod command;
pub mod decide;
pub mod gone;
pub mod liveness;
pub mod placement;
#[cfg(test)]
pub mod registration;
pub mod remote;
pub mod service;

pub use active::{ActiveController, Asker};
pub use command::{ApiError, Command, Reply};
pub use decide::Rules;
pub use service::{ControllerConfig, ControllerError, ControllerHandle, start};
