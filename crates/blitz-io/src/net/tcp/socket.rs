//! A socket whose options are chosen before it connects or listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use blitz_core::waiting::{Resource, Site};
use blitz_sys::descriptor::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use blitz_sys::socket::{self, Domain, SockRef};

use super::{TcpListener, TcpStream};
use crate::context::call;
use crate::net::adopt::open_driver;
use crate::net::error;

/// A TCP socket that neither listens nor is connected yet.
///
/// Made to set options first; [`TcpListener::bind`] and [`TcpStream::connect`] do for the rest.
///
/// # Examples
/// ```
/// use blitz_io::net::TcpSocket;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
///
/// let stream = TcpSocket::new_v4()?.connect(listener.local_addr()?).await?;
/// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
/// # Ok(())
/// # }
/// ```
pub struct TcpSocket {
    fd: OwnedFd,
}

impl TcpSocket {
    /// A new socket for IPv4, non-blocking and closed on exec.
    ///
    /// # Errors
    /// Those of `socket(2)`.
    pub fn new_v4() -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            fd: socket::stream(Domain::IPV4)?,
        })
    }

    /// A new socket for IPv6, non-blocking and closed on exec.
    ///
    /// # Errors
    /// Those of `socket(2)`.
    pub fn new_v6() -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            fd: socket::stream(Domain::IPV6)?,
        })
    }

    pub(super) fn for_addr(addr: SocketAddr) -> io::Result<TcpSocket> {
        Ok(TcpSocket {
            fd: socket::stream(Domain::for_address(addr))?,
        })
    }

    /// Takes over a stream of the standard library, for its options; it must be in non-blocking mode.
    #[must_use]
    pub fn from_std_stream(std_stream: std::net::TcpStream) -> TcpSocket {
        TcpSocket {
            fd: std_stream.into(),
        }
    }

    /// Binds the socket to an address.
    ///
    /// # Errors
    /// Those of `bind(2)`, with the address in the text; kind and source are the kernel's.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.option()
            .bind(&addr.into())
            .map_err(|error| error::at("bind", addr, error))
    }

    /// Connects to a remote address.
    ///
    /// # Cancel safety
    /// Safe: the connection under way is closed when the future is dropped.
    ///
    /// # Errors
    /// Those of `connect(2)`, with the address in the text; kind and source are the kernel's.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn connect(self, addr: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> {
        static CALL: Site = Site::new("TcpSocket::connect", Resource::Descriptor);
        call(&CALL, self.as_raw_fd() as u64, async move {
            TcpStream::connect_fd(self.fd, addr).await
        })
    }

    /// Begins to listen, with room for `backlog` connections that are not accepted yet; the system may clamp it.
    ///
    /// # Errors
    /// Those of `listen(2)`, with the address in the text; kind and source are the kernel's.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        if let Err(error) = self.option().listen(backlog) {
            return Err(match self.local_addr() {
                Ok(addr) => error::at("listen on", addr, error),
                Err(_) => error,
            });
        }
        Ok(TcpListener::new(self.fd, open_driver("TcpSocket::listen")?))
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(self.as_fd())
    }

    /// The error that the kernel keeps for this socket (`SO_ERROR`), which asking clears.
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        socket::take_error(self.as_fd())
    }

    pub(super) fn option(&self) -> SockRef<'_> {
        SockRef::from(&self.fd)
    }

    /// Sets whether an idle connection is probed (`SO_KEEPALIVE`).
    ///
    /// How often and for how long is set through `socket2::SockRef::from(&socket)`.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.option().set_keepalive(keepalive)
    }

    /// Whether an idle connection is probed (`SO_KEEPALIVE`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.option().keepalive()
    }

    /// Lets a listener bind while older connections of its address still close (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.option().set_reuse_address(reuseaddr)
    }

    /// Whether `SO_REUSEADDR` is set.
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.option().reuse_address()
    }

    /// Sets the size of the kernel's buffer for bytes to send (`SO_SNDBUF`); the kernel may take twice that.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.option().set_send_buffer_size(size as usize)
    }

    /// The size of the kernel's buffer for bytes to send (`SO_SNDBUF`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.option().send_buffer_size().map(clamped)
    }

    /// Sets the size of the kernel's buffer for bytes received (`SO_RCVBUF`); the kernel may take twice that.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.option().set_recv_buffer_size(size as usize)
    }

    /// The size of the kernel's buffer for bytes received (`SO_RCVBUF`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.option().recv_buffer_size().map(clamped)
    }

    /// Sets how long closing waits for unsent bytes (`SO_LINGER`); see [`TcpStream::set_linger`] for why not to.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    #[deprecated = "a linger time blocks the worker that drops the stream: use `set_zero_linger`, or shut down and read to the end"]
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        self.option().set_linger(dur)
    }

    /// Has closing reset the connection instead of ending it.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.option().set_linger(Some(Duration::ZERO))
    }

    /// How long closing waits for unsent bytes (`SO_LINGER`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.option().linger()
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.option().set_tcp_nodelay(nodelay)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.option().tcp_nodelay()
    }

    /// The type of service of packets sent over IPv4 (`IP_TOS`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.option().tos_v4()
    }

    /// Sets the type of service of packets sent over IPv4 (`IP_TOS`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.option().set_tos_v4(tos)
    }

    /// The older name of [`tos_v4`](TcpSocket::tos_v4).
    ///
    /// # Errors
    /// As there.
    #[deprecated = "renamed to `tos_v4`, since it is for IPv4 alone"]
    #[doc(hidden)]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// The older name of [`set_tos_v4`](TcpSocket::set_tos_v4).
    ///
    /// # Errors
    /// As there.
    #[deprecated = "renamed to `set_tos_v4`, since it is for IPv4 alone"]
    #[doc(hidden)]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The name of the interface that the socket is bound to (`SO_BINDTODEVICE`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`; `Unsupported` off Linux.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        socket::device(self.as_fd())
    }

    /// Binds the socket to an interface by its name, or with `None` to none (`SO_BINDTODEVICE`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`; `Unsupported` off Linux.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        socket::bind_device(self.as_fd(), interface)
    }

    /// How long what was sent may wait for its acknowledgement before the connection fails (`TCP_USER_TIMEOUT`, RFC 5482); `None`
    /// stands for the system's own patience.
    ///
    /// # Errors
    /// Those of `getsockopt(2)`; `Unsupported` off Linux.
    pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
        socket::user_timeout(self.as_fd())
    }

    /// Sets that, in whole milliseconds.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`; `Unsupported` off Linux.
    pub fn set_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        socket::set_user_timeout(self.as_fd(), timeout)
    }
}

fn clamped(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.fd.into_raw_fd()
    }
}

impl FromRawFd for TcpSocket {
    /// Takes a descriptor, which must be a stream socket in non-blocking mode.
    ///
    /// # Safety
    /// As for [`OwnedFd`]: the descriptor is open and nobody else owns it.
    #[expect(
        unsafe_code,
        reason = "the trait asks for it; the body passes the caller's promise on"
    )]
    unsafe fn from_raw_fd(fd: RawFd) -> TcpSocket {
        // SAFETY: our caller promises the same.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        TcpSocket { fd }
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket")
            .field("fd", &self.fd.as_raw_fd())
            .finish()
    }
}
