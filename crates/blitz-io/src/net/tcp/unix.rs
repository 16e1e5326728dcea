//! Options of sockets that Unix alone has.

use std::io;

use super::TcpSocket;

impl TcpSocket {
    /// Lets several listeners share one address, among which the kernel spreads the connections (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.option().set_reuse_port(reuseport)
    }

    /// Whether `SO_REUSEPORT` is set.
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.option().reuse_port()
    }

    /// The traffic class of packets sent over IPv6 (`IPV6_TCLASS`).
    ///
    /// # Errors
    /// Those of `getsockopt(2)`.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.option().tclass_v6()
    }

    /// Sets the traffic class of packets sent over IPv6 (`IPV6_TCLASS`).
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.option().set_tclass_v6(tclass)
    }
}
