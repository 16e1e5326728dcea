//! A task's waker: a counted reference that the standard library carries.

use super::cell::Header;
use super::current;
use super::reference::{Notified, TaskRef, drop_refs, free};
use super::state::Wake;
use super::waker_events;
use blitz_core::waiting;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

pub(super) static VTABLE: RawWakerVTable =
    RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Of the waker for a traced poll. Its clones are plain ones; none of the wakers that leaves hold already is like it, so each leaf
/// clones it anew.
static TRACING: RawWakerVTable =
    RawWakerVTable::new(clone_traced, wake, wake_by_ref_traced, drop_waker);

/// Which functions the waker for one poll has.
#[derive(Clone, Copy)]
pub(super) struct Kind(&'static RawWakerVTable);

impl Kind {
    pub(super) const TRACING: Self = Self(&TRACING);

    /// For a poll of `task` that is not traced.
    #[inline]
    pub(super) fn of(task: &Header) -> Self {
        Self(waker_events::vtable(task))
    }

    pub(super) fn is_tracing(self) -> bool {
        std::ptr::eq(self.0, &TRACING)
    }
}

/// The waker for one poll, by the runner's own reference: it counts nothing until it is cloned.
pub(super) struct Borrowed<'a> {
    waker: ManuallyDrop<Waker>,
    _task: PhantomData<&'a Header>,
}

impl<'a> Borrowed<'a> {
    /// `task` points to `_header`, with leave to use the whole task.
    #[inline]
    pub(super) fn new(task: NonNull<Header>, _header: &'a Header, kind: Kind) -> Self {
        // SAFETY: the vtable's functions keep the contract, given a task; never dropped, it gives up no reference.
        let waker = unsafe { Waker::new(task.as_ptr().cast_const().cast(), kind.0) };
        Self {
            waker: ManuallyDrop::new(waker),
            _task: PhantomData,
        }
    }
}

impl Deref for Borrowed<'_> {
    type Target = Waker;

    #[inline]
    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// # Safety
/// See [`task_of`].
#[cold]
unsafe fn clone_traced(data: *const ()) -> RawWaker {
    // SAFETY: as the caller says.
    trace(unsafe { task_of(data) });
    // SAFETY: as the caller says.
    unsafe { clone(data) }
}

/// # Safety
/// See [`task_of`].
#[cold]
unsafe fn wake_by_ref_traced(data: *const ()) {
    // SAFETY: as the caller says.
    trace(unsafe { task_of(data) });
    // SAFETY: as the caller says.
    unsafe { wake_by_ref(data) };
}

/// A leaf of `task` has got hold of its waker; on another thread, or in a task inside of this one, that says nothing.
fn trace(task: NonNull<Header>) {
    if waiting::is_traced(task.cast()) {
        waiting::leave_trace();
    }
}

/// The task behind a waker's data.
///
/// # Safety
/// The data is a waker's of ours, which holds or borrows a reference.
#[inline]
pub(super) unsafe fn task_of(data: *const ()) -> NonNull<Header> {
    // SAFETY: it came from a `NonNull`.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

/// # Safety
/// See [`task_of`].
pub(super) unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: as the caller says.
    let task = unsafe { task_of(data) };
    // SAFETY: the waker has a reference.
    unsafe { task.as_ref() }.state.add_ref();
    RawWaker::new(data, &VTABLE)
}

/// # Safety
/// See [`task_of`]; the waker owns a reference, and gives it up.
pub(super) unsafe fn wake(data: *const ()) {
    // SAFETY: as the caller says.
    let task = unsafe { task_of(data) };
    // SAFETY: the waker has a reference.
    let header = unsafe { task.as_ref() };
    // Whoever runs the task may free it, and its scheduler with it, while we are still in `schedule`. Inside a task of the
    // same scheduler that cannot be; elsewhere our reference stays until `schedule` is done.
    let keep = !current::shares_scheduler(header);
    match header.state.wake_by_value(keep) {
        Wake::Nothing => {}
        Wake::Submit => {
            let scheduler: *const _ = &*header.scheduler;
            // SAFETY: `Submit`: the reference is the notification's, a new one or ours.
            let notified = unsafe { Notified::from_raw(task) };
            // SAFETY: the scheduler lives: see above.
            unsafe { &*scheduler }.schedule(notified);
            if keep {
                // SAFETY: `keep`: ours is still here.
                unsafe { drop_refs(task, 1) };
            }
        }
        // SAFETY: as the answer says.
        Wake::Last => unsafe { free(task) },
    }
}

/// # Safety
/// See [`task_of`].
pub(super) unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as the caller says.
    let task = unsafe { task_of(data) };
    // SAFETY: the waker has a reference, which it keeps for the length of this call.
    let header = unsafe { task.as_ref() };
    if header.state.wake_by_ref() == Wake::Submit {
        // SAFETY: `Submit` made a reference for it.
        header
            .scheduler
            .schedule(unsafe { Notified::from_raw(task) });
    }
}

/// # Safety
/// See [`task_of`]; the waker owns a reference, and gives it up.
pub(super) unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as the caller says.
    let task = unsafe { task_of(data) };
    // SAFETY: as the caller says.
    drop(unsafe { TaskRef::from_raw(task) });
}
