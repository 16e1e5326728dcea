//! Datagrams: each call moves one, with its address where the caller asks for it.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;

use bytes::BufMut;
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use super::{as_inet, as_uninit, fresh, imp};
use crate::descriptor::{BorrowedFd, OwnedFd};
use crate::errno::restarted;

/// A new UDP socket for addresses like `domain`'s.
///
/// # Errors
/// Those of `socket(2)`.
pub fn datagram(domain: Domain) -> io::Result<OwnedFd> {
    fresh::make(domain, Type::DGRAM, Some(Protocol::UDP))
}

/// Gives the socket a peer: it alone is sent to and received from.
///
/// # Errors
/// Those of `connect(2)`.
pub fn set_peer(fd: BorrowedFd<'_>, addr: SocketAddr) -> io::Result<()> {
    SockRef::from(&fd).connect(&addr.into())
}

/// Receives a datagram, and who sent it. What does not fit is lost.
///
/// # Errors
/// Those of `recvfrom(2)`.
#[inline]
pub fn recv_from(fd: BorrowedFd<'_>, buf: &mut [MaybeUninit<u8>]) -> io::Result<(usize, SockAddr)> {
    let socket = SockRef::from(&fd);
    restarted(|| socket.recv_from(buf))
}

/// As [`recv_from`], and leaves the datagram for the next call.
///
/// # Errors
/// As there.
pub fn peek_from(fd: BorrowedFd<'_>, buf: &mut [MaybeUninit<u8>]) -> io::Result<(usize, SockAddr)> {
    let socket = SockRef::from(&fd);
    restarted(|| socket.peek_from(buf))
}

/// As [`recv_from`], into plain bytes.
///
/// # Errors
/// As there.
#[inline]
pub fn read_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    recv_from(fd, as_uninit(buf))
}

/// As [`peek_from`], into plain bytes.
///
/// # Errors
/// As there.
pub fn peek_bytes_from(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<(usize, SockAddr)> {
    peek_from(fd, as_uninit(buf))
}

/// As [`recv_from`], into a buffer's next free bytes, which it advances by what came.
///
/// # Errors
/// As there.
#[inline]
pub fn recv_buf_from<B: BufMut + ?Sized>(
    fd: BorrowedFd<'_>,
    buf: &mut B,
) -> io::Result<(usize, SockAddr)> {
    // SAFETY: `recv_from` writes initialised bytes to it and nothing else.
    let free = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let (received, from) = recv_from(fd, free)?;
    // SAFETY: the kernel has written that many bytes at the front of the chunk.
    unsafe { buf.advance_mut(received) };
    Ok((received, from))
}

/// As [`recv_buf_from`], and leaves the datagram for the next call.
///
/// # Errors
/// As there.
pub fn peek_buf_from<B: BufMut + ?Sized>(
    fd: BorrowedFd<'_>,
    buf: &mut B,
) -> io::Result<(usize, SockAddr)> {
    // SAFETY: `peek_from` writes initialised bytes to it and nothing else.
    let free = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let (received, from) = peek_from(fd, free)?;
    // SAFETY: the kernel has written that many bytes at the front of the chunk.
    unsafe { buf.advance_mut(received) };
    Ok((received, from))
}

/// Who sent the next datagram, which stays.
///
/// # Errors
/// Those of `recvfrom(2)`.
pub fn peek_sender(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let socket = SockRef::from(&fd);
    as_inet(&restarted(|| socket.peek_sender())?)
}

/// Sends a datagram to `addr`.
///
/// # Errors
/// Those of `sendto(2)`.
#[inline]
pub fn send_to(fd: BorrowedFd<'_>, buf: &[u8], addr: &SockAddr) -> io::Result<usize> {
    let socket = SockRef::from(&fd);
    restarted(|| socket.send_to_with_flags(buf, addr, imp::SEND_FLAGS))
}
