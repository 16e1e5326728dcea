//! One task: a future with its state word, in one allocation, and the handles to it.
//!
//! - [`OwnedTasks`] makes tasks and keeps them until they end, so that a runtime can shut down every one.
//! - A [`Notified`] is the right to poll once; it travels through the queues to a worker, who calls
//!   [`run`](Notified::run). A wake makes one and gives it to the task's [`Schedule`].
//! - A [`JoinHandle`] waits for the output; an [`AbortHandle`] cancels.
//!
//! `state` holds the moves, and the argument for every unsafe access: RUNNING gives the future, COMPLETE the output.
//! Nothing of the user's (future, output, waker, hook) is called or dropped under a lock of ours, and a panic from any of
//! them ends up in a [`JoinError`] or, where nobody waits, nowhere.

mod cell;
mod current;
mod error;
mod harness;
mod id;
mod join;
mod look;
pub(crate) mod memory;
mod owned;
mod priority;
mod reference;
mod state;
mod waker;
#[cfg(feature = "tracing")]
mod waker_events;
#[cfg(not(feature = "tracing"))]
#[path = "waker_events_off.rs"]
mod waker_events;

pub use cell::Header;
pub(crate) use current::PulseRef;
pub use current::{current_meta, id, priority, set_priority, try_id};
pub use error::JoinError;
pub(crate) use error::Payload;
pub use id::{Id, SpawnInfo, TaskMeta};
pub use join::{AbortHandle, JoinHandle};
pub use look::{Seen, TaskState, Tracked};
pub use owned::OwnedTasks;
pub(crate) use priority::Lane;
pub use priority::Priority;
pub use reference::Notified;

use blitz_core::waiting::Leaf;
use std::sync::Arc;

/// Futures above this size should be boxed before they are spawned, so that they are not copied through the stack of each
/// function on the way: smaller in debug builds, whose frames add up.
pub const BOX_FUTURE_ABOVE: usize = if cfg!(debug_assertions) {
    2 * 1024
} else {
    16 * 1024
};

/// Where a task goes when it can be polled, and when it has ended: a worker's side of the tasks that were bound with it.
///
/// Each task holds its `Arc<dyn Schedule>`; one `Arc` per worker keeps the count's cache line with that worker. Wakers
/// outlive runtimes, so a `Schedule` should hold little, and answer after its runtime has gone by dropping what it is given.
pub trait Schedule: Send + Sync + 'static {
    /// A wake or an abort made the task runnable: queue it. Called on any thread, also while it runs another task.
    ///
    /// The scheduler outlives the call, whoever runs the task meanwhile.
    fn schedule(&self, task: Notified);

    /// The task has ended: take it out of the owned list, if it is in one.
    ///
    /// Returns [`OwnedTasks::remove`]'s answer: whether the list's reference is handed back. Called on the thread that ran
    /// or shut down the task, after its output was delivered; the place for a "task ended" hook (`task.meta()`).
    fn release(&self, task: &Header) -> bool;

    /// A traced poll of the task has ended, and its leaves have left this: see [`OwnedTasks::collect`].
    fn traced(&self, task: &Header, leaves: Vec<Leaf>) {
        let _ = (task, leaves);
    }

    /// A task's future panicked, and the panic is in its [`JoinError`].
    fn unhandled_panic(&self) {}
}

/// A task that no list owns, for a thread that runs it once and to its end (a blocking call).
///
/// It is notified: run it, or [shut it down](Notified::shutdown).
pub fn unowned<F>(
    future: F,
    scheduler: Arc<dyn Schedule>,
    info: SpawnInfo,
) -> (Notified, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let state = state::State::unowned(info.lane);
    let task = harness::allocate(future, scheduler, info, state, std::ptr::null());
    // SAFETY: an unowned task begins with two references: these.
    let notified = unsafe { Notified::from_raw(task) };
    // SAFETY: as above; the output is `F`'s.
    (notified, unsafe { JoinHandle::new(task) })
}

#[cfg(test)]
mod tests;
