//! UDP: sockets, their options, and what goes beside a datagram.

mod message;
mod options;
mod peek;

pub use message::{Datagram, Ecn, Received};

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::{Direction, Registration};
use blitz_sys::descriptor::{AsFd, AsRawFd, OwnedFd};
use blitz_sys::socket::{self, Domain, SockAddr, SockRef};

use super::addr::each_addr_now;
use super::adopt::{into_fd, open_driver, refuse_blocking};
use super::datagrams::datagrams;
use super::waits::waits;
use super::{ToSocketAddrs, error};
use crate::context::call;
use crate::io::Interest;

/// A UDP socket.
///
/// One socket serves any number of peers by [`send_to`](UdpSocket::send_to) and [`recv_from`](UdpSocket::recv_from), or, once
/// [`connect`](UdpSocket::connect)ed, one peer by [`send`](UdpSocket::send) and [`recv`](UdpSocket::recv). All of them take
/// `&self`: put the socket into an `Arc` to send in one task and to receive in another.
///
/// Datagrams get lost, come twice and overtake each other, and one that does not fit into the receiver's buffer loses its end
/// ([`recv_message`](UdpSocket::recv_message) says so). Under the `thread_per_core` flavour a socket is not spread over the workers by itself.
///
/// # Examples
/// ```
/// use blitz_io::net::UdpSocket;
///
/// # #[blitz_io::main]
/// # async fn main() -> std::io::Result<()> {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.send_to(b"ping", server.local_addr()?).await?;
///
/// let mut buf = [0; 1500];
/// let (len, from) = server.recv_from(&mut buf).await?;
/// assert_eq!((&buf[..len], from), (&b"ping"[..], client.local_addr()?));
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    io: Registration,
}

impl UdpSocket {
    /// Binds a socket to the first address that `addr` gives and that can be bound. Port 0 means any free port, which
    /// [`local_addr`](UdpSocket::local_addr) then tells.
    ///
    /// # Cancel safety
    /// Safe: nothing stays bound when the future is dropped.
    ///
    /// # Errors
    /// That of the last address tried, with the address in its text; its kind is the kernel's (`AddrInUse`, …), its source the
    /// kernel's own error.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn bind<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<UdpSocket>> {
        static CALL: Site = Site::new("UdpSocket::bind", Resource::Descriptor);
        call(&CALL, UNKNOWN, async move {
            each_addr_now(addr, |addr| {
                let driver = open_driver("UdpSocket::bind")?;
                bound(addr)
                    .map(|fd| UdpSocket::new(fd, driver))
                    .map_err(|error| error::at("bind", addr, error))
            })
            .await
        })
    }

    /// Takes a bound, non-blocking descriptor.
    fn new(fd: OwnedFd, driver: blitz_driver::Handle) -> UdpSocket {
        UdpSocket {
            io: Registration::new(Arc::new(fd), driver),
        }
    }

    /// Takes over a socket of the standard library, which must be in non-blocking mode.
    ///
    /// # Errors
    /// When the mode cannot be asked for.
    ///
    /// # Panics
    /// Outside a runtime; in debug builds also when the socket is in blocking mode.
    #[track_caller]
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        refuse_blocking(&socket)?;
        Ok(UdpSocket::new(
            socket.into(),
            open_driver("UdpSocket::from_std")?,
        ))
    }

    /// Gives the socket back to the standard library, still in non-blocking mode.
    ///
    /// # Errors
    /// When a second descriptor is needed, since another thread's driver holds the first for a moment, and cannot be made.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        into_fd(self.io).map(Into::into)
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        socket::local_addr(self.as_fd())
    }

    /// The address of the peer that the socket is connected to.
    ///
    /// # Errors
    /// `NotConnected` if it is to none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        socket::peer_addr(self.as_fd())
    }

    /// Gives the socket a peer, the first of the addresses that can be: `send` goes there, and datagrams of others are not
    /// received any more. Nothing is sent by this.
    ///
    /// # Cancel safety
    /// Safe: the socket has the peer or not.
    ///
    /// # Errors
    /// That of the last address tried, with the address in its text.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::UdpSocket;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let one = UdpSocket::bind("127.0.0.1:0").await?;
    /// let other = UdpSocket::bind("127.0.0.1:0").await?;
    /// one.connect(other.local_addr()?).await?;
    /// other.connect(one.local_addr()?).await?;
    /// one.send(b"hello").await?;
    /// let mut buf = [0; 16];
    /// assert_eq!(other.recv(&mut buf).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("UdpSocket::connect", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            each_addr_now(addr, |addr| {
                socket::set_peer(self.as_fd(), addr)
                    .map_err(|error| error::at("connect to", addr, error))
            })
            .await
        })
    }

    /// Sends a datagram to the first address that `addr` gives; returns how many bytes went, which is all of them.
    ///
    /// # Cancel safety
    /// Safe: a dropped `send_to` has sent nothing.
    ///
    /// # Errors
    /// Those of `sendto(2)`: `EMSGSIZE` if it is longer than a datagram can be. `InvalidInput` if `addr` gives no address. When
    /// the runtime is shutting down.
    #[track_caller]
    pub fn send_to<A: ToSocketAddrs>(
        &self,
        buf: &[u8],
        addr: A,
    ) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("UdpSocket::send_to", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let target = super::addr::first_addr(addr).await?;
            let target = SockAddr::from(target);
            let call = || socket::send_to(self.as_fd(), buf, &target);
            self.io.async_io(Interest::WRITABLE, call).await
        })
    }

    /// Polls to [`send_to`](UdpSocket::send_to). One task at a time: only the last caller's waker is kept.
    ///
    /// # Errors
    /// As there.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let target = SockAddr::from(target);
        let call = || socket::send_to(self.as_fd(), buf, &target);
        self.io.poll_io(cx, Direction::Write, call)
    }

    /// As [`send_to`](UdpSocket::send_to), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing now; else as there.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        let target = SockAddr::from(target);
        let call = || socket::send_to(self.as_fd(), buf, &target);
        self.io.try_io(Interest::WRITABLE, call)
    }
}

/// A new socket, bound.
fn bound(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = socket::datagram(Domain::for_address(addr))?;
    SockRef::from(&fd).bind(&addr.into())?;
    Ok(fd)
}

waits! {
    UdpSocket, poll_recv_ready, poll_send_ready;
}

datagrams! {
    UdpSocket, SocketAddr, socket::as_inet;
}

impl TryFrom<std::net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    /// As [`UdpSocket::from_std`].
    fn try_from(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::from_std(socket)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut socket = f.debug_struct("UdpSocket");
        if let Ok(addr) = self.local_addr() {
            socket.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            socket.field("peer", &peer);
        }
        socket.field("fd", &self.as_raw_fd()).finish()
    }
}
