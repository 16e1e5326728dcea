//! One resource's readiness, and who waits for it.
//!
//! A [`Source`] is where the driver's turn, which *delivers* events, meets the futures that wait. All it knows
//! of the resource is in one word. Whoever waits leaves a waker first and looks at the word then; the driver
//! changes the word first and takes wakers then: whichever comes second sees the other.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicI32, AtomicU64};
use blitz_core::wake::{WakeBatch, WakeSlot};

use crate::interest::{Direction, Interest, Ready, ReadyEvent};

/// ```text
///  bits  0..8    READY     what is ready
///  bits  8..40   TICK      counts events, and wraps
///  bit   40      WAITERS   somebody stands in the list
///  bit   41      FAILED    the resource could not be armed; why is in `errno`
///  bit   42      SHUTDOWN  the driver is gone
///  bit   43      AHEAD     a stream takes what comes before it is asked for
///
///  move         who       what changes
///  publish      driver    READY grows, TICK counts
///  clear        a task    READY shrinks by what its event showed, if TICK is still the event's
///  join_list    a task    WAITERS, under the list's lock
///  leave_list   anyone    not WAITERS, under the list's lock
///  fail         driver    FAILED
///  shut_down    driver    SHUTDOWN
///  begin_ahead  a task    AHEAD, under the stream's lock
///  end_ahead    a task    not AHEAD, under the stream's lock
/// ```
struct Word(AtomicU64);

const READY: u64 = 0xff;
const TICK_SHIFT: u32 = 8;
const TICK: u64 = 0xffff_ffff << TICK_SHIFT;
const WAITERS: u64 = 1 << 40;
const FAILED: u64 = 1 << 41;
const SHUTDOWN: u64 = 1 << 42;
const AHEAD: u64 = 1 << 43;

/// What the word was at one moment.
#[derive(Clone, Copy)]
struct View(u64);

impl View {
    fn ready(self) -> Ready {
        Ready::from_bits((self.0 & READY) as u8)
    }

    fn tick(self) -> u32 {
        ((self.0 & TICK) >> TICK_SHIFT) as u32
    }

    fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    fn is_over(self) -> bool {
        self.0 & (FAILED | SHUTDOWN) != 0
    }
}

impl Word {
    #[inline]
    fn view(&self) -> View {
        // ORDERING: Acquire pairs with the Release of `end`: who sees that it is over sees `errno`.
        View(self.0.load(Acquire))
    }

    /// Adds readiness, and counts the event.
    #[inline]
    fn publish(&self, ready: Ready) -> View {
        let mut word = self.0.load(Relaxed);
        loop {
            let tick = word.wrapping_add(1 << TICK_SHIFT) & TICK;
            let next = word & !TICK | tick | u64::from(ready.bits());
            // ORDERING: Relaxed: readiness publishes nothing but itself. That an event and one who waits do not miss each
            // other is the slot's doing (its `take` comes after this, its `register` before the look), or the list's
            // lock's; and every move of this word is a read-modify-write, which sees the latest.
            match self.0.compare_exchange_weak(word, next, Relaxed, Relaxed) {
                Ok(_) => return View(next),
                Err(seen) => word = seen,
            }
        }
    }

    /// Takes away `gone`, of what `event` showed, unless another event came since.
    #[inline]
    fn clear(&self, event: ReadyEvent, gone: u8) {
        let gone = u64::from(gone);
        let mut word = self.0.load(Relaxed);
        while View(word).tick() == event.tick && word & gone != 0 {
            // ORDERING: Relaxed: it takes back a hint, and publishes nothing; the tick guards against losing an event.
            match self
                .0
                .compare_exchange_weak(word, word & !gone, Relaxed, Relaxed)
            {
                Ok(_) => return,
                Err(seen) => word = seen,
            }
        }
    }

    /// Says that the list is not empty, and looks.
    fn join_list(&self) -> View {
        // ORDERING: Acquire as in `view`. Of an event and one who joins the second sees the first, in the one order of
        // this word; the list itself is behind its lock.
        View(self.0.fetch_or(WAITERS, Acquire))
    }

    fn leave_list(&self) {
        // ORDERING: Relaxed: only ever with the list's lock, under which the bit is looked at again before it matters.
        self.0.fetch_and(!WAITERS, Relaxed);
    }

    fn begin_ahead(&self) {
        // ORDERING: Relaxed: what the stream takes it tells of by `publish`, a later change of this same word: who has seen that
        // one and looks here again sees this one.
        self.0.fetch_or(AHEAD, Relaxed);
    }

    fn end_ahead(&self) {
        // ORDERING: Relaxed: as above; out of date it costs a look into an empty stream.
        self.0.fetch_and(!AHEAD, Relaxed);
    }

    #[inline]
    fn is_ahead(&self) -> bool {
        // ORDERING: Relaxed: see `begin_ahead`.
        self.0.load(Relaxed) & AHEAD != 0
    }

    /// FAILED or SHUTDOWN: for good.
    fn end(&self, how: u64) -> View {
        // ORDERING: Release publishes `errno` to `view` and `join_list`.
        View(self.0.fetch_or(how, Release) | how)
    }
}

/// What of `ready` a `WouldBlock` refutes: a closed side stays closed, a merely failed one may come back.
const fn clearable(ready: Ready) -> u8 {
    use blitz_sys::readiness::bits::{
        ERROR, PRIORITY, READABLE, WRITABLE, WRITE_CLOSED, WRITE_FAILED,
    };
    let ready = ready.bits();
    let mut gone = ready & (READABLE | WRITABLE | PRIORITY | ERROR | WRITE_FAILED);
    if ready & WRITE_CLOSED != 0 || ready & WRITABLE != 0 {
        gone |= WRITE_FAILED;
    }
    gone
}

/// One of those who wait without a reserved place.
struct Waiter {
    id: u64,
    mask: Ready,
    waker: Waker,
}

struct List {
    waiters: Vec<Waiter>,
    next_id: u64,
}

/// A resource's readiness, and its waiters. In this order: what each event and each wait needs is in one line of the processor's cache.
#[repr(C)]
pub(crate) struct Source {
    word: Word,
    reader: WakeSlot,
    writer: WakeSlot,
    list: Mutex<List>,
    errno: AtomicI32,
}

impl Source {
    pub(crate) fn new() -> Self {
        Self {
            word: Word(AtomicU64::new(0)),
            reader: WakeSlot::new(),
            writer: WakeSlot::new(),
            list: Mutex::new(List {
                waiters: Vec::new(),
                next_id: 0,
            }),
            errno: AtomicI32::new(0),
        }
    }

    /// What is ready of `mask`, and as of which event.
    ///
    /// # Errors
    /// If nothing will ever be: the resource cannot be polled, or the driver is gone.
    #[inline]
    pub(crate) fn look(&self, mask: Ready) -> io::Result<ReadyEvent> {
        let view = self.word.view();
        if view.is_over() {
            return Err(self.error(view));
        }
        Ok(ReadyEvent {
            tick: view.tick(),
            ready: view.ready() & mask,
        })
    }

    /// Takes away what `event` showed, unless another event came since.
    #[inline]
    pub(crate) fn clear(&self, event: ReadyEvent) {
        self.word.clear(event, clearable(event.ready));
    }

    /// The same for what may be open again after it was closed.
    pub(crate) fn clear_closed(&self, event: ReadyEvent) {
        self.word.clear(event, event.ready.bits());
    }

    /// Leaves `waker` in the direction's reserved place. Look again afterwards.
    #[inline]
    pub(crate) fn register(&self, direction: Direction, waker: &Waker) {
        match direction {
            Direction::Read => self.reader.register(waker),
            Direction::Write => self.writer.register(waker),
        }
    }

    /// Puts `waker` in the list, or in its place there, unless something of `mask` is ready.
    ///
    /// # Errors
    /// As for [`look`](Self::look).
    pub(crate) fn join(
        &self,
        id: &mut Option<u64>,
        mask: Ready,
        waker: &Waker,
    ) -> io::Result<ReadyEvent> {
        // Foreign code: cloned before the lock, and what it replaces is dropped after it.
        let waker = waker.clone();
        let mut list = self.list.lock();
        let view = self.word.join_list();
        let event = ReadyEvent {
            tick: view.tick(),
            ready: view.ready() & mask,
        };
        let stays_out = view.is_over() || !event.ready.is_empty();
        let position = id.and_then(|id| list.waiters.iter().position(|waiter| waiter.id == id));
        let old = match position {
            Some(position) if stays_out => {
                *id = None;
                Some(list.waiters.remove(position).waker)
            }
            Some(position) => Some(std::mem::replace(&mut list.waiters[position].waker, waker)),
            None if stays_out => Some(waker),
            None => {
                let new = list.next_id;
                list.next_id += 1;
                *id = Some(new);
                list.waiters.push(Waiter {
                    id: new,
                    mask,
                    waker,
                });
                None
            }
        };
        if list.waiters.is_empty() {
            self.word.leave_list();
        }
        drop(list);
        drop(old);
        if view.is_over() {
            return Err(self.error(view));
        }
        Ok(event)
    }

    /// Takes the waiter `id` out of the list, if it is still there.
    pub(crate) fn leave(&self, id: u64) {
        let mut list = self.list.lock();
        let position = list.waiters.iter().position(|waiter| waiter.id == id);
        let gone = position.map(|position| list.waiters.remove(position));
        if list.waiters.is_empty() {
            self.word.leave_list();
        }
        drop(list);
        drop(gone);
    }

    /// Ready as far as is known; nobody waits yet.
    pub(crate) fn assume(&self, ready: Ready) {
        self.word.publish(ready);
    }

    /// A stream takes what comes before it is asked for, and tells everyone of it by [`Wake`].
    pub(crate) fn begin_ahead(&self) {
        self.word.begin_ahead();
    }

    /// It has nothing any more, and takes no more.
    pub(crate) fn end_ahead(&self) {
        self.word.end_ahead();
    }

    /// True from the one to the other.
    #[inline]
    pub(crate) fn is_ahead(&self) -> bool {
        self.word.is_ahead()
    }

    /// An event came: hands the wakers of everyone whom it concerns to `wake`, which must not call them yet.
    #[inline]
    pub(crate) fn deliver(&self, ready: Ready, wake: &mut dyn FnMut(Waker)) {
        let view = self.word.publish(ready);
        self.take(view, ready, wake);
    }

    /// The resource cannot be polled: everyone is told, now and later.
    pub(crate) fn fail(&self, errno: i32, wake: &mut dyn FnMut(Waker)) {
        // ORDERING: Relaxed: `end` publishes it, and it is read only after FAILED was seen.
        self.errno.store(errno, Relaxed);
        let view = self.word.end(FAILED);
        self.take(view, Ready::ALL, wake);
    }

    /// The driver is gone: everyone is told, now and later.
    pub(crate) fn shut_down(&self, wake: &mut dyn FnMut(Waker)) {
        let view = self.word.end(SHUTDOWN);
        self.take(view, Ready::ALL, wake);
    }

    #[inline]
    fn take(&self, view: View, ready: Ready, wake: &mut dyn FnMut(Waker)) {
        for (slot, direction) in [
            (&self.reader, Direction::Read),
            (&self.writer, Direction::Write),
        ] {
            if !(ready & direction.mask()).is_empty()
                && let Some(waker) = slot.take()
            {
                wake(waker);
            }
        }
        if view.has_waiters() {
            self.take_listed(ready, wake);
        }
    }

    #[cold]
    fn take_listed(&self, ready: Ready, wake: &mut dyn FnMut(Waker)) {
        let mut list = self.list.lock();
        let concerned = |waiter: &mut Waiter| !(waiter.mask & ready).is_empty();
        // First come, first woken; `wake` only collects.
        for waiter in list.waiters.extract_if(.., concerned) {
            wake(waiter.waker);
        }
        if list.waiters.is_empty() {
            self.word.leave_list();
        }
    }

    #[cold]
    fn error(&self, view: View) -> io::Error {
        if view.0 & FAILED != 0 {
            // ORDERING: Relaxed: `view` has seen FAILED, which `end` published after the number.
            return blitz_sys::errno::error(self.errno.load(Relaxed));
        }
        shutting_down()
    }
}

/// Called when a stream has something for those who read the resource: all of them are told, as by an event.
impl Wake for Source {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let (mut first, mut rest) = (WakeBatch::new(), Vec::new());
        self.deliver(Ready::READABLE, &mut |waker| {
            if first.is_full() {
                rest.push(waker);
            } else {
                first.push(waker);
            }
        });
        first.wake_all();
        rest.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.word.view();
        f.debug_struct("Source")
            .field("ready", &view.ready())
            .field("tick", &view.tick())
            .finish_non_exhaustive()
    }
}

/// What everyone is told who needs a driver that is gone.
#[cold]
pub(crate) fn shutting_down() -> io::Error {
    io::Error::other(ShuttingDown)
}

/// True if an operation failed because the driver that served it is gone.
pub fn is_shutting_down(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<ShuttingDown>())
}

#[derive(Debug)]
struct ShuttingDown;

impl fmt::Display for ShuttingDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the runtime that this resource belongs to has shut down, or is shutting down: it serves no more I/O",
        )
    }
}

impl std::error::Error for ShuttingDown {}

impl ReadyEvent {
    /// Nothing was observed: the resource was never armed, so that a try is worth a call.
    pub(crate) const UNTRIED: Self = Self {
        tick: 0,
        ready: Ready::EMPTY,
    };
}

impl Interest {
    /// What a socket is armed for unless it asks for more.
    pub(crate) const fn default_for_sockets() -> Self {
        Self::READABLE.add(Self::WRITABLE)
    }
}

#[cfg(test)]
#[path = "tests/readiness.rs"]
mod tests;
