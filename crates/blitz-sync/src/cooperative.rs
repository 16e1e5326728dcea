//! Futures that take a unit of their task's budget when they are ready.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;

pin_project_lite::pin_project! {
    /// See [`cooperative`].
    pub(crate) struct Cooperative<F> {
        #[pin]
        future: F,
    }
}

/// `future`, which takes a unit of the budget when it is ready, and has its task go last if none is left.
pub(crate) fn cooperative<F: Future>(future: F) -> Cooperative<F> {
    Cooperative { future }
}

impl<F: Future> Future for Cooperative<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let coop = ready!(budget::poll_proceed(cx));
        let output = ready!(self.project().future.poll(cx));
        coop.made_progress();
        Poll::Ready(output)
    }
}
