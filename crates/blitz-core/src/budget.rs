//! How much a task may do before it yields, and whether this thread is inside a runtime.
//!
//! Each poll of a task begins with a budget; each operation of this project that makes progress takes a unit; with none
//! left, operations say "pending" and wake their task at once, so that an always-ready one goes to the back of the queue.
//! The budget is a plain number of this thread, so executors inside a task share and see it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use crate::stops;
pub use crate::stops::Look;

/// The units that a poll begins with.
pub const UNITS: u32 = 128;

/// The budget of a thread outside any poll, and inside [`with_unconstrained`]: never used up.
const UNCONSTRAINED: u32 = u32::MAX;
/// No unit is left. What is above it is so many units.
const USED_UP: u32 = 1;
/// As [`USED_UP`], and an operation was refused for it.
const REFUSED: u32 = 0;

struct Thread {
    /// One more than the units left, [`REFUSED`], or [`UNCONSTRAINED`].
    left: Cell<u32>,
    forced_yields: Cell<u32>,
    entered: Cell<Entered>,
}

/// Whether this thread drives a runtime now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It does not.
    No,
    /// It does; `block_in_place` may hand its core on.
    MayBlock,
    /// It does; nobody else could go on while it blocks.
    MayNotBlock,
    /// It is one of the few that compute for a runtime: while it blocks, a processor idles.
    Computing,
}

crate::thread_local_const! {
    static THREAD: Thread = Thread {
        left: Cell::new(UNCONSTRAINED),
        forced_yields: Cell::new(0),
        entered: Cell::new(Entered::No),
    };
}

/// Reads this thread's cells; `otherwise` while the thread is being torn down.
#[inline]
fn thread<R>(otherwise: R, f: impl FnOnce(&Thread) -> R) -> R {
    THREAD.try_with(f).unwrap_or(otherwise)
}

/// Sets the budget back when it goes, so that a panic in a poll leaves the thread as it was.
struct Restore(u32);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        thread((), |thread| thread.left.set(self.0));
    }
}

#[inline]
fn with_left<R>(left: u32, f: impl FnOnce() -> R) -> R {
    let _restore = Restore(thread(UNCONSTRAINED, |thread| thread.left.replace(left)));
    f()
}

/// Calls `f`, a poll, with a fresh budget; the one before comes back afterwards.
#[inline]
pub fn with_budget<R>(f: impl FnOnce() -> R) -> R {
    with_left(USED_UP + UNITS, f)
}

/// Calls `f` with a budget that is never used up; the one before comes back afterwards.
#[inline]
pub fn with_unconstrained<R>(f: impl FnOnce() -> R) -> R {
    with_left(UNCONSTRAINED, f)
}

/// In [`with_budget`]: has this poll made no progress yet that takes a unit?
pub fn is_untouched() -> bool {
    thread(false, |thread| thread.left.get() == USED_UP + UNITS)
}

/// Lifts the budget for what remains of this poll, which is about to take its time.
pub fn stop() {
    thread((), |thread| thread.left.set(UNCONSTRAINED));
}

/// May this poll still make progress?
#[inline]
pub fn has_remaining() -> bool {
    thread(true, |thread| thread.left.get() > USED_UP) || stops::is_watched()
}

/// Takes one unit, for an operation about to be tried.
///
/// Returns a guard: call [`made_progress`](RestoreOnPending::made_progress) when the operation is ready; dropped without
/// it, the unit goes back. With no unit left the task is woken, and the operation must return "pending".
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    let before = take_unit();
    if before <= USED_UP {
        return exhausted(cx);
    }
    Poll::Ready(RestoreOnPending::to(before))
}

/// The same without a context: `None` where there is no unit, for who has another way then.
#[inline]
pub fn proceed() -> Option<RestoreOnPending> {
    let before = take_unit();
    (before > USED_UP).then(|| RestoreOnPending::to(before))
}

/// As [`poll_proceed`], for an operation that may have to wait anyway, which takes no unit: with none left, `waits` is asked, which answers
/// whether the task will be woken when it is worth a poll. Then it goes to rest, and not to the back of the queue.
#[inline]
pub fn poll_proceed_unless(
    cx: &mut Context<'_>,
    waits: impl FnOnce(&mut Context<'_>) -> bool,
) -> Poll<RestoreOnPending> {
    let before = take_unit();
    if before <= USED_UP {
        if !stops::is_watched() && waits(cx) {
            return Poll::Pending;
        }
        return exhausted(cx);
    }
    Poll::Ready(RestoreOnPending::to(before))
}

/// Takes a unit, if there is one. Answers what was left before.
#[inline]
fn take_unit() -> u32 {
    thread(UNCONSTRAINED, |thread| {
        let left = thread.left.get();
        if left > USED_UP && left != UNCONSTRAINED {
            thread.left.set(left - 1);
        }
        left
    })
}

#[cold]
#[inline(never)]
fn exhausted(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    if stops::show(cx) {
        return Poll::Pending;
    }
    thread((), |thread| {
        // One poll is one yield, however many of its operations are refused.
        if thread.left.replace(REFUSED) == USED_UP {
            let yields = thread.forced_yields.get();
            thread.forced_yields.set(yields.wrapping_add(1));
        }
    });
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Calls `f`, a poll that stops at every leaf: `look` is shown each one, which then says "pending" although nothing will wake it.
pub fn with_leaves<R>(f: impl FnOnce() -> R, look: &mut Look<'_>) -> R {
    stops::with_look(|| with_left(REFUSED, f), look)
}

/// For a leaf that costs no unit: must it say "pending", since this poll [stops](with_leaves) at each?
#[inline]
pub fn stops_at_leaf(cx: &mut Context<'_>) -> bool {
    let is_used_up = thread(UNCONSTRAINED, |thread| thread.left.get()) <= USED_UP;
    is_used_up && stops::is_watched() && exhausted(cx).is_pending()
}

/// The function in whose frame a leaf is shown: the frames below it are the leaf's.
pub fn leaf_address() -> *const () {
    exhausted as *const ()
}

/// How many polls of this thread were refused progress for want of budget since the last call, for a worker's metrics.
#[inline]
pub fn take_forced_yields() -> u32 {
    thread(0, |thread| thread.forced_yields.replace(0))
}

/// Gives the unit back when dropped, unless the operation made progress.
#[derive(Debug)]
#[must_use = "dropped at once, it gives the unit back"]
pub struct RestoreOnPending {
    /// The budget before; `UNCONSTRAINED` also means "nothing to give back".
    before: Cell<u32>,
    _thread: PhantomData<*const ()>,
}

impl RestoreOnPending {
    #[inline]
    fn to(before: u32) -> Self {
        Self {
            before: Cell::new(before),
            _thread: PhantomData,
        }
    }

    /// The operation is ready: the unit is spent.
    #[inline]
    pub fn made_progress(&self) {
        self.before.set(UNCONSTRAINED);
    }
}

impl Drop for RestoreOnPending {
    #[inline]
    fn drop(&mut self) {
        let before = self.before.get();
        if before != UNCONSTRAINED {
            thread((), |thread| thread.left.set(before));
        }
    }
}

/// Marks this thread as driving a runtime, until the guard goes.
///
/// `may_block`: may `block_in_place` hand on what this thread drives? Returns `None` if the thread drives a runtime
/// already: a `block_on` inside async code, which would stop that runtime.
pub fn enter_runtime(may_block: bool) -> Option<EnterGuard> {
    let now = if may_block {
        Entered::MayBlock
    } else {
        Entered::MayNotBlock
    };
    if is_entered() {
        return None;
    }
    Some(EnterGuard {
        before: set_entered(now),
        _thread: PhantomData,
    })
}

/// Marks this thread as one that computes for a runtime, until the guard goes.
pub fn enter_compute() -> EnterGuard {
    EnterGuard {
        before: set_entered(Entered::Computing),
        _thread: PhantomData,
    }
}

fn set_entered(now: Entered) -> Entered {
    thread(Entered::No, |thread| thread.entered.replace(now))
}

/// Does this thread drive a runtime, or compute for one?
#[inline]
pub fn is_entered() -> bool {
    entered() != Entered::No
}

/// Does this thread drive a runtime, and may it block?
#[inline]
pub fn entered() -> Entered {
    thread(Entered::No, |thread| thread.entered.get())
}

/// Calls `f` as if this thread drove no runtime, so that it may block and may enter one; for `block_in_place`.
pub fn exit<R>(f: impl FnOnce() -> R) -> R {
    let _guard = EnterGuard {
        before: set_entered(Entered::No),
        _thread: PhantomData,
    };
    f()
}

/// A thread that drives a runtime may not block while the guard lives; for executors inside of a task, whose other tasks
/// nobody could take over.
pub fn forbid_block() -> EnterGuard {
    let before = entered();
    if before == Entered::MayBlock {
        set_entered(Entered::MayNotBlock);
    }
    EnterGuard {
        before,
        _thread: PhantomData,
    }
}

/// Puts back what [`enter_runtime`] found.
#[derive(Debug)]
#[must_use = "dropped at once, it marks nothing"]
pub struct EnterGuard {
    before: Entered,
    _thread: PhantomData<*const ()>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        set_entered(self.before);
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/budget.rs"]
mod tests;
