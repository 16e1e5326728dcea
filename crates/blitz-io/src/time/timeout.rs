//! A future with a deadline.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use blitz_core::budget;
use pin_project_lite::pin_project;

use super::error::Elapsed;
use super::{Instant, Sleep};

/// Gives `future` at most `duration`.
///
/// Returns its output, or [`Elapsed`] if the time is over first. The future is polled before the time is looked at, so one
/// that is ready at once succeeds even with a duration of zero. The time counts from this call. A duration too long to be
/// represented sets no limit.
///
/// # Cancel safety
/// As that of `future`, which is dropped with it; get it back by [`Timeout::into_inner`].
///
/// # Errors
/// [`Elapsed`] if `duration` passed before `future` was ready.
///
/// # Panics
/// Outside of a runtime.
///
/// # Examples
/// ```
/// use std::future::pending;
/// use blitz_io::time::{timeout, Duration};
///
/// #[blitz_io::main]
/// async fn main() {
///     assert_eq!(timeout(Duration::from_secs(5), async { 3 }).await, Ok(3));
///     let late = timeout(Duration::from_millis(2), pending::<()>()).await;
///     assert!(late.is_err());
/// }
/// ```
#[track_caller]
#[inline]
pub fn timeout<F>(duration: Duration, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    // A moment that cannot be represented never comes.
    let never = duration > Duration::from_secs(u32::MAX as u64)
        && Instant::now().checked_add(duration).is_none();
    // No closure: the sleep's line is that of our caller.
    let delay = if never {
        None
    } else {
        Some(Sleep::after("time::timeout", duration))
    };
    Timeout {
        value: future.into_future(),
        delay,
    }
}

/// Gives `future` time until `deadline`.
///
/// Returns its output, or [`Elapsed`] if the deadline passes first. The future is polled before the time is looked at.
///
/// # Cancel safety
/// As that of `future`, which is dropped with it; get it back by [`Timeout::into_inner`].
///
/// # Errors
/// [`Elapsed`] if `deadline` passed before `future` was ready.
///
/// # Panics
/// Outside of a runtime.
///
/// # Examples
/// ```
/// use std::future::pending;
/// use blitz_io::time::{timeout_at, Duration, Instant};
///
/// #[blitz_io::main]
/// async fn main() {
///     let deadline = Instant::now() + Duration::from_millis(2);
///     assert_eq!(timeout_at(deadline, async { 3 }).await, Ok(3));
///     assert!(timeout_at(deadline, pending::<()>()).await.is_err());
/// }
/// ```
#[track_caller]
#[inline]
pub fn timeout_at<F>(deadline: Instant, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    Timeout {
        value: future.into_future(),
        delay: Some(Sleep::until("time::timeout_at", deadline)),
    }
}

pin_project! {
    /// The future of [`timeout`](timeout()) and [`timeout_at`].
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    #[derive(Debug)]
    pub struct Timeout<T> {
        #[pin]
        value: T,
        #[pin]
        delay: Option<Sleep>,
    }
}

impl<T> Timeout<T> {
    /// The future inside.
    pub fn get_ref(&self) -> &T {
        &self.value
    }

    /// The future inside, to be changed.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The future inside, without its deadline.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T: Future> Future for Timeout<T> {
    type Output = Result<T::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = budget::has_remaining();
        if let Poll::Ready(output) = this.value.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match this.delay.as_pin_mut() {
            Some(delay) => poll_delay(had_budget, delay, cx),
            None => Poll::Pending,
        }
    }
}

/// The part that is the same for every future.
#[inline]
pub(crate) fn poll_delay<T>(
    had_budget: bool,
    delay: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, Elapsed>> {
    // A future that uses up the budget in each poll would keep its own timeout from ever being looked at.
    let polled = if had_budget && !budget::has_remaining() {
        budget::with_unconstrained(|| delay.poll_behind(cx))
    } else {
        delay.poll_behind(cx)
    };
    polled.map(|()| Err(Elapsed::new()))
}
