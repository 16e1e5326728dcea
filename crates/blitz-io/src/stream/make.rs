//! Streams of values that are there, of one, of none, and of none ever.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use futures_core::Stream;

/// The values of an iterator, as a stream.
///
/// Each takes a unit of its task's budget, so that a loop over it lets other tasks run.
///
/// # Examples
/// ```
/// use blitz_io::stream::{self, StreamExt};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut numbers = stream::iter([1, 2]);
/// assert_eq!(numbers.next().await, Some(1));
/// assert_eq!(numbers.next().await, Some(2));
/// assert_eq!(numbers.next().await, None);
/// # }
/// ```
pub fn iter<I: IntoIterator>(values: I) -> Iter<I::IntoIter> {
    Iter {
        values: values.into_iter(),
    }
}

/// The stream of [`iter`].
#[derive(Clone, Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Iter<I> {
    values: I,
}

// The iterator is not pinned.
impl<I> Unpin for Iter<I> {}

impl<I: Iterator> Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        ready!(budget::poll_proceed(cx)).made_progress();
        Poll::Ready(self.values.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.values.size_hint()
    }
}

/// A stream of one value.
///
/// # Examples
/// ```
/// use blitz_io::stream::{self, StreamExt};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let all: Vec<_> = stream::once(7).collect().await;
/// assert_eq!(all, [7]);
/// # }
/// ```
pub fn once<T>(value: T) -> Once<T> {
    Once { value: Some(value) }
}

/// The stream of [`once`].
#[derive(Clone, Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Once<T> {
    value: Option<T>,
}

impl<T> Unpin for Once<T> {}

impl<T> Stream for Once<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.value.take())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.value.is_some());
        (left, Some(left))
    }
}

/// A stream of no values.
///
/// # Examples
/// ```
/// use blitz_io::stream::{self, StreamExt};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(stream::empty::<u8>().next().await, None);
/// # }
/// ```
pub const fn empty<T>() -> Empty<T> {
    Empty(PhantomData)
}

/// The stream of [`empty`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Empty<T>(PhantomData<fn() -> T>);

impl<T> Stream for Empty<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(0))
    }
}

/// A stream that gives nothing and does not end.
///
/// # Examples
/// ```
/// use blitz_io::stream::{self, StreamExt};
/// use blitz_io::time::{Duration, timeout};
///
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut never = stream::pending::<u8>();
/// assert!(timeout(Duration::from_millis(1), never.next()).await.is_err());
/// # }
/// ```
pub const fn pending<T>() -> Pending<T> {
    Pending(PhantomData)
}

/// The stream of [`pending`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Pending<T>(PhantomData<fn() -> T>);

impl<T> Stream for Pending<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Pending
    }
}
