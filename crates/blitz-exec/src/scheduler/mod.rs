//! Schedulers: which task runs next, on which thread, and what a thread does when there is none.
//!
//! [`single`] serves one thread at a time (`current_thread`, `LocalRuntime`), [`per_core`] is many of those side by side,
//! [`multi`] shares its tasks among threads, [`local`] runs `!Send` tasks inside one task of any of them.

pub mod config;
mod drain;
pub mod local;
pub mod multi;
pub mod per_core;
mod rng;
pub mod single;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use blitz_core::budget;
use std::sync::atomic::Ordering::Relaxed;

use crate::task::{JoinHandle, Notified, OwnedTasks, SpawnInfo, TaskMeta};

pub use config::{Config, Hooks, PanicPolicy, TaskHook};
pub use drain::Drain;
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
/// In a task, or a `block_on`, that nobody could take over: on one thread, or on a worker of `thread_per_core`.
#[track_caller]
pub fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    assert!(
        budget::entered() != budget::Entered::MayNotBlock,
        "can call blocking only when running on the multi-threaded runtime: here no other thread could go on with the tasks \
         while this one blocks. Use `spawn_blocking`, or the `multi_thread` flavor"
    );
    multi::block_in_place(f)
}

/// Which worker of its scheduler this thread is, if it is one.
pub fn worker_index() -> Option<usize> {
    if !budget::is_entered() {
        return None;
    }
    single::current_index().or_else(multi::current_index)
}

/// Polls the task between the user's two hooks.
#[cold]
fn run_with_hooks(task: Notified, hooks: &Hooks) -> Option<Notified> {
    if let Some(hook) = &hooks.before_poll {
        hook(&task.meta());
    }
    let Some(after) = &hooks.after_poll else {
        return budget::with_budget(|| task.run());
    };
    // The poll may be the last: what the second hook is told must not lie in the task.
    let (id, name, location) = (
        task.meta().id(),
        task.meta().name().map(Box::from),
        task.meta().spawned_at(),
    );
    let again = budget::with_budget(|| task.run());
    after(&TaskMeta::of_spawn(&SpawnInfo {
        id,
        name,
        location,
        shard: 0,
    }));
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
