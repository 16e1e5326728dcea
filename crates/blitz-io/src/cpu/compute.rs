//! One closure on the CPU's threads.

use std::error::Error;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::waiting::{self, Resource, Site};
use blitz_exec::compute::{Call, ComputeError, ComputeMetrics};

use crate::context::{self, Handle};

/// Runs `f`, which computes, on one of the CPU's threads, and gives its result.
///
/// It begins without being awaited, so two calls made one after the other run side by side. A closure that blocks belongs in
/// [`spawn_blocking`](crate::task::spawn_blocking) instead: see [the module](crate::cpu).
///
/// Where a thread of the CPU's is awake and takes the closure at once, the first poll looks for its end for 2 to 3 µs before it waits, and
/// less and less where that is in vain: a short computation is not slept through.
///
/// # Cancel safety
/// Dropping the future cancels a call that has not begun; its closure is dropped at once. One that has begun runs to its end,
/// and its result is dropped.
///
/// # Panics
/// If this thread is in no runtime. The future panics if the closure did, with the same payload; if the runtime ended before
/// the call's turn; and if the system gives no threads. [`Compute::caught`] makes errors of these.
///
/// # Examples
/// ```
/// # #[blitz_io::main]
/// # async fn main() {
/// let words = "to be or not to be".repeat(10_000);
/// let count = blitz_io::compute(move || words.split(' ').count()).await;
/// assert_eq!(count, 50_001);
/// # }
/// ```
#[track_caller]
pub fn compute<F, R>(f: F) -> Compute<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let at = Location::caller();
    context::with_handle("compute", |handle| handle.compute_as(f, &SITE, at))
}

/// What a task waits for that awaits one.
static SITE: Site = Site::new("compute", Resource::None);

/// The future of a [`compute`].
#[must_use = "dropped, it cancels the call if that has not begun: await it, or `detach` it"]
pub struct Compute<R> {
    call: Call<R>,
    /// What is noted of the task that awaits it.
    site: &'static Site,
    at: &'static Location<'static>,
}

impl<R> Compute<R> {
    /// The same call, whose panic is an error for whoever awaits it.
    ///
    /// # Cancel safety
    /// As [`compute`].
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() {
    /// let parsed = blitz_io::compute(|| "12a".parse::<u32>().expect("a number")).caught().await;
    /// let error = parsed.expect_err("it panicked");
    /// assert!(error.is_panic());
    /// assert!(error.to_string().contains("a number"));
    /// # }
    /// ```
    pub fn caught(self) -> Caught<R> {
        Caught { compute: self }
    }

    /// Lets the call run, or run on, with nobody waiting for its result.
    pub fn detach(self) {
        self.call.detach();
    }

    /// Has it ended, so that awaiting it gives its result at once?
    pub fn is_finished(&self) -> bool {
        self.call.is_finished()
    }

    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, ComputeError>> {
        let polled = Pin::new(&mut self.call).poll(cx);
        if polled.is_pending() {
            waiting::note(self.site, 0, Some(self.at));
        }
        polled
    }
}

impl<R> Future for Compute<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        match ready!(self.poll_call(cx)) {
            Ok(output) => Poll::Ready(output),
            Err(error) => raise(error),
        }
    }
}

/// Panics as the closure did, or says why it did not run.
#[cold]
fn raise(error: ComputeError) -> ! {
    match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(error) => match error.source() {
            Some(source) => panic!("{error}: {source}"),
            None => panic!("{error}"),
        },
    }
}

impl<R> fmt::Debug for Compute<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Compute").field(&self.call).finish()
    }
}

/// The future of [`Compute::caught`].
///
/// # Errors
/// A [`ComputeError`] if the closure panicked, if the runtime ended before the call's turn, or if the system gives no threads.
#[must_use = "dropped, it cancels the call if that has not begun: await it, or `detach` it"]
pub struct Caught<R> {
    compute: Compute<R>,
}

impl<R> Caught<R> {
    /// Lets the call run, or run on, with nobody waiting for its result.
    pub fn detach(self) {
        self.compute.detach();
    }

    /// Has it ended, so that awaiting it gives its result at once?
    pub fn is_finished(&self) -> bool {
        self.compute.is_finished()
    }
}

impl<R> Future for Caught<R> {
    type Output = Result<R, ComputeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.compute.poll_call(cx)
    }
}

impl<R> fmt::Debug for Caught<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caught").field(&self.compute.call).finish()
    }
}

impl Handle {
    /// Runs `f`, which computes, on one of this runtime's CPU threads: [`compute`], from any thread.
    #[track_caller]
    pub fn compute<F, R>(&self, f: F) -> Compute<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.compute_as(f, &SITE, Location::caller())
    }

    /// The same, with what a task that awaits it is said to wait for.
    pub(super) fn compute_as<F, R>(
        &self,
        f: F,
        site: &'static Site,
        at: &'static Location<'static>,
    ) -> Compute<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let call = self.inner().bridge.call(f);
        Compute { call, site, at }
    }

    /// A look at the figures of this runtime's [CPU bridge](crate::cpu).
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() {
    /// blitz_io::compute(|| 6 * 7).await;
    /// let metrics = blitz_io::runtime::Handle::current().compute_metrics();
    /// assert_eq!((metrics.done, metrics.queued), (1, 0));
    /// # }
    /// ```
    pub fn compute_metrics(&self) -> ComputeMetrics {
        self.inner().bridge.metrics()
    }
}
