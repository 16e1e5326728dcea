//! A stream that says when it ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

pin_project! {
    /// Gives each value of a stream as `Some`, then `None` once when that ends, and then ends itself.
    ///
    /// In a [`StreamMap`](super::StreamMap), which drops a stream that ends, it tells which one did.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt, StreamNotifyClose};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let told: Vec<_> = StreamNotifyClose::new(stream::iter([1, 2])).collect().await;
    /// assert_eq!(told, [Some(1), Some(2), None]);
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct StreamNotifyClose<S> {
        #[pin]
        stream: Option<S>,
    }
}

impl<S> StreamNotifyClose<S> {
    /// Wraps `stream`.
    pub fn new(stream: S) -> Self {
        Self {
            stream: Some(stream),
        }
    }

    /// The stream inside, unless it has ended.
    pub fn into_inner(self) -> Option<S> {
        self.stream
    }
}

impl<S: Stream> Stream for StreamNotifyClose<S> {
    type Item = Option<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let item = ready!(stream.poll_next(cx));
        if item.is_none() {
            this.stream.set(None);
        }
        Poll::Ready(Some(item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.stream {
            // One more, for the end.
            Some(stream) => {
                let (low, high) = stream.size_hint();
                (
                    low.saturating_add(1),
                    high.and_then(|high| high.checked_add(1)),
                )
            }
            None => (0, Some(0)),
        }
    }
}
