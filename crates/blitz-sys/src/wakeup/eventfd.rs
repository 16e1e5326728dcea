//! A counter in the kernel that a ring polls.

use std::io;
use std::sync::Arc;

use crate::descriptor::{AsRawFd, FromRawFd, OwnedFd};
use crate::errno;

/// A counter; each [`notify`](Self::notify) is an edge for whoever polls it. Nobody needs to read it.
#[derive(Clone, Debug)]
pub struct EventFd(Arc<OwnedFd>);

impl EventFd {
    /// A counter at zero, closed on exec.
    ///
    /// # Errors
    /// The kernel's: no descriptors left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(errno::last());
        }
        // SAFETY: the kernel has just given it to us.
        Ok(Self(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Makes the poll of this counter answer.
    #[inline]
    pub fn notify(&self) {
        let one = 1u64;
        // It cannot fail but by overflow after 2^64 calls, and then the counter is not zero: the edge was there.
        // SAFETY: eight bytes are read from `one`.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// The descriptor to poll.
    pub fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
