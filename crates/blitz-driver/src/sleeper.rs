//! Whether a thread waits: what an unpark looks at before it makes a system call.
//!
//! A driver has one, and so has each thread in `block_on` without a driver. Paused time reads them all.

use std::fmt;

use blitz_core::primitive::sync::atomic::AtomicU64;
use blitz_core::primitive::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Asleep, awake, or notified: what an unpark looks at before it makes a system call.
///
/// ```text
///  from       move          to          who, and what it does then
///  AWAKE      fall_asleep   ASLEEP      its thread: waits in the kernel
///  NOTIFIED   fall_asleep   AWAKE       its thread: does not wait, looks at its queues again
///  ASLEEP     notify        NOTIFIED    anyone: makes the system call that wakes
///  AWAKE      notify        NOTIFIED    anyone: nothing more; the next fall_asleep fails
///  NOTIFIED   notify        NOTIFIED    anyone: nothing more
///  ASLEEP     ask           ASKED       a clock: makes the system call; the thread looks at the kernel, no more
///  any        wake_up       AWAKE       its thread, back from the kernel
/// ```
///
/// From ASKED a `notify` leads to NOTIFIED too, and needs no second system call.
///
/// The upper bits count the moves, so that a reader of several words can tell whether any moved meanwhile.
pub struct Sleeper {
    word: AtomicU64,
    /// The epoch of paused time in which it last found nothing in the kernel.
    looked: AtomicU64,
}

const AWAKE: u64 = 0;
const ASLEEP: u64 = 1;
const NOTIFIED: u64 = 2;
const ASKED: u64 = 3;
const STATE: u64 = 3;
const MOVE: u64 = 4;

impl Sleeper {
    /// One who is awake.
    pub fn new() -> Self {
        Self {
            word: AtomicU64::new(AWAKE),
            looked: AtomicU64::new(0),
        }
    }

    /// Before a wait: false if a notification came since the last one, which this call takes; then do not wait.
    #[inline]
    pub fn fall_asleep(&self) -> bool {
        self.to(|state| if state == AWAKE { ASLEEP } else { AWAKE }) == AWAKE
    }

    /// After a wait, however it ended: awake again, and any notification taken. Returns true if it was only asked to look.
    #[inline]
    pub fn wake_up(&self) -> bool {
        self.to(|_| AWAKE) == ASKED
    }

    /// Leaves a notification. Returns true if the sleeper must be woken by a system call, which is the caller's to make.
    #[inline]
    pub fn notify(&self) -> bool {
        self.to(|_| NOTIFIED) == ASLEEP
    }

    /// Asks a sleeper to look at the kernel. Returns true if that takes a system call, which is the caller's to make.
    pub fn ask(&self) -> bool {
        self.to(|state| if state == ASLEEP { ASKED } else { state }) == ASLEEP
    }

    /// It looked at the kernel after [`Clock::epoch`](crate::clock::Clock::epoch) was `epoch`, and found nothing.
    pub fn set_looked(&self, epoch: u64) {
        // ORDERING: Relaxed: the `fall_asleep` that follows publishes it.
        self.looked.store(epoch, Relaxed);
    }

    /// True if it has looked in this epoch.
    pub fn has_looked(&self, epoch: u64) -> bool {
        // ORDERING: Relaxed: asked after the word was read as asleep, which acquires it.
        self.looked.load(Relaxed) == epoch
    }

    /// True between `fall_asleep` and the first of `notify` and `wake_up`.
    pub fn is_asleep(&self) -> bool {
        // ORDERING: Relaxed: a glance; whoever acts on it moves the word first.
        self.word.load(Relaxed) & STATE == ASLEEP
    }

    /// The word as it is.
    #[inline]
    pub(crate) fn word(&self) -> Word {
        // ORDERING: Acquire pairs with the Release in `to`: who reads that one fell asleep sees the wakes that it sent before.
        Word(self.word.load(Acquire))
    }

    /// Moves to the state that `next` names, and returns the one before.
    #[inline]
    fn to(&self, next: impl Fn(u64) -> u64) -> u64 {
        // ORDERING: Relaxed: only a guess for the exchange below.
        let mut word = self.word.load(Relaxed);
        loop {
            let to = next(word & STATE);
            let moved = (word & !STATE).wrapping_add(MOVE) | to;
            // ORDERING: Release publishes the work of who notifies and the sleeper's own, Acquire shows it to who is notified
            // and to clocks. Both sides move this one word, so no notification comes between a glance and a wait.
            match self
                .word
                .compare_exchange_weak(word, moved, AcqRel, Relaxed)
            {
                Ok(_) => return word & STATE,
                Err(seen) => word = seen,
            }
        }
    }
}

impl Default for Sleeper {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed: a glance.
        f.write_str(match self.word.load(Relaxed) & STATE {
            ASLEEP | ASKED => "Sleeper(asleep)",
            NOTIFIED => "Sleeper(notified)",
            _ => "Sleeper(awake)",
        })
    }
}

/// A sleeper's word as it was at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Word(u64);

impl Word {
    pub(crate) fn is_asleep(self) -> bool {
        self.0 & STATE == ASLEEP
    }

    /// How many moves there had been.
    pub(crate) fn moves(self) -> u64 {
        self.0 / MOVE
    }
}
