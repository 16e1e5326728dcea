//! Waiting until a moment.

use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blitz_core::budget;
use blitz_core::waiting::{self, Resource, Site};
use blitz_driver::Timer;
use blitz_driver::clock::to_ns;
use pin_project_lite::pin_project;

use super::Instant;
use crate::context::{self, spans};

static SLEEP: Site = Site::new("time::sleep", Resource::Deadline);
static TIMEOUT: Site = Site::new("time::timeout of something unknown", Resource::Deadline);

/// Waits until `duration` has passed.
///
/// The future is ready at the exact deadline or some microseconds after it, never before. The time counts from this call,
/// not from the first poll. A duration too long to be represented waits for thirty years.
///
/// # Cancel safety
/// Safe. Dropping it forgets the wait; nothing else is lost.
///
/// # Panics
/// Outside of a runtime; and when polled after its runtime was shut down.
///
/// # Examples
/// ```
/// use blitz_io::time::{sleep, Duration, Instant};
///
/// #[blitz_io::main]
/// async fn main() {
///     let start = Instant::now();
///     sleep(Duration::from_micros(300)).await;
///     assert!(start.elapsed() >= Duration::from_micros(300));
/// }
/// ```
#[track_caller]
#[inline]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::after("time::sleep", duration)
}

/// Waits until `deadline`. It is ready at the first poll if that has passed.
///
/// # Cancel safety
/// Safe. Dropping it forgets the wait; nothing else is lost.
///
/// # Panics
/// Outside of a runtime; and when polled after its runtime was shut down.
///
/// # Examples
/// ```
/// use blitz_io::time::{sleep_until, Duration, Instant};
///
/// #[blitz_io::main]
/// async fn main() {
///     let deadline = Instant::now() + Duration::from_millis(2);
///     sleep_until(deadline).await;
///     assert!(Instant::now() >= deadline);
/// }
/// ```
#[track_caller]
#[inline]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        timer: Timer::new(context::time_driver("time::sleep_until")),
        at: Location::caller(),
        spans: spans::Timer::new(Location::caller()),
        _pinned: PhantomPinned,
    }
}

pin_project! {
    /// The future of [`sleep`](sleep()) and [`sleep_until`].
    ///
    /// It registers with a driver at the first poll, so one that is never polled costs next to nothing. Like tokio's it is
    /// not `Unpin`: pin it with [`std::pin::pin!`] or `Box::pin` to poll it in a loop and to [`reset`](Self::reset) it.
    ///
    /// # Examples
    /// ```
    /// use std::pin::pin;
    /// use blitz_io::time::{sleep, Duration, Instant};
    ///
    /// #[blitz_io::main]
    /// async fn main() {
    ///     let mut idle = pin!(sleep(Duration::from_secs(3600)));
    ///     // Something came: the peer is idle only two milliseconds from now.
    ///     idle.as_mut().reset(Instant::now() + Duration::from_millis(2));
    ///     idle.await;
    /// }
    /// ```
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Sleep {
        deadline: Instant,
        timer: Timer,
        at: &'static Location<'static>,
        spans: spans::Timer,
        #[pin]
        _pinned: PhantomPinned,
    }
}

impl Sleep {
    #[track_caller]
    #[inline]
    pub(super) fn after(what: &'static str, duration: Duration) -> Self {
        let home = context::time_driver(what);
        let now = Instant::now();
        Self {
            deadline: now
                .checked_add(duration)
                .unwrap_or_else(Instant::far_future),
            timer: if duration.is_zero() {
                Timer::new(home)
            } else {
                Timer::ahead(home)
            },
            at: Location::caller(),
            spans: spans::Timer::new(Location::caller()),
            _pinned: PhantomPinned,
        }
    }

    #[track_caller]
    #[inline]
    pub(super) fn until(what: &'static str, deadline: Instant) -> Self {
        Self {
            deadline,
            timer: Timer::new(context::time_driver(what)),
            at: Location::caller(),
            spans: spans::Timer::new(Location::caller()),
            _pinned: PhantomPinned,
        }
    }

    /// The moment at which it is ready.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// True once it is ready: the deadline has passed and the driver, or a poll, has seen it.
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// From now on it waits for `deadline`, whether it was ready before or not.
    ///
    /// A task that waits in it stays registered and is woken at the new deadline; at once if that has passed.
    ///
    /// # Examples
    /// ```
    /// use std::pin::pin;
    /// use blitz_io::time::{sleep, Duration, Instant};
    ///
    /// #[blitz_io::main]
    /// async fn main() {
    ///     let mut sleep = pin!(sleep(Duration::from_millis(1)));
    ///     sleep.as_mut().await;
    ///     assert!(sleep.is_elapsed());
    ///     sleep.as_mut().reset(Instant::now() + Duration::from_millis(1));
    ///     assert!(!sleep.is_elapsed());
    ///     sleep.await;
    /// }
    /// ```
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let this = self.project();
        *this.deadline = deadline;
        this.spans
            .reset(|| deadline.saturating_duration_since(Instant::now()));
        this.timer.reset(to_ns(deadline.into_std()));
    }
}

impl Sleep {
    /// Polls it, whose deadline this is, and leaves no note of what the task waits for.
    #[inline]
    fn poll_silently(self: Pin<&mut Self>, cx: &mut Context<'_>, deadline: u64) -> Poll<()> {
        let this = self.project();
        let left = || this.deadline.saturating_duration_since(Instant::now());
        this.spans
            .poll(cx, left, budget::poll_proceed, |cx, progress| {
                ready!(poll_timer(this.timer, deadline, cx));
                progress.made_progress();
                Poll::Ready(())
            })
    }

    /// Polls it around a future that is pending. What that waits for says more, if it has said it.
    #[inline]
    pub(super) fn poll_behind(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = to_ns(self.deadline.into_std());
        let at = self.at;
        let polled = self.as_mut().poll_silently(cx, deadline);
        if polled.is_pending() {
            waiting::note_if_none(&TIMEOUT, deadline, Some(at));
        }
        polled
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = to_ns(self.deadline.into_std());
        let at = self.at;
        let polled = self.as_mut().poll_silently(cx, deadline);
        if polled.is_pending() {
            waiting::note(&SLEEP, deadline, Some(at));
        }
        polled
    }
}

/// Polls a timer that must not outlive its runtime.
#[inline]
pub(super) fn poll_timer(timer: &mut Timer, deadline: u64, cx: &mut Context<'_>) -> Poll<()> {
    match ready!(timer.poll(cx, deadline)) {
        Ok(()) => Poll::Ready(()),
        Err(shutdown) => panic!(
            "{shutdown} (in tokio's words: A Tokio 1.x context was found, but it is being shutdown.)"
        ),
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("timer", &self.timer)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Sleep>();
};
