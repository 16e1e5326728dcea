//! A line of those who wait until a word changes, whatever the word is.
//!
//! It is the idea of futex(2) without the system call: whoever waits says what it waits for, is in line before it looks, and goes
//! away again if there is nothing to wait for; whoever changes the word looks whether somebody stands there, which is one load if
//! nobody does. The line knows wakers alone, so a task of any executor and a thread stand in the same one; and a place in it lies
//! in the future that waits, so no wait allocates.
//!
//! The channels of [`mpmc`](crate::mpmc) stand on it.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicUsize, fence};
use blitz_core::primitive::sync::{Mutex, MutexGuard};
use blitz_core::quiet::quietly;
use blitz_core::wake::{WakeBatch, in_turn};

use crate::blocking::block_on;
use crate::place;

/// What the line knows of one who waits.
struct Note {
    /// When it came, counted in arrivals.
    ticket: UnsafeCell<u64>,
    /// So often in a row it was chosen, and others were faster.
    beaten: UnsafeCell<u32>,
    /// Set when it is taken out of the line, which is the last that the line does with it.
    was_chosen: AtomicBool,
}

type Place = place::Place<Note>;

/// Who was beaten so often in a row is woken at once, also where it was to run in its turn: else those who are there before it, turn
/// after turn, could keep it from going on for ever.
const BEATEN_MAX: u32 = 8;

struct Line {
    places: place::Line<Note>,
    /// How many have come so far.
    arrivals: u64,
}

/// Those who wait until a word changes; see [`add_waiter_if`](Self::add_waiter_if).
///
/// The word is the user's: an atomic, or anything else that can be looked at from several threads. Whoever waits hands in the
/// look, as a condition; whoever changes the word calls [`wake_one`](Self::wake_one) or [`wake_all`](Self::wake_all) *after*
/// the change. Then no wake is lost: either the condition sees the change, or the wake sees who waits.
///
/// # Examples
/// A lock of one word. Whoever waits may be a task of any executor, or a thread:
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering::{Acquire, Relaxed, Release}};
/// use blitz_sync::WaiterQueue;
///
/// static LOCKED: AtomicBool = AtomicBool::new(false);
/// static WAITERS: WaiterQueue = WaiterQueue::new();
///
/// async fn lock() {
///     while LOCKED.swap(true, Acquire) {
///         WAITERS.add_waiter_if(|| LOCKED.load(Relaxed)).await;
///     }
/// }
///
/// fn unlock() {
///     LOCKED.store(false, Release);
///     WAITERS.wake_one();
/// }
///
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             futures::executor::block_on(lock());
///             unlock();
///         });
///     }
/// });
/// assert_eq!(WAITERS.waiter_count(), 0);
/// ```
pub struct WaiterQueue {
    /// How many stand in line. Changes under the lock.
    count: AtomicUsize,
    line: Mutex<Line>,
}

// SAFETY: the pointers in the line are followed under its lock, and lead to places that are `Send` and `Sync`.
unsafe impl Send for WaiterQueue {}
// SAFETY: as above.
unsafe impl Sync for WaiterQueue {}
impl UnwindSafe for WaiterQueue {}
impl RefUnwindSafe for WaiterQueue {}

impl WaiterQueue {
    /// A line in which nobody stands.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            line: Mutex::new(Line {
                places: place::Line::new(),
                arrivals: 0,
            }),
        }
    }

    /// A line in which nobody stands.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            line: Mutex::new(Line {
                places: place::Line::new(),
                arrivals: 0,
            }),
        }
    }

    /// Waits for a wake if `condition` holds. Returns true after a wake, false if it did not hold.
    ///
    /// The first poll puts the future in line, calls `condition` once, without a lock, and takes the future out again if the
    /// answer is false. A wake that has found it there meanwhile goes to the next in line.
    ///
    /// That it was woken is no promise of what the word says by now: somebody else may have changed it since.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the line; if it had been woken and has not seen it, the next in line is woken instead.
    ///
    /// # Panics
    /// If `condition` does: the future is out of the line then.
    pub fn add_waiter_if<C: FnOnce() -> bool>(&self, condition: C) -> WaitIf<'_, C> {
        WaitIf {
            condition: Some(condition),
            wait: Wait::new(self),
        }
    }

    /// The same on a thread that runs no tasks.
    ///
    /// # Panics
    /// On a thread that runs tasks.
    #[track_caller]
    pub fn blocking_wait_if<C: FnOnce() -> bool>(&self, condition: C) -> bool {
        block_on(
            "WaiterQueue::blocking_wait_if",
            self.add_waiter_if(condition),
        )
    }

    /// Wakes the one who has waited longest. Returns whether there was one.
    ///
    /// With nobody in line it is a fence and a load.
    pub fn wake_one(&self) -> bool {
        // ORDERING: SeqCst, mine before yours: the caller has changed its word and looks whether somebody waits; who waits says
        // so (`enter`) and looks at the word, after a fence of its own (`Wait::stand`). One of us sees the other.
        fence(SeqCst);
        self.wake_one_after_change()
    }

    /// The same if the word was changed by a sequentially consistent exchange, which is a fence already.
    #[inline]
    pub(crate) fn wake_one_after_change(&self) -> bool {
        // Loom does not know sequentially consistent accesses.
        // ORDERING: SeqCst: as in `wake_one`.
        #[cfg(loom)]
        fence(SeqCst);
        // ORDERING: SeqCst: as in `wake_one`; the other side's first half is in `enter`.
        self.count.load(SeqCst) != 0 && self.choose_one(0)
    }

    /// As [`wake_one_after_change`](Self::wake_one_after_change): who is woken is in no hurry, and runs in its turn, unless it was
    /// beaten there too often.
    #[inline]
    pub(crate) fn wake_one_in_turn_after_change(&self) -> bool {
        // Loom does not know sequentially consistent accesses.
        // ORDERING: SeqCst: as in `wake_one`.
        #[cfg(loom)]
        fence(SeqCst);
        // ORDERING: SeqCst: as in `wake_one_after_change`.
        self.count.load(SeqCst) != 0 && self.choose_one(BEATEN_MAX)
    }

    /// Wakes all who wait now, and nobody who comes later. Returns how many that was.
    pub fn wake_all(&self) -> usize {
        // ORDERING: SeqCst: as in `wake_one`.
        fence(SeqCst);
        // ORDERING: SeqCst: as in `wake_one`.
        if self.count.load(SeqCst) == 0 {
            return 0;
        }
        let line = self.line.lock();
        let end = line.arrivals;
        self.choose_all(line, end)
    }

    /// After a change by a sequentially consistent exchange, after which nobody waits any more: wakes whoever is in line.
    #[cold]
    pub(crate) fn dissolve_after_change(&self) {
        // ORDERING: SeqCst: as in `wake_one_after_change`.
        #[cfg(loom)]
        fence(SeqCst);
        // ORDERING: SeqCst: as in `wake_one`.
        if self.count.load(SeqCst) != 0 {
            self.choose_all(self.line.lock(), u64::MAX);
        }
    }

    /// How many stand in line now.
    pub fn waiter_count(&self) -> usize {
        // ORDERING: Acquire pairs with the RMW in `enter`: who saw somebody in line sees what it did before.
        self.count.load(Acquire)
    }

    /// Wakes the one in front; in its turn if it was beaten less often than `patience`.
    #[cold]
    fn choose_one(&self, patience: u32) -> bool {
        let mut line = self.line.lock();
        let Some(front) = line.places.pop_front() else {
            return false;
        };
        // SAFETY: it was in the line until now, and has not been told.
        let place = unsafe { front.as_ref() };
        // SAFETY: the lock is held, as for the waker.
        let beaten = place.beaten.with(|beaten| unsafe { *beaten });
        let waker = self.dismiss(&line, front);
        drop(line);
        if let Some(waker) = waker {
            // Foreign code: who calls may have a value in hand, or be dropping a wait.
            let wake = || quietly(|| waker.wake());
            if beaten < patience {
                in_turn(wake);
            } else {
                wake();
            }
        }
        true
    }

    /// Wakes those in front who came before arrival `end`. Others may come and go meanwhile.
    fn choose_all<'a>(&'a self, mut line: MutexGuard<'a, Line>, end: u64) -> usize {
        let mut wakers = WakeBatch::new();
        let mut chosen = 0;
        while let Some(front) = line.places.front() {
            // SAFETY: it is in the line and we hold the lock, so its future has not gone.
            let place = unsafe { front.as_ref() };
            // SAFETY: as above.
            if place.ticket.with(|ticket| unsafe { *ticket }) >= end {
                break;
            }
            let _ = line.places.pop_front();
            chosen += 1;
            if let Some(waker) = self.dismiss(&line, front) {
                wakers.push(waker);
            }
            if wakers.is_full() {
                drop(line);
                wakers.wake_all();
                line = self.line.lock();
            }
        }
        drop(line);
        wakers.wake_all();
        chosen
    }

    /// Tells a place that has just been taken out of the line; it is not touched after that.
    fn dismiss(&self, _line: &Line, place: NonNull<Place>) -> Option<Waker> {
        // ORDERING: Relaxed: it changes under the lock, and who reads zero has nobody to wake.
        self.count.fetch_sub(1, Relaxed);
        // SAFETY: it has not been told yet, so its future has not gone.
        let place = unsafe { place.as_ref() };
        // SAFETY: the lock is held, and the owner has not been told yet: see `Place`.
        let waker = unsafe { place.take_waker() };
        // ORDERING: Release pairs with the Acquire in `stay`: what was done before the wake is seen after, and the owner's next
        // touch, which may be the end of the place, comes after ours.
        place.was_chosen.store(true, Release);
        waker
    }

    /// Puts a place in line; at its front if it was chosen once already and came too late.
    fn enter(&self, place: Pin<&Place>, waker: &Waker, in_front: bool) {
        // Foreign code, so before the lock.
        let waker = waker.clone();
        // SAFETY: it is in no line yet.
        unsafe { place.put_waker(Some(waker)) };
        place.beaten.with_mut(|beaten| {
            // SAFETY: as above.
            let beaten = unsafe { &mut *beaten };
            *beaten = if in_front {
                beaten.saturating_add(1)
            } else {
                0
            };
        });
        // ORDERING: Relaxed: nobody else has it yet, and the lock publishes it.
        place.was_chosen.store(false, Relaxed);
        let mut line = self.line.lock();
        let ticket = line.arrivals;
        line.arrivals += 1;
        // SAFETY: as above.
        place.ticket.with_mut(|slot| unsafe { *slot = ticket });
        let place = NonNull::from(place.get_ref());
        if in_front {
            line.places.push_front(place);
        } else {
            line.places.push_back(place);
        }
        // ORDERING: SeqCst: see `wake_one`; what comes after this is the fence in `Wait::stand`.
        self.count.fetch_add(1, SeqCst);
    }

    /// In line, unless chosen: leaves `waker` there. Answers whether it was chosen.
    fn stay(&self, place: Pin<&Place>, waker: &Waker) -> bool {
        let mut new = None;
        loop {
            // ORDERING: Acquire pairs with the Release in `dismiss`.
            if place.was_chosen.load(Acquire) {
                return true;
            }
            let line = self.line.lock();
            // ORDERING: Relaxed: it changes under the lock.
            if place.was_chosen.load(Relaxed) {
                return true;
            }
            // SAFETY: it is in the line.
            if unsafe { place.leave_waker(line, waker, &mut new, |_| ()) } {
                return false;
            }
        }
    }

    /// The place goes; if it was chosen, and nobody has seen it, the next is.
    #[cold]
    fn leave(&self, place: Pin<&Place>) {
        let mut line = self.line.lock();
        // ORDERING: Relaxed: it changes under the lock.
        if place.was_chosen.load(Relaxed) {
            drop(line);
            self.choose_one(0);
            return;
        }
        // SAFETY: not chosen, it is in this line, and it is valid.
        let _ = unsafe { line.places.remove(NonNull::from(place.get_ref())) };
        // ORDERING: Relaxed: as in `dismiss`.
        self.count.fetch_sub(1, Relaxed);
        // SAFETY: it is in no line any more, and it is the caller's.
        let waker = unsafe { place.take_waker() };
        drop(line);
        drop(waker);
    }
}

impl Default for WaiterQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaiterQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaiterQueue")
            .field("waiters", &self.waiter_count())
            .finish()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// In no line.
    Fresh,
    InLine,
    /// In no line; it was chosen before, and is to be the next again if it has to wait on.
    Chosen,
}

pin_project_lite::pin_project! {
    /// A wait that can be taken up again, for futures that try, wait, and try again; `queue` stays in one place.
    ///
    /// One who was chosen and found that another was faster goes back to the front of the line.
    pub(crate) struct Wait<Q: Deref<Target = WaiterQueue>> {
        queue: Q,
        step: Step,
        #[pin]
        place: Place,
    }

    impl<Q: Deref<Target = WaiterQueue>> PinnedDrop for Wait<Q> {
        fn drop(this: Pin<&mut Self>) {
            if this.step == Step::InLine {
                let this = this.project();
                this.queue.leave(this.place.as_ref());
            }
        }
    }
}

impl<Q: Deref<Target = WaiterQueue>> Wait<Q> {
    #[inline]
    pub(crate) fn new(queue: Q) -> Self {
        Self {
            queue,
            step: Step::Fresh,
            place: Place::new(Note {
                ticket: UnsafeCell::new(0),
                beaten: UnsafeCell::new(0),
                was_chosen: AtomicBool::new(false),
            }),
        }
    }

    /// Whether it stands in no line, and was not chosen either.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        self.step == Step::Fresh
    }

    /// Whether it is the caller's turn to try: it does not stand in line, or was chosen. If not, `waker` stays there.
    #[inline]
    pub(crate) fn is_turn(self: Pin<&mut Self>, waker: &Waker) -> bool {
        let this = self.project();
        if *this.step != Step::InLine {
            return true;
        }
        let was_chosen = this.queue.stay(this.place.as_ref(), waker);
        if was_chosen {
            *this.step = Step::Chosen;
        }
        was_chosen
    }

    /// After a try that found something: a later wait begins anew.
    pub(crate) fn found(self: Pin<&mut Self>) {
        let step = self.project().step;
        debug_assert!(*step != Step::InLine, "who stands in line does not try");
        *step = Step::Fresh;
    }

    /// After a try that found nothing: stands in line if `condition` holds even then. Answers whether it does.
    #[cold]
    pub(crate) fn stand(
        self: Pin<&mut Self>,
        waker: &Waker,
        condition: impl FnOnce() -> bool,
    ) -> bool {
        let this = self.project();
        let before = *this.step;
        this.queue
            .enter(this.place.as_ref(), waker, before == Step::Chosen);
        // Before the condition, which may panic.
        *this.step = Step::InLine;
        // ORDERING: SeqCst: see `WaiterQueue::wake_one`: we have said that we wait, and look at the word.
        fence(SeqCst);
        if condition() {
            return true;
        }
        *this.step = before;
        this.queue.leave(this.place.as_ref());
        false
    }
}

pin_project_lite::pin_project! {
    /// The future of [`WaiterQueue::add_waiter_if`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WaitIf<'a, C> {
        condition: Option<C>,
        #[pin]
        wait: Wait<&'a WaiterQueue>,
    }
}

impl<C: FnOnce() -> bool> Future for WaitIf<'_, C> {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut this = self.project();
        let Some(condition) = this.condition.take() else {
            return if this.wait.as_mut().is_turn(cx.waker()) {
                Poll::Ready(true)
            } else {
                Poll::Pending
            };
        };
        if this.wait.stand(cx.waker(), condition) {
            Poll::Pending
        } else {
            Poll::Ready(false)
        }
    }
}

impl<C> fmt::Debug for WaitIf<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitIf")
            .field("queue", &self.wait.queue)
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<WaiterQueue>();
    shared::<WaitIf<'_, fn() -> bool>>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_waiters.rs"]
mod models;
