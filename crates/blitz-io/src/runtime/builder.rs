//! The builder: every limit of a runtime, each with its default.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blitz_driver::{Backend, RingWakeup, SqPoll};
use blitz_exec::blocking::PoolConfig;
use blitz_exec::park::ThreadHook;
use blitz_exec::scheduler::{self, TaskHook};
use blitz_exec::task::{Priority, TaskMeta};

use super::assemble;
use super::measures::Measures;
use super::monitor::Settings;
use super::{LocalOptions, LocalRuntime, RngSeed, Runtime, RuntimeFlavor, UnhandledPanic};
use crate::context::Enabled;

/// Builds a [`Runtime`] with limits of your own.
///
/// Methods take and return `&mut self`, so they can be chained or called one by one.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use blitz_io::runtime::Builder;
/// # fn main() -> std::io::Result<()> {
/// let runtime = Builder::new_multi_thread()
///     .worker_threads(2)
///     .thread_name("my-service")
///     .max_blocking_threads(64)
///     .enable_all()
///     .build()?;
/// assert_eq!(runtime.metrics().num_workers(), 2);
/// runtime.shutdown_timeout(Duration::from_secs(1));
/// # Ok(())
/// # }
/// ```
pub struct Builder {
    pub(super) flavor: RuntimeFlavor,
    pub(super) name: Option<String>,
    pub(super) worker_threads: Option<usize>,
    pub(super) max_blocking_threads: usize,
    pub(super) pool: PoolConfig,
    pub(super) cpu_threads: Option<usize>,
    pub(super) cpu_thread_name: String,
    pub(super) scheduler: scheduler::Config,
    pub(super) seed: Option<RngSeed>,
    pub(super) driver: blitz_driver::Config,
    pub(super) batched_writes: Option<bool>,
    pub(super) start_paused: bool,
    pub(super) affinity: Option<Vec<usize>>,
    pub(super) measures: Measures,
    pub(super) stuck: Settings,
    pub(super) inspect: Option<PathBuf>,
    pub(super) enabled: Enabled,
}

impl Builder {
    fn new(flavor: RuntimeFlavor) -> Self {
        Self {
            flavor,
            name: None,
            worker_threads: None,
            max_blocking_threads: 512,
            pool: PoolConfig::default(),
            cpu_threads: None,
            cpu_thread_name: "blitz-io-cpu".to_owned(),
            scheduler: scheduler::Config::default(),
            seed: None,
            driver: blitz_driver::Config::default(),
            batched_writes: None,
            start_paused: false,
            affinity: None,
            measures: Measures::default(),
            stuck: Settings::default(),
            inspect: None,
            enabled: Enabled::ALL,
        }
    }

    /// A runtime whose tasks run on the thread that is in `block_on`.
    pub fn new_current_thread() -> Self {
        Self::new(RuntimeFlavor::CurrentThread)
    }

    /// A runtime whose tasks run on workers that steal from each other.
    pub fn new_multi_thread() -> Self {
        Self::new(RuntimeFlavor::MultiThread)
    }

    /// A runtime of workers that share nothing: each has its ring, queue and timers, and keeps what is spawned on it.
    ///
    /// Workers are tied to processors, one each, in the order in which the system lists them, where there are enough. `spawn`
    /// in a task stays on its worker; from elsewhere each worker is chosen in its turn. Tasks need not be `Send` when they are
    /// made where they run ([`Handle::spawn_on`](super::Handle::spawn_on), [`spawn_local`](crate::task::spawn_local)). Nothing
    /// balances the load: a worker that is busy keeps its tasks waiting.
    pub fn new_thread_per_core() -> Self {
        Self::new(RuntimeFlavor::ThreadPerCore)
    }

    /// A preset for programs that only move bytes between many sockets: [`new_thread_per_core`](Self::new_thread_per_core)
    /// with everything on.
    pub fn io_focused() -> Self {
        let mut builder = Self::new_thread_per_core();
        builder.enable_all();
        builder
    }

    /// Turns on I/O and time. Both always are: this is here so that programs written for tokio read the same.
    pub fn enable_all(&mut self) -> &mut Self {
        self.enabled.io = true;
        self.enabled.time = true;
        self
    }

    /// Turns on I/O, which always is: see [`enable_all`](Self::enable_all).
    pub fn enable_io(&mut self) -> &mut Self {
        self.enabled.io = true;
        self
    }

    /// Turns on time, which always is: see [`enable_all`](Self::enable_all).
    pub fn enable_time(&mut self) -> &mut Self {
        self.enabled.time = true;
        self
    }

    /// Turns everything off until it is enabled: for the crate named tokio, whose programs may count on those panics.
    #[doc(hidden)]
    pub fn disable_all(&mut self) -> &mut Self {
        self.enabled.io = false;
        self.enabled.time = false;
        self
    }

    /// Whether errors of operations on a path or an address name it, and say what can be done. Default: true.
    ///
    /// Such an error has the kernel's [`kind`](io::Error::kind), and the kernel's error as the [source](std::error::Error::source) of
    /// what [`get_ref`](io::Error::get_ref) gives, but no [`raw_os_error`](io::Error::raw_os_error). With `false` it is the kernel's
    /// own, as on tokio: for code that asks for its number. In the crate named tokio it is `false`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_current_thread().explain_errors(false).build()?;
    /// let error = runtime.block_on(blitz_io::fs::metadata("/not/there")).expect_err("it is not there");
    /// # #[cfg(unix)]
    /// assert_eq!(error.raw_os_error(), Some(2)); // ENOENT
    /// # Ok(())
    /// # }
    /// ```
    pub fn explain_errors(&mut self, explain: bool) -> &mut Self {
        self.enabled.explained_errors = explain;
        self
    }

    /// Turns on io_uring for files, which is used for everything wherever the kernel allows it:
    /// see [`driver_backend`](Self::driver_backend).
    pub fn enable_io_uring(&mut self) -> &mut Self {
        self.enable_io()
    }

    /// Chooses tokio's newer timers. Here timers always are one wheel for each driver.
    pub fn enable_alt_timer(&mut self) -> &mut Self {
        self.enable_time()
    }

    /// Hands the driver on before a task is polled. Here each worker has a driver of its own, which nobody else waits for.
    pub fn enable_eager_driver_handoff(&mut self) -> &mut Self {
        self
    }

    /// Spreads the queue of blocking calls. Here it is one short lock, and a burst of calls wakes one thread, which wakes the
    /// next.
    pub fn enable_sharded_blocking_queue(&mut self) -> &mut Self {
        self
    }

    /// How many workers.
    ///
    /// Default: the environment variable `BLITZ_IO_WORKER_THREADS`, else as many as this process may use processors: its
    /// affinity and its control group's quota count. `current_thread` has one, whatever is set.
    ///
    /// # Panics
    /// If `count` is 0.
    #[track_caller]
    pub fn worker_threads(&mut self, count: usize) -> &mut Self {
        assert!(count > 0, "Worker threads cannot be set to 0");
        self.worker_threads = Some(count);
        self
    }

    /// How many threads blocking calls may use at most, beside the workers. Default: 512.
    ///
    /// They start when they are needed. Beyond the limit, calls wait for a thread.
    ///
    /// # Panics
    /// If `count` is 0.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, count: usize) -> &mut Self {
        assert!(count > 0, "Max blocking threads cannot be set to 0");
        self.max_blocking_threads = count;
        self
    }

    /// How many blocking calls may wait for a thread when all are busy. Default: no limit.
    ///
    /// A call beyond that is cancelled at once: its handle says so. A program that can shed load learns of it here instead of
    /// growing without bound.
    pub fn max_blocking_queue(&mut self, calls: usize) -> &mut Self {
        self.pool.queue_len_max = Some(calls);
        self
    }

    /// The runtime's name, for tools and logs. Default: none.
    ///
    /// # Panics
    /// If `name` is blank.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        assert!(
            !name.trim().is_empty(),
            "a runtime's name must not be blank"
        );
        self.name = Some(name);
        self
    }

    /// The name of every thread the runtime starts, but for those that compute. Default: "blitz-io-worker".
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        self.pool.name = Arc::new(move || name.clone());
        self
    }

    /// Names each thread the runtime starts, as it starts, but for those that compute.
    ///
    /// It is called on the thread that starts the new one. If it panics, the new one has the default name.
    pub fn thread_name_fn<F>(&mut self, name: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.pool.name = Arc::new(name);
        self
    }

    /// The stack of every thread the runtime starts, in bytes. Default: the standard library's, 2 MiB.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.pool.stack_size = Some(bytes);
        self
    }

    /// How long a thread of the blocking pool waits for its next call before it ends. Default: 10 seconds.
    pub fn thread_keep_alive(&mut self, keep_alive: Duration) -> &mut Self {
        self.pool.keep_alive = keep_alive;
        self
    }

    /// Called on each thread the runtime starts, before its work. It may wait for the runtime's other threads.
    ///
    /// Threads of the process, which ask the resolver, read and write the standard streams and reap children, are no runtime's: no hook
    /// is called there.
    ///
    /// A hook that panics, here and below, has told so by the panic hook, and counts as having returned.
    pub fn on_thread_start<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.pool.on_start = Some(Arc::new(hook));
        self
    }

    /// Called on each thread the runtime started, after its work.
    pub fn on_thread_stop<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.pool.on_stop = Some(Arc::new(hook));
        self
    }

    /// Called on a worker before it waits for events. It may spawn, and then there is no wait.
    pub fn on_thread_park<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.scheduler.hooks.before_park = Some(Arc::new(hook) as ThreadHook);
        self
    }

    /// Called on a worker after it waited for events.
    pub fn on_thread_unpark<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.scheduler.hooks.after_unpark = Some(Arc::new(hook) as ThreadHook);
        self
    }

    /// Called with each task that is spawned, on the thread that spawns it. If it panics, so does the call that spawns.
    pub fn on_task_spawn<F: Fn(&TaskMeta<'_>) + Send + Sync + 'static>(
        &mut self,
        hook: F,
    ) -> &mut Self {
        self.scheduler.hooks.task_spawn = Some(Arc::new(hook) as TaskHook);
        self
    }

    /// Called with each task before it is polled, on the thread that polls it.
    pub fn on_before_task_poll<F: Fn(&TaskMeta<'_>) + Send + Sync + 'static>(
        &mut self,
        hook: F,
    ) -> &mut Self {
        self.scheduler.hooks.before_poll = Some(Arc::new(hook) as TaskHook);
        self
    }

    /// Called with each task after it was polled, on the thread that polled it.
    pub fn on_after_task_poll<F: Fn(&TaskMeta<'_>) + Send + Sync + 'static>(
        &mut self,
        hook: F,
    ) -> &mut Self {
        self.scheduler.hooks.after_poll = Some(Arc::new(hook) as TaskHook);
        self
    }

    /// Called with each task that has ended, panicked or was cancelled.
    pub fn on_task_terminate<F: Fn(&TaskMeta<'_>) + Send + Sync + 'static>(
        &mut self,
        hook: F,
    ) -> &mut Self {
        self.scheduler.hooks.task_terminate = Some(Arc::new(hook) as TaskHook);
        self
    }

    /// A worker looks at the queue from outside first, once in so many polls. Default: as many as take 200 µs by the
    /// mean of the worker's own polls, 2 to 127. For `multi_thread`; the others look at theirs before each batch.
    ///
    /// # Panics
    /// If `polls` is 0.
    #[track_caller]
    pub fn global_queue_interval(&mut self, polls: u32) -> &mut Self {
        assert!(polls > 0, "global_queue_interval must be greater than 0");
        self.scheduler.global_queue_interval = Some(polls);
        self
    }

    /// A worker that has tasks turns its driver once in so many polls. Default: 61.
    ///
    /// # Panics
    /// If `polls` is 0.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Self {
        assert!(polls > 0, "event_interval must be greater than 0");
        self.scheduler.event_interval = polls;
        self
    }

    /// How many events a driver takes in one turn at most. Default: 1,024.
    ///
    /// # Panics
    /// If `events` is 0.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Self {
        assert!(events > 0, "max_io_events_per_tick must be non-zero");
        self.driver.events_per_turn = events;
        self
    }

    /// How many events a driver takes in a turn that does not wait, because its worker has tasks, at most. Default: as
    /// [`max_io_events_per_tick`](Self::max_io_events_per_tick).
    ///
    /// # Panics
    /// If `events` is 0.
    #[track_caller]
    pub fn max_io_events_per_busy_tick(&mut self, events: usize) -> &mut Self {
        assert!(events > 0, "max_io_events_per_busy_tick must be non-zero");
        self.driver.events_per_busy_turn = Some(events);
        self
    }

    /// How many tasks a worker's own queue holds before half of them overflow to the shared one; rounded up to a power of two,
    /// at least 2. Default: 256. For `multi_thread`.
    pub fn local_queue_len(&mut self, tasks: usize) -> &mut Self {
        self.scheduler.local_queue_len = tasks.clamp(2, 1 << 20).next_power_of_two();
        self
    }

    /// Turns off the slot from which a worker first runs the task that was woken last. It is on by default: what that task
    /// needs is in the cache. For `multi_thread`.
    pub fn disable_lifo_slot(&mut self) -> &mut Self {
        self.scheduler.disable_lifo_slot = true;
        self
    }

    /// A class of tasks that waits has a turn at least once in so many polls of a worker, and seven more at most, whatever comes to
    /// the others. Defaults: 8 for [`Priority::High`], 16 for [`Priority::Normal`], 64 for [`Priority::Low`].
    ///
    /// So a worker that could do nothing but critical work polls something low in one of 64 polls, and something normal in four of
    /// them. The turn goes to the task of that class which has waited longest; with `k` low tasks in a worker's queue each is polled
    /// once in `64 k` polls, or oftener. The seven polls are those for which a class that is due may wait for others that are due,
    /// and for urgent tasks. Polls are counted, no time is taken: a class waits as long as these polls take.
    ///
    /// # Panics
    /// If `polls` is below 4, for the shares that are promised must leave something to the most urgent class, which has no such
    /// limit: for [`Priority::Critical`].
    #[track_caller]
    pub fn priority_aging(&mut self, priority: Priority, polls: u32) -> &mut Self {
        self.scheduler.patience.set(priority, polls);
        self
    }

    /// Begins with the clock paused: time then jumps to the next timer whenever nothing can run. Default: false. On every
    /// flavour.
    pub fn start_paused(&mut self, paused: bool) -> &mut Self {
        self.start_paused = paused;
        self
    }

    /// What happens when a task panics. Default: [`UnhandledPanic::Ignore`].
    ///
    /// # Panics
    /// If the flavour has workers and the answer is to shut down.
    #[track_caller]
    pub fn unhandled_panic(&mut self, policy: UnhandledPanic) -> &mut Self {
        assert!(
            self.flavor == RuntimeFlavor::CurrentThread || policy == UnhandledPanic::Ignore,
            "UnhandledPanic::ShutdownRuntime is only supported in current thread runtime"
        );
        self.scheduler.panic_policy = policy.into();
        self
    }

    /// Whether a waker, or the drop of a buffer, that panics while the driver turns unwinds out of `block_on`, as on tokio, when all others
    /// of the turn were woken. Default: false, where the panic hook has told of it and nobody else is disturbed. In the crate named
    /// tokio it is true. A runtime with workers keeps them in either case.
    pub fn unwind_waker_panics(&mut self, unwind: bool) -> &mut Self {
        self.scheduler.unwinds_wakers = unwind && self.flavor == RuntimeFlavor::CurrentThread;
        self
    }

    /// Seeds the runtime's random choices. Default: a seed that is different each time.
    pub fn rng_seed(&mut self, seed: RngSeed) -> &mut Self {
        self.seed = Some(seed);
        self
    }

    /// Which back end the drivers have. Default: the environment variable `BLITZ_IO_DRIVER` (`io_uring` or `epoll`), else
    /// io_uring where the kernel allows it. [`build`](Self::build) fails if this one is refused.
    pub fn driver_backend(&mut self, backend: Backend) -> &mut Self {
        self.driver.backend = Some(backend);
        self
    }

    /// How a thread that waits in a ring for one thread is interrupted: on `thread_per_core`, and in a
    /// [`LocalRuntime`](super::LocalRuntime). Default: by a counter.
    ///
    /// Where the kernel has no futex operations it is the counter, whatever was asked for: `Handle::capabilities` tells
    /// (`futex wait`).
    pub fn ring_wakeup(&mut self, wakeup: RingWakeup) -> &mut Self {
        self.driver.wakeup = wakeup;
        self
    }

    /// What stands in for the drivers' rings, in a test of the runtime itself.
    #[doc(hidden)]
    pub fn driver_faults(&mut self, faults: blitz_sys::completion::Faults) -> &mut Self {
        self.driver.faults = Some(faults);
        self
    }

    /// Submission entries of each ring. Default: 256. What does not fit waits in a list.
    ///
    /// # Panics
    /// If `entries` is 0 or above 32,768, which is what the kernel takes.
    #[track_caller]
    pub fn ring_submission_entries(&mut self, entries: u32) -> &mut Self {
        assert!(
            (1..=32_768).contains(&entries),
            "ring_submission_entries must be in 1..=32768"
        );
        self.driver.sq_entries = entries;
        self
    }

    /// Completion entries of each ring. Default: 4,096. What does not fit is kept by the kernel, at a price.
    ///
    /// # Panics
    /// If `entries` is 0 or above 65,536, which is what the kernel takes.
    #[track_caller]
    pub fn ring_completion_entries(&mut self, entries: u32) -> &mut Self {
        assert!(
            (1..=65_536).contains(&entries),
            "ring_completion_entries must be in 1..=65536"
        );
        self.driver.cq_entries = entries;
        self
    }

    /// Leased receive: buffers in each driver's ring (a power of two up to 32,768; default 1,024) and the bytes in each (default
    /// 16 KiB).
    ///
    /// # Panics
    /// If the count is no power of two or too large, or a size is 0.
    #[track_caller]
    pub fn ring_buffers(&mut self, count: u16, size: u32) -> &mut Self {
        assert!(
            count.is_power_of_two() && count <= 32_768,
            "ring_buffers: the count must be a power of two, at most 32768"
        );
        assert!(size > 0, "ring_buffers: a buffer must hold something");
        self.driver.buffers.count = count;
        self.driver.buffers.size = size;
        self
    }

    /// How many further buffers of the same size the pool behind the ring may hold out. Default: 1,024.
    pub fn buffer_pool_len(&mut self, buffers: u32) -> &mut Self {
        self.driver.buffers.pool_count = buffers;
        self
    }

    /// Lets a thread of the kernel submit, which sleeps after `idle` without work and is tied to processor `cpu` if one is
    /// given. Default: none. It halves the throughput where no processor is to spare.
    pub fn ring_sqpoll(&mut self, idle: Duration, cpu: Option<u32>) -> &mut Self {
        let idle_ms = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX);
        self.driver.sqpoll = Some(SqPoll { idle_ms, cpu });
        self
    }

    /// Whether short writes of a [`BatchedStream`](crate::net::BatchedStream), and so of servers of `blitz-http`, are queued in the ring and
    /// submitted together. Default: on `current_thread` and `thread_per_core`, where the ring can; not on `multi_thread`, where a task that
    /// computes would hold back bytes that another worker could send. Never beside [`ring_sqpoll`](Self::ring_sqpoll), nor without io_uring.
    pub fn batched_writes(&mut self, batched: bool) -> &mut Self {
        self.batched_writes = Some(batched);
        self
    }

    /// Ties worker `i` to processor `cpus[i % cpus.len()]`; an empty list ties none. Default: none on `multi_thread` and
    /// `current_thread`, one each on `thread_per_core`.
    ///
    /// Where the system refuses, the worker runs where it may.
    pub fn worker_affinity(&mut self, cpus: impl IntoIterator<Item = usize>) -> &mut Self {
        self.affinity = Some(cpus.into_iter().collect());
        self
    }

    /// Lets the running process be read through a Unix socket at `path`: by `blitz top`, by `blitz dump`, and by whoever speaks its
    /// protocol (`docs/insight.md`). Default: the path in the environment variable `BLITZ_IO_INSPECT`, else no socket.
    ///
    /// The socket is for the process's user and for root only, and its name goes away with the runtime. In a path, `%p` is the
    /// process's number and `%r` the runtime's. A socket that a process left behind is replaced, any other file is not. Readers are
    /// served by threads of their own, so a runtime that is stuck can be read, and a reader that stalls harms nobody.
    ///
    /// [`build`](Self::build) fails if the builder names a path that cannot be had. What the environment names stops no program: a
    /// line on standard error says why there is no socket. If that path is taken, by another runtime with the same environment,
    /// the numbers of process and runtime are added to it.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let path = std::env::temp_dir().join("my-service-%p.sock");
    /// let runtime = blitz_io::runtime::Builder::new_multi_thread().inspect(path).build()?;
    /// # drop(runtime);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inspect(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.inspect = Some(path.into());
        self
    }

    /// Builds the runtime and starts its workers.
    ///
    /// # Errors
    /// If the system refuses threads, descriptors or the kernel's queues; if the back end that was asked for is refused; if
    /// `BLITZ_IO_DRIVER` or `BLITZ_IO_WORKER_THREADS` holds nonsense; if there can be no socket where
    /// [`inspect`](Self::inspect) wants one.
    pub fn build(&mut self) -> io::Result<Runtime> {
        assemble::build(self, false)
    }

    /// Builds a runtime that stays on this thread, whose tasks need not be `Send`.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    ///
    /// # Panics
    /// If the flavour is not `current_thread`.
    #[track_caller]
    pub fn build_local(&mut self, options: LocalOptions) -> io::Result<LocalRuntime> {
        let _ = options;
        assert!(
            self.flavor == RuntimeFlavor::CurrentThread,
            "Only current_thread is supported when building a local runtime"
        );
        assemble::build(self, true).map(LocalRuntime::from_runtime)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("flavor", &self.flavor)
            .field("name", &self.name)
            .field("worker_threads", &self.worker_threads)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("pool", &self.pool)
            .field("cpu_threads", &self.cpu_threads)
            .field("scheduler", &self.scheduler)
            .field("driver", &self.driver)
            .field("start_paused", &self.start_paused)
            .field("affinity", &self.affinity)
            .field("stuck", &self.stuck)
            .finish_non_exhaustive()
    }
}
