//! `pidfd_open(2)`, since Linux 5.3.

use std::io;

use crate::descriptor::{FromRawFd, OwnedFd, RawFd};
use crate::errno;

/// A descriptor of a process, closed on exec, which is readable once the process has ended.
///
/// It must be a child that was not waited for yet: otherwise its number may be another's by now.
///
/// # Errors
/// Those of `pidfd_open(2)`: `Unsupported` before Linux 5.3, `PermissionDenied` where a filter forbids the call.
pub fn open(process: u32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, process as libc::pid_t, 0) };
    match RawFd::try_from(answer) {
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else knows.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(errno::last()),
    }
}
