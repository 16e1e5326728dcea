//! For models: a task that may do nothing more in this poll.

use std::future::{Future, poll_fn};
use std::mem::replace;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use blitz_core::budget;

/// A future whose first poll finds its task without budget.
pub(crate) async fn tired<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut was_polled = false;
    poll_fn(|cx| {
        if replace(&mut was_polled, true) {
            return future.as_mut().poll(cx);
        }
        budget::with_budget(|| {
            let mut none = Context::from_waker(Waker::noop());
            while let Poll::Ready(coop) = budget::poll_proceed(&mut none) {
                coop.made_progress();
            }
            future.as_mut().poll(cx)
        })
    })
    .await
}
