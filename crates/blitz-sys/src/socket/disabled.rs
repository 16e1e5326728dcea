//! What only Linux has, where it is not: each call answers `Unsupported`. For zero copy the caller then copies.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::descriptor::{BorrowedFd, OwnedFd};

/// Sends a part of a file to a socket: not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn send_file(
    _socket: BorrowedFd<'_>,
    _file: BorrowedFd<'_>,
    _offset: u64,
    _len: usize,
) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a file's bytes are in memory: not known here.
#[must_use]
pub fn is_resident(_file: BorrowedFd<'_>, _offset: u64) -> bool {
    false
}

/// Moves bytes between descriptors: not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn splice(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>, _len: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A pipe to splice through: none can be made here.
#[derive(Debug)]
pub struct Pipe(std::convert::Infallible);

impl Pipe {
    /// Opens a pipe: not possible here.
    ///
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn new(_capacity: usize) -> io::Result<Pipe> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The end that bytes come out of.
    #[must_use]
    pub fn read_end(&self) -> &Arc<OwnedFd> {
        match self.0 {}
    }

    /// The end that bytes go into.
    #[must_use]
    pub fn write_end(&self) -> &Arc<OwnedFd> {
        match self.0 {}
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match self.0 {}
    }
}

/// Whether acknowledgements go out at once: not known here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn quickack(_fd: BorrowedFd<'_>) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sets whether acknowledgements go out at once: not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_quickack(_fd: BorrowedFd<'_>, _quickack: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The interface that a socket is bound to: not known here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn device(_fd: BorrowedFd<'_>) -> io::Result<Option<Vec<u8>>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Binds a socket to an interface: not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn bind_device(_fd: BorrowedFd<'_>, _interface: Option<&[u8]>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// How long what was sent may wait for its acknowledgement: not known here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn user_timeout(_fd: BorrowedFd<'_>) -> io::Result<Option<Duration>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sets that: not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_user_timeout(_fd: BorrowedFd<'_>, _timeout: Option<Duration>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The bytes of a Unix socket's abstract name: there are none here.
#[cfg(unix)]
pub(super) fn abstract_name(_addr: &std::os::unix::net::SocketAddr) -> Option<&[u8]> {
    None
}

/// A Unix socket's address that is no file: there are none here.
#[cfg(unix)]
pub(super) fn from_abstract_name(_name: &[u8]) -> io::Result<std::os::unix::net::SocketAddr> {
    Err(io::ErrorKind::InvalidInput.into())
}
