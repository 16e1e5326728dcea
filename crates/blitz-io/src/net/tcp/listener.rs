//! A socket that waits for connections.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion::{AcceptStream, Accepts};
use blitz_driver::{Direction, Registration};
use blitz_sys::descriptor::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use blitz_sys::socket::{self, SockRef};
use futures_core::Stream;

use super::TcpStream;
use crate::context::{self, call};
use crate::io::{Interest, Ready};
use crate::net::addr::each_addr;
use crate::net::adopt::{driver_beside, into_fd, open_driver, refuse_blocking};
use crate::net::{TcpSocket, ToSocketAddrs, error};

/// A TCP socket that listens for connections.
///
/// # Examples
/// ```
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::net::{TcpListener, TcpStream};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let addr = listener.local_addr()?;
/// let echo = blitz_io::task::spawn(async move {
///     let (mut stream, _peer) = listener.accept().await?;
///     let mut buf = [0; 5];
///     stream.read_exact(&mut buf).await?;
///     stream.write_all(&buf).await
/// });
///
/// let mut client = TcpStream::connect(addr).await?;
/// client.write_all(b"hello").await?;
/// let mut answer = [0; 5];
/// client.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"hello");
/// echo.await.unwrap()
/// # }
/// ```
pub struct TcpListener {
    pub(crate) io: Registration,
    /// What streams have accepted ahead.
    accepts: Accepts,
}

impl TcpListener {
    /// Binds a listener to the first address that `addr` gives and that can be bound. Port 0 means any free port, which
    /// [`local_addr`](TcpListener::local_addr) then tells.
    ///
    /// `SO_REUSEADDR` is set, and up to [`TcpListener::BACKLOG`] connections may queue, or as many as the
    /// system allows (`net.core.somaxconn`). Under the `thread_per_core` flavour `SO_REUSEPORT` is set too, so that each
    /// worker can bind a listener of its own to the same port and the kernel spreads the connections. Use [`TcpSocket`] to
    /// choose otherwise.
    ///
    /// # Cancel safety
    /// Safe: nothing stays bound when the future is dropped.
    ///
    /// # Errors
    /// That of the last address tried, with the address in its text; its kind is the kernel's (`AddrInUse`,
    /// `PermissionDenied`, …), its source the kernel's own error.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::TcpListener;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let first = TcpListener::bind("127.0.0.1:0").await?;
    /// let error = TcpListener::bind(first.local_addr()?).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn bind<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<TcpListener>> {
        static CALL: Site = Site::new("TcpListener::bind", Resource::Descriptor);
        call(&CALL, UNKNOWN, async move {
            each_addr(addr, async |addr| {
                let socket =
                    TcpSocket::for_addr(addr).map_err(|error| error::at("bind", addr, error))?;
                socket.set_reuseaddr(true)?;
                if context::handle("TcpListener::bind").shares_ports() {
                    socket::share_port(socket.as_fd())?;
                }
                socket.bind(addr)?;
                socket.listen(TcpListener::BACKLOG)
            })
            .await
        })
    }

    /// How many connections [`bind`](TcpListener::bind) lets queue until they are accepted, where the system allows it:
    /// a burst beyond the queue costs each client a second.
    pub const BACKLOG: u32 = socket::BACKLOG_DEFAULT;

    /// Takes a listening, non-blocking descriptor.
    pub(super) fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> TcpListener {
        TcpListener {
            io: Registration::new(Arc::new(fd), driver),
            accepts: Accepts::new(),
        }
    }

    /// Waits for a connection; returns it and the address of its other end.
    ///
    /// Any number of tasks may call it at once, also beside streams of [`incoming`](TcpListener::incoming): each connection goes to
    /// one of them.
    ///
    /// # Cancel safety
    /// Safe: a dropped `accept` has taken nothing.
    ///
    /// # Errors
    /// Those of `accept(2)`. When no descriptor is left the text says so and what helps; the listener stays usable, and the
    /// connection stays in the queue. When the runtime is shutting down.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> {
        static CALL: Site = Site::new("TcpListener::accept", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            let accepted = self.io.async_io(Interest::READABLE, || self.next()).await;
            self.accepted(accepted)
        })
    }

    /// Polls to [`accept`](TcpListener::accept). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = ready!(self.io.poll_io(cx, Direction::Read, || self.next()));
        Poll::Ready(self.accepted(accepted))
    }

    /// The next connection that is here already.
    #[inline]
    fn next(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        while let Some(taken) = self.accepts.take(&self.io) {
            if let Some(taken) = with_peer(taken).transpose() {
                return taken;
            }
        }
        socket::accept(self.as_fd())
    }

    fn accepted(
        &self,
        accepted: io::Result<(OwnedFd, SocketAddr)>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        match accepted {
            Ok((fd, addr)) => {
                let driver = driver_beside(&self.io, "TcpListener::accept");
                let stream = TcpStream::new(fd, driver);
                // Its first bytes are often here already, and there is room to send.
                stream.io.source.assume(Ready::READABLE | Ready::WRITABLE);
                Ok((stream, addr))
            }
            Err(error) => Err(error::on_accept(|| self.local_addr(), error)),
        }
    }

    /// The connections one after the other, as a stream that never ends by itself.
    ///
    /// Where the kernel can, one entry of the ring stays armed while a stream lives that was polled, and accepts up to 64 connections
    /// ahead of the readers, without a system call for each. They belong to the listener: whoever asks next gets them, be it this stream,
    /// another, or [`accept`](TcpListener::accept), which may all be used side by side and one after the other. A dropped stream
    /// loses none. Those that nobody has asked for are closed with the listener, as are those in its queue; and by
    /// [`into_std`](TcpListener::into_std).
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::{TcpListener, TcpStream};
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let mut incoming = listener.incoming();
    /// let (_stream, peer) = incoming.accept().await?;
    /// assert_eq!(peer, client.local_addr()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            accepts: self.accepts.stream(&self.io),
        }
    }

    /// Takes over a listener of the standard library, which must be in non-blocking mode.
    ///
    /// # Errors
    /// When the mode cannot be asked for.
    ///
    /// # Panics
    /// Outside a runtime; in debug builds also when the listener is in blocking mode.
    #[track_caller]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        refuse_blocking(&listener)?;
        Ok(TcpListener::new(
            listener.into(),
            open_driver("TcpListener::from_std")?,
        ))
    }

    /// Gives the listener back to the standard library, still in non-blocking mode. Connections that a stream of
    /// [`incoming`](TcpListener::incoming) had accepted ahead, and that nobody took, are closed, and so is one that comes before the
    /// kernel has heard that the stream is gone.
    ///
    /// # Errors
    /// When a second descriptor is needed, since operations in flight hold the first, and cannot be made.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        let TcpListener { io, accepts } = self;
        // It may hold the descriptor.
        drop(accepts);
        into_fd(io).map(Into::into)
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(self.as_fd())
    }

    /// The time to live of packets sent (`IP_TTL`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        SockRef::from(&self.as_fd()).ttl_v4()
    }

    /// Sets the time to live of packets sent (`IP_TTL`); connections accepted later have it too.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        SockRef::from(&self.as_fd()).set_ttl_v4(ttl)
    }
}

/// A socket that was accepted ahead, with the address of its other end; `None` if nobody is there to be served.
fn with_peer(accepted: io::Result<OwnedFd>) -> io::Result<Option<(OwnedFd, SocketAddr)>> {
    let fd = accepted?;
    match socket::peer_addr(fd.as_fd()) {
        Ok(addr) => Ok(Some((fd, addr))),
        // It was reset while it waited for us.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(None),
        Err(error) => Err(error),
    }
}

/// The connections that reach a listener: see [`TcpListener::incoming`].
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    accepts: AcceptStream<'a>,
}

impl Incoming<'_> {
    /// Waits for the next connection; returns it and the address of its other end.
    ///
    /// # Cancel safety
    /// Safe: a connection is taken by the poll that returns it.
    ///
    /// # Errors
    /// As for [`TcpListener::accept`]; the stream goes on after them.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let accepted = with_peer(ready!(self.accepts.poll_next(cx)));
            if let Some(accepted) = accepted.transpose() {
                return Poll::Ready(self.listener.accepted(accepted));
            }
        }
    }
}

impl Stream for Incoming<'_> {
    type Item = io::Result<(TcpStream, SocketAddr)>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_accept(cx).map(Some)
    }
}

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// As [`TcpListener::from_std`].
    fn try_from(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.fd().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut listener = f.debug_struct("TcpListener");
        if let Ok(addr) = self.local_addr() {
            listener.field("addr", &addr);
        }
        listener.field("fd", &self.as_raw_fd()).finish()
    }
}
