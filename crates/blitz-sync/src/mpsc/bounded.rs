//! The channel that takes so many values and no more.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blitz_core::budget;
use blitz_core::primitive::sync::Arc;
use blitz_core::register::Call;

use super::channel::{Channel, Receiving};
use super::claiming::Claiming;
use super::error::{SendError, SendTimeoutError, TryRecvError, TrySendError};
use super::permit::{OwnedPermit, Permit, PermitIterator};
use super::room::Bounded;
use crate::acquire_error::TryAcquireError;
use crate::blocking::block_on;
use crate::called::{call, called};
use crate::cooperative::cooperative;
use crate::permits::{self, Permits};
use crate::sleep::within;
use crate::spans::Spans;

pub(super) type Shared<T> = Channel<T, Bounded>;

/// A channel that holds up to `buffer` values.
///
/// # Panics
/// If `buffer` is 0, or above `usize::MAX >> 3`.
///
/// # Examples
/// ```
/// use blitz_sync::mpsc;
/// # futures::executor::block_on(async {
/// let (sender, mut receiver) = mpsc::channel(2);
/// for value in 1..=2 {
///     sender.send(value).await.expect("the receiver is there");
/// }
/// assert!(sender.try_send(3).is_err(), "there is no room");
/// drop(sender);
/// assert_eq!(receiver.recv().await, Some(1));
/// assert_eq!(receiver.recv().await, Some(2));
/// assert_eq!(receiver.recv().await, None);
/// # });
/// ```
#[track_caller]
pub fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
    assert!(buffer > 0, "mpsc bounded channel requires buffer > 0");
    assert!(
        buffer <= permits::MAX,
        "a bounded channel may not hold more than {} values",
        permits::MAX
    );
    let in_word = Bounded::in_word(buffer);
    let permits = Permits::open(buffer - in_word).told_of(Spans::room(buffer, Location::caller()));
    let channel = Channel::new(Bounded::new(permits, buffer), in_word);
    let sender = Sender {
        channel: Arc::clone(&channel),
    };
    let receiver = Receiver {
        receiving: Receiving::new(channel),
    };
    (sender, receiver)
}

/// Sends values into a [`channel`]. Clones are cheap; the channel ends when the last one goes.
pub struct Sender<T> {
    channel: Arc<Shared<T>>,
}

/// Tells the receiver, when a wait for room is over or dropped, if that was what it waited for.
struct Waiting<'a, T>(&'a Shared<T>);

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0.unused_room();
    }
}

impl<T> Sender<T> {
    pub(super) fn channel(&self) -> &Arc<Shared<T>> {
        &self.channel
    }

    /// Sends `value`, waiting until there is room.
    ///
    /// That it was taken is no promise that it will be received: the receiver may go.
    ///
    /// # Cancel safety
    /// Dropped, the value was not sent, and is dropped with it; its place in the line goes to the next. To keep the value, wait
    /// with [`reserve`](Self::reserve).
    ///
    /// # Errors
    /// The value comes back if the receiver is gone or closed.
    #[track_caller]
    pub fn send(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        let call = call!("mpsc::Sender::send");
        let operation = self
            .channel
            .bound
            .permits()
            .spans()
            .operation(call.site.what);
        operation.around(async move {
            // Mostly that is all: a future for it would be kept while it is asked.
            if let Some(claimed) = self.channel.claim_now() {
                claimed.fill(value);
                return Ok(());
            }
            if let Some(claimed) = Claiming(&self.channel).await {
                claimed.fill(value);
                return Ok(());
            }
            match self.room_to_send(call).await {
                Ok(()) => {
                    self.fill(value);
                    Ok(())
                }
                Err(SendError(())) => Err(SendError(value)),
            }
        })
    }

    /// Sends `value` if there is room, and nobody waits for it.
    ///
    /// # Errors
    /// The value comes back, with the reason.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.channel.try_push(value)
    }

    /// Sends `value`, waiting for room as long as `timeout`, on a Blitz runtime, whose timer it uses.
    ///
    /// If there is room it needs no timer; else it allocates one. Under another executor, race [`reserve`](Self::reserve)
    /// against a timer of that one's.
    ///
    /// # Cancel safety
    /// As for [`send`](Self::send).
    ///
    /// # Errors
    /// The value comes back if there was no room in time, or the receiver is gone or closed.
    ///
    /// # Panics
    /// If it has to wait and there is no runtime.
    #[track_caller]
    pub fn send_timeout(
        &self,
        value: T,
        timeout: Duration,
    ) -> impl Future<Output = Result<(), SendTimeoutError<T>>> {
        let call = call!("mpsc::Sender::send_timeout");
        let operation = self
            .channel
            .bound
            .permits()
            .spans()
            .operation(call.site.what);
        operation.around(self.send_within(value, timeout, call))
    }

    async fn send_within(
        &self,
        value: T,
        timeout: Duration,
        call: Call,
    ) -> Result<(), SendTimeoutError<T>> {
        let value = match self.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(value)) => return Err(SendTimeoutError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let room = pin!(self.room(1, call));
        match within("mpsc::Sender::send_timeout", timeout, room).await {
            Some(Ok(())) => {
                self.fill(value);
                Ok(())
            }
            Some(Err(SendError(()))) => Err(SendTimeoutError::Closed(value)),
            None => Err(SendTimeoutError::Timeout(value)),
        }
    }

    /// Sends `value` from a thread that runs no tasks, waiting until there is room.
    ///
    /// # Errors
    /// The value comes back if the receiver is gone or closed.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        block_on("mpsc::Sender::blocking_send", self.send(value))
    }

    /// Waits for room for one value, and keeps it.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line.
    ///
    /// # Errors
    /// If the receiver is gone or closed.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::mpsc;
    /// # futures::executor::block_on(async {
    /// let (sender, mut receiver) = mpsc::channel(1);
    /// let room = sender.reserve().await.expect("the receiver is there");
    /// assert!(sender.try_send(1).is_err(), "the room is taken");
    /// room.send(2);
    /// assert_eq!(receiver.recv().await, Some(2));
    /// # });
    /// ```
    #[track_caller]
    pub fn reserve(&self) -> impl Future<Output = Result<Permit<'_, T>, SendError<()>>> {
        let call = call!("mpsc::Sender::reserve");
        let operation = self
            .channel
            .bound
            .permits()
            .spans()
            .operation(call.site.what);
        operation.around(async move {
            self.room(1, call).await?;
            Ok(Permit::new(&self.channel))
        })
    }

    /// Waits for room for `count` values at once, and keeps it.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line, and the room that it had gathered.
    ///
    /// # Errors
    /// If the receiver is gone or closed, or the channel never has so much room.
    #[track_caller]
    pub fn reserve_many(
        &self,
        count: usize,
    ) -> impl Future<Output = Result<PermitIterator<'_, T>, SendError<()>>> {
        let call = call!("mpsc::Sender::reserve_many");
        let operation = self
            .channel
            .bound
            .permits()
            .spans()
            .operation(call.site.what);
        operation.around(async move {
            if count > self.max_capacity() {
                return Err(SendError(()));
            }
            self.room(count, call).await?;
            Ok(PermitIterator::new(&self.channel, count))
        })
    }

    /// Waits for room for one value, and keeps it in place of the sender.
    ///
    /// # Cancel safety
    /// Dropped, it gives up its place in the line, and the sender goes with it.
    ///
    /// # Errors
    /// If the receiver is gone or closed.
    #[track_caller]
    pub fn reserve_owned(self) -> impl Future<Output = Result<OwnedPermit<T>, SendError<()>>> {
        let call = call!("mpsc::Sender::reserve_owned");
        let operation = self
            .channel
            .bound
            .permits()
            .spans()
            .operation(call.site.what);
        operation.around(async move {
            self.room(1, call).await?;
            Ok(OwnedPermit::new(self))
        })
    }

    /// Takes room for one value, if there is some and nobody waits for it.
    ///
    /// # Errors
    /// If there is none, or the receiver is gone or closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        self.try_room(1)?;
        Ok(Permit::new(&self.channel))
    }

    /// Takes room for `count` values, if there is so much and nobody waits for it.
    ///
    /// # Errors
    /// If there is not, or the receiver is gone or closed.
    pub fn try_reserve_many(
        &self,
        count: usize,
    ) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        if count > self.max_capacity() {
            return Err(TrySendError::Full(()));
        }
        self.try_room(count)?;
        Ok(PermitIterator::new(&self.channel, count))
    }

    /// Takes room for one value in place of the sender, if there is some and nobody waits for it.
    ///
    /// # Errors
    /// The sender comes back, with the reason.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        match self.try_room(1) {
            Ok(()) => Ok(OwnedPermit::new(self)),
            Err(TrySendError::Full(())) => Err(TrySendError::Full(self)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(self)),
        }
    }

    /// Waits until the receiver is gone or closed.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        called!("mpsc::Sender::closed", async move {
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
        self.channel.bound.permits().is_closed()
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.channel.is(&other.channel)
    }

    /// How many values there is room for now.
    pub fn capacity(&self) -> usize {
        self.channel.capacity()
    }

    /// How many values the channel holds at most.
    pub fn max_capacity(&self) -> usize {
        self.channel.bound.max
    }

    /// A handle that does not keep the channel open.
    #[must_use = "a weak handle that is dropped does nothing"]
    pub fn downgrade(&self) -> WeakSender<T> {
        self.channel.enter_weak();
        WeakSender {
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

    /// Waits for room to send into, where [`Claiming`] found none.
    #[cold]
    async fn room_to_send(&self, call: Call) -> Result<(), SendError<()>> {
        if self.channel.bound.is_in_word() {
            self.room_in_line(1, call).await
        } else {
            self.room(1, call).await
        }
    }

    /// Waits for room.
    #[inline]
    async fn room(&self, count: usize, call: Call) -> Result<(), SendError<()>> {
        if let Some(result) = poll_fn(|cx| self.poll_room_at_once(count, cx)).await {
            return result;
        }
        self.room_in_line(count, call).await
    }

    /// Room that is there; `None` if one has to stand in line for it.
    #[inline]
    fn poll_room_at_once(
        &self,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(), SendError<()>>>> {
        // Who goes last for want of budget does so in line, if there is too little: see there.
        if self.channel.bound.permits().available() < count && !self.are_permits_coming(count) {
            return Poll::Ready(None);
        }
        let coop = ready!(budget::poll_proceed(cx));
        let result = match self.channel.bound.permits().try_acquire(count) {
            Ok(()) => Ok(()),
            Err(TryAcquireError::Closed) => Err(SendError(())),
            Err(TryAcquireError::NoPermits) => return Poll::Ready(None),
        };
        coop.made_progress();
        Poll::Ready(Some(result))
    }

    /// Whether permits can be made of room that there is, or is within a moment.
    #[cold]
    fn are_permits_coming(&self, count: usize) -> bool {
        let permits = self.channel.bound.permits();
        (self.channel.fetch_permits() && permits.available() >= count)
            || (!permits.is_closed()
                && self.channel.is_room_made()
                && self.channel.fetch_permits()
                && permits.available() >= count)
    }

    #[cold]
    async fn room_in_line(&self, count: usize, call: Call) -> Result<(), SendError<()>> {
        // Dropped after the wait, which may give room back that it was promised.
        let waiting = Waiting(&self.channel);
        let mut wait = pin!(self.channel.bound.permits().acquire(count, call));
        let result = poll_fn(|cx| {
            let was_in_line = wait.is_in_line();
            let polled = wait.as_mut().poll(cx);
            // Whoever makes room looks who waits, and who comes to wait looks for room.
            if !was_in_line && wait.is_in_line() && self.channel.fetch_from_line() {
                return wait.as_mut().poll(cx);
            }
            polled
        })
        .await;
        if result.is_ok() {
            mem::forget(waiting);
        }
        result.map_err(|_| SendError(()))
    }

    fn try_room(&self, count: usize) -> Result<(), TrySendError<()>> {
        match self.channel.try_permits(count) {
            Ok(()) => Ok(()),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(())),
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(())),
        }
    }

    /// Sends into room that the caller has.
    #[inline]
    fn fill(&self, value: T) {
        if self.channel.push(value).is_err() {
            unreachable!("a bounded channel's list is never closed");
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.enter();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.leave();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A [`Sender`] that does not keep its channel open.
pub struct WeakSender<T> {
    channel: Arc<Shared<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, unless the last one is gone.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.channel.try_enter().then(|| Sender {
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

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        self.channel.enter_weak();
        Self {
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.channel.leave_weak();
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").finish_non_exhaustive()
    }
}

/// Receives the values of a [`channel`], in the order in which they were sent.
pub struct Receiver<T> {
    receiving: Receiving<T, Bounded>,
}

impl<T> Receiver<T> {
    /// Waits for the next value. Returns `None` once the channel has ended and everything was received.
    ///
    /// # Cancel safety
    /// Safe: a value leaves the channel in the poll that returns it.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        let operation = self.receiving.operation("mpsc::Receiver::recv");
        operation.around(called!("mpsc::Receiver::recv", async move {
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
        let operation = self.receiving.operation("mpsc::Receiver::recv_many");
        operation.around(called!("mpsc::Receiver::recv_many", async move {
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
        block_on("mpsc::Receiver::blocking_recv", self.recv())
    }

    /// Waits for values on a thread that runs no tasks; see [`recv_many`](Self::recv_many).
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        block_on(
            "mpsc::Receiver::blocking_recv_many",
            self.recv_many(buffer, limit),
        )
    }

    /// Takes no more values: who sends is told. What was sent, or has reserved its room, can still be received.
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

    /// How many values there is room for now.
    pub fn capacity(&self) -> usize {
        self.receiving.channel().capacity()
    }

    /// How many values the channel holds at most.
    pub fn max_capacity(&self) -> usize {
        self.receiving.channel().bound.max
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

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.receiving.fmt(f)
    }
}

const _: () = {
    const fn shared<T: Send + Sync + Unpin>() {}
    shared::<Sender<std::cell::Cell<u8>>>();
    shared::<WeakSender<std::cell::Cell<u8>>>();
    shared::<Receiver<std::cell::Cell<u8>>>();
    const fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    unwind_safe::<Sender<std::cell::Cell<u8>>>();
    unwind_safe::<WeakSender<std::cell::Cell<u8>>>();
    unwind_safe::<Receiver<std::cell::Cell<u8>>>();
    unwind_safe::<super::Permit<'_, std::cell::Cell<u8>>>();
    unwind_safe::<super::OwnedPermit<std::cell::Cell<u8>>>();
};
