//! What waits for one item of a stream, or for what all of them come to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::adapters::Peekable;
use super::collect::FromStream;
use super::turn::Turn;

/// The future of [`StreamExt::next`](super::StreamExt::next).
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Next<'a, S: ?Sized> {
    stream: &'a mut S,
}

impl<'a, S: ?Sized> Next<'a, S> {
    pub(super) fn new(stream: &'a mut S) -> Self {
        Self { stream }
    }
}

impl<S: Stream + Unpin + ?Sized> Future for Next<'_, S> {
    type Output = Option<S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut *self.stream).poll_next(cx)
    }
}

/// The future of [`StreamExt::try_next`](super::StreamExt::try_next).
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct TryNext<'a, S: ?Sized> {
    next: Next<'a, S>,
}

impl<'a, S: ?Sized> TryNext<'a, S> {
    pub(super) fn new(stream: &'a mut S) -> Self {
        Self {
            next: Next::new(stream),
        }
    }
}

impl<T, E, S: Stream<Item = Result<T, E>> + Unpin + ?Sized> Future for TryNext<'_, S> {
    type Output = Result<Option<T>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.next).poll(cx).map(Option::transpose)
    }
}

/// The future of [`Peekable::peek`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Peek<'a, S: Stream> {
    stream: Option<&'a mut Peekable<S>>,
}

impl<'a, S: Stream> Peek<'a, S> {
    pub(super) fn new(stream: &'a mut Peekable<S>) -> Self {
        Self {
            stream: Some(stream),
        }
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for Peek<'_, S>
where
    S::Item: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek")
            .field("stream", &self.stream)
            .finish()
    }
}

// Nothing in it is pinned.
impl<S: Stream> Unpin for Peek<'_, S> {}

impl<'a, S: Stream + Unpin> Future for Peek<'a, S> {
    type Output = Option<&'a S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let stream = self
            .stream
            .as_mut()
            .expect("`peek` was polled after it had given its item");
        ready!(stream.poll_fill(cx));
        let stream = self.stream.take().expect("it was there");
        Poll::Ready(stream.peeked())
    }
}

macro_rules! asks_each {
    ($(#[$doc:meta])* $name:ident, ends at $decided:literal) => {
        $(#[$doc])*
        #[must_use = "futures do nothing unless you `.await` or poll them"]
        pub struct $name<'a, S: ?Sized, F> {
            stream: &'a mut S,
            ask: F,
        }

        impl<'a, S: ?Sized, F> $name<'a, S, F> {
            pub(super) fn new(stream: &'a mut S, ask: F) -> Self {
                Self { stream, ask }
            }
        }

        impl<S: ?Sized, F> Unpin for $name<'_, S, F> {}

        impl<S: Stream + Unpin + ?Sized, F: FnMut(S::Item) -> bool> Future for $name<'_, S, F> {
            type Output = bool;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
                let this = &mut *self;
                let mut turn = Turn::default();
                loop {
                    ready!(turn.poll_item(cx));
                    let Some(item) = ready!(Pin::new(&mut *this.stream).poll_next(cx)) else {
                        return Poll::Ready(!$decided);
                    };
                    if (this.ask)(item) == $decided {
                        return Poll::Ready($decided);
                    }
                }
            }
        }

        impl<S: ?Sized, F> fmt::Debug for $name<'_, S, F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

asks_each! {
    /// The future of [`StreamExt::all`](super::StreamExt::all).
    All, ends at false
}

asks_each! {
    /// The future of [`StreamExt::any`](super::StreamExt::any).
    Any, ends at true
}

pin_project! {
    /// The future of [`StreamExt::fold`](super::StreamExt::fold).
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Fold<S, B, F> {
        #[pin]
        stream: S,
        value: Option<B>,
        f: F,
    }
}

impl<S, B, F> Fold<S, B, F> {
    pub(super) fn new(stream: S, first: B, f: F) -> Self {
        Self {
            stream,
            value: Some(first),
            f,
        }
    }
}

impl<S: Stream, B, F: FnMut(B, S::Item) -> B> Future for Fold<S, B, F> {
    type Output = B;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<B> {
        let mut this = self.project();
        let mut turn = Turn::default();
        loop {
            ready!(turn.poll_item(cx));
            let item = ready!(this.stream.as_mut().poll_next(cx));
            let value = this
                .value
                .take()
                .expect("`fold` was polled after it had given its value, or after its function had panicked");
            match item {
                Some(item) => *this.value = Some((this.f)(value, item)),
                None => return Poll::Ready(value),
            }
        }
    }
}

impl<S: fmt::Debug, B: fmt::Debug, F> fmt::Debug for Fold<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fold")
            .field("stream", &self.stream)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`StreamExt::collect`](super::StreamExt::collect).
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Collect<S, U>
    where
        S: Stream,
        U: FromStream<S::Item>,
    {
        #[pin]
        stream: S,
        part: U::Part,
    }
}

impl<S: Stream, U: FromStream<S::Item>> Collect<S, U> {
    pub(super) fn new(stream: S) -> Self {
        let part = U::begin(stream.size_hint().0);
        Self { stream, part }
    }
}

impl<S: Stream, U: FromStream<S::Item>> Future for Collect<S, U> {
    type Output = U;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<U> {
        let mut this = self.project();
        let mut turn = Turn::default();
        loop {
            ready!(turn.poll_item(cx));
            let goes_on = match ready!(this.stream.as_mut().poll_next(cx)) {
                Some(item) => U::add(this.part, item),
                None => false,
            };
            if !goes_on {
                return Poll::Ready(U::end(this.part));
            }
        }
    }
}

impl<S: Stream + fmt::Debug, U: FromStream<S::Item>> fmt::Debug for Collect<S, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collect")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
