//! Items that a future makes of items.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

pin_project! {
    /// The stream of [`StreamExt::then`](crate::stream::StreamExt::then).
    #[must_use = "streams do nothing unless polled"]
    pub struct Then<S, Fut, F> {
        #[pin]
        stream: S,
        // It outlives a `next` that is dropped.
        #[pin]
        future: Option<Fut>,
        f: F,
    }
}

impl<S, Fut, F> Then<S, Fut, F> {
    pub(in crate::stream) fn new(stream: S, f: F) -> Self {
        Self {
            stream,
            future: None,
            f,
        }
    }
}

impl<S: Stream, Fut: Future, F: FnMut(S::Item) -> Fut> Stream for Then<S, Fut, F> {
    type Item = Fut::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fut::Output>> {
        let mut this = self.project();
        loop {
            if let Some(future) = this.future.as_mut().as_pin_mut() {
                let output = ready!(future.poll(cx));
                this.future.set(None);
                return Poll::Ready(Some(output));
            }
            let Some(item) = ready!(this.stream.as_mut().poll_next(cx)) else {
                return Poll::Ready(None);
            };
            this.future.set(Some((this.f)(item)));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let inside = usize::from(self.future.is_some());
        super::added(self.stream.size_hint(), (inside, Some(inside)))
    }
}

impl<S: FusedStream, Fut: Future, F: FnMut(S::Item) -> Fut> FusedStream for Then<S, Fut, F> {
    fn is_terminated(&self) -> bool {
        self.future.is_none() && self.stream.is_terminated()
    }
}

impl<S: fmt::Debug, Fut, F> fmt::Debug for Then<S, Fut, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then")
            .field("stream", &self.stream)
            .field("runs", &self.future.is_some())
            .finish_non_exhaustive()
    }
}
