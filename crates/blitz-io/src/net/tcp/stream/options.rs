//! What a connection can be asked, and told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use blitz_sys::descriptor::AsFd;
use blitz_sys::socket::{self, SockRef};

use super::TcpStream;

impl TcpStream {
    /// The address of this end.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(self.as_fd())
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// `NotConnected` when the connection has failed or was reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket::peer_addr(self.as_fd())
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        SockRef::from(&self.as_fd()).tcp_nodelay()
    }

    /// Sets whether small writes are sent at once instead of waiting for the peer's acknowledgement
    /// of what went before (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    ///
    /// # Examples
    /// ```
    /// # use blitz_io::net::{TcpListener, TcpStream};
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        SockRef::from(&self.as_fd()).set_tcp_nodelay(nodelay)
    }

    /// Whether acknowledgements go out at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`; `Unsupported` off Linux.
    pub fn quickack(&self) -> io::Result<bool> {
        socket::quickack(self.as_fd())
    }

    /// Sets whether acknowledgements go out at once (`TCP_QUICKACK`). The kernel may leave the mode again by itself.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`; `Unsupported` off Linux.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        socket::set_quickack(self.as_fd(), quickack)
    }

    /// How long the kernel may hold up `close` for unsent bytes (`SO_LINGER`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(&self.as_fd()).linger()
    }

    /// Sets how long closing waits for unsent bytes (`SO_LINGER`).
    ///
    /// A time above zero **blocks the thread** that drops the stream, and with it all tasks there; that is why
    /// tokio deprecates it. Zero resets the connection instead of closing it: say so with
    /// [`set_zero_linger`](TcpStream::set_zero_linger).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    #[deprecated = "a linger time blocks the worker that drops the stream: use `set_zero_linger`, or shut down and read to the end"]
    pub fn set_linger(&self, dur: Option<Duration>) -> io::Result<()> {
        SockRef::from(&self.as_fd()).set_linger(dur)
    }

    /// Has closing reset the connection: unsent bytes are thrown away, and the peer reads `ConnectionReset`.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        SockRef::from(&self.as_fd()).set_linger(Some(Duration::ZERO))
    }

    /// The time to live of packets sent (`IP_TTL`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        SockRef::from(&self.as_fd()).ttl_v4()
    }

    /// Sets the time to live of packets sent (`IP_TTL`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        SockRef::from(&self.as_fd()).set_ttl_v4(ttl)
    }
}
