//! What the completion face asks of a driver's submission side and its table.

use blitz_core::slab::Key;
use blitz_sys::completion::{Opcode, Sqe};

use crate::flight::{BufferPool, Delivery, Group};
use crate::shared::Handle;
use crate::submission::Submission;
use crate::tag;

impl Submission {
    /// Queues the entry of the stream under `key`.
    pub(super) fn arm_many(&mut self, key: Key, entry: Sqe) {
        if self.ops.many(key).0.arm() {
            self.counted.rearmed += 1;
        }
        self.ops.count_armed(key);
        // SAFETY: a multishot entry names no memory but the provided buffers, which outlive the ring.
        unsafe { self.push(entry.user_data(tag::with(tag::OPERATION, key.into_raw()))) };
    }

    /// Queues what the table wants queued.
    pub(crate) fn push_pending(&mut self) {
        while let Some(entry) = self.ops.pop_pending() {
            // SAFETY: cancels name no memory, and a lane keeps what its sends name.
            unsafe { self.push(entry) };
        }
    }

    /// Sees to it that the driver provides buffers; false if it cannot.
    pub(super) fn provide(&mut self) -> bool {
        if self.ops.group.is_some() {
            return true;
        }
        if self.ops.is_closed() {
            return false;
        }
        let Some(ring) = &mut self.ring else {
            return false;
        };
        let config = &self.ops.config;
        match Group::register(ring, config.count, config.size) {
            Ok(group) => {
                self.ops.group = Some(group);
                true
            }
            // Readiness and the pool serve this stream then; the next one asks again.
            Err(_) => false,
        }
    }
}

impl Handle {
    /// The pool that serves this driver's leases when its provided buffers have run out, or it has none.
    pub fn buffer_pool(&self) -> BufferPool {
        self.submission().ops.pool()
    }

    /// How many operations of each opcode the kernel has not answered for the last time.
    pub fn operations_in_flight(&self) -> Vec<(Opcode, usize)> {
        self.submission().ops.in_flight_by_opcode()
    }

    /// True once the driver takes no more operations.
    pub fn is_shut_down(&self) -> bool {
        self.submission().ops.is_closed()
    }

    /// Gives up the stream under `key`, and destroys what waits in it.
    pub(super) fn abandon_stream(&self, key: Key) {
        if self.check_process().is_err() {
            return;
        }
        let mut remains = Delivery::new();
        let mut submission = self.submission();
        submission.ops.abandon_many(key, &mut remains);
        submission.push_pending();
        drop(submission);
        remains.finish();
        self.notify_submitted();
    }
}
