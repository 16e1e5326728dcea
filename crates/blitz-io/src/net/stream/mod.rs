//! A connection, whatever carries its bytes: what the streams of TCP and of Unix sockets have in common.
//!
//! [`Stream`] is what both hold. [`face`] gives each of them the methods that users see, [`halves`] the types of its two
//! directions, [`leased`] and [`owned`] the ways with buffers that are not the caller's.

pub(super) mod face;
pub(super) mod halves;
mod leased;
pub(super) mod owned;

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::budget;
use blitz_driver::completion::Leases;
use blitz_driver::{Direction, Registration};
use blitz_io_traits::ReadBuf;
use blitz_sys::descriptor::{BorrowedFd, OwnedFd};
use blitz_sys::socket::{self, SockRef};
use bytes::BufMut;

use crate::io::{Interest, Ready};
use leased::Leased;

/// A stream socket in a runtime. In this order: what each call needs is in one line of the processor's cache, or two.
#[repr(C)]
pub(super) struct Stream {
    leased: Leased,
    pub(super) source: Registration,
}

impl Stream {
    /// Takes a non-blocking stream socket.
    pub(super) fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> Stream {
        Stream {
            source: Registration::new(Arc::new(fd), driver),
            leased: Leased::new(),
        }
    }

    #[inline]
    pub(super) fn fd(&self) -> &Arc<OwnedFd> {
        self.source.fd()
    }

    #[inline]
    fn lent(&self) -> BorrowedFd<'_> {
        self.source.lent()
    }

    /// Waits until a connection under way stands or has failed.
    pub(super) async fn finish_connect(&self) -> io::Result<()> {
        let connected = || match socket::take_error(self.lent())? {
            Some(error) => Err(error),
            // No error and no peer: still under way, so it was not what the wait was for.
            None => match SockRef::from(&self.lent()).peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    // An error may have come between the two questions.
                    Err(socket::take_error(self.lent())?
                        .unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
                }
                // A peer that is gone again was there: reads will tell.
                _ => Ok(()),
            },
        };
        self.source.async_io(Interest::WRITABLE, connected).await
    }

    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        if let Some(leases) = self.leased.get().filter(|_| interest.is_readable()) {
            return self.ready_or_leased(leases, interest).await;
        }
        self.source.ready(interest).await.map(Ready::from)
    }

    /// Bytes received ahead are readable, and the socket itself does not say so.
    async fn ready_or_leased(&self, leases: &Leases, interest: Interest) -> io::Result<Ready> {
        let rest = interest.remove(Interest::READABLE);
        let mut others = pin!(rest.map(|rest| self.source.ready(rest)));
        poll_fn(|cx| {
            if self.poll_leased(leases, cx, true, |_| 0)?.is_ready() {
                return Poll::Ready(Ok(Ready::READABLE));
            }
            match others.as_mut().as_pin_mut() {
                Some(others) => others.poll(cx).map_ok(Ready::from),
                None => Poll::Pending,
            }
        })
        .await
    }

    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<()>> {
        match self.leased.get() {
            Some(leases) if direction == Direction::Read => {
                self.poll_leased(leases, cx, true, |_| 0).map_ok(drop)
            }
            _ => self.source.poll_ready(cx, direction).map_ok(drop),
        }
    }

    #[inline]
    pub(super) fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_io(interest, f)
    }

    pub(super) async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let Some(leases) = self.leased.get().filter(|_| interest.is_readable()) else {
            return self.source.async_io(interest, f).await;
        };
        loop {
            // The unit is this thread's: it is gone before the next await.
            let result = {
                let unit = poll_fn(budget::poll_proceed).await;
                let result = f();
                unit.made_progress();
                result
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            // The socket itself does not tell of what was received ahead.
            self.ready_or_leased(leases, interest).await?;
        }
    }

    pub(super) fn try_read(&self, mut buf: &mut [u8]) -> io::Result<usize> {
        if let Some(leases) = self.leased.get() {
            return self.try_leased(leases, |bytes| copy_to(bytes, &mut buf));
        }
        self.try_io(Interest::READABLE, || socket::read(self.lent(), buf))
    }

    pub(super) fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if let Some(leases) = self.leased.get() {
            return self.try_leased(leases, |mut bytes| bytes.read_vectored(bufs).unwrap_or(0));
        }
        self.try_io(Interest::READABLE, || {
            socket::recv_vectored(self.lent(), bufs)
        })
    }

    pub(super) fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        if let Some(leases) = self.leased.get() {
            return self.try_leased(leases, |bytes| copy_to(bytes, buf));
        }
        self.try_io(Interest::READABLE, || socket::recv_buf(self.lent(), buf))
    }

    pub(super) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || socket::send(self.lent(), buf))
    }

    pub(super) fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || {
            socket::send_vectored(self.lent(), bufs)
        })
    }

    pub(super) async fn peek(&self, mut buf: &mut [u8]) -> io::Result<usize> {
        if let Some(leases) = self.leased.get() {
            return poll_fn(|cx| {
                self.poll_leased(leases, cx, true, |bytes| copy_to(bytes, &mut buf))
            })
            .await;
        }
        let call = || socket::peek_bytes(self.lent(), buf);
        self.source.async_io(Interest::READABLE, call).await
    }

    pub(super) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Some(leases) = self.leased.get() {
            return self.poll_leased(leases, cx, true, |bytes| copy_to(bytes, buf));
        }
        self.source
            .poll_io(cx, Direction::Read, || socket::peek_buf(self.lent(), buf))
    }

    #[inline]
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(leases) = self.leased.get() {
            return self
                .poll_leased(leases, cx, false, |bytes| copy_to(bytes, buf))
                .map_ok(drop);
        }
        let room = buf.remaining();
        let received = self.source.poll_transfer(cx, Direction::Read, room, || {
            socket::recv_buf(self.lent(), buf)
        });
        received.map_ok(drop)
    }

    #[inline]
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.source
            .poll_transfer(cx, Direction::Write, buf.len(), || {
                socket::send(self.lent(), buf)
            })
    }

    #[inline]
    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A part that is short for want of room in the call says nothing of the socket.
        let bufs = socket::sendable(bufs);
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.source.poll_transfer(cx, Direction::Write, len, || {
            socket::send_vectored(self.lent(), bufs)
        })
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match socket::shutdown(self.lent(), how) {
            // The peer has reset the connection: there is nothing left to close.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        }
    }
}

/// Copies what there is room for.
fn copy_to(bytes: &[u8], buf: &mut impl BufMut) -> usize {
    let taken = bytes.len().min(buf.remaining_mut());
    buf.put_slice(&bytes[..taken]);
    taken
}
