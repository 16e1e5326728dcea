//! The pool: who may push, how many threads, and how it ends.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use blitz_core::primitive::sync::{Arc, Condvar, Mutex, MutexGuard};
use blitz_core::primitive::thread;
use blitz_core::quiet::quietly;

use super::Refused;
use super::job::{Call, Job, OneShot};
use crate::park::{NoWatch, ThreadHook, Watch, Watching};
use crate::task::{self, JoinHandle, Schedule, SpawnInfo};

/// What a thread is called whose name is not given.
const DEFAULT_NAME: &str = "blitz-io-worker";

/// Called on each new thread; what it answers lives as long as the thread.
pub type EnterHook = std::sync::Arc<dyn Fn() -> Box<dyn Any> + Send + Sync>;

/// What a pool is built with.
#[derive(Clone)]
pub struct PoolConfig {
    /// At most so many threads, workers of the scheduler included.
    pub threads_max: usize,
    /// A thread without work exits after this long.
    pub keep_alive: Duration,
    /// Asked on a thread whose keep-alive is over: whether it must stay all the same, for what ends with it.
    pub stays: Option<std::sync::Arc<dyn Fn() -> bool + Send + Sync>>,
    /// A thread's stack, in bytes; the standard library's choice if `None`.
    pub stack_size: Option<usize>,
    /// Names a thread as it starts, on the thread that starts it.
    pub name: std::sync::Arc<dyn Fn() -> String + Send + Sync>,
    /// Called on each thread before its first job.
    pub on_start: Option<ThreadHook>,
    /// Called on each thread after its last job.
    pub on_stop: Option<ThreadHook>,
    /// Puts each thread in its runtime.
    pub enter: Option<EnterHook>,
    /// At most so many calls wait for a thread; more are refused. No bound if `None`.
    pub queue_len_max: Option<usize>,
    /// Told what holds virtual time back.
    pub watch: std::sync::Arc<dyn Watch>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            threads_max: 512,
            keep_alive: Duration::from_secs(10),
            stays: None,
            stack_size: None,
            name: std::sync::Arc::new(|| DEFAULT_NAME.to_owned()),
            on_start: None,
            on_stop: None,
            enter: None,
            queue_len_max: None,
            watch: std::sync::Arc::new(NoWatch),
        }
    }
}

impl fmt::Debug for PoolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConfig")
            .field("threads_max", &self.threads_max)
            .field("keep_alive", &self.keep_alive)
            .field("stack_size", &self.stack_size)
            .field("queue_len_max", &self.queue_len_max)
            .finish_non_exhaustive()
    }
}

pub(super) struct Inner {
    pub(super) state: Mutex<State>,
    /// A job is reserved, or the pool shuts down.
    work: Condvar,
    /// The last thread left.
    pub(super) all_gone: Condvar,
    pub(super) config: PoolConfig,
    schedule: std::sync::Arc<dyn Schedule>,
    // Copies of the state's counts, for metrics.
    threads: AtomicUsize,
    idle: AtomicUsize,
    queued: AtomicUsize,
}

pub(super) struct State {
    queue: VecDeque<Job>,
    /// Threads that still take jobs.
    pub(super) threads: usize,
    /// Threads that have not yet run their last line.
    pub(super) alive: usize,
    /// Threads at rest that no job is reserved for.
    pub(super) idle: usize,
    /// Jobs whose thread is still in its wait.
    pub(super) reserved: usize,
    /// Threads that were called, by a reservation or by their start, and have not been at the queue yet.
    pub(super) coming: usize,
    /// Threads in the user's start hook, if there is one: they come too, but nobody knows when, so nobody counts on them.
    pub(super) starting: usize,
    /// Threads that have left the lock for a moment to call another one to a job that waits.
    pub(super) calling: usize,
    pub(super) shutdown: bool,
    /// Threads lent out beyond the limit: each stands in for one that is stuck.
    spares: usize,
    next_index: u64,
    pub(super) handles: Vec<(u64, thread::JoinHandle<()>)>,
    pub(super) last_exited: Option<thread::JoinHandle<()>>,
}

impl State {
    pub(super) fn pop(&mut self) -> Option<Job> {
        self.queue.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl Inner {
    /// Waits for a signal or the end of the keep-alive. Answers whether it was the latter.
    #[cfg(not(loom))]
    pub(super) fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        keep_alive: Duration,
    ) -> (MutexGuard<'a, State>, bool) {
        let waited = self.work.wait_timeout(state, keep_alive);
        let (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        (state, result.timed_out())
    }

    /// In a model no time passes: a keep-alive of zero is over whenever the thread runs next, any other never.
    #[cfg(loom)]
    pub(super) fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        keep_alive: Duration,
    ) -> (MutexGuard<'a, State>, bool) {
        if keep_alive.is_zero() {
            drop(state);
            thread::yield_now();
            return (self.state.lock(), true);
        }
        (
            self.work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            false,
        )
    }

    /// Calls a thread to the queue: one at rest, or else a new one while there may be more. Answers whether the caller is to
    /// notify one, when it has let go of the lock.
    ///
    /// `name` is what [`lock_to_summon`](Self::lock_to_summon) answered since the lock was taken last.
    pub(super) fn summon(
        pool: &Arc<Self>,
        state: &mut State,
        name: Option<String>,
    ) -> io::Result<bool> {
        if state.idle > 0 {
            state.idle -= 1;
            state.reserved += 1;
            state.coming += 1;
            pool.note_threads(state);
            return Ok(true);
        }
        if state.threads < pool.threads_max(state) {
            Self::start_thread(pool, state, name)?;
        }
        Ok(false)
    }

    /// Whether a thread that is called now would be a new one.
    pub(super) fn would_start(&self, state: &State) -> bool {
        state.idle == 0 && state.threads < self.threads_max(state)
    }

    fn threads_max(&self, state: &State) -> usize {
        self.config.threads_max.saturating_add(state.spares)
    }

    /// The lock, and a name for the thread that a `summon` would start then, made without the lock: it is the user's code.
    pub(super) fn lock_to_summon(
        &self,
        is_called_for: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'_, State>, Option<String>) {
        let mut name = None;
        loop {
            let state = self.state.lock();
            if name.is_some() || !is_called_for(&state) || !self.would_start(&state) {
                return (state, name);
            }
            drop(state);
            let mut made = String::new();
            // If that panics the thread goes without a name of its own.
            quietly(|| made = (self.config.name)());
            name = Some(made);
        }
    }

    fn start_thread(pool: &Arc<Self>, state: &mut State, name: Option<String>) -> io::Result<()> {
        let inner = Arc::clone(pool);
        let name = name.filter(|name| !name.is_empty() && !name.contains('\0'));
        let mut builder =
            thread::Builder::new().name(name.unwrap_or_else(|| DEFAULT_NAME.to_owned()));
        if let Some(bytes) = inner.config.stack_size {
            builder = builder.stack_size(bytes);
        }
        let index = state.next_index;
        // The new thread first waits for our lock, so it finds itself counted.
        let handle = builder.spawn(move || super::thread::run(&inner, index))?;
        state.next_index += 1;
        state.threads += 1;
        if pool.config.on_start.is_some() {
            state.starting += 1;
        } else {
            state.coming += 1;
        }
        state.alive += 1;
        state.handles.push((index, handle));
        pool.note_threads(state);
        Ok(())
    }

    /// Waits for the last thread's last line, no longer than `limit`.
    #[cfg(not(loom))]
    fn wait_gone<'a>(
        &self,
        state: MutexGuard<'a, State>,
        own: usize,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        let result = self
            .all_gone
            .wait_timeout_while(state, limit, |state| state.alive > own);
        result.unwrap_or_else(PoisonError::into_inner).0
    }

    /// In a model no time passes: the limit is over at once.
    #[cfg(loom)]
    fn wait_gone<'a>(
        &self,
        state: MutexGuard<'a, State>,
        _own: usize,
        _limit: Duration,
    ) -> MutexGuard<'a, State> {
        state
    }

    /// After `summon`, without the lock.
    pub(super) fn notify_one(&self) {
        self.work.notify_one();
    }

    pub(super) fn note_threads(&self, state: &State) {
        // ORDERING: Relaxed: read by metrics only.
        self.threads.store(state.threads, Relaxed);
        self.idle.store(state.idle, Relaxed);
    }

    pub(super) fn note_queue(&self, state: &State) {
        // ORDERING: Relaxed: read by metrics only.
        self.queued.store(state.queue.len(), Relaxed);
    }
}

/// Pushes jobs. Clones are cheap and all mean one pool.
#[derive(Clone)]
pub struct Spawner {
    inner: Arc<Inner>,
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner")
            .field("threads", &self.threads())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

impl Spawner {
    /// Runs `f` on a thread of the pool.
    ///
    /// If the pool shuts down, or its queue is full, the call is cancelled: the handle says so.
    ///
    /// # Panics
    /// If the pool has no thread and the system gives none.
    pub fn spawn_blocking<F, R>(&self, f: F, info: SpawnInfo) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_call(f, info, false).0
    }

    /// The same, but the call runs even if the pool shuts down before its turn. An error if it is not taken at all.
    pub fn spawn_mandatory<F, R>(&self, f: F, info: SpawnInfo) -> Result<JoinHandle<R>, Refused>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (handle, taken) = self.spawn_call(f, info, true);
        taken.map(|()| handle)
    }

    fn spawn_call<F, R>(
        &self,
        f: F,
        info: SpawnInfo,
        mandatory: bool,
    ) -> (JoinHandle<R>, Result<(), Refused>)
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (task, handle) = task::unowned(
            Call::new(f),
            std::sync::Arc::clone(&self.inner.schedule),
            info,
        );
        let watch = Watching::begin(&self.inner.config.watch);
        let job = Job::Call {
            task,
            mandatory,
            watch,
        };
        let Err((job, error)) = self.push(job, false) else {
            return (handle, Ok(()));
        };
        // Cancelled even if mandatory: nobody is left to run it.
        if let Job::Call { task, .. } = job {
            task.shutdown();
        }
        if let Some(error) = error {
            panic!("the system gives no thread for the blocking pool: {error}");
        }
        (handle, Err(Refused))
    }

    /// Runs a worker of the scheduler on a thread of the pool, for as long as it likes.
    ///
    /// # Errors
    /// If the pool has shut down, or if the system gives no thread: the work is dropped.
    pub fn spawn_worker(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.push_worker(work)
    }

    fn push_worker(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.push(Job::Worker(work), true).map_err(|(job, error)| {
            drop(job);
            error.unwrap_or_else(|| io::Error::other("the blocking pool has shut down"))
        })
    }

    /// Runs on a thread of the pool what stands in for a thread that is stuck: beyond the limit, and also while the pool shuts
    /// down, since the stuck one is waited for then. [`spare_is_back`](Self::spare_is_back) ends that.
    ///
    /// # Errors
    /// As [`spawn_worker`](Self::spawn_worker).
    pub fn spawn_spare(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.inner.state.lock().spares += 1;
        let pushed = self.push_worker(work);
        if pushed.is_err() {
            self.spare_is_back();
        }
        pushed
    }

    /// A thread that was stuck takes jobs again, or its stand-in was not needed.
    pub fn spare_is_back(&self) {
        self.inner.state.lock().spares -= 1;
    }

    /// `eager`: calls a thread for this very job, and fails if there is none to be had.
    fn push(&self, job: Job, eager: bool) -> Result<(), (Job, Option<io::Error>)> {
        let inner = &self.inner;
        let (mut state, name) = inner.lock_to_summon(|state| eager || state.coming == 0);
        let full = matches!(job, Job::Call { .. })
            && state.idle == 0
            && state.threads >= inner.threads_max(&state)
            && inner
                .config
                .queue_len_max
                .is_some_and(|max| state.queue.len() >= max);
        // A worker's core may change hands as long as there is a thread to come from.
        let ended = state.shutdown && (state.spares == 0 || !eager || state.alive == 0);
        if ended || full {
            drop(state);
            return Err((job, None));
        }
        if eager {
            // A worker's core is worth more than any call that waits for a thread.
            state.queue.push_front(job);
        } else {
            state.queue.push_back(job);
        }
        inner.note_queue(&state);
        if state.coming > 0 && !eager {
            // Whoever comes takes a job and calls the next thread, if there is more.
            return Ok(());
        }
        match Inner::summon(inner, &mut state, name) {
            Ok(notify) => {
                drop(state);
                if notify {
                    inner.work.notify_one();
                }
                Ok(())
            }
            // With other threads about, one of them takes the job later. Without, it is lost, and that must be said.
            Err(error) if eager || state.threads == 0 => {
                let job = if eager {
                    state.queue.pop_front()
                } else {
                    state.queue.pop_back()
                };
                inner.note_queue(&state);
                drop(state);
                match job {
                    Some(job) => Err((job, Some(error))),
                    None => Ok(()),
                }
            }
            Err(_) => Ok(()),
        }
    }

    /// How many threads there are, workers included.
    pub fn threads(&self) -> usize {
        // ORDERING: Relaxed: a snapshot for metrics.
        self.inner.threads.load(Relaxed)
    }

    /// How many threads wait for a job.
    pub fn idle_threads(&self) -> usize {
        // ORDERING: Relaxed: a snapshot for metrics.
        self.inner.idle.load(Relaxed)
    }

    /// How many jobs wait for a thread.
    pub fn queued(&self) -> usize {
        // ORDERING: Relaxed: a snapshot for metrics.
        self.inner.queued.load(Relaxed)
    }
}

/// The pool's one owner, who ends it.
#[derive(Debug)]
pub struct Pool {
    spawner: Spawner,
}

impl Pool {
    /// A pool without threads: they start with the jobs.
    pub fn new(config: PoolConfig) -> Self {
        let state = State {
            queue: VecDeque::new(),
            threads: 0,
            alive: 0,
            idle: 0,
            reserved: 0,
            coming: 0,
            starting: 0,
            calling: 0,
            shutdown: false,
            spares: 0,
            next_index: 0,
            handles: Vec::new(),
            last_exited: None,
        };
        let inner = Inner {
            state: Mutex::new(state),
            work: Condvar::new(),
            all_gone: Condvar::new(),
            config,
            schedule: std::sync::Arc::new(OneShot),
            threads: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
        };
        Self {
            spawner: Spawner {
                inner: Arc::new(inner),
            },
        }
    }

    /// What pushes jobs.
    pub fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Takes no more jobs, cancels those that have not begun, and waits for the threads: for ever without a `limit`, never
    /// longer than it with one. Answers whether every thread is gone.
    ///
    /// A thread that is in a call which cannot be interrupted is left to itself when the limit is over.
    pub fn shutdown(&self, limit: Option<Duration>) -> bool {
        let inner = &self.spawner.inner;
        // A runtime may be dropped by a blocking call of its own: that thread waits for the others.
        let own = usize::from(super::thread::is_of(inner));
        let mut state = inner.state.lock();
        state.shutdown = true;
        inner.work.notify_all();
        state = match limit {
            Some(limit) => inner.wait_gone(state, own, limit),
            None => {
                while state.alive > own {
                    state = inner
                        .all_gone
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                state
            }
        };
        if state.alive > own {
            return false;
        }
        let last = state.last_exited.take();
        drop(state);
        // It has run its last line: only its exit from the system remains, which nobody waits for who is in a hurry.
        if let (Some(last), None, 0) = (last, limit, own) {
            let _ = last.join();
        }
        true
    }
}
