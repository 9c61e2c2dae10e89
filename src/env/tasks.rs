//! Where work runs: named tasks that die with their node, and a place for calls that block.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::types::Rng;

/// Spawns the tasks of one node. Clones share the node.
///
/// [`Tasks::kill`] drops every task at its next await, which is what a crash does in the simulator; an
/// orderly stop lets tasks end by themselves first and waits with [`Tasks::ended`].
#[derive(Clone)]
pub struct Tasks {
    node: Arc<Node>,
}

struct Node {
    dead: CancellationToken,
    tracker: TaskTracker,
    blocking: Blocking,
}

/// How blocking calls are run.
enum Blocking {
    /// On tokio's pool for blocking calls.
    Pool,
    /// At once, in the calling task: the simulator's disk never blocks.
    Inline,
    /// In the calling task after a wait of up to so many milliseconds, as if a disk had been slow: what must
    /// not happen before the call has ended gets the time to happen too early.
    Late(Mutex<Rng>, u64),
}

impl Tasks {
    /// Tasks of a real node.
    pub fn os() -> Tasks {
        Tasks::new(Blocking::Pool)
    }

    /// Tasks of a simulated node, all on the calling thread.
    pub fn simulated() -> Tasks {
        Tasks::new(Blocking::Inline)
    }

    /// Tasks of a simulated node whose blocking calls take up to `ms_max` of virtual time, drawn from `rng`.
    pub fn simulated_late(rng: Rng, ms_max: u64) -> Tasks {
        Tasks::new(Blocking::Late(Mutex::new(rng), ms_max))
    }

    fn new(blocking: Blocking) -> Tasks {
        Tasks {
            node: Arc::new(Node { dead: CancellationToken::new(), tracker: TaskTracker::new(), blocking }),
        }
    }

    /// Runs `work` as a task of this node. `name` says what it is, in plain words.
    #[allow(clippy::disallowed_methods)] // This is the place the ban points to.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let dead = self.node.dead.clone();
        let work = self.node.tracker.track_future(work);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = dead.cancelled_owned() => tracing::trace!(task = name, "killed"),
                () = work => {}
            }
        })
    }

    /// Runs a call that may block for long (fsync, a read of a cold file, a long computation) where it holds
    /// up nobody else, and gives back what it returns. `None` when the node died meanwhile.
    #[allow(clippy::disallowed_methods)] // This is the place the ban points to.
    pub async fn run_blocking<R, F>(&self, call: F) -> Option<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match &self.node.blocking {
            Blocking::Inline => Some(call()),
            Blocking::Late(rng, ms_max) => {
                let ms = rng.lock().below(ms_max + 1);
                if ms > 0 {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                Some(call())
            }
            Blocking::Pool => tokio::task::spawn_blocking(call).await.ok(),
        }
    }

    /// Ends every task at its next await, and every task spawned from now on.
    pub fn kill(&self) {
        self.node.dead.cancel();
    }

    /// Ready once the node was killed: for what libraries run outside of these tasks.
    pub fn killed(&self) -> WaitForCancellationFutureOwned {
        self.node.dead.clone().cancelled_owned()
    }

    /// Waits until every task has ended.
    pub async fn ended(&self) {
        self.node.tracker.close();
        self.node.tracker.wait().await;
    }

    /// How many tasks have not ended.
    pub fn alive(&self) -> usize {
        self.node.tracker.len()
    }
}
