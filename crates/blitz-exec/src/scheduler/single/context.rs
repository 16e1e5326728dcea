//! The thread that runs a single-threaded scheduler, as its tasks' wakers see it.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::Arc;

use super::{Core, Shared};
use crate::task::{Lane, Notified};

blitz_core::thread_local_const! {
    // No destructor: reading it is one load.
    static CURRENT: Cell<*const Context> = Cell::new(ptr::null());
}

/// On the stack of the thread that runs; the thread-local points here while it does.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    /// Whose tasks may go straight to the queue, when they are woken here: `shared`, or null while each wake's time is wanted exactly.
    quick: Cell<*const Shared>,
    /// Touched by this thread only, and never while foreign code runs.
    core: UnsafeCell<Option<Box<Core>>>,
}

impl Context {
    pub(super) fn new(shared: Arc<Shared>, core: Box<Core>) -> Self {
        Self {
            quick: Cell::new(ptr::null()),
            shared,
            core: UnsafeCell::new(Some(core)),
        }
    }

    /// Whether the time of each wake is wanted exactly, from now on. It is at first.
    pub(super) fn stamp_exactly(&self, is_exact: bool) {
        self.quick.set(if is_exact {
            ptr::null()
        } else {
            Arc::as_ptr(&self.shared)
        });
    }

    /// Calls `f` with the core. `f` runs no foreign code.
    #[inline]
    pub(super) fn with_core<R>(&self, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        // SAFETY: a context is not `Sync` and only its thread gets here; `f` runs no foreign code and this function is the
        // only way to the core, so no second borrow is alive.
        let core = unsafe { &mut *self.core.get() };
        core.as_deref_mut().map(f)
    }

    pub(super) fn take_core(&self) -> Option<Box<Core>> {
        // SAFETY: as in `with_core`.
        let core = unsafe { &mut *self.core.get() };
        core.take()
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

/// Calls `f` with the context of this thread, if it runs a scheduler of this kind.
#[inline]
fn with_context<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    let current = CURRENT.with(Cell::get);
    // SAFETY: the pointer is null or leads to a context on this thread's stack that is alive: `Entered` puts the old one
    // back before the context goes.
    unsafe { current.as_ref() }.map(f)
}

/// Tells the task to run and queues it, if this thread runs `shared` and knows the time well enough; else gives it back.
#[inline]
pub(super) fn push_here(shared: &Shared, task: Notified) -> Result<(), Notified> {
    let mut task = Some(task);
    with_context(|context| {
        if ptr::eq(context.quick.get(), shared) {
            context.with_core(|core| {
                if let Some(task) = task.take() {
                    task.header().place().notify(core.now);
                    core.queue.push(task);
                }
            });
        }
    });
    task.map_or(Ok(()), Err)
}

/// Queues the task, which was told to run, if this thread runs `shared`; else gives it back.
pub(super) fn push_notified(shared: &Shared, task: Notified) -> Result<(), Notified> {
    let mut task = Some(task);
    with_context(|context| {
        if ptr::eq(&*context.shared, shared) {
            context.with_core(|core| {
                if let Some(task) = task.take() {
                    core.queue.push(task);
                }
            });
        }
    });
    task.map_or(Ok(()), Err)
}

/// How many tasks of each class are in the queue, if this thread runs `shared`.
pub(super) fn queue_lens_here(shared: &Shared) -> Option<[usize; Lane::COUNT]> {
    with_context(|context| {
        let here = ptr::eq(&*context.shared, shared);
        here.then(|| context.with_core(|core| core.queue.lens()))
    })
    .flatten()
    .flatten()
}

/// Whether this thread runs `shared`.
pub(super) fn runs_here(shared: &Shared) -> bool {
    with_context(|context| ptr::eq(&*context.shared, shared)).unwrap_or(false)
}

/// Calls `f` with the single-threaded scheduler that this thread runs.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(&Arc<Shared>) -> R) -> Option<R> {
    with_context(|context| f(&context.shared))
}

/// Which worker of `thread_per_core` this thread is.
pub fn current_index() -> Option<usize> {
    with_context(|context| context.shared.index)
}
