//! A trace of one future, taken by who polls it.

use std::backtrace;
use std::cell::Cell;
use std::ffi::c_void;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use blitz_core::budget;
use pin_project_lite::pin_project;

use super::Trace;
use crate::context;

thread_local! {
    /// The function that polls the innermost [`Root`] of this thread.
    static ROOT: Cell<Option<*const c_void>> = const { Cell::new(None) };
}

/// Where a leaf's own frames lie in the stack of a [`trace_with`] callback: below the leaf's end, above the root.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TraceMeta {
    /// The function that polls the [`Root`]; `None` if the poll is in none.
    pub root_addr: Option<*const c_void>,
    /// The function that calls back: frames below it, up to the root's, are the futures'.
    pub trace_leaf_addr: *const c_void,
}

/// Calls `f`, which polls a future, and calls `trace_leaf` at every leaf of this crate that the future comes to.
///
/// Such a leaf does nothing in this poll but say "pending"; its waker is called afterwards, by a task of this thread's runtime, so
/// that whoever polls it goes on in an ordinary poll. Outside of a runtime it is called at once when `f` is over. What is no
/// leaf runs as ever, and leaves of other crates do what they do. Those that wait without a share in the task's
/// [budget](crate::task::coop), such as [`Notify`](crate::sync::Notify), are polled and not shown, and so is everything inside of
/// [`unconstrained`](crate::task::coop::unconstrained).
///
/// # Panics
/// If `f` or `trace_leaf` does; the leaves that were shown are woken all the same.
///
/// # Examples
/// ```
/// use std::{future::Future, pin::pin, task::{Context, Waker}};
/// use blitz_io::runtime::dump::trace_with;
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut future = pin!(async {
///     blitz_io::task::yield_now().await;
/// });
/// let mut leaves = 0;
/// let mut cx = Context::from_waker(Waker::noop());
/// let polled = trace_with(|| future.as_mut().poll(&mut cx), |_leaf| leaves += 1);
/// assert!(polled.is_pending());
/// assert_eq!(leaves, 1);
/// # }
/// ```
pub fn trace_with<F, L, R>(f: F, mut trace_leaf: L) -> R
where
    F: FnOnce() -> R,
    L: FnMut(&TraceMeta),
{
    let mut shown = Shown(Vec::new());
    let trace_leaf_addr = budget::leaf_address().cast();
    let mut look = |cx: &mut Context<'_>| {
        shown.0.push(cx.waker().clone());
        trace_leaf(&TraceMeta {
            root_addr: ROOT.get(),
            trace_leaf_addr,
        });
    };
    budget::with_leaves(f, &mut look)
}

/// The wakers of the leaves that were shown.
struct Shown(Vec<Waker>);

impl Drop for Shown {
    fn drop(&mut self) {
        let all = WakeAll(std::mem::take(&mut self.0));
        if all.0.is_empty() {
            return;
        }
        if let Some(handle) = context::try_handle() {
            // Not from here: who polls may be in the middle of something that a wake would undo. A runtime that is over drops
            // the task, which wakes them too.
            handle.spawn(async move { drop(all) });
        }
    }
}

/// Wakes them when it goes.
struct WakeAll(Vec<Waker>);

impl Drop for WakeAll {
    fn drop(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}

impl Trace {
    /// Calls `f`, which polls a future, and takes the stack of every leaf that the future comes to: [`trace_with`] with a callback
    /// that takes stacks.
    ///
    /// The stacks go down to the innermost [`root`](Self::root), or to this call.
    ///
    /// # Panics
    /// If `f` does.
    ///
    /// # Examples
    /// ```
    /// use std::{future::Future, pin::pin, task::{Context, Waker}};
    /// use blitz_io::runtime::dump::Trace;
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut future = pin!(Trace::root(blitz_io::task::yield_now()));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// let (polled, trace) = Trace::capture(|| future.as_mut().poll(&mut cx));
    /// assert!(polled.is_pending());
    /// assert_eq!(trace.len(), 1);
    /// println!("{trace}");
    /// # }
    /// ```
    pub fn capture<F, R>(f: F) -> (R, Trace)
    where
        F: FnOnce() -> R,
    {
        let mut backtraces = Vec::new();
        let result = trace_with(f, |_| {
            backtraces.push(backtrace::Backtrace::force_capture())
        });
        (result, Trace::of_backtraces(backtraces))
    }

    /// `future` as one at which the stacks of [`capture`](Self::capture) end.
    pub fn root<F>(future: F) -> Root<F>
    where
        F: Future,
    {
        Root { future }
    }
}

pin_project! {
    /// The future of [`Trace::root`].
    #[derive(Clone, Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Root<F> {
        #[pin]
        future: F,
    }
}

/// Puts the outer root back, by a panic too.
struct Restore(Option<*const c_void>);

impl Drop for Restore {
    fn drop(&mut self) {
        ROOT.set(self.0);
    }
}

impl<F: Future> Future for Root<F> {
    type Output = F::Output;

    // A frame of its own, by which the end of a stack is known.
    #[inline(never)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let here: fn(Pin<&mut Self>, &mut Context<'_>) -> Poll<F::Output> = Self::poll;
        let _restore = Restore(ROOT.replace(Some(here as *const c_void)));
        self.project().future.poll(cx)
    }
}
