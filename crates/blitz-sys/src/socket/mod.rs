//! Thin calls on sockets: owned descriptors, std's addresses, no waiting.
//!
//! Every descriptor made here is non-blocking and closed on exec from its first moment. A call that would
//! have to wait answers [`io::ErrorKind::WouldBlock`]; one that a signal interrupts is made again.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};

use bytes::BufMut;

use crate::descriptor::{AsRawFd, BorrowedFd, OwnedFd};
use crate::errno::restarted;
use crate::readiness::faults::{Call, before};

pub use socket2::{
    Domain, MaybeUninitSlice, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type,
};

mod datagram;
#[cfg(unix)]
mod describe;
#[cfg(accept4)]
#[path = "at_once.rs"]
mod fresh;
#[cfg(not(accept4))]
#[path = "in_steps.rs"]
mod fresh;
#[cfg(unix)]
#[path = "unix.rs"]
mod imp;
#[cfg(windows)]
#[path = "windows.rs"]
mod imp;
#[cfg(not(linux))]
#[path = "disabled.rs"]
mod special;
#[cfg(linux)]
#[path = "linux.rs"]
mod special;

mod inherited;
#[cfg(unix)]
pub mod local;
pub mod message;
#[cfg(unix)]
pub mod private;

pub use datagram::{
    datagram, peek_buf_from, peek_bytes_from, peek_from, peek_sender, read_from, recv_buf_from,
    recv_from, send_to, set_peer,
};
pub use imp::{describe, duplicate, is_blocking, is_out_of_descriptors, share_port};
pub use inherited::{Inherited, take_inherited};
pub use special::{
    Pipe, bind_device, device, is_resident, quickack, send_file, set_quickack, set_user_timeout,
    splice, user_timeout,
};

/// So many buffers one call takes, on every system that is served here.
const IOV_MAX: usize = 1024;

/// The longest queue of connections not yet accepted that `listen` may be asked for here.
///
/// The kernel clamps what it is asked for to `net.core.somaxconn`, which is 4,096 by default on Linux. A
/// backlog of 128, usual elsewhere, overflows under a burst and costs each client a second.
pub const BACKLOG_DEFAULT: u32 = 4096;

/// What a descriptor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The type that serves such descriptors: `"TcpStream"`; `"file"` for what is no socket.
    pub kind: &'static str,
    /// The address of the other end, if there is one.
    pub peer: Option<String>,
}

/// How a call of [`connect`] ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connect {
    /// The connection stands.
    Done,
    /// It is under way; writability will say that it stands or has failed.
    Pending,
}

/// A new stream socket for addresses like `domain`'s.
///
/// # Errors
/// Those of `socket(2)`.
pub fn stream(domain: Domain) -> io::Result<OwnedFd> {
    before(Call::Socket, -1, 0)?;
    fresh::make(domain, Type::STREAM, Some(Protocol::TCP))
}

/// Begins to connect a socket.
///
/// # Errors
/// Those of `connect(2)`, except the two that mean "under way".
pub fn connect(fd: BorrowedFd<'_>, addr: SocketAddr) -> io::Result<Connect> {
    connect_any(fd, &addr.into())
}

fn connect_any(fd: BorrowedFd<'_>, addr: &SockAddr) -> io::Result<Connect> {
    let connect = || SockRef::from(&fd).connect(addr);
    let done = match before(Call::Connect, fd.as_raw_fd(), 0) {
        Ok(_) => connect(),
        // An interrupted one goes on in the kernel, or has failed there already.
        Err(error) if imp::is_under_way(&error) => match connect() {
            Err(failed) if !imp::is_under_way(&failed) => Err(failed),
            _ => Err(error),
        },
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(Connect::Done),
        Err(error) if imp::is_under_way(&error) => Ok(Connect::Pending),
        Err(error) => Err(error),
    }
}

/// Takes one connection off a listener's queue, non-blocking and closed on exec.
///
/// # Errors
/// Those of `accept4(2)`; a connection that was reset while it queued is skipped.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (fd, addr) = accept_any(fd)?;
    Ok((fd, as_inet(&addr)?))
}

fn accept_any(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    loop {
        let accepted = before(Call::Accept, fd.as_raw_fd(), 0).and_then(|_| fresh::accept_once(fd));
        match accepted {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            done => return done,
        }
    }
}

/// The internet address in `addr`.
///
/// # Errors
/// `InvalidData` when it is of another family.
pub fn as_inet(addr: &SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an internet address"))
}

/// Receives into memory that need not be initialised; the first bytes of it, as many as returned, then are.
///
/// # Errors
/// Those of `recv(2)`.
#[inline]
pub fn recv(fd: BorrowedFd<'_>, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let socket = SockRef::from(&fd);
    restarted(|| {
        let len = before(Call::Receive, fd.as_raw_fd(), buf.len())?;
        socket.recv(&mut buf[..len])
    })
}

/// Receives into a buffer's next free bytes and advances it by what came.
///
/// Answers how many bytes came.
///
/// # Errors
/// Those of `recv(2)`.
#[inline]
pub fn recv_buf<B: BufMut + ?Sized>(fd: BorrowedFd<'_>, buf: &mut B) -> io::Result<usize> {
    // SAFETY: `recv` writes initialised bytes to it and nothing else.
    let free = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let received = recv(fd, free)?;
    // SAFETY: the kernel has written that many bytes at the front of the chunk.
    unsafe { buf.advance_mut(received) };
    Ok(received)
}

/// As [`recv_buf`], and leaves the bytes for the next call.
///
/// # Errors
/// Those of `recv(2)`.
pub fn peek_buf<B: BufMut + ?Sized>(fd: BorrowedFd<'_>, buf: &mut B) -> io::Result<usize> {
    // SAFETY: `peek` writes initialised bytes to it and nothing else.
    let free = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let received = peek(fd, free)?;
    // SAFETY: the kernel has written that many bytes at the front of the chunk.
    unsafe { buf.advance_mut(received) };
    Ok(received)
}

/// As [`recv`], and leaves the bytes for the next call.
///
/// # Errors
/// Those of `recv(2)`.
pub fn peek(fd: BorrowedFd<'_>, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let socket = SockRef::from(&fd);
    restarted(|| {
        before(Call::Receive, fd.as_raw_fd(), 0)?;
        socket.peek(buf)
    })
}

/// Receives into plain bytes.
///
/// # Errors
/// Those of `recv(2)`.
#[inline]
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    recv(fd, as_uninit(buf))
}

/// Plain bytes as memory that a receive may write.
///
/// Sound for the calls here alone, which only ever write initialised bytes to it.
pub(crate) fn as_uninit(buf: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    let len = buf.len();
    // SAFETY: same address, length and layout; the callers pass it to the kernel, which writes whole bytes.
    unsafe { std::slice::from_raw_parts_mut(buf.as_mut_ptr().cast(), len) }
}

/// As [`peek`], into plain bytes.
///
/// # Errors
/// Those of `recv(2)`.
pub fn peek_bytes(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    peek(fd, as_uninit(buf))
}

/// Receives into several buffers, the first filled first.
///
/// # Errors
/// Those of `readv(2)`.
pub fn recv_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    use std::io::Read;
    // std's `readv`, with its clamp to IOV_MAX; socket2's form wants another slice type.
    let socket = SockRef::from(&fd);
    restarted(|| {
        before(Call::Receive, fd.as_raw_fd(), 0)?;
        (&*socket).read_vectored(bufs)
    })
}

/// Sends what the socket takes at once.
///
/// # Errors
/// Those of `send(2)`.
#[inline]
pub fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    let socket = SockRef::from(&fd);
    restarted(|| {
        let len = before(Call::Send, fd.as_raw_fd(), buf.len())?;
        socket.send_with_flags(&buf[..len], imp::SEND_FLAGS)
    })
}

/// What of `bufs` one call takes: the kernel refuses more, where a caller expects to be told of a part.
#[inline]
pub fn sendable<'a, 'b>(bufs: &'a [IoSlice<'b>]) -> &'a [IoSlice<'b>] {
    &bufs[..bufs.len().min(IOV_MAX)]
}

/// Sends from several buffers in one call, from the first 1,024 at most.
///
/// # Errors
/// Those of `sendmsg(2)`.
#[inline]
pub fn send_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let socket = SockRef::from(&fd);
    restarted(|| {
        before(Call::Send, fd.as_raw_fd(), 0)?;
        socket.send_vectored_with_flags(sendable(bufs), imp::SEND_FLAGS)
    })
}

/// Ends one direction of a connection, or both.
///
/// # Errors
/// Those of `shutdown(2)`.
pub fn shutdown(fd: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
    SockRef::from(&fd).shutdown(how)
}

/// The error that the kernel keeps for the socket, which asking clears.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn take_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    SockRef::from(&fd).take_error()
}

/// The address that the socket is bound to.
///
/// # Errors
/// Those of `getsockname(2)`.
pub fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    as_inet(&SockRef::from(&fd).local_addr()?)
}

/// The address at the connection's other end.
///
/// # Errors
/// Those of `getpeername(2)`.
pub fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    as_inet(&SockRef::from(&fd).peer_addr()?)
}

#[cfg(all(test, unix))]
mod tests;
