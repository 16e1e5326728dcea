//! A driver's figures as plain data: read one by one, each right and not all of one instant.
//!
//! ORDERING: Relaxed: a reader wants a figure, not an event.

use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_sys::completion::Opcode;

use crate::backend::Backend;
use crate::shared::Handle;

/// How many operations of one kind are in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// The operation's name, as in the kernel's headers without `IORING_OP_`.
    pub operation: &'static str,
    /// How many the kernel has not answered for the last time.
    pub count: usize,
}

/// What one driver has done so far, and what it holds now: plain data.
///
/// Figures that say "so far" only rise; differences of two readings say what happened between. Where there is no ring, all that
/// concerns the ring is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingMetrics {
    /// Which back end runs.
    pub backend: Backend,
    /// Why this one: a sentence.
    pub reason: String,
    /// Submission entries of the ring, as the kernel granted them.
    pub sq_entries: u32,
    /// Completion entries of the ring, as the kernel granted them.
    pub cq_entries: u32,
    /// Turns so far: looks at the outside, with a wait or without.
    pub turns: u64,
    /// Calls of `io_uring_enter` so far.
    pub enters: u64,
    /// Calls of the readiness interface's wait (`epoll_wait`) so far.
    pub selector_waits: u64,
    /// Entries that were handed to the kernel so far.
    pub submitted: u64,
    /// Answers that were read from the ring so far, those of cancels and wake-ups included.
    pub completions: u64,
    /// Events of sockets and other sources that were delivered so far, on any back end.
    pub ready_events: u64,
    /// Turns so far that found the completion queue full, with answers kept back in the kernel. None is lost by that; a larger
    /// queue (`Builder::ring_completion_entries`) makes it rarer.
    pub overflows: u64,
    /// Entries so far that found the submission queue full and waited in the list behind it. A larger queue
    /// (`Builder::ring_submission_entries`) makes it rarer.
    pub queue_full: u64,
    /// How often so far the kernel took nothing (`EBUSY`, `EAGAIN`) until answers had been read.
    pub busy: u64,
    /// Entries that answer many times and had to be queued again so far: the kernel ended them, or a full queue of theirs did.
    pub rearmed: u64,
    /// Receives so far that found no provided buffer and went on with the pool's.
    pub buffers_exhausted: u64,
    /// Cancels asked for so far, of operations and of polls.
    pub cancels: u64,
    /// Cancels so far that came too late: the operation had ended, or was about to.
    pub cancels_late: u64,
    /// Sockets and other sources that were registered so far.
    pub registered: u64,
    /// Sources that are registered now; on the ring also those whose last answer is on its way.
    pub sources: usize,
    /// Operations in flight, by kind, without the sources' polls. The kinds stand in no order.
    pub in_flight: Vec<InFlight>,
    /// Timers that are registered now.
    pub timers: usize,
    /// Bytes of the queues that are shared with the kernel.
    pub ring_bytes: usize,
    /// Bytes of the receive buffers that were made: provided, pooled and fixed ones. The system gives memory when a buffer is
    /// first used.
    pub buffer_bytes: usize,
    /// Bytes of the timers' wheel and entries.
    pub timer_bytes: usize,
    /// Bytes of the tables of sources and operations.
    pub table_bytes: usize,
}

impl RingMetrics {
    /// How many entries an entering of the ring submitted, on the average. 0 before the first.
    pub fn submitted_per_enter(&self) -> f64 {
        ratio(self.submitted, self.enters)
    }

    /// How many answers a turn read, on the average. 0 before the first.
    pub fn completions_per_turn(&self) -> f64 {
        ratio(self.completions, self.turns)
    }

    /// Sources that are no longer registered, so far.
    pub fn deregistered(&self) -> u64 {
        self.registered.saturating_sub(self.sources as u64)
    }

    /// Operations in flight of all kinds.
    pub fn operations(&self) -> usize {
        self.in_flight.iter().map(|kind| kind.count).sum()
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// One submission entry, and its place in the index array beside the queue.
const SQ_ENTRY_BYTES: usize = 64 + 4;
const CQ_ENTRY_BYTES: usize = 16;

impl Handle {
    /// A reading of the driver's figures. Takes the driver's locks one after the other, each for a moment.
    pub fn metrics(&self) -> RingMetrics {
        let shared = &*self.0;
        let turn = &*shared.counters;
        let (timers, timer_bytes) = shared.timers.usage();
        let mut submission = shared.submission.lock();
        let waiting = submission.ring.as_mut().map_or(0, |ring| ring.len());
        let counted = &submission.counted;
        let in_flight = submission.ops.in_flight_by_opcode();
        let (sq_entries, cq_entries) = turn.entries;
        let turns = turn.turns.load(Relaxed);
        let mut metrics = RingMetrics {
            backend: shared.capabilities.backend(),
            reason: String::new(),
            sq_entries,
            cq_entries,
            turns,
            enters: turn.enters.load(Relaxed) + counted.flushes,
            selector_waits: turn.selector_waits.load(Relaxed)
                // Without a ring each turn is one.
                + if sq_entries == 0 { turns } else { 0 },
            submitted: counted.queued.saturating_sub(waiting as u64),
            completions: turn.completions.load(Relaxed),
            ready_events: turn.ready.load(Relaxed),
            overflows: turn.overflows.load(Relaxed),
            queue_full: counted.backlogged,
            busy: turn.busy.load(Relaxed),
            rearmed: counted.rearmed,
            buffers_exhausted: submission.ops.buffers_exhausted(),
            cancels: counted.cancels,
            cancels_late: counted.cancels_late,
            registered: counted.registered,
            sources: submission.sources.len(),
            in_flight: Vec::new(),
            timers,
            ring_bytes: sq_entries as usize * SQ_ENTRY_BYTES + cq_entries as usize * CQ_ENTRY_BYTES,
            buffer_bytes: submission.ops.buffer_bytes(),
            timer_bytes,
            table_bytes: submission.sources.bytes() + submission.ops.table_bytes(),
        };
        drop(submission);
        let named = |(opcode, count): (Opcode, usize)| InFlight {
            operation: opcode.name(),
            count,
        };
        metrics.in_flight = in_flight.into_iter().map(named).collect();
        metrics.reason = shared.capabilities.reason().to_owned();
        metrics
    }
}
