//! What a driver counts while it works.
//!
//! Each counter has one writer at a time: those of [`TurnCounters`] are written by the thread that holds the core, those of
//! [`Counted`] under the submission lock. So counting is a load and a store, never a locked instruction. `metrics.rs` reads.
//!
//! ORDERING: all Relaxed: one writer, who passes the core on by something stronger, and readers who want a figure, not an event.

use blitz_core::primitive::sync::atomic::AtomicU64;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_sys::completion::Entered;

/// What the thread that turns the driver counts.
#[derive(Debug)]
pub(crate) struct TurnCounters {
    pub(crate) turns: AtomicU64,
    pub(crate) enters: AtomicU64,
    /// Where there is no ring, those of paused time only: each turn has one.
    pub(crate) selector_waits: AtomicU64,
    pub(crate) completions: AtomicU64,
    pub(crate) ready: AtomicU64,
    pub(crate) overflows: AtomicU64,
    pub(crate) busy: AtomicU64,
    /// Entries of the two queues; 0 where there is no ring. Never written again.
    pub(crate) entries: (u32, u32),
}

/// Counts on without a locked instruction: the caller is the only writer.
#[inline]
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

impl TurnCounters {
    /// All zero, for a ring of so many submission and completion entries.
    pub(crate) fn new(entries: (u32, u32)) -> Self {
        Self {
            turns: AtomicU64::new(0),
            enters: AtomicU64::new(0),
            selector_waits: AtomicU64::new(0),
            completions: AtomicU64::new(0),
            ready: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            entries,
        }
    }

    /// A turn begins.
    #[inline]
    pub(crate) fn turned(&self) {
        add(&self.turns, 1);
    }

    /// The kernel's ring was entered, with this answer.
    #[inline]
    pub(crate) fn entered(&self, answer: &Entered) {
        add(&self.enters, 1);
        if matches!(answer, Entered::Busy) {
            add(&self.busy, 1);
        }
    }

    /// The selector was waited in, beside a ring, or once more in the same turn.
    #[inline]
    pub(crate) fn waited(&self) {
        add(&self.selector_waits, 1);
    }

    /// So many answers were read from the ring.
    #[inline]
    pub(crate) fn took(&self, completions: usize) {
        add(&self.completions, completions as u64);
    }

    /// So many events of sources were delivered.
    #[inline]
    pub(crate) fn delivered(&self, ready: u64) {
        add(&self.ready, ready);
    }

    /// The completion queue was found full, with answers that wait in the kernel.
    #[cold]
    pub(crate) fn overflowed(&self) {
        add(&self.overflows, 1);
    }
}

/// What is counted under the submission lock.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Entries that were written to the ring's queue.
    pub(crate) queued: u64,
    /// Entries that found the queue full.
    pub(crate) backlogged: u64,
    /// Calls into the kernel that only submit, outside of a turn.
    pub(crate) flushes: u64,
    /// Entries that answer many times, had ended, and were queued again.
    pub(crate) rearmed: u64,
    pub(crate) registered: u64,
    pub(crate) cancels: u64,
    pub(crate) cancels_late: u64,
}
