//! The outside world: the only code that may touch the operating system, time or chance.
//!
//! [`Env`] is made once, in `node.rs` or by the simulator, and handed to constructors; a component keeps only the
//! part that it uses. Waiting is `tokio::time` everywhere, which the simulator runs on virtual time.

pub mod clock;
pub mod disk;
pub mod net;
mod os_disk;
mod os_net;
pub mod rng;
pub mod tasks;

use std::sync::Arc;

pub use clock::Clock;
pub use disk::{Disk, File};
pub use net::{Conn, Listener, Net};
pub use rng::Seeds;
pub use tasks::{Tasks, Threads};

/// Everything a node needs of the world. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Files and directories.
    pub disk: Arc<dyn Disk>,
    /// Sockets.
    pub net: Arc<dyn Net>,
    /// Where generators come from.
    pub seeds: Seeds,
    /// Where work runs.
    pub tasks: Tasks,
}

impl Env {
    /// The same world, with [vital](Tasks::vital) tasks.
    pub fn vital(&self) -> Env {
        Env { tasks: self.tasks.vital(), ..self.clone() }
    }

    /// The real world.
    pub fn os() -> Env {
        Env {
            clock: Arc::new(clock::OsClock),
            disk: Arc::new(os_disk::OsDisk),
            net: Arc::new(os_net::OsNet),
            seeds: Seeds::os(),
            tasks: Tasks::os(),
        }
    }
}
