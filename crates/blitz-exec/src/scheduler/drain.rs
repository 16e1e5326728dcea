//! Tells one waiter that tasks end: `shutdown_graceful` waits here for the last one.

use std::task::{Context, Poll, Waker};

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Off, and then nearly free, until somebody waits.
#[derive(Debug)]
pub struct Drain {
    watched: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Self {
            watched: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// Ready once `done` holds; `done`, which takes the locks of the lists of tasks, is called again after each task's end.
    pub fn poll(&self, cx: &mut Context<'_>, done: impl Fn() -> bool) -> Poll<()> {
        let new = cx.waker().clone();
        let old = self.waker.lock().replace(new);
        drop(old);
        // ORDERING: Relaxed: `done` counts the tasks under the locks of their lists, and a task is removed under such a lock
        // before `task_gone` is called. If the removal comes second, the lock shows it what we stored; if first, `done`
        // does not count the task.
        self.watched.store(true, Relaxed);
        if done() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// A task has left its list.
    pub fn task_gone(&self) {
        // ORDERING: Relaxed: see `poll`.
        if self.watched.load(Relaxed) {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
