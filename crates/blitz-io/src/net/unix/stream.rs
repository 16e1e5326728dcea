//! A connection within the machine.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_sys::descriptor::{AsFd, AsRawFd, OwnedFd};
use blitz_sys::socket::local;
use blitz_sys::socket::{Connect, SockAddr};

use super::{SocketAddr, UCred};
use crate::context::call;
use crate::io::Ready;
use crate::net::adopt::{into_fd, open_driver, refuse_blocking};
use crate::net::error;
use crate::net::stream::Stream;
use crate::net::stream::owned::owned_face;
use crate::net::waits::waits;

/// A connection between two Unix sockets.
///
/// It is read and written as a [`TcpStream`](crate::net::TcpStream) is, also with owned and leased buffers.
///
/// # Examples
/// ```
/// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
/// use blitz_io::net::{UnixListener, UnixStream};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("blitz-unix-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("echo.sock");
/// let listener = UnixListener::bind(&path)?;
/// let mut client = UnixStream::connect(&path).await?;
/// let (mut server, _) = listener.accept().await?;
/// # std::fs::remove_dir_all(&folder)?;
///
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let mut text = String::new();
/// server.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok(())
/// # }
/// ```
pub struct UnixStream {
    pub(in crate::net) io: Stream,
}

impl UnixStream {
    /// Connects to the socket that listens on `path`; one that begins with a zero byte is an abstract name.
    ///
    /// # Cancel safety
    /// Safe: a connection under way is closed when the future is dropped.
    ///
    /// # Errors
    /// Those of `connect(2)`, with the path in the text; the kind is the kernel's, the source its own error: `NotFound` if
    /// there is no such file, `ConnectionRefused` if nothing listens there, `WouldBlock` if the line of those who wait to be
    /// accepted is full, since the kernel says of Unix sockets alone that one has to come again later. `InvalidInput` if the
    /// path is too long.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::UnixStream;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() {
    /// let error = UnixStream::connect("/no/such/socket").await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// assert!(error.to_string().contains("/no/such/socket"));
    /// # }
    /// ```
    #[track_caller]
    pub fn connect<P: AsRef<Path>>(path: P) -> impl Future<Output = io::Result<UnixStream>> {
        static CALL: Site = Site::new("UnixStream::connect", Resource::Descriptor);
        call(&CALL, UNKNOWN, async move {
            let path = path.as_ref();
            let fd = local::stream().map_err(|error| error::at_path("connect to", path, error))?;
            UnixStream::connect_fd(fd, path).await
        })
    }

    /// As [`connect`](UnixStream::connect), to an address.
    ///
    /// # Cancel safety
    /// Safe: a connection under way is closed when the future is dropped.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn connect_addr(socket_addr: &SocketAddr) -> impl Future<Output = io::Result<UnixStream>> {
        static CALL: Site = Site::new("UnixStream::connect_addr", Resource::Descriptor);
        call(&CALL, UNKNOWN, async move {
            let explain = |error| error::at_path("connect to", socket_addr, error);
            let addr = local::from_std(socket_addr.std()).map_err(explain)?;
            let fd = local::stream().map_err(explain)?;
            UnixStream::connect_to(fd, &addr, explain).await
        })
    }

    /// Connects a socket that is not connected yet.
    pub(super) async fn connect_fd(fd: OwnedFd, path: &Path) -> io::Result<UnixStream> {
        let explain = |error| error::at_path("connect to", path, error);
        let addr = local::address(path).map_err(explain)?;
        UnixStream::connect_to(fd, &addr, explain).await
    }

    async fn connect_to(
        fd: OwnedFd,
        addr: &SockAddr,
        explain: impl Fn(io::Error) -> io::Error,
    ) -> io::Result<UnixStream> {
        let driver = open_driver("UnixStream::connect")?;
        let state = local::connect(fd.as_fd(), addr).map_err(&explain)?;
        let stream = UnixStream::new(fd, driver);
        if state == Connect::Pending {
            stream.io.finish_connect().await.map_err(explain)?;
        }
        Ok(stream)
    }

    /// Takes a connected, non-blocking descriptor.
    pub(super) fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> UnixStream {
        UnixStream {
            io: Stream::new(fd, driver),
        }
    }

    /// Two streams, each the other's peer, without a name.
    ///
    /// # Errors
    /// Those of `socketpair(2)`.
    ///
    /// # Panics
    /// Outside a runtime.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
    /// use blitz_io::net::UnixStream;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (mut one, mut other) = UnixStream::pair()?;
    /// one.write_all(b"ping").await?;
    /// let mut buf = [0; 4];
    /// other.read_exact(&mut buf).await?;
    /// assert_eq!(&buf, b"ping");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let driver = open_driver("UnixStream::pair")?;
        let (one, other) = local::stream_pair()?;
        let ends = (
            UnixStream::new(one, driver.clone()),
            UnixStream::new(other, driver),
        );
        // Nothing was sent yet: there is room.
        ends.0.io.source.assume(Ready::WRITABLE);
        ends.1.io.source.assume(Ready::WRITABLE);
        Ok(ends)
    }

    /// Takes over a stream of the standard library, which must be in non-blocking mode.
    ///
    /// # Errors
    /// When the mode cannot be asked for.
    ///
    /// # Panics
    /// Outside a runtime; in debug builds also when the stream is in blocking mode.
    #[track_caller]
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        refuse_blocking(&stream)?;
        Ok(UnixStream::new(
            stream.into(),
            open_driver("UnixStream::from_std")?,
        ))
    }

    /// Gives the connection back to the standard library, still in non-blocking mode.
    ///
    /// Bytes that were received ahead for [`recv_lease`](UnixStream::recv_lease) and not read are lost.
    ///
    /// While owned operations that were dropped are still under way in the kernel they hold the first descriptor,
    /// and a second one of the same connection is returned.
    ///
    /// # Errors
    /// When that second one cannot be made.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        into_fd(self.io.source).map(Into::into)
    }

    /// The address of this end; most connecting ends have none.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local::local_addr(self.as_fd()).map(SocketAddr::from)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` when the peer is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        local::peer_addr(self.as_fd()).map(SocketAddr::from)
    }

    /// Who was at the other end when it connected or, for the connecting end, began to listen (`SO_PEERCRED`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (one, _other) = blitz_io::net::UnixStream::pair()?;
    /// let peer = one.peer_cred()?;
    /// if let Some(pid) = peer.pid() {
    ///     assert_eq!(pid as u32, std::process::id());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of(self.as_fd())
    }
}

waits! {
    UnixStream, poll_read_ready, poll_write_ready;
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::UnixStream;
    /// use std::io::ErrorKind;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (one, other) = UnixStream::pair()?;
    /// one.try_write(b"hi")?;
    ///
    /// let mut buf = [0; 16];
    /// let n = loop {
    ///     other.readable().await?;
    ///     match other.try_read(&mut buf) {
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
    ///         done => break done?,
    ///     }
    /// };
    /// assert_eq!(&buf[..n], b"hi");
    /// # Ok(())
    /// # }
    /// ```
}

owned_face! {
    UnixStream;
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (one, other) = blitz_io::net::UnixStream::pair()?;
    /// let (sent, _buf) = one.write_owned("owned").await;
    /// assert_eq!(sent?, 5);
    /// let (received, buf) = other.read_owned(Vec::with_capacity(1024)).await;
    /// assert_eq!(received?, 5);
    /// assert_eq!(buf, b"owned");
    /// # Ok(())
    /// # }
    /// ```
    ;
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let (one, other) = blitz_io::net::UnixStream::pair()?;
    /// one.try_write(b"on loan")?;
    /// drop(one);
    /// assert_eq!(&other.recv_lease().await?[..], b"on loan");
    /// assert!(other.recv_lease().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
}

impl TryFrom<std::os::unix::net::UnixStream> for UnixStream {
    type Error = io::Error;

    /// As [`UnixStream::from_std`].
    fn try_from(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::from_std(stream)
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stream = f.debug_struct("UnixStream");
        if let Ok(addr) = self.local_addr() {
            stream.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            stream.field("peer", &peer);
        }
        stream.field("fd", &self.as_raw_fd()).finish()
    }
}
