//! Sockets within the machine (`AF_UNIX`): their names, how they connect, and who is at the other end.
//!
//! A name is a path; on Linux also bytes of no file, written as a path that begins with a zero byte (`unix(7)`, *abstract*).

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use socket2::{Domain, SockAddr, SockRef, Type};

use super::{Connect, accept_any, connect_any, fresh, special};
use crate::descriptor::{AsRawFd, BorrowedFd, OwnedFd};
use crate::errno;

/// A new stream socket.
///
/// # Errors
/// Those of `socket(2)`.
pub fn stream() -> io::Result<OwnedFd> {
    fresh::make(Domain::UNIX, Type::STREAM, None)
}

/// A new datagram socket.
///
/// # Errors
/// Those of `socket(2)`.
pub fn datagram() -> io::Result<OwnedFd> {
    fresh::make(Domain::UNIX, Type::DGRAM, None)
}

/// Two connected stream sockets.
///
/// # Errors
/// Those of `socketpair(2)`.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    fresh::make_pair(Type::STREAM)
}

/// Two connected datagram sockets.
///
/// # Errors
/// Those of `socketpair(2)`.
pub fn datagram_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    fresh::make_pair(Type::DGRAM)
}

/// The address that `path` names.
///
/// # Errors
/// `InvalidInput` if it is too long, or has a zero byte elsewhere than at its front.
pub fn address(path: &Path) -> io::Result<SockAddr> {
    let bytes = path.as_os_str().as_bytes();
    let is_abstract = bytes.first() == Some(&0);
    if is_abstract && !cfg!(linux) || !is_abstract && bytes.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a socket's path has no zero byte in it",
        ));
    }
    SockAddr::unix(path).map_err(|error| {
        io::Error::new(
            error.kind(),
            "the path is too long for a socket's name, which takes about 100 bytes: bind a shorter one, or one relative to \
             the current folder",
        )
    })
}

/// std's address as the kernel's.
///
/// # Errors
/// None that std's own did not have.
pub fn from_std(addr: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(path) = addr.as_pathname() {
        return address(path);
    }
    match abstract_name(addr) {
        Some(name) => {
            let mut path = Vec::with_capacity(name.len() + 1);
            path.push(0);
            path.extend_from_slice(name);
            address(Path::new(std::ffi::OsStr::from_bytes(&path)))
        }
        None => address(Path::new("")),
    }
}

/// The kernel's address as std's.
///
/// # Errors
/// `InvalidInput` for a name that std cannot hold; the kernel gives none.
pub fn to_std(addr: &SockAddr) -> io::Result<SocketAddr> {
    match (addr.as_pathname(), addr.as_abstract_namespace()) {
        (Some(path), _) => SocketAddr::from_pathname(path),
        (None, Some(name)) => special::from_abstract_name(name),
        (None, None) => SocketAddr::from_pathname(""),
    }
}

/// The bytes of an abstract name, if it is one.
pub fn abstract_name(addr: &SocketAddr) -> Option<&[u8]> {
    special::abstract_name(addr)
}

/// Binds a socket to an address. A path becomes a file, which stays when the socket is closed.
///
/// # Errors
/// Those of `bind(2)`.
pub fn bind(fd: BorrowedFd<'_>, addr: &SockAddr) -> io::Result<()> {
    SockRef::from(&fd).bind(addr)
}

/// Begins to connect a socket; a datagram's is done at once.
///
/// # Errors
/// Those of `connect(2)`: `WouldBlock` says that the listener's line is full, and that no event will tell when it is not.
pub fn connect(fd: BorrowedFd<'_>, addr: &SockAddr) -> io::Result<Connect> {
    connect_any(fd, addr)
}

/// Whether a datagram would find room now: in the queue of the socket's peer, if it has one, and in its own buffer.
///
/// # Errors
/// Those of `poll(2)`.
pub fn has_room(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut one = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    errno::restarted(|| {
        // SAFETY: the pointer names one entry, and the call does not wait.
        let answer = unsafe { libc::poll(&raw mut one, 1, 0) };
        if answer < 0 {
            return Err(errno::last());
        }
        Ok(answer > 0)
    })
}

/// Takes one connection off a listener's queue, non-blocking and closed on exec.
///
/// # Errors
/// Those of `accept4(2)`.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let (fd, addr) = accept_any(fd)?;
    Ok((fd, to_std(&addr)?))
}

/// The address that the socket is bound to; an unnamed one if to none.
///
/// # Errors
/// Those of `getsockname(2)`.
pub fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    to_std(&SockRef::from(&fd).local_addr()?)
}

/// The address at the connection's other end.
///
/// # Errors
/// Those of `getpeername(2)`.
pub fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    to_std(&SockRef::from(&fd).peer_addr()?)
}

/// Who was at a socket's other end when it was connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The effective user.
    pub user: u32,
    /// The effective group.
    pub group: u32,
    /// The process, where the system says.
    pub process: Option<i32>,
}

/// Who connected a Unix socket's other end.
///
/// # Errors
/// Those of `getsockopt(2)`.
#[cfg(linux)]
pub fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers name the structure and its length, which the call fills.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        return Err(errno::last());
    }
    Ok(Credentials {
        user: peer.uid,
        group: peer.gid,
        process: Some(peer.pid),
    })
}

/// Who connected a Unix socket's other end.
///
/// # Errors
/// Those of `getpeereid(3)`.
#[cfg(not(linux))]
pub fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let (mut user, mut group) = (u32::MAX, u32::MAX);
    // SAFETY: the pointers name two numbers, which the call fills.
    let result = unsafe { libc::getpeereid(fd.as_raw_fd(), &raw mut user, &raw mut group) };
    if result != 0 {
        return Err(errno::last());
    }
    Ok(Credentials {
        user,
        group,
        process: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::AsFd;

    #[test]
    fn names_survive_the_way_to_the_kernel_and_back() {
        for name in ["/absolute", "relative", ""] {
            let addr = SocketAddr::from_pathname(name).unwrap();
            let back = to_std(&from_std(&addr).unwrap()).unwrap();
            assert_eq!(addr.as_pathname(), back.as_pathname());
            assert_eq!(addr.is_unnamed(), back.is_unnamed());
        }
    }

    #[cfg(linux)]
    #[test]
    fn abstract_names_survive_too() {
        let addr = to_std(&address(Path::new("\0a\0b")).unwrap()).unwrap();
        assert_eq!(abstract_name(&addr), Some(&b"a\0b"[..]));
        assert!(addr.as_pathname().is_none());
        let back = to_std(&from_std(&addr).unwrap()).unwrap();
        assert_eq!(abstract_name(&back), Some(&b"a\0b"[..]));
    }

    #[test]
    fn impossible_names_are_refused() {
        for path in ["x".repeat(200).as_str(), "a\0b"] {
            let error = address(Path::new(path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_full_queue_has_no_room() {
        let (one, other) = datagram_pair().unwrap();
        assert!(has_room(one.as_fd()).unwrap());
        while crate::socket::send(one.as_fd(), b"x").is_ok() {}
        assert!(!has_room(one.as_fd()).unwrap());
        while crate::socket::read(other.as_fd(), &mut [0; 1]).is_ok() {}
        assert!(has_room(one.as_fd()).unwrap());
    }

    #[test]
    fn a_pair_knows_who_made_it() {
        let (one, other) = stream_pair().unwrap();
        let peer = peer_credentials(one.as_fd()).unwrap();
        assert_eq!(peer.user, crate::socket::private::own_user());
        if cfg!(linux) {
            assert_eq!(peer.process, Some(std::process::id() as i32));
        }
        assert!(peer_addr(other.as_fd()).unwrap().is_unnamed());
    }
}
