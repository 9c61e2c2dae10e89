//! Where work runs: named tasks that die with their node, and a place for calls that block.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::types::Rng;

/// Spawns the tasks of one node. Clones share the node.
///
/// [`Tasks::kill`] drops every task at its next await, which is what a crash does in the simulator; an
/// orderly stop lets tasks end by themselves first and waits with [`Tasks::ended`]. The tasks of a simulated
/// node can be paused, as a process is that the system does not run for a while.
///
/// What keeps a node alive in the eyes of others (the metadata quorum, heartbeats and their answers) has threads of its
/// own where there are any: see [`Tasks::vital`].
#[derive(Clone)]
pub struct Tasks {
    node: Arc<Node>,
    /// Whether these are the vital ones.
    is_vital: bool,
}

/// The threads of a real node.
#[derive(Clone)]
pub struct Threads {
    /// For all that is not vital.
    pub main: Handle,
    /// For what must not wait for it.
    pub vital: Handle,
}

struct Node {
    dead: CancellationToken,
    tracker: TaskTracker,
    blocking: Blocking,
    /// Whether the node is paused; simulated ones only.
    paused: Option<watch::Sender<bool>>,
    /// `None` for wherever the caller runs.
    threads: Option<Threads>,
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
    /// Tasks of a real node, vital or not on the threads of whoever spawns them.
    pub fn os() -> Tasks {
        Tasks::new(Blocking::Pool, None)
    }

    /// Tasks of a real node that has vital threads.
    pub fn os_on(threads: Threads) -> Tasks {
        Tasks::new(Blocking::Pool, Some(threads))
    }

    /// The same node's tasks that others must not hold up: few, and short at each turn.
    pub fn vital(&self) -> Tasks {
        Tasks { node: Arc::clone(&self.node), is_vital: true }
    }

    fn handle(&self) -> Option<&Handle> {
        let threads = self.node.threads.as_ref()?;
        Some(if self.is_vital { &threads.vital } else { &threads.main })
    }

    /// Does `work` on the threads of these tasks, with whatever it spawns by itself, and gives back what it returns; `None`
    /// when the node died meanwhile. Where the node has no threads of its own the caller does it.
    pub async fn run<R: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Option<R> {
        if self.handle().is_none() {
            return Some(work.await);
        }
        let (gives, given) = oneshot::channel();
        self.spawn(name, async move {
            // Without anybody who waits nobody needs it.
            let _ = gives.send(work.await);
        });
        given.await.ok()
    }

    /// Tasks of a simulated node, all on the calling thread.
    pub fn simulated() -> Tasks {
        Tasks::new(Blocking::Inline, None)
    }

    /// Tasks of a simulated node whose blocking calls take up to `ms_max` of virtual time, drawn from `rng`.
    pub fn simulated_late(rng: Rng, ms_max: u64) -> Tasks {
        Tasks::new(Blocking::Late(Mutex::new(rng), AtomicU64::new(ms_max)), None)
    }

    fn new(blocking: Blocking, threads: Option<Threads>) -> Tasks {
        let paused = match blocking {
            Blocking::Pool => None,
            Blocking::Inline | Blocking::Late(..) => Some(watch::Sender::new(false)),
        };
        let (dead, tracker) = (CancellationToken::new(), TaskTracker::new());
        let node = Node { dead, tracker, blocking, paused, threads };
        Tasks { node: Arc::new(node), is_vital: false }
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
            let work = async move {
                tokio::select! {
                    biased;
                    () = dead.cancelled_owned() => tracing::trace!(task = name, "killed"),
                    () = work => {}
                }
            };
            return match self.handle() {
                Some(handle) => handle.spawn(work),
                None => tokio::spawn(work),
            };
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
            Blocking::Pool => match self.handle() {
                Some(handle) => handle.spawn_blocking(call).await.ok(),
                None => tokio::task::spawn_blocking(call).await.ok(),
            },
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
