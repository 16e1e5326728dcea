//! A connection's bytes on their way out, as entries that the driver's turn submits together.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use blitz_core::slab::Key;
use blitz_sys::completion::Opcode;
use blitz_sys::errno;

use super::socket::near;
use crate::flight::{Delivery, Lane, Queued};
use crate::readiness::shutting_down;
use crate::registration::Registration;
use crate::shared::Handle;

/// Copies of what was written to one socket, which the driver's turn has the kernel take: many connections' at once, by one call.
///
/// One entry is under way at a time, so the bytes keep their order; what is written meanwhile waits behind it, up to
/// [`LEN_MAX`](Self::LEN_MAX) bytes, and beyond that the writer waits. An error is told by the next call.
///
/// Dropped, it has the kernel take what the socket has room for at once. If that was not all, the connection is reset when it is closed, so
/// that nobody takes a part for the whole.
pub struct Sends {
    handle: Handle,
    key: Key,
}

impl Sends {
    /// How many bytes wait behind those that are under way at most, which are as many at most.
    pub const LEN_MAX: usize = crate::flight::LONG;

    /// A way out for `registration`'s socket, if this thread's driver has a ring that nobody else uses: there, entries cost less than calls.
    pub fn open(registration: &Registration) -> Option<Self> {
        let handle = near(registration);
        let is_fit = handle.0.batches_writes
            && handle.is_current()
            && handle.supports(Opcode::SEND)
            && handle.supports(Opcode::POLL_ADD);
        if !is_fit || handle.check_process().is_err() {
            return None;
        }
        let mut submission = handle.submission();
        if submission.ops.is_closed() {
            return None;
        }
        let key = submission
            .ops
            .insert_lane(Lane::new(registration.fd().clone()));
        drop(submission);
        Some(Self { handle, key })
    }

    /// Takes a copy of some of the `bytes`, and has it sent. Waits while there is no room.
    ///
    /// One task at a time may wait, here or in [`poll_taken`](Self::poll_taken): the last one that polled is woken.
    ///
    /// # Errors
    /// The socket's, of bytes that were taken before; and that the driver is shutting down.
    pub fn poll_queue(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let coop = ready!(blitz_core::budget::poll_proceed(cx));
        self.handle.check_process()?;
        let mut fresh = None;
        loop {
            let mut submission = self.handle.submission();
            if submission.ops.is_closed() {
                return Poll::Ready(Err(shutting_down()));
            }
            let queued = submission
                .ops
                .queue_in_lane(self.key, bytes, cx.waker(), &mut fresh);
            match queued {
                Queued::Begins(taken, entry) => {
                    // SAFETY: the entry names memory of the lane, which stays as it is in the table until the answer has come.
                    unsafe { submission.push(entry) };
                    drop(submission);
                    self.handle.notify_submitted();
                    coop.made_progress();
                    return Poll::Ready(Ok(taken));
                }
                Queued::Follows(taken) => {
                    coop.made_progress();
                    return Poll::Ready(Ok(taken));
                }
                Queued::Full(replaced) => {
                    drop(submission);
                    drop(replaced);
                    return Poll::Pending;
                }
                Queued::WantsWaker => {
                    drop(submission);
                    fresh = Some(cx.waker().clone());
                }
                Queued::Failed(error) => {
                    coop.made_progress();
                    return Poll::Ready(Err(errno::error(error)));
                }
            }
        }
    }

    /// Waits until the kernel has taken all.
    ///
    /// # Errors
    /// As for [`poll_queue`](Self::poll_queue).
    pub fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.check_process()?;
        let mut fresh = None;
        loop {
            let mut submission = self.handle.submission();
            let lane = submission.ops.lane(self.key);
            if let Some(error) = lane.failure() {
                return Poll::Ready(Err(errno::error(error)));
            }
            if lane.len() == 0 {
                return Poll::Ready(Ok(()));
            }
            if submission.ops.is_closed() {
                return Poll::Ready(Err(shutting_down()));
            }
            match submission
                .ops
                .wait_for_lane(self.key, cx.waker(), &mut fresh)
            {
                Queued::WantsWaker => {
                    drop(submission);
                    fresh = Some(cx.waker().clone());
                }
                Queued::Full(replaced) => {
                    drop(submission);
                    drop(replaced);
                    return Poll::Pending;
                }
                _ => unreachable!("who waits takes nothing"),
            }
        }
    }

    /// Ready while the socket has no room for what was queued, with the bytes that wait; the task is woken when that begins, or the socket
    /// fails. It waits for nothing: no turn makes haste for it.
    ///
    /// The task is the one of [`poll_queue`](Self::poll_queue): it waits there or watches here.
    ///
    /// # Errors
    /// The socket's, of bytes that were taken before.
    #[inline]
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.handle.check_process()?;
        let mut fresh = None;
        loop {
            let mut submission = self.handle.submission();
            let lane = submission.ops.lane(self.key);
            if let Some(error) = lane.failure() {
                return Poll::Ready(Err(errno::error(error)));
            }
            if lane.is_parked() {
                return Poll::Ready(Ok(lane.len()));
            }
            match lane.watch(cx.waker(), &mut fresh) {
                Queued::WantsWaker => {
                    drop(submission);
                    fresh = Some(cx.waker().clone());
                }
                Queued::Full(replaced) => {
                    drop(submission);
                    drop(replaced);
                    return Poll::Pending;
                }
                _ => unreachable!("who watches takes nothing"),
            }
        }
    }

    /// Bytes that the kernel has not taken.
    ///
    /// # Errors
    /// The socket's, of bytes that were taken before.
    pub fn waiting(&self) -> io::Result<usize> {
        self.handle.check_process()?;
        let mut submission = self.handle.submission();
        let lane = submission.ops.lane(self.key);
        match lane.failure() {
            Some(error) => Err(errno::error(error)),
            None => Ok(lane.len()),
        }
    }
}

impl Drop for Sends {
    fn drop(&mut self) {
        if self.handle.check_process().is_err() {
            return;
        }
        let mut remains = Delivery::new();
        let mut submission = self.handle.submission();
        submission.ops.abandon_lane(self.key, &mut remains);
        submission.push_pending();
        drop(submission);
        remains.finish();
        self.handle.notify_submitted();
    }
}

impl fmt::Debug for Sends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sends")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
