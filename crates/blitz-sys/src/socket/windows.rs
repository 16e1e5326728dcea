//! The same on Windows, as far as it is calls on sockets. What would wait for them is missing (`readiness/disabled.rs`).

use std::io;

use super::Described;
use crate::descriptor::{AsFd, BorrowedFd, OwnedFd, RawFd};

/// There is no SIGPIPE.
pub(super) const SEND_FLAGS: i32 = 0;
/// `WSAEMFILE`.
const OUT_OF_SOCKETS: i32 = 10024;

/// Whether a failed `connect` goes on.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// What a number means: not known here.
pub fn describe(_fd: RawFd) -> Described {
    Described {
        kind: "descriptor",
        peer: None,
    }
}

/// Refuses: no listeners share an address here.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`], always.
pub fn share_port(_fd: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system lets no two listeners share an address, so a thread_per_core runtime has none on each worker",
    ))
}

/// Refuses: a number alone does not say what it names.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`], always.
pub fn duplicate(_fd: RawFd) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// False: the system does not tell.
///
/// # Errors
/// Never.
pub fn is_blocking(_fd: &impl AsFd) -> io::Result<bool> {
    Ok(false)
}

/// Whether `error` says that the process has no socket left.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error() == Some(OUT_OF_SOCKETS)
}
