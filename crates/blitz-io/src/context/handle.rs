//! The handle of a runtime: spawns on it from anywhere, enters it, and looks at it.

use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
#[cfg(unix)]
use std::time::Duration;

use blitz_core::budget;
use blitz_driver::{Capabilities, Clock};
use blitz_exec::blocking;
use blitz_exec::compute::Bridge;
use blitz_exec::scheduler::warnings::Warning;
use blitz_exec::scheduler::{self, Insight};
use blitz_exec::task::{BOX_FUTURE_ABOVE, JoinHandle, Priority, SpawnInfo};

use super::info::{Enabled, Id, RuntimeFlavor};
use super::metrics::RuntimeMetrics;
use super::random::Seeds;
use super::spans;
use super::stuck::StuckLog;
use super::tasks::{self, TaskInfo};
use super::wait::ThreadWait;
use super::{EnterGuard, TryCurrentError};

/// The longest sleep between two looks at the tasks.
#[cfg(unix)]
const SECOND_LOOK_MAX: Duration = Duration::from_secs(2);

/// A handle of a runtime. Clones are cheap and all mean the same runtime.
///
/// A handle does not keep its runtime running: what is spawned after the runtime is gone is cancelled at once.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

// Nothing of a runtime is left half changed by a panic of the user: no user code runs under its locks.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

/// What every handle of one runtime shares.
pub(crate) struct Inner {
    pub(crate) id: Id,
    pub(crate) name: Option<String>,
    pub(crate) flavor: RuntimeFlavor,
    pub(crate) enabled: Enabled,
    pub(crate) scheduler: scheduler::Handle,
    pub(crate) blocking: blocking::Spawner,
    /// The way to the threads that compute; `crate::cpu` calls it.
    pub(crate) bridge: Bridge,
    /// How many of the pool's threads are workers.
    pub(crate) pool_workers: usize,
    pub(crate) drivers: Box<[blitz_driver::Handle]>,
    pub(crate) next_driver: AtomicUsize,
    pub(crate) seeds: Seeds,
    pub(crate) clock: Clock,
    pub(crate) insight: Arc<Insight>,
    pub(crate) stuck: StuckLog,
    /// Where the runtime's signals arrive, once one was asked for; `crate::signal` fills it and knows its type.
    pub(crate) signals: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Handle {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The runtime's place for its signals.
    pub(crate) fn signals(&self) -> &OnceLock<Arc<dyn Any + Send + Sync>> {
        &self.inner.signals
    }

    /// Whether listeners of one port, one for each worker, are the rule here.
    pub(crate) fn shares_ports(&self) -> bool {
        self.inner.flavor == RuntimeFlavor::ThreadPerCore
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// One of the runtime's drivers, each in its turn.
    pub(crate) fn next_driver(&self) -> blitz_driver::Handle {
        let drivers = &self.inner.drivers;
        // ORDERING: Relaxed: only a choice, it publishes nothing.
        let turn = if drivers.len() == 1 {
            0
        } else {
            self.inner.next_driver.fetch_add(1, Ordering::Relaxed)
        };
        drivers[turn % drivers.len()].clone()
    }

    /// The handle of the runtime that this thread is in.
    ///
    /// # Panics
    /// If it is in none.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::runtime::{Builder, Handle};
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Builder::new_current_thread().enable_all().build()?;
    /// runtime.block_on(async {
    ///     let handle = Handle::current();
    ///     assert_eq!(handle.spawn(async { 7 }).await.ok(), Some(7));
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn current() -> Self {
        super::handle("Handle::current")
    }

    /// The handle of the runtime that this thread is in.
    ///
    /// # Errors
    /// If it is in none.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        super::try_handle().ok_or_else(TryCurrentError::new)
    }

    /// Puts this thread in the runtime until the guard is dropped: `spawn`, sockets and timers work then.
    ///
    /// # Panics
    /// The guard does, if guards are not dropped in the reverse order of their making.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard::new(self)
    }

    /// Spawns a task on the runtime, which runs it even if nobody awaits the handle.
    ///
    /// On `thread_per_core` each worker is chosen in its turn; [`spawn_on`](Self::spawn_on) chooses one.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_boxed_if_large(future, SpawnInfo::here())
    }

    /// Spawns a task of this priority on the runtime; see [`task::spawn_with_priority`](crate::task::spawn_with_priority).
    #[track_caller]
    pub fn spawn_with_priority<F>(&self, priority: Priority, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_boxed_if_large(future, SpawnInfo::here().with_priority(priority))
    }

    /// Spawns a critical task on the runtime, ahead of everything that is queued; see
    /// [`task::spawn_urgent`](crate::task::spawn_urgent).
    #[track_caller]
    pub fn spawn_urgent<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_boxed_if_large(future, SpawnInfo::here().urgent())
    }

    pub(crate) fn spawn_boxed_if_large<F>(
        &self,
        future: F,
        mut info: SpawnInfo,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = spans::task(future, "task", &mut info);
        if size_of::<F>() > BOX_FUTURE_ABOVE {
            self.spawn_as(Box::pin(future), info.boxed(size_of::<F>()))
        } else {
            self.spawn_as(future, info)
        }
    }

    pub(crate) fn spawn_as<F>(&self, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.scheduler.spawn(future, info)
    }

    /// Spawns on one worker of `thread_per_core` the future that `make` makes there. The future need not be `Send`.
    ///
    /// # Panics
    /// If the runtime is of another flavour, or has no such worker.
    #[track_caller]
    pub fn spawn_on<M, F>(&self, worker: usize, make: M) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let scheduler::Handle::PerCore(scheduler) = &self.inner.scheduler else {
            panic!(
                "spawn_on: this runtime's tasks belong to no worker; build it with `Builder::new_thread_per_core()`"
            );
        };
        let workers = scheduler.workers();
        assert!(
            worker < workers.len(),
            "spawn_on: worker {worker} is out of range, the runtime has {}",
            workers.len()
        );
        let mut info = SpawnInfo::here();
        let make = spans::made(make, &mut info);
        scheduler.spawn_on(worker, make, info)
    }

    /// Spawns a `!Send` task on this thread.
    ///
    /// # Panics
    /// If this thread does not run the local tasks of the runtime: that of a `LocalRuntime`, or a worker of
    /// `thread_per_core`.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let mut info = SpawnInfo::here();
        let future = spans::task(future, "local", &mut info);
        self.spawn_local_as(future, info)
    }

    /// For a future that is in its span already.
    #[track_caller]
    pub(crate) fn spawn_local_as<F>(&self, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        match self.local_scheduler() {
            Some(scheduler) if size_of::<F>() > BOX_FUTURE_ABOVE => {
                scheduler.spawn_local(Box::pin(future), info.boxed(size_of::<F>()))
            }
            Some(scheduler) => scheduler.spawn_local(future, info),
            None => match &self.inner.scheduler {
                scheduler::Handle::Single(single) if single.has_local_thread() => {
                    super::local_place_elsewhere()
                }
                _ => super::no_local_place(),
            },
        }
    }

    /// The scheduler that runs `!Send` tasks on this thread, if this runtime has one.
    pub(crate) fn local_scheduler(&self) -> Option<&Arc<scheduler::single::Shared>> {
        match &self.inner.scheduler {
            scheduler::Handle::Single(scheduler) => {
                Some(scheduler).filter(|scheduler| scheduler.is_local_thread())
            }
            scheduler::Handle::PerCore(scheduler) => scheduler.here(),
            scheduler::Handle::Multi(_) => None,
        }
    }

    /// Runs `f`, which may block, on a thread of the blocking pool.
    ///
    /// A call that has begun cannot be cancelled. The runtime's shutdown waits for it, up to the limit given there.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let mut info = SpawnInfo::here();
        let f = spans::blocking(f, &mut info);
        self.inner.blocking.spawn_blocking(f, info)
    }

    /// Polls `future` on this thread until it is ready, in this runtime.
    ///
    /// On `current_thread` this runs neither tasks nor driver: another thread must be in `Runtime::block_on`, or sockets and timers wait for
    /// ever. Files do not: their operations go to the blocking pool there.
    ///
    /// # Panics
    /// If the future does, or if this thread already runs a runtime's tasks.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        // Whatever the flavour: this thread holds nothing that others wait for.
        let Some(_inside) = budget::enter_runtime(true) else {
            super::nested_block_on()
        };
        let _entered = super::enter(self.clone());
        let wait = ThreadWait::new(&self.inner.clock);
        let future = spans::root(future);
        if size_of::<F>() > BOX_FUTURE_ABOVE {
            scheduler::block_on(Box::pin(future), &wait)
        } else {
            scheduler::block_on(future, &wait)
        }
    }

    /// Which kind of scheduler the runtime has.
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        self.inner.flavor
    }

    /// The runtime's number.
    pub fn id(&self) -> Id {
        self.inner.id
    }

    /// The runtime's name, if the builder gave it one.
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// A look at the runtime's figures.
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(Arc::clone(&self.inner))
    }

    /// Every task of the runtime that is alive: what it is, what it does, since when, and what it waits for.
    ///
    /// The runtime goes on meanwhile: no lock is held for more than a few hundred tasks, and each task is described as it is
    /// when its turn comes. The tasks of a [`LocalSet`](crate::task::LocalSet) are not among them: they are part of the task
    /// that awaits the set.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use blitz_io::runtime::{Handle, dump::TaskState};
    /// let sleeper = async { blitz_io::time::sleep(Duration::from_secs(60)).await };
    /// let sleeper = blitz_io::task::Builder::new().name("sleeper").spawn(sleeper)?;
    /// blitz_io::task::yield_now().await;
    /// let tasks = Handle::current().tasks();
    /// assert_eq!(tasks[0].name.as_deref(), Some("sleeper"));
    /// assert_eq!(tasks[0].state, TaskState::Idle);
    /// println!("{}", tasks[0]);
    /// # sleeper.abort();
    /// # Ok(())
    /// # }
    /// ```
    pub fn tasks(&self) -> Vec<TaskInfo> {
        tasks::list(&self.inner)
    }

    /// What was noticed that should not be, oldest first; the last 256.
    ///
    /// Futures boxed for their size are noticed at their spawn, long polls while
    /// [poll times are measured](RuntimeMetrics::set_poll_time_histogram), the rest by [`check_tasks`](Self::check_tasks).
    pub fn warnings(&self) -> Vec<Warning> {
        self.inner.insight.warnings().list()
    }

    /// Looks at every task for what should not be: a poll that does not come back, tasks that wake themselves all the time or are woken
    /// in vain, tasks that nobody can wake, waits for locks and permits that are stuck.
    ///
    /// Returns what it found, which is also added to the [warnings](Self::warnings). A stuck wait is told by the first look that comes
    /// [so long](crate::runtime::Builder::stuck_wait_threshold) after one that found it so: no clock is asked where a task waits. So are
    /// wakes in vain by a second look: after the first one the polls of tasks that are polled often are looked at, for two seconds at most,
    /// in which every poll of the runtime reads the clock.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use blitz_io::runtime::{Handle, dump::WarningKind};
    /// // This future keeps no waker.
    /// let lost = blitz_io::spawn(std::future::pending::<()>());
    /// blitz_io::task::yield_now().await;
    /// let found = Handle::current().check_tasks();
    /// assert!(matches!(found[0].kind, WarningKind::LostWaker { .. }));
    /// assert_eq!(found[0].task, lost.id());
    /// # }
    /// ```
    pub fn check_tasks(&self) -> Vec<Warning> {
        tasks::check(&self.inner).0
    }

    /// The same for a thread that may sleep: looks again where only a second look can tell.
    #[cfg(unix)]
    pub(crate) fn check_tasks_twice(&self) {
        let (_, is_unsure) = tasks::check(&self.inner);
        if is_unsure {
            let bound = Duration::from_nanos(self.inner.insight.stuck_wait_ns());
            std::thread::sleep(bound.min(SECOND_LOOK_MAX));
            tasks::check(&self.inner);
        }
    }

    /// Which back end the drivers have, with which features, and why.
    pub fn capabilities(&self) -> &Capabilities {
        self.inner.drivers[0].capabilities()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.inner.id)
            .field("flavor", &self.inner.flavor)
            .finish_non_exhaustive()
    }
}
