//! Where work runs: named tasks that die with their node, and a place for calls that block.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns the tasks of one node. Clones share the node.
///
/// [`Tasks::kill`] drops every task at its next await, which is what a crash does in the simulator; an orderly stop
/// lets tasks end by themselves first and waits with [`Tasks::ended`].
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocking {
    /// On tokio's pool for blocking calls.
    Pool,
    /// At once, in the calling task: the simulator's disk never blocks.
    Inline,
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

    /// Runs a call that may block for long (fsync, a read of a cold file, a long computation) where it holds up nobody
    /// else, and gives back what it returns. `None` when the node died meanwhile.
    #[allow(clippy::disallowed_methods)] // This is the place the ban points to.
    pub async fn run_blocking<R, F>(&self, call: F) -> Option<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.node.blocking {
            Blocking::Inline => Some(call()),
            Blocking::Pool => tokio::task::spawn_blocking(call).await.ok(),
        }
    }

    /// Ends every task at its next await, and every task spawned from now on.
    pub fn kill(&self) {
        self.node.dead.cancel();
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
