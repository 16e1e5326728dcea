//! Sockets that whoever started this process has left open for it, as `sd_listen_fds(3)` describes.

use std::io;

use crate::descriptor::OwnedFd;

#[cfg(not(linux))]
#[path = "disabled.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod imp;

/// A listening stream socket that was passed on.
#[derive(Debug)]
pub struct Inherited {
    /// What its manager calls it (`LISTEN_FDNAMES`); `unknown` if it has no name.
    pub name: String,
    /// The socket, non-blocking and closed on exec from now on.
    pub fd: OwnedFd,
    /// Whether it is a Unix socket; else it is TCP.
    pub is_local: bool,
}

/// Takes the listening stream sockets that the environment says were passed on: `LISTEN_FDS` of them from descriptor 3 on, if
/// `LISTEN_PID` is this process. Sockets of other kinds are left where they are. A second call finds nothing, and neither does any on a
/// system where nobody passes sockets on so.
///
/// # Errors
/// When the environment says what is no number, or names a descriptor that is no open socket.
pub fn take_inherited() -> io::Result<Vec<Inherited>> {
    imp::take()
}
