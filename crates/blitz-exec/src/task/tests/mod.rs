//! Tests of tasks: a scheduler that queues and nothing else, and what its tasks do.

#[cfg(loom)]
mod models;
#[cfg(not(loom))]
mod panics;
#[cfg(not(loom))]
mod plain;
#[cfg(not(loom))]
mod stress;

use super::{Header, JoinHandle, Notified, OwnedTasks, Schedule, SpawnInfo};
use blitz_core::primitive::cell::UnsafeCell;
use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use blitz_core::waiting::Leaf;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// Queues what it is given; the test runs it.
pub(super) struct Queue {
    owned: OwnedTasks,
    tasks: Mutex<VecDeque<Notified>>,
    panics: Mutex<usize>,
    /// Who wants to be told of traced polls, and who was, a bit each. No lock helps the task's word to order them.
    sinks: AtomicUsize,
    told: AtomicUsize,
    /// Written when the scheduler goes, read while it is used: loom sees a use that is not before the end.
    alive: UnsafeCell<bool>,
}

// SAFETY: `alive` is written by `drop` alone.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            owned: OwnedTasks::new(1),
            tasks: Mutex::new(VecDeque::new()),
            panics: Mutex::new(0),
            sinks: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
            alive: UnsafeCell::new(true),
        })
    }

    fn assert_alive(&self) {
        // SAFETY: see `alive`.
        assert!(self.alive.with(|alive| unsafe { *alive }));
    }

    pub(super) fn spawn<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (handle, notified) = self.owned.bind(future, self.clone(), SpawnInfo::here());
        if let Some(notified) = notified {
            self.schedule(notified);
        }
        handle
    }

    pub(super) fn next(&self) -> Option<Notified> {
        self.tasks.lock().pop_front()
    }

    /// Runs one task; returns whether there was one.
    pub(super) fn run_one(&self) -> bool {
        let Some(task) = self.next() else {
            return false;
        };
        if let Some(again) = task.run() {
            self.tasks.lock().push_back(again);
        }
        true
    }

    /// Runs tasks until none is left; returns how many polls that took.
    pub(super) fn run_all(&self) -> usize {
        std::iter::from_fn(|| self.run_one().then_some(())).count()
    }

    /// Ends everything, as a runtime does.
    pub(super) fn shut_down(&self) {
        self.owned.close_and_shutdown_all(0);
        while let Some(task) = self.next() {
            drop(task);
        }
    }
}

impl Schedule for Queue {
    fn schedule(&self, task: Notified) {
        self.assert_alive();
        self.tasks.lock().push_back(task);
        self.assert_alive();
    }

    fn release(&self, task: &Header) -> bool {
        self.assert_alive();
        self.owned.remove(task)
    }

    fn traced(&self, _: &Header, _: Vec<Leaf>) {
        // ORDERING: Relaxed, both: the task's word is to order the first; the second is read after the threads have ended.
        self.told.fetch_or(self.sinks.load(Relaxed), Relaxed);
    }

    fn unhandled_panic(&self) {
        *self.panics.lock() += 1;
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: nobody else has the scheduler any more.
        self.alive.with_mut(|alive| unsafe { *alive = false });
    }
}

/// Where a future leaves its waker for the test.
#[derive(Clone, Default)]
pub(super) struct Wakers(Arc<Mutex<Vec<Waker>>>);

impl Wakers {
    pub(super) fn leave(&self, waker: &Waker) {
        let waker = waker.clone();
        self.0.lock().push(waker);
    }

    pub(super) fn take(&self) -> Waker {
        let waker = self.0.lock().pop();
        waker.expect("the future was polled")
    }
}
