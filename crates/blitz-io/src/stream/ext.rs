//! The methods of every stream.

use std::future::Future;
use std::time::Duration;

use futures_core::Stream;

use super::adapters::{
    Chain, ChunksTimeout, Filter, FilterMap, Fuse, Map, MapWhile, Merge, Peekable, Skip, SkipWhile,
    Take, TakeWhile, Then, Throttle, Timeout, TimeoutRepeating,
};
use super::collect::FromStream;
use super::futures::{All, Any, Collect, Fold, Next, TryNext};
use crate::time::Interval;

/// The methods of every [`Stream`].
///
/// A method that makes a stream loses nothing when a wait for its next item is dropped, unless it says otherwise: what has come
/// stays inside.
pub trait StreamExt: Stream {
    /// Waits for the next item; `None` when the stream has ended.
    ///
    /// # Cancel safety
    /// Safe: an item is taken in the poll that returns it; what the stream has begun to do stays in the stream.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut numbers = stream::iter([1]);
    /// assert_eq!(numbers.next().await, Some(1));
    /// assert_eq!(numbers.next().await, None);
    /// # }
    /// ```
    fn next(&mut self) -> Next<'_, Self>
    where
        Self: Unpin,
    {
        Next::new(self)
    }

    /// Waits for the next item of a stream of results, and turns it inside out for `?`.
    ///
    /// # Cancel safety
    /// Safe, as [`next`](Self::next).
    ///
    /// # Errors
    /// The item, if it is an error. The stream may go on after it.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut results = stream::iter([Ok(1), Err("no")]);
    /// assert_eq!(results.try_next().await, Ok(Some(1)));
    /// assert_eq!(results.try_next().await, Err("no"));
    /// assert_eq!(results.try_next().await, Ok(None));
    /// # }
    /// ```
    fn try_next<T, E>(&mut self) -> TryNext<'_, Self>
    where
        Self: Stream<Item = Result<T, E>> + Unpin,
    {
        TryNext::new(self)
    }

    /// Calls `f` with each item and gives what it returns.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let doubled: Vec<_> = stream::iter([1, 2]).map(|x| x * 2).collect().await;
    /// assert_eq!(doubled, [2, 4]);
    /// # }
    /// ```
    fn map<T, F: FnMut(Self::Item) -> T>(self, f: F) -> Map<Self, F>
    where
        Self: Sized,
    {
        Map::new(self, f)
    }

    /// Calls `f` with each item and gives what it returns, until that is `None`.
    ///
    /// The stream ends there, and stays ended when it is polled on.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let digits: Vec<_> = stream::iter("12x4".chars()).map_while(|c| c.to_digit(10)).collect().await;
    /// assert_eq!(digits, [1, 2]);
    /// # }
    /// ```
    fn map_while<T, F: FnMut(Self::Item) -> Option<T>>(self, f: F) -> MapWhile<Self, F>
    where
        Self: Sized,
    {
        MapWhile::new(self, f)
    }

    /// Calls `f` with each item and gives what the future that it returns comes to, one after the other.
    ///
    /// # Cancel safety
    /// A [`next`](Self::next) of it that is dropped loses nothing: the future stays in the stream and goes on with the next poll.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let all: Vec<_> = stream::iter([1, 2]).then(|x| async move { x + 1 }).collect().await;
    /// assert_eq!(all, [2, 3]);
    /// # }
    /// ```
    fn then<Fut: Future, F: FnMut(Self::Item) -> Fut>(self, f: F) -> Then<Self, Fut, F>
    where
        Self: Sized,
    {
        Then::new(self, f)
    }

    /// Gives the items of both streams as they come.
    ///
    /// When both have one, they take turns. It ends when both have ended. For more streams than two, use [`StreamMap`](super::StreamMap).
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let all: Vec<_> = stream::iter([1, 3]).merge(stream::iter([2, 4, 6])).collect().await;
    /// assert_eq!(all, [1, 2, 3, 4, 6]);
    /// # }
    /// ```
    fn merge<U: Stream<Item = Self::Item>>(self, other: U) -> Merge<Self, U>
    where
        Self: Sized,
    {
        Merge::new(self, other)
    }

    /// Gives the items for which `f` is true.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let even: Vec<_> = stream::iter(0..6).filter(|x| x % 2 == 0).collect().await;
    /// assert_eq!(even, [0, 2, 4]);
    /// # }
    /// ```
    fn filter<F: FnMut(&Self::Item) -> bool>(self, f: F) -> Filter<Self, F>
    where
        Self: Sized,
    {
        Filter::new(self, f)
    }

    /// Calls `f` with each item and gives what it returns, without the `None`s.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let digits: Vec<_> = stream::iter("1x3".chars()).filter_map(|c| c.to_digit(10)).collect().await;
    /// assert_eq!(digits, [1, 3]);
    /// # }
    /// ```
    fn filter_map<T, F: FnMut(Self::Item) -> Option<T>>(self, f: F) -> FilterMap<Self, F>
    where
        Self: Sized,
    {
        FilterMap::new(self, f)
    }

    /// Stays ended once it has ended, and drops the stream then.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut none = stream::iter([1]).fuse();
    /// assert_eq!(none.next().await, Some(1));
    /// assert_eq!((none.next().await, none.next().await), (None, None));
    /// # }
    /// ```
    fn fuse(self) -> Fuse<Self>
    where
        Self: Sized,
    {
        Fuse::new(self)
    }

    /// Gives the first `n` items at most.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let two: Vec<_> = stream::iter(1..).take(2).collect().await;
    /// assert_eq!(two, [1, 2]);
    /// # }
    /// ```
    fn take(self, n: usize) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, n)
    }

    /// Gives items until `f` is false for one, which is lost.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let small: Vec<_> = stream::iter(1..).take_while(|x| *x < 3).collect().await;
    /// assert_eq!(small, [1, 2]);
    /// # }
    /// ```
    fn take_while<F: FnMut(&Self::Item) -> bool>(self, f: F) -> TakeWhile<Self, F>
    where
        Self: Sized,
    {
        TakeWhile::new(self, f)
    }

    /// Leaves out the first `n` items.
    ///
    /// # Cancel safety
    /// A [`next`](Self::next) of it that is dropped loses nothing: what was left out is counted.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let rest: Vec<_> = stream::iter(1..=4).skip(2).collect().await;
    /// assert_eq!(rest, [3, 4]);
    /// # }
    /// ```
    fn skip(self, n: usize) -> Skip<Self>
    where
        Self: Sized,
    {
        Skip::new(self, n)
    }

    /// Leaves out items until `f` is false for one, which is given, and all after it.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let rest: Vec<_> = stream::iter([1, 5, 2]).skip_while(|x| *x < 3).collect().await;
    /// assert_eq!(rest, [5, 2]);
    /// # }
    /// ```
    fn skip_while<F: FnMut(&Self::Item) -> bool>(self, f: F) -> SkipWhile<Self, F>
    where
        Self: Sized,
    {
        SkipWhile::new(self, f)
    }

    /// Waits until `f` is false for an item, or the stream ends; whether it was true for all of them.
    ///
    /// # Cancel safety
    /// Not safe: the items that were asked about are gone.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut numbers = stream::iter([1, -2, 3]);
    /// assert!(!numbers.all(|x| x > 0).await);
    /// assert_eq!(numbers.next().await, Some(3));
    /// # }
    /// ```
    fn all<F: FnMut(Self::Item) -> bool>(&mut self, f: F) -> All<'_, Self, F>
    where
        Self: Unpin,
    {
        All::new(self, f)
    }

    /// Waits until `f` is true for an item, or the stream ends; whether it was true for one.
    ///
    /// # Cancel safety
    /// Not safe: the items that were asked about are gone.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut numbers = stream::iter([1, -2, 3]);
    /// assert!(numbers.any(|x| x < 0).await);
    /// assert_eq!(numbers.next().await, Some(3));
    /// # }
    /// ```
    fn any<F: FnMut(Self::Item) -> bool>(&mut self, f: F) -> Any<'_, Self, F>
    where
        Self: Unpin,
    {
        Any::new(self, f)
    }

    /// Gives all items of this stream, then all of `other`.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let all: Vec<_> = stream::iter([1, 2]).chain(stream::once(3)).collect().await;
    /// assert_eq!(all, [1, 2, 3]);
    /// # }
    /// ```
    fn chain<U: Stream<Item = Self::Item>>(self, other: U) -> Chain<Self, U>
    where
        Self: Sized,
    {
        Chain::new(self, other)
    }

    /// Calls `f` with `first` and the first item, with what that returned and the second, and so on; waits for the last.
    ///
    /// # Cancel safety
    /// Not safe: the stream is dropped with it, and what was folded.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let sum = stream::iter([1, 2, 3]).fold(0, |sum, x| sum + x).await;
    /// assert_eq!(sum, 6);
    /// # }
    /// ```
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, first: B, f: F) -> Fold<Self, B, F>
    where
        Self: Sized,
    {
        Fold::new(self, first, f)
    }

    /// Waits for all items and gathers them: in a `Vec`, a `String`, a map, or a `Result` of these.
    ///
    /// Collecting `Result`s ends at the first error, collecting `Option`s at the first `None`.
    ///
    /// # Cancel safety
    /// Not safe: the stream is dropped with it, and what was gathered.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let text: String = stream::iter(["a", "b"]).collect().await;
    /// assert_eq!(text, "ab");
    /// let failed: Result<Vec<u8>, &str> = stream::iter([Ok(1), Err("no"), Ok(2)]).collect().await;
    /// assert_eq!(failed, Err("no"));
    /// # }
    /// ```
    fn collect<U: FromStream<Self::Item>>(self) -> Collect<Self, U>
    where
        Self: Sized,
    {
        Collect::new(self)
    }

    /// Gives each item as `Ok`, and an [`Elapsed`](super::Elapsed) when none came for `duration`.
    ///
    /// The time counts from this call, then from each item. After an error it is not measured until an item comes: a silence is told once.
    ///
    /// # Cancel safety
    /// A [`next`](Self::next) of it that is dropped loses nothing, and the time runs on.
    ///
    /// # Panics
    /// Outside of a runtime.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    /// use blitz_io::time::Duration;
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let slow = stream::once(1).chain(stream::pending()).timeout(Duration::from_millis(2));
    /// blitz_io::pin!(slow);
    /// assert_eq!(slow.next().await, Some(Ok(1)));
    /// assert!(slow.next().await.is_some_and(|item| item.is_err()));
    /// # }
    /// ```
    #[track_caller]
    fn timeout(self, duration: Duration) -> Timeout<Self>
    where
        Self: Sized,
    {
        Timeout::new(self, duration)
    }

    /// Gives each item as `Ok`, and an [`Elapsed`](super::Elapsed) for each tick of `interval` meanwhile.
    ///
    /// Each item resets the interval. The first tick of [`interval`](crate::time::interval()) is due at once: use [`interval_at`](crate::time::interval_at) to begin later.
    ///
    /// # Cancel safety
    /// A [`next`](Self::next) of it that is dropped loses nothing, and the time runs on.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    /// use blitz_io::time::{Duration, interval};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let ticks = interval(Duration::from_millis(1));
    /// let mut silent = stream::pending::<u8>().timeout_repeating(ticks);
    /// for _ in 0..3 {
    ///     assert!(silent.next().await.is_some_and(|item| item.is_err()));
    /// }
    /// # }
    /// ```
    fn timeout_repeating(self, interval: Interval) -> TimeoutRepeating<Self>
    where
        Self: Sized,
    {
        TimeoutRepeating::new(self, interval)
    }

    /// Gives an item at most every `duration`: the first at once, each other no sooner than `duration` after the one before.
    ///
    /// # Cancel safety
    /// A [`next`](Self::next) of it that is dropped loses nothing, and the time runs on.
    ///
    /// # Panics
    /// The stream panics when it is polled outside of a runtime.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    /// use blitz_io::time::{Duration, Instant};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let begun = Instant::now();
    /// let all: Vec<_> = stream::iter([1, 2, 3]).throttle(Duration::from_millis(2)).collect().await;
    /// assert_eq!(all, [1, 2, 3]);
    /// assert!(begun.elapsed() >= Duration::from_millis(4));
    /// # }
    /// ```
    fn throttle(self, duration: Duration) -> Throttle<Self>
    where
        Self: Sized,
    {
        Throttle::new(self, duration)
    }

    /// Gathers items in vectors of `max_size`; one is given sooner when its first item is `duration` old, or the stream ends.
    ///
    /// # Cancel safety
    /// A [`next`](Self::next) of it that is dropped loses nothing: the chunk that was begun stays in the stream.
    ///
    /// # Panics
    /// If `max_size` is 0. The stream panics when it is polled outside of a runtime.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    /// use blitz_io::time::Duration;
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let chunks: Vec<_> = stream::iter(1..=5).chunks_timeout(2, Duration::from_secs(9)).collect().await;
    /// assert_eq!(chunks, [vec![1, 2], vec![3, 4], vec![5]]);
    /// # }
    /// ```
    #[track_caller]
    fn chunks_timeout(self, max_size: usize, duration: Duration) -> ChunksTimeout<Self>
    where
        Self: Sized,
    {
        ChunksTimeout::new(self, max_size, duration)
    }

    /// Lets the next item be looked at before it is taken: [`Peekable::peek`].
    ///
    /// # Examples
    /// ```
    /// use blitz_io::stream::{self, StreamExt};
    ///
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut numbers = stream::iter([1]).peekable();
    /// assert_eq!(numbers.peek().await, Some(&1));
    /// assert_eq!(numbers.next().await, Some(1));
    /// assert_eq!(numbers.peek().await, None);
    /// # }
    /// ```
    fn peekable(self) -> Peekable<Self>
    where
        Self: Sized,
    {
        Peekable::new(self)
    }
}

impl<S: Stream + ?Sized> StreamExt for S {}
