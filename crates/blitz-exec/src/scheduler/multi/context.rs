//! The thread that runs a worker, as its tasks' wakers and its rescuers see it.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use blitz_core::primitive::sync::Mutex;

use super::Shared;
use super::grip::{Grip, NotSeized};
use super::rescue::Back;
use super::worker::{Core, Help, Worker};
use crate::park::Watching;
use crate::task::{Notified, PulseRef};

blitz_core::thread_local_const! {
    // No destructor: reading it is one load.
    static CURRENT: Cell<*const Context> = Cell::new(ptr::null());
}

/// A thread's time with a core, from when it takes one until it is done with it. The thread has it on its stack, a rescuer
/// finds it in the worker's place.
///
/// What is said to be for the owner is called on that thread: through `with_context`, or in its loop.
pub(super) struct Context {
    pub(super) worker: Arc<Worker>,
    grip: Grip<Box<Core>>,
    pulse: PulseRef,
    /// Told when the thread is back, after it has lost the core.
    pub(super) back: Mutex<Option<Back>>,
    /// Paused time stands still for the rest of a poll whose core another thread has. The owner's.
    pub(super) still: Mutex<Option<Watching>>,
}

impl Context {
    /// This thread holds `core` from now on.
    pub(super) fn new(worker: Arc<Worker>, core: Box<Core>) -> Self {
        Self {
            grip: Grip::new(core, worker.shared.config.barrier),
            worker,
            pulse: PulseRef::here(),
            back: Mutex::new(None),
            still: Mutex::new(None),
        }
    }

    /// For the owner, in a task's poll or a waker: calls `f` with the core, if this thread still has it and nobody asks for it.
    /// `f` runs no foreign code.
    #[inline(always)]
    pub(super) fn with_core<R>(&self, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        // SAFETY: this is the owner, and `f` touches queues, which know nothing of this.
        unsafe { self.grip.with(f) }
    }

    /// For the owner's loop, inside: calls `f` with the core, if this thread still has it. `f` runs no foreign code.
    #[inline(always)]
    pub(super) fn own_core<R>(&self, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        // SAFETY: as in `with_core`; the loop comes out for foreign code alone, by `outside`.
        unsafe { self.grip.own(f) }
    }

    /// For the owner's loop: its begin.
    pub(super) fn come_in(&self) {
        // SAFETY: this is the owner.
        unsafe { self.grip.come_in() };
    }

    /// For the owner's loop: runs foreign code, in which the core may be seized or handed on.
    #[inline(always)]
    pub(super) fn outside<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: this is the owner, and comes in again below. If `f` panics the loop ends, and `hold` comes in.
        unsafe { self.grip.come_out() };
        let answer = f();
        self.come_in();
        answer
    }

    /// For the owner: takes its core out; `None` if it has none, and in the middle of its driver's turn.
    pub(super) fn lend(&self) -> Option<Box<Core>> {
        // SAFETY: as in `with_core`.
        unsafe { self.grip.lend(|core| core.park.is_some()) }
    }

    /// For the owner, after `lend`: it has its core back.
    pub(super) fn put(&self, core: Box<Core>) {
        // SAFETY: as in `with_core`; the caller has what `lend` gave.
        unsafe { self.grip.put(core) }
    }

    /// Whether the core was taken from this thread.
    pub(super) fn is_seized(&self) -> bool {
        self.grip.is_seized()
    }

    /// What the owner works on, if it has the core.
    ///
    /// # Safety
    /// The owner's thread has not ended.
    pub(super) unsafe fn pulse(&self) -> Option<(usize, usize)> {
        // SAFETY: as the caller says.
        self.grip.is_held().then(|| unsafe { self.pulse.read() })
    }

    /// Whether the owner is where its core cannot be taken, at a glance.
    pub(super) fn is_inside(&self) -> bool {
        self.grip.is_inside()
    }

    /// Takes the core from its thread, which is stuck.
    pub(super) fn seize(&self) -> Result<Box<Core>, NotSeized> {
        self.grip.seize()
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
    // SAFETY: the pointer is null or leads to a context that this thread has an `Arc` of on its stack: `Entered` puts the old
    // one back before that goes.
    unsafe { current.as_ref() }.map(f)
}

/// Queues the task if this thread runs a worker of `shared`; else gives it back.
#[inline]
pub(super) fn push_here(shared: &Shared, task: Notified) -> Result<(), Notified> {
    if !task.is_normal() {
        return push_here_by_class(shared, task);
    }
    let mut task = Some(task);
    let wake = with_context(|context| {
        if !ptr::eq(&*context.worker.shared, shared) {
            return false;
        }
        context
            .with_core(|core| task.take().is_some_and(|task| core.push(shared, task)))
            .unwrap_or(false)
    });
    if wake == Some(true) && shared.idle.is_worth_waking() {
        shared.wake_one();
    }
    task.map_or(Ok(()), Err)
}

/// The same for a task that is not normal.
#[cold]
fn push_here_by_class(shared: &Shared, task: Notified) -> Result<(), Notified> {
    let mut task = Some(task);
    let help = with_context(|context| {
        if !ptr::eq(&*context.worker.shared, shared) {
            return None;
        }
        context.with_core(|core| task.take().map(|task| core.push_by_class(shared, task)))?
    });
    match help.flatten() {
        Some(Help::WithSurplus) if shared.idle.is_worth_waking() => shared.wake_one(),
        // A look without a fence might miss one that is just going to sleep.
        Some(Help::AtOnce) => shared.wake_one(),
        _ => {}
    }
    task.map_or(Ok(()), Err)
}
