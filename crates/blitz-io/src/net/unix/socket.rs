//! A Unix socket whose options are chosen before it connects, listens or receives.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;

use blitz_core::waiting::{Resource, Site};
use blitz_sys::descriptor::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use blitz_sys::socket::{SockRef, Type, local};

use super::{UnixDatagram, UnixListener, UnixStream};
use crate::context::call;
use crate::net::adopt::open_driver;
use crate::net::error;

/// A Unix socket that neither listens nor is connected yet.
///
/// # Examples
/// ```
/// use blitz_io::net::UnixSocket;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("blitz-socket-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("app.sock");
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&path)?;
/// let listener = socket.listen(1024)?;
/// let client = UnixSocket::new_stream()?.connect(&path).await?;
/// assert_eq!(client.peer_addr()?.as_pathname(), Some(path.as_path()));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
pub struct UnixSocket {
    fd: OwnedFd,
}

impl UnixSocket {
    /// A new socket for datagrams, non-blocking and closed on exec.
    ///
    /// # Errors
    /// Those of `socket(2)`.
    pub fn new_datagram() -> io::Result<UnixSocket> {
        local::datagram().map(|fd| UnixSocket { fd })
    }

    /// A new socket for streams, non-blocking and closed on exec.
    ///
    /// # Errors
    /// Those of `socket(2)`.
    pub fn new_stream() -> io::Result<UnixSocket> {
        local::stream().map(|fd| UnixSocket { fd })
    }

    /// Binds the socket to a path; one that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    /// Those of `bind(2)`, with the path in the text; kind and source are the kernel's.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        local::address(path)
            .and_then(|addr| local::bind(self.as_fd(), &addr))
            .map_err(|error| error::at_path("bind", path, error))
    }

    /// Begins to listen, with room for `backlog` connections that are not accepted yet; the system may clamp it.
    ///
    /// # Errors
    /// Those of `listen(2)`; for a socket for datagrams `InvalidInput`, or what the system says.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        if self.is(Type::DGRAM)? {
            return Err(wrong_kind("listen cannot be called on a datagram socket"));
        }
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        SockRef::from(&self.fd).listen(backlog)?;
        let driver = open_driver("UnixSocket::listen")?;
        Ok(UnixListener::new(self.fd, driver))
    }

    /// Connects to the socket that listens on `path`.
    ///
    /// # Cancel safety
    /// Safe: the connection under way is closed when the future is dropped.
    ///
    /// # Errors
    /// As for [`UnixStream::connect`]; `InvalidInput` for a socket for datagrams, which is connected after
    /// [`datagram`](UnixSocket::datagram).
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn connect(self, path: impl AsRef<Path>) -> impl Future<Output = io::Result<UnixStream>> {
        static CALL: Site = Site::new("UnixSocket::connect", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            if self.is(Type::DGRAM)? {
                return Err(wrong_kind("connect cannot be called on a datagram socket"));
            }
            UnixStream::connect_fd(self.fd, path.as_ref()).await
        })
    }

    /// Makes it a socket for datagrams, which sends and receives.
    ///
    /// # Errors
    /// `InvalidInput` for a socket for streams.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        if self.is(Type::STREAM)? {
            return Err(wrong_kind("datagram cannot be called on a stream socket"));
        }
        UnixDatagram::of(self.fd)
    }

    fn is(&self, kind: Type) -> io::Result<bool> {
        SockRef::from(&self.fd).r#type().map(|is| is == kind)
    }
}

fn wrong_kind(says: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, says)
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.fd.into_raw_fd()
    }
}

impl FromRawFd for UnixSocket {
    /// Takes a descriptor, which must be a Unix socket in non-blocking mode.
    ///
    /// # Safety
    /// As for [`OwnedFd`]: the descriptor is open and nobody else owns it.
    #[expect(
        unsafe_code,
        reason = "the trait asks for it; the body passes the caller's promise on"
    )]
    unsafe fn from_raw_fd(fd: RawFd) -> UnixSocket {
        // SAFETY: our caller promises the same.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        UnixSocket { fd }
    }
}

impl fmt::Debug for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixSocket")
            .field("fd", &self.fd.as_raw_fd())
            .finish()
    }
}
