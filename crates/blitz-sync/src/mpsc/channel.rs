//! What senders and the receiver share, bounded or not.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, Waker, ready};

use blitz_core::budget;
use blitz_core::pad::CachePadded;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::Arc;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
#[cfg(loom)]
use blitz_core::primitive::sync::atomic::fence;
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicUsize};
use blitz_core::primitive::thread;
use blitz_core::waiting::Site;
use blitz_core::wake::WakeSlot;

use super::error::{TryRecvError, TrySendError};
use super::list::{Claim, Found, Head, Missed, Tail, Word, queue};
use super::room::Bounded;
use crate::acquire_error::TryAcquireError;
use crate::called;
use crate::notify::Notify;
use crate::patience::Patience;
use crate::races;
use crate::spans::{Operation, Resource};

/// How many values a channel takes. Where a method has a `word`, it is the tail's.
pub(super) trait Bound {
    /// Whether it is the list that a closed channel ends with, and not the room in it.
    const LIST_ENDS: bool;
    /// The receiver has taken so many.
    fn give_back(&self, word: &Word, count: usize);
    /// No sender gets room any more.
    fn close(&self, word: &Word);
    /// After [`close`](Self::close): nobody has room left to send into, and everything was taken.
    fn is_finished(&self, word: &Word) -> bool;
    /// So many values are enough for one side to get ahead while the other waits for that.
    fn enough(&self) -> usize;
    /// What tokio-console is told of.
    fn resource(&self) -> &Resource;
}

/// As many as come.
pub(super) struct Unbounded {
    pub(super) resource: Resource,
}

impl Bound for Unbounded {
    const LIST_ENDS: bool = true;

    #[inline]
    fn give_back(&self, _word: &Word, _count: usize) {}
    fn close(&self, _word: &Word) {}

    fn is_finished(&self, _word: &Word) -> bool {
        // The list itself says where a closed channel ends.
        false
    }

    fn enough(&self) -> usize {
        races::NO_END
    }

    #[inline]
    fn resource(&self) -> &Resource {
        &self.resource
    }
}

/// The receiver's wait, where nothing around it says more.
static RECEIVES: Site = called::site("mpsc receiver");

/// The receiver's sleep.
struct Sleep {
    /// The receiver has left its waker, and looks once more before it sleeps.
    waits: AtomicBool,
    waker: WakeSlot,
    /// Before it sleeps.
    patience: Patience,
}

// No value's code runs while a channel is half changed, so a panic elsewhere leaves it whole.
impl<T, B> UnwindSafe for Channel<T, B> {}
impl<T, B> RefUnwindSafe for Channel<T, B> {}

/// A channel's two sides meet here.
pub(super) struct Channel<T, B> {
    tail: CachePadded<Tail<T>>,
    receiver: CachePadded<Sleep>,
    pub(super) bound: B,
    senders: AtomicUsize,
    weak_senders: AtomicUsize,
    /// Tells senders that the receiver is gone or closed.
    closed: Notify,
    /// The receiver's; when both sides are gone, the drop's.
    head: CachePadded<UnsafeCell<Head<T>>>,
}

// SAFETY: the head is touched by the one receiver, and by the drop after everyone has gone.
unsafe impl<T: Send, B: Send> Send for Channel<T, B> {}
// SAFETY: as above.
unsafe impl<T: Send, B: Sync> Sync for Channel<T, B> {}

impl<T, B: Bound> Channel<T, B> {
    /// A channel with one sender and one receiver, and so much room in the tail's word.
    pub(super) fn new(bound: B, room: usize) -> Arc<Self> {
        let (tail, head) = queue(room);
        Arc::new(Self {
            tail: CachePadded::new(tail),
            receiver: CachePadded::new(Sleep {
                waits: AtomicBool::new(false),
                waker: WakeSlot::new(),
                patience: Patience::new(),
            }),
            bound,
            senders: AtomicUsize::new(1),
            weak_senders: AtomicUsize::new(0),
            closed: Notify::new(),
            head: CachePadded::new(UnsafeCell::new(head)),
        })
    }

    /// Puts a value in and tells the receiver. It comes back if the list is closed, which a bounded one never is.
    #[inline]
    pub(super) fn push(&self, value: T) -> Result<(), T> {
        self.tail.push(value)?;
        self.tell_receiver();
        Ok(())
    }

    /// After a value was written: wakes the receiver if it sleeps.
    #[inline]
    fn tell_receiver(&self) {
        // ORDERING: SeqCst, mine before yours: we have claimed an index (`Word::claim`, `claim_in_room`) and look whether the receiver
        // sleeps; it says that it sleeps (`sleep`) and looks for what was claimed (`Head::len`), for which it then waits. One of us
        // sees the other. The fences, here and there, are for loom, which does not know sequentially consistent accesses.
        #[cfg(loom)]
        fence(SeqCst);
        if self.receiver.waits.load(SeqCst) {
            self.wake_receiver();
        }
    }

    #[cold]
    fn wake_receiver(&self) {
        // ORDERING: Relaxed: one of many senders calls the waker; the slot orders the rest.
        if self.receiver.waits.swap(false, Relaxed) {
            self.receiver.waker.wake();
        }
    }

    /// After something that ends the channel.
    pub(super) fn tell_receiver_of_end(&self) {
        self.receiver.waker.wake();
    }

    /// Whether a value is on its way at this moment: waits a little for it, or for several.
    fn is_worth_another_look(&self) -> bool {
        self.receiver
            .patience
            .pays(self.bound.enough(), || self.tail.claimed())
    }

    /// The receiver has taken so many.
    #[inline]
    fn give_back(&self, count: usize) {
        self.bound.give_back(self.tail.word(), count);
    }

    /// Room was given back unused: that may be what a closed channel waits for.
    pub(super) fn unused_room(&self) {
        if self.bound.is_finished(self.tail.word()) {
            self.tell_receiver_of_end();
        }
    }

    /// The receiver is about to sleep; it looks once more after this.
    fn sleep(&self, waker: &Waker) {
        self.receiver.waker.register(waker);
        // ORDERING: SeqCst: see `tell_receiver`, and for the fence too.
        self.receiver.waits.store(true, SeqCst);
        #[cfg(loom)]
        fence(SeqCst);
    }

    /// Whether both handles are of one channel.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    // Senders.

    pub(super) fn list_is_closed(&self) -> bool {
        self.tail.is_closed()
    }

    pub(super) fn closed(&self) -> &Notify {
        &self.closed
    }

    pub(super) fn enter(&self) {
        // ORDERING: Relaxed: whoever enters has a sender, so the count is not zero.
        self.senders.fetch_add(1, Relaxed);
    }

    /// From a weak handle: false if the last sender is gone.
    pub(super) fn try_enter(&self) -> bool {
        // ORDERING: Relaxed: a guess for the exchange below, which publishes nothing.
        let mut count = self.senders.load(Relaxed);
        while count != 0 {
            match self
                .senders
                .compare_exchange_weak(count, count + 1, Relaxed, Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => count = seen,
            }
        }
        false
    }

    pub(super) fn leave(&self) {
        // ORDERING: Release pairs with the Acquire in `senders`: the receiver that sees zero sees all that every sender has
        // sent, since an exchange goes on with the releases before it.
        if self.senders.fetch_sub(1, Release) == 1 {
            self.tell_receiver_of_end();
        }
    }

    pub(super) fn senders(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `leave`.
        self.senders.load(Acquire)
    }

    pub(super) fn weak_senders(&self) -> usize {
        // ORDERING: Relaxed: a figure.
        self.weak_senders.load(Relaxed)
    }

    pub(super) fn enter_weak(&self) {
        // ORDERING: Relaxed: a figure.
        self.weak_senders.fetch_add(1, Relaxed);
    }

    pub(super) fn leave_weak(&self) {
        // ORDERING: Relaxed: a figure.
        self.weak_senders.fetch_sub(1, Relaxed);
    }
}

/// A place in a bounded channel. The receiver waits for its value: nothing may come between.
#[must_use = "the receiver waits for its value"]
pub(super) struct Claimed<'a, T> {
    channel: &'a Channel<T, Bounded>,
    claim: Claim,
}

impl<T> Claimed<'_, T> {
    /// Puts the value in and tells the receiver.
    #[inline]
    pub(super) fn fill(self, value: T) {
        let channel = self.channel;
        // SAFETY: it was claimed in this channel.
        unsafe { channel.tail.write(self.claim, value) };
        channel.bound.permits().spans().taken(1);
        channel.tell_receiver();
    }
}

impl<T> Channel<T, Bounded> {
    /// How much room there is.
    pub(super) fn capacity(&self) -> usize {
        self.bound.available(self.tail.word())
    }

    /// A place for a value, if there is room for it that needs no permit, and no other sender takes it at this moment.
    #[inline]
    pub(super) fn claim_at_once(&self) -> Result<Claimed<'_, T>, Missed> {
        let claim = self.tail.word().claim_in_room()?;
        Ok(Claimed {
            channel: self,
            claim,
        })
    }

    /// The same, if the task may still make progress. Who has lost a race has stayed away.
    #[inline]
    pub(super) fn claim_now(&self) -> Option<Claimed<'_, T>> {
        let coop = budget::proceed()?;
        match self.claim_at_once() {
            Ok(claimed) => {
                coop.made_progress();
                Some(claimed)
            }
            Err(Missed::ByARace) => {
                self.stay_away();
                None
            }
            Err(Missed::NoRoom) => None,
        }
    }

    /// As [`claim_at_once`](Self::claim_at_once), though others may be faster for a while.
    pub(super) fn claim_in_room(&self) -> Option<Claimed<'_, T>> {
        loop {
            match self.claim_at_once() {
                Ok(claimed) => return Some(claimed),
                Err(Missed::NoRoom) => return None,
                Err(Missed::ByARace) => self.stay_away(),
            }
        }
    }

    /// For a sender that has lost a race.
    pub(super) fn stay_away(&self) {
        races::stay_away(self.bound.enough(), || self.tail.claimed());
    }

    /// Whether [`claim_in_room`](Self::claim_in_room) would find room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.tail.word().has_room()
    }

    /// For who has just come to stand in line: makes permits of what room there is, which may be the caller's.
    pub(super) fn fetch_from_line(&self) -> bool {
        let is_some = self.bound.fetch_from_line(self.tail.word());
        self.fetched(is_some)
    }

    /// Makes permits of what room there is. Answers whether that was something.
    pub(super) fn fetch_permits(&self) -> bool {
        let is_some = self.bound.fetch_permits(self.tail.word());
        self.fetched(is_some)
    }

    /// Makes room for whoever sends, of what the receiver has made and of permits. Answers whether that was something.
    pub(super) fn fetch_room(&self) -> bool {
        let is_some = self.bound.fetch_room(self.tail.word());
        self.fetched(is_some)
    }

    /// Room was in somebody's hand, if there `is_some`.
    fn fetched(&self, is_some: bool) -> bool {
        // Nobody will take it; and the receiver may have looked while it was on its way.
        if is_some && self.bound.permits().is_closed() {
            self.unused_room();
        }
        is_some
    }

    /// Puts a value in, if there is room now: also what the receiver has made, and what another sender has in hand at this moment.
    pub(super) fn try_push(&self, value: T) -> Result<(), TrySendError<T>> {
        loop {
            if let Some(claimed) = self.claim_in_room() {
                claimed.fill(value);
                return Ok(());
            }
            match self.bound.permits().try_acquire(1) {
                Ok(()) => return self.push(value).map_err(TrySendError::Closed),
                Err(TryAcquireError::Closed) => return Err(TrySendError::Closed(value)),
                Err(TryAcquireError::NoPermits) => {}
            }
            if !self.fetch_room() && !self.is_on_its_way(1) {
                return Err(TrySendError::Full(value));
            }
        }
    }

    /// Permits for `count` now: also of what the receiver has made, and of what another sender has in hand at this moment.
    pub(super) fn try_permits(&self, count: usize) -> Result<(), TryAcquireError> {
        loop {
            let result = self.bound.permits().try_acquire(count);
            if result != Err(TryAcquireError::NoPermits) {
                return result;
            }
            if !self.fetch_permits() && !self.is_on_its_way(count) {
                return result;
            }
        }
    }

    /// Neither permits nor room were there for `count`: whether they may be now, since somebody else had them in hand.
    fn is_on_its_way(&self, count: usize) -> bool {
        // What was fetched between the looks is there now.
        let is_some = self.bound.is_fetching() || self.bound.is_there(self.tail.word(), count);
        if is_some {
            thread::yield_now();
        }
        is_some
    }

    /// Whether room is made at this moment: waits a little for it, or for more.
    pub(super) fn is_room_made(&self) -> bool {
        self.bound.is_made()
    }
}

impl<T, B> Drop for Channel<T, B> {
    fn drop(&mut self) {
        let tail = &self.tail;
        self.head.with_mut(|head| {
            // SAFETY: everyone is gone.
            let head = unsafe { &mut *head };
            while let Found::Value(value) = head.pop(tail) {
                drop(value);
            }
            // SAFETY: as above, and every value was taken.
            unsafe { head.free() };
        });
    }
}

/// The receiver's side, without its public face.
pub(super) struct Receiving<T, B: Bound> {
    channel: Arc<Channel<T, B>>,
    is_closed: bool,
}

impl<T, B: Bound> Receiving<T, B> {
    /// The one receiver of a channel.
    pub(super) fn new(channel: Arc<Channel<T, B>>) -> Self {
        Self {
            channel,
            is_closed: false,
        }
    }

    pub(super) fn channel(&self) -> &Channel<T, B> {
        &self.channel
    }

    /// The call of `source` on the receiver begins.
    #[inline]
    pub(super) fn operation(&self, source: &'static str) -> Operation {
        self.channel.bound.resource().operation(source)
    }

    #[inline]
    fn with_head<R>(&mut self, f: impl FnOnce(&mut Head<T>, &Tail<T>) -> R) -> R {
        let tail = &self.channel.tail;
        // SAFETY: there is one receiver, and it is borrowed mutably.
        self.channel
            .head
            .with_mut(|head| f(unsafe { &mut *head }, tail))
    }

    fn look_at_head<R>(&self, f: impl FnOnce(&Head<T>, &Tail<T>) -> R) -> R {
        let tail = &self.channel.tail;
        // SAFETY: there is one receiver, and it is borrowed.
        self.channel.head.with(|head| f(unsafe { &*head }, tail))
    }

    /// The next value, if it is there and the task may still make progress.
    #[inline]
    pub(super) fn recv_now(&mut self) -> Option<T> {
        let coop = budget::proceed()?;
        let value = self.with_head(|head, _tail| head.pop_written())?;
        self.channel.give_back(1);
        coop.made_progress();
        Some(value)
    }

    /// Takes a value without giving its room back.
    #[inline]
    fn pop(&mut self) -> Found<T> {
        match self.with_head(|head, tail| head.pop(tail)) {
            Found::Nothing => {}
            found => return found,
        }
        if !self.is_at_end() {
            return Found::Nothing;
        }
        // Whatever was sent before is written now.
        match self.with_head(|head, tail| head.pop(tail)) {
            Found::Nothing => Found::End,
            found => found,
        }
    }

    /// The same; having said that it sleeps (`is_last_look`), it waits for a value that is being written: its sender may have looked
    /// before.
    #[inline]
    fn pop_or_wait(&mut self, is_last_look: bool) -> Found<T> {
        if is_last_look {
            match self.with_head(Head::pop_claimed) {
                Found::Nothing => {}
                found => return found,
            }
        }
        self.pop()
    }

    /// Nobody can send any more.
    fn is_at_end(&self) -> bool {
        self.channel.senders() == 0
            || (self.is_closed && self.channel.bound.is_finished(self.channel.tail.word()))
    }

    /// For who may take nothing at present: whether there is nothing to take, so that it sleeps.
    ///
    /// It has just taken all that there was, where that was as much as it may: it has to be woken as any other that waits is, or all
    /// senders had a turn before it in which they could only stand in line.
    #[cold]
    fn sleeps(&self, cx: &mut Context<'_>) -> bool {
        if !self.is_idle() {
            return false;
        }
        self.channel.sleep(cx.waker());
        let is_idle = self.is_idle();
        if is_idle {
            called::note(&RECEIVES, &*self.channel, None);
        }
        is_idle
    }

    /// Whether nothing was claimed that was not taken, and something may be.
    fn is_idle(&self) -> bool {
        self.len() == 0 && !self.is_at_end()
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let coop = ready!(budget::poll_proceed_unless(cx, |cx| self.sleeps(cx)));
        let (mut is_first_look, mut is_last_look) = (true, false);
        loop {
            match self.pop_or_wait(is_last_look) {
                Found::Value(value) => {
                    self.channel.give_back(1);
                    coop.made_progress();
                    return Poll::Ready(Some(value));
                }
                Found::End => {
                    coop.made_progress();
                    return Poll::Ready(None);
                }
                Found::Nothing if is_last_look => {
                    called::note(&RECEIVES, &*self.channel, None);
                    return Poll::Pending;
                }
                Found::Nothing
                    if mem::take(&mut is_first_look) && self.channel.is_worth_another_look() => {}
                Found::Nothing => {
                    self.channel.sleep(cx.waker());
                    is_last_look = true;
                }
            }
        }
    }

    pub(super) fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        let coop = ready!(budget::poll_proceed_unless(cx, |cx| limit != 0 && self.sleeps(cx)));
        let (mut is_first_look, mut is_last_look) = (true, false);
        let mut count = 0;
        loop {
            let mut is_end = limit == 0;
            while count < limit {
                match self.pop_or_wait(is_last_look && count == 0) {
                    Found::Value(value) => {
                        buffer.push(value);
                        count += 1;
                    }
                    Found::End => {
                        is_end = true;
                        break;
                    }
                    Found::Nothing => break,
                }
            }
            if count != 0 || is_end {
                self.channel.give_back(count);
                coop.made_progress();
                return Poll::Ready(count);
            }
            if is_last_look {
                called::note(&RECEIVES, &*self.channel, None);
                return Poll::Pending;
            }
            if mem::take(&mut is_first_look) && self.channel.is_worth_another_look() {
                continue;
            }
            self.channel.sleep(cx.waker());
            is_last_look = true;
        }
    }

    pub(super) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        // What was sent before is received, also if an earlier value is being written at this moment.
        match self.with_head(|head, tail| head.pop_claimed(tail)) {
            Found::Nothing => {}
            Found::Value(value) => return Ok(self.received(value)),
            Found::End => return Err(TryRecvError::Disconnected),
        }
        match self.pop() {
            Found::Value(value) => Ok(self.received(value)),
            Found::End => Err(TryRecvError::Disconnected),
            Found::Nothing => Err(TryRecvError::Empty),
        }
    }

    fn received(&self, value: T) -> T {
        self.channel.give_back(1);
        value
    }

    pub(super) fn close(&mut self) {
        if !mem::replace(&mut self.is_closed, true) {
            self.channel.bound.close(self.channel.tail.word());
            if B::LIST_ENDS {
                self.with_head(Head::close);
            }
            self.channel.closed.notify_waiters();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed || self.channel.senders() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.look_at_head(Head::len)
    }
}

impl<T, B: Bound> Drop for Receiving<T, B> {
    fn drop(&mut self) {
        self.close();
        // Senders that live on keep no waker of a task that may have ended. It goes last: its drop is foreign code.
        let _waker = self.channel.receiver.waker.take();
        /// Goes on if the drop of a value panics.
        struct Drain<'a, T, B: Bound>(&'a mut Receiving<T, B>);

        impl<T, B: Bound> Drain<'_, T, B> {
            fn run(&mut self) {
                while let Found::Value(value) =
                    self.0.with_head(|head, tail| head.pop_claimed(tail))
                {
                    self.0.channel.give_back(1);
                    drop(value);
                }
            }
        }

        impl<T, B: Bound> Drop for Drain<'_, T, B> {
            fn drop(&mut self) {
                self.run();
            }
        }

        // Dropped at once, it runs; and once more should a value's drop panic.
        let mut drain = Drain(self);
        drain.run();
    }
}

impl<T, B: Bound> fmt::Debug for Receiving<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .field("senders", &self.channel.senders())
            .finish_non_exhaustive()
    }
}
