//! What the two sides share, and how each waits.

use std::future::Future;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use blitz_core::budget;
use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::Arc;
use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::error::{SendError, TryRecvError, TrySendError};
use super::queue::{Found, Queue, Refused};
use crate::notify::Notify;
use crate::patience::Patience;
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

/// Where one side waits for the other.
struct Waiters {
    line: WaiterQueue,
    /// Before one stands there.
    patience: Patience,
}

impl Waiters {
    fn new() -> CachePadded<Self> {
        CachePadded::new(Self {
            line: WaiterQueue::new(),
            patience: Patience::new(),
        })
    }
}

/// Where the two sides meet.
pub(super) struct Channel<T> {
    queue: Queue<T>,
    /// Senders that wait for room.
    for_room: CachePadded<Waiters>,
    /// Receivers that wait for a value.
    for_values: CachePadded<Waiters>,
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
            for_room: Waiters::new(),
            for_values: Waiters::new(),
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

    /// Sends if it takes no more than a glance and an exchange; else the value comes back, and [`send_or_refuse`](Self::send_or_refuse)
    /// says why.
    #[inline]
    fn send_at_once(&self, value: T) -> Result<(), T> {
        self.queue.push_at_once(value)?;
        self.for_values.line.wake_one_after_change();
        Ok(())
    }

    /// The same, if the task may still make progress.
    #[inline]
    pub(super) fn send_now(&self, value: T) -> Result<(), T> {
        let Some(coop) = budget::proceed() else {
            return Err(value);
        };
        self.send_at_once(value)?;
        coop.made_progress();
        Ok(())
    }

    #[inline]
    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.send_at_once(value) {
            Ok(()) => Ok(()),
            Err(value) => self.send_or_refuse(value),
        }
    }

    fn send_or_refuse(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.queue.push(value) {
            Ok(()) => {
                self.for_values.line.wake_one_after_change();
                Ok(())
            }
            Err(Refused::Full(value)) => Err(TrySendError::Full(value)),
            Err(Refused::Closed(value)) => Err(TrySendError::Closed(value)),
        }
    }

    pub(super) fn displace(&self, value: T) -> Result<Option<T>, SendError<T>> {
        let displaced = self.queue.displace(value).map_err(SendError)?;
        // In place of another, too: the ring looked empty for a moment, in which somebody may have come to wait.
        self.for_values.line.wake_one_after_change();
        Ok(displaced)
    }

    /// The next value, if it takes no more than a glance and an exchange; [`recv_or_say`](Self::recv_or_say) says whether there is one
    /// else.
    #[inline]
    fn recv_at_once(&self) -> Option<T> {
        let value = self.queue.pop_at_once()?;
        self.tell_of_room();
        Some(value)
    }

    /// The same, if the task may still make progress.
    #[inline]
    pub(super) fn recv_now(&self) -> Option<T> {
        let coop = budget::proceed()?;
        let value = self.recv_at_once()?;
        coop.made_progress();
        Some(value)
    }

    /// After a value was taken out.
    #[inline]
    fn tell_of_room(&self) {
        if self.queue.bound().is_some() {
            // Behind those who have room: it finds more when its turn comes.
            self.for_room.line.wake_one_in_turn_after_change();
        }
    }

    #[inline]
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.recv_at_once() {
            Some(value) => Ok(value),
            None => self.recv_or_say(),
        }
    }

    fn recv_or_say(&self) -> Result<T, TryRecvError> {
        match self.queue.pop() {
            Found::Value(value) => {
                self.tell_of_room();
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
        // Who may take nothing at present, and finds nothing to take, waits as any other, and not for a poll in which it may.
        let nothing = || self.queue.is_empty() && !self.queue.is_closed();
        let coop = ready!(budget::poll_proceed_unless(cx, |cx| {
            wait.is_fresh() && nothing() && wait.as_mut().stand(cx.waker(), nothing)
        }));
        if wait.is_fresh()
            && let Some(value) = self.recv_at_once()
        {
            coop.made_progress();
            return Poll::Ready(Some(value));
        }
        let value = ready!(self.poll_recv_in_line(wait, cx.waker()));
        coop.made_progress();
        Poll::Ready(value)
    }

    #[cold]
    fn poll_recv_in_line<Q>(&self, mut wait: Pin<&mut Wait<Q>>, waker: &Waker) -> Poll<Option<T>>
    where
        Q: Deref<Target = WaiterQueue>,
    {
        let mut is_first_look = true;
        while wait.as_mut().is_turn(waker) {
            let value = match self.recv_or_say() {
                Err(TryRecvError::Empty) => {
                    if mem::take(&mut is_first_look)
                        && (self.for_values.patience)
                            .pays(self.queue.enough(), || self.queue.sent())
                    {
                        continue;
                    }
                    let condition = || self.queue.is_empty() && !self.queue.is_closed();
                    if wait.as_mut().stand(waker, condition) {
                        break;
                    }
                    continue;
                }
                Ok(value) => Some(value),
                Err(TryRecvError::Disconnected) => None,
            };
            wait.found();
            return Poll::Ready(value);
        }
        Poll::Pending
    }

    /// Sends by one who waits with `wait`; the value stays where it is until it was sent.
    #[cold]
    fn poll_send_in_line(
        &self,
        value: &mut Option<T>,
        mut wait: Pin<&mut Wait<&WaiterQueue>>,
        waker: &Waker,
    ) -> Poll<Result<(), SendError<T>>> {
        let mut is_first_look = true;
        while wait.as_mut().is_turn(waker) {
            let sent = value.take().expect("polled after it was ready");
            let result = match self.send_or_refuse(sent) {
                Err(TrySendError::Full(unsent)) => {
                    *value = Some(unsent);
                    if mem::take(&mut is_first_look)
                        && (self.for_room.patience)
                            .pays(self.queue.enough(), || self.queue.received())
                    {
                        continue;
                    }
                    let condition = || self.queue.is_full() && !self.queue.is_closed();
                    if wait.as_mut().stand(waker, condition) {
                        break;
                    }
                    continue;
                }
                Ok(()) => Ok(()),
                Err(TrySendError::Closed(value)) => Err(SendError(value)),
            };
            return Poll::Ready(result);
        }
        Poll::Pending
    }

    /// Takes no values any more, and tells whoever waits. Answers whether it did before.
    pub(super) fn close(&self) -> bool {
        let was_open = self.queue.close();
        if was_open {
            self.for_room.line.dissolve_after_change();
            self.for_values.line.dissolve_after_change();
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
        // Made for who has to wait.
        #[pin]
        wait: Option<Wait<&'a WaiterQueue>>,
    }
}

impl<'a, T> Sending<'a, T> {
    #[inline]
    pub(super) fn new(channel: &'a Channel<T>, value: T) -> Self {
        Self {
            channel,
            value: Some(value),
            wait: None,
        }
    }

    /// The value, if it was not sent.
    pub(super) fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }

    #[cold]
    #[inline(never)]
    fn poll_in_line(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let mut this = self.project();
        let queue = &this.channel.queue;
        let mut wait = in_line(this.wait.as_mut(), &this.channel.for_room);
        // Who may send nothing at present, and finds no room, waits as any other, and not for a poll in which it may.
        let no_room = || queue.is_full() && !queue.is_closed();
        let coop = ready!(budget::poll_proceed_unless(cx, |cx| {
            wait.is_fresh() && no_room() && wait.as_mut().stand(cx.waker(), no_room)
        }));
        let result = ready!(this.channel.poll_send_in_line(this.value, wait, cx.waker()));
        coop.made_progress();
        Poll::Ready(result)
    }
}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        if this.wait.is_none() {
            let value = this.value.take().expect("polled after it was ready");
            match this.channel.send_now(value) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(value) => *this.value = Some(value),
            }
        }
        self.poll_in_line(cx)
    }
}

pin_project_lite::pin_project! {
    /// Receives a value, waiting until there is one.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct Receiving<'a, T> {
        channel: &'a Channel<T>,
        // Made for who has to wait.
        #[pin]
        wait: Option<Wait<&'a WaiterQueue>>,
    }
}

impl<'a, T> Receiving<'a, T> {
    #[inline]
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        Self {
            channel,
            wait: None,
        }
    }

    #[cold]
    #[inline(never)]
    fn poll_in_line(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        let wait = in_line(this.wait.as_mut(), &this.channel.for_values);
        this.channel.poll_recv(wait, cx)
    }
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.wait.is_none()
            && let Some(value) = self.channel.recv_now()
        {
            return Poll::Ready(Some(value));
        }
        self.poll_in_line(cx)
    }
}

/// The place to wait in, which is made now if there is none yet.
fn in_line<'p, 'a>(
    mut place: Pin<&'p mut Option<Wait<&'a WaiterQueue>>>,
    waiters: &'a Waiters,
) -> Pin<&'p mut Wait<&'a WaiterQueue>> {
    if place.is_none() {
        place.set(Some(Wait::new(&waiters.line)));
    }
    place.as_pin_mut().expect("made above")
}

/// The line of a channel's receivers, for one who keeps the channel.
pub(super) struct ForValues<T>(pub(super) Arc<Channel<T>>);

impl<T> Deref for ForValues<T> {
    type Target = WaiterQueue;

    fn deref(&self) -> &WaiterQueue {
        &self.0.for_values.line
    }
}
