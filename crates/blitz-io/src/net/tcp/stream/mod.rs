//! A connection: how it is made, read, written and taken apart.

#[cfg(unix)]
mod files;
mod options;
mod owned;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_io_traits::ReadBuf;
use blitz_sys::descriptor::{AsFd, AsRawFd, OwnedFd};
use blitz_sys::socket::{self, Connect, Domain};

use crate::context::call;
use crate::net::addr::each_addr;
use crate::net::adopt::{into_fd, open_driver, refuse_blocking};
use crate::net::stream::Stream;
use crate::net::waits::waits;
use crate::net::{ToSocketAddrs, error};

/// A TCP connection.
///
/// It is read and written through [`AsyncRead`](crate::io::AsyncRead) and [`AsyncWrite`](crate::io::AsyncWrite), whose bytes go straight between the kernel and the
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
    pub(in crate::net) io: Stream,
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
            stream.io.finish_connect().await.map_err(explain)?;
        }
        Ok(stream)
    }

    /// Takes a connected, non-blocking descriptor.
    pub(crate) fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> TcpStream {
        TcpStream {
            io: Stream::new(fd, driver),
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
        into_fd(self.io.source).map(Into::into)
    }

    /// Receives bytes and leaves them for the next read; returns how many.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken.
    ///
    /// # Errors
    /// Those of `recv(2)`, and when the runtime is shutting down.
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("TcpStream::peek", Resource::Descriptor);
        call(&CALL, self.number(), self.io.peek(buf))
    }

    /// Polls to [`peek`](TcpStream::peek). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.io.poll_peek(cx, buf)
    }
}

waits! {
    TcpStream, poll_read_ready, poll_write_ready;
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::{TcpListener, TcpStream};
    /// use std::io::ErrorKind;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    /// client.try_write(b"hi")?;
    ///
    /// let mut buf = [0; 16];
    /// let n = loop {
    ///     server.readable().await?;
    ///     match server.try_read(&mut buf) {
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
    ///         done => break done?,
    ///     }
    /// };
    /// assert_eq!(&buf[..n], b"hi");
    /// # Ok(())
    /// # }
    /// ```
}

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    /// As [`TcpStream::from_std`].
    fn try_from(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream)
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
