//! Child processes as descriptors, and one wait for many of them.

use std::io;
use std::time::Duration;

use crate::descriptor::{AsRawFd, BorrowedFd};
use crate::errno;

#[cfg(not(linux))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;

pub use imp::open;

/// Waits until one of the descriptors is readable, or for as long as `limit`. A wait may end early.
///
/// # Errors
/// Those of `poll(2)`.
pub fn wait_for_any(fds: &[BorrowedFd<'_>], limit: Option<Duration>) -> io::Result<()> {
    let mut places: Vec<_> = fds
        .iter()
        .map(|fd| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let limit_ms = limit.map_or(-1, |limit| {
        libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX)
    });
    // SAFETY: the pointer names as many entries as are told.
    let answer = unsafe { libc::poll(places.as_mut_ptr(), places.len() as libc::nfds_t, limit_ms) };
    if answer >= 0 {
        return Ok(());
    }
    let error = errno::last();
    if error.kind() == io::ErrorKind::Interrupted {
        return Ok(());
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::descriptor::AsFd;

    #[test]
    fn a_child_that_ends_is_readable() {
        let mut child = Command::new("true").spawn().unwrap();
        match open(child.id()) {
            Ok(fd) => wait_for_any(&[fd.as_fd()], None).unwrap(),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}"),
        }
        assert!(child.wait().unwrap().success());
    }
}
