//! Tasks of a set with a name or a priority.

use std::io;

use blitz_exec::task::AbortHandle;

use super::JoinSet;
use crate::context::Handle;
use crate::task::{self, LocalSet, Priority};

/// Spawns a task with a name or a priority in a [`JoinSet`]: see [`JoinSet::build_task`].
#[must_use = "a builder spawns nothing by itself"]
#[derive(Debug)]
pub struct Builder<'a, T> {
    set: &'a mut JoinSet<T>,
    builder: task::Builder<'a>,
}

impl<'a, T: 'static> Builder<'a, T> {
    pub(super) fn new(set: &'a mut JoinSet<T>) -> Self {
        Self {
            set,
            builder: task::Builder::new(),
        }
    }

    /// Names the task.
    pub fn name(self, name: &'a str) -> Self {
        Self {
            builder: self.builder.name(name),
            ..self
        }
    }

    /// How urgent the task is: see [`task::Builder::priority`].
    pub fn priority(self, priority: Priority) -> Self {
        Self {
            builder: self.builder.priority(priority),
            ..self
        }
    }

    /// Makes the task critical and its first poll go ahead of what is queued: see [`task::Builder::urgent`].
    pub fn urgent(self) -> Self {
        Self {
            builder: self.builder.urgent(),
            ..self
        }
    }

    /// Spawns on the runtime of this thread.
    ///
    /// # Errors
    /// None today.
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn(future)?))
    }

    /// Spawns on the runtime of `handle`.
    ///
    /// # Errors
    /// None today.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn_on(future, handle)?))
    }

    /// Runs a call that blocks on the pool of this thread's runtime.
    ///
    /// # Errors
    /// None today.
    ///
    /// # Panics
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(self, f: F) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn_blocking(f)?))
    }

    /// Runs a call that blocks on the pool of `handle`'s runtime.
    ///
    /// # Errors
    /// None today.
    #[track_caller]
    pub fn spawn_blocking_on<F>(self, f: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        Ok(self.set.insert(self.builder.spawn_blocking_on(f, handle)?))
    }

    /// Spawns a task that need not be `Send` on this thread.
    ///
    /// # Errors
    /// None today.
    ///
    /// # Panics
    /// As [`spawn_local`](task::spawn_local).
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self.set.insert(self.builder.spawn_local(future)?))
    }

    /// Spawns in both sets a task that need not be `Send`.
    ///
    /// # Errors
    /// None today.
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local_set: &LocalSet) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        Ok(self
            .set
            .insert(self.builder.spawn_local_on(future, local_set)?))
    }
}
