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
            // Kept, it would hold whoever it wakes: on `current_thread` that is the scheduler, which holds this.
            let kept = self.waker.lock().take();
            drop(kept);
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    use super::Drain;

    struct Nothing;

    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }

    /// It would keep a `current_thread` runtime alive for ever, which the waker leads back to.
    #[test]
    fn no_waker_is_kept_after_the_end() {
        let drain = Drain::new();
        let woken = Arc::new(Nothing);
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(drain.poll(&mut cx, || false), Poll::Pending);
        assert_eq!(Arc::strong_count(&woken), 3);
        assert_eq!(drain.poll(&mut cx, || true), Poll::Ready(()));
        assert_eq!(Arc::strong_count(&woken), 2);
    }
}
