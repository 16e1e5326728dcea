//! "It is done": a ring of operations that the kernel carries out, behind two halves.
//!
//! [`Submissions`] is where entries are queued; the driver keeps it under its lock, so that any thread may queue.
//! [`Completions`] is where answers come out and where a thread waits; one thread at a time holds it.
//! `uring.rs` fills them on Linux, `disabled.rs` has the same names elsewhere and refuses to open. On Linux `door.rs` stands
//! before it: a test may ask for a ring with `faults/` instead of a ring.

mod setup;
mod sqe;

pub use setup::{Features, Mode, Refusal, Setup, SqPoll};
pub use sqe::*;

#[cfg(uring)]
mod door;
#[cfg(uring)]
mod uring;
#[cfg(uring)]
use door as imp;
#[cfg(uring)]
pub mod faults;
#[cfg(uring)]
mod probe;

#[cfg(not(uring))]
mod disabled;
#[cfg(not(uring))]
use disabled as imp;

pub use imp::{Completions, Faults, Submissions, enable, open, probe};

/// What a cancelled operation answers, as a negative result.
pub const ECANCELED: i32 = libc::ECANCELED;

/// One answer of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Cqe {
    /// What the entry carried: says whose answer this is.
    pub user_data: u64,
    /// The result: as the system call's, or a negative error number.
    pub result: i32,
    /// `IORING_CQE_F_…`.
    pub flags: u32,
}

impl Cqe {
    /// The same operation will answer again (`IORING_CQE_F_MORE`).
    pub const MORE: u32 = 1 << 1;

    /// True unless the same operation will answer again.
    #[inline]
    pub const fn is_last(&self) -> bool {
        self.flags & Self::MORE == 0
    }
}

/// How one call into the kernel ended.
#[derive(Debug)]
pub enum Entered {
    /// It submitted what it could, and waited as it was told.
    Done,
    /// The limit passed without an answer.
    TimedOut,
    /// A signal came.
    Interrupted,
    /// The kernel takes nothing more until answers have been read, or until it has memory again.
    Busy,
    /// Anything else: the ring is of no more use.
    Failed(std::io::Error),
}
