//! An async function whose caller is known, for whoever looks at the task that waits in it.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_core::waiting::{self, Site};
use pin_project_lite::pin_project;

/// Polls `future`, and says what the task waits for while that is pending: the call `site` at the caller's line, on `number`.
#[inline]
#[track_caller]
pub(crate) fn call<F: Future>(site: &'static Site, number: u64, future: F) -> Call<F> {
    Call {
        site,
        number,
        at: Location::caller(),
        future,
    }
}

pin_project! {
    /// The future of [`call`].
    pub(crate) struct Call<F> {
        site: &'static Site,
        number: u64,
        at: &'static Location<'static>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Call<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.future.poll(cx);
        if polled.is_pending() {
            waiting::call(this.site, *this.number, this.at);
        }
        polled
    }
}
