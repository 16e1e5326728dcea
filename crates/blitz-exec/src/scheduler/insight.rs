//! What a runtime measures when it is asked to: times of polls and waits, traces, warnings.
//!
//! All of it is off at first, and costs one look at a flag then. Only this names a time, and takes it from a [`Clock`], which
//! the face fills in.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use blitz_core::histogram::{Histogram, Layout, Snapshot};
use blitz_core::primitive::sync::Mutex;
use blitz_core::waiting::Leaf;

use super::suspects::Suspects;
pub use super::suspects::{Habit, Polls};
use super::warnings::Warnings;
use crate::stats::{Switches, WorkerStats};
use crate::task::{Id, Priority};

/// Tells the time to what measures.
pub trait Clock: Send + Sync {
    /// Nanoseconds since a moment of its own choice; it never goes back.
    fn now_ns(&self) -> u64;
}

/// The [`Clock`] of a runtime that measures nothing: it stands still.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Clock for NoClock {
    fn now_ns(&self) -> u64 {
        0
    }
}

/// What is measured, besides what always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// How long polls take.
    PollTime,
    /// How long tasks are ready before they are polled, into histograms.
    Latency,
    /// The same, for the hooks around polls alone.
    LatencyForHooks,
    /// Whether the polls of some tasks are in vain. For a while: see [`Insight::suspect`].
    Habits,
}

impl Measure {
    const fn bit(self) -> u8 {
        match self {
            Measure::PollTime => 1,
            Measure::Latency => 1 << 1,
            Measure::LatencyForHooks => 1 << 2,
            Measure::Habits => 1 << 3,
        }
    }
}

/// Beside the measurements: the user has hooks around polls.
const HOOKED: u8 = 1 << 7;
/// Where the measurements stand in their word, above the switches.
const MEASURES_SHIFT: u32 = 8;

/// What a set of switches says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured(u8);

impl Measured {
    pub(super) fn has(self, what: Measure) -> bool {
        self.0 & what.bit() != 0
    }

    /// Whether a task's wake must know the exact time.
    #[inline]
    pub(super) fn stamps_wakes(self) -> bool {
        self.0 & (Measure::Latency.bit() | Measure::LatencyForHooks.bit()) != 0
    }

    pub(super) fn any(self) -> bool {
        self.0 != 0
    }
}

/// What one runtime measures of itself.
pub struct Insight {
    id: u64,
    clock: Arc<dyn Clock>,
    /// What is measured, and below it what workers are to do about it: they compare it in each turn.
    word: AtomicU64,
    long_poll_ns: AtomicU64,
    stuck_wait_ns: AtomicU64,
    poll_time_layout: Layout,
    latency_layout: Layout,
    /// By priority, the most urgent first: how long tasks are ready before they are polled.
    classes: [OnceLock<Histogram>; 4],
    sites: Mutex<Vec<Arc<SiteTimes>>>,
    traces: Mutex<Vec<Arc<dyn TraceSink>>>,
    warnings: Warnings,
    suspects: Suspects,
}

/// Takes what traced polls leave.
pub trait TraceSink: Send + Sync {
    /// A traced poll of the task `id` has ended. Called on the thread that polled it.
    fn traced(&self, id: Id, leaves: Arc<Vec<Leaf>>);
}

/// The times of all tasks that were spawned at one place.
#[derive(Debug)]
pub struct SiteTimes {
    location: &'static Location<'static>,
    poll_time: Histogram,
    latency: Histogram,
}

/// A copy of [`SiteTimes`].
#[derive(Clone, Debug)]
pub struct SiteSnapshot {
    /// Where the tasks were spawned.
    pub location: &'static Location<'static>,
    /// How long their polls took.
    pub poll_time: Snapshot,
    /// How long they were ready before they were polled.
    pub latency: Snapshot,
}

impl Default for Insight {
    fn default() -> Self {
        Self::new(Arc::new(NoClock), Layout::NANOSECONDS, Layout::NANOSECONDS)
    }
}

impl Insight {
    /// All off.
    pub fn new(clock: Arc<dyn Clock>, poll_time_layout: Layout, latency_layout: Layout) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            // ORDERING: Relaxed: only unlike the others'.
            id: NEXT.fetch_add(1, Relaxed),
            clock,
            word: AtomicU64::new(0),
            long_poll_ns: AtomicU64::new(10_000_000),
            stuck_wait_ns: AtomicU64::new(1_000_000_000),
            poll_time_layout,
            latency_layout,
            classes: [const { OnceLock::new() }; 4],
            sites: Mutex::new(Vec::new()),
            traces: Mutex::new(Vec::new()),
            warnings: Warnings::default(),
            suspects: Suspects::new(),
        }
    }

    /// The time.
    pub fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Switches one measurement on or off, from about now on: a worker that works looks at its next turn.
    pub fn set(&self, what: Measure, on: bool) {
        // ORDERING: Relaxed wherever it is changed or read: a switch; nothing hangs on when it is seen.
        self.change(|all| match on {
            true => all | what.bit(),
            false => all & !what.bit(),
        });
    }

    /// There are hooks around polls.
    pub(super) fn set_hooked(&self) {
        self.change(|all| all | HOOKED);
    }

    /// What workers are to do about it. Looked at once in each turn, so it is kept as they compare it.
    #[inline]
    pub(super) fn switches(&self) -> Switches {
        // ORDERING: Relaxed: see `set`.
        Switches::of_word(self.word.load(Relaxed))
    }

    /// Everything that is measured, hooks included.
    #[inline]
    fn all(&self) -> u8 {
        // ORDERING: Relaxed: see `set`.
        (self.word.load(Relaxed) >> MEASURES_SHIFT) as u8
    }

    fn change(&self, change: impl Fn(u8) -> u8) {
        let step = |word: u64| {
            let all = change((word >> MEASURES_SHIFT) as u8);
            let switches = Switches::new(Measured(all).stamps_wakes(), all != 0);
            Some(u64::from(all) << MEASURES_SHIFT | switches.word())
        };
        // ORDERING: Relaxed, twice: see `set`. It never fails: `step` always answers.
        let _ = self.word.fetch_update(Relaxed, Relaxed, step);
    }

    /// Whether it is on.
    pub fn is_on(&self, what: Measure) -> bool {
        self.measured().has(what)
    }

    #[inline]
    pub(super) fn measured(&self) -> Measured {
        Measured(self.all() & !HOOKED)
    }

    /// The buckets of the workers' poll times.
    pub fn poll_time_layout(&self) -> Layout {
        self.poll_time_layout
    }

    /// The buckets of the workers' latencies.
    pub fn latency_layout(&self) -> Layout {
        self.latency_layout
    }

    /// A poll that takes as long is worth a warning, while poll times are measured.
    pub fn long_poll_ns(&self) -> u64 {
        // ORDERING: Relaxed: see `set`.
        self.long_poll_ns.load(Relaxed)
    }

    /// See [`long_poll_ns`](Self::long_poll_ns). 10 ms at first.
    pub fn set_long_poll_ns(&self, ns: u64) {
        // ORDERING: Relaxed: see `set`.
        self.long_poll_ns.store(ns, Relaxed);
    }

    /// A wait that is stuck for as long is worth a warning.
    pub fn stuck_wait_ns(&self) -> u64 {
        // ORDERING: Relaxed: see `set`.
        self.stuck_wait_ns.load(Relaxed)
    }

    /// See [`stuck_wait_ns`](Self::stuck_wait_ns). 1 s at first.
    pub fn set_stuck_wait_ns(&self, ns: u64) {
        // ORDERING: Relaxed: see `set`.
        self.stuck_wait_ns.store(ns, Relaxed);
    }

    /// What was noticed that should not be.
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// The tasks whose polls are looked at.
    pub(super) fn suspects(&self) -> &Suspects {
        &self.suspects
    }

    /// What was seen of those whose polls were looked at often enough, in the order of their ids. `alive` are all tasks in that order.
    pub fn habits(&self, alive: &[Polls]) -> Vec<Habit> {
        self.suspects.take(alive, self.now_ns())
    }

    /// Looks at the polls of these tasks for so many nanoseconds. Those that were judged not long ago are left out. Answers whether any
    /// is looked at.
    pub fn suspect(&self, tasks: impl Iterator<Item = Polls>, ns: u64) -> bool {
        let now = self.now_ns();
        let any = self.suspects.watch(tasks, now, now.saturating_add(ns));
        self.set(Measure::Habits, any);
        any
    }

    /// Tells `sink` what traced polls leave, until [`remove_sink`](Self::remove_sink).
    pub fn add_sink(&self, sink: Arc<dyn TraceSink>) {
        self.traces.lock().push(sink);
    }

    /// See [`add_sink`](Self::add_sink).
    pub fn remove_sink(&self, sink: &Arc<dyn TraceSink>) {
        let mut sinks = self.traces.lock();
        let at = sinks.iter().position(|known| Arc::ptr_eq(known, sink));
        let removed = at.map(|at| sinks.swap_remove(at));
        drop(sinks);
        drop(removed);
    }

    pub(super) fn traced(&self, id: Id, leaves: Vec<Leaf>) {
        let sinks = self.traces.lock().clone();
        let leaves = Arc::new(leaves);
        for sink in sinks {
            sink.traced(id, Arc::clone(&leaves));
        }
    }

    /// How long tasks of this priority were ready before they were polled, as far as that was measured, in nanoseconds.
    pub fn class_latency(&self, priority: Priority) -> Snapshot {
        self.classes[priority.place()]
            .get()
            .map_or_else(|| Snapshot::empty(Layout::NANOSECONDS), Histogram::snapshot)
    }

    /// A poll of a task that was spawned at `location` took so long, on this worker; the task was ready for `latency` before, if
    /// that is measured.
    pub(super) fn record(
        &self,
        stats: &WorkerStats,
        measured: Measured,
        location: &'static Location<'static>,
        priority: Priority,
        poll_time: u64,
        latency: Option<u64>,
    ) {
        let latency = latency.filter(|_| measured.has(Measure::Latency));
        let poll_time = Some(poll_time).filter(|_| measured.has(Measure::PollTime));
        if latency.is_none() && poll_time.is_none() {
            return;
        }
        let new = |layout| move || Histogram::new(layout);
        if let Some(ns) = poll_time {
            let all = stats.poll_time.get_or_init(new(self.poll_time_layout));
            all.record(ns);
        }
        if let Some(ns) = latency {
            let all = stats.latency.get_or_init(new(self.latency_layout));
            all.record(ns);
            let class = self.classes[priority.place()].get_or_init(new(Layout::NANOSECONDS));
            class.record(ns);
        }
        self.with_site(location, |site| {
            if let Some(ns) = poll_time {
                site.poll_time.record(ns);
            }
            if let Some(ns) = latency {
                site.latency.record(ns);
            }
        });
    }

    /// Calls `f` with the times of one spawn site, found in this thread's memory of those that it saw last, or in the list.
    fn with_site(&self, location: &'static Location<'static>, f: impl FnOnce(&SiteTimes)) {
        let address = std::ptr::from_ref(location).addr();
        let slot = (address / align_of::<Location<'static>>()) % SEEN_SITES;
        let _ = SITES.try_with(|seen| {
            let mut seen = seen.borrow_mut();
            let place = &mut seen[slot];
            match place {
                Some((runtime, site))
                    if *runtime == self.id && std::ptr::eq(site.location, location) =>
                {
                    f(site);
                }
                _ => {
                    let site = self.site(location);
                    f(&site);
                    *place = Some((self.id, site));
                }
            }
        });
    }

    fn site(&self, location: &'static Location<'static>) -> Arc<SiteTimes> {
        // The compiler may lay one place of the source down more than once, so it is compared by what it says.
        let mut sites = self.sites.lock();
        match sites.binary_search_by(|site| site.location.cmp(location)) {
            Ok(at) => Arc::clone(&sites[at]),
            Err(at) => {
                let site = Arc::new(SiteTimes {
                    location,
                    poll_time: Histogram::new(Layout::NANOSECONDS),
                    latency: Histogram::new(Layout::NANOSECONDS),
                });
                sites.insert(at, Arc::clone(&site));
                site
            }
        }
    }

    /// The times of each spawn site of which any were measured, by file and line.
    pub fn sites(&self) -> Vec<SiteSnapshot> {
        let sites = self.sites.lock().clone();
        let copies = sites.iter().map(|site| SiteSnapshot {
            location: site.location,
            poll_time: site.poll_time.snapshot(),
            latency: site.latency.snapshot(),
        });
        copies.collect()
    }
}

/// So many spawn sites a thread remembers.
const SEEN_SITES: usize = 64;

type SeenSite = Option<(u64, Arc<SiteTimes>)>;

std::thread_local! {
    static SITES: std::cell::RefCell<[SeenSite; SEEN_SITES]> =
        const { std::cell::RefCell::new([const { None }; SEEN_SITES]) };
}

impl fmt::Debug for Insight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Insight")
            .field("measured", &self.measured())
            .finish_non_exhaustive()
    }
}
