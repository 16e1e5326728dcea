//! A connection: how it is made, read, written and taken apart.

#[cfg(unix)]
mod files;
mod leased;
mod options;
mod owned;
mod ready;

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::{Direction, Registration};
use blitz_io_traits::{AsyncRead, AsyncWrite, ReadBuf};
use blitz_sys::descriptor::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use blitz_sys::socket::{self, Connect, Domain};
use bytes::BufMut;

use leased::Leased;

use super::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, into_fd, open_driver, refuse_blocking,
    split, split_owned,
};
use crate::context::call;
use crate::net::addr::each_addr;
use crate::net::{ToSocketAddrs, error};

/// A TCP connection.
///
/// It is read and written through [`AsyncRead`] and [`AsyncWrite`], whose bytes go straight between the kernel and the
/// caller's buffer. To use both directions from two tasks, [`split`](TcpStream::split) it by reference or
/// [`into_split`](TcpStream::into_split) it for good. `shutdown` of `AsyncWriteExt` closes the sending side alone, and
/// dropping the stream closes both.
///
/// # Examples
/// ```
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::net::{TcpListener, TcpStream};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
///
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let mut text = String::new();
/// server.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    pub(crate) io: Registration,
    leased: Leased,
}

impl TcpStream {
    /// Connects to a remote address, trying each one that `addr` gives until one answers.
    ///
    /// # Cancel safety
    /// Safe: a connection under way is closed when the future is dropped.
    ///
    /// # Errors
    /// That of the last address tried, with the address in its text; its kind is the kernel's
    /// (`ConnectionRefused`, `TimedOut`, …), its source the kernel's own error.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::TcpStream;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() {
    /// let error = TcpStream::connect("127.0.0.1:1").await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    /// assert!(error.to_string().contains("127.0.0.1:1"));
    /// # }
    /// ```
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<TcpStream>> {
        static CALL: Site = Site::new("TcpStream::connect", Resource::Descriptor);
        call(&CALL, UNKNOWN, async move {
            each_addr(addr, async |addr| {
                let fd = socket::stream(Domain::for_address(addr));
                let fd = fd.map_err(|error| error::at("connect to", addr, error))?;
                TcpStream::connect_fd(fd, addr).await
            })
            .await
        })
    }

    /// Connects a socket that is not connected yet.
    pub(super) async fn connect_fd(fd: OwnedFd, addr: SocketAddr) -> io::Result<TcpStream> {
        let explain = |error| error::at("connect to", addr, error);
        let driver = open_driver("TcpStream::connect")?;
        let state = socket::connect(fd.as_fd(), addr).map_err(explain)?;
        let stream = TcpStream::new(fd, driver);
        if state == Connect::Pending {
            stream.finish_connect().await.map_err(explain)?;
        }
        Ok(stream)
    }

    /// Waits until a connection under way stands or has failed.
    async fn finish_connect(&self) -> io::Result<()> {
        let connected = || match socket::take_error(self.as_fd())? {
            Some(error) => Err(error),
            // No error and no peer: still under way, so it was not what the wait was for.
            None => match socket::peer_addr(self.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    // An error may have come between the two questions.
                    Err(socket::take_error(self.as_fd())?
                        .unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
                }
                // A peer that is gone again was there: reads will tell.
                _ => Ok(()),
            },
        };
        self.io
            .async_io(crate::io::Interest::WRITABLE, connected)
            .await
    }

    /// Takes a connected, non-blocking descriptor.
    pub(crate) fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> TcpStream {
        TcpStream {
            io: Registration::new(Arc::new(fd), driver),
            leased: Leased::new(),
        }
    }

    /// Takes over a stream of the standard library, which must be in non-blocking mode.
    ///
    /// # Errors
    /// When the mode cannot be asked for.
    ///
    /// # Panics
    /// Outside a runtime; in debug builds also when the stream is in blocking mode.
    #[track_caller]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        refuse_blocking(&stream)?;
        Ok(TcpStream::new(
            stream.into(),
            open_driver("TcpStream::from_std")?,
        ))
    }

    /// Gives the connection back to the standard library, still in non-blocking mode.
    ///
    /// Bytes that were received ahead for [`recv_lease`](TcpStream::recv_lease) and not read are lost.
    ///
    /// While owned operations that were dropped are still under way in the kernel they hold the first descriptor,
    /// and a second one of the same connection is returned.
    ///
    /// # Errors
    /// When that second one cannot be made.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        into_fd(self.io).map(Into::into)
    }

    /// Splits the stream into a half to read and a half to write, both borrowing it.
    ///
    /// Use [`into_split`](TcpStream::into_split) when they go to two tasks.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits the stream into two halves that own it together.
    ///
    /// Dropping the half that writes closes the sending side, as `shutdown` does.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split_owned(self)
    }

    pub(super) fn shutdown_std(&self, how: Shutdown) -> io::Result<()> {
        match socket::shutdown(self.as_fd(), how) {
            // The peer has reset the connection: there is nothing left to close.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        }
    }

    // The three below take `&self`: the halves of a split stream call them too.

    #[inline]
    pub(in crate::net) fn poll_read_ref(
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
        let received = self.io.poll_transfer(cx, Direction::Read, room, || {
            socket::recv_buf(self.as_fd(), buf)
        });
        received.map_ok(drop)
    }

    #[inline]
    pub(in crate::net) fn poll_write_ref(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_transfer(cx, Direction::Write, buf.len(), || {
            socket::send(self.as_fd(), buf)
        })
    }

    #[inline]
    pub(super) fn poll_write_vectored_ref(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A part that is short for want of room in the call says nothing of the socket.
        let bufs = socket::sendable(bufs);
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.io.poll_transfer(cx, Direction::Write, len, || {
            socket::send_vectored(self.as_fd(), bufs)
        })
    }
}

/// Copies what there is room for.
fn copy_to(bytes: &[u8], buf: &mut impl BufMut) -> usize {
    let taken = bytes.len().min(buf.remaining_mut());
    buf.put_slice(&bytes[..taken]);
    taken
}

impl AsyncRead for TcpStream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_ref(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_ref(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored_ref(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What `send` has taken is the kernel's to send.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_std(Shutdown::Write))
    }
}

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    /// As [`TcpStream::from_std`].
    fn try_from(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream)
    }
}

impl AsRef<TcpStream> for TcpStream {
    fn as_ref(&self) -> &TcpStream {
        self
    }
}

impl AsFd for TcpStream {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.fd().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stream = f.debug_struct("TcpStream");
        if let Ok(addr) = self.local_addr() {
            stream.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            stream.field("peer", &peer);
        }
        stream.field("fd", &self.as_raw_fd()).finish()
    }
}
