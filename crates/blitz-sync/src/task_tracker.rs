//! Waits until all tasks of a group have ended, without keeping what they return.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::notify::{Notify, Wait};

/// Whether the tracker is closed, and how many it tracks.
///
/// ```text
///  bit 0    CLOSED   whoever waits may go on once nobody is tracked
///  bits 1…  how many are tracked
///
///  from        move     to           who, and what it does then
///  any         enter    one more     a token is made
///  any         leave    one less     a token goes; if that leaves CLOSED alone: lets go on who waits
///  any         close    CLOSED       anyone; if that leaves CLOSED alone: the same
///  any         reopen   no CLOSED    anyone
/// ```
struct Word(AtomicUsize);

const CLOSED: usize = 1;
const ONE: usize = 2;

impl Word {
    fn enter(&self) {
        // ORDERING: Relaxed: it publishes nothing.
        let before = self.0.fetch_add(ONE, Relaxed);
        assert!(before <= usize::MAX / 2, "too many tasks are tracked");
    }

    /// Answers whether whoever waits may go on.
    fn leave(&self) -> bool {
        // ORDERING: AcqRel: who is told that all have ended sees what each of them did: this and the Acquire in `is_over`.
        self.0.fetch_sub(ONE, AcqRel) == ONE | CLOSED
    }

    fn close(&self) -> usize {
        // ORDERING: AcqRel: as in `leave`, if nobody is tracked any more.
        self.0.fetch_or(CLOSED, AcqRel)
    }

    fn reopen(&self) -> usize {
        // ORDERING: Relaxed: it publishes nothing, and as an exchange it goes on with the releases before it.
        self.0.fetch_and(!CLOSED, Relaxed)
    }

    fn look(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `leave`.
        self.0.load(Acquire)
    }

    fn is_over(&self) -> bool {
        self.look() == CLOSED
    }
}

struct Shared {
    word: Word,
    waiters: Notify,
}

/// Waits until all tasks of a group have ended.
///
/// Whatever holds a [`TaskTrackerToken`] is tracked: most often a future of [`track_future`](Self::track_future), wherever it runs.
/// [`wait`](Self::wait) is ready once the tracker is [closed](Self::close) and nothing is tracked. Unlike a `JoinSet` it keeps
/// nothing of a task that has ended, and tasks are not cancelled when it goes; beside a
/// [`CancellationToken`](crate::CancellationToken) it makes an orderly end.
///
/// Clones are the same tracker. Names and semantics are those of `tokio_util::task::TaskTracker`; here it knows no runtime, and
/// `blitz_io::task::TaskTracker` is this one with the ways to spawn.
///
/// # Examples
/// ```
/// use blitz_sync::{CancellationToken, TaskTracker};
/// use futures::executor::LocalPool;
/// use futures::task::SpawnExt;
///
/// let (mut pool, tracker, stop) = (LocalPool::new(), TaskTracker::new(), CancellationToken::new());
/// for _ in 0..3 {
///     let stop = stop.clone();
///     let task = tracker.track_future(async move { stop.cancelled().await });
///     pool.spawner().spawn(task).expect("the pool is there");
/// }
/// stop.cancel();
/// tracker.close();
/// pool.run_until(tracker.wait());
/// assert!(tracker.is_empty());
/// ```
pub struct TaskTracker {
    shared: Arc<Shared>,
}

impl TaskTracker {
    /// A tracker that is open and tracks nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                word: Word(AtomicUsize::new(0)),
                waiters: Notify::new(),
            }),
        }
    }

    /// Waits until the tracker is closed and nothing is tracked.
    ///
    /// That this was so for a moment since the future was made is enough, even if the tracker is open again.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    pub fn wait(&self) -> TaskTrackerWaitFuture<'_> {
        TaskTrackerWaitFuture {
            // Made before the look: no end is missed between the two.
            wait: Wait::new(&self.shared.waiters),
            is_over: self.shared.word.is_over(),
            tracker: self,
        }
    }

    /// Closes the tracker, so that who waits may go on once nothing is tracked. More can be tracked all the same.
    ///
    /// Returns false if it was closed already.
    pub fn close(&self) -> bool {
        let before = self.shared.word.close();
        if before == 0 {
            self.shared.waiters.notify_waiters();
        }
        before & CLOSED == 0
    }

    /// Opens the tracker again: who waits from here on waits until it is closed.
    ///
    /// Returns false if it was open already.
    pub fn reopen(&self) -> bool {
        self.shared.word.reopen() & CLOSED != 0
    }

    /// Whether the tracker is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.word.look() & CLOSED != 0
    }

    /// How many are tracked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.word.look() / ONE
    }

    /// Whether nothing is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tracks `future` from now until it is dropped. What it returns is the caller's alone.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub fn track_future<F: Future>(&self, future: F) -> TrackedFuture<F> {
        TrackedFuture {
            future,
            token: self.token(),
        }
    }

    /// Tracks whatever keeps the token, until it is dropped.
    #[must_use = "dropped at once, it tracks nothing"]
    pub fn token(&self) -> TaskTrackerToken {
        self.shared.word.enter();
        TaskTrackerToken {
            tracker: self.clone(),
        }
    }

    /// Whether both are the same tracker.
    #[must_use]
    pub fn ptr_eq(left: &Self, right: &Self) -> bool {
        Arc::ptr_eq(&left.shared, &right.shared)
    }
}

impl Default for TaskTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for TaskTracker {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for TaskTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTracker")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// Whatever keeps this is tracked; see [`TaskTracker::token`]. A clone counts as another.
pub struct TaskTrackerToken {
    tracker: TaskTracker,
}

impl TaskTrackerToken {
    /// The tracker.
    #[must_use]
    pub fn task_tracker(&self) -> &TaskTracker {
        &self.tracker
    }
}

impl Clone for TaskTrackerToken {
    fn clone(&self) -> Self {
        self.tracker.token()
    }
}

impl Drop for TaskTrackerToken {
    fn drop(&mut self) {
        if self.tracker.shared.word.leave() {
            self.tracker.shared.waiters.notify_waiters();
        }
    }
}

impl fmt::Debug for TaskTrackerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskTrackerToken")
            .field(&self.tracker)
            .finish()
    }
}

pin_project_lite::pin_project! {
    /// A future that is tracked until it is dropped; see [`TaskTracker::track_future`].
    #[must_use = "futures do nothing unless awaited"]
    #[derive(Clone, Debug)]
    pub struct TrackedFuture<F> {
        #[pin]
        future: F,
        // Behind the future: that one has been dropped when the tracker is told.
        token: TaskTrackerToken,
    }
}

impl<F: Future> Future for TrackedFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

pin_project_lite::pin_project! {
    /// The future of [`TaskTracker::wait`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct TaskTrackerWaitFuture<'a> {
        tracker: &'a TaskTracker,
        is_over: bool,
        #[pin]
        wait: Wait<&'a Notify>,
    }
}

impl Future for TaskTrackerWaitFuture<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if *this.is_over {
            return Poll::Ready(());
        }
        this.wait.poll(cx)
    }
}

impl fmt::Debug for TaskTrackerWaitFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTrackerWaitFuture")
            .field("tracker", self.tracker)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<TaskTracker>();
    shared::<TaskTrackerToken>();
    shared::<TrackedFuture<()>>();
    shared::<TaskTrackerWaitFuture<'_>>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_task_tracker.rs"]
mod models;
