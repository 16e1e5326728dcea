//! Wakers of tasks that have a span: each use is an event, by which tokio-console counts a task's wakers and wakes.

use super::cell::Header;
use super::waker::{self, VTABLE, task_of};
use std::task::{RawWaker, RawWakerVTable};

/// Of the wakers of a task that has a span, all through its life.
static TOLD: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// The functions of a task's wakers.
#[inline]
pub(super) fn vtable(task: &Header) -> &'static RawWakerVTable {
    if task.span() == 0 { &VTABLE } else { &TOLD }
}

/// Tells of `op`. The names are those that tokio-console knows.
///
/// # Safety
/// See [`task_of`].
unsafe fn tell(data: *const (), op: &'static str) {
    // SAFETY: as the caller says.
    let task = unsafe { task_of(data) };
    // SAFETY: the waker has a reference, which it keeps for the length of this call.
    let span = unsafe { task.as_ref() }.span();
    tracing::trace!(target: "tokio::task::waker", op, task.id = span);
}

/// # Safety
/// See [`task_of`].
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: as the caller says.
    unsafe { tell(data, "waker.clone") };
    // SAFETY: as the caller says. A raw waker has no destructor: its reference is now the new one's.
    unsafe { waker::clone(data) };
    RawWaker::new(data, &TOLD)
}

/// # Safety
/// See [`task_of`]; the waker owns a reference, and gives it up.
unsafe fn wake(data: *const ()) {
    // SAFETY: as the caller says.
    unsafe { tell(data, "waker.wake") };
    // SAFETY: as the caller says.
    unsafe { waker::wake(data) };
}

/// # Safety
/// See [`task_of`].
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as the caller says.
    unsafe { tell(data, "waker.wake_by_ref") };
    // SAFETY: as the caller says.
    unsafe { waker::wake_by_ref(data) };
}

/// # Safety
/// See [`task_of`]; the waker owns a reference, and gives it up.
unsafe fn drop_waker(data: *const ()) {
    // SAFETY: as the caller says.
    unsafe { tell(data, "waker.drop") };
    // SAFETY: as the caller says.
    unsafe { waker::drop_waker(data) };
}
