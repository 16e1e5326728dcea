//! One stream of two.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

use super::{Fuse, added};

pin_project! {
    /// The stream of [`StreamExt::chain`](crate::stream::StreamExt::chain).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Chain<S, U> {
        #[pin]
        first: Fuse<S>,
        #[pin]
        second: U,
    }
}

impl<S, U> Chain<S, U> {
    pub(in crate::stream) fn new(first: S, second: U) -> Self {
        Self {
            first: Fuse::new(first),
            second,
        }
    }
}

impl<S: Stream, U: Stream<Item = S::Item>> Stream for Chain<S, U> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        match ready!(this.first.poll_next(cx)) {
            Some(item) => Poll::Ready(Some(item)),
            None => this.second.poll_next(cx),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        added(self.first.size_hint(), self.second.size_hint())
    }
}

pin_project! {
    /// The stream of [`StreamExt::merge`](crate::stream::StreamExt::merge).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Merge<S, U> {
        #[pin]
        one: Fuse<S>,
        #[pin]
        other: Fuse<U>,
        // Who is asked first.
        is_others_turn: bool,
    }
}

impl<S, U> Merge<S, U> {
    pub(in crate::stream) fn new(one: S, other: U) -> Self {
        Self {
            one: Fuse::new(one),
            other: Fuse::new(other),
            is_others_turn: false,
        }
    }
}

impl<S: Stream, U: Stream<Item = S::Item>> Stream for Merge<S, U> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let others_turn = *this.is_others_turn;
        let mut is_pending = false;
        for asks_other in [others_turn, !others_turn] {
            let polled = if asks_other {
                this.other.as_mut().poll_next(cx)
            } else {
                this.one.as_mut().poll_next(cx)
            };
            match polled {
                Poll::Ready(Some(item)) => {
                    *this.is_others_turn = !asks_other;
                    return Poll::Ready(Some(item));
                }
                Poll::Ready(None) => {}
                Poll::Pending => is_pending = true,
            }
        }
        if is_pending {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        added(self.one.size_hint(), self.other.size_hint())
    }
}

impl<S: Stream, U: FusedStream<Item = S::Item>> FusedStream for Chain<S, U> {
    fn is_terminated(&self) -> bool {
        self.first.is_terminated() && self.second.is_terminated()
    }
}

impl<S: Stream, U: Stream<Item = S::Item>> FusedStream for Merge<S, U> {
    fn is_terminated(&self) -> bool {
        self.one.is_terminated() && self.other.is_terminated()
    }
}
