//! The runtime: what runs tasks, timers and I/O.
//!
//! Most programs get one from `#[blitz_io::main]`. A [`Builder`] sets every limit; [`Runtime`] owns the threads and ends
//! them; a [`Handle`] spawns from anywhere.
//!
//! | flavour | made by | tasks run |
//! |---|---|---|
//! | `multi_thread` | [`Builder::new_multi_thread`] | on workers that steal from each other |
//! | `current_thread` | [`Builder::new_current_thread`] | on the thread that is in `block_on` |
//! | `thread_per_core` | [`Builder::new_thread_per_core`] | on the worker where they were spawned |
//! | local | [`Builder::build_local`] | on one thread, and need not be `Send` |

mod assemble;
mod builder;
#[cfg(feature = "cpu")]
mod cpu;
pub mod dump;
mod events;
#[cfg(unix)]
mod inspect;
#[cfg(not(unix))]
#[path = "inspect/disabled.rs"]
mod inspect;
mod local;
mod measures;
mod monitor;
mod park;
mod seed;
mod shutdown;
mod stuck;

use std::io;
use std::time::Duration;

use blitz_core::budget;
use blitz_exec::blocking::Pool;
use blitz_exec::scheduler;
use blitz_exec::task::{BOX_FUTURE_ABOVE, JoinHandle};

pub use crate::context::{
    EnterGuard, Handle, HistogramConfiguration, HistogramScale, Id, InvalidHistogramConfiguration,
    LogHistogram, LogHistogramBuilder, RuntimeFlavor, RuntimeMetrics, StuckFrame, StuckOutcome,
    StuckPlace, StuckReport, StuckStack, StuckTask, TryCurrentError, UnhandledPanic,
};
pub use blitz_core::histogram::Snapshot as HistogramSnapshot;
pub use blitz_driver::{Backend, Capabilities, InFlight, RingMetrics, RingWakeup};
pub use blitz_exec::scheduler::insight::SiteSnapshot as SpawnSiteTimes;
pub use blitz_exec::task::TaskMeta;
pub use builder::Builder;
use inspect::Inspector;
pub use local::{LocalOptions, LocalRuntime};
use monitor::Monitor;
pub use seed::RngSeed;
pub use shutdown::{CutTask, ShutdownReport, is_rt_shutdown_err};

/// A runtime: scheduler, drivers and blocking threads.
///
/// Dropping it ends it: every task is dropped at its next `.await`, and the drop waits for the threads, blocking calls that
/// have begun included. [`shutdown_timeout`](Self::shutdown_timeout), [`shutdown_background`](Self::shutdown_background) and
/// [`shutdown_graceful`](Self::shutdown_graceful) wait less, or for more.
///
/// # Panics
/// The drop does, in async code, since it would block a thread that runs tasks. Use `shutdown_background` there.
///
/// # Examples
/// ```
/// use blitz_io::runtime::Runtime;
/// # fn main() -> std::io::Result<()> {
/// let runtime = Runtime::new()?;
/// let answer = runtime.block_on(async { blitz_io::spawn(async { 6 * 7 }).await });
/// assert_eq!(answer.ok(), Some(42));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    pool: Pool,
    monitor: Option<Monitor>,
    /// The socket from which the runtime is read, if there is one.
    inspector: Option<Inspector>,
    ended: bool,
}

// As for its handle.
impl std::panic::UnwindSafe for Runtime {}
impl std::panic::RefUnwindSafe for Runtime {}

impl Runtime {
    /// A `multi_thread` runtime with everything on and every limit at its default.
    ///
    /// # Errors
    /// If the system refuses a thread, a descriptor or the kernel's queues.
    pub fn new() -> io::Result<Self> {
        Builder::new_multi_thread().enable_all().build()
    }

    /// A handle, which may be cloned and sent about.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task; see [`Handle::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a call that blocks on a thread of its own; see [`Handle::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(f)
    }

    /// Polls `future` on this thread until it is ready.
    ///
    /// On `current_thread` this thread also runs the tasks and the driver meanwhile. If several threads do this at once, one
    /// runs them and the others only their own future, until that one is done.
    ///
    /// # Panics
    /// If the future does, or if this thread already runs a runtime's tasks.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_current_thread().build()?;
    /// assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        if size_of::<F>() > BOX_FUTURE_ABOVE {
            self.block_on_inner(Box::pin(future))
        } else {
            self.block_on_inner(future)
        }
    }

    #[track_caller]
    fn block_on_inner<F: Future>(&self, future: F) -> F::Output {
        let scheduler::Handle::Single(scheduler) = &self.handle.inner().scheduler else {
            return self.handle.block_on(future);
        };
        let Some(_inside) = budget::enter_runtime(false) else {
            crate::context::nested_block_on()
        };
        let _entered = crate::context::enter(self.handle.clone());
        scheduler.block_on(crate::context::spans::root(future))
    }

    /// Puts this thread in the runtime; see [`Handle::enter`].
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// A look at the runtime's figures.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Ends the runtime and waits for its threads, `limit` at most.
    ///
    /// Tasks are dropped at their next `.await`. A blocking call that has begun is left to itself when the limit is over, and
    /// a task that never comes back too: with a limit above zero, each such task is reported as
    /// [`StuckOutcome::Leaked`].
    ///
    /// # Panics
    /// In async code, unless `limit` is zero.
    pub fn shutdown_timeout(mut self, limit: Duration) {
        self.end(Some(limit));
    }

    /// Ends the runtime and waits for nothing. May be called in async code.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }
}

/// The number of the worker that this thread is, as in [`RuntimeMetrics`]; `None` on a thread that is none.
///
/// On `current_thread` the thread that runs the tasks is worker 0. A thread in `block_on` of the other flavours is no worker.
/// It may change at each `.await`.
pub fn worker_index() -> Option<usize> {
    scheduler::worker_index()
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.end(None);
    }
}
