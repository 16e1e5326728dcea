//! The thread that runs a worker, as its tasks' wakers see it.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::Arc;

use super::Shared;
use super::run_queue::Help;
use super::worker::{Core, Worker};
use crate::task::Notified;

blitz_core::thread_local_const! {
    // No destructor: reading it is one load.
    static CURRENT: Cell<*const Context> = Cell::new(ptr::null());
}

/// On the stack of a worker thread. It holds the core, until `block_in_place` hands that on.
pub(super) struct Context {
    pub(super) worker: Arc<Worker>,
    /// Touched by this thread only, and never while foreign code runs.
    core: UnsafeCell<Option<Box<Core>>>,
}

impl Context {
    pub(super) fn new(worker: Arc<Worker>, core: Box<Core>) -> Self {
        Self {
            worker,
            core: UnsafeCell::new(Some(core)),
        }
    }

    /// Calls `f` with the core, if this thread still has it. `f` runs no foreign code.
    #[inline]
    pub(super) fn with_core<R>(&self, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        // SAFETY: a context is not `Sync` and only its thread gets here; `f` runs no foreign code and this module's
        // functions are the only ways to the core, so no second borrow is alive.
        let core = unsafe { &mut *self.core.get() };
        core.as_deref_mut().map(f)
    }

    pub(super) fn take_core(&self) -> Option<Box<Core>> {
        // SAFETY: as in `with_core`.
        let core = unsafe { &mut *self.core.get() };
        core.take()
    }

    pub(super) fn put_core(&self, new: Box<Core>) {
        // SAFETY: as in `with_core`.
        let core = unsafe { &mut *self.core.get() };
        debug_assert!(core.is_none(), "a thread holds one core");
        *core = Some(new);
    }

    /// Makes this context the thread's until the guard is dropped.
    pub(super) fn enter(&self) -> Entered<'_> {
        Entered {
            before: CURRENT.with(|current| current.replace(self)),
            _context: self,
        }
    }
}

pub(super) struct Entered<'a> {
    before: *const Context,
    _context: &'a Context,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.before));
    }
}

/// Calls `f` with the context of this thread, if it runs a worker.
#[inline]
pub(super) fn with_context<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    let current = CURRENT.with(Cell::get);
    // SAFETY: the pointer is null or leads to a context on this thread's stack that is alive: `Entered` puts the old one
    // back before the context goes.
    unsafe { current.as_ref() }.map(f)
}

/// Queues the task if this thread runs a worker of `shared`; else gives it back.
#[inline]
pub(super) fn push_here(shared: &Shared, task: Notified) -> Result<(), Notified> {
    let mut task = Some(task);
    let help = with_context(|context| {
        if !ptr::eq(&*context.worker.shared, shared) {
            return None;
        }
        context.with_core(|core| task.take().map(|task| core.push(shared, task)))?
    });
    match help.flatten() {
        Some(Help::WithSurplus) if shared.idle.is_worth_waking() => shared.wake_one(),
        // A look without a fence might miss one that is just going to sleep.
        Some(Help::AtOnce) => shared.wake_one(),
        _ => {}
    }
    task.map_or(Ok(()), Err)
}
