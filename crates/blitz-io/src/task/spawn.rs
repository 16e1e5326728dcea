//! A task on the runtime of this thread.

use blitz_exec::scheduler;
use blitz_exec::task::{BOX_FUTURE_ABOVE, JoinHandle, SpawnInfo};

use crate::context;

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
    let info = SpawnInfo::here();
    if size_of::<F>() > BOX_FUTURE_ABOVE {
        spawn_as(Box::pin(future), info.boxed(size_of::<F>()))
    } else {
        spawn_as(future, info)
    }
}

#[track_caller]
pub(crate) fn spawn_as<F>(future: F, info: SpawnInfo) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    context::with_handle("spawn", |handle| match &handle.inner().scheduler {
        scheduler::Handle::PerCore(workers) => match workers.here() {
            Some(here) => here.spawn(future, info),
            None => workers.spawn(future, info),
        },
        scheduler => scheduler.spawn(future, info),
    })
}
