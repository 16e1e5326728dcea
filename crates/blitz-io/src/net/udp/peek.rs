//! Looking at a datagram that stays.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site};
use blitz_driver::Direction;
use blitz_io_traits::ReadBuf;
use blitz_sys::descriptor::AsFd;
use blitz_sys::socket;

use super::UdpSocket;
use crate::context::call;
use crate::io::Interest;

impl UdpSocket {
    /// As [`recv`](UdpSocket::recv), and leaves the datagram for the next call.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("UdpSocket::peek", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let call = || socket::peek_bytes(self.as_fd(), buf);
            self.io.async_io(Interest::READABLE, call).await
        })
    }

    /// Polls to [`peek`](UdpSocket::peek). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let call = || socket::peek_buf(self.as_fd(), buf);
        self.io.poll_io(cx, Direction::Read, call).map_ok(drop)
    }

    /// As [`peek`](UdpSocket::peek), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is no datagram; else as there.
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let call = || socket::peek_bytes(self.as_fd(), buf);
        self.io.try_io(Interest::READABLE, call)
    }

    /// As [`recv_from`](UdpSocket::recv_from), and leaves the datagram for the next call.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::UdpSocket;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let one = UdpSocket::bind("127.0.0.1:0").await?;
    /// let other = UdpSocket::bind("127.0.0.1:0").await?;
    /// one.send_to(b"head and body", other.local_addr()?).await?;
    ///
    /// let mut head = [0; 4];
    /// let (len, from) = other.peek_from(&mut head).await?;
    /// assert_eq!((len, from), (4, one.local_addr()?));
    /// assert_eq!(other.recv(&mut [0; 64]).await?, 13); // it was still there
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn peek_from(
        &self,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> {
        static CALL: Site = Site::new("UdpSocket::peek_from", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let call = || socket::peek_bytes_from(self.as_fd(), buf);
            let (len, from) = self.io.async_io(Interest::READABLE, call).await?;
            Ok((len, socket::as_inet(&from)?))
        })
    }

    /// Polls to [`peek_from`](UdpSocket::peek_from). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let call = || socket::peek_buf_from(self.as_fd(), buf);
        let peeked = self.io.poll_io(cx, Direction::Read, call);
        peeked.map(|peeked| socket::as_inet(&peeked?.1))
    }

    /// As [`peek_from`](UdpSocket::peek_from), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is no datagram; else as there.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let call = || socket::peek_bytes_from(self.as_fd(), buf);
        let (len, from) = self.io.try_io(Interest::READABLE, call)?;
        Ok((len, socket::as_inet(&from)?))
    }

    /// Waits for a datagram and says who sent it; it stays.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken.
    ///
    /// # Errors
    /// As for [`recv_from`](UdpSocket::recv_from).
    #[track_caller]
    pub fn peek_sender(&self) -> impl Future<Output = io::Result<SocketAddr>> {
        static CALL: Site = Site::new("UdpSocket::peek_sender", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let call = || socket::peek_sender(self.as_fd());
            self.io.async_io(Interest::READABLE, call).await
        })
    }

    /// Polls to [`peek_sender`](UdpSocket::peek_sender). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        let call = || socket::peek_sender(self.as_fd());
        self.io.poll_io(cx, Direction::Read, call)
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is no datagram; else as there.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        let call = || socket::peek_sender(self.as_fd());
        self.io.try_io(Interest::READABLE, call)
    }
}
