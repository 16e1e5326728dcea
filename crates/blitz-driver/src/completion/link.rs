//! Operations in a chain: each begins when the one before it has succeeded.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use blitz_sys::completion::{Sqe, sqe_flags};

use super::op::{Op, Request};
use crate::shared::Handle;
use crate::submission::Submission;

mod sealed {
    pub trait Sealed {}
}

/// An operation, or a chain of them, that can be linked to what follows.
///
/// If one fails, or transfers less than it was asked for, those behind it are not begun and fail with
/// `ECANCELED`. Without a ring a chain does not exist: ask [`Op::has_ring`] first.
///
/// # Examples
/// ```no_run
/// # async fn example(handle: &blitz_driver::Handle, file: std::sync::Arc<std::fs::File>) -> std::io::Result<()> {
/// use blitz_driver::completion::{Links, sync, write_at};
///
/// let write = write_at(handle, file.clone(), b"committed".to_vec(), Some(0));
/// let ((written, _buffer), synced) = write.link(sync(handle, file, true)).await;
/// written?;
/// synced
/// # }
/// ```
pub trait Links: Future + Unpin + sealed::Sealed + Sized {
    /// The chain of this and then `next`.
    ///
    /// # Panics
    /// If either has been polled, or if they are not of one driver.
    #[track_caller]
    fn link<D: Request>(self, next: Op<D>) -> Linked<Self, D> {
        assert!(
            !self.has_begun() && next.is_idle(),
            "an operation in flight cannot be linked"
        );
        // Each looks for its answer with its own driver, and would find another's there.
        assert!(
            self.driver().same_as(next.handle()),
            "the operations of a chain belong to one driver"
        );
        Linked {
            first: Progress::Runs(self),
            second: Progress::Runs(next),
            is_started: false,
        }
    }

    #[doc(hidden)]
    const LEN: usize;

    #[doc(hidden)]
    fn has_begun(&self) -> bool;

    #[doc(hidden)]
    fn collect(&mut self, chain: &mut Chain<'_>, is_last: bool) -> Result<(), Waker>;

    #[doc(hidden)]
    fn driver(&self) -> &Handle;
}

/// Where a chain's entries are gathered.
#[doc(hidden)]
pub struct Chain<'a> {
    submission: &'a mut Submission,
    wakers: Vec<Waker>,
    entries: Vec<Sqe>,
}

impl<D: Request> sealed::Sealed for Op<D> {}

impl<D: Request> Links for Op<D> {
    const LEN: usize = 1;

    fn has_begun(&self) -> bool {
        !self.is_idle()
    }

    fn collect(&mut self, chain: &mut Chain<'_>, is_last: bool) -> Result<(), Waker> {
        self.set_linked();
        let waker = chain.wakers.pop().expect("a waker for each operation");
        let flags = if is_last { 0 } else { sqe_flags::LINK };
        let entry = self.prepare(chain.submission, waker, flags)?;
        chain.entries.push(entry);
        Ok(())
    }

    fn driver(&self) -> &Handle {
        self.handle()
    }
}

impl<A: Links, D: Request> sealed::Sealed for Linked<A, D> {}

impl<A: Links, D: Request> Links for Linked<A, D> {
    const LEN: usize = A::LEN + 1;

    fn has_begun(&self) -> bool {
        self.is_started
    }

    fn collect(&mut self, chain: &mut Chain<'_>, is_last: bool) -> Result<(), Waker> {
        self.is_started = true;
        let (Progress::Runs(first), Progress::Runs(second)) = (&mut self.first, &mut self.second)
        else {
            unreachable!("a chain is gathered before it runs")
        };
        first.collect(chain, false)?;
        second.collect(chain, is_last)
    }

    fn driver(&self) -> &Handle {
        match &self.second {
            Progress::Runs(second) => second.handle(),
            _ => unreachable!("a chain is gathered before it runs"),
        }
    }
}

enum Progress<F: Future> {
    Runs(F),
    Done(F::Output),
    Taken,
}

impl<F: Future + Unpin> Progress<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Runs(future) = self {
            match Pin::new(future).poll(cx) {
                Poll::Ready(output) => *self = Self::Done(output),
                Poll::Pending => return false,
            }
        }
        true
    }

    fn take(&mut self) -> F::Output {
        match mem::replace(self, Self::Taken) {
            Self::Done(output) => output,
            _ => unreachable!("taken when it is done, and once"),
        }
    }
}

/// A chain of operations, made by [`Links::link`]; resolves to both outputs.
///
/// Dropped in flight, each of its operations is cancelled.
#[must_use = "a chain does nothing unless it is awaited"]
pub struct Linked<A: Future, D: Request> {
    first: Progress<A>,
    second: Progress<Op<D>>,
    is_started: bool,
}

impl<A: Future, D: Request> Unpin for Linked<A, D> {}

impl<A: Links, D: Request> Linked<A, D> {
    /// Queues the whole chain in one piece; if the driver is closing, each operation says so by itself.
    fn start(&mut self, waker: &Waker) {
        let handle = self.driver().clone();
        if handle.check_process().is_err() {
            self.is_started = true;
            return;
        }
        // Foreign code: cloned before the lock.
        let wakers = (0..Self::LEN).map(|_| waker.clone()).collect();
        let mut submission = handle.submission();
        let mut chain = Chain {
            submission: &mut submission,
            wakers,
            entries: Vec::new(),
        };
        let refused = self.collect(&mut chain, true).err();
        let Chain {
            wakers, entries, ..
        } = chain;
        // SAFETY: each entry was prepared by its operation, which owns the memory it names until its last answer.
        unsafe { submission.push_linked(&entries) };
        drop(submission);
        drop((refused, wakers));
        handle.notify_submitted();
    }
}

impl<A: Links, D: Request> Future for Linked<A, D> {
    type Output = (A::Output, D::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if !this.is_started {
            this.start(cx.waker());
        }
        let first = this.first.poll(cx);
        let second = this.second.poll(cx);
        if first && second {
            Poll::Ready((this.first.take(), this.second.take()))
        } else {
            Poll::Pending
        }
    }
}

impl<A: Future, D: Request> fmt::Debug for Linked<A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked")
            .field("is_started", &self.is_started)
            .finish_non_exhaustive()
    }
}
