//! Counted permits, and the line of those who wait for some: what every lock and every bounded channel here stands on.
//!
//! Taking what is there, and giving back while nobody waits, each move one word. Whoever finds too little stands in a
//! line behind a lock; as long as somebody stands there, nobody takes from the word past them, so the line is served in
//! order. A place in the line lies in the future that waits: no wait allocates.

mod word;

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker, ready};

use blitz_core::budget;
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::{Mutex, MutexGuard};
use blitz_core::register::{self, Call, Record, Share};
use blitz_core::waiting;
use blitz_core::wake::WakeBatch;

use crate::acquire_error::{AcquireError, TryAcquireError};
use crate::called;
use crate::holders::{Holders, Noted};
use crate::place;
use crate::spans::{Spans, Told, Waiting};
use word::{CLOSED, LINE, ONE, Queued, Word};

pub(crate) use word::MAX;

/// What a place in the line says when the line was closed.
const TOLD: usize = usize::MAX;

/// What the line knows of one who waits.
struct Note {
    wanted: usize,
    /// How many permits it still lacks; 0 or TOLD is the answer, and the last that the line does with it.
    missing: AtomicUsize,
    /// What others see of it, while it is in the line and until its owner has seen the answer; as the waker is touched.
    record: UnsafeCell<Option<&'static Record>>,
    call: Call,
    spans: Waiting,
}

type Place = place::Place<Note>;

type Line = place::Line<Note>;

/// Permits, and those who wait for some.
pub(crate) struct Permits {
    word: Word,
    line: Mutex<Line>,
    holders: Holders,
    spans: Spans,
}

// SAFETY: the pointers in the line are followed under its lock, and lead to places that are `Send` and `Sync`.
unsafe impl Send for Permits {}
// SAFETY: as above.
unsafe impl Sync for Permits {}

/// For locks, whose permits nobody closes.
#[cold]
pub(crate) fn never_closed() -> ! {
    unreachable!("nobody closes a lock's permits")
}

impl Permits {
    /// So many, which guards take and give back.
    #[cfg(not(loom))]
    pub(crate) const fn new(count: usize) -> Self {
        Self::with(Word::new(count), Some(count))
    }

    /// So many, which come and go in other ways.
    #[cfg(not(loom))]
    pub(crate) const fn open(count: usize) -> Self {
        Self::with(Word::new(count), None)
    }

    /// Permits that nobody ever gets.
    #[cfg(not(loom))]
    pub(crate) const fn new_closed() -> Self {
        Self::with(Word::new_closed(), None)
    }

    #[cfg(not(loom))]
    const fn with(word: Word, all: Option<usize>) -> Self {
        Self {
            word,
            line: Mutex::new(Line::new()),
            holders: Holders::of(all),
            spans: Spans::SILENT,
        }
    }

    #[cfg(loom)]
    pub(crate) fn new(count: usize) -> Self {
        Self {
            word: Word::new(count),
            line: Mutex::new(Line::new()),
            holders: Holders::of(Some(count)),
            spans: Spans::SILENT,
        }
    }

    #[cfg(loom)]
    pub(crate) fn open(count: usize) -> Self {
        Self::new(count)
    }

    /// The same, told of as `spans` says.
    #[inline]
    pub(crate) fn told_of(mut self, spans: Spans) -> Self {
        self.spans = spans;
        self
    }

    #[inline]
    pub(crate) fn spans(&self) -> &Spans {
        &self.spans
    }

    /// How many are free.
    pub(crate) fn available(&self) -> usize {
        self.word.look() / ONE
    }

    /// Whether somebody stands in line.
    #[inline]
    pub(crate) fn has_line(&self) -> bool {
        self.word.has_line()
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.look() & CLOSED != 0
    }

    /// Takes `count` at once, or says why not.
    #[inline]
    pub(crate) fn try_acquire(&self, count: usize) -> Result<(), TryAcquireError> {
        self.word.take(count)?;
        self.tell_taken(count);
        Ok(())
    }

    /// Takes all that [`try_acquire`](Self::try_acquire) would, without telling of it.
    pub(crate) fn take_all(&self) -> usize {
        self.word.take_all()
    }

    /// Whether [`try_acquire`](Self::try_acquire) would take `count`. A guess.
    pub(crate) fn has(&self, count: usize) -> bool {
        let word = self.word.look();
        word & (CLOSED | LINE) == 0 && word / ONE >= count
    }

    /// The caller has taken `count`; should it be a panic to tell of that, they go back.
    #[inline]
    fn tell_taken(&self, count: usize) {
        let in_hand = InHand {
            permits: self,
            count,
        };
        self.spans.taken(count);
        mem::forget(in_hand);
    }

    /// A guard of this thread's task has got `count`, by a call at `at`.
    #[inline]
    pub(crate) fn note(&self, count: usize, at: &'static Location<'static>) -> Noted {
        let task = waiting::current_task();
        let all = self.holders.all();
        if task == 0 || all == 0 || count == 0 {
            return None;
        }
        let word = self.word.glance();
        if word & LINE != 0 || word / ONE + count != all {
            // There is a line to be told at once, or others have some.
            return self.holders.add(self.object(), count, at);
        }
        // Nobody else has any, nor gets all that is out while this guard is there.
        let noted = self.holders.set(task, count, at);
        if self.word.glance() & LINE != 0 {
            self.tell_line();
        }
        noted
    }

    /// The line has come before it was said who is the holder.
    #[cold]
    fn tell_line(&self) {
        self.tell_front(&self.line.lock());
    }

    /// The guard that was noted so has `count` from now on.
    pub(crate) fn keep(&self, noted: Noted, count: usize) {
        self.holders.keep(noted, count);
    }

    /// A part of `count` of a guard that was noted so is a guard of its own.
    pub(crate) fn split(&self, noted: Noted, count: usize) -> Noted {
        let at = self.holders.place(noted)?;
        self.holders.add(self.object(), count, at)
    }

    fn object(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// From now on permits come and go otherwise than by guards, too.
    pub(crate) fn open_up(&self) {
        self.holders.open();
    }

    /// Takes up to `count` for good. Answers how many that was.
    pub(crate) fn forget(&self, count: usize) -> usize {
        self.holders.open();
        let got = self.word.take_up_to(count);
        self.spans.taken(got);
        got
    }

    /// Waits for `count`.
    #[inline]
    pub(crate) fn acquire(&self, count: usize, call: Call) -> Wait<'_> {
        Wait {
            permits: self,
            step: Step::Fresh,
            place: Place::new(Note {
                wanted: count,
                missing: AtomicUsize::new(count),
                record: UnsafeCell::new(None),
                call,
                spans: self.spans.wait(count),
            }),
        }
    }

    /// The guard that was noted so is about to give its permits back.
    #[inline]
    pub(crate) fn let_go(&self, noted: Noted) {
        self.holders.remove(noted);
    }

    /// Gives `count` back that were taken.
    #[inline]
    pub(crate) fn release(&self, count: usize) {
        if self.word.give(count) {
            self.serve(self.line.lock(), count, 0);
        } else {
            self.spans.given(count);
        }
    }

    /// The same, by who has just seen a [line](Self::has_line): they go to it without a stop in the word.
    #[cold]
    pub(crate) fn release_to_line(&self, count: usize) {
        self.serve(self.line.lock(), count, count);
    }

    /// Adds `count` new ones. Answers whether there is room for them.
    pub(crate) fn add(&self, count: usize) -> bool {
        self.holders.open();
        match self.word.give_checked(count) {
            None => return false,
            Some(true) => self.serve(self.line.lock(), count, 0),
            Some(false) => self.spans.given(count),
        }
        true
    }

    /// Hands what is free and what the caller has `in_hand` to those in front, `given` of which are new, and wakes who has all it wants.
    #[cold]
    fn serve<'a>(&'a self, mut line: MutexGuard<'a, Line>, given: usize, mut in_hand: usize) {
        let mut wakers = WakeBatch::new();
        let mut told = Told::new();
        while let Some(front) = line.front() {
            // SAFETY: it is in the line and we hold the lock, so its future has not gone.
            let place = unsafe { front.as_ref() };
            // ORDERING: Relaxed: it changes under this lock alone.
            let missing = place.missing.load(Relaxed);
            let from_hand = missing.min(in_hand);
            in_hand -= from_hand;
            let got = from_hand + self.word.take_up_to(missing - from_hand);
            told.push(&place.spans, got);
            if got < missing {
                // ORDERING: Relaxed: as above.
                place.missing.store(missing - got, Relaxed);
                break;
            }
            self.dismiss(&mut line, front, 0, &mut wakers);
            if wakers.is_full() {
                // Wakers are foreign code.
                self.word.put_back(mem::take(&mut in_hand));
                drop(line);
                wakers.wake_all();
                line = self.line.lock();
            }
        }
        self.word.put_back(in_hand);
        self.tell_front(&line);
        drop(line);
        wakers.wake_all();
        self.spans.given(given);
        told.tell(&self.spans);
    }

    /// The first in line, if there is one, is seen to wait for who is remembered. To be called whenever either changes.
    fn tell_front(&self, line: &Line) {
        let Some(front) = line.front() else { return };
        // SAFETY: it is in the line and we hold the lock, so its future has not gone.
        let front = unsafe { front.as_ref() };
        // SAFETY: the lock is held, and it is in the line.
        if let Some(record) = front.record.with(|record| unsafe { *record }) {
            record.lead(self.holders.all(), self.holders.get());
        }
    }

    /// Takes `front` out of the line with its `answer`.
    fn dismiss(
        &self,
        line: &mut Line,
        front: NonNull<Place>,
        answer: usize,
        wakers: &mut WakeBatch,
    ) {
        // SAFETY: it is in this line.
        let _ = unsafe { line.remove(front) };
        if line.is_empty() {
            self.word.empty();
        }
        // SAFETY: it was in the line until now and has no answer yet, so its future has not gone.
        let place = unsafe { front.as_ref() };
        // SAFETY: the lock is held and the owner has no answer yet: see `Place`.
        let waker = unsafe { place.take_waker() };
        // SAFETY: as above.
        let record = place.record.with(|record| unsafe { *record });
        if let Some(record) = record
            && answer == 0
        {
            record.serve();
        }
        // ORDERING: Release pairs with the Acquire in `poll` and in the drop: the owner's next touch, which may be the end of
        // the place, comes after ours; and it carries on what `take_up_to` acquired.
        place.missing.store(answer, Release);
        if let Some(waker) = waker {
            wakers.push(waker);
        }
    }

    /// Nobody gets permits any more, the `free` ones neither, if so many are and nobody stands in line. Answers whether that is so.
    #[inline]
    pub(crate) fn close_from(&self, free: usize) -> bool {
        self.word.close_from(free)
    }

    /// Nobody gets permits any more; everyone in line is told.
    pub(crate) fn close(&self) {
        let mut wakers = WakeBatch::new();
        let mut line = self.line.lock();
        self.word.close();
        let mut given = 0;
        while let Some(front) = line.front() {
            // SAFETY: it is in the line and we hold the lock, so its future has not gone.
            let place = unsafe { front.as_ref() };
            // ORDERING: Relaxed: it changes under this lock alone.
            let in_hand = place.wanted - place.missing.load(Relaxed);
            self.dismiss(&mut line, front, TOLD, &mut wakers);
            self.word.give(in_hand);
            given += in_hand;
            if wakers.is_full() {
                drop(line);
                wakers.wake_all();
                line = self.line.lock();
            }
        }
        drop(line);
        wakers.wake_all();
        self.spans.given(given);
    }

    /// Stands in line, which `step` then says, unless what is wanted turns up meanwhile.
    #[cold]
    fn queue(
        &self,
        place: Pin<&Place>,
        step: &mut Step,
        waker: &Waker,
    ) -> Poll<Result<(), AcquireError>> {
        // Foreign code, so before the lock; and declared before it, so dropped after it.
        let mut kept = Some(waker.clone());
        let mut line = self.line.lock();
        match self.word.queue(place.wanted) {
            Queued::Served => Poll::Ready(Ok(())),
            Queued::Closed => Poll::Ready(Err(AcquireError::closed())),
            Queued::Missing(missing) => {
                // ORDERING: Relaxed: it changes under this lock from here on.
                place.missing.store(missing, Relaxed);
                // SAFETY: it is in no line yet.
                unsafe { place.put_waker(kept.take()) };
                let share = Share {
                    object: self.object(),
                    count: place.wanted,
                    of: self.holders.all(),
                };
                let first = line.is_empty().then(|| self.holders.get());
                let record = register::enter(place.call, share, waker, first);
                // SAFETY: as above.
                place.record.with_mut(|slot| unsafe { *slot = record });
                line.push_back(NonNull::from(place.get_ref()));
                *step = Step::InLine;
                drop(line);
                self.spans.taken(place.wanted - missing);
                Poll::Pending
            }
        }
    }

    /// Still in line, unless answered: leaves `waker` there.
    fn stay(&self, place: Pin<&Place>, waker: &Waker) -> Poll<Result<(), AcquireError>> {
        let mut new = None;
        loop {
            if let Some(answer) = place.answer() {
                place.strike();
                return Poll::Ready(answer);
            }
            let line = self.line.lock();
            if place.is_answered() {
                continue;
            }
            // SAFETY: it is in the line, and we hold the lock.
            let record = place.record.with(|record| unsafe { *record });
            if let Some(record) = record {
                record.stay();
            }
            let tell = |new: &Waker| {
                if let Some(record) = record {
                    record.replace_waker(new);
                }
            };
            // SAFETY: it is in the line.
            if unsafe { place.leave_waker(line, waker, &mut new, tell) } {
                return Poll::Pending;
            }
        }
    }

    /// The wait has its `answer`; should it be a panic to tell of that, what it got goes back.
    #[inline]
    fn end(&self, place: Pin<&Place>, step: &mut Step, answer: &Poll<Result<(), AcquireError>>) {
        // Who was in line was told of by those who served it.
        let is_new = mem::replace(step, Step::Done) == Step::Fresh;
        let in_hand = matches!(answer, Poll::Ready(Ok(()))).then(|| InHand {
            permits: self,
            count: place.wanted,
        });
        if is_new && in_hand.is_some() {
            self.spans.taken(place.wanted);
        }
        place.spans.polled(true);
        mem::forget(in_hand);
    }

    /// The future goes while it stands in line.
    #[cold]
    fn leave(&self, place: Pin<&Place>) {
        if !place.is_answered() {
            let line = self.line.lock();
            if !place.is_answered() {
                return self.step_out(line, place);
            }
        }
        place.strike();
        // Answered, and nobody has seen it: the permits go to the next.
        if let Some(Ok(())) = place.answer() {
            self.release(place.wanted);
        }
    }

    fn step_out(&self, mut line: MutexGuard<'_, Line>, place: Pin<&Place>) {
        // SAFETY: without an answer it is in this line, and it is valid.
        let _ = unsafe { line.remove(NonNull::from(place.get_ref())) };
        if line.is_empty() {
            self.word.empty();
        }
        // ORDERING: Relaxed: it changed under this lock.
        let in_hand = place.wanted - place.missing.load(Relaxed);
        // SAFETY: it is in no line any more.
        let waker = unsafe { place.take_waker() };
        place.strike();
        // Also with nothing in hand: those behind may want less than this one did.
        self.serve(line, in_hand, in_hand);
        drop(waker);
    }
}

/// Permits that were taken, given back on drop.
pub(crate) struct InHand<'a> {
    pub(crate) permits: &'a Permits,
    pub(crate) count: usize,
}

impl Drop for InHand<'_> {
    #[inline]
    fn drop(&mut self) {
        self.permits.release(self.count);
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits")
            .field("available", &self.available())
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl Note {
    /// Takes it off the register. For its owner, while it is in no line.
    fn strike(&self) {
        // SAFETY: nobody else touches it then: see `Place`.
        if let Some(record) = self.record.with_mut(|record| unsafe { (*record).take() }) {
            record.leave();
        }
    }

    fn is_answered(&self) -> bool {
        self.answer().is_some()
    }

    /// What the line has said, if it has.
    fn answer(&self) -> Option<Result<(), AcquireError>> {
        // ORDERING: Acquire pairs with the Release in `dismiss`.
        match self.missing.load(Acquire) {
            0 => Some(Ok(())),
            TOLD => Some(Err(AcquireError::closed())),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Fresh,
    InLine,
    Done,
}

pin_project_lite::pin_project! {
    /// Waits for permits. Ready, they are the caller's to give back; dropped before, none is kept.
    #[must_use = "futures do nothing unless awaited"]
    pub(crate) struct Wait<'a> {
        permits: &'a Permits,
        step: Step,
        #[pin]
        place: Place,
    }

    impl PinnedDrop for Wait<'_> {
        fn drop(this: Pin<&mut Self>) {
            if this.step == Step::InLine {
                let this = this.project();
                this.permits.leave(this.place.as_ref());
            }
        }
    }
}

impl Wait<'_> {
    /// Whether it stands in line, or has its answer there.
    pub(crate) fn is_in_line(&self) -> bool {
        self.step == Step::InLine
    }
}

impl Future for Wait<'_> {
    type Output = Result<(), AcquireError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let place = this.place.as_ref();
        let _entered = place.spans.enter();
        // Without budget the task goes last, but not behind those who come to the line meanwhile. There its turn wakes it.
        if *this.step == Step::Fresh
            && this.permits.available() < place.wanted
            && !budget::has_remaining()
        {
            let answer = this.permits.queue(place, this.step, cx.waker());
            if answer.is_pending() {
                called::note(place.call.site, *this.permits, Some(place.call.at));
                place.spans.polled(false);
            } else {
                this.permits.end(place, this.step, &answer);
            }
            return answer;
        }
        let coop = ready!(budget::poll_proceed(cx));
        let answer = match this.step {
            Step::Fresh => match this.permits.word.take(place.wanted) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TryAcquireError::Closed) => Poll::Ready(Err(AcquireError::closed())),
                Err(TryAcquireError::NoPermits) => this.permits.queue(place, this.step, cx.waker()),
            },
            Step::InLine => this.permits.stay(place, cx.waker()),
            Step::Done => panic!("a wait for permits was polled after it was ready"),
        };
        if answer.is_pending() {
            called::note(place.call.site, *this.permits, Some(place.call.at));
            place.spans.polled(false);
            return Poll::Pending;
        }
        coop.made_progress();
        this.permits.end(place, this.step, &answer);
        answer
    }
}

#[cfg(all(test, loom))]
#[path = "../tests/loom_permits.rs"]
mod models;
