//! Ticks and signals.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::wraps;
#[cfg(unix)]
use crate::signal::unix::Signal;
use crate::time::{Instant, Interval};

/// The ticks of an interval, each with the moment at which it was due. It never ends.
///
/// # Examples
/// ```
/// use blitz_io::stream::{StreamExt, wrappers::IntervalStream};
/// use blitz_io::time::{Duration, interval};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let ticks = IntervalStream::new(interval(Duration::from_millis(1)));
/// let due: Vec<_> = ticks.take(2).collect().await;
/// assert_eq!(due[1], due[0] + Duration::from_millis(1));
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct IntervalStream {
    inner: Interval,
}

wraps! { [] IntervalStream, of Interval; }

impl Stream for IntervalStream {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.inner.poll_tick(cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl FusedStream for IntervalStream {
    fn is_terminated(&self) -> bool {
        false
    }
}

/// The signals that a listener hears, until its runtime shuts down.
#[cfg(unix)]
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct SignalStream {
    inner: Signal,
}

#[cfg(unix)]
wraps! { [] SignalStream, of Signal; }

#[cfg(unix)]
impl Stream for SignalStream {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.inner.poll_recv(cx)
    }
}
