//! Where seeds come from: the machine, or the simulator's one seed.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::types::Rng;

/// A source of generators. Clones share it.
#[derive(Clone)]
pub struct Seeds {
    root: Arc<Mutex<Rng>>,
}

impl Seeds {
    /// Seeded by the operating system.
    pub fn os() -> Seeds {
        Seeds::from_seed(uuid::Uuid::new_v4().as_u64_pair().0 ^ uuid::Uuid::new_v4().as_u64_pair().1)
    }

    /// Everything follows from `seed`.
    pub fn from_seed(seed: u64) -> Seeds {
        Seeds { root: Arc::new(Mutex::new(Rng::new(seed))) }
    }

    /// A generator of its own for one component.
    pub fn rng(&self) -> Rng {
        self.root.lock().split()
    }
}
