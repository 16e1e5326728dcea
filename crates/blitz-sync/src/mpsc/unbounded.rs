//! The channel that takes what comes.

use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::task::{Context, Poll};

use blitz_core::primitive::sync::Arc;

use super::channel::{Channel, Receiving, Unbounded};
use super::error::{SendError, TryRecvError};
use crate::blocking::block_on;
use crate::called::called;
use crate::cooperative::cooperative;
use crate::spans::Resource;

type Shared<T> = Channel<T, Unbounded>;

/// A channel that takes as many values as come. A receiver that is slower than its senders will use up the memory.
///
/// # Examples
/// ```
/// use blitz_sync::mpsc;
/// # futures::executor::block_on(async {
/// let (sender, mut receiver) = mpsc::unbounded_channel();
/// sender.send("hello").expect("the receiver is there");
/// assert_eq!(receiver.recv().await, Some("hello"));
/// drop(receiver);
/// assert_eq!(sender.send("too late").unwrap_err().0, "too late");
/// # });
/// ```
#[track_caller]
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let resource = Resource::mpsc(Location::caller());
    let channel = Channel::new(Unbounded { resource }, 0);
    let sender = UnboundedSender {
        channel: Arc::clone(&channel),
    };
    let receiver = UnboundedReceiver {
        receiving: Receiving::new(channel),
    };
    (sender, receiver)
}

/// Sends values into an [`unbounded_channel`]. Clones are cheap; the channel ends when the last one goes.
pub struct UnboundedSender<T> {
    channel: Arc<Shared<T>>,
}

impl<T> UnboundedSender<T> {
    /// Sends `value`. Never waits.
    ///
    /// That it was taken is no promise that it will be received: the receiver may go.
    ///
    /// # Errors
    /// The value comes back if the receiver is gone or closed.
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.channel.push(value).map_err(SendError)
    }

    /// Waits until the receiver is gone or closed.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        called!("mpsc::UnboundedSender::closed", async move {
            cooperative(async {
                // Made before the look: no end is missed between the two.
                let closed = self.channel.closed().notified();
                if !self.is_closed() {
                    closed.await;
                }
            })
            .await;
        })
    }

    /// Whether the receiver is gone or closed.
    pub fn is_closed(&self) -> bool {
        self.channel.list_is_closed()
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.channel.is(&other.channel)
    }

    /// A handle that does not keep the channel open.
    #[must_use = "a weak handle that is dropped does nothing"]
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        self.channel.enter_weak();
        WeakUnboundedSender {
            channel: Arc::clone(&self.channel),
        }
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.channel.senders()
    }

    /// How many weak handles there are.
    pub fn weak_count(&self) -> usize {
        self.channel.weak_senders()
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        self.channel.enter();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for UnboundedSender<T> {
    fn drop(&mut self) {
        self.channel.leave();
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// An [`UnboundedSender`] that does not keep its channel open.
pub struct WeakUnboundedSender<T> {
    channel: Arc<Shared<T>>,
}

impl<T> WeakUnboundedSender<T> {
    /// A sender, unless the last one is gone.
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        self.channel.try_enter().then(|| UnboundedSender {
            channel: Arc::clone(&self.channel),
        })
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.channel.senders()
    }

    /// How many weak handles there are.
    pub fn weak_count(&self) -> usize {
        self.channel.weak_senders()
    }
}

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> Self {
        self.channel.enter_weak();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for WeakUnboundedSender<T> {
    fn drop(&mut self) {
        self.channel.leave_weak();
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakUnboundedSender")
            .finish_non_exhaustive()
    }
}

/// Receives the values of an [`unbounded_channel`], in the order in which they were sent.
pub struct UnboundedReceiver<T> {
    receiving: Receiving<T, Unbounded>,
}

impl<T> UnboundedReceiver<T> {
    /// Waits for the next value. Returns `None` once the channel has ended and everything was received.
    ///
    /// # Cancel safety
    /// Safe: a value leaves the channel in the poll that returns it.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        let operation = self.receiving.operation("mpsc::UnboundedReceiver::recv");
        operation.around(called!("mpsc::UnboundedReceiver::recv", async move {
            if let Some(value) = self.receiving.recv_now() {
                return Some(value);
            }
            poll_fn(|cx| self.poll_recv(cx)).await
        }))
    }

    /// Waits for values, and appends up to `limit` of them to `buffer`, without waiting for the channel to hold so many.
    ///
    /// Returns how many it was: 0 once the channel has ended and everything was received, or if `limit` is 0.
    ///
    /// # Cancel safety
    /// Safe: values leave the channel in the poll that returns their number.
    #[track_caller]
    pub fn recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> impl Future<Output = usize> {
        let operation = self
            .receiving
            .operation("mpsc::UnboundedReceiver::recv_many");
        operation.around(called!("mpsc::UnboundedReceiver::recv_many", async move {
            poll_fn(|cx| self.poll_recv_many(cx, buffer, limit)).await
        }))
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    /// If there is none; and whether one may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.receiving.try_recv()
    }

    /// Waits for the next value on a thread that runs no tasks.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Option<T> {
        block_on("mpsc::UnboundedReceiver::blocking_recv", self.recv())
    }

    /// Waits for values on a thread that runs no tasks; see [`recv_many`](Self::recv_many).
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        block_on(
            "mpsc::UnboundedReceiver::blocking_recv_many",
            self.recv_many(buffer, limit),
        )
    }

    /// Takes no more values: who sends is told. What was sent can still be received.
    pub fn close(&mut self) {
        self.receiving.close();
    }

    /// Whether the channel has ended: by [`close`](Self::close), or since every sender is gone.
    pub fn is_closed(&self) -> bool {
        self.receiving.is_closed()
    }

    /// Whether there is nothing to be received now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values are there to be received.
    pub fn len(&self) -> usize {
        self.receiving.len()
    }

    /// Ready with the next value, or with `None` once the channel has ended and everything was received.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiving.poll_recv(cx)
    }

    /// Ready with the number of values appended to `buffer`; see [`recv_many`](Self::recv_many).
    pub fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        self.receiving.poll_recv_many(cx, buffer, limit)
    }

    /// How many senders there are.
    pub fn sender_strong_count(&self) -> usize {
        self.receiving.channel().senders()
    }

    /// How many weak handles there are.
    pub fn sender_weak_count(&self) -> usize {
        self.receiving.channel().weak_senders()
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.receiving.fmt(f)
    }
}

const _: () = {
    const fn shared<T: Send + Sync + Unpin>() {}
    shared::<UnboundedSender<std::cell::Cell<u8>>>();
    shared::<WeakUnboundedSender<std::cell::Cell<u8>>>();
    shared::<UnboundedReceiver<std::cell::Cell<u8>>>();
};
