//! A look at the next item.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::super::futures::Peek;
use super::{Fuse, added};

pin_project! {
    /// The stream of [`StreamExt::peekable`](crate::stream::StreamExt::peekable).
    #[must_use = "streams do nothing unless polled"]
    pub struct Peekable<S>
    where
        S: Stream,
    {
        #[pin]
        stream: Fuse<S>,
        peeked: Option<S::Item>,
    }
}

impl<S: Stream> Peekable<S> {
    pub(in crate::stream) fn new(stream: S) -> Self {
        Self {
            stream: Fuse::new(stream),
            peeked: None,
        }
    }

    /// Waits for the next item and shows it; it stays the next. `None` at the end.
    ///
    /// # Cancel safety
    /// Safe: an item that came stays the next.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut numbers = stream::iter([1, 2]).peekable();
    /// assert_eq!(numbers.peek().await, Some(&1));
    /// assert_eq!(numbers.next().await, Some(1));
    /// # }
    /// ```
    pub fn peek(&mut self) -> Peek<'_, S>
    where
        S: Unpin,
    {
        Peek::new(self)
    }

    /// Ready once the next item is here, or will not come.
    pub(in crate::stream) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()>
    where
        S: Unpin,
    {
        if self.peeked.is_none() {
            self.peeked = ready!(Pin::new(&mut self.stream).poll_next(cx));
        }
        Poll::Ready(())
    }

    pub(in crate::stream) fn peeked(&self) -> Option<&S::Item> {
        self.peeked.as_ref()
    }
}

impl<S: Stream> Stream for Peekable<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        match this.peeked.take() {
            Some(item) => Poll::Ready(Some(item)),
            None => this.stream.poll_next(cx),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let inside = usize::from(self.peeked.is_some());
        added(self.stream.size_hint(), (inside, Some(inside)))
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for Peekable<S>
where
    S::Item: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peekable")
            .field("stream", &self.stream)
            .field("peeked", &self.peeked)
            .finish()
    }
}
