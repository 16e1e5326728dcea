//! What a scheduler is built with: limits, the seed, the policy on panics, and the user's hooks.

use std::fmt;
use std::sync::Arc;

use blitz_core::barrier::Asymmetric;
use blitz_core::quiet::quietly;

use super::aging::Patience;
use super::alarm::Alarm;
use super::insight::Insight;
use super::warnings::{Warning, WarningKind};
use crate::park::{NoWatch, ThreadHook, Watch};
use crate::stats::{Switches, WorkerStats};
use crate::task::{Header, SpawnInfo, TaskMeta};

/// A hook that is told of a task.
pub type TaskHook = Arc<dyn Fn(&TaskMeta<'_>) + Send + Sync>;

/// The user's hooks; each is called on the thread it tells of.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Before a worker waits for events.
    pub before_park: Option<ThreadHook>,
    /// After a worker's wait.
    pub after_unpark: Option<ThreadHook>,
    /// When a task is spawned, on the thread that spawns it.
    pub task_spawn: Option<TaskHook>,
    /// Before each poll of a task.
    pub before_poll: Option<TaskHook>,
    /// After each poll of a task.
    pub after_poll: Option<TaskHook>,
    /// When a task's future is gone: it ended, panicked or was cancelled.
    pub task_terminate: Option<TaskHook>,
}

impl Hooks {
    #[inline]
    fn around_polls(&self) -> bool {
        self.before_poll.is_some() || self.after_poll.is_some()
    }

    pub(super) fn around_waits(&self) -> bool {
        self.before_park.is_some() || self.after_unpark.is_some()
    }

    /// Tells of a task's end. A hook that panics has told so by the panic hook; what is left to do for the task, and the
    /// thread, are still needed.
    #[inline]
    pub(super) fn task_ended(&self, task: &Header) {
        if let Some(hook) = &self.task_terminate {
            tell_end(hook, task);
        }
    }
}

#[cold]
#[inline(never)]
fn tell_end(hook: &TaskHook, task: &Header) {
    quietly(|| hook(&task.meta()));
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("before_park", &self.before_park.is_some())
            .field("after_unpark", &self.after_unpark.is_some())
            .field("task_spawn", &self.task_spawn.is_some())
            .field("before_poll", &self.before_poll.is_some())
            .field("after_poll", &self.after_poll.is_some())
            .field("task_terminate", &self.task_terminate.is_some())
            .finish()
    }
}

/// What happens when a task panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanicPolicy {
    /// Its `JoinHandle` tells; the runtime goes on.
    #[default]
    Ignore,
    /// The runtime shuts down, and the `block_on` that runs panics.
    Shutdown,
}

/// What a scheduler is built with.
#[derive(Clone)]
pub struct Config {
    /// How many workers.
    pub workers: usize,
    /// A worker turns its driver at least once in so many polls.
    pub event_interval: u32,
    /// A worker looks at the queue from outside first once in so many polls; `None`: as often as its own polls take 200 µs.
    pub global_queue_interval: Option<u32>,
    /// A worker's own queue holds so many tasks before half of them overflow to the shared one.
    pub local_queue_len: usize,
    /// No slot for the task that was woken last: everything goes through the queue.
    pub disable_lifo_slot: bool,
    /// How many polls a class of tasks lets pass before it has its turn.
    pub patience: Patience,
    /// Seeds the random choices.
    pub seed: u64,
    /// What happens when a task panics.
    pub panic_policy: PanicPolicy,
    /// A waker that panics while the driver turns unwinds out of the `block_on` that runs it, when the turn is over.
    pub unwinds_wakers: bool,
    /// The user's hooks.
    pub hooks: Hooks,
    /// Told what holds virtual time back.
    pub watch: Arc<dyn Watch>,
    /// What the runtime measures of itself.
    pub insight: Arc<Insight>,
    /// Wakes who watches the workers.
    pub alarm: Arc<Alarm>,
    /// Between a worker's look at its core and whoever takes it away.
    pub barrier: Asymmetric,
    /// So many threads may be stuck without a core at once.
    pub spares_max: usize,
}

impl Config {
    /// A task is about to be spawned.
    #[inline(always)]
    pub(super) fn note_spawn(&self, info: &SpawnInfo) {
        if self.hooks.task_spawn.is_some() {
            // Made here, of what stays in registers: a reference to all of it would keep it in memory where nobody is told either, 40
            // instructions of a spawn.
            self.tell_spawn(TaskMeta::of_spawn(info));
        }
        if let Some(extras) = info.extra.get()
            && extras.boxed_bytes != 0
        {
            self.warn_of_size(TaskMeta::of_spawn(info), extras.boxed_bytes);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_spawn(&self, meta: TaskMeta<'_>) {
        if let Some(hook) = &self.hooks.task_spawn {
            hook(&meta);
        }
    }

    #[cold]
    #[inline(never)]
    fn warn_of_size(&self, meta: TaskMeta<'_>, bytes: usize) {
        let kind = WarningKind::LargeFuture { bytes };
        self.insight.warnings().add(Warning::new(
            kind,
            meta.id(),
            meta.name(),
            meta.spawned_at(),
        ));
    }

    /// Tells a worker what is to be done around polls and at wakes, from now on. Answers with it if it has changed.
    #[inline]
    pub(super) fn switch(&self, stats: &WorkerStats) -> Option<Switches> {
        stats.switch(self.insight.switches())
    }

    /// The scheduler is about to start.
    pub(super) fn prepare(&self) {
        if self.hooks.around_polls() {
            self.insight.set_hooked();
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            event_interval: 61,
            global_queue_interval: None,
            local_queue_len: 256,
            disable_lifo_slot: false,
            patience: Patience::default(),
            seed: 0x9e37_79b9_7f4a_7c15,
            panic_policy: PanicPolicy::Ignore,
            unwinds_wakers: false,
            hooks: Hooks::default(),
            watch: Arc::new(NoWatch),
            insight: Arc::default(),
            alarm: Arc::new(Alarm::none()),
            barrier: Asymmetric::full(),
            spares_max: 64,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("workers", &self.workers)
            .field("event_interval", &self.event_interval)
            .field("global_queue_interval", &self.global_queue_interval)
            .field("local_queue_len", &self.local_queue_len)
            .field("disable_lifo_slot", &self.disable_lifo_slot)
            .field("patience", &self.patience)
            .field("seed", &self.seed)
            .field("panic_policy", &self.panic_policy)
            .field("unwinds_wakers", &self.unwinds_wakers)
            .field("hooks", &self.hooks)
            .finish_non_exhaustive()
    }
}
