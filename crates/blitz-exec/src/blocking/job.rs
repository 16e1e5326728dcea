//! What a thread of the pool runs.

use std::pin::Pin;
use std::task::{Context, Poll};

use blitz_core::budget;
use blitz_core::waiting;

use crate::park::Watching;
use crate::task::{Header, Notified, Schedule};

/// The pool took no job: it shuts down, or its queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// One thing to run.
pub(super) enum Job {
    /// A closure somebody waits for, as a task that is polled once.
    Call {
        task: Notified,
        /// Runs even when the pool shuts down.
        mandatory: bool,
        /// Time does not jump while the call waits or runs.
        watch: Watching,
    },
    /// A worker of the scheduler: always run, since it ends by itself at shutdown.
    Worker(Box<dyn FnOnce() + Send>),
}

impl Job {
    pub(super) fn run(self) {
        match self {
            Job::Call { task, watch, .. } => {
                // A pool that shuts down may do so inside of a task.
                let _out = waiting::step_out();
                let again = task.run();
                debug_assert!(
                    again.is_none(),
                    "a blocking call is ready at its first poll"
                );
                drop(watch);
            }
            Job::Worker(work) => work(),
        }
    }

    /// The pool shuts down: runs what must run, cancels the rest.
    pub(super) fn shut_down(self) {
        match self {
            Job::Call {
                task,
                mandatory: false,
                watch,
            } => {
                task.shutdown();
                drop(watch);
            }
            must_run => must_run.run(),
        }
    }
}

/// A closure as a future that is ready at its first poll.
pub(super) struct Call<F>(Option<F>);

impl<F> Call<F> {
    pub(super) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

// The closure is moved out before it runs, never pinned.
impl<F> Unpin for Call<F> {}

impl<F: FnOnce() -> R, R> Future for Call<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<R> {
        let Some(f) = self.0.take() else {
            panic!("a blocking call was polled after it had ended")
        };
        // A blocking call has no budget: it may take as long as it likes.
        budget::stop();
        Poll::Ready(f())
    }
}

/// The scheduler of a blocking call: it is run once, by the thread that took it, and never woken.
pub(super) struct OneShot;

impl Schedule for OneShot {
    fn schedule(&self, _task: Notified) {
        unreachable!("a blocking call is polled once, so nothing can wake it");
    }

    fn release(&self, _task: &Header) -> bool {
        false
    }
}
