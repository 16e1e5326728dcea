//! New sockets where a call more makes each non-blocking.

use std::io;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::descriptor::{BorrowedFd, OwnedFd};

pub(super) fn make(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(unix)]
pub(super) fn make_pair(kind: Type) -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = Socket::pair(Domain::UNIX, kind, None)?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    Ok((one.into(), other.into()))
}

pub(super) fn accept_once(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let (socket, addr) = SockRef::from(&fd).accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), addr))
}
