//! A runtime of one thread, whose tasks need not be `Send`.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use blitz_exec::task::JoinHandle;

use crate::task::LocalSet;

use super::{Builder, EnterGuard, Handle, Runtime, RuntimeMetrics};

impl LocalSet {
    /// Polls `future` and the set's tasks on this thread, in `runtime`, until the future is ready.
    ///
    /// # Panics
    /// As [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on(self.run_until(future))
    }
}

/// Options of [`Builder::build_local`]. There are none yet.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LocalOptions {
    _not_send_or_sync: PhantomData<*mut ()>,
}

/// A `current_thread` runtime that stays on the thread where it was made, so that its tasks need not be `Send`.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use blitz_io::runtime::LocalRuntime;
/// # fn main() -> std::io::Result<()> {
/// let runtime = LocalRuntime::new()?;
/// let text = Rc::new("only here");
/// let len = runtime.block_on(async {
///     let text = Rc::clone(&text);
///     blitz_io::task::spawn_local(async move { text.len() }).await
/// });
/// assert_eq!(len.ok(), Some(9));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LocalRuntime {
    runtime: Runtime,
    _not_send_or_sync: PhantomData<*mut ()>,
}

impl LocalRuntime {
    /// A local runtime with everything on and every limit at its default.
    ///
    /// # Errors
    /// If the system refuses a descriptor or the kernel's queues.
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
    }

    pub(super) fn from_runtime(runtime: Runtime) -> Self {
        Self {
            runtime,
            _not_send_or_sync: PhantomData,
        }
    }

    /// A handle, which may be cloned and sent about; from other threads it spawns `Send` tasks.
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Spawns a task on this thread.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.runtime.handle().spawn_local(future)
    }

    /// Runs a call that blocks on a thread of its own; see [`Handle::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.runtime.spawn_blocking(f)
    }

    /// Polls `future`, the tasks and the driver on this thread until the future is ready.
    ///
    /// # Panics
    /// If the future does, or if this thread already runs a runtime's tasks.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Puts this thread in the runtime; see [`Handle::enter`].
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// A look at the runtime's figures.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.runtime.metrics()
    }

    /// Ends the runtime and waits for its blocking threads, `limit` at most; see [`Runtime::shutdown_timeout`].
    ///
    /// # Panics
    /// In async code, unless `limit` is zero.
    pub fn shutdown_timeout(self, limit: Duration) {
        self.runtime.shutdown_timeout(limit);
    }

    /// Ends the runtime and waits for nothing.
    pub fn shutdown_background(self) {
        self.runtime.shutdown_background();
    }
}
