//! A runtime's figures.

use std::fmt;
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::Duration;

use blitz_driver::RingMetrics;
use blitz_exec::stats::WorkerStats;
use blitz_exec::task::Priority;

use super::handle::Inner;

/// A look at a runtime's figures. Each is read when it is asked for.
#[derive(Clone)]
pub struct RuntimeMetrics {
    pub(super) inner: Arc<Inner>,
}

// As for `Handle`.
impl std::panic::UnwindSafe for RuntimeMetrics {}
impl std::panic::RefUnwindSafe for RuntimeMetrics {}

impl RuntimeMetrics {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    #[track_caller]
    pub(super) fn worker(&self, worker: usize) -> &WorkerStats {
        let workers = self.num_workers();
        assert!(
            worker < workers,
            "worker {worker} is out of range: the runtime has {workers}"
        );
        self.inner.scheduler.stats(worker)
    }

    /// The sum over all workers.
    fn sum(&self, figure: impl Fn(&WorkerStats) -> u64) -> u64 {
        (0..self.num_workers())
            .map(|worker| figure(self.inner.scheduler.stats(worker)))
            .sum()
    }

    /// How many workers the runtime has; 1 for `current_thread`.
    pub fn num_workers(&self) -> usize {
        self.inner.scheduler.workers()
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
        self.worker(worker).busy()
    }

    /// How often a worker has begun to wait for events.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.worker(worker).park_unparks().div_ceil(2)
    }

    /// How often a worker has begun or ended a wait; odd while it waits.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        self.worker(worker).park_unparks()
    }

    /// How many tasks have been spawned and have not ended: an older name of [`num_alive_tasks`](Self::num_alive_tasks).
    pub fn active_tasks_count(&self) -> usize {
        self.num_alive_tasks()
    }

    /// How many tasks wait in the shared queue: an older name of [`global_queue_depth`](Self::global_queue_depth).
    pub fn injection_queue_depth(&self) -> usize {
        self.global_queue_depth()
    }

    /// How many tasks were ever spawned on the runtime.
    pub fn spawned_tasks_count(&self) -> u64 {
        self.inner.scheduler.spawned()
    }

    /// How many times a task was queued by a thread that is no worker of the runtime.
    ///
    /// A worker of `current_thread` and `thread_per_core` counts when it takes such tasks up.
    pub fn remote_schedule_count(&self) -> u64 {
        self.inner.scheduler.remote_schedules()
    }

    /// How many times a task had to yield because it had used up its budget. Counted up at each worker's turns.
    pub fn budget_forced_yield_count(&self) -> u64 {
        self.sum(WorkerStats::forced_yields)
    }

    /// How often a worker waited without having polled a task since its last wait, or since it began.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_noop_count(&self, worker: usize) -> u64 {
        self.worker(worker).noops()
    }

    /// How many tasks a worker took from other workers. 0 except on `multi_thread`.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_steal_count(&self, worker: usize) -> u64 {
        self.worker(worker).steals()
    }

    /// How often a worker took tasks, one or more, from another worker. 0 except on `multi_thread`.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_steal_operations(&self, worker: usize) -> u64 {
        self.worker(worker).steal_operations()
    }

    /// How many polls of tasks a worker has made. Counted up at its turns.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.worker(worker).polls()
    }

    /// How many times a worker has queued a task at itself. Counted up at its turns.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_local_schedule_count(&self, worker: usize) -> u64 {
        self.worker(worker);
        self.inner.scheduler.local_schedules(worker)
    }

    /// How often a worker's own queue was full, so that half of it went to the shared one. 0 except on `multi_thread`: the other
    /// flavours' queues have no bound.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        self.worker(worker).overflows()
    }

    /// How many tasks wait in a worker's own queue. On `current_thread` and `thread_per_core`, for other threads than the worker's: at
    /// its last turn.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        self.worker(worker);
        self.inner.scheduler.local_queue_len(worker)
    }

    /// How many tasks of one priority wait for a worker. On `multi_thread` in all queues, without those that were woken last and run
    /// next; on the other flavours as it was at each worker's last turn.
    pub fn priority_queue_depth(&self, priority: Priority) -> usize {
        self.inner.scheduler.queued(priority)
    }

    /// How long a worker's polls take, as a mean in which the last ones weigh most. What lies between two polls is part of it: it
    /// is what the worker worked, by what it polled, at each wait.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_mean_poll_time(&self, worker: usize) -> Duration {
        self.worker(worker).mean_poll()
    }

    /// The thread that a worker runs on, or ran on last, as `current_thread` outside of `block_on`; `None` if it never ran.
    ///
    /// # Panics
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_thread_id(&self, worker: usize) -> Option<ThreadId> {
        self.worker(worker).thread()
    }

    /// Whether a thread runs a worker now; asked by the inspection socket alone.
    #[cfg(unix)]
    pub(crate) fn has_thread(&self, worker: usize) -> bool {
        self.worker(worker).is_held()
    }

    /// How many warnings there were so far: see [`Handle::warnings`](super::Handle::warnings).
    pub fn warnings_count(&self) -> u64 {
        self.inner.insight.warnings().total()
    }

    /// The memory that the runtime's tasks lie in, in bytes: futures that were boxed for their size are part of it, what
    /// futures keep on the heap by themselves is not. It walks through all tasks.
    pub fn task_bytes(&self) -> usize {
        let tasks = self.inner.scheduler.tasks();
        tasks.iter().map(|task| task.look().bytes).sum()
    }

    /// How many threads the blocking pool has beyond the workers.
    pub fn num_blocking_threads(&self) -> usize {
        self.inner
            .blocking
            .threads()
            .saturating_sub(self.inner.pool_workers + self.num_replaced_threads())
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
    /// runtime.block_on(async { blitz_io::time::sleep(std::time::Duration::from_millis(1)).await });
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
