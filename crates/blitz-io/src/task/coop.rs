//! How much a task may do before it lets others go first.
//!
//! Each poll begins with 128 units; each operation of this library that is ready takes one. With none left, operations say
//! "pending" and wake their task, so that one that is always ready goes to the back of the queue.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
pub use blitz_core::budget::RestoreOnPending;
use pin_project_lite::pin_project;

/// Whether this poll has units left. Always, outside of a task.
pub fn has_budget_remaining() -> bool {
    budget::has_remaining()
}

/// Takes a unit, for an operation about to be tried; pending, and the task woken, if none is left.
///
/// Call [`made_progress`](RestoreOnPending::made_progress) on the guard when the operation was ready: otherwise its drop gives
/// the unit back.
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    budget::poll_proceed(cx)
}

/// Takes a unit, and yields if none is left: for long computations without an `.await` of their own.
///
/// # Cancel safety
/// Safe: nothing is lost.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut sum = 0_u64;
/// for i in 0..10_000 {
///     sum += i;
///     blitz_io::task::consume_budget().await;
/// }
/// assert_eq!(sum, 49_995_000);
/// # }
/// ```
pub async fn consume_budget() {
    poll_fn(|cx| {
        ready!(budget::poll_proceed(cx)).made_progress();
        Poll::Ready(())
    })
    .await;
}

/// Polls `future` without a limit: it may keep its worker for as long as its operations are ready.
pub fn unconstrained<F>(future: F) -> Unconstrained<F> {
    Unconstrained { inner: future }
}

/// Makes each ready poll of `future` cost a unit.
pub fn cooperative<F: Future>(future: F) -> Coop<F> {
    Coop { inner: future }
}

pin_project! {
    /// The future of [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "`Unconstrained` does nothing unless polled"]
    pub struct Unconstrained<F> {
        #[pin]
        inner: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        budget::with_unconstrained(|| self.project().inner.poll(cx))
    }
}

pin_project! {
    /// The future of [`cooperative`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Coop<F> {
        #[pin]
        inner: F,
    }
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let unit = ready!(budget::poll_proceed(cx));
        let output = ready!(self.project().inner.poll(cx));
        unit.made_progress();
        Poll::Ready(output)
    }
}
