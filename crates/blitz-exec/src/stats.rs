//! What each worker counts, always.
//!
//! The thread that holds a worker's core writes, at its turns and waits and not at each poll: what it counts meanwhile lies in
//! the core, or follows from what is counted anyway. Readers get figures that are each right and a turn old at most.
//!
//! ORDERING: all Relaxed: one writer, who hands the core on by something stronger, and readers who want a figure, not an event.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::{self, ThreadId};
use std::time::Duration;

use blitz_core::histogram::Histogram;
use blitz_core::primitive::sync::Mutex;

/// The figures of one worker.
#[derive(Debug, Default)]
pub struct WorkerStats {
    polls: AtomicU64,
    local_schedules: AtomicU64,
    remote_schedules: AtomicU64,
    overflows: AtomicU64,
    steals: AtomicU64,
    steal_operations: AtomicU64,
    forced_yields: AtomicU64,
    noops: AtomicU64,
    /// Twice the number of waits, and one more while it waits.
    park_unparks: AtomicU64,
    busy_ns: AtomicU64,
    busy_since_ns: AtomicU64,
    recent_busy_ns: AtomicU64,
    recent_polls: AtomicU64,
    /// Of `busy_ns` and `polls`, what the two above already know.
    folded_busy_ns: AtomicU64,
    folded_polls: AtomicU64,
    /// The time, as the worker saw it last, with the switches in its lowest bits.
    now_ns: AtomicU64,
    switches: AtomicU64,
    thread: Mutex<Option<ThreadId>>,
    /// Whether that thread has the core.
    is_held: AtomicBool,
    /// The number by which the system knows the thread; 0 where it has none.
    os_thread: AtomicU32,
    pub(crate) poll_time: OnceLock<Histogram>,
    pub(crate) latency: OnceLock<Histogram>,
}

/// Counts on without a locked instruction: the caller is the only writer.
#[inline]
fn add(figure: &AtomicU64, more: u64) {
    figure.store(figure.load(Relaxed).wrapping_add(more), Relaxed);
}

/// How many polls the mean time of a poll is mostly made of.
const RECENT_POLLS: u64 = 64;
/// After so many waits the mean is looked at.
const WAITS_TO_FOLD: u64 = 16;

/// In `now_ns`: whoever wants the time of a wake must ask the clock.
const EXACT: u64 = 1;
/// In `now_ns`: something is to be done around each poll.
const OBSERVES: u64 = 1 << 1;
const SWITCHES: u64 = EXACT | OBSERVES;

/// How a worker is to run tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches(u64);

impl Switches {
    /// Whether the times of wakes are wanted exactly, and whether something is to be done around each poll.
    pub(crate) const fn new(exact: bool, observes: bool) -> Self {
        Self(if exact { EXACT } else { 0 } | if observes { OBSERVES } else { 0 })
    }

    /// As it is kept where workers look.
    #[inline]
    pub(crate) const fn of_word(word: u64) -> Self {
        Self(word & SWITCHES)
    }

    /// See [`of_word`](Self::of_word).
    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    /// Whether the times of wakes are wanted exactly.
    pub(crate) fn is_exact(self) -> bool {
        self.0 & EXACT != 0
    }

    /// Whether something is to be done around each poll.
    pub(crate) fn observes(self) -> bool {
        self.0 & OBSERVES != 0
    }
}

/// A time that a worker has seen, and how it is to run tasks now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Whether something is to be done around each poll.
    #[inline]
    pub(crate) fn observes(self) -> bool {
        self.0 & OBSERVES != 0
    }

    /// The time, to within the nanoseconds that the switches take up.
    #[inline]
    pub(crate) fn ns(self) -> u64 {
        self.0
    }
}

impl WorkerStats {
    /// All zero. Who wants the time asks the clock, until the worker has begun.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            now_ns: AtomicU64::new(EXACT),
            ..Self::default()
        })
    }

    /// A thread takes the worker's core, at `now`.
    pub fn begin(&self, now: u64) {
        self.busy_since_ns.store(now, Relaxed);
        self.see(now);
        *self.thread.lock() = Some(thread::current().id());
        self.is_held.store(true, Relaxed);
    }

    /// The thread that has taken the core has this number with the system.
    pub fn set_os_thread(&self, thread: Option<u32>) {
        self.os_thread.store(thread.unwrap_or(0), Relaxed);
    }

    /// The number, with the system, of the thread that has the core, or had it last.
    pub fn os_thread(&self) -> Option<u32> {
        Some(self.os_thread.load(Relaxed)).filter(|&thread| thread != 0)
    }

    /// It gives the core up, and is still told as the thread that had it last.
    pub fn end(&self, now: u64) {
        self.count_busy(now);
        self.is_held.store(false, Relaxed);
    }

    #[inline]
    fn count_busy(&self, now: u64) {
        // The clock never goes back, on any processor.
        let busy = now.wrapping_sub(self.busy_since_ns.load(Relaxed));
        add(&self.busy_ns, busy);
    }

    /// It waits for events from `now` on.
    #[inline]
    pub fn park(&self, now: u64) {
        self.count_busy(now);
        let moves = self.park_unparks.load(Relaxed).wrapping_add(1);
        self.park_unparks.store(moves, Relaxed);
        if moves % (2 * WAITS_TO_FOLD) == 1 {
            self.fold();
        }
    }

    /// What is older weighs half as much from now on.
    #[cold]
    fn fold(&self) {
        let (busy, polls) = self.recent();
        self.folded_busy_ns
            .store(self.busy_ns.load(Relaxed), Relaxed);
        self.folded_polls.store(self.polls.load(Relaxed), Relaxed);
        let halve = u32::from(polls > RECENT_POLLS);
        self.recent_busy_ns.store(busy >> halve, Relaxed);
        self.recent_polls.store(polls >> halve, Relaxed);
    }

    /// How long it was busy, and how often it polled, the last times weighing most.
    fn recent(&self) -> (u64, u64) {
        let more = |all: &AtomicU64, folded: &AtomicU64| {
            all.load(Relaxed).wrapping_sub(folded.load(Relaxed))
        };
        let busy = more(&self.busy_ns, &self.folded_busy_ns);
        let polls = more(&self.polls, &self.folded_polls);
        (
            busy.wrapping_add(self.recent_busy_ns.load(Relaxed)),
            polls.wrapping_add(self.recent_polls.load(Relaxed)),
        )
    }

    /// It waited, and works again from `now` on.
    #[inline]
    pub fn unpark(&self, now: u64) {
        self.busy_since_ns.store(now, Relaxed);
        self.see(now);
        add(&self.park_unparks, 1);
    }

    /// It took a turn of the driver without a wait, and it is `now`.
    #[inline]
    pub fn see(&self, now: u64) {
        self.now_ns
            .store((now & !SWITCHES) | self.switches.load(Relaxed), Relaxed);
    }

    /// Whether the times of wakes are wanted exactly, and whether something is to be done around each poll. For the worker.
    /// Answers with that if it has changed.
    #[inline]
    pub(crate) fn switch(&self, switches: Switches) -> Option<Switches> {
        if switches.0 == self.switches.load(Relaxed) {
            return None;
        }
        self.switches.store(switches.0, Relaxed);
        let now = self.now_ns() & !SWITCHES;
        // A worker that has not begun knows no time.
        let exact = if now == 0 { EXACT } else { 0 };
        self.now_ns.store(now | switches.0 | exact, Relaxed);
        Some(switches)
    }

    /// How the worker is to run tasks.
    pub(crate) fn switches(&self) -> Switches {
        Switches(self.switches.load(Relaxed))
    }

    /// The time, as the worker saw it last, and the switches.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.now_ns.load(Relaxed))
    }

    /// The time, as the worker saw it last.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.moment().ns()
    }

    /// The time for a task that is woken here: as the worker saw it last, or by `exact` if that is wanted.
    #[inline]
    pub(crate) fn stamp(&self, exact: impl FnOnce() -> u64) -> u64 {
        let now = self.now_ns.load(Relaxed);
        if now & EXACT == 0 { now } else { exact() }
    }

    /// So many more polls were made.
    #[inline]
    pub(crate) fn ran(&self, polls: u64) {
        add(&self.polls, polls);
    }

    /// So many tasks were queued here so far.
    #[inline]
    pub(crate) fn queued(&self, local_schedules: u64) {
        self.local_schedules.store(local_schedules, Relaxed);
    }

    /// Takes over what this thread has counted: tasks that had to yield.
    #[inline]
    pub(crate) fn take_yields(&self) {
        let yields = blitz_core::budget::take_forced_yields();
        if yields > 0 {
            add(&self.forced_yields, yields.into());
        }
    }

    /// It waits, and polled nothing since its last wait, or since it began.
    pub(crate) fn noop(&self) {
        add(&self.noops, 1);
    }

    /// So many more tasks came from outside.
    #[inline]
    pub(crate) fn took_remote(&self, tasks: u64) {
        add(&self.remote_schedules, tasks);
    }

    /// Its queue was full, and a part of it went to the shared one.
    pub(crate) fn overflow(&self) {
        add(&self.overflows, 1);
    }

    /// So many tasks were taken from another worker, in one go.
    pub(crate) fn steal(&self, tasks: u64) {
        add(&self.steals, tasks);
        add(&self.steal_operations, 1);
    }

    /// How many tasks it polled, and how often.
    pub fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    /// How many tasks were queued by the worker's own thread.
    pub fn local_schedules(&self) -> u64 {
        self.local_schedules.load(Relaxed)
    }

    /// How many tasks came to it from threads that are no worker of its scheduler.
    pub fn remote_schedules(&self) -> u64 {
        self.remote_schedules.load(Relaxed)
    }

    /// How often its queue was full.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Relaxed)
    }

    /// How many tasks it took from others.
    pub fn steals(&self) -> u64 {
        self.steals.load(Relaxed)
    }

    /// How often it took tasks from others.
    pub fn steal_operations(&self) -> u64 {
        self.steal_operations.load(Relaxed)
    }

    /// How often a task had to yield here because its budget was used up.
    pub fn forced_yields(&self) -> u64 {
        self.forced_yields.load(Relaxed)
    }

    /// How often it waited without having polled anything since its last wait, or since it began.
    pub fn noops(&self) -> u64 {
        self.noops.load(Relaxed)
    }

    /// How often it began or ended a wait; odd while it waits.
    pub fn park_unparks(&self) -> u64 {
        self.park_unparks.load(Relaxed)
    }

    /// How long it has worked: not waited.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.load(Relaxed))
    }

    /// How long a poll takes, what lies between polls included: a mean in which the last ones weigh most.
    pub fn mean_poll(&self) -> Duration {
        let (busy, polls) = self.recent();
        Duration::from_nanos(busy / polls.max(1))
    }

    /// The thread that has the core, or had it last.
    pub fn thread(&self) -> Option<ThreadId> {
        *self.thread.lock()
    }

    /// Whether a thread has its core.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Relaxed)
    }

    /// How long its polls took; `None` until that was asked for.
    pub fn poll_time(&self) -> Option<&Histogram> {
        self.poll_time.get()
    }

    /// How long tasks were ready before it polled them; `None` until that was asked for.
    pub fn latency(&self) -> Option<&Histogram> {
        self.latency.get()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_wake_is_asked_for_until_the_worker_has_begun() {
        let stats = WorkerStats::new();
        assert_eq!((stats.now_ns() & !SWITCHES, stats.stamp(|| 70)), (0, 70));
        stats.begin(80);
        assert_eq!(stats.stamp(|| 90), 80);
        stats.switch(Switches::new(true, false));
        stats.see(100);
        assert_eq!(stats.stamp(|| 110), 110);
    }

    #[test]
    fn a_worker_is_busy_between_its_waits() {
        let stats = WorkerStats::new();
        assert_eq!(stats.thread(), None);
        stats.begin(100);
        assert_eq!(stats.thread(), Some(thread::current().id()));
        assert!(stats.is_held());
        stats.ran(10);
        stats.park(1_100);
        assert_eq!(stats.busy(), Duration::from_nanos(1_000));
        assert_eq!(stats.mean_poll(), Duration::from_nanos(100));
        assert_eq!(stats.park_unparks(), 1);
        stats.unpark(5_000);
        assert_eq!(stats.now_ns(), 5_000);
        assert_eq!(stats.stamp(|| 7), 5_000);
        stats.switch(Switches::new(true, true));
        assert!(stats.moment().observes());
        assert_eq!((stats.now_ns() & !SWITCHES, stats.stamp(|| 7)), (5_000, 7));
        stats.switch(Switches::new(false, false));
        stats.ran(1);
        stats.park(6_100);
        assert_eq!(stats.mean_poll(), Duration::from_nanos(2_100 / 11));
        stats.unpark(7_000);
        assert_eq!(stats.mean_poll(), Duration::from_nanos(2_100 / 11));
        // What was before weighs less and less.
        for _ in 0..100 {
            stats.ran(189);
            stats.park(7_000 + 189);
            stats.unpark(7_000);
        }
        assert!(stats.mean_poll() < Duration::from_nanos(4));
        let busy = 1_000 + 1_100 + 100 * 189;
        assert_eq!(stats.busy(), Duration::from_nanos(busy));
        stats.unpark(9_000);
        stats.end(10_000);
        assert_eq!(stats.busy(), Duration::from_nanos(busy + 1_000));
        assert_eq!(stats.park_unparks(), 2 * 102 + 1);
        assert_eq!(stats.thread(), Some(thread::current().id()));
        assert!(!stats.is_held());
    }
}
