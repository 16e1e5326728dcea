//! One thread at a time runs these tasks: `current_thread`, `LocalRuntime`, and each worker of `thread_per_core`.
//!
//! The `Core` (run queue and driver) lies in [`Shared`] while nobody runs; a thread takes it for as long as it runs and
//! has a `Context` on its stack, which a thread-local points to. A wake on that thread goes to the run queue without an
//! atomic operation; a wake from elsewhere goes to the inbox and unparks. Normal tasks and others have an inbox each: that of the
//! others is looked at before each poll, so an urgent task from another thread waits for one poll at most.

mod context;
mod run;

use std::fmt;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::ThreadId;

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use blitz_core::primitive::sync::atomic::{AtomicBool, AtomicUsize};
use blitz_core::queue::mpsc::Inbox;
use blitz_core::waiting::Leaf;

use super::alarm::Alarm;
use super::beat::Beat;
use super::classes::Classes;
use super::config::{Config, PanicPolicy};
use super::drain::Drain;
use crate::park::{Park, ThreadParker, Unpark};
use crate::stats::WorkerStats;
use crate::task::{
    Header, JoinHandle, Lane, Notified, OwnedTasks, Priority, PulseRef, Schedule, SpawnInfo,
};

pub use context::current_index;
pub(crate) use context::with_current;

/// What all threads know of one single-threaded scheduler.
pub struct Shared {
    /// Which worker of `thread_per_core`; 0 elsewhere.
    index: usize,
    /// Normal tasks from other threads.
    inbox: Inbox<Notified>,
    /// The others from other threads.
    others: Inbox<Notified>,
    unparker: Arc<dyn Unpark>,
    /// The future of `block_on` was woken, or the worker is to look whether it shall end.
    root_woken: AtomicBool,
    shutdown: AtomicBool,
    panicked: AtomicBool,
    ended: AtomicBool,
    owned: OwnedTasks,
    core: Mutex<Option<Box<Core>>>,
    /// Threads in `block_on` that would run the tasks if the core were free.
    heirs: Mutex<Vec<Arc<ThreadParker>>>,
    /// The one thread that may spawn and run `!Send` tasks.
    local_thread: Mutex<Option<ThreadId>>,
    config: Arc<Config>,
    drain: Drain,
    stats: Arc<WorkerStats>,
    /// How many tasks were in the queue at the last turn.
    queue_lens: [AtomicUsize; Lane::COUNT],
    /// What the thread works on that runs this, while one does.
    pulse: Mutex<Option<PulseRef>>,
}

/// What the running thread holds: the tasks to run next, and the driver to wait in.
pub(super) struct Core {
    queue: Classes,
    /// Out of its place only while the driver turns.
    park: Option<Box<dyn Park>>,
    /// Polls since the driver turned last.
    polls: u64,
    /// Those of them that need not be told any more: they are in the figures, or were of the root.
    told: u64,
    /// How many polls of tasks there were at the last wait; none at first.
    ran_at_wait: u64,
    /// The time at the driver's last turn.
    now: u64,
    /// At the last turn there were tasks that were not normal, and it was told how many.
    others_were_told: bool,
}

impl Shared {
    /// A scheduler that nobody runs yet.
    pub fn new(index: usize, park: Box<dyn Park>, config: Arc<Config>) -> Arc<Self> {
        let unparker = park.unparker();
        config.prepare();
        let core = Box::new(Core {
            queue: Classes::new(config.patience),
            park: Some(park),
            polls: 0,
            told: 0,
            ran_at_wait: 0,
            now: 0,
            others_were_told: false,
        });
        let stats = core
            .park
            .as_ref()
            .map_or_else(WorkerStats::new, |park| park.stats());
        config.switch(&stats);
        Arc::new(Self {
            index,
            inbox: Inbox::new(),
            others: Inbox::new(),
            unparker,
            root_woken: AtomicBool::new(false),
            shutdown: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            owned: OwnedTasks::new(1),
            core: Mutex::new(Some(core)),
            heirs: Mutex::new(Vec::new()),
            local_thread: Mutex::new(None),
            config,
            drain: Drain::new(),
            stats,
            queue_lens: std::array::from_fn(|_| AtomicUsize::new(0)),
            pulse: Mutex::new(None),
        })
    }

    /// Spawns a task that may be polled on whatever thread runs this scheduler.
    pub fn spawn<F>(self: &Arc<Self>, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.config.note_spawn(&info);
        let scheduler: Arc<dyn Schedule> = Arc::<Self>::clone(self);
        let (handle, task) = self.owned.bind(future, scheduler, info);
        if let Some(task) = task {
            Schedule::schedule(&**self, task);
        }
        handle
    }

    /// Spawns a task that is polled and dropped on this thread only.
    ///
    /// # Panics
    /// If this thread is not the one that runs the scheduler's local tasks.
    #[track_caller]
    pub fn spawn_local<F>(self: &Arc<Self>, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        assert!(
            self.is_local_thread(),
            "spawn_local: this thread is not the one that runs the runtime's local tasks"
        );
        self.config.note_spawn(&info);
        let scheduler: Arc<dyn Schedule> = Arc::<Self>::clone(self);
        // SAFETY: this is the one thread that runs the scheduler's tasks, here and at shutdown: `set_local_thread`.
        let (handle, task) = unsafe { self.owned.bind_local(future, scheduler, info) };
        if let Some(task) = task {
            Schedule::schedule(&**self, task);
        }
        handle
    }

    /// Spawns, from any thread, the future that `make` makes on the one that runs this scheduler.
    pub(super) fn spawn_made<M, F>(
        self: &Arc<Self>,
        make: M,
        info: SpawnInfo,
    ) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.config.note_spawn(&info);
        let scheduler: Arc<dyn Schedule> = Arc::<Self>::clone(self);
        // SAFETY: a worker of `thread_per_core` runs and shuts down its tasks on its one thread, which `run_worker` claims.
        // Until the first poll there, the future is only `make`, which may be dropped anywhere, as a closed list does here;
        // and the output is `Send`.
        let (handle, task) = unsafe {
            self.owned
                .bind_local(async move { make().await }, scheduler, info)
        };
        if let Some(task) = task {
            Schedule::schedule(&**self, task);
        }
        handle
    }

    /// From now on only this thread runs the scheduler, and it may spawn `!Send` tasks.
    ///
    /// # Panics
    /// If another thread has claimed it.
    pub fn claim_local_thread(&self) {
        let me = std::thread::current().id();
        let mut owner = self.local_thread.lock();
        assert!(
            owner.is_none_or(|owner| owner == me),
            "a local scheduler is run by one thread, and that is another"
        );
        *owner = Some(me);
    }

    /// Whether this thread may spawn `!Send` tasks here.
    pub fn is_local_thread(&self) -> bool {
        *self.local_thread.lock() == Some(std::thread::current().id())
    }

    /// Whether a thread, this or another, may spawn `!Send` tasks here.
    pub fn has_local_thread(&self) -> bool {
        self.local_thread.lock().is_some()
    }

    /// Asks the worker that runs this to shut down.
    pub fn request_shutdown(&self) {
        // ORDERING: Relaxed: the root's wake, which comes next, publishes it.
        self.shutdown.store(true, Relaxed);
        self.wake_root();
        self.unparker.unpark();
    }

    pub(super) fn is_shutdown(&self) -> bool {
        // ORDERING: Relaxed: see `request_shutdown`.
        self.shutdown.load(Relaxed)
    }

    fn wake_root(&self) {
        // ORDERING: Release pairs with the Acquire in `take_root_wake`: what the waker did is seen by the poll.
        self.root_woken.store(true, Release);
    }

    /// Whether the root was woken since the last call.
    #[inline]
    fn take_root_wake(&self) -> bool {
        // ORDERING: Relaxed to look, Acquire to take: pairs with `wake_root`. A swap, so that no waker is overwritten unseen.
        self.root_woken.load(Relaxed) && self.root_woken.swap(false, Acquire)
    }

    /// Whether the shutdown has dropped every task.
    pub fn has_ended(&self) -> bool {
        // ORDERING: Relaxed: a figure for a report.
        self.ended.load(Relaxed)
    }

    /// How many tasks are alive.
    pub fn tasks_alive(&self) -> usize {
        self.owned.len()
    }

    /// The owned tasks, to look at.
    pub fn owned(&self) -> &OwnedTasks {
        &self.owned
    }

    /// Whether tasks from other threads wait.
    pub fn inbox_is_empty(&self) -> bool {
        self.inbox.is_empty() && self.others.is_empty()
    }

    /// How many tasks were queued by the thread that runs this: whatever was queued came from there or from the inbox, and was
    /// polled or is in the queue still.
    pub fn local_schedules(&self) -> u64 {
        // Both as they were at the last turn.
        let queued = self.stats.polls() + self.queue_len_at_turn() as u64;
        queued.saturating_sub(self.stats.remote_schedules())
    }

    /// What this worker has counted.
    pub fn stats(&self) -> &WorkerStats {
        &self.stats
    }

    /// How many tasks are in its queue, for the thread that runs it; for others, how many were at the last turn.
    pub fn queue_len(&self) -> usize {
        let here = context::queue_lens_here(self);
        here.map_or_else(|| self.queue_len_at_turn(), |lens| lens.iter().sum())
    }

    fn queue_len_at_turn(&self) -> usize {
        // ORDERING: Relaxed: a figure.
        self.queue_lens.iter().map(|len| len.load(Relaxed)).sum()
    }

    /// How many tasks of one priority were in its queue at the last turn.
    pub fn queued(&self, priority: Priority) -> usize {
        let lanes = Lane::ALL.into_iter().zip(&self.queue_lens);
        lanes
            .filter(|(lane, _)| lane.priority() == priority)
            // ORDERING: Relaxed: a figure.
            .map(|(_, len)| len.load(Relaxed))
            .sum()
    }

    /// Queues a task that is woken from elsewhere, or whose time is wanted exactly.
    #[inline(never)]
    fn schedule_otherwise(&self, task: Notified) {
        let now = self.stats.stamp(|| self.config.insight.now_ns());
        task.header().place().notify(now);
        let task = match context::push_notified(self, task) {
            Ok(()) => return,
            Err(task) => task,
        };
        let inbox = if task.is_normal() {
            &self.inbox
        } else {
            &self.others
        };
        // A closed inbox: the scheduler is gone, and the task with it.
        if let Ok(true) = inbox.push(task) {
            self.unparker.unpark();
        }
    }

    /// Whom the last task's end is told to.
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// What wakes who watches.
    pub fn alarm(&self) -> &Alarm {
        &self.config.alarm
    }

    /// What its thread does, unless it sleeps or there is none.
    pub fn beat(&self) -> Option<Beat> {
        let rest = self.unparker.rest();
        let pulse = self.pulse.lock();
        // SAFETY: the thread takes its pulse out of here, under this lock, before it ends.
        let seen = unsafe { pulse.as_ref()?.read() };
        Beat::new(0, seen, rest, true)
    }

    fn take_core(&self) -> Option<Box<Core>> {
        self.core.lock().take()
    }

    fn put_core(&self, core: Box<Core>) {
        *self.core.lock() = Some(core);
        // Every heir looks; one gets it. Rare: two threads in `block_on` of one current_thread runtime.
        let heirs = std::mem::take(&mut *self.heirs.lock());
        for heir in heirs {
            heir.unpark();
        }
    }
}

impl Schedule for Shared {
    #[inline(always)]
    fn schedule(&self, task: Notified) {
        if let Err(task) = context::push_here(self, task) {
            self.schedule_otherwise(task);
        }
    }

    fn release(&self, task: &Header) -> bool {
        let removed = self.owned.remove(task);
        self.drain.task_gone();
        self.config.hooks.task_ended(task);
        removed
    }

    fn traced(&self, task: &Header, leaves: Vec<Leaf>) {
        self.config.insight.traced(task.meta().id(), leaves);
    }

    fn unhandled_panic(&self) {
        if self.config.panic_policy == PanicPolicy::Shutdown {
            // ORDERING: Relaxed: the thread that polls a task is the one that runs the loop.
            self.panicked.store(true, Relaxed);
            self.unparker.unpark();
        }
    }
}

/// Wakes the future of `block_on`.
struct RootWaker(Arc<Shared>);

impl RootWaker {
    fn waker(shared: &Arc<Shared>) -> Waker {
        Waker::from(Arc::new(Self(Arc::clone(shared))))
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_root();
        // On its own thread the loop looks at the flag before it waits.
        if !context::runs_here(&self.0) {
            self.0.unparker.unpark();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleThread")
            .field("index", &self.index)
            .field("tasks", &self.owned.len())
            .finish_non_exhaustive()
    }
}
