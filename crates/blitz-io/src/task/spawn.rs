//! A task on the runtime of this thread.

use blitz_exec::scheduler;
use blitz_exec::task::{BOX_FUTURE_ABOVE, JoinHandle, Priority, SpawnInfo};

use crate::context::{self, spans};

/// Spawns a task on the runtime of this thread, which runs it even if nobody awaits the handle.
///
/// The task begins to run when a worker gets to it; it is never polled inside of this call. On `thread_per_core`, a task
/// spawned by a task stays on its worker.
///
/// # Panics
/// If this thread is in no runtime.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let task = blitz_io::spawn(async { "done" });
/// assert_eq!(task.await.ok(), Some("done"));
///
/// let bad = blitz_io::spawn(async { panic!("a task's panic stays with its handle") });
/// assert!(bad.await.is_err_and(|error: blitz_io::task::JoinError| error.is_panic()));
/// # }
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_boxed_if_large(future, SpawnInfo::here())
}

/// Spawns a task of this priority on the runtime of this thread.
///
/// A worker that chooses what to poll next takes the most urgent that waits; what is less urgent has its turn after so many polls
/// of others ([`Builder::priority_aging`](crate::runtime::Builder::priority_aging)), so that nothing waits for ever. A poll is not
/// interrupted: a task that is to let others go first must come to an `.await` now and then. The task keeps its priority until it
/// [changes](super::set_priority) it; tasks that it spawns do not inherit it.
///
/// On `thread_per_core`, `current_thread` and a local runtime this orders the tasks of one worker; on `multi_thread` critical
/// tasks wait in one place for whichever worker is ready first.
///
/// # Panics
/// If this thread is in no runtime.
///
/// # Examples
/// ```
/// use blitz_io::task::{self, Priority};
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let (low, high) = (
///     task::spawn_with_priority(Priority::Low, async { task::priority() }),
///     task::spawn_with_priority(Priority::High, async { task::priority() }),
/// );
/// // The second one ran first.
/// assert_eq!(high.await.ok(), Some(Priority::High));
/// assert!(!low.is_finished());
/// assert_eq!(low.await.ok(), Some(Priority::Low));
/// # }
/// ```
#[track_caller]
pub fn spawn_with_priority<F>(priority: Priority, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_boxed_if_large(future, SpawnInfo::here().with_priority(priority))
}

/// Spawns a critical task on the runtime of this thread whose first poll goes ahead of everything that is queued.
///
/// If a worker of `multi_thread` sleeps it is woken at once, also from within a task; else whichever worker is done with its poll
/// first takes the task. From its second poll on it is [critical](Priority::Critical) like others. Where one urgent task follows
/// another, a task that has waited for longer than its class does ([`Builder::priority_aging`]) may go between them.
///
/// [`Builder::priority_aging`]: crate::runtime::Builder::priority_aging
///
/// # Panics
/// If this thread is in no runtime.
///
/// # Examples
/// ```
/// use blitz_io::task::{self, Priority};
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let critical = task::spawn_with_priority(Priority::Critical, async {});
/// let urgent = task::spawn_urgent(async { "first" });
/// assert_eq!(urgent.await.ok(), Some("first"));
/// # assert!(critical.await.is_ok());
/// # }
/// ```
#[track_caller]
pub fn spawn_urgent<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_boxed_if_large(future, SpawnInfo::here().urgent())
}

#[track_caller]
pub(crate) fn spawn_boxed_if_large<F>(future: F, mut info: SpawnInfo) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let future = spans::task(future, "task", &mut info);
    if size_of::<F>() > BOX_FUTURE_ABOVE {
        spawn_as(Box::pin(future), info.boxed(size_of::<F>()))
    } else {
        spawn_as(future, info)
    }
}

#[track_caller]
fn spawn_as<F>(future: F, info: SpawnInfo) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // Each by name: one call less for what is spawned to travel through.
    context::with_handle("spawn", |handle| match &handle.inner().scheduler {
        scheduler::Handle::Single(scheduler) => scheduler.spawn(future, info),
        scheduler::Handle::Multi(scheduler) => scheduler.spawn(future, info),
        scheduler::Handle::PerCore(workers) => match workers.here() {
            Some(here) => here.spawn(future, info),
            None => workers.spawn(future, info),
        },
    })
}
