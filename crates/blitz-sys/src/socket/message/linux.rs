//! By control messages.

use std::io::{self, IoSliceMut};
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use socket2::{SockAddr, SockAddrStorage, SockRef};

use super::{Incoming, MANY_MAX, Outgoing};
use crate::descriptor::{AsRawFd, BorrowedFd};
use crate::errno::{self, restarted};
use crate::socket::as_inet;

/// How many datagrams one send may be cut into by the kernel (`UDP_MAX_SEGMENTS`).
const SEGMENTS_MAX: usize = 64;
/// Room for every control message that is asked for here, of both families at once.
const CONTROL_LEN: usize = 192;

/// The bytes of control messages, aligned as their heads are.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL_LEN]);

impl Control {
    const fn new() -> Self {
        Self([MaybeUninit::zeroed(); CONTROL_LEN])
    }
}

/// Appends one control message and counts its room to `header`'s.
#[allow(
    clippy::unnecessary_cast,
    reason = "the C libraries have lengths of different types"
)]
fn push<T: Copy>(header: &mut libc::msghdr, level: libc::c_int, kind: libc::c_int, value: T) {
    let used = header.msg_controllen as usize;
    let len = size_of::<T>() as libc::c_uint;
    // SAFETY: it only computes a number.
    let space = unsafe { libc::CMSG_SPACE(len) };
    // SAFETY: likewise.
    let head_len = unsafe { libc::CMSG_LEN(len) };
    assert!(
        used + space as usize <= CONTROL_LEN,
        "every message that is sent here has its room"
    );
    // SAFETY: `msg_control` names `CONTROL_LEN` bytes, of which the assertion left room for this message behind `used`, which
    // is a sum of `CMSG_SPACE`s and so aligned.
    let head = unsafe { header.msg_control.cast::<u8>().add(used) }.cast::<libc::cmsghdr>();
    // SAFETY: all zero is a head; some systems have fields in it that are for nothing.
    let mut filled: libc::cmsghdr = unsafe { std::mem::zeroed() };
    filled.cmsg_len = head_len as _;
    filled.cmsg_level = level;
    filled.cmsg_type = kind;
    // SAFETY: as above: a head fits there, and nobody else looks.
    unsafe { ptr::write(head, filled) };
    // SAFETY: the head was just written, and its data lie within the room.
    let data = unsafe { libc::CMSG_DATA(head) };
    // SAFETY: the room is for a `T`; it may lie unaligned for one.
    unsafe { ptr::write_unaligned(data.cast::<T>(), value) };
    header.msg_controllen = (used + space as usize) as _;
}

/// Calls `each` with level, kind and bytes of every control message that came.
#[allow(
    clippy::unnecessary_cast,
    reason = "the C libraries have lengths of different types"
)]
fn for_each_control(header: &libc::msghdr, mut each: impl FnMut(libc::c_int, libc::c_int, &[u8])) {
    // SAFETY: the kernel has filled `msg_control` up to `msg_controllen`.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: not null, so it is a whole head within what the kernel has filled.
        let head = unsafe { ptr::read(next) };
        // SAFETY: it only computes a number.
        let before = unsafe { libc::CMSG_LEN(0) } as usize;
        let len = (head.cmsg_len as usize).saturating_sub(before);
        // SAFETY: the data begin behind the head.
        let data = unsafe { libc::CMSG_DATA(next) };
        // SAFETY: the kernel has written `cmsg_len` bytes, of which the head is the first `before`.
        let bytes = unsafe { std::slice::from_raw_parts(data, len) };
        each(head.cmsg_level, head.cmsg_type, bytes);
        // SAFETY: `next` is one of the header's messages.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
}

/// What the kernel has told of a datagram of `len` bytes.
fn incoming(header: &libc::msghdr, from: &SockAddr, len: usize) -> io::Result<Incoming> {
    let mut incoming = Incoming {
        len,
        from: as_inet(from)?,
        is_truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        class: None,
        segment_len: None,
        to: None,
        interface: None,
    };
    for_each_control(header, |level, kind, bytes| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_TOS) => incoming.class = bytes.first().copied(),
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
            incoming.class = number(bytes).map(|class| class as u8);
        }
        (libc::SOL_UDP, libc::UDP_GRO) => {
            incoming.segment_len = number(bytes).and_then(|len| usize::try_from(len).ok());
        }
        // `struct in_pktinfo`: the interface, the address to answer from, the one in the head.
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            incoming.interface = number(bytes).map(|index| index as u32);
            incoming.to = part::<4>(bytes, 8).map(|octets| Ipv4Addr::from(octets).into());
        }
        // `struct in6_pktinfo`: the address, the interface.
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            incoming.to = part::<16>(bytes, 0).map(|octets| Ipv6Addr::from(octets).into());
            incoming.interface = part::<4>(bytes, 16).map(u32::from_ne_bytes);
        }
        _ => {}
    });
    Ok(incoming)
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn number(bytes: &[u8]) -> Option<libc::c_int> {
    part::<4>(bytes, 0).map(libc::c_int::from_ne_bytes)
}

/// One datagram's place in a call that receives.
struct Slot {
    address: SockAddrStorage,
    control: Control,
}

impl Slot {
    fn new() -> Self {
        Self {
            address: SockAddrStorage::zeroed(),
            control: Control::new(),
        }
    }

    /// A head that names this slot and `bufs`. It is valid for as long as both stay where they are.
    fn header(&mut self, bufs: &mut [IoSliceMut<'_>]) -> libc::msghdr {
        // SAFETY: all zero is a head that names nothing.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = (&raw mut self.address).cast();
        header.msg_namelen = size_of::<SockAddrStorage>() as libc::socklen_t;
        // std promises the layout of an `iovec`.
        header.msg_iov = bufs.as_mut_ptr().cast();
        header.msg_iovlen = bufs.len() as _;
        header.msg_control = self.control.0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_LEN as _;
        header
    }

    fn from(&self, header: &libc::msghdr) -> SockAddr {
        // A datagram's sender is an address of the socket's family, or nothing.
        // SAFETY: it is plain bytes, and ours.
        let address = unsafe { ptr::read(&raw const self.address) };
        // SAFETY: the kernel has filled the storage up to that length, and it was zeroed before.
        unsafe { SockAddr::new(address, header.msg_namelen) }
    }
}

/// Receives a datagram into `bufs`, with what came beside it.
///
/// # Errors
/// Those of `recvmsg(2)`.
pub fn receive(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Incoming> {
    let mut slot = Slot::new();
    let (header, len) = restarted(|| {
        let mut header = slot.header(bufs);
        // SAFETY: the head names memory that we borrow alone for the call.
        let answer = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, 0) };
        usize::try_from(answer)
            .map(|len| (header, len))
            .map_err(|_| errno::last())
    })?;
    incoming(&header, &slot.from(&header), len)
}

/// Receives as many datagrams as are there, one into each buffer, and appends what is told of each to `told`; answers how many.
///
/// # Errors
/// Those of `recvmmsg(2)`, if there was no datagram before.
pub fn receive_many(
    fd: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    told: &mut Vec<Incoming>,
) -> io::Result<usize> {
    let count = bufs.len().min(MANY_MAX);
    let mut slots: [Slot; MANY_MAX] = std::array::from_fn(|_| Slot::new());
    // SAFETY: all zero is a head that names nothing.
    let mut headers: [libc::mmsghdr; MANY_MAX] = unsafe { std::mem::zeroed() };
    let places = headers.iter_mut().zip(&mut slots);
    for ((header, slot), buf) in places.zip(bufs[..count].iter_mut()) {
        header.msg_hdr = slot.header(std::slice::from_mut(buf));
    }
    let received = restarted(|| {
        // SAFETY: the first `count` heads name memory that we borrow alone for the call.
        let answer = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        usize::try_from(answer).map_err(|_| errno::last())
    })?;
    for (header, slot) in headers.iter().zip(&slots).take(received) {
        let from = slot.from(&header.msg_hdr);
        told.push(incoming(&header.msg_hdr, &from, header.msg_len as usize)?);
    }
    Ok(received)
}

/// Fills a head for what goes; it is valid for as long as `datagram`, `address` and `control` stay where they are.
fn outgoing(
    datagram: &Outgoing<'_>,
    address: &Option<SockAddr>,
    control: &mut Control,
) -> libc::msghdr {
    // SAFETY: all zero is a head that names nothing.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    if let Some(address) = address {
        header.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_namelen = address.len();
    }
    header.msg_iov = datagram.parts.as_ptr().cast_mut().cast();
    header.msg_iovlen = datagram.parts.len() as _;
    header.msg_control = control.0.as_mut_ptr().cast();
    if let Some(class) = datagram.class {
        // To an unnamed peer both go: each family looks at its own alone.
        let v4 = datagram
            .to
            .is_none_or(|to| to.ip().to_canonical().is_ipv4());
        let v6 = datagram
            .to
            .is_none_or(|to| to.ip().to_canonical().is_ipv6());
        let class = libc::c_int::from(class);
        if v4 {
            push(&mut header, libc::IPPROTO_IP, libc::IP_TOS, class);
        }
        if v6 {
            push(&mut header, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, class);
        }
    }
    if let Some(len) = datagram.segment_len {
        push(&mut header, libc::SOL_UDP, libc::UDP_SEGMENT, len);
    }
    match datagram.from {
        Some(IpAddr::V4(from)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(from.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            push(&mut header, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(from)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: from.octets(),
                },
                ipi6_ifindex: 0,
            };
            push(&mut header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    if header.msg_controllen == 0 {
        header.msg_control = ptr::null_mut();
    }
    header
}

/// Sends a datagram with what goes beside it; answers how many bytes went.
///
/// # Errors
/// Those of `sendmsg(2)`.
pub fn send(fd: BorrowedFd<'_>, datagram: &Outgoing<'_>) -> io::Result<usize> {
    let address = datagram.to.map(SockAddr::from);
    let mut control = Control::new();
    let header = outgoing(datagram, &address, &mut control);
    restarted(|| {
        // SAFETY: the head names memory that we hold through the call, which only reads it.
        let answer =
            unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
        usize::try_from(answer).map_err(|_| errno::last())
    })
}

/// Sends several datagrams, of the first 32 as many as the socket takes; answers how many went.
///
/// # Errors
/// Those of `sendmmsg(2)`, if the first did not go.
pub fn send_many(fd: BorrowedFd<'_>, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    let datagrams = &datagrams[..datagrams.len().min(MANY_MAX)];
    let mut addresses: [Option<SockAddr>; MANY_MAX] = std::array::from_fn(|_| None);
    let mut controls: [Control; MANY_MAX] = std::array::from_fn(|_| Control::new());
    // SAFETY: all zero is a head that names nothing.
    let mut headers: [libc::mmsghdr; MANY_MAX] = unsafe { std::mem::zeroed() };
    let places = headers.iter_mut().zip(&mut addresses).zip(&mut controls);
    for (((header, address), control), datagram) in places.zip(datagrams) {
        *address = datagram.to.map(SockAddr::from);
        header.msg_hdr = outgoing(datagram, address, control);
    }
    restarted(|| {
        // SAFETY: the first heads, as many as there are datagrams, name memory that we hold through the call.
        let answer = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                datagrams.len() as libc::c_uint,
                libc::MSG_NOSIGNAL as _,
            )
        };
        usize::try_from(answer).map_err(|_| errno::last())
    })
}

fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer names a number of that length, which the call reads.
    let answer =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if answer == 0 {
        Ok(())
    } else {
        Err(errno::last())
    }
}

/// Sets an option of IPv4, and for a socket of IPv6, which may serve both, that of IPv6 too.
fn set_of_both(fd: BorrowedFd<'_>, v4: libc::c_int, v6: libc::c_int, on: bool) -> io::Result<()> {
    let is_v6 = SockRef::from(&fd).local_addr()?.is_ipv6();
    let done = set_option(fd, libc::IPPROTO_IP, v4, on.into());
    if is_v6 {
        // A socket of IPv6 alone may refuse the other.
        return set_option(fd, libc::IPPROTO_IPV6, v6, on.into());
    }
    done
}

/// Sets whether each datagram's traffic class is told.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_receives_class(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_of_both(fd, libc::IP_RECVTOS, libc::IPV6_RECVTCLASS, on)
}

/// Sets whether the address and interface that each datagram came to are told.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_receives_destination(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_of_both(fd, libc::IP_PKTINFO, libc::IPV6_RECVPKTINFO, on)
}

/// Sets whether datagrams of one sender that come together are received as one (`UDP_GRO`).
///
/// # Errors
/// Those of `setsockopt(2)`: `ENOPROTOOPT` before Linux 5.0.
pub fn set_gro(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_option(fd, libc::SOL_UDP, libc::UDP_GRO, on.into())
}

/// How many datagrams one send may be cut into: one where the kernel does not (`UDP_SEGMENT`, since Linux 4.18).
pub fn max_segments(fd: BorrowedFd<'_>) -> usize {
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    let mut value: libc::c_int = 0;
    // SAFETY: both pointers are of valid memory, and `len` says how large it is.
    let answer = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    if answer == 0 { SEGMENTS_MAX } else { 1 }
}
