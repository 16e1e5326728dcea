//! The end of a driver: everyone is told, and the kernel lets go of what it was given.

use std::time::{Duration, Instant};

use blitz_sys::completion::{self, Entered};

use crate::engine::Ring;
use crate::submission::Submission;
use crate::turn::Driver;

/// How long one step of a shutdown waits for the kernel before it looks at the clock again.
const DRAIN_STEP: Duration = Duration::from_millis(50);

impl Driver {
    /// Tells everyone who waits that it is over, cancels what is in flight and waits until the kernel has let go of it.
    ///
    /// What the kernel does not let go of within the limit is leaked, with its buffers. Idempotent.
    pub fn shutdown(&mut self) {
        if std::mem::replace(&mut self.is_down, true) {
            return;
        }
        if self.handle.0.process.is_foreign() {
            // The parent's ring, and locks that some thread of the parent may hold: leave all of it alone.
            std::mem::forget(self.handle.clone());
            return;
        }
        self.close();
        if !self.drain() {
            self.handle.submission().leak();
            // The ring's memory must outlive what is in flight: one more owner that never goes.
            std::mem::forget(self.handle.clone());
        }
        let mut submission = self.handle.submission();
        let Submission { ring, ops, .. } = &mut *submission;
        if let Some(ring) = ring {
            ops.release(ring);
        }
        let ring = submission.ring.take();
        drop(submission);
        drop(ring);
        self.outbox.finish();
    }

    fn close(&mut self) {
        let shared = &*self.handle.0;
        let mut submission = shared.submission.lock();
        submission.closed = true;
        submission.ops.close();
        submission.close_sources(&mut self.outbox);
        let mut cancels = Vec::new();
        submission.ops.cancel_all(&mut cancels);
        for sqe in cancels {
            // SAFETY: a cancellation names no memory.
            unsafe { submission.push(sqe) };
        }
        if let Some(ring) = &self.engine.ring {
            ring.bell.silence(&mut submission);
        }
        drop(submission);
        self.outbox.finish();
        shared.timers.shutdown();
    }

    /// True once nothing is in flight any more.
    fn drain(&mut self) -> bool {
        let begun = Instant::now();
        let mut step = DRAIN_STEP;
        loop {
            let Some(Ring {
                completions, bell, ..
            }) = &mut self.engine.ring
            else {
                return true;
            };
            let mut submission = self.handle.submission();
            while let Some(sqe) = submission.ops.pop_pending() {
                // SAFETY: the operations keep what their entries name until the last answer.
                unsafe { submission.push(sqe) };
            }
            let (to_submit, all_fit) = submission.fill();
            let sends = submission.ops.enter_sends();
            let in_flight = submission.ops.in_flight() != 0
                || !submission.sources.is_empty()
                || bell.is_set()
                || to_submit != 0
                || sends != 0;
            if let Some(ring) = &submission.ring
                && completion::enable(ring).is_err()
            {
                return false;
            }
            drop(submission);
            if !in_flight {
                return true;
            }
            if begun.elapsed() >= self.drain_limit {
                return false;
            }
            let limit = if all_fit && sends == 0 {
                step
            } else {
                Duration::ZERO
            };
            step = match completions.enter(to_submit, Some(limit)) {
                Entered::Failed(_) => return false,
                Entered::Busy => Duration::ZERO,
                _ => DRAIN_STEP,
            };
            let taken = self.deliver();
            if sends != 0 {
                self.settle_sends(taken);
            }
        }
    }
}
