//! The end that sends.

use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

use blitz_core::primitive::sync::Arc;

use super::channel::{Channel, Sending};
use super::end::end;
use super::error::{SendError, SendTimeoutError, TrySendError};
use crate::blocking::{block_on, block_on_until};
use crate::sleep::within;

/// Sends values into a [`channel`](super::channel) or an [`unbounded_channel`](super::unbounded_channel).
///
/// Clones are cheap; the channel is closed when the last one goes.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    /// The caller has counted it.
    pub(super) fn entered(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Sends `value`, waiting until there is room. An unbounded channel always has room.
    ///
    /// That it was taken is no promise that it will be received: the receivers may go.
    ///
    /// # Cancel safety
    /// Dropped, the value was not sent, and is dropped with it; its place in the line goes to the next.
    ///
    /// # Errors
    /// The value comes back if the channel is closed.
    #[inline]
    pub fn send(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        Sending::new(&self.channel, value)
    }

    /// Sends `value` if there is room.
    ///
    /// # Errors
    /// The value comes back, with the reason.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send(value)
    }

    /// Sends `value`; if there is no room, in place of the oldest value, which it returns. Never waits.
    ///
    /// # Errors
    /// The value comes back if the channel is closed.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::mpmc;
    ///
    /// let (sender, receiver) = mpmc::channel(1);
    /// assert_eq!(sender.force_send(1), Ok(None));
    /// assert_eq!(sender.force_send(2), Ok(Some(1)));
    /// assert_eq!(receiver.try_recv(), Ok(2));
    /// ```
    pub fn force_send(&self, value: T) -> Result<Option<T>, SendError<T>> {
        self.channel.displace(value)
    }

    /// Sends `value`, waiting for room as long as `timeout`, on a Blitz runtime, whose timer it uses.
    ///
    /// If there is room it needs no timer; else it allocates one. Under another executor, race [`send`](Self::send) against a
    /// timer of that one's.
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    ///
    /// # Errors
    /// The value comes back if there was no room in time, or the channel is closed.
    ///
    /// # Panics
    /// If it has to wait and there is no runtime.
    pub async fn send_timeout(
        &self,
        value: T,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        let value = match self.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(value)) => return Err(SendTimeoutError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let mut sending = pin!(Sending::new(&self.channel, value));
        match within("mpmc::Sender::send_timeout", timeout, sending.as_mut()).await {
            Some(Ok(())) => Ok(()),
            Some(Err(SendError(value))) => Err(SendTimeoutError::Closed(value)),
            None => {
                let value = sending.take_value().expect("it was not sent");
                Err(SendTimeoutError::Timeout(value))
            }
        }
    }

    /// Sends `value` from a thread that runs no tasks, waiting until there is room.
    ///
    /// # Errors
    /// The value comes back if the channel is closed.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        block_on("mpmc::Sender::blocking_send", self.send(value))
    }

    /// Sends `value` from a thread that runs no tasks, waiting for room as long as `timeout`.
    ///
    /// # Errors
    /// The value comes back if there was no room in time, or the channel is closed.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_send_timeout(
        &self,
        value: T,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        let mut sending = pin!(Sending::new(&self.channel, value));
        // A deadline beyond what the clock counts is none.
        let deadline = Instant::now().checked_add(timeout);
        let what = "mpmc::Sender::blocking_send_timeout";
        match block_on_until(what, deadline, sending.as_mut()) {
            Some(Ok(())) => Ok(()),
            Some(Err(SendError(value))) => Err(SendTimeoutError::Closed(value)),
            None => {
                let value = sending.take_value().expect("it was not sent");
                Err(SendTimeoutError::Timeout(value))
            }
        }
    }

    /// A receiver of this channel, unless the last one is gone.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::mpmc;
    ///
    /// let (sender, receiver) = mpmc::channel(1);
    /// let another = sender.subscribe().expect("a receiver is there");
    /// sender.try_send(1).unwrap();
    /// assert_eq!(another.try_recv(), Ok(1));
    /// drop((receiver, another));
    /// assert!(sender.subscribe().is_none());
    /// ```
    pub fn subscribe(&self) -> Option<super::Receiver<T>> {
        self.channel
            .receivers
            .try_enter()
            .then(|| super::Receiver::entered(Arc::clone(&self.channel)))
    }
}

end!(Sender, WeakSender, senders, sender_leaves);
