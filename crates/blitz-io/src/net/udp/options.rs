//! What a UDP socket can be asked, and told.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use blitz_sys::descriptor::AsFd;
use blitz_sys::socket::{self, SockRef};

use super::UdpSocket;

/// A question and an order for each option, by socket2's calls.
macro_rules! options {
    ($(
        $(#[$asks:meta])*
        $get:ident = $getter:ident;
        $(#[$tells:meta])*
        $set:ident($arg:ident: $type:ty) = $setter:ident;
    )*) => {$(
        $(#[$asks])*
        ///
        /// # Errors
        /// Those of `getsockopt(2)`.
        pub fn $get(&self) -> io::Result<$type> {
            self.option().$getter()
        }

        $(#[$tells])*
        ///
        /// # Errors
        /// Those of `setsockopt(2)`.
        pub fn $set(&self, $arg: $type) -> io::Result<()> {
            self.option().$setter($arg)
        }
    )*};
}

impl UdpSocket {
    fn option(&self) -> SockRef<'_> {
        SockRef::from(&**self.io.fd())
    }

    options! {
        /// Whether datagrams may go to a broadcast address (`SO_BROADCAST`).
        broadcast = broadcast;
        /// Sets whether datagrams may go to a broadcast address (`SO_BROADCAST`); without it that is `PermissionDenied`.
        set_broadcast(on: bool) = set_broadcast;

        /// Whether this machine gets what the socket sends to a group over IPv4 (`IP_MULTICAST_LOOP`).
        multicast_loop_v4 = multicast_loop_v4;
        /// Sets whether this machine gets what the socket sends to a group over IPv4 (`IP_MULTICAST_LOOP`).
        set_multicast_loop_v4(on: bool) = set_multicast_loop_v4;

        /// How many hops datagrams to a group over IPv4 go (`IP_MULTICAST_TTL`).
        multicast_ttl_v4 = multicast_ttl_v4;
        /// Sets how many hops datagrams to a group over IPv4 go (`IP_MULTICAST_TTL`): one, the default, stays in the network.
        set_multicast_ttl_v4(ttl: u32) = set_multicast_ttl_v4;

        /// Whether this machine gets what the socket sends to a group over IPv6 (`IPV6_MULTICAST_LOOP`).
        multicast_loop_v6 = multicast_loop_v6;
        /// Sets whether this machine gets what the socket sends to a group over IPv6 (`IPV6_MULTICAST_LOOP`).
        set_multicast_loop_v6(on: bool) = set_multicast_loop_v6;

        /// How many hops datagrams to a group over IPv6 go (`IPV6_MULTICAST_HOPS`).
        multicast_hops_v6 = multicast_hops_v6;
        /// Sets how many hops datagrams to a group over IPv6 go (`IPV6_MULTICAST_HOPS`).
        set_multicast_hops_v6(hops: u32) = set_multicast_hops_v6;

        /// The index of the interface by which datagrams to a group over IPv6 go (`IPV6_MULTICAST_IF`); 0 for the system's choice.
        multicast_if_v6 = multicast_if_v6;
        /// Sets the index of the interface by which datagrams to a group over IPv6 go (`IPV6_MULTICAST_IF`).
        set_multicast_if_v6(interface: u32) = set_multicast_if_v6;

        /// The time to live of datagrams sent over IPv4 (`IP_TTL`).
        ttl = ttl_v4;
        /// Sets the time to live of datagrams sent over IPv4 (`IP_TTL`).
        set_ttl(ttl: u32) = set_ttl_v4;

        /// The type of service of datagrams sent over IPv4 (`IP_TOS`).
        tos_v4 = tos_v4;
        /// Sets the type of service of datagrams sent over IPv4 (`IP_TOS`).
        ///
        /// For one datagram alone see [`Datagram::tos`](super::Datagram::tos).
        set_tos_v4(tos: u32) = set_tos_v4;
    }

    /// The older name of [`tos_v4`](UdpSocket::tos_v4).
    ///
    /// # Errors
    /// As there.
    #[deprecated = "renamed to `tos_v4`, since it is for IPv4 alone"]
    #[doc(hidden)]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// The older name of [`set_tos_v4`](UdpSocket::set_tos_v4).
    ///
    /// # Errors
    /// As there.
    #[deprecated = "renamed to `set_tos_v4`, since it is for IPv4 alone"]
    #[doc(hidden)]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The address of the interface by which datagrams to a group over IPv4 go (`IP_MULTICAST_IF`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn multicast_if_v4(&self) -> io::Result<Ipv4Addr> {
        self.option().multicast_if_v4()
    }

    /// Sets the interface by which datagrams to a group over IPv4 go, by its address (`IP_MULTICAST_IF`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_multicast_if_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        self.option().set_multicast_if_v4(&interface)
    }

    /// Joins a group of IPv4 on the interface with that address, or by `UNSPECIFIED` on one that the system chooses
    /// (`IP_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`: `EINVAL` if it is no group's address, `EADDRINUSE` if it was joined before.
    ///
    /// # Examples
    /// ```
    /// use std::net::Ipv4Addr;
    /// use blitz_io::net::UdpSocket;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let group = Ipv4Addr::new(239, 255, 17, 3);
    /// let socket = UdpSocket::bind("0.0.0.0:0").await?;
    /// socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    /// socket.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    /// assert!(socket.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.option().join_multicast_v4(&multiaddr, &interface)
    }

    /// Leaves a group of IPv4 (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`: `EADDRNOTAVAIL` if it was not joined.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.option().leave_multicast_v4(&multiaddr, &interface)
    }

    /// Joins a group of IPv6 on the interface with that index, or by 0 on one that the system chooses (`IPV6_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// As for [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.option().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group of IPv6 (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    /// As for [`leave_multicast_v4`](UdpSocket::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.option().leave_multicast_v6(multiaddr, interface)
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

    /// Sets whether [`recv_message`](UdpSocket::recv_message) tells each datagram's traffic class, and so its congestion mark
    /// (`IP_RECVTOS`, `IPV6_RECVTCLASS`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`; `Unsupported` off Linux.
    pub fn set_recv_tos(&self, on: bool) -> io::Result<()> {
        socket::message::set_receives_class(self.as_fd(), on)
    }

    /// Sets whether [`recv_message`](UdpSocket::recv_message) tells to which address and by which interface each datagram came
    /// (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`; `Unsupported` off Linux.
    pub fn set_recv_destination(&self, on: bool) -> io::Result<()> {
        socket::message::set_receives_destination(self.as_fd(), on)
    }

    /// Sets whether datagrams of one sender that come together are received as one (`UDP_GRO`), of which
    /// [`Received::segments`](super::Received::segments) makes several again.
    ///
    /// With it, receive by [`recv_message`](UdpSocket::recv_message) alone and give room for 64 KiB: the other calls do not say where
    /// one datagram ends and the next begins.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`: `ENOPROTOOPT` before Linux 5.0; `Unsupported` off Linux.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        socket::message::set_gro(self.as_fd(), on)
    }

    /// How many datagrams one [`send_message`](UdpSocket::send_message) may be cut into by the kernel (`UDP_SEGMENT`): 1 where it
    /// cannot.
    pub fn max_segments(&self) -> usize {
        socket::message::max_segments(self.as_fd())
    }
}

#[cfg(unix)]
impl UdpSocket {
    options! {
        /// The traffic class of datagrams sent over IPv6 (`IPV6_TCLASS`).
        tclass_v6 = tclass_v6;
        /// Sets the traffic class of datagrams sent over IPv6 (`IPV6_TCLASS`).
        set_tclass_v6(tclass: u32) = set_tclass_v6;
    }
}
