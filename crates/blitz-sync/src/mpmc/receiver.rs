//! The end that receives.

use std::fmt;
use std::iter::FusedIterator;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::Arc;
use futures_core::Stream;

use super::channel::{Channel, ForValues, Receiving};
use super::end::end;
use super::error::{RecvTimeoutError, TryRecvError};
use crate::blocking::{block_on, block_on_until};
use crate::waiters::Wait;

/// Receives values of a [`channel`](super::channel) or an [`unbounded_channel`](super::unbounded_channel), in the order in which
/// they were sent; each value goes to one receiver.
///
/// Clones are cheap; the channel is closed when the last one goes, and what is in it is dropped.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Receiver<T> {
    /// The caller has counted it.
    pub(super) fn entered(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Waits for the next value. Returns `None` once the channel is closed and everything was received.
    ///
    /// # Cancel safety
    /// Safe: a value leaves the channel in the poll that returns it. One that was woken and is dropped wakes the next.
    #[inline]
    pub fn recv(&self) -> impl Future<Output = Option<T>> {
        Receiving::new(&self.channel)
    }

    /// Waits for values, and appends up to `limit` of them to `buffer`, without waiting for the channel to hold so many.
    ///
    /// Returns how many it was: 0 once the channel is closed and everything was received, or if `limit` is 0.
    ///
    /// # Cancel safety
    /// Safe: values leave the channel in the poll that returns their number.
    pub async fn recv_many(&self, buffer: &mut Vec<T>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let Some(first) = self.recv().await else {
            return 0;
        };
        buffer.push(first);
        let before = buffer.len();
        buffer.extend(self.try_iter().take(limit - 1));
        1 + buffer.len() - before
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    /// If there is none; and whether one may still come.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_recv()
    }

    /// Waits for the next value on a thread that runs no tasks.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv(&self) -> Option<T> {
        block_on("mpmc::Receiver::blocking_recv", self.recv())
    }

    /// Waits for values on a thread that runs no tasks; see [`recv_many`](Self::recv_many).
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv_many(&self, buffer: &mut Vec<T>, limit: usize) -> usize {
        block_on(
            "mpmc::Receiver::blocking_recv_many",
            self.recv_many(buffer, limit),
        )
    }

    /// Waits for the next value on a thread that runs no tasks, as long as `timeout`.
    ///
    /// # Errors
    /// If none came in time, or the channel is closed and everything was received.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let receiving = pin!(Receiving::new(&self.channel));
        // A deadline beyond what the clock counts is none.
        let deadline = Instant::now().checked_add(timeout);
        let what = "mpmc::Receiver::blocking_recv_timeout";
        match block_on_until(what, deadline, receiving) {
            Some(value) => value.ok_or(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The values that are there, one after the other, until there is none. Never waits.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// The values to come, until the channel is closed; waits for each on a thread that runs no tasks.
    ///
    /// # Panics
    /// [`next`](Iterator::next) does, on a thread that runs tasks.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::mpmc;
    ///
    /// let (sender, receiver) = mpmc::channel(4);
    /// let sending = std::thread::spawn(move || {
    ///     for value in 0..100 {
    ///         sender.blocking_send(value).expect("the receiver is there");
    ///     }
    /// });
    /// assert_eq!(receiver.blocking_iter().sum::<u32>(), 4950);
    /// sending.join().unwrap();
    /// ```
    pub fn blocking_iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// The values to come, as a stream; it ends once the channel is closed and everything was received.
    ///
    /// A stream that was polled and has no value yet keeps its place in the line, and may be the one that the next value wakes:
    /// drop what is not going to be polled.
    ///
    /// # Cancel safety
    /// The stream is safe to drop between two values, and while it waits for one: a value leaves the channel in the poll that
    /// returns it.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::mpmc;
    /// use futures::StreamExt;
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = mpmc::channel(4);
    /// for value in 1..=3 {
    ///     sender.send(value).await.expect("the receiver is there");
    /// }
    /// drop(sender);
    /// let squares = receiver.into_stream().map(|value| value * value);
    /// assert_eq!(squares.collect::<Vec<_>>().await, [1, 4, 9]);
    /// # });
    /// ```
    pub fn into_stream(self) -> RecvStream<T> {
        RecvStream {
            wait: Wait::new(ForValues(Arc::clone(&self.channel))),
            receiver: self,
        }
    }
}

end!(Receiver, WeakReceiver, receivers, receiver_leaves);

pin_project_lite::pin_project! {
    /// The values to come, as a stream; see [`Receiver::into_stream`].
    #[must_use = "streams do nothing unless polled"]
    pub struct RecvStream<T> {
        #[pin]
        wait: Wait<ForValues<T>>,
        // Behind the wait, which leaves the line first.
        receiver: Receiver<T>,
    }
}

impl<T> RecvStream<T> {
    /// The receiver, to be used beside the stream.
    pub fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }
}

impl<T> Stream for RecvStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        this.receiver.channel.poll_recv(this.wait, cx)
    }
}

impl<T> fmt::Debug for RecvStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvStream").field(&self.receiver).finish()
    }
}

/// The values that are there; see [`Receiver::try_iter`].
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryIter").field(self.receiver).finish()
    }
}

/// The values to come, for a thread; see [`Receiver::blocking_iter`].
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.blocking_recv()
    }
}

/// A closed channel takes no more values, so an end is for good.
impl<T> FusedIterator for Iter<'_, T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(self.receiver).finish()
    }
}
