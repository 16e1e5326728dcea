//! One operation as a future.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use blitz_sys::completion::{Opcode, Sqe};
use blitz_sys::errno;

use crate::flight::{Abandoned, Looked, Outcome};
use crate::readiness::shutting_down;
use crate::shared::Handle;
use crate::submission::Submission;
use crate::tag;
use blitz_core::slab::Key;

/// What an operation owns, how it is asked for, and what becomes of its result.
///
/// # Safety
/// From [`entry`](Self::entry) on, until the value is finished or orphaned, the memory that the entry names must
/// belong to the value, stay in place while the value is moved, and be neither read nor written by anyone
/// but the kernel; its descriptor must stay open for as long as the value lives.
pub unsafe trait Request: Unpin + std::marker::Send + 'static {
    /// What the future resolves to.
    type Output;

    /// Which opcode a ring needs for it.
    const OPCODE: Opcode;

    /// The entry that asks for it; called again if the kernel gave the operation back undone.
    fn entry(&mut self) -> Sqe;

    /// Whether an answer says that it is not done, although nobody asked for that: then it is asked for again, by another
    /// [`entry`](Self::entry) perhaps.
    fn is_undone(&mut self, result: i32) -> bool {
        errno::is_undone(result)
    }

    /// Does the same on this thread, waiting as long as it takes; the result or a negative error number.
    fn call(&mut self) -> i32;

    /// Makes the output of the kernel's last answer, or of the driver's refusal.
    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output;

    /// Brings to its end what was detached: nobody waits, but it is to happen. May block.
    fn detached(self, outcome: Outcome)
    where
        Self: Sized,
    {
        self.orphan(outcome);
    }

    /// Takes apart what it owned and what the kernel's last answer carries, when nobody waits for it.
    fn orphan(self, outcome: Outcome)
    where
        Self: Sized,
    {
        let _ = outcome;
    }
}

impl<D: Request> Abandoned for D {
    fn retire(self: Box<Self>, outcome: Outcome, is_detached: bool) {
        if is_detached {
            (*self).detached(outcome)
        } else {
            (*self).orphan(outcome)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    InFlight(Key),
}

/// An operation of the completion face: does nothing until it is polled, and then belongs to the kernel.
///
/// Dropped in flight it is cancelled; what it owned lives on, unseen, until the kernel has let go of it, and a
/// result that nobody will take (an opened file, an accepted socket) is destroyed. So a cancelled operation
/// may or may not have happened, as with any call whose answer is not awaited.
///
/// An `ECANCELED` that nobody asked for (the thread that submitted has ended) and an `EINTR` are not results: the
/// operation is submitted again. Every other error is its caller's, with what the operation owned: what may be tried again
/// later ([`Class`](blitz_sys::errno::Class)), the caller tries again.
#[must_use = "an operation does nothing unless it is awaited"]
pub struct Op<D: Request> {
    handle: Handle,
    data: Option<D>,
    stage: Stage,
    /// In a chain a cancelled operation follows from the one before it: it is not tried again.
    is_linked: bool,
}

impl<D: Request> Op<D> {
    /// An operation of `handle`'s driver. Nothing happens before it is polled.
    pub fn new(handle: &Handle, data: D) -> Self {
        Self {
            handle: handle.clone(),
            data: Some(data),
            stage: Stage::Idle,
            is_linked: false,
        }
    }

    /// True if the driver has a ring whose kernel knows this operation.
    ///
    /// If not, [`call`](Self::call) does the same where waiting is allowed.
    #[inline]
    pub fn has_ring(&self) -> bool {
        self.handle.supports(D::OPCODE)
    }

    /// Does the operation on this thread, waiting as long as it takes: for a blocking pool.
    ///
    /// # Panics
    /// If it was polled before.
    pub fn call(mut self) -> D::Output {
        assert!(
            self.stage == Stage::Idle,
            "an operation in flight cannot be called"
        );
        let mut data = self.data.take().expect("polled after it was ready");
        loop {
            let result = data.call();
            if !errno::is_undone(result) {
                return data.finish(Ok(Outcome::of(result)));
            }
        }
    }

    /// Gives back what the operation owns without doing it, with `error` as its result.
    ///
    /// # Panics
    /// If it was polled before.
    pub fn refuse(mut self, error: io::Error) -> D::Output {
        assert!(
            self.stage == Stage::Idle,
            "an operation in flight cannot be refused"
        );
        let data = self.data.take().expect("polled after it was ready");
        data.finish(Err(error))
    }

    /// Makes a place for the operation and the entry that is to be queued for it.
    ///
    /// The caller holds the lock, queues the entry before it lets go of it, and tells the driver then. If the driver
    /// takes no more, or has no ring, the waker comes back.
    pub(super) fn prepare(
        &mut self,
        submission: &mut Submission,
        waker: Waker,
        flags: u8,
    ) -> Result<Sqe, Waker> {
        if submission.ops.is_closed() || submission.ring.is_none() {
            return Err(waker);
        }
        let data = self.data.as_mut().expect("polled after it was ready");
        let entry = data.entry().flags(flags);
        let key = submission.ops.insert(waker, entry.opcode());
        self.stage = Stage::InFlight(key);
        Ok(entry.user_data(tag::with(tag::OPERATION, key.into_raw())))
    }

    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn set_linked(&mut self) {
        self.is_linked = true;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    fn finish(&mut self, outcome: io::Result<Outcome>) -> Poll<D::Output> {
        self.stage = Stage::Idle;
        let data = self.data.take().expect("polled after it was ready");
        Poll::Ready(data.finish(outcome))
    }

    fn start(&mut self, waker: Waker) -> Poll<D::Output> {
        if let Err(error) = self.handle.check_process() {
            return self.finish(Err(error));
        }
        let handle = self.handle.clone();
        let mut submission = handle.submission();
        match self.prepare(&mut submission, waker, 0) {
            Ok(entry) => {
                // SAFETY: the memory belongs to `data`, as `Request` promises. `data` stays with us until the last
                // answer, or moves into the table until then (`Drop`); a forgotten `Op` forgets it, too.
                unsafe { submission.push(entry) };
                drop(submission);
                handle.notify_submitted();
                Poll::Pending
            }
            Err(waker) => {
                let error = if submission.ops.is_closed() {
                    shutting_down()
                } else {
                    io::ErrorKind::Unsupported.into()
                };
                drop(submission);
                drop(waker);
                self.finish(Err(error))
            }
        }
    }
}

impl<D: Request> Future for Op<D> {
    type Output = D::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<D::Output> {
        let this = self.get_mut();
        let Stage::InFlight(key) = this.stage else {
            return this.start(cx.waker().clone());
        };
        let mut fresh = None;
        let outcome = loop {
            // A statement of its own: the lock is left before the waker is cloned or an old one dropped.
            let looked = this
                .handle
                .submission()
                .ops
                .look(key, cx.waker(), &mut fresh);
            match looked {
                Looked::Done(outcome) => break outcome,
                Looked::Waits(_replaced) => return Poll::Pending,
                Looked::WantsWaker => fresh = Some(cx.waker().clone()),
            }
        };
        let data = this.data.as_mut().expect("polled after it was ready");
        if !this.is_linked && data.is_undone(outcome.result) {
            this.stage = Stage::Idle;
            return this.start(cx.waker().clone());
        }
        this.finish(Ok(outcome))
    }
}

impl<D: Request> Op<D> {
    /// Lets the operation go on without a future: it is not cancelled, not even by the driver's shutdown, which waits for it.
    ///
    /// One that was not begun is called on this thread.
    pub fn detach(mut self) {
        if self.stage == Stage::Idle {
            if let Some(mut data) = self.data.take() {
                let outcome = Outcome::of(data.call());
                data.detached(outcome);
            }
        } else {
            self.abandon(true);
        }
    }

    fn abandon(&mut self, is_detached: bool) {
        let (Stage::InFlight(key), Some(data)) = (self.stage, self.data.take()) else {
            return;
        };
        if self.handle.check_process().is_err() {
            // The ring, and the kernel's hold on the memory, are the parent's.
            std::mem::forget(data);
            return;
        }
        let mut orphan: Option<Box<dyn Abandoned>> = Some(Box::new(data));
        let mut submission = self.handle.submission();
        let (done, _waker) = submission.ops.abandon(key, &mut orphan, is_detached);
        submission.push_pending();
        drop(submission);
        match (done, orphan) {
            (Some(outcome), Some(orphan)) => orphan.retire(outcome, is_detached),
            _ => self.handle.notify_submitted(),
        }
    }
}

impl<D: Request> Drop for Op<D> {
    fn drop(&mut self) {
        self.abandon(false);
    }
}

impl<D: Request> fmt::Debug for Op<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op")
            .field("opcode", &D::OPCODE.name())
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
