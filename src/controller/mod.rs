//! The brain of the cluster, on the quorum's leader.
//!
//! [`decide`] turns a [`command::Command`] and the image into records (pure); [`service`] has them committed through
//! `quorum` and answers. Only the active controller decides; what it decided is applied everywhere alike.

pub mod command;
pub mod decide;
pub mod liveness;
pub mod placement;
pub mod registration;
pub mod service;

pub use command::{ApiError, Command, Reply};
pub use decide::Rules;
pub use service::{ControllerConfig, ControllerError, ControllerHandle, start};
