//! Locks and counters that tasks wait for, under any executor.
//!
//! Nothing here knows a runtime: a wait is a [`Waker`](std::task::Waker) in a line, so the same types serve blitz-io, every
//! other executor, and threads (the `blocking_` methods). Names, semantics and fairness are tokio's: who waits first is
//! served first. What tokio has not, [`UnfairMutex`] and [`mpmc`], wakes in that order but lets who comes at that moment be faster.
//! No wait allocates: a future that waits *is* its place in the line.
//!
//! This crate makes no promise of stability by itself: use it as `blitz_io::sync`.

mod acquire_error;
mod barrier;
mod blocking;
pub mod broadcast;
mod called;
mod cancellation;
mod cells;
mod cooperative;
mod filled;
mod guard_traits;
mod hold;
mod holders;
pub mod mpmc;
pub mod mpsc;
mod mutex;
mod notify;
mod once_cell;
pub mod oneshot;
mod patience;
mod permits;
mod place;
mod races;
mod rwlock;
mod semaphore;
mod set_once;
#[doc(hidden)]
pub mod sleep;
#[cfg(all(feature = "tracing", not(loom)))]
mod spans;
#[cfg(not(all(feature = "tracing", not(loom))))]
#[path = "spans_off.rs"]
mod spans;
mod task_tracker;
#[cfg(all(test, loom))]
#[path = "tests/tired.rs"]
mod tired;
mod unfair;
mod waiters;
pub mod watch;

pub use acquire_error::{AcquireError, TryAcquireError};
pub use barrier::{Barrier, BarrierWaitResult};
pub use cancellation::{
    CancellationToken, DropGuard, DropGuardRef, WaitForCancellationFuture,
    WaitForCancellationFutureOwned,
};
pub use mutex::{
    MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard, TryLockError,
};
pub use notify::{Notified, Notify, OwnedNotified};
pub use once_cell::{OnceCell, SetError};
pub use rwlock::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
pub use set_once::{SetOnce, SetOnceError};
pub use task_tracker::{TaskTracker, TaskTrackerToken, TaskTrackerWaitFuture, TrackedFuture};
pub use unfair::{UnfairMutex, UnfairMutexGuard};
pub use waiters::{WaitIf, WaiterQueue};

/// Futures of this module that have a name.
pub mod futures {
    pub use super::notify::{Notified, OwnedNotified};
}
