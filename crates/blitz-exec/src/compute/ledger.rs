//! What a bridge counts. Each call holds on to its bridge's ledger, and lets virtual time go at its end.
//!
//! ORDERING: all Relaxed: readers want a figure, not an event; and a call that does not see the end of its bridge runs, as if
//! it had begun before.

use super::standby::Standby;
use crate::park::Watch;
use blitz_core::pad::CachePadded;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

std::thread_local! {
    /// The seat of this thread in its crew.
    static SEAT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// The ledger of this thread's crew.
    static OWN: RefCell<Option<Arc<Ledger>>> = const { RefCell::new(None) };
}

/// From now on, and until the guard goes, what this thread runs is counted at `seat`.
pub(super) fn take_seat(ledger: &Arc<Ledger>, seat: usize) -> Seated {
    SEAT.set(seat);
    OWN.set(Some(Arc::clone(ledger)));
    Seated
}

/// A thread of a crew.
pub(super) struct Seated;

impl Drop for Seated {
    fn drop(&mut self) {
        SEAT.set(usize::MAX);
        drop(OWN.take());
    }
}

/// Calls `f` with the ledger, which outlives the call of a closure that holds on to it. On a thread of the crew that costs
/// nothing: a count that callers and runners both changed would go to and fro between their processors.
#[inline]
pub(super) fn hold<R>(ledger: &Arc<Ledger>, f: impl FnOnce(&Ledger) -> R) -> R {
    let mut f = Some(f);
    let held = OWN.try_with(|own| {
        let own = own.borrow();
        let own = own.as_ref().filter(|own| Arc::ptr_eq(own, ledger))?;
        f.take().map(|f| f(own))
    });
    match (held, f) {
        (Ok(Some(answer)), _) => answer,
        (_, Some(f)) => f(&Arc::clone(ledger)),
        (_, None) => unreachable!("it was called, so there is its answer"),
    }
}

/// Calls `f` with the ledger of this thread's crew, if it is in one.
#[inline]
pub(super) fn with_own(f: impl FnOnce(&Ledger)) {
    // At a thread's end there may be none any more.
    let _ = OWN.try_with(|own| {
        if let Some(own) = &*own.borrow() {
            f(own);
        }
    });
}

/// The figures of one bridge, and the short way to its crew.
pub(super) struct Ledger {
    watch: Arc<dyn Watch>,
    ended: AtomicBool,
    /// On lines of its own: the thread that stands by looks at it time and again.
    pub(super) standby: CachePadded<Standby>,
    /// Written by callers; the rest by runners, each on lines of its own.
    accepted: CachePadded<AtomicU64>,
    refused: AtomicU64,
    /// One for each thread of the crew, and the last for all others.
    seats: Box<[CachePadded<Seat>]>,
}

#[derive(Default)]
struct Seat {
    started: AtomicU64,
    ended: AtomicU64,
    panicked: AtomicU64,
}

/// What a bridge has done and is doing. Each figure is read when it is asked for, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComputeMetrics {
    /// How many threads there are: none before the first call.
    pub threads: usize,
    /// Calls that wait for a thread.
    pub queued: u64,
    /// Calls that run.
    pub running: u64,
    /// Calls that have run to their end, those that panicked included.
    pub done: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// Calls that were cancelled before their turn.
    pub cancelled: u64,
}

impl Ledger {
    pub(super) fn new(threads: usize, watch: Arc<dyn Watch>) -> Arc<Self> {
        Arc::new(Self {
            watch,
            ended: AtomicBool::new(false),
            standby: CachePadded::new(Standby::new()),
            accepted: CachePadded::default(),
            refused: AtomicU64::new(0),
            seats: (0..=threads).map(|_| CachePadded::default()).collect(),
        })
    }

    /// Counts a call, and holds virtual time back until it is [let go](Self::let_go). Answers how many there were before.
    #[inline]
    pub(super) fn accept(&self) -> u64 {
        self.watch.begin();
        self.accepted.fetch_add(1, Relaxed)
    }

    /// Whether no call was accepted after that of this number.
    #[inline]
    pub(super) fn is_last(&self, number: u64) -> bool {
        self.accepted.load(Relaxed) == number + 1
    }

    /// A call is over, and its caller awake.
    #[inline]
    pub(super) fn let_go(&self) {
        self.watch.end();
    }

    /// No call begins any more.
    pub(super) fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// The figures, but for the threads.
    pub(super) fn metrics(&self) -> ComputeMetrics {
        let sum = |figure: fn(&Seat) -> &AtomicU64| -> u64 {
            self.seats
                .iter()
                .map(|seat| figure(seat).load(Relaxed))
                .sum()
        };
        // What comes later in a call's life is read first, so that no difference is below zero by much; and none shows it.
        let panicked = sum(|seat| &seat.panicked);
        let done = sum(|seat| &seat.ended);
        let started = sum(|seat| &seat.started);
        let cancelled = self.refused.load(Relaxed);
        let accepted = self.accepted.load(Relaxed);
        ComputeMetrics {
            threads: 0,
            queued: accepted.saturating_sub(started + cancelled),
            running: started.saturating_sub(done),
            done,
            panicked,
            cancelled,
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.metrics().fmt(f)
    }
}

/// What becomes of one call.
impl Ledger {
    /// Whether the bridge has ended, so that a call that has not begun must not.
    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// The call will not run.
    #[cold]
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The call runs, on this thread.
    #[inline]
    pub(super) fn begin(&self) -> Running<'_> {
        let seats = &self.seats;
        let seat = SEAT.get().min(seats.len() - 1);
        seats[seat].started.fetch_add(1, Relaxed);
        Running(&seats[seat])
    }
}

/// A call that runs.
pub(super) struct Running<'a>(&'a Seat);

impl Running<'_> {
    /// It has ended.
    #[inline]
    pub(super) fn end(self, panicked: bool) {
        if panicked {
            self.0.panicked.fetch_add(1, Relaxed);
        }
        self.0.ended.fetch_add(1, Relaxed);
    }
}
