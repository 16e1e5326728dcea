//! Whether a descriptor can be waited for at all, as epoll has it.

use std::io;

use crate::descriptor::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use crate::errno;

/// Makes sure that `fd` can be waited for.
///
/// A ring takes a regular file, and says again and again that it is ready. Whoever wants one answer of all back ends asks here.
///
/// # Errors
/// `PermissionDenied` for what is ready at all times (a file, a directory, `/dev/null`), else the kernel's.
pub fn check_pollable(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(errno::last());
    }
    // SAFETY: the kernel has just given it to us.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    let (epoll, fd) = (epoll.as_raw_fd(), fd.as_raw_fd());
    // SAFETY: `event` is read during the call.
    if unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } < 0 {
        return Err(errno::last());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_pollable;
    use crate::descriptor::AsFd;

    #[test]
    fn sockets_can_be_waited_for_and_files_cannot() {
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        check_pollable(socket.as_fd()).unwrap();
        for path in ["/proc/self/exe", "/", "/dev/null"] {
            let file = std::fs::File::open(path).unwrap();
            let error = check_pollable(file.as_fd()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{path}");
        }
    }
}
