//! What a runtime says of itself: its id, its flavour, its figures.
//!
//! ORDERING: all Relaxed: each figure has one writer, and readers want a figure, not an event.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use blitz_driver::RingMetrics;
use blitz_exec::scheduler::PanicPolicy;

use super::handle::Inner;

/// A runtime's number, unlike that of every other that lives in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // ORDERING: Relaxed: only unlike the others.
        Self(NonZeroU64::new(NEXT.fetch_add(1, Relaxed)).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which kind of scheduler a runtime has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One thread at a time, inside of `block_on`.
    CurrentThread,
    /// Workers that steal from each other.
    MultiThread,
    /// Workers of which each keeps what is spawned on it.
    ThreadPerCore,
}

/// What a runtime does when a task panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// The task's `JoinHandle` tells; the runtime goes on. The default.
    #[default]
    Ignore,
    /// The runtime shuts down, and the `block_on` that runs panics. For `current_thread` and local runtimes only.
    ShutdownRuntime,
}

impl From<UnhandledPanic> for PanicPolicy {
    fn from(policy: UnhandledPanic) -> Self {
        match policy {
            UnhandledPanic::Ignore => PanicPolicy::Ignore,
            UnhandledPanic::ShutdownRuntime => PanicPolicy::Shutdown,
        }
    }
}

/// When one worker waited and when it worked; written by that worker alone, at its waits.
#[derive(Debug)]
pub(crate) struct WorkerClock {
    busy_ns: AtomicU64,
    /// Twice the number of waits, and one more while it waits.
    park_unparks: AtomicU64,
    /// When it last stopped waiting, in nanoseconds since `origin`.
    busy_since_ns: AtomicU64,
    origin: Instant,
}

impl WorkerClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            busy_ns: AtomicU64::new(0),
            park_unparks: AtomicU64::new(0),
            busy_since_ns: AtomicU64::new(0),
            origin: Instant::now(),
        })
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The worker begins: until now nobody worked.
    pub(crate) fn begin(&self) {
        // ORDERING: Relaxed, here and below: one writer, and readers want a figure, not an event.
        self.busy_since_ns.store(self.now_ns(), Relaxed);
    }

    /// The worker stops: nobody works.
    pub(crate) fn end(&self) {
        let worked = self
            .now_ns()
            .saturating_sub(self.busy_since_ns.load(Relaxed));
        self.busy_ns
            .store(self.busy_ns.load(Relaxed) + worked, Relaxed);
    }

    /// The worker waits.
    pub(crate) fn park(&self) {
        self.end();
        self.park_unparks
            .store(self.park_unparks.load(Relaxed) + 1, Relaxed);
    }

    /// The worker works again.
    pub(crate) fn unpark(&self) {
        self.begin();
        self.park_unparks
            .store(self.park_unparks.load(Relaxed) + 1, Relaxed);
    }
}

/// A look at a runtime's figures. Each is read when it is asked for.
#[derive(Clone)]
pub struct RuntimeMetrics {
    inner: Arc<Inner>,
}

impl RuntimeMetrics {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    #[track_caller]
    fn worker(&self, worker: usize) -> &WorkerClock {
        let workers = &self.inner.workers;
        assert!(
            worker < workers.len(),
            "worker {worker} is out of range: the runtime has {}",
            workers.len()
        );
        &workers[worker]
    }

    /// How many workers the runtime has; 1 for `current_thread`.
    pub fn num_workers(&self) -> usize {
        self.inner.workers.len()
    }

    /// How many tasks have been spawned and have not ended.
    pub fn num_alive_tasks(&self) -> usize {
        self.inner.scheduler.tasks_alive()
    }

    /// How many tasks wait in the queue that all workers share.
    ///
    /// On `current_thread` and `thread_per_core`: how many workers have tasks from other threads to look at.
    pub fn global_queue_depth(&self) -> usize {
        self.inner.scheduler.injector_len()
    }

    /// How long a worker has worked, which is: not waited for events. Counted up at each wait.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.worker(worker).busy_ns.load(Relaxed))
    }

    /// How often a worker has begun to wait for events.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.worker(worker).park_unparks.load(Relaxed).div_ceil(2)
    }

    /// How often a worker has begun or ended a wait; odd while it waits.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        self.worker(worker).park_unparks.load(Relaxed)
    }

    /// How many threads the blocking pool has beyond the workers.
    pub fn num_blocking_threads(&self) -> usize {
        self.inner
            .blocking
            .threads()
            .saturating_sub(self.inner.pool_workers)
    }

    /// How many of the blocking pool's threads wait for a call.
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.inner.blocking.idle_threads()
    }

    /// How many blocking calls wait for a thread.
    pub fn blocking_queue_depth(&self) -> usize {
        self.inner.blocking.queued()
    }

    /// A reading of what a worker's driver did and holds: turns, entries, operations in flight, timers, bytes, and which back
    /// end runs there and why.
    ///
    /// # Panics
    /// If there is no such worker.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_current_thread().build()?;
    /// runtime.block_on(blitz_io::time::sleep(std::time::Duration::from_millis(1)));
    /// let ring = runtime.metrics().worker_ring_metrics(0);
    /// assert!(ring.turns > 0);
    /// println!("{}: {} entries a call", ring.backend, ring.submitted_per_enter());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn worker_ring_metrics(&self, worker: usize) -> RingMetrics {
        let drivers = &self.inner.drivers;
        assert!(
            worker < drivers.len(),
            "worker {worker} is out of range: the runtime has {}",
            drivers.len()
        );
        drivers[worker].metrics()
    }

    /// How many sockets and other sources were registered with the drivers so far.
    pub fn io_driver_fd_registered_count(&self) -> u64 {
        self.drivers(|ring| ring.registered)
    }

    /// How many sources are no longer registered with the drivers, so far.
    pub fn io_driver_fd_deregistered_count(&self) -> u64 {
        self.drivers(RingMetrics::deregistered)
    }

    /// How many events of sources the drivers delivered so far.
    pub fn io_driver_ready_count(&self) -> u64 {
        self.drivers(|ring| ring.ready_events)
    }

    fn drivers(&self, figure: impl Fn(&RingMetrics) -> u64) -> u64 {
        let drivers = self.inner.drivers.iter();
        drivers.map(|driver| figure(&driver.metrics())).sum()
    }
}

impl fmt::Debug for RuntimeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeMetrics")
            .field("num_workers", &self.num_workers())
            .field("num_alive_tasks", &self.num_alive_tasks())
            .finish_non_exhaustive()
    }
}
