//! Tasks with a name.

use std::io;

use blitz_exec::task::{BOX_FUTURE_ABOVE, JoinHandle, SpawnInfo};

use super::{LocalSet, local_set, spawn_as};
use crate::context::{self, Handle};

/// Spawns tasks that carry a name, for tools, logs and shutdown reports.
///
/// # Examples
/// ```
/// # #[blitz_io::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let task = blitz_io::task::Builder::new().name("greeter").spawn(async { "hello" })?;
/// assert_eq!(task.await.ok(), Some("hello"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// A builder without a name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task.
    #[must_use]
    pub fn name(self, name: &'a str) -> Self {
        Self { name: Some(name) }
    }

    #[track_caller]
    pub(super) fn info(&self) -> SpawnInfo {
        let mut info = SpawnInfo::here();
        info.name = self.name.map(Box::from);
        info
    }

    /// Spawns on the runtime of this thread.
    ///
    /// # Errors
    /// None today.
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let info = self.info();
        Ok(if size_of::<F>() > BOX_FUTURE_ABOVE {
            spawn_as(Box::pin(future), info.boxed(size_of::<F>()))
        } else {
            spawn_as(future, info)
        })
    }

    /// Spawns on the runtime of `handle`.
    ///
    /// # Errors
    /// None today.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let info = self.info();
        Ok(if size_of::<F>() > BOX_FUTURE_ABOVE {
            handle.spawn_as(Box::pin(future), info.boxed(size_of::<F>()))
        } else {
            handle.spawn_as(future, info)
        })
    }

    /// Spawns a task that need not be `Send` on this thread; see [`spawn_local`](super::spawn_local).
    ///
    /// # Errors
    /// None today.
    ///
    /// # Panics
    /// If this thread is in no `LocalSet`, and does not run the local tasks of its runtime.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(local_set::spawn_local_as(future, self.info()))
    }

    /// Spawns in `set` a task that need not be `Send`.
    ///
    /// # Errors
    /// None today.
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, set: &LocalSet) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(set.spawn_as(future, self.info()))
    }

    /// Runs a call that blocks on the pool of this thread's runtime.
    ///
    /// # Errors
    /// None today.
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, f: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let info = self.info();
        Ok(context::with_handle(
            "task::Builder::spawn_blocking",
            |handle| handle.inner().blocking.spawn_blocking(f, info),
        ))
    }

    /// Runs a call that blocks on the pool of `handle`'s runtime.
    ///
    /// # Errors
    /// None today.
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, f: F, handle: &Handle) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        Ok(handle.inner().blocking.spawn_blocking(f, self.info()))
    }
}
