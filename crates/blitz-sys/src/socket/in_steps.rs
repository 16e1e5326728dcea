//! New sockets where a call more makes each non-blocking.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::as_inet;
use crate::descriptor::{BorrowedFd, OwnedFd};

/// A new stream socket for addresses like `domain`'s.
///
/// # Errors
/// The system's.
pub fn stream(domain: Domain) -> io::Result<OwnedFd> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

pub(super) fn accept_once(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (socket, addr) = SockRef::from(&fd).accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), as_inet(&addr)?))
}
