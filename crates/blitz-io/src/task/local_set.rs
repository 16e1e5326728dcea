//! Tasks that are not `Send`, inside of one task.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_exec::scheduler::local;
use blitz_exec::task::{BOX_FUTURE_ABOVE, JoinHandle, SpawnInfo};
use pin_project_lite::pin_project;

use crate::context::{self, Id, UnhandledPanic, spans};

/// Spawns a task that need not be `Send`, on this thread.
///
/// It goes to the [`LocalSet`] that this thread is in; else to the [`LocalRuntime`](crate::runtime::LocalRuntime) or the
/// worker of `thread_per_core` that this thread runs.
///
/// # Panics
/// If there is none of these.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let set = blitz_io::task::LocalSet::new();
/// let len = set
///     .run_until(async {
///         let text = Rc::new("not Send");
///         blitz_io::task::spawn_local(async move { text.len() }).await
///     })
///     .await;
/// assert_eq!(len.ok(), Some(8));
/// # }
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_local_as(future, SpawnInfo::here())
}

#[track_caller]
pub(super) fn spawn_local_as<F>(future: F, mut info: SpawnInfo) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let future = spans::task(future, "local", &mut info);
    if size_of::<F>() > BOX_FUTURE_ABOVE {
        spawn_here(Box::pin(future), info.boxed(size_of::<F>()))
    } else {
        spawn_here(future, info)
    }
}

#[track_caller]
fn spawn_here<F>(future: F, info: SpawnInfo) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match local::spawn_here(future, info) {
        Ok(handle) => handle,
        Err((future, info)) => match context::try_handle() {
            Some(handle) => handle.spawn_local_as(future, info),
            None => context::no_local_place(),
        },
    }
}

/// A set of tasks that need not be `Send`. It is a future: awaiting it runs them, on the thread where it was made.
///
/// Tasks run while the set is awaited, or while [`run_until`](Self::run_until) or [`block_on`](Self::block_on) is.
///
/// # Cancel safety
/// The set may be awaited again: no task is lost.
///
/// # Examples
/// ```
/// use std::{cell::Cell, rc::Rc};
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let set = blitz_io::task::LocalSet::new();
/// let count = Rc::new(Cell::new(0));
/// for _ in 0..3 {
///     let count = Rc::clone(&count);
///     set.spawn_local(async move { count.set(count.get() + 1) });
/// }
/// set.await;
/// assert_eq!(count.get(), 3);
/// # }
/// ```
pub struct LocalSet {
    tasks: local::LocalSet,
    id: Id,
}

impl Default for LocalSet {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalSet {
    /// An empty set.
    pub fn new() -> Self {
        Self {
            tasks: local::LocalSet::new(),
            id: Id::next(),
        }
    }

    /// The set's number: no other set or runtime has it.
    pub fn id(&self) -> Id {
        self.id
    }

    /// While the guard lives, [`spawn_local`] on this thread spawns in this set. The tasks run when the set is awaited.
    pub fn enter(&self) -> LocalEnterGuard {
        LocalEnterGuard {
            _entered: self.tasks.enter(),
        }
    }

    /// Spawns a task in the set. It runs when the set is awaited.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn_as(future, SpawnInfo::here())
    }

    pub(super) fn spawn_as<F>(&self, future: F, mut info: SpawnInfo) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let future = spans::task(future, "local", &mut info);
        if size_of::<F>() > BOX_FUTURE_ABOVE {
            self.tasks
                .spawn_local(Box::pin(future), info.boxed(size_of::<F>()))
        } else {
            self.tasks.spawn_local(future, info)
        }
    }

    /// Polls `future` inside of the set, and the set's tasks meanwhile, until the future is ready.
    ///
    /// # Cancel safety
    /// The set's tasks are kept and run when the set is awaited again; `future` is dropped.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        RunUntil {
            set: &self.tasks,
            future,
        }
        .await
    }

    /// What happens when one of the set's tasks panics. Default: its handle tells, and the others go on.
    ///
    /// # Panics
    /// If the set has tasks already, or this thread has [entered](Self::enter) it.
    #[track_caller]
    pub fn unhandled_panic(&mut self, policy: UnhandledPanic) -> &mut Self {
        assert!(
            self.tasks.set_panic_policy(policy.into()),
            "Unhandled Panic behavior modified after starting LocalSet: call `unhandled_panic` before anything is spawned in it"
        );
        self
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.tasks.poll_tasks(cx)
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tasks.fmt(f)
    }
}

pin_project! {
    struct RunUntil<'a, F> {
        set: &'a local::LocalSet,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for RunUntil<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.set.poll_until(cx, |cx| this.future.poll(cx))
    }
}

/// Keeps this thread in a [`LocalSet`]: see [`LocalSet::enter`].
#[derive(Debug)]
pub struct LocalEnterGuard {
    _entered: local::Entered,
}
