//! Streams that begin later or end earlier, or stay ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

use super::super::turn::Turn;
use super::shows_stream;

pin_project! {
    /// The stream of [`StreamExt::fuse`](crate::stream::StreamExt::fuse).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Fuse<S> {
        #[pin]
        stream: Option<S>,
    }
}

impl<S> Fuse<S> {
    pub(in crate::stream) fn new(stream: S) -> Self {
        Self {
            stream: Some(stream),
        }
    }
}

impl<S: Stream> Stream for Fuse<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let item = ready!(stream.poll_next(cx));
        if item.is_none() {
            this.stream.set(None);
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.stream {
            Some(stream) => stream.size_hint(),
            None => (0, Some(0)),
        }
    }
}

pin_project! {
    /// The stream of [`StreamExt::take`](crate::stream::StreamExt::take).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Take<S> {
        #[pin]
        stream: S,
        left: usize,
    }
}

impl<S> Take<S> {
    pub(in crate::stream) fn new(stream: S, left: usize) -> Self {
        Self { stream, left }
    }
}

impl<S: Stream> Stream for Take<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.left == 0 {
            return Poll::Ready(None);
        }
        let item = ready!(this.stream.poll_next(cx));
        *this.left = if item.is_some() { *this.left - 1 } else { 0 };
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.left == 0 {
            return (0, Some(0));
        }
        let (low, high) = self.stream.size_hint();
        let high = high.map_or(self.left, |high| high.min(self.left));
        (low.min(self.left), Some(high))
    }
}

pin_project! {
    /// The stream of [`StreamExt::take_while`](crate::stream::StreamExt::take_while).
    #[must_use = "streams do nothing unless polled"]
    pub struct TakeWhile<S, F> {
        #[pin]
        stream: S,
        f: F,
        ended: bool,
    }
}

impl<S, F> TakeWhile<S, F> {
    pub(in crate::stream) fn new(stream: S, f: F) -> Self {
        Self {
            stream,
            f,
            ended: false,
        }
    }
}

impl<S: Stream, F: FnMut(&S::Item) -> bool> Stream for TakeWhile<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let item = ready!(this.stream.poll_next(cx)).filter(this.f);
        *this.ended = item.is_none();
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.ended {
            return (0, Some(0));
        }
        (0, self.stream.size_hint().1)
    }
}

pin_project! {
    /// The stream of [`StreamExt::skip`](crate::stream::StreamExt::skip).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Skip<S> {
        #[pin]
        stream: S,
        left: usize,
    }
}

impl<S> Skip<S> {
    pub(in crate::stream) fn new(stream: S, left: usize) -> Self {
        Self { stream, left }
    }
}

impl<S: Stream> Stream for Skip<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let mut turn = Turn::default();
        loop {
            ready!(turn.poll_item(cx));
            let item = ready!(this.stream.as_mut().poll_next(cx));
            if item.is_none() || *this.left == 0 {
                return Poll::Ready(item);
            }
            *this.left -= 1;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.stream.size_hint();
        let high = high.map(|high| high.saturating_sub(self.left));
        (low.saturating_sub(self.left), high)
    }
}

pin_project! {
    /// The stream of [`StreamExt::skip_while`](crate::stream::StreamExt::skip_while).
    #[must_use = "streams do nothing unless polled"]
    pub struct SkipWhile<S, F> {
        #[pin]
        stream: S,
        // None once an item was not skipped.
        f: Option<F>,
    }
}

shows_stream!(TakeWhile, SkipWhile);

impl<S, F> SkipWhile<S, F> {
    pub(in crate::stream) fn new(stream: S, f: F) -> Self {
        Self { stream, f: Some(f) }
    }
}

impl<S: Stream, F: FnMut(&S::Item) -> bool> Stream for SkipWhile<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let mut turn = Turn::default();
        while let Some(skips) = this.f {
            ready!(turn.poll_item(cx));
            match ready!(this.stream.as_mut().poll_next(cx)) {
                Some(item) if skips(&item) => {}
                Some(item) => {
                    *this.f = None;
                    return Poll::Ready(Some(item));
                }
                None => return Poll::Ready(None),
            }
        }
        this.stream.poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (low, high) = self.stream.size_hint();
        (if self.f.is_none() { low } else { 0 }, high)
    }
}

impl<S: Stream> FusedStream for Fuse<S> {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<S: Stream> FusedStream for Take<S> {
    fn is_terminated(&self) -> bool {
        self.left == 0
    }
}

impl<S: Stream, F: FnMut(&S::Item) -> bool> FusedStream for TakeWhile<S, F> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<S: FusedStream> FusedStream for Skip<S> {
    fn is_terminated(&self) -> bool {
        self.stream.is_terminated()
    }
}

impl<S: FusedStream, F: FnMut(&S::Item) -> bool> FusedStream for SkipWhile<S, F> {
    fn is_terminated(&self) -> bool {
        self.stream.is_terminated()
    }
}
