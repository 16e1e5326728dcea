//! The short way to a thread of the crew that has just ended a call: it stands by for a moment, and takes the next call out of its
//! caller's hand.
//!
//! A task that computes, awaits and computes again is back from its wait some microseconds after the call has ended. That is longer than
//! a thread of a crew looks for work before it falls asleep, so that each call would pay for a thread's sleep and wake on both
//! ways. A thread that stands by in vain, time and again, does so less and less.
//!
//! Its caller does the like: a short call is over before one has gone to sleep, and to sleep and be woken takes ten times what it did.

use super::cell::{Header, Job};
use super::ledger::{self, Ledger};
use blitz_core::primitive::hint;
use blitz_core::primitive::sync::atomic::AtomicPtr;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::thread;

/// Who stands by, and what it was given.
///
/// ```text
///  from       move     to       who, and what it does then
///  NOBODY     stand    STANDS   a thread of the crew: looks now and then
///  otherwise  stand    same     a thread of the crew: another one stands
///  STANDS     offer    a job    a caller: done
///  otherwise  offer    same     a caller: takes the job to the crew
///  a job      take     NOBODY   the thread that stood: runs it
///  STANDS     take     same     the thread that stands: looks again
///  a job      leave    NOBODY   the thread that stood: runs it
///  STANDS     leave    NOBODY   the thread that stood: goes
/// ```
///
/// Only the thread that stands takes and leaves: a job in it is always run.
pub(super) struct Standby(AtomicPtr<Header>);

const NOBODY: *mut Header = ptr::null_mut();
/// No call lies there: it is aligned to more than this.
const STANDS: *mut Header = ptr::without_provenance_mut(1);

impl Standby {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(NOBODY))
    }

    /// Gives the job to the thread that stands by, or back if there is none.
    #[inline]
    pub(super) fn offer(&self, job: Job) -> Result<(), Job> {
        // ORDERING: Relaxed: a guess, so that the word stays where it is while nobody stands.
        if self.0.load(Relaxed) != STANDS {
            return Err(job);
        }
        let call = job.into_raw();
        // ORDERING: Release pairs with the Acquire in `take` and `leave`: the call as its caller made it.
        let given = self
            .0
            .compare_exchange(STANDS, call.as_ptr(), Release, Relaxed);
        match given {
            Ok(_) => Ok(()),
            // SAFETY: it is from `into_raw`, and nobody was given it.
            Err(_) => Err(unsafe { Job::from_raw(call) }),
        }
    }

    /// True if the caller is the one that stands by from now on: it must [`leave`](Self::leave), or [`take`](Self::take) a job.
    pub(super) fn stand(&self) -> bool {
        // ORDERING: Relaxed: nothing is handed over.
        self.0
            .compare_exchange(NOBODY, STANDS, Relaxed, Relaxed)
            .is_ok()
    }

    /// For the thread that stands: the job that it was given, if it was; then it stands no more.
    pub(super) fn take(&self) -> Option<Job> {
        // ORDERING: Acquire pairs with the Release in `offer`.
        let call = self.0.load(Acquire);
        if call == STANDS {
            return None;
        }
        // ORDERING: Relaxed: whoever stands next reads nothing of ours, and callers move STANDS alone.
        self.0.store(NOBODY, Relaxed);
        // SAFETY: `offer` made it of a job, and the thread that stands takes it once.
        NonNull::new(call).map(|call| unsafe { Job::from_raw(call) })
    }

    /// For the thread that stands: it stands no more. A job may have come in the last moment.
    pub(super) fn leave(&self) -> Option<Job> {
        // ORDERING: Relaxed to go; a job is taken by Acquire below.
        match self.0.compare_exchange(STANDS, NOBODY, Relaxed, Relaxed) {
            Ok(_) => None,
            Err(_) => self.take(),
        }
    }
}

/// So many times a thread that stands by lets others run before it goes.
const ROUNDS: u32 = 64;
/// After so many calls in a row the crew's own queue has its turn: something old may wait there.
const STREAK_MAX: u32 = 64;
/// So many looks, with a spin between two, a caller has for the end of a call that was taken out of its hand: 2 to 3 us.
const LOOKS: u32 = 96;

/// So often in a row something is tried in vain before it is given up.
const LUCK_MAX: i8 = 4;
/// So many calls later it is tried again.
const REST: i8 = -16;

/// Whether something that often is in vain is worth a try, by how it went the last times.
struct Luck(Cell<i8>);

impl Luck {
    const fn new() -> Self {
        Self(Cell::new(LUCK_MAX))
    }

    /// To be asked once a call.
    fn is_worth_a_try(&self) -> bool {
        let luck = self.0.get();
        if luck <= 0 {
            self.0.set(if luck == REST { 1 } else { luck - 1 });
        }
        luck > 0
    }

    /// How a try went.
    fn tried(&self, in_vain: bool) {
        self.0
            .set(if in_vain { self.0.get() - 1 } else { LUCK_MAX });
    }
}

std::thread_local! {
    /// How many calls this thread runs, one inside of the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Of a thread that stands by.
    static STANDING: Luck = const { Luck::new() };
    /// Of a caller that looks for the end of its call before it waits.
    static LOOKING: Luck = const { Luck::new() };
}

/// For the caller of a call that a thread has taken out of its hand: looks for a moment whether that has ended. A thread whose calls
/// take longer looks less and less.
#[inline]
pub(super) fn ends_at_once(has_ended: impl Fn() -> bool) -> bool {
    // Another look is nothing new to a model.
    if cfg!(loom) || !LOOKING.with(Luck::is_worth_a_try) {
        return false;
    }
    let ended = (0..LOOKS).any(|_| {
        hint::spin_loop();
        has_ended()
    });
    LOOKING.with(|luck| luck.tried(!ended));
    ended
}

/// Calls `run`, which runs the call of that number and never panics, and then stands by for the next, if this is a thread of a crew
/// that has nothing else to do.
#[inline]
pub(super) fn run_and_stand_by(number: u64, run: impl FnOnce()) {
    let depth = DEPTH.get();
    DEPTH.set(depth + 1);
    run();
    if depth == 0 {
        ledger::with_own(|ledger| stand_by(ledger, number));
    }
    DEPTH.set(depth);
}

/// This thread has run the call of that number.
fn stand_by(ledger: &Ledger, mut number: u64) {
    for _ in 0..STREAK_MAX {
        // Not while others wait in the crew's queue.
        let stands =
            ledger.is_last(number) && STANDING.with(Luck::is_worth_a_try) && ledger.standby.stand();
        if !stands {
            return;
        }
        let job = wait(ledger);
        STANDING.with(|luck| luck.tried(job.is_none()));
        let Some(job) = job else { return };
        number = job.number();
        job.run_here();
    }
}

fn wait(ledger: &Ledger) -> Option<Job> {
    for _ in 0..ROUNDS {
        if let Some(job) = ledger.standby.take() {
            return Some(job);
        }
        if ledger.has_ended() {
            break;
        }
        thread::yield_now();
    }
    ledger.standby.leave()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A program that computes now and then does not pay for each call with a thread that stands by in vain.
    #[test]
    fn what_is_tried_in_vain_is_given_up_and_tried_again_later() {
        let luck = Luck::new();
        let mut tried = Vec::new();
        for call in 0..60 {
            if luck.is_worth_a_try() {
                luck.tried(true);
                tried.push(call);
            }
        }
        assert_eq!(tried, [0, 1, 2, 3, 21, 39, 57]);
        luck.tried(false);
        assert!((0..4).all(|_| luck.is_worth_a_try()));
    }

    #[test]
    fn a_caller_looks_for_the_end_for_a_moment_and_less_and_less() {
        let looks = Cell::new(0);
        let look = |end| {
            looks.set(0);
            ends_at_once(|| {
                looks.set(looks.get() + 1);
                looks.get() == end
            })
        };
        assert!(look(1) && look(LOOKS));
        for _ in 0..LUCK_MAX {
            assert!(!look(LOOKS + 1));
            assert_eq!(looks.get(), LOOKS);
        }
        for _ in 0..=REST.unsigned_abs() {
            assert!(!look(1));
            assert_eq!(looks.get(), 0);
        }
        assert!(look(1));
    }
}
