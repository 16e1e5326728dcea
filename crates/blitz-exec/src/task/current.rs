//! Which task this thread works for.

use super::Header;
use super::id::{Id, TaskMeta};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

blitz_core::thread_local_const! {
    /// Set by `enter` alone, whose guard cannot outlive the task.
    static CURRENT: Cell<Option<NonNull<Header>>> = Cell::new(None);
}

/// Marks `task` as the one that this thread polls or drops, until the guard goes.
#[inline]
pub(super) fn enter(task: &Header) -> Entered<'_> {
    let before = CURRENT
        .try_with(|current| current.replace(Some(NonNull::from(task))))
        .ok()
        .flatten();
    Entered {
        before,
        _task: PhantomData,
    }
}

pub(super) struct Entered<'a> {
    before: Option<NonNull<Header>>,
    _task: PhantomData<&'a Header>,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        // At a thread's end there may be no cell any more, and nobody who asks.
        let _ = CURRENT.try_with(|current| current.set(self.before));
    }
}

#[inline]
fn with<R>(f: impl FnOnce(&Header) -> R) -> Option<R> {
    let task = CURRENT.try_with(Cell::get).ok().flatten()?;
    // SAFETY: the guard in `enter` borrows the task, and what it replaced is borrowed by a guard further up the stack.
    Some(f(unsafe { task.as_ref() }))
}

/// Does the current task hold the scheduler of `task`? Then that scheduler outlives what the current task does now.
#[inline]
pub(super) fn shares_scheduler(task: &Header) -> bool {
    with(|current| std::ptr::addr_eq(&raw const *current.scheduler, &raw const *task.scheduler))
        .unwrap_or(false)
}

/// The id of the task that this is called from.
///
/// # Panics
/// Outside a task: `block_on`'s own future is none.
#[track_caller]
pub fn id() -> Id {
    match try_id() {
        Some(id) => id,
        None => panic!(
            "no task here: `task::id` needs a spawned task, and `block_on`'s own future is none; `try_id` returns None"
        ),
    }
}

/// The id of the task that this is called from, or `None` outside one.
pub fn try_id() -> Option<Id> {
    with(|task| task.id)
}

/// Calls `f` with what is known of the task that this is called from; returns `None` outside one.
pub fn current_meta<R>(f: impl FnOnce(TaskMeta<'_>) -> R) -> Option<R> {
    with(|task| f(task.meta()))
}
