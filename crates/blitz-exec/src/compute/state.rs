//! The word of one call: who may touch what of it, and who frees it.
//!
//! Two sides hold a call: the *caller*, who waits for its output, and the *runner*, who has the right to run it once. There
//! is no count of references: whoever leaves second frees it, and a runner that has delivered is gone at that moment.
//!
//! ```text
//!  bit 0  STARTED    the closure is the runner's. Never cleared
//!  bit 1  COMPLETE   the runner is gone; output and memory are the caller's. Never cleared
//!  bit 2  WAKER      the waker's place is filled, and belongs to the runner; without it, to the caller
//!  bit 3  TAKING     the runner takes the waker, on its way to COMPLETE. Never cleared
//!  bit 4  CANCELLED  the closure is the caller's: it will not run. Never cleared
//!  bit 5  LEFT       one side is gone; the other frees the call. Never cleared
//!
//!  move         from                  to                    answer: who moved, and what it does next
//!  start        CANCELLED|LEFT        same                  runner: Free
//!               CANCELLED             adds LEFT             runner: Gone
//!               otherwise             adds STARTED          runner: Run, the closure is its own
//!  finish       STARTED|LEFT          same                  runner: Free, nobody wants the output
//!  (the output  STARTED|WAKER         STARTED|TAKING        runner: TakeWaker, then `publish`
//!   stands)     STARTED               STARTED|COMPLETE      runner: Gone
//!  publish      STARTED|TAKING        adds COMPLETE         runner: Gone, and calls the waker
//!               STARTED|TAKING|LEFT   adds COMPLETE         runner: Free, and drops the waker
//!  set_waker    COMPLETE              same                  caller: Complete: takes its waker back, reads
//!               otherwise             adds WAKER            caller: Done: waits
//!  unset_waker  COMPLETE              same                  caller: Complete: the place is empty, reads
//!               TAKING                same                  caller: Soon: leaves the waker to the runner
//!               otherwise             drops WAKER           caller: Done: the waker's place is its own
//!  cancel       STARTED               same                  caller: no; it runs, or has run
//!               otherwise             adds CANCELLED        caller: yes; drops the closure, then leaves
//!  leave        COMPLETE              same                  caller: Free, with the output
//!               CANCELLED|LEFT        same                  caller: Free
//!               otherwise             adds LEFT             caller: Gone
//! ```
//!
//! `leave` without a `cancel` before it lets the call run with nobody waiting. `tests/state.rs` holds these lines to the code.

use blitz_core::primitive::sync::atomic::{AtomicU8, Ordering::*};
use std::fmt;

const STARTED: u8 = 1;
const COMPLETE: u8 = 1 << 1;
const WAKER: u8 = 1 << 2;
const TAKING: u8 = 1 << 3;
const CANCELLED: u8 = 1 << 4;
const LEFT: u8 = 1 << 5;

/// The word of one call.
pub(super) struct State(AtomicU8);

/// What [`State::start`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    Run,
    Gone,
    Free,
}

/// What a runner with an output has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finish {
    TakeWaker,
    Gone,
    Free,
}

/// What a side that leaves has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Gone,
    Free,
}

/// How the caller's hand at the waker's place went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hand {
    Done,
    Soon,
    Complete,
}

impl State {
    /// A call that nobody has touched, with a caller and a runner.
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(0))
    }

    /// Moves by `step`, which gives the next word and the answer, until no other move comes in between.
    #[inline(always)]
    fn fetch_step<R>(
        &self,
        success: std::sync::atomic::Ordering,
        step: impl Fn(u8) -> (u8, R),
    ) -> R {
        // ORDERING: a guess; the exchange below checks it.
        let mut word = self.0.load(Relaxed);
        loop {
            let (next, answer) = step(word);
            // ORDERING: each caller says why its `success` is what it is. A failure only guesses anew.
            match self.0.compare_exchange_weak(word, next, success, Relaxed) {
                Ok(_) => return answer,
                Err(now) => word = now,
            }
        }
    }

    #[inline]
    pub(super) fn start(&self) -> Start {
        // ORDERING: Acquire pairs with the Release of `leave`: the caller is done with the call before we free it. Release
        // pairs with the Acquire of `leave`: so are we, if the caller frees it.
        self.fetch_step(AcqRel, |word| match word & (CANCELLED | LEFT) {
            CANCELLED => (word | LEFT, Start::Gone),
            word_of_both if word_of_both == CANCELLED | LEFT => (word, Start::Free),
            _ => (word | STARTED, Start::Run),
        })
    }

    #[inline]
    pub(super) fn finish(&self) -> Finish {
        // ORDERING: Release pairs with the Acquire of `is_complete` and its kin: the output. Acquire pairs with the Release of
        // `set_waker` (the waker) and of `leave` (the caller is done with the call before we free it).
        self.fetch_step(AcqRel, |word| {
            debug_assert_eq!(word & (STARTED | COMPLETE | TAKING), STARTED);
            if word & LEFT != 0 {
                (word, Finish::Free)
            } else if word & WAKER != 0 {
                ((word & !WAKER) | TAKING, Finish::TakeWaker)
            } else {
                (word | COMPLETE, Finish::Gone)
            }
        })
    }

    #[inline]
    pub(super) fn publish(&self) -> Leave {
        // ORDERING: as in `finish`.
        let word = self.0.fetch_or(COMPLETE, AcqRel);
        debug_assert_eq!(word & (STARTED | COMPLETE | TAKING), STARTED | TAKING);
        if word & LEFT != 0 {
            Leave::Free
        } else {
            Leave::Gone
        }
    }

    /// Has it ended, so that the output may be read?
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `finish` and `publish`: the output, and the runner's last touch.
        self.0.load(Acquire) & COMPLETE != 0
    }

    /// The waker's place has been filled: hands it to the runner.
    pub(super) fn set_waker(&self) -> Hand {
        // ORDERING: Release pairs with the Acquire of `finish`: the waker. Acquire: the output, if the answer is `Complete`.
        self.fetch_step(AcqRel, |word| {
            debug_assert_eq!(word & (WAKER | CANCELLED | LEFT), 0);
            if word & COMPLETE != 0 {
                (word, Hand::Complete)
            } else {
                (word | WAKER, Hand::Done)
            }
        })
    }

    /// Takes the waker's place back from the runner.
    pub(super) fn unset_waker(&self) -> Hand {
        // ORDERING: Acquire: the output, if the answer is `Complete`. What we get back we wrote ourselves.
        self.fetch_step(Acquire, |word| {
            if word & COMPLETE != 0 {
                (word, Hand::Complete)
            } else if word & TAKING != 0 {
                (word, Hand::Soon)
            } else {
                (word & !WAKER, Hand::Done)
            }
        })
    }

    /// Takes the closure back, if it has not been started; returns whether it did.
    pub(super) fn cancel(&self) -> bool {
        // ORDERING: Relaxed: the closure is as its caller made it, and a runner that finds this touches nothing.
        self.fetch_step(Relaxed, |word| {
            if word & STARTED != 0 {
                (word, false)
            } else {
                (word | CANCELLED, true)
            }
        })
    }

    /// The caller goes.
    pub(super) fn leave(&self) -> Leave {
        // ORDERING: Release pairs with the Acquire of `start`, `finish` and `publish`: the runner frees after our last touch.
        // Acquire pairs with their Release: we free after the runner's.
        self.fetch_step(AcqRel, |word| {
            if word & COMPLETE != 0 || word & (CANCELLED | LEFT) == CANCELLED | LEFT {
                (word, Leave::Free)
            } else {
                (word | LEFT, Leave::Gone)
            }
        })
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: for people.
        let word = self.0.load(Relaxed);
        let bits = [
            (STARTED, "started"),
            (COMPLETE, "complete"),
            (WAKER, "waker"),
            (TAKING, "taking"),
            (CANCELLED, "cancelled"),
            (LEFT, "left"),
        ];
        let names = bits.iter().filter(|(bit, _)| word & bit != 0);
        f.debug_set()
            .entries(names.map(|(_, name)| format_args!("{name}").to_string()))
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/state.rs"]
mod tests;
