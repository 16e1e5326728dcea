//! Which task this thread works for, as the thread itself and those who watch it see that.

use super::Header;
use super::id::{Id, TaskMeta};
use super::priority::{Lane, Priority};
pub(crate) use blitz_core::waiting::Pulse as PulseRef;
use blitz_core::waiting::{self, Entered, Running};
use std::ptr::NonNull;

/// Marks `task` as the one that this thread drops something of, until the guard goes.
#[inline]
pub(super) fn enter(task: &Header) -> Entered<'_> {
    // A header begins with its place (`repr(C)`).
    waiting::enter(NonNull::from(task).cast())
}

/// Marks `task` as the one that this thread polls, until the guard goes, and then none: who runs tasks
/// [steps out](waiting::step_out) of what the thread worked for before.
#[inline]
pub(super) fn enter_next(task: &Header) -> Running<'_> {
    waiting::enter_next(NonNull::from(task).cast())
}

/// The same for a poll whose leaves leave their backtraces.
#[cold]
pub(super) fn enter_traced(task: &Header) -> Running<'_> {
    waiting::enter_traced(NonNull::from(task).cast())
}

#[inline]
fn with<R>(f: impl FnOnce(&Header) -> R) -> Option<R> {
    let task = waiting::current()?.cast::<Header>();
    // SAFETY: every place that is entered is the first field of a header, by `enter` above, and was made from a reference to the
    // whole header; the guard borrows it, and what it replaced is borrowed by a guard further up the stack.
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
    with(Header::id)
}

/// How urgent the task is that this is called from; [`Priority::Normal`] outside a task, which is what `block_on`'s own future is
/// on `current_thread`.
pub fn priority() -> Priority {
    with(|task| task.state.lane().priority()).unwrap_or_default()
}

/// Changes how urgent the task is that this is called from, from its next poll on.
///
/// Returns what it was before.
///
/// # Panics
/// Outside a task: `block_on`'s own future is none.
#[track_caller]
pub fn set_priority(priority: Priority) -> Priority {
    match with(|task| task.state.set_lane(Lane::from(priority))) {
        Some(before) => before.priority(),
        None => panic!(
            "no task here: `task::set_priority` needs a spawned task, and `block_on`'s own future is none"
        ),
    }
}

/// Calls `f` with what is known of the task that this is called from; returns `None` outside one.
pub fn current_meta<R>(f: impl FnOnce(TaskMeta<'_>) -> R) -> Option<R> {
    with(|task| f(task.meta()))
}
