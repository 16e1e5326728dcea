//! The word that says what may be done to a task, and how many hold it.
//!
//! ```text
//!  bit 0  RUNNING        somebody polls or cancels it: the future is theirs
//!  bit 1  COMPLETE       the future is gone; the output, if wanted, is the join handle's. Never cleared
//!  bit 2  NOTIFIED       a `Notified` is on its way to a poll, or (with RUNNING) one more poll is due
//!  bit 3  CANCELLED      whoever holds or gets RUNNING drops the future. Never cleared
//!  bit 4  JOIN_INTEREST  the join handle lives, so the output is kept for it
//!  bit 5  JOIN_WAKER     the waker's place is filled, and belongs to whoever completes; without it, to the join handle
//!  bit 6  TRACED         the next poll is traced; stays until the runner begins to hand over what that poll left
//!  7–9    LANE           where its `Notified` waits; it stays while there is one in a queue
//!  rest   references: the owned list, the `Notified`, the runner (who has the `Notified`'s), the join handle, wakers,
//!         abort handles
//!
//!  move        from                    to                            refs  answer: who moved, and what it does next
//!  start       NOTIFIED                RUNNING                         0   runner: Poll, or Cancel if CANCELLED, or Trace
//!                                                                          if TRACED
//!              RUNNING or COMPLETE     same                           -1   runner: Gone, or Last
//!  rest        RUNNING                 0                              -1   runner: Sleep, or Last
//!              RUNNING|NOTIFIED        NOTIFIED                        0   runner: Again, its reference is the new Notified's
//!              ..|CANCELLED            same                            0   runner: Cancel, still RUNNING
//!              ..|TRACED               same                            0   runner: Traced, still RUNNING
//!  end_trace   RUNNING|TRACED          RUNNING                         0   runner: hands over what its traced poll left, to
//!                                                                          all who asked before; who asks now, asks anew
//!  rest_traced RUNNING                 as `rest`, keeps TRACED             runner: after that, or after a poll not traced
//!  complete    RUNNING                 COMPLETE                        0   runner: drops the output without JOIN_INTEREST,
//!                                                                          takes and wakes the waker with JOIN_WAKER
//!  wake        COMPLETE or NOTIFIED    same                       -1 / 0   waker by value / by reference: nothing
//!              RUNNING                 adds NOTIFIED              -1 / 0   nothing: the runner will see it
//!              0                       NOTIFIED                   0 / +1   Submit (by value the waker's reference goes along)
//!  abort       COMPLETE, CANCELLED     same                            0   nothing
//!              RUNNING or NOTIFIED     adds CANCELLED                  0   nothing: the runner will see it
//!              0                       CANCELLED|NOTIFIED             +1   Submit: it is cancelled where it may be
//!  trace       COMPLETE, CANCELLED     same                            0   nothing
//!              RUNNING                 adds NOTIFIED|TRACED            0   nothing: the runner will see it
//!              NOTIFIED                adds TRACED                     0   nothing: the runner will see it
//!              0                       NOTIFIED|TRACED                +1   Submit
//!  shutdown    RUNNING                 adds CANCELLED                  0   owner: leaves it to the runner
//!              COMPLETE                same                            0   owner: nothing
//!              otherwise               adds RUNNING|CANCELLED          0   owner: cancels it, here and now
//!  set_waker   COMPLETE                same                            0   join handle: takes its waker back, reads
//!              otherwise               adds JOIN_WAKER                 0   join handle: waits
//!  unset_waker COMPLETE                same                            0   join handle: reads
//!              otherwise               drops JOIN_WAKER                0   join handle: the waker's place is its own
//!  set_lane    any                     the same in another LANE        0   runner, or who has the `Notified` out of a queue
//!  leave       COMPLETE                same                            0   join handle: drops the output, then its reference
//!              JOIN_WAKER              drops it and JOIN_INTEREST      0   join handle: drops the waker, then its reference
//!              otherwise               drops JOIN_INTEREST            -1   join handle: done, or Last
//! ```
//!
//! "Last" means that no reference is left: free the task. `tests/state.rs` holds these lines to the code.

use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::*};
use std::fmt;

use super::priority::Lane;

const RUNNING: usize = 1;
const COMPLETE: usize = 1 << 1;
const NOTIFIED: usize = 1 << 2;
const CANCELLED: usize = 1 << 3;
const JOIN_INTEREST: usize = 1 << 4;
const JOIN_WAKER: usize = 1 << 5;
const TRACED: usize = 1 << 6;
const ONE_LANE: usize = 1 << 7;
const LANE: usize = 7 * ONE_LANE;
const ONE_REF: usize = 1 << 10;

/// Above this, a reference count has run away (leaked wakers), and the next step would be memory unsafety.
const REFS_MAX: usize = isize::MAX as usize;

/// The word of one task.
pub(super) struct State(AtomicUsize);

/// What [`State::start`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    Poll,
    Cancel,
    Trace,
    Gone,
    Last,
}

/// What [`State::rest`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Sleep,
    Again,
    Cancel,
    Traced,
    Last,
}

/// What a wake has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Nothing,
    Submit,
    Last,
}

/// What the runner owes the join handle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completed {
    DropOutput,
    KeepOutput,
    WakeJoiner,
}

/// What a join handle has to do before it is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leave {
    DropOutput,
    DropWaker,
    Done,
    Last,
}

/// What [`State::look`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) running: bool,
    pub(super) complete: bool,
    pub(super) notified: bool,
    pub(super) cancelled: bool,
    /// The join handle lives, and the task has not completed.
    pub(super) joined: bool,
    pub(super) refs: usize,
}

/// The task has completed: the join handle's move does not happen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IsComplete;

impl State {
    /// A task in an owned list, with a `Notified` and a join handle: three references.
    #[inline]
    pub(super) fn owned(lane: Lane) -> Self {
        Self::new(3, lane)
    }

    /// A task in no list, with a `Notified` and a join handle: two references.
    pub(super) fn unowned(lane: Lane) -> Self {
        Self::new(2, lane)
    }

    #[inline]
    fn new(refs: usize, lane: Lane) -> Self {
        let lane = lane.number() * ONE_LANE;
        Self(AtomicUsize::new(
            NOTIFIED | JOIN_INTEREST | lane | (refs * ONE_REF),
        ))
    }

    /// Where its `Notified` waits.
    #[inline]
    pub(super) fn lane(&self) -> Lane {
        // ORDERING: Relaxed: it stays while there is a `Notified` to queue, whose holder has made a move of this word, or got
        // it from who has.
        Lane::of_number((self.0.load(Relaxed) & LANE) / ONE_LANE)
    }

    /// Whether that is the lane of normal tasks.
    #[inline]
    pub(super) fn is_normal(&self) -> bool {
        // ORDERING: Relaxed: as in `lane`.
        self.0.load(Relaxed) & LANE == Lane::Normal.number() * ONE_LANE
    }

    /// From now on it waits in `lane`. Returns where it did until now.
    pub(super) fn set_lane(&self, lane: Lane) -> Lane {
        // ORDERING: Relaxed: each later move of this word sees it, and it publishes nothing. An exchange goes on with the
        // release sequences of the moves before.
        self.fetch_step(Relaxed, |word| {
            let before = Lane::of_number((word & LANE) / ONE_LANE);
            ((word & !LANE) | (lane.number() * ONE_LANE), before)
        })
    }

    /// Moves by `step`, which gives the next word and the answer, until no other move comes in between.
    #[inline(always)]
    fn fetch_step<R>(
        &self,
        success: std::sync::atomic::Ordering,
        step: impl Fn(usize) -> (usize, R),
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

    /// After a move that let the last reference go.
    #[inline]
    fn last(&self) {
        // ORDERING: pairs with the Release of each move that let a reference go: what its holder did with the task is
        // done before it is freed. A load, where a fence would do: ThreadSanitizer follows words and no fences.
        self.0.load(Acquire);
    }

    /// [`start`](Self::start) as it mostly goes: true if the answer is `Poll`. If not, nothing has moved.
    #[inline]
    pub(super) fn start_quickly(&self) -> bool {
        // ORDERING: a guess; the exchange below checks it.
        let word = self.0.load(Relaxed);
        debug_assert_ne!(word & NOTIFIED, 0, "a task that was not notified");
        if word & (RUNNING | COMPLETE | CANCELLED | TRACED) != 0 {
            return false;
        }
        let next = word ^ (RUNNING | NOTIFIED);
        // ORDERING: Acquire as in `start`; no reference goes. A failure leaves it to `start`.
        let moved = self.0.compare_exchange(word, next, Acquire, Relaxed);
        moved.is_ok()
    }

    pub(super) fn start(&self) -> Start {
        // ORDERING: Acquire pairs with the Release of each `wake` before (it sees what the waker has to tell, even one
        // that found NOTIFIED set) and with that of `rest` (the future as the last runner left it).
        // Release: a reference may go.
        let answer = self.fetch_step(AcqRel, |word| {
            debug_assert_ne!(word & NOTIFIED, 0, "a task that was not notified");
            if word & (RUNNING | COMPLETE) != 0 {
                let next = word - ONE_REF;
                return (
                    next,
                    if next < ONE_REF {
                        Start::Last
                    } else {
                        Start::Gone
                    },
                );
            }
            let answer = match word & (CANCELLED | TRACED) {
                0 => Start::Poll,
                TRACED => Start::Trace,
                _ => Start::Cancel,
            };
            ((word | RUNNING) & !NOTIFIED, answer)
        });
        if answer == Start::Last {
            self.last();
        }
        answer
    }

    /// [`rest`](Self::rest) as it mostly goes: whether the answer is `Sleep` (true) or `Again` (false). `None` if it is another,
    /// or another move came in between: then nothing has moved.
    #[inline]
    pub(super) fn rest_quickly(&self) -> Option<bool> {
        // ORDERING: a guess; the exchange below checks it.
        let word = self.0.load(Relaxed);
        debug_assert_eq!(word & (RUNNING | COMPLETE), RUNNING);
        let sleeps = word & NOTIFIED == 0;
        let next = if sleeps {
            word - (RUNNING + ONE_REF)
        } else {
            word - RUNNING
        };
        if word & (CANCELLED | TRACED) != 0 || next < ONE_REF {
            return None;
        }
        // ORDERING: Release as in `rest`.
        let moved = self.0.compare_exchange(word, next, Release, Relaxed);
        moved.is_ok().then_some(sleeps)
    }

    pub(super) fn rest(&self) -> Rest {
        self.rest_step(CANCELLED | TRACED)
    }

    /// A traced poll is over, and its runner is about to hand over what it left: to everyone who asked for it until now. Whoever
    /// asks from now on may be too late for that, and asks for another.
    #[cold]
    pub(super) fn end_trace(&self) {
        // ORDERING: Acquire pairs with the Release of `trace`: the runner sees whom it is to tell.
        let word = self.0.fetch_and(!TRACED, Acquire);
        debug_assert_eq!(word & (RUNNING | TRACED), RUNNING | TRACED);
    }

    /// [`rest`](Self::rest) of a runner to whom that said `Traced`: now it has handed over what its poll left, if that was a
    /// traced one. A trace that was asked for since is the next poll's.
    #[cold]
    pub(super) fn rest_traced(&self) -> Rest {
        self.rest_step(CANCELLED)
    }

    /// A runner's poll is over. `stays`: bits with which it goes on running.
    #[inline(always)]
    fn rest_step(&self, stays: usize) -> Rest {
        // ORDERING: Release pairs with the Acquire of the next `start` (the future), and of whoever frees the task.
        let answer = self.fetch_step(Release, |word| {
            debug_assert_eq!(word & (RUNNING | COMPLETE), RUNNING);
            if word & stays != 0 {
                let answer = if word & CANCELLED != 0 {
                    Rest::Cancel
                } else {
                    Rest::Traced
                };
                return (word, answer);
            }
            let next = word & !RUNNING;
            if word & NOTIFIED != 0 {
                return (next, Rest::Again);
            }
            let next = next - ONE_REF;
            (
                next,
                if next < ONE_REF {
                    Rest::Last
                } else {
                    Rest::Sleep
                },
            )
        });
        match answer {
            Rest::Sleep | Rest::Again | Rest::Traced => {}
            Rest::Last => self.last(),
            // ORDERING: pairs with the Release of `abort` and `shutdown`: what is dropped now sees what they did before.
            Rest::Cancel => {
                self.0.load(Acquire);
            }
        }
        answer
    }

    #[inline]
    pub(super) fn complete(&self) -> Completed {
        // ORDERING: Release pairs with the Acquire of `is_complete` (the output). Acquire pairs with the Release of
        // `set_waker` (the waker).
        let word = self.0.fetch_xor(RUNNING | COMPLETE, AcqRel);
        debug_assert_eq!(word & (RUNNING | COMPLETE), RUNNING);
        match word & (JOIN_INTEREST | JOIN_WAKER) {
            JOIN_INTEREST => Completed::KeepOutput,
            0 => Completed::DropOutput,
            _ => Completed::WakeJoiner,
        }
    }

    /// Wakes by a reference that goes: into the `Notified` if the answer is `Submit`.
    ///
    /// With `keep`, `Submit` makes a reference for the `Notified`, and the caller still has its own.
    #[inline]
    pub(super) fn wake_by_value(&self, keep: bool) -> Wake {
        // ORDERING: Release pairs with the Acquire of the `start` that follows, also where nothing changes: the poll that
        // another's wake has caused must see what we have to tell (tokio-rs/tokio#7622). And a reference may go.
        // Acquire, for who submits, pairs with the Release of `rest`: the link by which queues hold the task is ours to write
        // from here on, and the last runner's queue wrote it before.
        let answer = self.fetch_step(AcqRel, |word| {
            if word & (RUNNING | COMPLETE | NOTIFIED) == 0 {
                let next = word | NOTIFIED;
                return (if keep { next + ONE_REF } else { next }, Wake::Submit);
            }
            let next = (word | if word & COMPLETE == 0 { NOTIFIED } else { 0 }) - ONE_REF;
            (
                next,
                if next < ONE_REF {
                    Wake::Last
                } else {
                    Wake::Nothing
                },
            )
        });
        if answer == Wake::Last {
            self.last();
        }
        answer
    }

    /// Wakes by a reference that stays; `Submit` makes another for the `Notified`.
    #[inline]
    pub(super) fn wake_by_ref(&self) -> Wake {
        // ORDERING: as in `wake_by_value`.
        self.fetch_step(AcqRel, |word| {
            if word & (RUNNING | COMPLETE | NOTIFIED) == 0 {
                return ((word | NOTIFIED) + ONE_REF, Wake::Submit);
            }
            (
                word | if word & COMPLETE == 0 { NOTIFIED } else { 0 },
                Wake::Nothing,
            )
        })
    }

    /// Asks for its cancellation; `Submit` makes a reference for the `Notified`.
    pub(super) fn abort(&self) -> Wake {
        // ORDERING: Release pairs with the Acquire of `start` and `rest`: what is dropped then sees what the aborter did before.
        // Acquire as in `wake_by_value`.
        self.fetch_step(AcqRel, |word| {
            if word & (COMPLETE | CANCELLED) != 0 {
                return (word, Wake::Nothing);
            }
            if word & (RUNNING | NOTIFIED) != 0 {
                return (word | CANCELLED, Wake::Nothing);
            }
            ((word | CANCELLED | NOTIFIED) + ONE_REF, Wake::Submit)
        })
    }

    /// Asks for a traced poll; `Submit` makes a reference for the `Notified`.
    pub(super) fn trace(&self) -> Wake {
        // ORDERING: Release pairs with the Acquire of `start`, as in `wake_by_ref`, and with that of `end_trace`.
        // Acquire as in `wake_by_value`.
        self.fetch_step(AcqRel, |word| {
            if word & (COMPLETE | CANCELLED) != 0 {
                return (word, Wake::Nothing);
            }
            if word & (RUNNING | NOTIFIED) != 0 {
                return (word | NOTIFIED | TRACED, Wake::Nothing);
            }
            ((word | NOTIFIED | TRACED) + ONE_REF, Wake::Submit)
        })
    }

    /// What the word says now, for reports.
    pub(super) fn look(&self) -> Look {
        // ORDERING: Acquire pairs with the Release of `rest`: what the runner left is seen, if the answer is that nobody runs.
        let word = self.0.load(Acquire);
        Look {
            running: word & RUNNING != 0,
            complete: word & COMPLETE != 0,
            notified: word & NOTIFIED != 0,
            cancelled: word & CANCELLED != 0,
            joined: word & (JOIN_INTEREST | COMPLETE) == JOIN_INTEREST,
            refs: word / ONE_REF,
        }
    }

    /// Cancels for its owner; returns whether the caller now holds RUNNING and must drop the future.
    pub(super) fn shutdown(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `rest`: the future as the last runner left it. Release as in `abort`.
        self.fetch_step(AcqRel, |word| {
            if word & COMPLETE != 0 {
                return (word, false);
            }
            (word | CANCELLED | RUNNING, word & RUNNING == 0)
        })
    }

    /// Has it ended, so that the output may be read?
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `complete`: the output.
        self.0.load(Acquire) & COMPLETE != 0
    }

    /// The waker's place has been filled: hands it to whoever completes.
    pub(super) fn set_waker(&self) -> Result<(), IsComplete> {
        // ORDERING: Release pairs with the Acquire of `complete`: the waker. Acquire pairs with its Release: the output,
        // which is read next if the answer is `IsComplete`.
        self.fetch_step(AcqRel, |word| {
            debug_assert_eq!(word & (JOIN_INTEREST | JOIN_WAKER), JOIN_INTEREST);
            if word & COMPLETE != 0 {
                (word, Err(IsComplete))
            } else {
                (word | JOIN_WAKER, Ok(()))
            }
        })
    }

    /// Takes the waker's place back from whoever would complete.
    pub(super) fn unset_waker(&self) -> Result<(), IsComplete> {
        // ORDERING: Acquire: the output, if the answer is `IsComplete`. What we get back we wrote ourselves.
        self.fetch_step(Acquire, |word| {
            debug_assert_eq!(word & JOIN_INTEREST, JOIN_INTEREST);
            if word & COMPLETE != 0 {
                (word, Err(IsComplete))
            } else {
                (word & !JOIN_WAKER, Ok(()))
            }
        })
    }

    /// The join handle goes.
    #[inline]
    pub(super) fn leave(&self) -> Leave {
        // Nobody looks at JOIN_INTEREST after COMPLETE: no need to clear it.
        if self.is_complete() {
            return Leave::DropOutput;
        }
        // ORDERING: Release: a reference may go. Acquire: the output, if the answer is `DropOutput`.
        let answer = self.fetch_step(AcqRel, |word| {
            debug_assert_eq!(word & JOIN_INTEREST, JOIN_INTEREST);
            if word & COMPLETE != 0 {
                return (word, Leave::DropOutput);
            }
            if word & JOIN_WAKER != 0 {
                return (word & !(JOIN_INTEREST | JOIN_WAKER), Leave::DropWaker);
            }
            let next = (word & !JOIN_INTEREST) - ONE_REF;
            (
                next,
                if next < ONE_REF {
                    Leave::Last
                } else {
                    Leave::Done
                },
            )
        });
        if answer == Leave::Last {
            self.last();
        }
        answer
    }

    /// One more holder, made by one that is there.
    #[inline]
    pub(super) fn add_ref(&self) {
        // ORDERING: a new reference comes from one that is held; nothing is handed over.
        let word = self.0.fetch_add(ONE_REF, Relaxed);
        if word > REFS_MAX {
            std::process::abort();
        }
    }

    /// `count` holders go; returns whether they were the last, so that the task must be freed.
    #[inline]
    #[must_use]
    pub(super) fn drop_refs(&self, count: usize) -> bool {
        // The last holder needs no exchange: nobody is left who could change the word.
        // ORDERING: Acquire pairs with the Release of each move that let a reference go.
        if self.0.load(Acquire) / ONE_REF == count {
            return true;
        }
        // ORDERING: Release pairs with the Acquire of whoever is last, here or above.
        let word = self.0.fetch_sub(count * ONE_REF, Release);
        debug_assert!(word / ONE_REF >= count);
        if word / ONE_REF == count {
            self.last();
            return true;
        }
        false
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: for people.
        let word = self.0.load(Relaxed);
        let bits = [
            (RUNNING, "running"),
            (COMPLETE, "complete"),
            (NOTIFIED, "notified"),
            (CANCELLED, "cancelled"),
            (JOIN_INTEREST, "join_interest"),
            (JOIN_WAKER, "join_waker"),
            (TRACED, "traced"),
        ];
        let mut out = f.debug_set();
        bits.iter()
            .filter(|(bit, _)| word & bit != 0)
            .for_each(|(_, name)| {
                out.entry(&format_args!("{name}"));
            });
        out.entry(&self.lane())
            .entry(&format_args!("refs: {}", word / ONE_REF))
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/state.rs"]
mod tests;
