//! New sockets, non-blocking and closed on exec from their first moment, where one call makes them so.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::as_inet;
use crate::descriptor::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use crate::errno;

/// A new stream socket for addresses like `domain`'s.
///
/// # Errors
/// Those of `socket(2)`.
pub fn stream(domain: Domain) -> io::Result<OwnedFd> {
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    Ok(socket.into())
}

pub(super) fn accept_once(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
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
    let (stream, addr) =
        unsafe { SockAddr::try_init(|storage, len| accepted(storage.cast(), len)) }?;
    Ok((stream, as_inet(&addr)?))
}
