//! A signal from one task to another, without a value.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicU8, AtomicUsize};
use blitz_core::primitive::sync::{Mutex, MutexGuard};
use blitz_core::waiting::Site;
use blitz_core::wake::WakeBatch;

use crate::called;
use crate::place;

/// Whether a notification lies ready, whether somebody waits, and how often all were notified.
///
/// ```text
///  bit 0    PERMIT   a notification that nobody has taken yet
///  bit 1    LINE     somebody stands in line; never beside PERMIT
///  bits 2…  CALLS    how often all were notified; wraps
///
///  from         move    to              who, and what it does then
///  no LINE      leave   PERMIT          notifies one: nobody waits, the next who comes takes it
///  PERMIT       take    no PERMIT       anyone who wants to wait: does not wait
///  neither      queue   LINE            under the lock: stands in line
///  LINE         empty   no LINE         under the lock, nobody is left in line
///  any          call    CALLS + 1       notifies all; with LINE under the lock, and dismisses the line
/// ```
struct Word(AtomicUsize);

const PERMIT: usize = 1;
const LINE: usize = 2;
const CALL: usize = 4;

impl Word {
    /// Answers false if somebody waits: then the line is to be served.
    fn leave_permit(&self) -> bool {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        while word & LINE == 0 {
            // ORDERING: Release pairs with the Acquire in `take_permit`, also where the permit was there before: what this
            // notifier did before is seen by whoever takes it.
            match self
                .0
                .compare_exchange_weak(word, word | PERMIT, Release, Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    fn take_permit(&self, seen_calls: usize) -> Taken {
        // ORDERING: Acquire pairs with the Release in `call`, by which the number of calls rose.
        let mut word = self.0.load(Acquire);
        loop {
            // Notified with all others: the permit is for somebody else.
            if word / CALL != seen_calls {
                return Taken::Called;
            }
            if word & PERMIT == 0 {
                return Taken::Nothing;
            }
            // ORDERING: Acquire pairs with the Release in `leave_permit`.
            match self
                .0
                .compare_exchange_weak(word, word & !PERMIT, Acquire, Acquire)
            {
                Ok(_) => return Taken::Permit,
                Err(seen) => word = seen,
            }
        }
    }

    /// Under the lock.
    fn queue(&self, seen_calls: usize) -> Taken {
        loop {
            match self.take_permit(seen_calls) {
                Taken::Nothing => {}
                taken => return taken,
            }
            // ORDERING: Relaxed: a guess for the exchange below.
            let word = self.0.load(Relaxed);
            if word & LINE != 0 {
                return Taken::Nothing;
            }
            if word & PERMIT != 0 || word / CALL != seen_calls {
                continue;
            }
            // ORDERING: Relaxed: whoever sees LINE takes the lock.
            if self
                .0
                .compare_exchange_weak(word, word | LINE, Relaxed, Relaxed)
                .is_ok()
            {
                return Taken::Nothing;
            }
        }
    }

    /// Counts a call if nobody waits; answers false if somebody does.
    fn call_nobody(&self) -> bool {
        // ORDERING: Relaxed: a guess for the exchange below.
        let mut word = self.0.load(Relaxed);
        while word & LINE == 0 {
            // ORDERING: Release pairs with the Acquire in `take_permit`.
            match self
                .0
                .compare_exchange_weak(word, word.wrapping_add(CALL), Release, Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Under the lock.
    fn call(&self) {
        // ORDERING: Release as above.
        self.0.fetch_add(CALL, Release);
    }

    fn calls(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `call`: what was done before an earlier call is seen by who comes later.
        self.0.load(Acquire) / CALL
    }

    /// Under the lock.
    fn empty(&self) {
        // ORDERING: Relaxed: it publishes nothing.
        self.0.fetch_and(!LINE, Relaxed);
    }
}

enum Taken {
    Permit,
    Called,
    Nothing,
}

/// From which end of the line one is notified.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

// What a place's answer may be.
const NONE: u8 = 0;
const BY_FIRST: u8 = 1;
const BY_LAST: u8 = 2;
const WITH_ALL: u8 = 3;

/// What the line knows of one who waits.
struct Note {
    /// How many calls had been made when its future was.
    seen_calls: usize,
    answer: AtomicU8,
}

type Place = place::Place<Note>;

/// Those who wait, in the order they came: so those whom a call is due to stand in front of those who came after it.
type Line = place::Line<Note>;

/// A signal from one task to another, without a value.
///
/// [`notify_one`](Self::notify_one) lets one who waits go on, the one who has waited longest; if nobody waits, the next who
/// wants to does not have to. At most one such notification lies ready: two before anyone comes let one go on.
/// [`notify_waiters`](Self::notify_waiters) lets all go on who wait, and nobody who comes later.
///
/// # Examples
/// ```
/// use blitz_sync::Notify;
/// # futures::executor::block_on(async {
/// let ready = Notify::new();
/// ready.notify_one();
/// ready.notified().await; // it lay ready
/// # });
/// ```
pub struct Notify {
    word: Word,
    line: Mutex<Line>,
}

// SAFETY: the pointers in the line are followed under its lock, and lead to places that are `Send` and `Sync`.
unsafe impl Send for Notify {}
// SAFETY: as above.
unsafe impl Sync for Notify {}
impl UnwindSafe for Notify {}
impl RefUnwindSafe for Notify {}

impl Notify {
    /// A signal that nobody has given.
    pub fn new() -> Self {
        Self {
            word: Word(AtomicUsize::new(0)),
            line: Mutex::new(Line::new()),
        }
    }

    /// The same, for a `static`.
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            word: Word(AtomicUsize::new(0)),
            line: Mutex::new(Line::new()),
        }
    }

    /// Waits for a notification.
    ///
    /// From the moment it is made, before it is polled, the future is among those whom
    /// [`notify_waiters`](Self::notify_waiters) lets go on. To be among those whom [`notify_one`](Self::notify_one) finds, it
    /// has to be polled once, or [enabled](Notified::enable).
    ///
    /// # Cancel safety
    /// Dropped, it leaves the line; if `notify_one` had chosen it already, the next one is notified instead.
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            wait: Wait::new(self),
        }
    }

    /// Waits for a notification, with a future that keeps this alive instead of borrowing it.
    ///
    /// # Cancel safety
    /// As for [`notified`](Self::notified).
    #[track_caller]
    pub fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        OwnedNotified {
            wait: Wait::new(self),
        }
    }

    /// Lets the one go on who has waited longest, or else the next who comes.
    pub fn notify_one(&self) {
        self.notify(End::First);
    }

    /// Lets the one go on who has waited least, or else the next who comes: its data may still be in the cache.
    pub fn notify_last(&self) {
        self.notify(End::Last);
    }

    /// Lets all go on who wait now, and nobody who comes later.
    ///
    /// # Examples
    /// ```
    /// use blitz_sync::Notify;
    /// # futures::executor::block_on(async {
    /// let stop = Notify::new();
    /// let (one, other) = (stop.notified(), stop.notified());
    /// stop.notify_waiters();
    /// one.await;
    /// other.await;
    /// # });
    /// ```
    pub fn notify_waiters(&self) {
        if self.begin_call() {
            self.finish_call();
        }
    }

    /// The first half of a call, which decides whom it is due to and runs no foreign code. Answers whether there is a
    /// second, which wakes them.
    pub(crate) fn begin_call(&self) -> bool {
        if self.word.call_nobody() {
            return false;
        }
        let _line = self.line.lock();
        self.word.call();
        true
    }

    /// The second half of a call.
    pub(crate) fn finish_call(&self) {
        let mut wakers = WakeBatch::new();
        drop(self.dismiss_called(self.line.lock(), &mut wakers));
        wakers.wake_all();
    }

    fn notify(&self, end: End) {
        if self.word.leave_permit() {
            return;
        }
        let mut wakers = WakeBatch::new();
        // Who is notified with all others is not chosen by this call.
        let mut line = self.dismiss_called(self.line.lock(), &mut wakers);
        let chosen = match end {
            End::First => line.pop_front(),
            End::Last => line.pop_back(),
        };
        match chosen {
            Some(place) => {
                let answer = match end {
                    End::First => BY_FIRST,
                    End::Last => BY_LAST,
                };
                let waker = self.dismiss(&line, place, answer);
                drop(line);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            // The line ended meanwhile, and only who holds the lock can begin another.
            None => {
                let left = self.word.leave_permit();
                debug_assert!(left, "somebody stands in an empty line");
                drop(line);
            }
        }
        wakers.wake_all();
    }

    /// Dismisses those in front whom a call of all is due to. Others may come and go meanwhile.
    fn dismiss_called<'a>(
        &'a self,
        mut line: MutexGuard<'a, Line>,
        wakers: &mut WakeBatch,
    ) -> MutexGuard<'a, Line> {
        while let Some(front) = line.front() {
            // SAFETY: it is in the line and we hold the lock, so its future has not gone.
            let seen_calls = unsafe { front.as_ref() }.seen_calls;
            if seen_calls == self.word.calls() {
                break;
            }
            let _ = line.pop_front();
            if let Some(waker) = self.dismiss(&line, front, WITH_ALL) {
                wakers.push(waker);
            }
            if wakers.is_full() {
                drop(line);
                wakers.wake_all();
                line = self.line.lock();
            }
        }
        line
    }

    /// Gives a place that has just left the `line` its answer, which is the last that is done with it.
    fn dismiss(&self, line: &Line, place: NonNull<Place>, answer: u8) -> Option<Waker> {
        if line.is_empty() {
            self.word.empty();
        }
        // SAFETY: it has no answer yet, so its future has not gone.
        let place = unsafe { place.as_ref() };
        // SAFETY: the lock is held, and the owner has no answer yet: see `Place`.
        let waker = unsafe { place.take_waker() };
        // ORDERING: Release pairs with the Acquire in `Wait`: what the notifier did before is seen after, and the owner's
        // next touch, which may be the end of the place, comes after ours.
        place.answer.store(answer, Release);
        waker
    }

    /// Stands in line, unless a notification turns up meanwhile.
    fn queue(&self, place: Pin<&Place>, waker: Option<&Waker>) -> bool {
        // Foreign code, so before the lock; and declared before it, so dropped after it.
        let mut waker = waker.cloned();
        let mut line = self.line.lock();
        match self.word.queue(place.seen_calls) {
            Taken::Permit | Taken::Called => true,
            Taken::Nothing => {
                // SAFETY: it is in no line yet.
                unsafe { place.put_waker(waker.take()) };
                line.push_back(NonNull::from(place.get_ref()));
                false
            }
        }
    }

    /// In line, unless notified: leaves `waker` there. Answers whether it was notified.
    fn stay(&self, place: Pin<&Place>, waker: Option<&Waker>) -> bool {
        let mut new = None;
        loop {
            // ORDERING: Acquire pairs with the Release in `dismiss`.
            if place.answer.load(Acquire) != NONE {
                return true;
            }
            let mut line = self.line.lock();
            // ORDERING: Relaxed: it changes under the lock.
            if place.answer.load(Relaxed) != NONE {
                return true;
            }
            if place.seen_calls != self.word.calls() {
                // The call that is due to it has not come as far as here.
                let old = self.step_out(&mut line, place);
                drop(line);
                drop(old);
                return true;
            }
            let Some(waker) = waker else { return false };
            // SAFETY: it is in the line.
            if unsafe { place.leave_waker(line, waker, &mut new, |_| ()) } {
                return false;
            }
        }
    }

    /// Takes a place out of the line that has no answer; returns its waker.
    fn step_out(&self, line: &mut Line, place: Pin<&Place>) -> Option<Waker> {
        // SAFETY: without an answer it is in this line, and it is valid.
        let _ = unsafe { line.remove(NonNull::from(place.get_ref())) };
        if line.is_empty() {
            self.word.empty();
        }
        // SAFETY: it is in no line any more, and it is the caller's.
        unsafe { place.take_waker() }
    }

    /// The future goes while it stands in line, or with an answer that it has not seen.
    fn leave(&self, place: Pin<&Place>) {
        let mut line = self.line.lock();
        // ORDERING: Relaxed: it changes under the lock.
        match place.answer.load(Relaxed) {
            NONE => {
                let waker = self.step_out(&mut line, place);
                drop(line);
                drop(waker);
            }
            WITH_ALL => {}
            by => {
                drop(line);
                self.notify(if by == BY_FIRST {
                    End::First
                } else {
                    End::Last
                });
            }
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed: a glance.
        let word = self.word.0.load(Relaxed);
        f.debug_struct("Notify")
            .field("notified", &(word & PERMIT != 0))
            .field("awaited", &(word & LINE != 0))
            .finish()
    }
}

static NOTIFIED: Site = called::site("Notify::notified");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Fresh,
    InLine,
    Done,
}

pin_project_lite::pin_project! {
    /// A wait, however it holds on to its signal, which stays in one place.
    pub(crate) struct Wait<N: Deref<Target = Notify>> {
        notify: N,
        at: &'static Location<'static>,
        step: Step,
        #[pin]
        place: Place,
    }

    impl<N: Deref<Target = Notify>> PinnedDrop for Wait<N> {
        fn drop(this: Pin<&mut Self>) {
            if this.step == Step::InLine {
                let this = this.project();
                this.notify.leave(this.place.as_ref());
            }
        }
    }
}

impl<N: Deref<Target = Notify>> Wait<N> {
    /// From here on it is among those whom [`notify_waiters`](Notify::notify_waiters) lets go on.
    #[track_caller]
    pub(crate) fn new(notify: N) -> Self {
        let seen_calls = notify.word.calls();
        Self {
            notify,
            at: Location::caller(),
            step: Step::Fresh,
            place: Place::new(Note {
                seen_calls,
                answer: AtomicU8::new(NONE),
            }),
        }
    }

    /// What holds on to the signal.
    pub(crate) fn holder(&self) -> &N {
        &self.notify
    }

    /// Answers whether it is notified.
    fn step(self: Pin<&mut Self>, waker: Option<&Waker>) -> bool {
        let this = self.project();
        let place = this.place.as_ref();
        let notified = match this.step {
            Step::Fresh => match this.notify.word.take_permit(place.seen_calls) {
                Taken::Permit | Taken::Called => true,
                Taken::Nothing => this.notify.queue(place, waker),
            },
            Step::InLine => this.notify.stay(place, waker),
            Step::Done => true,
        };
        *this.step = if notified { Step::Done } else { Step::InLine };
        notified
    }

    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.as_mut().step(Some(cx.waker())) {
            return Poll::Ready(());
        }
        called::note(&NOTIFIED, &*self.notify, Some(self.at));
        Poll::Pending
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Notify::notified`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Notified<'a> {
        #[pin]
        wait: Wait<&'a Notify>,
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Notify::notified_owned`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct OwnedNotified {
        #[pin]
        wait: Wait<Arc<Notify>>,
    }
}

macro_rules! notified {
    ($(($($lifetime:lifetime)?) $name:ty),*) => {$(
        impl$(<$lifetime>)? $name {
            /// Stands in line now, without being polled, so that [`Notify::notify_one`] finds it from here on.
            ///
            /// Returns whether it is notified: then the next poll is ready.
            ///
            /// # Examples
            /// No item is missed that is pushed between the look and the wait:
            /// ```
            /// use blitz_sync::Notify;
            /// # futures::executor::block_on(async {
            /// let pushed = Notify::new();
            /// let mut notified = std::pin::pin!(pushed.notified());
            /// assert!(!notified.as_mut().enable());
            /// // … a look at the queue that finds nothing …
            /// pushed.notify_one();
            /// notified.await;
            /// # });
            /// ```
            pub fn enable(self: Pin<&mut Self>) -> bool {
                self.project().wait.step(None)
            }
        }

        impl$(<$lifetime>)? Future for $name {
            type Output = ();

            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
                self.project().wait.poll(cx)
            }
        }

        impl$(<$lifetime>)? fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("notify", &*self.wait.notify)
                    .finish_non_exhaustive()
            }
        }
    )*};
}

notified!(('a) Notified<'a>, () OwnedNotified);

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Notify>();
    shared::<Notified<'_>>();
    shared::<OwnedNotified>();
};

#[cfg(all(test, loom))]
#[path = "tests/loom_notify.rs"]
mod models;
