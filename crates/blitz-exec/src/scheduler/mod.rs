//! Schedulers: which task runs next, on which thread, and what a thread does when there is none.
//!
//! [`single`] serves one thread at a time (`current_thread`, `LocalRuntime`), [`per_core`] is many of those side by side,
//! [`multi`] shares its tasks among threads, [`local`] runs `!Send` tasks inside one task of any of them.

pub mod aging;
mod alarm;
mod beat;
mod classes;
pub mod config;
mod drain;
pub mod insight;
pub mod local;
pub mod multi;
pub mod per_core;
mod rng;
pub mod single;
mod suspects;
pub mod warnings;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use blitz_core::budget;
use blitz_core::quiet::quietly;
use std::sync::atomic::Ordering::Relaxed;

use crate::stats::WorkerStats;
use crate::task::{JoinHandle, Notified, OwnedTasks, Priority, SpawnInfo, TaskMeta, Tracked};
use insight::Measure;
use warnings::{Warning, WarningKind};

pub use aging::Patience;
pub use alarm::Alarm;
pub use beat::{Beat, TaskSketch};
pub use config::{Config, Hooks, PanicPolicy, TaskHook};
pub use drain::Drain;
pub use insight::Insight;
pub use multi::NotRescued;
pub use rng::Rng;

/// A scheduler of any kind, to spawn on and to look at.
#[derive(Clone, Debug)]
pub enum Handle {
    /// Tasks run inside of `block_on`.
    Single(Arc<single::Shared>),
    /// Tasks run on workers that steal from each other.
    Multi(Arc<multi::MultiThread>),
    /// Tasks run on the worker where they were spawned.
    PerCore(Arc<per_core::PerCore>),
}

impl Handle {
    /// Spawns a task.
    pub fn spawn<F>(&self, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self {
            Handle::Single(scheduler) => scheduler.spawn(future, info),
            Handle::Multi(scheduler) => scheduler.spawn(future, info),
            Handle::PerCore(scheduler) => scheduler.spawn(future, info),
        }
    }

    /// How many tasks are alive.
    pub fn tasks_alive(&self) -> usize {
        match self {
            Handle::Single(scheduler) => scheduler.tasks_alive(),
            Handle::Multi(scheduler) => scheduler.tasks_alive(),
            Handle::PerCore(scheduler) => scheduler
                .workers()
                .iter()
                .map(|worker| worker.tasks_alive())
                .sum(),
        }
    }

    /// How many tasks that came from outside wait for a worker to take them.
    pub fn injector_len(&self) -> usize {
        match self {
            Handle::Single(scheduler) => usize::from(!scheduler.inbox_is_empty()),
            Handle::Multi(scheduler) => scheduler.injector_len(),
            Handle::PerCore(scheduler) => scheduler
                .workers()
                .iter()
                .filter(|worker| !worker.inbox_is_empty())
                .count(),
        }
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        match self {
            Handle::Single(_) => 1,
            Handle::Multi(scheduler) => scheduler.workers(),
            Handle::PerCore(scheduler) => scheduler.workers().len(),
        }
    }

    /// What worker `index` has counted.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn stats(&self, index: usize) -> &WorkerStats {
        match self {
            Handle::Single(scheduler) => {
                assert_eq!(index, 0, "a single-threaded scheduler has one worker");
                scheduler.stats()
            }
            Handle::Multi(scheduler) => scheduler.stats(index),
            Handle::PerCore(scheduler) => scheduler.workers()[index].stats(),
        }
    }

    /// How many tasks worker `index` has queued at itself.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn local_schedules(&self, index: usize) -> u64 {
        match self {
            Handle::Single(scheduler) => scheduler.local_schedules(),
            Handle::Multi(scheduler) => scheduler.stats(index).local_schedules(),
            Handle::PerCore(scheduler) => scheduler.workers()[index].local_schedules(),
        }
    }

    /// How many tasks wait in the queue of worker `index`, as it said at its last turn (`multi_thread`: as it is now).
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn local_queue_len(&self, index: usize) -> usize {
        match self {
            Handle::Single(scheduler) => scheduler.queue_len(),
            Handle::Multi(scheduler) => scheduler.local_queue_len(index),
            Handle::PerCore(scheduler) => scheduler.workers()[index].queue_len(),
        }
    }

    /// How many tasks of one priority wait in all queues, as far as workers have said so: on one thread, at its last turn.
    pub fn queued(&self, priority: Priority) -> usize {
        match self {
            Handle::Single(scheduler) => scheduler.queued(priority),
            Handle::Multi(scheduler) => scheduler.queued(priority),
            Handle::PerCore(scheduler) => {
                let workers = scheduler.workers().iter();
                workers.map(|worker| worker.queued(priority)).sum()
            }
        }
    }

    /// How many tasks were queued from threads that are no worker.
    pub fn remote_schedules(&self) -> u64 {
        match self {
            Handle::Multi(scheduler) => scheduler.remote_schedules(),
            Handle::Single(_) | Handle::PerCore(_) => (0..self.workers())
                .map(|index| self.stats(index).remote_schedules())
                .sum(),
        }
    }

    /// How many tasks were ever spawned.
    pub fn spawned(&self) -> u64 {
        let mut spawned = 0;
        self.for_each_list(|owned, _| spawned += owned.entered());
        spawned
    }

    /// Each task that is alive, to look at.
    pub fn tasks(&self) -> Vec<Tracked> {
        let mut tasks = Vec::new();
        self.for_each_list(|owned, _| tasks.append(&mut owned.collect()));
        tasks
    }

    /// After a shutdown: how many workers are still in a task's poll, which did not return.
    pub fn workers_left(&self) -> usize {
        match self {
            Handle::Single(scheduler) => usize::from(!scheduler.has_ended()),
            Handle::Multi(scheduler) => scheduler.workers_left(),
            Handle::PerCore(scheduler) => scheduler
                .workers()
                .iter()
                .filter(|worker| !worker.has_ended())
                .count(),
        }
    }

    /// Calls `f` with each list of owned tasks, and what tells of their ends.
    pub fn for_each_list(&self, mut f: impl FnMut(&OwnedTasks, &Drain)) {
        match self {
            Handle::Single(scheduler) => f(scheduler.owned(), scheduler.drain()),
            Handle::Multi(scheduler) => f(scheduler.owned(), scheduler.drain()),
            Handle::PerCore(scheduler) => {
                scheduler
                    .workers()
                    .iter()
                    .for_each(|worker| f(worker.owned(), worker.drain()));
            }
        }
    }

    /// Ready once no task is alive. Polled by one waiter at a time.
    pub fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = Poll::Ready(());
        self.for_each_list(|owned, drain| {
            if drain.poll(cx, || owned.is_empty()).is_pending() {
                ready = Poll::Pending;
            }
        });
        ready
    }
}

/// The wait of a thread that polls a future and runs no tasks.
pub trait Wait {
    /// What ends the wait.
    fn waker(&self) -> Waker;
    /// Waits until somebody wakes; at once if somebody has.
    fn wait(&self);
}

impl Wait for Arc<crate::park::ThreadParker> {
    fn waker(&self) -> Waker {
        crate::park::ThreadParker::waker(self)
    }

    fn wait(&self) {
        self.park();
    }
}

/// Polls `future` on this thread, which runs no tasks, until it is ready.
pub fn block_on<F: Future>(future: F, wait: &impl Wait) -> F::Output {
    let mut future = pin!(future);
    let waker = wait.waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = budget::with_budget(|| future.as_mut().poll(&mut cx)) {
            return output;
        }
        wait.wait();
    }
}

/// Runs `f`, which blocks this thread. A worker that steals hands its core to another thread first.
///
/// # Panics
/// In a task, or a `block_on`, that nobody could take over: on one thread, or on a worker of `thread_per_core`; and in a
/// computation.
#[track_caller]
pub fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    match budget::entered() {
        budget::Entered::MayNotBlock => panic!(
            "can call blocking only when running on the multi-threaded runtime: here no other thread could go on with the tasks \
             while this one blocks. Use `spawn_blocking`, or the `multi_thread` flavor"
        ),
        budget::Entered::Computing => panic!(
            "`block_in_place` in a computation: its thread is one of the few that compute, and a processor would idle while it \
             blocks. Do what blocks before or after the computation, in async code or in `spawn_blocking`"
        ),
        budget::Entered::No | budget::Entered::MayBlock => {}
    }
    multi::block_in_place(f)
}

/// Which worker of its scheduler this thread is, if it is one.
pub fn worker_index() -> Option<usize> {
    if !budget::is_entered() {
        return None;
    }
    single::current_index().or_else(multi::current_index)
}

/// Polls the task between the user's two hooks, and measures what is to be measured.
#[cold]
fn run_observed(task: Notified, config: &Config, stats: &WorkerStats) -> Option<Notified> {
    let (hooks, insight) = (&config.hooks, &*config.insight);
    let measured = insight.measured();
    let place = task.header().place();
    let start = if measured.any() {
        insight.now_ns()
    } else {
        stats.now_ns()
    };
    let latency = measured
        .stamps_wakes()
        .then(|| start.saturating_sub(place.since()));
    place.touch(start);
    // The poll may be the last: what is told afterwards must not lie in the task.
    let (location, priority) = (task.meta().spawned_at(), task.meta().priority());
    let wants_info = hooks.after_poll.is_some() || measured.has(Measure::PollTime);
    let info = wants_info.then(|| SpawnInfo::of(&task.meta()));
    let schedule_latency = latency.map(Duration::from_nanos);
    if let Some(hook) = &hooks.before_poll {
        let mut meta = task.meta();
        meta.schedule_latency = schedule_latency;
        // A panic of the hook is not the task's: it is polled all the same.
        quietly(|| hook(&meta));
    }
    let id = place.task();
    let suspect =
        (measured.has(Measure::Habits) && insight.suspects().has(id)).then(|| task.tracked());
    let mut took_nothing = false;
    let again = budget::with_budget(|| {
        let again = task.run();
        took_nothing = budget::is_untouched();
        again
    });
    if let Some(task) = suspect {
        // One that wakes itself is told by its figures.
        insight
            .suspects()
            .polled(id, &task, took_nothing && again.is_none());
    }
    if measured.any() {
        let end = insight.now_ns();
        stats.see(end);
        if measured.has(Measure::Habits) && insight.suspects().is_over(end) {
            insight.set(Measure::Habits, false);
        }
        let took = end.saturating_sub(start);
        insight.record(stats, measured, location, priority, took, latency);
        if let Some(info) = &info
            && measured.has(Measure::PollTime)
            && took >= insight.long_poll_ns()
        {
            let took = Duration::from_nanos(took);
            insight.warnings().add(Warning::new(
                WarningKind::LongPoll { took },
                info.id,
                info.name(),
                location,
            ));
        }
        if let Some(task) = &again {
            task.header().place().touch(end);
        }
    }
    if let (Some(hook), Some(info)) = (&hooks.after_poll, &info) {
        let mut meta = TaskMeta::of_spawn(info);
        meta.schedule_latency = schedule_latency;
        quietly(|| hook(&meta));
    }
    again
}

/// A small number that is this thread's own, to spread threads over workers.
fn thread_number() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    std::thread_local! {
        static NUMBER: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
    }
    NUMBER.with(|number| {
        number.get().unwrap_or_else(|| {
            // ORDERING: Relaxed: only unlike the others'.
            let new = NEXT.fetch_add(1, Relaxed);
            number.set(Some(new));
            new
        })
    })
}

#[cfg(all(loom, test))]
mod tests;
