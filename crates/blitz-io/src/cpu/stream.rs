//! The items of a stream, in order, a bounded number of them at a time.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

use super::Window;

/// Computes the items of `stream` side by side and gives the results in the items' order.
///
/// At most `limit` items and results are inside at a time: the stream is asked for more only while there is room.
///
/// # Cancel safety
/// Dropping the stream, or a `next` of it, loses no result that was given out; the first cancels what has not begun.
///
/// # Panics
/// If `limit` is 0, or if this thread is in no runtime. The stream panics if an item's computation did, in that item's turn;
/// it may be polled on, and goes on with the next item.
///
/// # Examples
/// ```
/// use futures::StreamExt;
/// # #[blitz_io::main]
/// # async fn main() {
/// let pieces = futures::stream::iter(["12", "7", "x"]);
/// let numbers = blitz_io::cpu::parallel_map_stream(pieces, 4, |piece: &str| piece.parse::<u32>().ok());
/// assert_eq!(numbers.collect::<Vec<_>>().await, [Some(12), Some(7), None]);
/// # }
/// ```
#[track_caller]
pub fn parallel_map_stream<S, F, R>(stream: S, limit: usize, f: F) -> ParallelMapStream<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    ParallelMapStream {
        stream,
        ended: false,
        window: Window::new(limit, f),
    }
}

pin_project! {
    /// The stream of a [`parallel_map_stream`].
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct ParallelMapStream<S, F, R> {
        #[pin]
        stream: S,
        ended: bool,
        window: Window<F, R>,
    }
}

impl<S, F, R> Stream for ParallelMapStream<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = R;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        let mut this = self.project();
        while !*this.ended && this.window.has_room() {
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => this.window.start(item),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => break,
            }
        }
        if this.window.is_empty() && !*this.ended {
            return Poll::Pending;
        }
        this.window.poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let inside = self.window.len();
        let (low, high) = if self.ended {
            (0, Some(0))
        } else {
            self.stream.size_hint()
        };
        (
            low.saturating_add(inside),
            high.and_then(|high| high.checked_add(inside)),
        )
    }
}

impl<S, F, R> FusedStream for ParallelMapStream<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    fn is_terminated(&self) -> bool {
        self.ended && self.window.is_empty()
    }
}

impl<S, F, R> fmt::Debug for ParallelMapStream<S, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParallelMapStream")
            .field("ended", &self.ended)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
