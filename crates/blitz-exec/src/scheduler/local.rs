//! `!Send` tasks that run inside of one task, on one thread: `LocalSet`.
//!
//! The set is a future. When it is polled it runs its tasks for a while; a wake from its own thread during that poll goes
//! to the run queue, any other goes to the inbox and wakes whoever polls the set. Priorities order the tasks of one set among
//! each other; beside the rest of the runtime all of them have that of the task that the set lies in.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use blitz_core::budget;
use blitz_core::primitive::sync::atomic::AtomicBool;
use blitz_core::primitive::sync::atomic::Ordering::Relaxed;
use blitz_core::queue::mpsc::Inbox;
use blitz_core::waiting;
use blitz_core::wake::WakeSlot;

use super::aging::Patience;
use super::classes::{Classes, Next};
use super::config::PanicPolicy;
use crate::task::{Header, JoinHandle, Notified, OwnedTasks, Schedule, SpawnInfo};

/// So many tasks run in one poll of the set, before the task that it lies in yields.
const POLLS_PER_TURN: usize = 61;

blitz_core::thread_local_const! {
    // No destructor: reading it is one load. Null, or from `Rc::into_raw`: the count is the thread-local's, so that the context
    // outlives guards which are dropped in any order, or never.
    static CURRENT: Cell<*const Context> = Cell::new(ptr::null());
}

/// What wakers on other threads know of a set.
struct Shared {
    inbox: Inbox<Notified>,
    /// Who polls the set.
    waker: WakeSlot,
    owned: OwnedTasks,
    /// Set by the owner before there is any task.
    panic_policy: PanicPolicy,
    panicked: AtomicBool,
}

/// The set as its own thread sees it.
struct Context {
    shared: Arc<Shared>,
    /// Touched by the set's thread only, and never while foreign code runs.
    queue: UnsafeCell<Classes>,
    /// The set is polled now, so a task that is queued will be seen without a wake.
    polled: Cell<bool>,
}

impl Context {
    /// Calls `f` with the run queue. `f` runs no foreign code.
    #[inline]
    fn with_queue<R>(&self, f: impl FnOnce(&mut Classes) -> R) -> R {
        // SAFETY: a context is not `Sync` and only its thread gets here; `f` runs no foreign code and this function is the
        // only way to the queue, so no second borrow is alive.
        f(unsafe { &mut *self.queue.get() })
    }
}

#[inline]
fn with_context<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    let current = CURRENT.with(Cell::get);
    // SAFETY: the pointer is null, or leads to a context that the thread-local's own count keeps alive. Only guards replace
    // it, and `f`, which is this file's, makes and drops none.
    unsafe { current.as_ref() }.map(f)
}

impl Schedule for Shared {
    fn schedule(&self, task: Notified) {
        // Nobody tells a set the time.
        task.header().place().notify(0);
        let mut task = Some(task);
        let polled = with_context(|context| {
            if ptr::eq(&*context.shared, self) {
                context.with_queue(|queue| {
                    if let Some(task) = task.take() {
                        queue.push(task);
                    }
                });
                return context.polled.get();
            }
            false
        });
        match task {
            None if polled == Some(true) => {}
            None => self.waker.wake(),
            Some(task) => {
                // A closed inbox: the set is gone, and the task with it.
                if let Ok(true) = self.inbox.push(task) {
                    self.waker.wake();
                }
            }
        }
    }

    fn release(&self, task: &Header) -> bool {
        self.owned.remove(task)
    }

    fn unhandled_panic(&self) {
        if self.panic_policy == PanicPolicy::Shutdown {
            // ORDERING: Relaxed: the set's tasks are polled by the thread that polls the set.
            self.panicked.store(true, Relaxed);
            self.waker.wake();
        }
    }
}

/// A set of `!Send` tasks. Not `Send` itself: it is polled and dropped where it was made.
pub struct LocalSet {
    context: Rc<Context>,
}

impl Default for LocalSet {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalSet {
    /// An empty set.
    pub fn new() -> Self {
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            waker: WakeSlot::new(),
            owned: OwnedTasks::new(1),
            panic_policy: PanicPolicy::Ignore,
            panicked: AtomicBool::new(false),
        });
        let context = Context {
            shared,
            queue: UnsafeCell::new(Classes::new(Patience::default())),
            polled: Cell::new(false),
        };
        Self {
            context: Rc::new(context),
        }
    }

    /// What happens when one of its tasks panics. False, and all stays as it was, if there are tasks or a guard leads here.
    pub fn set_panic_policy(&mut self, policy: PanicPolicy) -> bool {
        let context = Rc::get_mut(&mut self.context);
        let shared = context.and_then(|context| Arc::get_mut(&mut context.shared));
        shared.is_some_and(|shared| {
            shared.panic_policy = policy;
            true
        })
    }

    /// Spawns a task in the set; it runs when the set is polled.
    pub fn spawn_local<F>(&self, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_in(&self.context, future, info)
    }

    /// While the guard lives, `spawn_local` on this thread spawns in this set.
    pub fn enter(&self) -> Entered {
        Entered::new(Some(Rc::clone(&self.context)))
    }

    /// Polls `future` and then the tasks, all inside of this set. `Ready` only if the future is.
    pub fn poll_until<R>(
        &self,
        cx: &mut task::Context<'_>,
        future: impl FnOnce(&mut task::Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let _entered = self.enter();
        let _polled = Polled::begin(&self.context);
        let _no_blocking = budget::forbid_block();
        self.context.shared.waker.register(cx.waker());
        if let Poll::Ready(output) = future(cx) {
            if !self.context.with_queue(|queue| queue.is_empty()) {
                // Queued during this poll, so without a wake: whoever else awaits the set is to run them.
                self.context.shared.waker.wake();
            }
            return Poll::Ready(output);
        }
        if self.run_some() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Runs tasks for a while. `Ready` once none is left.
    pub fn poll_tasks(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        let _entered = self.enter();
        let _polled = Polled::begin(&self.context);
        let _no_blocking = budget::forbid_block();
        self.context.shared.waker.register(cx.waker());
        if self.run_some() {
            cx.waker().wake_by_ref();
            Poll::Pending
        } else if self.context.shared.owned.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Answers whether tasks are still queued.
    fn run_some(&self) -> bool {
        let (context, shared) = (&*self.context, &*self.context.shared);
        // The set is polled in a task, mostly.
        let _out = waiting::step_out();
        for _ in 0..POLLS_PER_TURN {
            // ORDERING: Relaxed: see `unhandled_panic`.
            if shared.panicked.load(Relaxed) {
                shared.owned.close_and_shutdown_all(0);
                panic!(
                    "a spawned task panicked and the LocalSet is configured to shutdown on unhandled panic"
                );
            }
            let inbox = shared.inbox.take();
            let next = context.with_queue(|queue| {
                queue.sort_in(inbox);
                queue.next(false, true)
            });
            let Next::Run(task) = next else { return false };
            if let Some(task) = budget::with_budget(|| task.run()) {
                context.with_queue(|queue| queue.push(task));
            }
        }
        true
    }
}

fn spawn_in<F>(context: &Rc<Context>, future: F, info: SpawnInfo) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let scheduler: Arc<dyn Schedule> = Arc::<Shared>::clone(&context.shared);
    // SAFETY: a set and its context stay on one thread (`Rc`); tasks are run by `run_some` and ended by `drop`, both of
    // which need the set.
    let (handle, task) = unsafe { context.shared.owned.bind_local(future, scheduler, info) };
    if let Some(task) = task {
        task.header().place().notify(0);
        context.with_queue(|queue| queue.push(task));
        if !context.polled.get() {
            context.shared.waker.wake();
        }
    }
    handle
}

#[allow(
    clippy::result_large_err,
    reason = "the future comes back by value; it is moved either way"
)]
/// Spawns in the set that this thread is in. Gives the future back if it is in none.
///
/// # Errors
/// The future and its information, unspawned.
pub fn spawn_here<F>(future: F, info: SpawnInfo) -> Result<JoinHandle<F::Output>, (F, SpawnInfo)>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let current = CURRENT.with(Cell::get);
    if current.is_null() {
        return Err((future, info));
    }
    // The thread-local holds a count; this takes one more for the time of the call.
    // SAFETY: the pointer came from `Rc::into_raw`, and its count is not given back yet.
    unsafe { Rc::increment_strong_count(current) };
    // SAFETY: this takes over the count made above.
    let context = unsafe { Rc::from_raw(current) };
    Ok(spawn_in(&context, future, info))
}

/// Whether this thread is in a set.
pub fn is_entered() -> bool {
    with_context(|_| ()).is_some()
}

/// Calls `f` as if this thread were in no set.
pub fn outside<R>(f: impl FnOnce() -> R) -> R {
    let _out = Entered::new(None);
    f()
}

/// Keeps this thread in a set, or in none, and puts back what was there before.
pub struct Entered {
    /// What the thread-local held, count and all.
    before: *const Context,
    _not_send: PhantomData<*mut ()>,
}

impl Entered {
    fn new(context: Option<Rc<Context>>) -> Self {
        let new = context.map_or(ptr::null(), Rc::into_raw);
        Self {
            before: CURRENT.with(|current| current.replace(new)),
            _not_send: PhantomData,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let left = CURRENT.with(|current| current.replace(self.before));
        if !left.is_null() {
            // SAFETY: what the thread-local held came from `Rc::into_raw`, and its count is now ours.
            drop(unsafe { Rc::from_raw(left) });
        }
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entered")
    }
}

/// The set is polled until this is dropped.
struct Polled<'a> {
    context: &'a Context,
    before: bool,
}

impl<'a> Polled<'a> {
    fn begin(context: &'a Context) -> Self {
        Self {
            context,
            before: context.polled.replace(true),
        }
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.context.polled.set(self.before);
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        let _entered = self.enter();
        // What the tasks drop is no more at liberty to block than they were.
        let _no_blocking = budget::forbid_block();
        let shared = &self.context.shared;
        shared.owned.close_and_shutdown_all(0);
        // What dropped futures woke last: references only.
        drop(shared.inbox.close());
        let rest = self.context.with_queue(Classes::take_all);
        drop(rest);
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet")
            .field("tasks", &self.context.shared.owned.len())
            .finish()
    }
}
