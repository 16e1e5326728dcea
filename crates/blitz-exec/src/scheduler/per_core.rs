//! A scheduler per worker, and nothing stolen: `thread_per_core`.
//!
//! Each worker is a [`single::Shared`] with a thread of its own. A task stays where it was spawned, so its worker's queue and
//! timers are touched by one thread.

use std::io;
use std::sync::Arc;

use blitz_core::budget;
use blitz_core::primitive::sync::atomic::AtomicUsize;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::quiet::quietly;

use super::config::Config;
use super::single::{self, Shared};
use crate::blocking::Spawner;
use crate::park::Park;
use crate::task::{JoinHandle, SpawnInfo};

/// The workers.
#[derive(Debug)]
pub struct PerCore {
    workers: Box<[Arc<Shared>]>,
    next: AtomicUsize,
}

impl PerCore {
    /// A worker per driver; [`start`](Self::start) sets them going.
    pub fn new(parks: Vec<Box<dyn Park>>, config: &Arc<Config>) -> Arc<Self> {
        let workers = parks.into_iter().enumerate();
        let workers = workers
            .map(|(index, park)| Shared::new(index, park, Arc::clone(config)))
            .collect();
        Arc::new(Self {
            workers,
            next: AtomicUsize::new(0),
        })
    }

    /// Puts each worker on a thread of the pool.
    ///
    /// # Errors
    /// If the system gives no thread. Shut the pool down then: workers that have started end, and nothing was spawned yet.
    pub fn start(self: &Arc<Self>, blocking: &Spawner) -> io::Result<()> {
        for index in 0..self.workers.len() {
            let all = Arc::clone(self);
            blocking.spawn_worker(Box::new(move || all.work(index)))?;
        }
        Ok(())
    }

    fn work(&self, index: usize) {
        let Some(_inside) = budget::enter_runtime(false) else {
            unreachable!("a worker starts on a thread of the pool, which runs nothing else");
        };
        let worker = &self.workers[index];
        if !quietly(|| worker.run_worker()) {
            // No task's panic, no hook's and no waker's gets here: the driver cannot be turned any more, or a worker broke.
            // What was spawned there can run nowhere else, so the runtime ends, in good order.
            self.shutdown();
        }
        worker.shutdown();
    }

    /// Spawns a task on one of the workers, each in its turn.
    pub fn spawn<F>(&self, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // ORDERING: Relaxed: only a choice.
        let turn = self.next.fetch_add(1, Relaxed);
        self.workers[turn % self.workers.len()].spawn(future, info)
    }

    /// Spawns on worker `index` the future that `make` makes there. Neither it nor what it holds leaves that thread.
    pub fn spawn_on<M, F>(&self, index: usize, make: M, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.workers[index].spawn_made(make, info)
    }

    /// The workers, to spawn on one of them and to look at.
    pub fn workers(&self) -> &[Arc<Shared>] {
        &self.workers
    }

    /// The worker that this thread runs, if it is one of these.
    pub fn here(&self) -> Option<&Arc<Shared>> {
        let index = single::current_index()?;
        let worker = self.workers.get(index)?;
        single::with_current(|current| Arc::ptr_eq(current, worker))
            .unwrap_or(false)
            .then_some(worker)
    }

    /// Asks every worker to end its tasks and its driver.
    pub fn shutdown(&self) {
        self.workers
            .iter()
            .for_each(|worker| worker.request_shutdown());
    }
}
