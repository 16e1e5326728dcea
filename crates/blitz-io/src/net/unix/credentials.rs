//! Who is at the other end.

use std::io;

use blitz_sys::descriptor::BorrowedFd;
use blitz_sys::socket::local::{self, Credentials};

use super::{gid_t, pid_t, uid_t};

/// Who was at the other end of a Unix socket when it was connected: see
/// [`UnixStream::peer_cred`](super::UnixStream::peer_cred).
///
/// It says who the process was then. A number may belong to another process by the time one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred(Credentials);

impl UCred {
    pub(super) fn of(fd: BorrowedFd<'_>) -> io::Result<UCred> {
        local::peer_credentials(fd).map(UCred)
    }

    /// The effective user.
    pub fn uid(&self) -> uid_t {
        self.0.user
    }

    /// The effective group.
    pub fn gid(&self) -> gid_t {
        self.0.group
    }

    /// The process; `None` where the system does not say.
    pub fn pid(&self) -> Option<pid_t> {
        self.0.process
    }
}
