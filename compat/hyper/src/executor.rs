//! hyper's tasks, spawned on the runtime of the thread that asks.

use std::future::Future;

use hyper::rt::Executor;

/// Spawns with [`blitz_io::spawn`]: what hyper runs beside a connection of HTTP/2 goes to any worker.
///
/// # Panics
/// `execute` panics outside of a runtime.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BlitzExecutor {}

impl BlitzExecutor {
    /// An executor for whichever runtime it is used on.
    pub const fn new() -> Self {
        Self {}
    }
}

impl<F> Executor<F> for BlitzExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        // The task goes on without its handle.
        drop(blitz_io::spawn(future));
    }
}

/// Spawns with [`blitz_io::task::spawn_local`]: for services and bodies that are not `Send`, on a worker of `thread_per_core`, in a
/// `LocalRuntime` or in a `LocalSet`.
///
/// # Panics
/// `execute` panics in any other place.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BlitzLocalExecutor {}

impl BlitzLocalExecutor {
    /// An executor for whichever place it is used in.
    pub const fn new() -> Self {
        Self {}
    }
}

impl<F> Executor<F> for BlitzLocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        // The task goes on without its handle.
        drop(blitz_io::task::spawn_local(future));
    }
}
