//! A task's memory: header, future or output, and the joiner's waker, in one allocation.

use super::id::{Extra, Id, TaskMeta};
use super::state::State;
use super::{JoinError, Schedule};
use blitz_core::list::Links;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::queue::Link;
use blitz_core::waiting::Place;
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;

/// What is known of a task without knowing its future's type.
#[repr(C)]
pub struct Header {
    /// What others see of it. The first field: a thread's current place is its current task.
    pub(super) place: Place,
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    /// Its place in a queue, while a `Notified` of it is in one.
    pub(super) queue_link: Link<Header>,
    pub(super) scheduler: Arc<dyn Schedule>,
    /// The shard of the owned list that it was bound to, or null. Compared, never followed: the list may be gone.
    pub(super) shard: *const (),
    /// Its place in that shard, under the shard's lock.
    pub(super) owned_links: Links<Header>,
    pub(super) location: &'static Location<'static>,
    pub(super) extra: Extra,
}

/// A whole task. `repr(C)`: a pointer to it is a pointer to its header.
#[repr(C)]
pub(super) struct Cell<F: Future> {
    pub(super) header: Header,
    /// RUNNING gives it to the runner; COMPLETE to the join handle, or to the runner if there was none.
    pub(super) stage: UnsafeCell<Stage<F>>,
    /// See JOIN_WAKER.
    pub(super) join_waker: UnsafeCell<Option<Waker>>,
}

/// What is left of a task.
pub(super) enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Nothing,
}

/// A task's functions.
pub(super) struct Vtable {
    /// Polls it; takes over the `Notified`'s reference. Answers whether it was woken meanwhile: then that reference is
    /// still there, for the next `Notified`.
    pub(super) run: unsafe fn(NonNull<Header>) -> bool,
    /// Cancels it, if nobody runs it; takes over a reference.
    pub(super) shutdown: unsafe fn(NonNull<Header>),
    /// Moves the output to the `Poll<Result<T, JoinError>>` behind the pointer. The caller is the join handle, and the task
    /// is complete.
    pub(super) read_output: unsafe fn(NonNull<Header>, NonNull<()>),
    /// Drops the output, if it is still there. The caller is the join handle, and the task is complete.
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    /// Exchanges the joiner's waker. The caller is the join handle, and JOIN_WAKER is not set.
    pub(super) replace_waker: unsafe fn(NonNull<Header>, Option<Waker>) -> Option<Waker>,
    /// Frees it. The caller had the last reference.
    pub(super) free: unsafe fn(NonNull<Header>),
    /// How many bytes of memory it lies in.
    pub(super) bytes: usize,
}

impl Header {
    /// Its id.
    #[inline]
    pub(super) fn id(&self) -> Id {
        Id::of_u64(self.place.task())
    }

    /// Its id, name, spawn site and priority.
    #[inline]
    pub fn meta(&self) -> TaskMeta<'_> {
        TaskMeta {
            id: self.id(),
            name: self.extra.name(),
            location: self.location,
            schedule_latency: None,
            priority: self.state.lane().priority(),
        }
    }

    /// The number of the span that watches it; 0 for none.
    #[cfg(feature = "tracing")]
    pub(super) fn span(&self) -> u64 {
        self.extra.get().map_or(0, |extras| extras.span)
    }

    /// What others see of it.
    #[inline]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("meta", &self.meta())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
