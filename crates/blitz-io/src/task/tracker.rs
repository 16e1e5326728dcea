//! The tracker of `blitz-sync` with the ways to spawn, which need a runtime.

use std::ops::Deref;

use blitz_sync::TaskTracker as Tracker;

use super::{JoinHandle, LocalSet};
use crate::context::Handle;

/// Waits until all tasks of a group have ended, without keeping what they return; see
/// [`sync::TaskTracker`](crate::sync::TaskTracker), which this is, with the ways to spawn.
///
/// Names and semantics are those of `tokio_util::task::TaskTracker`.
///
/// # Examples
/// An orderly end:
/// ```
/// use blitz_io::sync::CancellationToken;
/// use blitz_io::task::TaskTracker;
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
/// for _ in 0..3 {
///     let stop = stop.clone();
///     tracker.spawn(async move { stop.cancelled().await });
/// }
/// stop.cancel();
/// tracker.close();
/// tracker.wait().await;
/// assert!(tracker.is_empty());
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TaskTracker {
    tracker: Tracker,
}

impl TaskTracker {
    /// A tracker that is open and tracks nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether both are the same tracker.
    #[must_use]
    pub fn ptr_eq(left: &Self, right: &Self) -> bool {
        Tracker::ptr_eq(&left.tracker, &right.tracker)
    }

    /// Spawns a task, as [`spawn`](fn@super::spawn) does, and tracks it.
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        super::spawn(self.track_future(task))
    }

    /// Spawns a task on the runtime of `handle`, and tracks it.
    #[track_caller]
    pub fn spawn_on<F>(&self, task: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        handle.spawn(self.track_future(task))
    }

    /// Spawns a task that need not be `Send` on this thread, as [`spawn_local`](super::spawn_local) does, and tracks it.
    ///
    /// # Panics
    /// Where `spawn_local` does.
    #[track_caller]
    pub fn spawn_local<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        super::spawn_local(self.track_future(task))
    }

    /// Spawns in `set` a task that need not be `Send`, and tracks it.
    #[track_caller]
    pub fn spawn_local_on<F>(&self, task: F, set: &LocalSet) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        set.spawn_local(self.track_future(task))
    }

    /// Runs a call that blocks, as [`spawn_blocking`](super::spawn_blocking) does, and tracks it until it has returned, or was
    /// given up before it began.
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let token = self.token();
        super::spawn_blocking(move || {
            // Dropped after the call, its panic too; or with it, if it never begins.
            let _token = token;
            f()
        })
    }

    /// Runs a call that blocks on the pool of `handle`'s runtime, and tracks it.
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(&self, f: F, handle: &Handle) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let token = self.token();
        handle.spawn_blocking(move || {
            // Dropped after the call, its panic too; or with it, if it never begins.
            let _token = token;
            f()
        })
    }
}

impl Deref for TaskTracker {
    type Target = Tracker;

    fn deref(&self) -> &Tracker {
        &self.tracker
    }
}

impl From<Tracker> for TaskTracker {
    fn from(tracker: Tracker) -> Self {
        Self { tracker }
    }
}
