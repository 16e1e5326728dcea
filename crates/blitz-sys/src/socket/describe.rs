//! What a descriptor's number means now, for whoever shows it to people.

use std::mem::{MaybeUninit, size_of};

use socket2::SockAddr;

use super::Described;
use crate::descriptor::RawFd;

/// Describes descriptor `fd`, as a moment ago: the number may mean something else by the time one looks at the answer.
pub fn describe(fd: RawFd) -> Described {
    let Some(kind) = option(fd, libc::SO_TYPE) else {
        return Described {
            kind: "file",
            peer: None,
        };
    };
    let local = address(|storage, len| {
        // SAFETY: both pointers are of valid memory, and `len` says how large it is; any number of a descriptor is allowed.
        unsafe { libc::getsockname(fd, storage, len) }
    });
    let unix = local.as_ref().is_some_and(SockAddr::is_unix);
    let listens = option(fd, libc::SO_ACCEPTCONN).is_some_and(|listens| listens != 0);
    let kind = match (kind, unix, listens) {
        (libc::SOCK_STREAM, false, true) => "TcpListener",
        (libc::SOCK_STREAM, false, false) => "TcpStream",
        (libc::SOCK_STREAM, true, true) => "UnixListener",
        (libc::SOCK_STREAM, true, false) => "UnixStream",
        (libc::SOCK_DGRAM, false, _) => "UdpSocket",
        (libc::SOCK_DGRAM, true, _) => "UnixDatagram",
        _ => "socket",
    };
    let peer = address(|storage, len| {
        // SAFETY: as above.
        unsafe { libc::getpeername(fd, storage, len) }
    });
    Described {
        kind,
        peer: peer.and_then(|peer| match peer.as_socket() {
            Some(peer) => Some(peer.to_string()),
            None => peer.as_pathname().map(|path| path.display().to_string()),
        }),
    }
}

/// One of the socket's options; `None` if the descriptor is no socket.
fn option(fd: RawFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value = MaybeUninit::<libc::c_int>::uninit();
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both pointers are of valid memory, and `len` says how large it is; any number of a descriptor is allowed.
    let answer = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            name,
            value.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if answer != 0 || len as usize != size_of::<libc::c_int>() {
        return None;
    }
    // SAFETY: the kernel has filled it.
    Some(unsafe { value.assume_init() })
}

fn address(
    call: impl Fn(*mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int,
) -> Option<SockAddr> {
    let fill = |storage: *mut socket2::SockAddrStorage, len: *mut libc::socklen_t| {
        if call(storage.cast(), len) == 0 {
            Ok(())
        } else {
            Err(crate::errno::last())
        }
    };
    // SAFETY: the call fills the storage and its length, or fails.
    unsafe { SockAddr::try_init(fill) }
        .ok()
        .map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn each_kind_is_known() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let stream = TcpStream::connect(addr)?;
        assert_eq!(describe(listener.as_raw_fd()).kind, "TcpListener");
        let described = describe(stream.as_raw_fd());
        assert_eq!(described.kind, "TcpStream");
        assert_eq!(described.peer, Some(addr.to_string()));
        assert_eq!(
            describe(UdpSocket::bind("127.0.0.1:0")?.as_raw_fd()).kind,
            "UdpSocket"
        );
        let (unix, _other) = UnixStream::pair()?;
        assert_eq!(describe(unix.as_raw_fd()).kind, "UnixStream");
        assert_eq!(describe(std::fs::File::open("/")?.as_raw_fd()).kind, "file");
        assert_eq!(describe(-1).kind, "file");
        Ok(())
    }
}
