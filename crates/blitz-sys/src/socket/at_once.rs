//! New sockets, non-blocking and closed on exec from their first moment, where one call makes them so.

use std::io;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::descriptor::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use crate::errno;

pub(super) fn make(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    Socket::new(domain, kind.nonblocking(), protocol).map(OwnedFd::from)
}

#[cfg(unix)]
pub(super) fn make_pair(kind: Type) -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = Socket::pair(Domain::UNIX, kind.nonblocking(), None)?;
    Ok((one.into(), other.into()))
}

pub(super) fn accept_once(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let accepted = |storage: *mut _, len: *mut _| {
        // SAFETY: `storage` and `len` come from `try_init`, which gives room for any address.
        let raw = unsafe { libc::accept4(fd.as_raw_fd(), storage, len, flags) };
        if raw < 0 {
            return Err(errno::last());
        }
        // SAFETY: the call succeeded, so `raw` is a new descriptor that nobody else knows.
        Ok(unsafe { OwnedFd::from_raw_fd(raw) })
    };
    // SAFETY: when the closure gives `Ok`, the kernel has written an address and its length.
    unsafe { SockAddr::try_init(|storage, len| accepted(storage.cast(), len)) }
}
