//! A socket that waits for connections from within the machine.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use blitz_core::waiting::{Resource, Site};
use blitz_driver::{Direction, Registration};
use blitz_sys::descriptor::{AsFd, AsRawFd, OwnedFd};
use blitz_sys::socket::{self, SockAddr, SockRef, local};

use super::{SocketAddr, UnixStream};
use crate::context::call;
use crate::io::{Interest, Ready};
use crate::net::adopt::{driver_beside, into_fd, open_driver, refuse_blocking};
use crate::net::error;
use crate::net::waits::has_descriptor;

/// A Unix socket that listens for connections.
///
/// Its path stays when it is dropped, as everywhere on Unix: remove it, or a later `bind` fails with `AddrInUse`.
///
/// # Examples
/// ```
/// use blitz_io::net::{UnixListener, UnixStream};
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("blitz-listen-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("app.sock");
/// let listener = UnixListener::bind(&path)?;
/// assert_eq!(listener.local_addr()?.as_pathname(), Some(path.as_path()));
/// let client = UnixStream::connect(&path).await?;
/// let (server, peer) = listener.accept().await?;
/// assert!(peer.is_unnamed());
///
/// let error = UnixListener::bind(&path).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
pub struct UnixListener {
    io: Registration,
}

impl UnixListener {
    /// Binds a listener to `path`, which becomes a file; one that begins with a zero byte is an abstract name.
    ///
    /// Up to 4,096 connections may queue, or as many as the system allows (`net.core.somaxconn`);
    /// [`UnixSocket::listen`](super::UnixSocket::listen) takes another number.
    ///
    /// # Errors
    /// Those of `bind(2)`, with the path in the text; the kind is the kernel's, the source its own error: `AddrInUse` if there
    /// is a file of that name. `InvalidInput` if the path is too long.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        let path = path.as_ref();
        let explain = |error| error::at_path("bind", path, error);
        let driver = open_driver("UnixListener::bind")?;
        let addr = local::address(path).map_err(explain)?;
        UnixListener::bind_to(&addr, driver).map_err(explain)
    }

    /// As [`bind`](UnixListener::bind), to an address.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        let explain = |error| error::at_path("bind", socket_addr, error);
        let driver = open_driver("UnixListener::bind_addr")?;
        let addr = local::from_std(socket_addr.std()).map_err(explain)?;
        UnixListener::bind_to(&addr, driver).map_err(explain)
    }

    fn bind_to(addr: &SockAddr, driver: blitz_driver::Handle) -> io::Result<UnixListener> {
        let fd = local::stream()?;
        local::bind(fd.as_fd(), addr)?;
        SockRef::from(&fd).listen(socket::BACKLOG_DEFAULT as i32)?;
        Ok(UnixListener::new(fd, driver))
    }

    /// Takes a listening, non-blocking descriptor.
    pub(super) fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> UnixListener {
        UnixListener {
            io: Registration::new(Arc::new(fd), driver),
        }
    }

    /// Waits for a connection; returns it and the address of its other end, which mostly has none.
    ///
    /// # Cancel safety
    /// Safe: a dropped `accept` has accepted nothing.
    ///
    /// # Errors
    /// Those of `accept(2)`. When no descriptor is left the text says so and what helps; the listener stays usable, and the
    /// connection stays in the queue. When the runtime is shutting down.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(UnixStream, SocketAddr)>> {
        static CALL: Site = Site::new("UnixListener::accept", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let accepted = self
                .io
                .async_io(Interest::READABLE, || local::accept(self.as_fd()))
                .await;
            self.accepted(accepted)
        })
    }

    /// Polls to [`accept`](UnixListener::accept). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let call = || local::accept(self.as_fd());
        let accepted = ready!(self.io.poll_io(cx, Direction::Read, call));
        Poll::Ready(self.accepted(accepted))
    }

    fn accepted(
        &self,
        accepted: io::Result<(OwnedFd, std::os::unix::net::SocketAddr)>,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        match accepted {
            Ok((fd, addr)) => {
                let driver = driver_beside(&self.io, "UnixListener::accept");
                let stream = UnixStream::new(fd, driver);
                // Its first bytes are often here already, and there is room to send.
                stream.io.source.assume(Ready::READABLE | Ready::WRITABLE);
                Ok((stream, addr.into()))
            }
            Err(error) => Err(error::on_accept(|| self.local_addr(), error)),
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
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        refuse_blocking(&listener)?;
        Ok(UnixListener::new(
            listener.into(),
            open_driver("UnixListener::from_std")?,
        ))
    }

    /// Gives the listener back to the standard library, still in non-blocking mode.
    ///
    /// # Errors
    /// When a second descriptor is needed, since operations in flight hold the first, and cannot be made.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        into_fd(self.io).map(Into::into)
    }

    /// The address that is listened on.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local::local_addr(self.as_fd()).map(SocketAddr::from)
    }

    /// The error that the kernel keeps for this socket (`SO_ERROR`), which asking clears.
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        socket::take_error(self.as_fd())
    }
}

has_descriptor!(UnixListener);

impl TryFrom<std::os::unix::net::UnixListener> for UnixListener {
    type Error = io::Error;

    /// As [`UnixListener::from_std`].
    fn try_from(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::from_std(listener)
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut listener = f.debug_struct("UnixListener");
        if let Ok(addr) = self.local_addr() {
            listener.field("addr", &addr);
        }
        listener.field("fd", &self.as_raw_fd()).finish()
    }
}
