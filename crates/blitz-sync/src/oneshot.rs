//! A channel for one value, from one task to another.
//!
//! One allocation holds the value, both wakers and a word; sending moves the word once, and wakes if somebody waits. The word also
//! says which side frees the memory: whoever leaves last.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker, ready};

use blitz_core::budget;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::atomic::AtomicU8;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use blitz_core::waiting::Site;

use crate::blocking::block_on;
use crate::called::{self, called};
use crate::cells;
use crate::spans::{Operation, Resource};

/// Where the channel stands, and who may touch which cell.
///
/// ```text
///  bit 0  WAITING   the receiver's waker lies in its cell
///  bit 1  VALUE     the value is there: its cell is the receiver's
///  bit 2  GONE      the sender went without a value
///  bit 3  CLOSED    the receiver takes no value any more
///  bit 4  WATCHING  the sender's waker lies in its cell
///  bit 5  LEFT      one side has left: the memory is the other's
///
///  move     when              sets      who, and what it does then
///  wait     neither V nor G   WAITING   receiver: has written its waker; sleeps
///  forget   WAITING           –WAITING  receiver: with neither V nor G, the cell is its own again
///  send     not CLOSED        VALUE     sender: has written the value; without WAITING sets LEFT too, else wakes the receiver
///  go       always            GONE      sender: the same
///  close    always            CLOSED    receiver: wakes the sender if WATCHING, without V or G
///  watch    not CLOSED        WATCHING  sender: has written its waker; sleeps
///  unwatch  WATCHING          –WATCHING sender: without CLOSED, the cell is its own again
///  leave    always            LEFT      either, which then touches nothing any more; if the other has left, it frees the memory
/// ```
struct Word(AtomicU8);

const WAITING: u8 = 1;
const VALUE: u8 = 2;
const GONE: u8 = 4;
const CLOSED: u8 = 8;
const WATCHING: u8 = 16;
const LEFT: u8 = 32;

impl Word {
    #[inline]
    fn look(&self) -> u8 {
        // ORDERING: Acquire pairs with the Release in `send`, `go` and `close`.
        self.0.load(Acquire)
    }

    /// Answers the word before.
    fn set(&self, bit: u8) -> u8 {
        // ORDERING: Release publishes the cell that was written before, or all that was done before a `go` or `close`; Acquire
        // shows the other side's cell where the answer says that it is filled.
        self.0.fetch_or(bit, AcqRel)
    }

    /// Answers the word before.
    fn clear(&self, bit: u8) -> u8 {
        // ORDERING: Acquire pairs with the Release in `set`: where the other side has come, what it wrote is seen.
        self.0.fetch_and(!bit, Acquire)
    }

    /// Answers the word before; with CLOSED in it nothing was sent.
    #[inline]
    fn send(&self) -> u8 {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        while word & CLOSED == 0 {
            let bits = if word & WAITING == 0 {
                VALUE | LEFT
            } else {
                VALUE
            };
            // ORDERING: Release publishes the value, and all that the sender has done with the memory; Acquire shows the receiver's
            // waker.
            match self
                .0
                .compare_exchange_weak(word, word | bits, AcqRel, Relaxed)
            {
                Ok(word) => return word,
                Err(seen) => word = seen,
            }
        }
        word
    }

    /// Answers whether the other side had left, so that the memory is the caller's alone.
    #[inline]
    fn leave(&self) -> bool {
        // A look first: to find that the other has left is no exchange.
        // ORDERING: Acquire, twice, pairs with the Release in this and in `send`: all that the other side has done with the memory is
        // before its end. Release: see there.
        self.0.load(Acquire) & LEFT != 0 || self.0.fetch_or(LEFT, AcqRel) & LEFT != 0
    }
}

static RECEIVER: Site = called::site("oneshot::Receiver");
static CLOSED_BY_RECEIVER: Site = called::site("oneshot::Sender::poll_closed");

struct Channel<T> {
    word: Word,
    value: UnsafeCell<Option<T>>,
    receiver: UnsafeCell<Option<Waker>>,
    sender: UnsafeCell<Option<Waker>>,
}

// SAFETY: the word says who may touch which cell.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Channel<T> {}

impl<T> Channel<T> {
    /// After a move whose answer was `before`: wakes the receiver if it waits.
    #[inline]
    fn wake_receiver(&self, before: u8) {
        if before & WAITING != 0 {
            // SAFETY: WAITING beside VALUE or GONE: nobody writes this cell any more.
            let waker = self.receiver.with(|waker| unsafe { (*waker).as_ref() });
            if let Some(waker) = waker {
                waker.wake_by_ref();
            }
        }
    }

    /// The sender takes back what the receiver does not want.
    #[cold]
    fn refused(&self) -> Result<(), T> {
        // SAFETY: without VALUE the cell is the sender's, and CLOSED there is none.
        let value = self.value.with_mut(|cell| unsafe { (*cell).take() });
        value.map_or(Ok(()), Err)
    }

    /// The sender goes without a value.
    #[cold]
    fn desert(&self) {
        let before = self.word.set(GONE);
        self.wake_receiver(before);
    }

    /// The receiver leaves `waker`, where the word was `word`; answers what it is then.
    #[cold]
    fn wait(&self, mut word: u8, waker: &Waker) -> u8 {
        if word & WAITING != 0 {
            // SAFETY: without VALUE and GONE only the receiver writes this cell, and we are the receiver.
            let old = self.receiver.with(|waker| unsafe { (*waker).as_ref() });
            if old.is_some_and(|old| old.will_wake(waker)) {
                return word;
            }
            word = self.word.clear(WAITING);
        }
        if word & (VALUE | GONE) == 0 {
            let waker = waker.clone();
            // SAFETY: without WAITING the cell is the receiver's.
            let old = self
                .receiver
                .with_mut(|cell| unsafe { (*cell).replace(waker) });
            drop(old);
            word = self.word.set(WAITING);
        }
        word
    }

    /// The receiver takes what was sent.
    #[inline]
    fn take(&self) -> Option<T> {
        // SAFETY: VALUE gives the cell to the receiver, which is here.
        self.value.with_mut(|value| unsafe { (*value).take() })
    }
}

/// One side's hold on the channel. The one that goes last frees it.
struct Side<T> {
    channel: NonNull<Channel<T>>,
    _owns: PhantomData<Box<Channel<T>>>,
}

// SAFETY: as an `Arc` of the channel.
unsafe impl<T: Send> Send for Side<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Side<T> {}

impl<T> Side<T> {
    /// Both sides' holds on a new channel.
    fn both() -> (Self, Self) {
        let channel = cells::put(|| Channel {
            word: Word(AtomicU8::new(0)),
            value: UnsafeCell::new(None),
            receiver: UnsafeCell::new(None),
            sender: UnsafeCell::new(None),
        });
        let side = || Self {
            channel,
            _owns: PhantomData,
        };
        (side(), side())
    }
}

impl<T> Deref for Side<T> {
    type Target = Channel<T>;

    #[inline]
    fn deref(&self) -> &Channel<T> {
        // SAFETY: it is not freed before both sides have left, and this one has not.
        unsafe { self.channel.as_ref() }
    }
}

impl<T> Drop for Side<T> {
    #[inline]
    fn drop(&mut self) {
        if !self.word.leave() {
            return;
        }
        // Loom does not know that to free is to write.
        #[cfg(loom)]
        {
            self.value.with_mut(|_| ());
            self.receiver.with_mut(|_| ());
            self.sender.with_mut(|_| ());
        }
        // SAFETY: both sides have left.
        unsafe { cells::free(self.channel) };
    }
}

/// A channel for one value.
///
/// # Examples
/// ```
/// use blitz_sync::oneshot;
/// # futures::executor::block_on(async {
/// let (sender, receiver) = oneshot::channel();
/// assert!(sender.send("done").is_ok());
/// assert_eq!(receiver.await, Ok("done"));
///
/// let (sender, receiver) = oneshot::channel::<u8>();
/// drop(sender);
/// assert!(receiver.await.is_err());
/// # });
/// ```
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let resource = Resource::oneshot(Location::caller());
    let (sending, receiving) = Side::both();
    let receiver = Receiver {
        channel: Some(receiving),
        operation: resource.operation("Receiver"),
    };
    let sender = Sender {
        channel: Some(sending),
        resource,
    };
    (sender, receiver)
}

/// Sends the one value. Dropped before, the receiver is told.
pub struct Sender<T> {
    /// Gone once the value was sent.
    channel: Option<Side<T>>,
    resource: Resource,
}

impl<T> Sender<T> {
    /// Sends the value. Never waits.
    ///
    /// That it was taken is no promise that the receiver will look at it: it may be dropped right after.
    ///
    /// # Errors
    /// The value comes back if the receiver is gone or closed.
    #[inline]
    pub fn send(mut self, value: T) -> Result<(), T> {
        let Some(channel) = self.channel.take() else {
            unreachable!("`send` takes the sender");
        };
        // SAFETY: without VALUE the cell is the sender's, and there was no value in it to be dropped.
        channel
            .value
            .with_mut(|cell| unsafe { cell.write(Some(value)) });
        let before = channel.word.send();
        if before & CLOSED != 0 {
            return channel.refused();
        }
        if before & WAITING == 0 {
            // This side has left by the same move.
            mem::forget(channel);
        } else {
            channel.wake_receiver(before);
        }
        self.resource.sent();
        Ok(())
    }

    /// Waits until the receiver is gone or closed: then nobody wants the value any more.
    ///
    /// # Cancel safety
    /// Safe: waiting takes nothing.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::oneshot;
    /// # futures::executor::block_on(async {
    /// let (mut sender, receiver) = oneshot::channel::<u8>();
    /// drop(receiver);
    /// sender.closed().await;
    /// assert!(sender.is_closed());
    /// # });
    /// ```
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = ()> {
        called!("oneshot::Sender::closed", async move {
            poll_fn(|cx| self.poll_closed(cx)).await;
        })
    }

    /// Whether the receiver is gone or closed.
    pub fn is_closed(&self) -> bool {
        self.channel().word.look() & CLOSED != 0
    }

    /// Ready once the receiver is gone or closed; until then the task is woken when it is.
    #[track_caller]
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let coop = ready!(budget::poll_proceed(cx));
        let channel = self.channel();
        let mut word = channel.word.look();
        if word & (CLOSED | WATCHING) == WATCHING {
            // SAFETY: without CLOSED only the sender writes this cell, and we are the sender.
            let old = channel.sender.with(|waker| unsafe { (*waker).as_ref() });
            if old.is_some_and(|old| old.will_wake(cx.waker())) {
                called::note(
                    &CLOSED_BY_RECEIVER,
                    channel,
                    called::line(Location::caller()),
                );
                return Poll::Pending;
            }
            word = channel.word.clear(WATCHING);
        }
        if word & CLOSED == 0 {
            let waker = cx.waker().clone();
            // SAFETY: without WATCHING the cell is the sender's.
            let old = channel
                .sender
                .with_mut(|cell| unsafe { (*cell).replace(waker) });
            drop(old);
            word = channel.word.set(WATCHING);
        }
        if word & CLOSED == 0 {
            called::note(
                &CLOSED_BY_RECEIVER,
                channel,
                called::line(Location::caller()),
            );
            return Poll::Pending;
        }
        coop.made_progress();
        Poll::Ready(())
    }

    fn channel(&self) -> &Channel<T> {
        match &self.channel {
            Some(channel) => channel,
            None => unreachable!("`send` takes the sender"),
        }
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            channel.desert();
        }
        self.resource.sender_goes();
    }
}

/// Receives the one value: a future.
///
/// # Cancel safety
/// Safe: `&mut receiver` may be polled, left, and polled again; no value is lost but by dropping the receiver itself.
#[must_use = "futures do nothing unless awaited"]
pub struct Receiver<T> {
    /// Gone once the outcome was told.
    channel: Option<Side<T>>,
    operation: Operation,
}

impl<T> Receiver<T> {
    /// Takes no value from here on: a sender that tries is told, and gets it back. What was sent before can still be received.
    pub fn close(&mut self) {
        if let Some(channel) = &self.channel {
            close(channel);
        }
    }

    /// The value, if it was sent.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) if it may still come; [`Closed`](TryRecvError::Closed) if it will not, or was received.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(channel) = &self.channel else {
            return Err(TryRecvError::Closed);
        };
        match outcome(channel, channel.word.look()) {
            None => Err(TryRecvError::Empty),
            Some(outcome) => {
                self.told(outcome.is_ok());
                outcome.map_err(|_| TryRecvError::Closed)
            }
        }
    }

    /// Waits for the value on a thread that runs no tasks.
    ///
    /// # Errors
    /// If the sender is gone without one.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        block_on("oneshot::Receiver::blocking_recv", self)
    }

    /// Whether the outcome was told: then it must not be polled again.
    pub fn is_terminated(&self) -> bool {
        self.channel.is_none()
    }

    /// Whether there is nothing to be received now.
    pub fn is_empty(&self) -> bool {
        match &self.channel {
            Some(channel) => channel.word.look() & VALUE == 0,
            None => true,
        }
    }
}

/// What the receiver gets, if `word` says that it is decided.
#[inline]
fn outcome<T>(channel: &Channel<T>, word: u8) -> Option<Result<T, RecvError>> {
    if word & VALUE != 0 {
        return Some(channel.take().ok_or(RecvError(())));
    }
    (word & (GONE | CLOSED) != 0).then_some(Err(RecvError(())))
}

/// The receiver goes before it was told the outcome.
#[cold]
fn abandon<T>(channel: &Channel<T>) {
    close(channel);
    // A value that was sent and not received goes now, not when the sender's side does.
    if channel.word.look() & VALUE != 0 {
        drop(channel.take());
    }
}

fn close<T>(channel: &Channel<T>) {
    let before = channel.word.set(CLOSED);
    if before & (WATCHING | CLOSED) == WATCHING {
        // SAFETY: WATCHING beside CLOSED: nobody writes this cell any more.
        let waker = channel.sender.with(|waker| unsafe { (*waker).as_ref() });
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = {
            let _entered = self.operation.enter();
            let polled = self.poll_outcome(cx);
            self.operation.polled("poll_recv", polled.is_ready());
            polled
        };
        if let Poll::Ready(outcome) = &polled {
            self.told(outcome.is_ok());
        }
        polled
    }
}

impl<T> Receiver<T> {
    /// The outcome is the caller's from here on.
    #[inline]
    fn told(&mut self, is_value: bool) {
        self.channel = None;
        if is_value {
            self.operation.resource().received();
        }
    }

    #[inline]
    #[track_caller]
    fn poll_outcome(&self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        let coop = ready!(budget::poll_proceed(cx));
        let Some(channel) = &self.channel else {
            panic!("a oneshot receiver was polled after it had told its outcome");
        };
        let mut word = channel.word.look();
        if word & (VALUE | GONE | CLOSED) == 0 {
            word = channel.wait(word, cx.waker());
        }
        let Some(outcome) = outcome(channel, word) else {
            called::note(&RECEIVER, &**channel, called::line(Location::caller()));
            return Poll::Pending;
        };
        coop.made_progress();
        Poll::Ready(outcome)
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            abandon(&channel);
        }
        self.operation.resource().receiver_goes();
    }
}

/// The errors of this channel, under the path that tokio has for them.
pub mod error {
    pub use super::{RecvError, TryRecvError};
}

/// The sender is gone without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecvError(());

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

impl Error for RecvError {}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// It was not sent yet.
    Empty,
    /// The sender is gone without one, or it was received.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "channel empty",
            Self::Closed => "channel closed",
        })
    }
}

impl Error for TryRecvError {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field(
                "closed",
                &self
                    .channel
                    .as_ref()
                    .map(|channel| channel.word.look() & CLOSED != 0),
            )
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("empty", &self.is_empty())
            .field("terminated", &self.is_terminated())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Sender<std::cell::Cell<u8>>>();
    shared::<Receiver<std::cell::Cell<u8>>>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_oneshot.rs"]
mod models;
