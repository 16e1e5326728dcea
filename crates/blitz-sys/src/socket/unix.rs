//! What is the same on every Unix.

use std::io;

use socket2::SockRef;

use crate::descriptor::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use crate::errno;

pub use super::describe::describe;

/// No SIGPIPE when the peer is gone: the error is enough.
#[cfg(nosignal)]
pub(super) const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(nosignal))]
pub(super) const SEND_FLAGS: libc::c_int = 0;
/// Whether a failed `connect` goes on: EINTR too, since a second call would say EALREADY.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// A second descriptor of what `fd` names, closed on exec.
///
/// # Errors
/// Those of `fcntl(2)`: `EBADF` when the number names nothing.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call touches no memory and changes no descriptor that there is.
    let new = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if new < 0 {
        return Err(errno::last());
    }
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Lets several listeners share one address, among which the kernel spreads the connections (`SO_REUSEPORT`).
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn share_port(fd: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&fd).set_reuse_port(true)
}

/// Whether calls on a descriptor wait.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn is_blocking(fd: &impl AsFd) -> io::Result<bool> {
    SockRef::from(fd).nonblocking().map(|is| !is)
}

/// Whether `error` says that the process, or the whole system, has no descriptor left.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    errno::is_out_of_descriptors(error)
}
