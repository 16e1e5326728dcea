//! How a runtime ends: at once, within a limit, or gracefully.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::time::{Duration, Instant};

use blitz_core::budget;
use blitz_exec::scheduler::{self, Beat};
use blitz_exec::task::Id;

use super::{Runtime, events};

/// After a graceful shutdown has cut tasks, their threads have so long to drop them.
const AFTER_CUT: Duration = Duration::from_millis(100);

/// A thread that is in no task's poll then is on its way out, and has no processor: it is not told as leaked before so long.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// What was written to standard output or error has so long to get out.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// A task that a graceful shutdown did not wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutTask {
    /// The task's id.
    pub id: Id,
    /// Its name, if it was spawned with one.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
}

impl fmt::Display for CutTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("unnamed");
        write!(
            f,
            "task {} ({name}), spawned at {}",
            self.id, self.spawned_at
        )
    }
}

/// What a graceful shutdown did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it says which tasks were cut"]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The tasks that had not ended at the deadline: they were cancelled.
    pub cut: Vec<CutTask>,
    /// How many of those never came back from their poll: they were leaked, with all they hold and their threads.
    pub leaked: usize,
    /// Whether every thread has ended. A blocking call that cannot be interrupted keeps its own.
    pub threads_ended: bool,
}

impl ShutdownReport {
    /// Whether every task ran to its end.
    pub fn is_clean(&self) -> bool {
        self.cut.is_empty()
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks cut, {} of them leaked",
            self.cut.len(),
            self.leaked
        )?;
        for task in &self.cut {
            write!(f, "\n  {task}")?;
        }
        Ok(())
    }
}

impl Runtime {
    /// Ends the runtime, but lets the tasks run to their ends first, until `limit` is over.
    ///
    /// New tasks are refused from the start: their handles say that they were cancelled. Returns which tasks were cut, by name
    /// and by the place where they were spawned. On `current_thread` a task that never returns from its poll cannot be
    /// interrupted, so there the call takes as long as that poll. The threads have 100 ms at least to drop what was cut; those that are
    /// in no task's poll by then, as on a machine that gives them no processor, up to a second more.
    ///
    /// # Panics
    /// In async code, since it would block a thread that runs tasks.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = blitz_io::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    /// runtime.spawn(async { blitz_io::task::yield_now().await });
    /// let endless = blitz_io::task::Builder::new().name("endless").spawn_on(std::future::pending::<()>(), runtime.handle())?;
    /// let report = runtime.shutdown_graceful(Duration::from_millis(20));
    /// assert_eq!(report.cut.len(), 1);
    /// assert_eq!(report.cut[0].name.as_deref(), Some("endless"));
    /// # drop(endless);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn shutdown_graceful(mut self, limit: Duration) -> ShutdownReport {
        let start = Instant::now();
        let scheduler = &self.handle.inner().scheduler;
        scheduler.for_each_list(|owned, _| owned.close());
        let drained = poll_fn(|cx| scheduler.poll_drained(cx));
        let in_time = self.block_on(async { crate::time::timeout(limit, drained).await.is_ok() });
        let mut report = ShutdownReport::default();
        if !in_time {
            scheduler.for_each_list(|owned, _| {
                for tracked in owned.collect() {
                    let task = tracked.meta();
                    let name = task.name().map(str::to_owned);
                    report.cut.push(CutTask {
                        id: task.id(),
                        name,
                        spawned_at: task.spawned_at(),
                    });
                }
            });
        }
        let left = limit.saturating_sub(start.elapsed()).max(AFTER_CUT);
        report.threads_ended = self.end(Some(left));
        let (begun, mut since) = (Instant::now(), Instant::now());
        while self.leaked() > 0 && begun.elapsed() < ON_THE_WAY {
            if self.leaked() > self.in_tasks() {
                since = Instant::now();
            } else if since.elapsed() >= AFTER_CUT {
                // In a task all the time, and not just dropping one on its way.
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        report.leaked = self.leaked();
        events::ended(&self.handle, report.cut.len(), report.leaked, &report);
        report
    }

    /// Ends everything once. Answers whether every thread has ended.
    #[track_caller]
    pub(super) fn end(&mut self, limit: Option<Duration>) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return true;
        }
        {
            let _entered = crate::context::enter(self.handle.clone());
            match &self.handle.inner().scheduler {
                // Dropped tasks may look for their runtime. Budgets do not matter to a drop.
                scheduler::Handle::Single(scheduler) => scheduler.shutdown(),
                scheduler::Handle::Multi(scheduler) => scheduler.shutdown(),
                scheduler::Handle::PerCore(scheduler) => scheduler.shutdown(),
            }
        }
        let waits = limit != Some(Duration::ZERO);
        let bridge = &self.handle.inner().bridge;
        if waits && budget::is_entered() {
            self.pool.shutdown(Some(Duration::ZERO));
            bridge.close();
            self.end_monitor(false);
            drop(self.inspector.take());
            // A panic in the drop of what a panic unwinds would abort the process, and say less.
            if !std::thread::panicking() {
                panic!(
                    "Cannot drop a runtime in a context where blocking is not allowed. This happens when a runtime is dropped \
                     from within an asynchronous context. Remedies: keep the runtime outside of async code; or call \
                     `shutdown_background` on it; or drop it in `spawn_blocking`."
                );
            }
            return false;
        }
        // The pool first: its calls, and the tasks that its workers drop now, may still wait for a computation.
        let begun = Instant::now();
        let pool_ended = self.pool.shutdown(limit);
        if waits {
            let left = limit.map_or(OUTPUT_LIMIT, |limit| limit.saturating_sub(begun.elapsed()));
            crate::io::drain(left.min(OUTPUT_LIMIT));
        }
        if !pool_ended
            && waits
            && self.leaked() > 0
            && let Some(monitor) = &self.monitor
        {
            monitor.report_leaked(self.handle.inner());
        }
        self.end_monitor(limit.is_none());
        bridge.close();
        let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        let ended = bridge.wait_gone(left) && pool_ended;
        // To the last, since it is when a shutdown hangs that it is read.
        drop(self.inspector.take());
        ended
    }

    /// After the shutdown: how many threads are still in a task's poll, or on their way out.
    fn leaked(&self) -> usize {
        let scheduler = &self.handle.inner().scheduler;
        scheduler.workers_left() + scheduler.spares_lent()
    }

    /// How many threads are seen in a task.
    fn in_tasks(&self) -> usize {
        let inner = self.handle.inner();
        let beats = (0..inner.drivers.len()).filter_map(|worker| inner.scheduler.beat(worker));
        inner.scheduler.spares_lent() + beats.filter(Beat::is_in_task).count()
    }

    fn end_monitor(&self, wait: bool) {
        if let Some(monitor) = &self.monitor {
            monitor.end(wait);
        }
    }
}

/// Whether an I/O error says that the runtime of the socket, file or timer is gone.
pub fn is_rt_shutdown_err(error: &io::Error) -> bool {
    blitz_driver::is_shutting_down(error)
}
