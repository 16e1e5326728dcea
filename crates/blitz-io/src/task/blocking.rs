//! Calls that block.

use blitz_exec::scheduler;
use blitz_exec::task::{JoinHandle, SpawnInfo};

use crate::context::{self, spans};

/// Runs `f`, which may block, on a thread of the blocking pool.
///
/// A call that has begun cannot be cancelled: dropping or aborting the handle does not stop it. One that waits for a thread
/// can. The runtime's shutdown waits for calls that have begun, up to the limit given there.
///
/// # Panics
/// If this thread is in no runtime.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() {
/// let sum = blitz_io::task::spawn_blocking(|| (1..=1_000_u64).sum::<u64>());
/// assert_eq!(sum.await.ok(), Some(500_500));
/// # }
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let mut info = SpawnInfo::here();
    let f = spans::blocking(f, &mut info);
    context::with_handle("spawn_blocking", |handle| {
        handle.inner().blocking.spawn_blocking(f, info)
    })
}

/// Runs `f`, which blocks, on this thread, while another one goes on with this worker's tasks, sockets and timers.
///
/// For `multi_thread`. Other branches of the same task (`join!`, `select!`) wait all the same. Outside of a runtime it just
/// calls `f`.
///
/// # Panics
/// In a task of `current_thread`, `thread_per_core`, a `LocalRuntime` or a `LocalSet`: nobody else could run their tasks.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "multi_thread", worker_threads = 1)]
/// # async fn main() {
/// let read = blitz_io::spawn(async { blitz_io::task::block_in_place(|| std::env::args().count()) });
/// assert!(read.await.is_ok());
/// # }
/// ```
#[track_caller]
pub fn block_in_place<F, R>(f: F) -> R
where
    F: FnOnce() -> R,
{
    // This thread blocks without a core: paused time waits for it, as long as it does not wait itself.
    let _blocking = context::blocking();
    scheduler::block_in_place(f)
}
