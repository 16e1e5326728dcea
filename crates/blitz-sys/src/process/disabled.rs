//! No descriptors of processes here.

use std::io;

use crate::descriptor::OwnedFd;

/// A descriptor of a process: there is none here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn open(_process: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
