//! Tasks with a name or a priority.

use std::io;

use blitz_exec::task::{JoinHandle, Priority, SpawnInfo};

use super::{LocalSet, local_set, spawn_boxed_if_large};
use crate::context::{self, Handle, spans};

/// Spawns tasks that carry a name, for tools, logs and shutdown reports, or a priority.
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
    priority: Priority,
    urgent: bool,
}

impl<'a> Builder<'a> {
    /// A builder without a name, of normal priority.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task.
    #[must_use]
    pub fn name(&self, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..*self
        }
    }

    /// How urgent the task is; see [`spawn_with_priority`](super::spawn_with_priority). Default: [`Priority::Normal`].
    ///
    /// In a [`LocalSet`] it orders the tasks of the set among each other: beside the runtime's other tasks all of them are as
    /// urgent as the task that the set lies in. A blocking call has none: calls begin in the order in which they come.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Makes the task critical, and its first poll go ahead of everything that is queued; see
    /// [`spawn_urgent`](super::spawn_urgent).
    #[must_use]
    pub fn urgent(self) -> Self {
        Self {
            urgent: true,
            ..self
        }
    }

    #[track_caller]
    pub(super) fn info(&self) -> SpawnInfo {
        let mut info = SpawnInfo::here().with_priority(self.priority);
        if let Some(name) = self.name {
            info = info.named(name);
        }
        if self.urgent { info.urgent() } else { info }
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
        Ok(spawn_boxed_if_large(future, self.info()))
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
        Ok(handle.spawn_boxed_if_large(future, self.info()))
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
        let mut info = self.info();
        let f = spans::blocking(f, &mut info);
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
        let mut info = self.info();
        let f = spans::blocking(f, &mut info);
        Ok(handle.inner().blocking.spawn_blocking(f, info))
    }
}
