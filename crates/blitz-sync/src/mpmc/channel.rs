//! What the two sides share, and how each waits.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use blitz_core::budget;
use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::Arc;
use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::error::{SendError, TryRecvError, TrySendError};
use super::queue::{Found, Queue, Refused};
use crate::notify::Notify;
use crate::waiters::{Wait, WaiterQueue};

/// How many there are on one side.
pub(super) struct Side(AtomicUsize);

impl Side {
    pub(super) fn enter(&self) {
        // ORDERING: Relaxed: whoever enters has a handle of this side, so the count is not zero.
        self.0.fetch_add(1, Relaxed);
    }

    /// From a weak handle: false if the last of this side is gone.
    pub(super) fn try_enter(&self) -> bool {
        // ORDERING: Relaxed, twice: a guess for the exchange, which publishes nothing.
        let mut count = self.0.load(Relaxed);
        while count != 0 {
            match self
                .0
                .compare_exchange_weak(count, count + 1, Relaxed, Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => count = seen,
            }
        }
        false
    }

    /// Answers whether this was the last.
    fn leave(&self) -> bool {
        // ORDERING: AcqRel: the last to leave closes the queue after all that the others have done with it.
        self.0.fetch_sub(1, AcqRel) == 1
    }

    pub(super) fn count(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `leave`.
        self.0.load(Acquire)
    }
}

/// Where the two sides meet.
pub(super) struct Channel<T> {
    queue: Queue<T>,
    /// Senders that wait for room.
    for_room: CachePadded<WaiterQueue>,
    /// Receivers that wait for a value.
    for_values: CachePadded<WaiterQueue>,
    pub(super) senders: Side,
    pub(super) receivers: Side,
    /// Tells whoever asked that the channel was closed.
    closed: Notify,
}

impl<T> Channel<T> {
    /// A channel with one sender and one receiver.
    pub(super) fn new(queue: Queue<T>) -> Arc<Self> {
        Arc::new(Self {
            queue,
            for_room: CachePadded::new(WaiterQueue::new()),
            for_values: CachePadded::new(WaiterQueue::new()),
            senders: Side(AtomicUsize::new(1)),
            receivers: Side(AtomicUsize::new(1)),
            closed: Notify::new(),
        })
    }

    pub(super) fn queue(&self) -> &Queue<T> {
        &self.queue
    }

    pub(super) fn closed(&self) -> &Notify {
        &self.closed
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    #[inline]
    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.queue.push(value) {
            Ok(()) => {
                self.for_values.wake_one_after_change();
                Ok(())
            }
            Err(Refused::Full(value)) => Err(TrySendError::Full(value)),
            Err(Refused::Closed(value)) => Err(TrySendError::Closed(value)),
        }
    }

    pub(super) fn displace(&self, value: T) -> Result<Option<T>, SendError<T>> {
        let displaced = self.queue.displace(value).map_err(SendError)?;
        // In place of another it needs no wake: that other's is still on its way, if somebody waited.
        if displaced.is_none() {
            self.for_values.wake_one_after_change();
        }
        Ok(displaced)
    }

    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.queue.pop() {
            Found::Value(value) => {
                if self.queue.bound().is_some() {
                    self.for_room.wake_one_after_change();
                }
                Ok(value)
            }
            Found::Nothing => Err(TryRecvError::Empty),
            Found::End => Err(TryRecvError::Disconnected),
        }
    }

    /// The next value, by one who waits with `wait`.
    pub(super) fn poll_recv<Q>(
        &self,
        mut wait: Pin<&mut Wait<Q>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>>
    where
        Q: Deref<Target = WaiterQueue>,
    {
        let coop = ready!(budget::poll_proceed(cx));
        while wait.as_mut().is_turn(cx.waker()) {
            let value = match self.try_recv() {
                Err(TryRecvError::Empty) => {
                    let condition = || self.queue.is_empty() && !self.queue.is_closed();
                    if wait.as_mut().stand(cx.waker(), condition) {
                        break;
                    }
                    continue;
                }
                Ok(value) => Some(value),
                Err(TryRecvError::Disconnected) => None,
            };
            wait.found();
            coop.made_progress();
            return Poll::Ready(value);
        }
        Poll::Pending
    }

    /// Takes no values any more, and tells whoever waits. Answers whether it did before.
    pub(super) fn close(&self) -> bool {
        let was_open = self.queue.close();
        if was_open {
            self.for_room.dissolve_after_change();
            self.for_values.dissolve_after_change();
            self.closed.notify_waiters();
        }
        was_open
    }

    pub(super) fn sender_leaves(&self) {
        if self.senders.leave() {
            self.close();
        }
    }

    /// The last receiver drops what nobody will receive.
    pub(super) fn receiver_leaves(&self) {
        if !self.receivers.leave() {
            return;
        }
        self.close();
        /// Goes on if the drop of a value panics.
        struct Drain<'a, T>(&'a Queue<T>);

        impl<T> Drain<'_, T> {
            fn run(&mut self) {
                while let Found::Value(value) = self.0.pop() {
                    drop(value);
                }
            }
        }

        impl<T> Drop for Drain<'_, T> {
            fn drop(&mut self) {
                self.run();
            }
        }

        // Here it runs; and once more on drop, should a value's drop panic.
        Drain(&self.queue).run();
    }
}

pin_project_lite::pin_project! {
    /// Sends a value, waiting until there is room.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct Sending<'a, T> {
        channel: &'a Channel<T>,
        value: Option<T>,
        #[pin]
        wait: Wait<&'a WaiterQueue>,
    }
}

impl<'a, T> Sending<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>, value: T) -> Self {
        Self {
            channel,
            value: Some(value),
            wait: Wait::new(&*channel.for_room),
        }
    }

    /// The value, if it was not sent.
    pub(super) fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let coop = ready!(budget::poll_proceed(cx));
        while this.wait.as_mut().is_turn(cx.waker()) {
            let value = this.value.take().expect("polled after it was ready");
            let result = match this.channel.try_send(value) {
                Err(TrySendError::Full(value)) => {
                    *this.value = Some(value);
                    let queue = &this.channel.queue;
                    let condition = || queue.is_full() && !queue.is_closed();
                    if this.wait.as_mut().stand(cx.waker(), condition) {
                        break;
                    }
                    continue;
                }
                Ok(()) => Ok(()),
                Err(TrySendError::Closed(value)) => Err(SendError(value)),
            };
            coop.made_progress();
            return Poll::Ready(result);
        }
        Poll::Pending
    }
}

pin_project_lite::pin_project! {
    /// Receives a value, waiting until there is one.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct Receiving<'a, T> {
        channel: &'a Channel<T>,
        #[pin]
        wait: Wait<&'a WaiterQueue>,
    }
}

impl<'a, T> Receiving<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        Self {
            channel,
            wait: Wait::new(&*channel.for_values),
        }
    }
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        this.channel.poll_recv(this.wait, cx)
    }
}

/// The line of a channel's receivers, for one who keeps the channel.
pub(super) struct ForValues<T>(pub(super) Arc<Channel<T>>);

impl<T> Deref for ForValues<T> {
    type Target = WaiterQueue;

    fn deref(&self) -> &WaiterQueue {
        &self.0.for_values
    }
}
