//! Where work runs: named tasks that die with their node, and a place for calls that block.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::types::Rng;

/// Spawns the tasks of one node. Clones share the node.
///
/// [`Tasks::kill`] drops every task at its next await, which is what a crash does in the simulator; an
/// orderly stop lets tasks end by themselves first and waits with [`Tasks::ended`]. The tasks of a simulated
/// node can be paused, as a process is that the system does not run for a while.
#[derive(Clone)]
pub struct Tasks {
    node: Arc<Node>,
}

struct Node {
    dead: CancellationToken,
    tracker: TaskTracker,
    blocking: Blocking,
    /// Whether the node is paused; simulated ones only.
    paused: Option<watch::Sender<bool>>,
}

/// How blocking calls are run.
enum Blocking {
    /// On tokio's pool for blocking calls.
    Pool,
    /// At once, in the calling task: the simulator's disk never blocks.
    Inline,
    /// In the calling task after a wait of up to so many milliseconds, as if a disk had been slow: what must
    /// not happen before the call has ended gets the time to happen too early.
    Late(Mutex<Rng>, AtomicU64),
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
        Tasks::new(Blocking::Late(Mutex::new(rng), AtomicU64::new(ms_max)))
    }

    fn new(blocking: Blocking) -> Tasks {
        let paused = match blocking {
            Blocking::Pool => None,
            Blocking::Inline | Blocking::Late(..) => Some(watch::Sender::new(false)),
        };
        let (dead, tracker) = (CancellationToken::new(), TaskTracker::new());
        Tasks { node: Arc::new(Node { dead, tracker, blocking, paused }) }
    }

    /// Runs `work` as a task of this node. `name` says what it is, in plain words.
    #[allow(clippy::disallowed_methods)] // This is the place the ban points to.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let dead = self.node.dead.clone();
        let work = self.node.tracker.track_future(work);
        let Some(paused) = &self.node.paused else {
            return tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = dead.cancelled_owned() => tracing::trace!(task = name, "killed"),
                    () = work => {}
                }
            });
        };
        let work = Pausable { paused: paused.subscribe(), resumed: None, work: Box::pin(work) };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = dead.cancelled_owned() => tracing::trace!(task = name, "killed"),
                () = work => {}
            }
        })
    }

    /// Runs no task of a simulated node until [`Tasks::resume`], nor any blocking call that begins meanwhile. Time goes
    /// on, and so do tasks that libraries run by themselves.
    pub fn pause(&self) {
        if let Some(paused) = &self.node.paused {
            paused.send_replace(true);
        }
    }

    /// Goes on after [`Tasks::pause`].
    pub fn resume(&self) {
        if let Some(paused) = &self.node.paused {
            paused.send_replace(false);
        }
    }

    /// Lets blocking calls take up to `ms_max` of virtual time from now on, where they take any.
    pub fn set_blocking_delay(&self, ms_max: u64) {
        if let Blocking::Late(_, max) = &self.node.blocking {
            max.store(ms_max, Ordering::Relaxed);
        }
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
                let ms = rng.lock().below(ms_max.load(Ordering::Relaxed) + 1);
                if ms > 0 {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                if let Some(paused) = &self.node.paused
                    && *paused.borrow()
                {
                    // It cannot close: this node holds the other end.
                    let _ = paused.subscribe().wait_for(|paused| !paused).await;
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

type Resumed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that is not done while its node is paused.
struct Pausable<F> {
    paused: watch::Receiver<bool>,
    /// While it is paused.
    resumed: Option<Resumed>,
    work: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Future for Pausable<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(resumed) = &mut self.resumed {
                if resumed.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.resumed = None;
            }
            if !*self.paused.borrow() {
                return self.work.as_mut().poll(cx);
            }
            let mut paused = self.paused.clone();
            self.resumed = Some(Box::pin(async move {
                let _ = paused.wait_for(|paused| !paused).await; // Without its node it goes on, and ends.
            }));
        }
    }
}

#[cfg(test)]
#[path = "tasks_test.rs"]
mod tests;
