//! Datagrams with what goes beside them, and many in one call.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use blitz_core::waiting::{Resource, Site};
use blitz_sys::descriptor::AsFd;
use blitz_sys::socket::message::{self, Incoming, MANY_MAX, Outgoing};

use super::UdpSocket;
use crate::context::call;
use crate::io::Interest;

/// The congestion mark of a datagram (RFC 3168, section 5): the two low bits of its traffic class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The sender does not take part.
    NotCapable = 0b00,
    /// The sender takes part; the mark of RFC 9331 for what answers at once (L4S).
    Ect1 = 0b01,
    /// The sender takes part.
    Ect0 = 0b10,
    /// A router on the way was congested.
    CongestionExperienced = 0b11,
}

impl Ecn {
    /// The mark in a traffic class.
    #[must_use]
    pub const fn of_tos(tos: u8) -> Ecn {
        match tos & 0b11 {
            0b00 => Ecn::NotCapable,
            0b01 => Ecn::Ect1,
            0b10 => Ecn::Ect0,
            _ => Ecn::CongestionExperienced,
        }
    }
}

/// A datagram to send, with what goes beside it: see [`UdpSocket::send_message`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a datagram is sent by `UdpSocket::send_message`"]
pub struct Datagram<'a> {
    bytes: &'a [u8],
    to: Option<SocketAddr>,
    tos: Option<u8>,
    segment_len: Option<u16>,
    from: Option<IpAddr>,
}

impl<'a> Datagram<'a> {
    /// A datagram to `to`.
    pub fn new(bytes: &'a [u8], to: SocketAddr) -> Datagram<'a> {
        Datagram {
            to: Some(to),
            ..Datagram::to_peer(bytes)
        }
    }

    /// A datagram to the peer that the socket is connected to.
    pub fn to_peer(bytes: &'a [u8]) -> Datagram<'a> {
        Datagram {
            bytes,
            to: None,
            tos: None,
            segment_len: None,
            from: None,
        }
    }

    /// Its traffic class, all eight bits (`IP_TOS`, `IPV6_TCLASS`).
    pub fn tos(mut self, tos: u8) -> Datagram<'a> {
        self.tos = Some(tos);
        self
    }

    /// Its congestion mark; the rest of the traffic class stays as [`tos`](Datagram::tos) has set it, or zero.
    pub fn ecn(mut self, ecn: Ecn) -> Datagram<'a> {
        self.tos = Some(self.tos.unwrap_or(0) & !0b11 | ecn as u8);
        self
    }

    /// The bytes are several datagrams, each of `len` bytes but the last, which may be shorter: the kernel, or the network card,
    /// cuts them (`UDP_SEGMENT`). Up to [`UdpSocket::max_segments`], and 64 KiB altogether.
    pub fn segment_len(mut self, len: u16) -> Datagram<'a> {
        self.segment_len = Some(len);
        self
    }

    /// The local address that it is sent from (`IP_PKTINFO`): for a socket that is bound to all of them and answers.
    pub fn from(mut self, from: IpAddr) -> Datagram<'a> {
        self.from = Some(from);
        self
    }

    fn outgoing<'b>(&self, part: &'b [IoSlice<'b>]) -> Outgoing<'b> {
        Outgoing {
            to: self.to,
            parts: part,
            class: self.tos,
            segment_len: self.segment_len,
            from: self.from,
        }
    }
}

/// What is known of a datagram that came: see [`UdpSocket::recv_message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received(Incoming);

impl Received {
    /// How many bytes were stored.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty datagram is one, too")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Who sent it.
    #[must_use]
    pub fn from(&self) -> SocketAddr {
        self.0.from
    }

    /// Whether it was longer than the buffer: its end is lost.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.0.is_truncated
    }

    /// Its traffic class; `None` unless [asked for](UdpSocket::set_recv_tos).
    #[must_use]
    pub fn tos(&self) -> Option<u8> {
        self.0.class
    }

    /// Its congestion mark; `None` unless [asked for](UdpSocket::set_recv_tos).
    #[must_use]
    pub fn ecn(&self) -> Option<Ecn> {
        self.0.class.map(Ecn::of_tos)
    }

    /// The address that it was sent to; `None` unless [asked for](UdpSocket::set_recv_destination).
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        self.0.to
    }

    /// The index of the interface that it came in by; `None` unless [asked for](UdpSocket::set_recv_destination).
    #[must_use]
    pub fn interface(&self) -> Option<u32> {
        self.0.interface
    }

    /// How long each datagram but the last is, if these are several of one sender; `None` for one, or unless
    /// [asked for](UdpSocket::set_gro).
    #[must_use]
    pub fn segment_len(&self) -> Option<usize> {
        self.0.segment_len
    }

    /// The datagrams in `buf`, into which they were received: one, or with [`UdpSocket::set_gro`] several.
    ///
    /// # Panics
    /// If `buf` is shorter than what was stored.
    pub fn segments<'a>(&self, buf: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = &buf[..self.0.len];
        let len = self.0.segment_len.unwrap_or(bytes.len()).max(1);
        // An empty datagram is one, and no chunk.
        let empty = bytes.is_empty().then_some(bytes);
        empty.into_iter().chain(bytes.chunks(len))
    }
}

impl UdpSocket {
    /// Receives a datagram, with all that is known of it.
    ///
    /// # Cancel safety
    /// Safe: a dropped call has received nothing.
    ///
    /// # Errors
    /// Those of `recvmsg(2)`; `Unsupported` off Linux; when the runtime is shutting down.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::UdpSocket;
    /// use blitz_io::net::udp::{Datagram, Ecn};
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let one = UdpSocket::bind("127.0.0.1:0").await?;
    /// let other = UdpSocket::bind("127.0.0.1:0").await?;
    /// # if other.set_recv_tos(true).is_err() { return Ok(()); }
    /// other.set_recv_tos(true)?;
    /// one.send_message(&Datagram::new(b"marked", other.local_addr()?).ecn(Ecn::Ect0)).await?;
    ///
    /// let mut buf = [0; 4];
    /// let received = other.recv_message(&mut buf).await?;
    /// assert_eq!(received.ecn(), Some(Ecn::Ect0));
    /// assert!(received.is_truncated()); // "mark": the rest is lost
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn recv_message(&self, buf: &mut [u8]) -> impl Future<Output = io::Result<Received>> {
        static CALL: Site = Site::new("UdpSocket::recv_message", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let call = || message::receive(self.as_fd(), &mut [IoSliceMut::new(buf)]);
            let received = self.io.async_io(Interest::READABLE, call);
            received.await.map(Received)
        })
    }

    /// As [`recv_message`](UdpSocket::recv_message), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is no datagram; else as there.
    pub fn try_recv_message(&self, buf: &mut [u8]) -> io::Result<Received> {
        let call = || message::receive(self.as_fd(), &mut [IoSliceMut::new(buf)]);
        self.io.try_io(Interest::READABLE, call).map(Received)
    }

    /// Sends a datagram with what goes beside it; returns how many bytes went, which is all of them.
    ///
    /// # Cancel safety
    /// Safe: a dropped call has sent nothing.
    ///
    /// # Errors
    /// Those of `sendmsg(2)`: `EMSGSIZE` if it is longer than a datagram can be, `EINVAL` if it were cut into more than
    /// [`max_segments`](UdpSocket::max_segments), `EIO` if the route's network card cannot checksum what is cut, which
    /// one then sends one by one. `Unsupported` off Linux. When the runtime is shutting down.
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::UdpSocket;
    /// use blitz_io::net::udp::Datagram;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let one = UdpSocket::bind("127.0.0.1:0").await?;
    /// let other = UdpSocket::bind("127.0.0.1:0").await?;
    /// one.connect(other.local_addr()?).await?;
    /// if one.max_segments() > 1 {
    ///     one.send_message(&Datagram::to_peer(b"onetwothree").segment_len(3)).await?;
    ///     let mut buf = [0; 64];
    ///     for part in ["one", "two", "thr", "ee"] {
    ///         let len = other.recv(&mut buf).await?;
    ///         assert_eq!(&buf[..len], part.as_bytes());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn send_message(&self, datagram: &Datagram<'_>) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("UdpSocket::send_message", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let call = || self.send_now(datagram);
            self.io.async_io(Interest::WRITABLE, call).await
        })
    }

    /// As [`send_message`](UdpSocket::send_message), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing now; else as there.
    pub fn try_send_message(&self, datagram: &Datagram<'_>) -> io::Result<usize> {
        let call = || self.send_now(datagram);
        self.io.try_io(Interest::WRITABLE, call)
    }

    fn send_now(&self, datagram: &Datagram<'_>) -> io::Result<usize> {
        let part = [IoSlice::new(datagram.bytes)];
        message::send(self.as_fd(), &datagram.outgoing(&part))
    }

    /// Waits for a datagram and receives all that are there, one into each buffer, up to 32 (`recvmmsg(2)`). Appends what is known
    /// of each to `received`; returns how many came.
    ///
    /// # Cancel safety
    /// Safe: a dropped call has received nothing.
    ///
    /// # Errors
    /// As for [`recv_message`](UdpSocket::recv_message), unless a datagram came before the error. `InvalidInput` if there is no
    /// buffer.
    ///
    /// # Examples
    /// ```
    /// use std::io::IoSliceMut;
    /// use blitz_io::net::UdpSocket;
    /// use blitz_io::net::udp::Datagram;
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let one = UdpSocket::bind("127.0.0.1:0").await?;
    /// let other = UdpSocket::bind("127.0.0.1:0").await?;
    /// # if other.set_recv_tos(true).is_err() { return Ok(()); }
    /// let to = other.local_addr()?;
    /// let datagrams = [Datagram::new(b"one", to), Datagram::new(b"two", to)];
    /// assert_eq!(one.send_many(&datagrams).await?, 2);
    ///
    /// let (mut a, mut b, mut c) = ([0; 8], [0; 8], [0; 8]);
    /// let mut bufs = [&mut a, &mut b, &mut c].map(|buf| IoSliceMut::new(buf));
    /// let mut received = Vec::new();
    /// assert_eq!(other.recv_many(&mut bufs, &mut received).await?, 2);
    /// assert_eq!(&bufs[1][..received[1].len()], b"two");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn recv_many(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        received: &mut Vec<Received>,
    ) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("UdpSocket::recv_many", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            if bufs.is_empty() {
                return Err(nothing("no buffer to receive into"));
            }
            let call = || self.recv_many_now(bufs, received);
            self.io.async_io(Interest::READABLE, call).await
        })
    }

    /// As [`recv_many`](UdpSocket::recv_many), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is no datagram; else as there.
    pub fn try_recv_many(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        received: &mut Vec<Received>,
    ) -> io::Result<usize> {
        if bufs.is_empty() {
            return Err(nothing("no buffer to receive into"));
        }
        let call = || self.recv_many_now(bufs, received);
        self.io.try_io(Interest::READABLE, call)
    }

    fn recv_many_now(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        received: &mut Vec<Received>,
    ) -> io::Result<usize> {
        let mut told = Vec::with_capacity(bufs.len().min(MANY_MAX));
        let count = message::receive_many(self.as_fd(), bufs, &mut told)?;
        received.extend(told.into_iter().map(Received));
        Ok(count)
    }

    /// Sends datagrams, as many of the first 32 as the socket takes at once (`sendmmsg(2)`); returns how many went, at least one.
    ///
    /// # Cancel safety
    /// Safe: a dropped call has sent nothing.
    ///
    /// # Errors
    /// Those of the first datagram, as for [`send_message`](UdpSocket::send_message); that of a later one comes when it is the
    /// first. `InvalidInput` if there is none.
    #[track_caller]
    pub fn send_many(&self, datagrams: &[Datagram<'_>]) -> impl Future<Output = io::Result<usize>> {
        static CALL: Site = Site::new("UdpSocket::send_many", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            if datagrams.is_empty() {
                return Err(nothing("no datagram to send"));
            }
            let call = || self.send_many_now(datagrams);
            self.io.async_io(Interest::WRITABLE, call).await
        })
    }

    /// As [`send_many`](UdpSocket::send_many), without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing now; else as there.
    pub fn try_send_many(&self, datagrams: &[Datagram<'_>]) -> io::Result<usize> {
        if datagrams.is_empty() {
            return Err(nothing("no datagram to send"));
        }
        let call = || self.send_many_now(datagrams);
        self.io.try_io(Interest::WRITABLE, call)
    }

    fn send_many_now(&self, datagrams: &[Datagram<'_>]) -> io::Result<usize> {
        let datagrams = &datagrams[..datagrams.len().min(MANY_MAX)];
        let mut parts = [[IoSlice::new(&[])]; MANY_MAX];
        for (part, datagram) in parts.iter_mut().zip(datagrams) {
            *part = [IoSlice::new(datagram.bytes)];
        }
        let outgoing: Vec<_> = datagrams
            .iter()
            .zip(&parts)
            .map(|(datagram, part)| datagram.outgoing(part))
            .collect();
        message::send_many(self.as_fd(), &outgoing)
    }
}

fn nothing(says: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_that_came_as_one_are_cut_again() {
        let received = |len, segment_len| {
            Received(Incoming {
                len,
                from: SocketAddr::from(([127, 0, 0, 1], 1)),
                is_truncated: false,
                class: None,
                segment_len,
                to: None,
                interface: None,
            })
        };
        let buf = b"abcdefgh.......";
        let cut = |received: Received| received.segments(buf).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(cut(received(8, Some(3))), [3, 3, 2]);
        assert_eq!(cut(received(8, None)), [8]);
        assert_eq!(cut(received(0, None)), [0]);
        assert_eq!(cut(received(8, Some(0))).len(), 8);
    }

    #[test]
    fn marks_and_classes_share_a_byte() {
        let datagram = Datagram::to_peer(b"").tos(0b1010_1001).ecn(Ecn::Ect0);
        assert_eq!(datagram.tos, Some(0b1010_1010));
        assert_eq!(Ecn::of_tos(0b1010_1011), Ecn::CongestionExperienced);
        for ecn in [Ecn::NotCapable, Ecn::Ect0, Ecn::Ect1] {
            assert_eq!(Ecn::of_tos(ecn as u8), ecn);
        }
    }
}
