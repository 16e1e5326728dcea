//! Many threads run these tasks and steal from each other: `multi_thread`.
//!
//! A `Worker` is a place; its core (run queue, last-woken slot, driver) is a thing that threads hold in turn. A thread that
//! is about to block inside a task hands the core, driver included, to another thread.

mod context;
pub(super) mod grip;
pub(super) mod idle;
mod pace;
mod rescue;
mod run_queue;
mod side;
mod thrift;
mod worker;

use std::fmt;
use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use blitz_core::pad::CachePadded;
use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicUsize};
use blitz_core::queue::deque::{Thief, deque};
use blitz_core::queue::injector::Injector;

use super::config::Config;
use super::drain::Drain;
use crate::blocking::Spawner;
use crate::park::{Park, Unpark};
use crate::stats::WorkerStats;
use crate::task::{JoinHandle, Lane, Notified, OwnedTasks, Priority, Schedule, SpawnInfo};
use idle::Idle;
pub use rescue::NotRescued;
use run_queue::RunQueue;
use side::{SharedSide, Side, SideThief};
use worker::{Core, Worker};
pub(super) use worker::{block_in_place, current_index};

/// What all workers and wakers know.
pub(super) struct Shared {
    remotes: Box<[CachePadded<Remote>]>,
    /// Normal tasks that no worker has.
    injector: CachePadded<Injector<Notified>>,
    /// The others that no worker has.
    side: CachePadded<SharedSide>,
    idle: CachePadded<Idle>,
    owned: OwnedTasks,
    shutdown: AtomicBool,
    workers_left: AtomicUsize,
    /// Cores whose workers have ended; the last one to come ends the drivers.
    ended: Mutex<Vec<Core>>,
    config: Arc<Config>,
    blocking: Spawner,
    drain: Drain,
    /// Tasks that were queued by threads that are no worker here, or have no core.
    remote_schedules: AtomicU64,
    /// Threads that are stuck and have lost their cores, and those on their way to take one over.
    spares: AtomicUsize,
}

/// What others may do with one worker.
struct Remote {
    thief: Thief<Notified>,
    side: SideThief,
    unparker: Arc<dyn Unpark>,
    stats: Arc<WorkerStats>,
}

/// The scheduler as its runtime holds it.
pub struct MultiThread {
    shared: Arc<Shared>,
    workers: Box<[Arc<Worker>]>,
}

impl MultiThread {
    /// A scheduler with one worker per driver; [`start`](Self::start) sets them going.
    pub fn new(parks: Vec<Box<dyn Park>>, config: Arc<Config>, blocking: Spawner) -> Arc<Self> {
        let count = parks.len();
        config.prepare();
        let (mut remotes, mut cores) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (index, park) in parks.into_iter().enumerate() {
            let (queue, thief) = deque(config.local_queue_len);
            let (side, side_thief) = Side::new(&config);
            remotes.push(CachePadded::new(Remote {
                thief,
                side: side_thief,
                unparker: park.unparker(),
                stats: park.stats(),
            }));
            let run = RunQueue::new(index, queue, side, &config, park.stats());
            cores.push(Core::new(index, run, park, &config));
        }
        let shared = Arc::new(Shared {
            remotes: remotes.into_boxed_slice(),
            injector: CachePadded::new(Injector::new()),
            side: CachePadded::new(SharedSide::new()),
            idle: CachePadded::new(Idle::new(count)),
            owned: OwnedTasks::new(count),
            shutdown: AtomicBool::new(false),
            workers_left: AtomicUsize::new(count),
            ended: Mutex::new(Vec::with_capacity(count)),
            config,
            blocking,
            drain: Drain::new(),
            remote_schedules: AtomicU64::new(0),
            spares: AtomicUsize::new(0),
        });
        let workers = cores.into_iter().enumerate();
        let workers = workers
            .map(|(index, core)| Worker::new(Arc::clone(&shared), index, core))
            .collect();
        Arc::new(Self { shared, workers })
    }

    /// Puts each worker on a thread of the pool.
    ///
    /// # Errors
    /// If the system gives no thread. Shut the pool down then: workers that have started end, and nothing was spawned yet.
    pub fn start(&self) -> io::Result<()> {
        for worker in &self.workers {
            let work = Arc::clone(worker);
            self.shared
                .blocking
                .spawn_worker(Box::new(move || worker::run(work)))?;
        }
        Ok(())
    }

    /// Spawns a task.
    pub fn spawn<F>(&self, future: F, mut info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.config.note_spawn(&info);
        // The worker here, or one that this thread keeps to: its count of references is contended by few.
        let here = context::with_context(|context| {
            ptr::eq(&*context.worker.shared, &*self.shared).then_some(context.worker.index)
        });
        let index = here
            .flatten()
            .unwrap_or_else(|| super::thread_number() % self.workers.len());
        info.shard = index;
        let worker = &self.workers[index];
        let scheduler: Arc<dyn Schedule> = Arc::<Worker>::clone(worker);
        let (handle, task) = self.shared.owned.bind(future, scheduler, info);
        if let Some(task) = task {
            worker.schedule(task);
        }
        handle
    }

    /// Asks the workers to end every task and their drivers.
    pub fn shutdown(&self) {
        self.shared.shut_down();
    }

    /// How many tasks are alive.
    pub fn tasks_alive(&self) -> usize {
        self.shared.owned.len()
    }

    /// How many tasks wait in the queue that all share.
    pub fn injector_len(&self) -> usize {
        self.shared.injector.len() + self.shared.side_len()
    }

    /// How many tasks wait in one worker's own queues.
    pub fn local_queue_len(&self, worker: usize) -> usize {
        let remote = &self.shared.remotes[worker];
        remote.thief.len() + remote.side.len(Lane::High) + remote.side.len(Lane::Low)
    }

    /// How many tasks of one priority wait in all queues.
    pub fn queued(&self, priority: Priority) -> usize {
        let shared = &self.shared;
        let own = |remote: &Remote, lane| match lane {
            Lane::Normal => remote.thief.len(),
            lane => remote.side.len(lane),
        };
        let lanes = Lane::ALL
            .into_iter()
            .filter(|lane| lane.priority() == priority);
        lanes
            .map(|lane| {
                let remotes = shared.remotes.iter().map(|remote| own(remote, lane));
                let injected = match lane {
                    Lane::Normal => shared.injector.len(),
                    lane => shared.side.len(lane),
                };
                remotes.sum::<usize>() + injected
            })
            .sum()
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// What one worker has counted.
    pub fn stats(&self, worker: usize) -> &WorkerStats {
        &self.shared.remotes[worker].stats
    }

    /// How many tasks were queued from threads that are no worker.
    pub fn remote_schedules(&self) -> u64 {
        // ORDERING: Relaxed: a figure.
        self.shared.remote_schedules.load(Relaxed)
    }

    /// How many workers have not ended: each is in a poll that does not return, if the shutdown was asked for a while ago.
    pub fn workers_left(&self) -> usize {
        // ORDERING: Relaxed: a figure for a report.
        self.shared.workers_left.load(Relaxed)
    }

    /// The owned tasks, to look at.
    pub fn owned(&self) -> &OwnedTasks {
        &self.shared.owned
    }

    /// Whom the last task's end is told to.
    pub fn drain(&self) -> &Drain {
        &self.shared.drain
    }

    /// Whether this thread runs a worker of this scheduler.
    pub fn runs_here(&self) -> bool {
        context::with_context(|context| ptr::eq(&*context.worker.shared, &*self.shared))
            .unwrap_or(false)
    }
}

impl Shared {
    /// From a thread that is no worker here, or has no core.
    fn push_outside(&self, task: Notified) {
        // ORDERING: Relaxed: a figure.
        self.remote_schedules.fetch_add(1, Relaxed);
        let pushed = match task.lane() {
            Lane::Normal => self.injector.push(task),
            _ => self.side.push(task),
        };
        // Closed: the scheduler is gone, and the task with it.
        if pushed.is_ok() {
            self.wake_one();
        }
    }

    /// How many tasks that are not normal wait in the shared lanes.
    fn side_len(&self) -> usize {
        Lane::ALL.into_iter().map(|lane| self.side.len(lane)).sum()
    }

    fn wake_one(&self) {
        if let Some(index) = self.idle.wake_one() {
            self.remotes[index].unparker.unpark();
        }
    }

    fn shut_down(&self) {
        // ORDERING: Relaxed: the flag publishes nothing, and who is asleep, or about to be, finds the token of `unpark`.
        self.shutdown.store(true, Relaxed);
        for remote in &self.remotes {
            remote.unparker.unpark();
        }
    }

    fn is_shutdown(&self) -> bool {
        // ORDERING: Relaxed: see `shut_down`.
        self.shutdown.load(Relaxed)
    }

    /// Whether any queue has something to take.
    fn has_work(&self) -> bool {
        self.remotes.iter().any(|remote| !remote.thief.is_empty()) || self.has_urgent_work()
    }

    /// The same but for what is normal and at a worker, which does it itself before long.
    fn has_urgent_work(&self) -> bool {
        let side = self.side.is_used();
        !self.injector.is_empty()
            || !self.side.is_empty()
            || (side && self.remotes.iter().any(|remote| !remote.side.is_empty()))
    }

    /// A worker has dropped its tasks. The last one ends the drivers: until then a task that is dropped may still need them.
    fn end(&self, core: Core) {
        // ORDERING: Relaxed: a figure for a report.
        self.workers_left.fetch_sub(1, Relaxed);
        let mut ended = self.ended.lock();
        ended.push(core);
        if ended.len() < self.remotes.len() {
            return;
        }
        let cores = std::mem::take(&mut *ended);
        drop(ended);
        // What dropped futures woke last. No task is alive, so these are references only.
        self.injector.close();
        while let Some(task) = self.injector.pop() {
            drop(task);
        }
        self.side.close();
        for core in cores {
            core.end();
        }
    }
}

impl fmt::Debug for MultiThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiThread")
            .field("workers", &self.workers.len())
            .field("tasks", &self.shared.owned.len())
            .finish_non_exhaustive()
    }
}
