//! What a batch of answers leaves to be done after the lock.

use std::fmt;
use std::io;
use std::task::Waker;

use blitz_core::quiet::quietly;
use blitz_core::wake::WakeBatch;
use blitz_sys::descriptor::OwnedFd;
use blitz_sys::errno;

use super::lane::Lane;
use super::many::Many;

/// A table's worth of remains before the lock is left: few, so that their memory is kept and reused.
const REMAINS_MAX: usize = 64;

/// How the kernel answered an operation for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The result, or a negative error number.
    pub result: i32,
    /// `IORING_CQE_F_…` of the answer that carried the result.
    pub flags: u32,
    /// What the notification of a zero-copy send said; zero for all else.
    pub notice: u32,
}

impl Outcome {
    /// An answer that was made on the spot, without the ring.
    pub const fn of(result: i32) -> Self {
        Self {
            result,
            flags: 0,
            notice: 0,
        }
    }

    /// The result as std has it.
    ///
    /// # Errors
    /// If the kernel answered with an error number.
    #[inline]
    pub fn check(self) -> io::Result<u32> {
        errno::check(self.result)
    }
}

/// What was owned by an operation whose future is gone.
pub(crate) trait Abandoned: Send {
    /// Takes it apart, with the kernel's last answer. Foreign code: never under a lock.
    fn retire(self: Box<Self>, outcome: Outcome, is_detached: bool);
}

/// Something to be dropped after the lock.
pub(crate) enum Remains {
    /// An orphaned operation, finished; and whether it was detached.
    Operation(Box<dyn Abandoned>, Outcome, bool),
    /// A waker that was replaced.
    Waker(Waker),
    /// A stream of answers, ended, with its descriptor.
    Stream(Box<Many>),
    /// A socket's bytes on their way, ended, with its descriptor.
    Lane(Box<Lane>),
    /// A socket that nobody wants.
    Descriptor(OwnedFd),
}

/// What a batch of answers leaves to be done after the lock: wakers to call, orphans to destroy.
#[derive(Default)]
pub(crate) struct Delivery {
    /// Wakers to call.
    pub(crate) wakes: WakeBatch,
    remains: Vec<Remains>,
}

impl Delivery {
    /// Nothing to do yet.
    pub(crate) const fn new() -> Self {
        Self {
            wakes: WakeBatch::new(),
            remains: Vec::new(),
        }
    }

    /// True if the lock must be left and [`finish`](Self::finish) called before the next answer.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.wakes.is_full() || self.remains.len() >= REMAINS_MAX
    }

    /// Calls the wakers and destroys the orphans. Not under the lock.
    #[inline]
    pub(crate) fn finish(&mut self) {
        self.wakes.wake_all();
        while let Some(remains) = self.remains.pop() {
            // A buffer's drop, or a waker's, may panic: what comes behind it is not its business.
            quietly(|| match remains {
                Remains::Operation(data, outcome, is_detached) => data.retire(outcome, is_detached),
                Remains::Waker(waker) => drop(waker),
                Remains::Stream(many) => drop(many),
                Remains::Lane(lane) => drop(lane),
                Remains::Descriptor(descriptor) => drop(descriptor),
            });
        }
    }

    #[inline]
    pub(crate) fn leave(&mut self, remains: Remains) {
        self.remains.push(remains);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("wakes", &self.wakes.len())
            .field("remains", &self.remains.len())
            .finish()
    }
}
