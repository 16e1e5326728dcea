//! What senders and the receiver share, bounded or not.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, Waker, ready};

use blitz_core::budget;
use blitz_core::pad::CachePadded;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::Arc;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicUsize, fence};
use blitz_core::primitive::thread;
use blitz_core::waiting::Site;
use blitz_core::wake::WakeSlot;

use super::error::TryRecvError;
use super::list::{Found, Head, Tail, queue};
use crate::acquire_error::TryAcquireError;
use crate::called;
use crate::notify::Notify;
use crate::patience::Patience;
use crate::permits::Permits;
use crate::spans::{Operation, Resource};

/// How many values a channel takes.
pub(super) trait Bound {
    /// Whether it is the list that a closed channel ends with, and not the room in it.
    const LIST_ENDS: bool;
    /// The receiver has taken so many.
    fn give_back(&self, count: usize);
    /// No sender gets room any more.
    fn close(&self);
    /// After [`close`](Self::close): nobody has room left to send into, and everything was taken.
    fn is_finished(&self) -> bool;
    /// What tokio-console is told of.
    fn resource(&self) -> &Resource;
}

/// Room that the receiver has made, and whether somebody waits for room.
struct Made {
    /// So much lies here, for a sender to fetch.
    room: AtomicUsize,
    /// So many senders stand in line, or are about to: what is made then goes to the permits at once.
    waiting: AtomicUsize,
    /// So many senders have fetched room, or are about to, and have not handed it to the permits yet.
    fetching: AtomicUsize,
}

/// So many and no more.
///
/// Senders take room from the permits. The receiver gives room back on a cache line of its own, and a sender that finds no permit
/// fetches all that lies there: so the two sides meet once in many values. Room that lies there is room all the same: nobody stands in
/// line beside it.
pub(super) struct Bounded {
    permits: CachePadded<Permits>,
    made: CachePadded<Made>,
    /// Of senders, before they stand in line.
    patience: Patience,
    pub(super) max: usize,
}

/// A sender that has room in hand, or is about to.
struct Fetching<'a>(&'a AtomicUsize);

impl<'a> Fetching<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        // ORDERING: Relaxed: the swap in `fetch` publishes it.
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `is_fetching`: who sees that we are done sees the permits.
        self.0.fetch_sub(1, Release);
    }
}

/// A sender that stands in line, or is about to.
pub(super) struct InLine<'a>(&'a Bounded);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        // ORDERING: Relaxed: what the receiver sees too late is one line too many.
        self.0.made.waiting.fetch_sub(1, Relaxed);
    }
}

impl Bounded {
    /// `permits` are `max`, all of them free.
    pub(super) fn new(permits: Permits, max: usize) -> Self {
        Self {
            permits: CachePadded::new(permits),
            made: CachePadded::new(Made {
                room: AtomicUsize::new(0),
                waiting: AtomicUsize::new(0),
                fetching: AtomicUsize::new(0),
            }),
            patience: Patience::new(),
            max,
        }
    }

    /// What senders take.
    pub(super) fn permits(&self) -> &Permits {
        &self.permits
    }

    /// How much room there is.
    pub(super) fn available(&self) -> usize {
        // Permits first: what is fetched between the two looks is missing then, and not there twice.
        let permits = self.permits.available();
        // ORDERING: Acquire pairs with the addition in `give_back`, so that a number that was seen can be reasoned with.
        let made = self.made.room.load(Acquire);
        // Or taken, used and made again.
        self.max.min(permits + made)
    }

    /// Hands what the receiver has made to the permits. Answers whether that was something.
    fn fetch(&self) -> bool {
        // ORDERING: SeqCst: see `enter`.
        if self.made.room.load(SeqCst) == 0 {
            return false;
        }
        let _fetching = Fetching::begin(&self.made.fetching);
        // ORDERING: Acquire pairs with the addition in `give_back`: what was done before the room was made is seen by who takes it.
        // Release pairs with the load above: who finds that we have taken all of it also sees that we are `fetching`.
        let room = self.made.room.swap(0, AcqRel);
        if room != 0 {
            self.permits.release(room);
        }
        room != 0
    }

    /// Whether somebody else has room in hand that is on its way to the permits.
    fn is_fetching(&self) -> bool {
        // ORDERING: Acquire: see `fetch`.
        self.made.fetching.load(Acquire) != 0
    }

    /// The caller is about to stand in line, until the guard goes.
    fn enter(&self) -> InLine<'_> {
        // ORDERING: SeqCst, mine before yours: we say that we wait, and look for room (`fetch`); the receiver makes room and looks who
        // waits (`give_back`). One of us sees the other. The fences, here and there, are for loom, which does not know
        // sequentially consistent accesses.
        self.made.waiting.fetch_add(1, SeqCst);
        #[cfg(loom)]
        fence(SeqCst);
        InLine(self)
    }
}

impl Bound for Bounded {
    const LIST_ENDS: bool = false;

    #[inline]
    fn give_back(&self, count: usize) {
        // ORDERING: Relaxed: a guess, which saves a detour.
        if self.made.waiting.load(Relaxed) != 0 {
            return self.permits.release(count);
        }
        // ORDERING: SeqCst: see `enter`, and for the fence too.
        self.made.room.fetch_add(count, SeqCst);
        #[cfg(loom)]
        fence(SeqCst);
        // ORDERING: as above.
        if self.made.waiting.load(SeqCst) != 0 {
            self.fetch();
        }
    }

    fn close(&self) {
        self.permits.close();
    }

    fn is_finished(&self) -> bool {
        if !self.permits.is_closed() {
            return false;
        }
        // ORDERING: SeqCst, mine before yours: a sender has given a permit back and looks at what the receiver has made; the receiver
        // has made room, leaves its waker and looks at the permits. One of us sees all.
        fence(SeqCst);
        self.available() == self.max
    }

    #[inline]
    fn resource(&self) -> &Resource {
        self.permits.spans().owner()
    }
}

/// As many as come.
pub(super) struct Unbounded {
    pub(super) resource: Resource,
}

impl Bound for Unbounded {
    const LIST_ENDS: bool = true;

    #[inline]
    fn give_back(&self, _count: usize) {}
    fn close(&self) {}

    fn is_finished(&self) -> bool {
        // The list itself says where a closed channel ends.
        false
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
    /// A channel with one sender and one receiver.
    pub(super) fn new(bound: B) -> Arc<Self> {
        let (tail, head) = queue();
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
        // ORDERING: SeqCst, mine before yours: we have written a value (`Block::write`) and look whether the receiver sleeps;
        // it says that it sleeps (`sleep`) and looks for a value (`Block::look`). One of us sees the other. The fences,
        // here and there, are for loom, which does not know sequentially consistent accesses.
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
        self.receiver.patience.pays(|| self.tail.claimed())
    }

    /// Room was given back unused: that may be what a closed channel waits for.
    pub(super) fn unused_room(&self) {
        if self.bound.is_finished() {
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

impl<T> Channel<T, Bounded> {
    /// The caller is about to stand in line, until the guard goes, and has to try once more before.
    pub(super) fn enter_line(&self) -> InLine<'_> {
        let in_line = self.bound.enter();
        self.fetch_room();
        in_line
    }

    /// Hands the senders what room the receiver has made. Answers whether that was something.
    pub(super) fn fetch_room(&self) -> bool {
        let is_some = self.bound.fetch();
        // Nobody will take it; and the receiver may have looked while it was on its way.
        if is_some && self.bound.permits.is_closed() {
            self.unused_room();
        }
        is_some
    }

    /// Room for `count` that is there now: also what the receiver has made, and what another sender fetches at this moment.
    pub(super) fn try_room(&self, count: usize) -> Result<(), TryAcquireError> {
        let permits = &self.bound.permits;
        loop {
            let result = permits.try_acquire(count);
            if result != Err(TryAcquireError::NoPermits) {
                return result;
            }
            if self.fetch_room() {
                continue;
            }
            if !self.bound.is_fetching() {
                // What was fetched between the two looks is there now.
                return permits.try_acquire(count);
            }
            thread::yield_now();
        }
    }

    /// Whether room is made at this moment: waits a little for it, or for more.
    pub(super) fn is_room_made(&self) -> bool {
        // ORDERING: Relaxed: it is compared with another, and nothing else.
        let made = || self.bound.made.room.load(Relaxed);
        self.bound.patience.pays(made)
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

    /// Nobody can send any more.
    fn is_at_end(&self) -> bool {
        self.channel.senders() == 0 || (self.is_closed && self.channel.bound.is_finished())
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let coop = ready!(budget::poll_proceed(cx));
        let (mut is_first_look, mut is_last_look) = (true, false);
        loop {
            match self.pop() {
                Found::Value(value) => {
                    self.channel.bound.give_back(1);
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
        let coop = ready!(budget::poll_proceed(cx));
        let (mut is_first_look, mut is_last_look) = (true, false);
        let mut count = 0;
        loop {
            let mut is_end = limit == 0;
            while count < limit {
                match self.pop() {
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
                self.channel.bound.give_back(count);
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
        self.channel.bound.give_back(1);
        value
    }

    pub(super) fn close(&mut self) {
        if !mem::replace(&mut self.is_closed, true) {
            self.channel.bound.close();
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
                    self.0.channel.bound.give_back(1);
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
