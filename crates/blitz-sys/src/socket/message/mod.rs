//! UDP's datagrams with what goes beside them: traffic class, segment size, the local address; and many in one call.
//!
//! `linux.rs` has it by control messages (`cmsg(3)`, `udp(7)`, `ip(7)`, `ipv6(7)`); `disabled.rs` answers `Unsupported`.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};

#[cfg(not(linux))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;

pub use imp::{
    max_segments, receive, receive_many, send, send_many, set_gro, set_receives_class,
    set_receives_destination,
};

/// One call moves so many datagrams at most.
pub const MANY_MAX: usize = 32;

/// A datagram that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// How many bytes were stored.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// It was longer than the buffer, and its end is lost.
    pub is_truncated: bool,
    /// Its traffic class, if the socket asks for it.
    pub class: Option<u8>,
    /// It is several datagrams of one sender, each but the last so long.
    pub segment_len: Option<usize>,
    /// The address that it was sent to, if the socket asks for it.
    pub to: Option<IpAddr>,
    /// The interface that it came in by, likewise.
    pub interface: Option<u32>,
}

/// A datagram that goes.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where to; `None` for the socket's peer.
    pub to: Option<SocketAddr>,
    /// Its bytes, in parts.
    pub parts: &'a [IoSlice<'a>],
    /// The traffic class.
    pub class: Option<u8>,
    /// The bytes are several datagrams, each but the last so long.
    pub segment_len: Option<u16>,
    /// The local address to send from.
    pub from: Option<IpAddr>,
}
