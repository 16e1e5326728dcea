//! How a thread with nothing to run waits, and how it is told to stop waiting.
//!
//! A scheduler meets its driver here: it calls [`Park`], which the face fills in with a driver and the tests fill in with a
//! fake. Nothing in this crate knows a descriptor or a clock. [`ThreadParker`] is the wait of a thread that has no driver:
//! `block_on` beside a pool of workers.

use std::fmt;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::{Condvar, Mutex};
use blitz_core::quiet::quietly;

use crate::stats::WorkerStats;

/// What a worker's core waits in: one per core, carried from thread to thread with it.
///
/// The holder calls [`bind`](Park::bind) first and [`unbind`](Park::unbind) last; in between only that thread calls the rest.
pub trait Park: Send {
    /// This thread holds the core from now on: the driver becomes its current one.
    fn bind(&mut self);

    /// This thread gives the core up.
    fn unbind(&mut self);

    /// The thread that holds the core is stuck, and loses it: called by the thread that takes over, before its own `bind`.
    ///
    /// What the stuck thread still does with the driver must go the ways of a thread without one. When it comes back it calls
    /// [`Unpark::lost`].
    fn seize(&mut self);

    /// One turn of the driver, which sleeps until an event, its own next timer or an unpark, and calls the wakers.
    fn park(&mut self);

    /// The same, for no longer than `limit` of real time; [`Duration::ZERO`] delivers what is there and does not sleep.
    fn park_timeout(&mut self, limit: Duration);

    /// What ends a wait from any thread.
    fn unparker(&self) -> Arc<dyn Unpark>;

    /// Where the worker's figures are: the park tells them when it waits, and what time it is.
    fn stats(&self) -> Arc<WorkerStats> {
        WorkerStats::new()
    }

    /// Ends every operation and wakes all who wait for one, with an error. Called once, when no task is left.
    fn shutdown(&mut self);
}

/// Ends a [`Park::park`], from any thread.
///
/// It leaves a token: an unpark that comes before the park makes that park return at once. Many unparks make one token.
pub trait Unpark: Send + Sync {
    /// Ends the wait, or the next one.
    fn unpark(&self);

    /// Whether a thread waits in the park now, and how often one has begun or ended that. For those who watch.
    fn rest(&self) -> Rest {
        Rest::default()
    }

    /// This thread was stuck, had its core seized, and is back: it forgets what it was bound to.
    fn lost(&self) {}
}

/// How a park looks from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// A thread waits, and nothing has ended that wait.
    pub asleep: bool,
    /// Changes whenever a wait begins or ends.
    pub moves: u64,
}

/// Told what keeps virtual time from jumping: everything that may still produce a wake, and which no driver can see.
pub trait Watch: Send + Sync {
    /// Something began that time must not jump over: a blocking call, a thread that polls a future.
    fn begin(&self);
    /// It ended.
    fn end(&self);
}

/// The [`Watch`] of a runtime whose time nobody pauses.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Watch for NoWatch {
    fn begin(&self) {}
    fn end(&self) {}
}

/// Holds virtual time back until it is dropped.
pub(crate) struct Watching(Arc<dyn Watch>);

impl Watching {
    pub(crate) fn begin(watch: &Arc<dyn Watch>) -> Self {
        watch.begin();
        Self(Arc::clone(watch))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A hook that is told of a thread's life or its wait.
pub type ThreadHook = Arc<dyn Fn() + Send + Sync>;

/// Calls a hook of the user. One that panics has told so by the panic hook; the thread, and what it holds, are still needed.
#[inline]
pub(crate) fn call_hook(hook: &Option<ThreadHook>) {
    if let Some(hook) = hook {
        quietly(|| hook());
    }
}

const EMPTY: usize = 0;
const PARKED: usize = 1;
const NOTIFIED: usize = 2;

/// A thread's own wait, without a driver.
///
/// ```text
///  from        move      to         who moved, and what it does then
///  EMPTY       park      PARKED     owner: sleeps on the condition variable
///  NOTIFIED    park      EMPTY      owner: does not sleep
///  PARKED      unpark    NOTIFIED   waker: signals under the lock
///  EMPTY       unpark    NOTIFIED   waker: nothing more
///  NOTIFIED    unpark    NOTIFIED   waker: nothing more
/// ```
pub struct ThreadParker {
    state: AtomicUsize,
    lock: Mutex<()>,
    signal: Condvar,
    watch: Arc<dyn Watch>,
}

impl ThreadParker {
    /// A parker that nobody has unparked.
    pub fn new(watch: Arc<dyn Watch>) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicUsize::new(EMPTY),
            lock: Mutex::new(()),
            signal: Condvar::new(),
            watch,
        })
    }

    /// A waker that ends this thread's wait.
    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Waits until somebody unparks; returns at once if somebody has. Only one thread may park.
    pub fn park(&self) {
        // ORDERING: Acquire pairs with the Release in `unpark`: what the waker did before is seen after.
        if self
            .state
            .compare_exchange(NOTIFIED, EMPTY, Acquire, Relaxed)
            .is_ok()
        {
            return;
        }
        let mut guard = self.lock.lock();
        // ORDERING: Relaxed: it says that we sleep, and publishes nothing; `unpark` signals under the lock.
        if self
            .state
            .compare_exchange(EMPTY, PARKED, Relaxed, Relaxed)
            .is_err()
        {
            // ORDERING: Acquire pairs with the Release in `unpark`. A swap, not a store: a second waker may have come
            // since, and what it did before must be seen after.
            self.state.swap(EMPTY, Acquire);
            return;
        }
        // From here the waker that finds PARKED begins the watch again on our behalf.
        self.watch.end();
        loop {
            guard = match self.signal.wait(guard) {
                Ok(guard) => guard,
                Err(poison) => poison.into_inner(),
            };
            // ORDERING: Acquire pairs with the Release in `unpark`.
            if self
                .state
                .compare_exchange(NOTIFIED, EMPTY, Acquire, Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }

    /// Ends the wait of the thread that parks here, or its next one.
    pub fn unpark(&self) {
        // Begun before the thread can be seen awake, so that time does not jump between the two.
        self.watch.begin();
        // ORDERING: Release pairs with the Acquire in `park`. A swap goes on with the
        // release sequence of the wakers before.
        if self.state.swap(NOTIFIED, Release) == PARKED {
            drop(self.lock.lock());
            self.signal.notify_one();
        } else {
            self.watch.end();
        }
    }
}

impl fmt::Debug for ThreadParker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadParker").finish_non_exhaustive()
    }
}

impl Wake for ThreadParker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

impl Unpark for ThreadParker {
    fn unpark(&self) {
        ThreadParker::unpark(self);
    }
}
