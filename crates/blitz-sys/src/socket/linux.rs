//! What Linux has beyond the common calls: bytes that move between descriptors without passing through this process
//! (`sendfile`, `splice`), and options of its own.

use std::io;
#[cfg(android)]
use std::os::android::net::SocketAddrExt as LinuxAddr;
#[cfg(not(android))]
use std::os::linux::net::SocketAddrExt as LinuxAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::errno;

use socket2::SockRef;

use crate::descriptor::{AsRawFd, BorrowedFd, OwnedFd};

/// The most that one call of these moves; the kernel stops at about two gigabytes anyway.
const CHUNK_MAX: usize = 0x7fff_f000;

/// Sends up to `len` bytes of a file, from `offset` on, to a socket; answers how many went.
///
/// Zero means that the file ends before `offset`.
///
/// # Errors
/// Those of `sendfile(2)`: `EINVAL` says that this kind of file cannot be sent so.
pub fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    len: usize,
) -> io::Result<usize> {
    let mut offset = libc::off64_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: `offset` lives through the call, which writes nothing else of ours.
        let sent = unsafe {
            libc::sendfile64(
                socket.as_raw_fd(),
                file.as_raw_fd(),
                &raw mut offset,
                len.min(CHUNK_MAX),
            )
        };
        match usize::try_from(sent) {
            Ok(sent) => return Ok(sent),
            Err(_) => {
                let error = errno::last();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Whether the file's bytes about `offset` are in memory, so that reading them does not wait for a device.
///
/// Yes, too, where the file system cannot say: most of those that cannot are made of memory.
#[must_use]
pub fn is_resident(file: BorrowedFd<'_>, offset: u64) -> bool {
    let mut byte = 0u8;
    let part = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let Ok(offset) = libc::off_t::try_from(offset) else {
        return true;
    };
    // SAFETY: the one part describes `byte`, which lives through the call.
    let read = unsafe {
        libc::preadv2(
            file.as_raw_fd(),
            &raw const part,
            1,
            offset,
            libc::RWF_NOWAIT,
        )
    };
    read >= 0 || errno::last().kind() != io::ErrorKind::WouldBlock
}

/// Moves up to `len` bytes from one descriptor to the other, one of which is a pipe's end, without waiting.
///
/// Zero means the source's end.
///
/// # Errors
/// Those of `splice(2)`: `EINVAL` says that one side cannot be spliced.
pub fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, len: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    let nowhere = std::ptr::null_mut();
    loop {
        // SAFETY: without offsets the call touches no memory of ours.
        let moved = unsafe {
            libc::splice(
                from.as_raw_fd(),
                nowhere,
                to.as_raw_fd(),
                nowhere,
                len.min(CHUNK_MAX),
                flags,
            )
        };
        match usize::try_from(moved) {
            Ok(moved) => return Ok(moved),
            Err(_) => {
                let error = errno::last();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// A pipe, through which a splice between two sockets has to go.
#[derive(Debug)]
pub struct Pipe {
    read: Arc<OwnedFd>,
    write: Arc<OwnedFd>,
    capacity: usize,
}

impl Pipe {
    /// Opens a pipe, non-blocking and closed on exec, of `capacity` bytes where the kernel grants it.
    ///
    /// # Errors
    /// Those of `pipe2(2)`.
    pub fn new(capacity: usize) -> io::Result<Pipe> {
        let (read, write) = crate::pipe::make()?;
        let wish = libc::c_int::try_from(capacity).unwrap_or(libc::c_int::MAX);
        // SAFETY: the call touches no memory of ours. It fails beyond the user's limit, and that is
        // no error: the pipe keeps the size it has.
        let granted = unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, wish) };
        // A pipe has sixteen pages when nobody asks.
        let capacity = usize::try_from(granted).unwrap_or(65_536);
        Ok(Pipe {
            read: Arc::new(read),
            write: Arc::new(write),
            capacity,
        })
    }

    /// The end that bytes come out of.
    #[must_use]
    pub fn read_end(&self) -> &Arc<OwnedFd> {
        &self.read
    }

    /// The end that bytes go into.
    #[must_use]
    pub fn write_end(&self) -> &Arc<OwnedFd> {
        &self.write
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

/// Whether acknowledgements go out at once.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn quickack(fd: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&fd).tcp_quickack()
}

/// Sets whether acknowledgements go out at once.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_quickack(fd: BorrowedFd<'_>, quickack: bool) -> io::Result<()> {
    SockRef::from(&fd).set_tcp_quickack(quickack)
}

/// The name of the interface that a socket is bound to.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn device(fd: BorrowedFd<'_>) -> io::Result<Option<Vec<u8>>> {
    SockRef::from(&fd).device()
}

/// Binds a socket to an interface by name, or to none.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn bind_device(fd: BorrowedFd<'_>, interface: Option<&[u8]>) -> io::Result<()> {
    SockRef::from(&fd).bind_device(interface)
}

/// How long what was sent by a TCP socket may wait for its acknowledgement; the system's default where it is none.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn user_timeout(fd: BorrowedFd<'_>) -> io::Result<Option<Duration>> {
    SockRef::from(&fd).tcp_user_timeout()
}

/// Sets that, in whole milliseconds.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_user_timeout(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<()> {
    SockRef::from(&fd).set_tcp_user_timeout(timeout)
}

/// The bytes of a Unix socket's abstract name, if it has one.
pub(super) fn abstract_name(addr: &std::os::unix::net::SocketAddr) -> Option<&[u8]> {
    LinuxAddr::as_abstract_name(addr)
}

/// A Unix socket's address that is no file.
pub(super) fn from_abstract_name(name: &[u8]) -> io::Result<std::os::unix::net::SocketAddr> {
    <std::os::unix::net::SocketAddr as LinuxAddr>::from_abstract_name(name)
}
