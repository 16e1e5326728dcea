//! Tells one waiter that tasks end: `shutdown_graceful` waits here for the last one.

use std::task::{Context, Poll, Waker};

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::SeqCst;
use blitz_core::primitive::sync::atomic::{AtomicBool, fence};

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
        Self { watched: AtomicBool::new(false), waker: Mutex::new(None) }
    }

    /// From now on each task's end wakes who waits. Before this call nothing may be missed that comes after it.
    pub fn watch(&self) {
        self.watched.store(true, SeqCst);
    }

    /// Ready once `done` holds; `done` is looked at again after each task's end.
    pub fn poll(&self, cx: &mut Context<'_>, done: impl Fn() -> bool) -> Poll<()> {
        self.watch();
        let old = self.waker.lock().replace(cx.waker().clone());
        drop(old);
        // ORDERING: pairs with the fence in `task_gone`: we store the waker and then look at the tasks, it removes a task
        // and then looks for us. One of us sees the other.
        fence(SeqCst);
        if done() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// A task has left the list of owned ones.
    pub fn task_gone(&self) {
        // A locked list orders the two sides as well: whoever counts the tasks takes the lock under which one was removed.
        if self.watched.load(std::sync::atomic::Ordering::Relaxed) {
            fence(SeqCst);
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
