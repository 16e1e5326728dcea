//! Who is at the other end.

use std::net::SocketAddr;

/// The ends of the connection that a request came by; every request has it as an extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The client's address; none on a Unix socket.
    pub addr: Option<SocketAddr>,
    /// The address that it connected to.
    pub local: Option<SocketAddr>,
}

impl Peer {
    /// The ends of a TCP connection.
    pub fn new(addr: SocketAddr, local: SocketAddr) -> Peer {
        Peer {
            addr: Some(addr),
            local: Some(local),
        }
    }
}
