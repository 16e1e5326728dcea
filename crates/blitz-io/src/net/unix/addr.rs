//! A Unix socket's address.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use blitz_sys::socket::local;

/// The address of a Unix socket: a path, an abstract name, or nothing.
///
/// # Examples
/// ```
/// use blitz_io::net::unix::SocketAddr;
///
/// let addr = SocketAddr::from_pathname("/run/app.sock").unwrap();
/// assert_eq!(addr.as_pathname(), Some(std::path::Path::new("/run/app.sock")));
/// assert!(!addr.is_unnamed());
/// assert!(SocketAddr::from_pathname("x".repeat(200)).is_err());
/// ```
#[derive(Clone)]
pub struct SocketAddr(std::os::unix::net::SocketAddr);

impl SocketAddr {
    /// The address that `path` names; a path that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    /// `InvalidInput` if it is too long (about 100 bytes fit), or has a zero byte elsewhere than at its front.
    pub fn from_pathname(path: impl AsRef<Path>) -> io::Result<SocketAddr> {
        local::address(path.as_ref()).and_then(|addr| local::to_std(&addr).map(SocketAddr))
    }

    /// The address of an abstract name, which is no file.
    ///
    /// # Errors
    /// `InvalidInput` if it is too long, or the system is not Linux.
    pub fn from_abstract_name(name: impl AsRef<[u8]>) -> io::Result<SocketAddr> {
        let mut path = vec![0];
        path.extend_from_slice(name.as_ref());
        SocketAddr::from_pathname(OsStr::from_bytes(&path))
    }

    /// Whether it is the address of a socket that is bound to nothing.
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if it is one.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The abstract name, without the zero byte in front of it, if it is one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        local::abstract_name(&self.0)
    }

    pub(super) fn std(&self) -> &std::os::unix::net::SocketAddr {
        &self.0
    }
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<std::os::unix::net::SocketAddr> for SocketAddr {
    fn from(addr: std::os::unix::net::SocketAddr) -> SocketAddr {
        SocketAddr(addr)
    }
}

impl From<SocketAddr> for std::os::unix::net::SocketAddr {
    fn from(addr: SocketAddr) -> std::os::unix::net::SocketAddr {
        addr.0
    }
}
