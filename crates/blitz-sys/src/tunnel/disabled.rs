//! No such devices here.

use std::io;

use crate::descriptor::OwnedFd;

/// Refuses.
///
/// # Errors
/// Always: `Unsupported`.
pub fn open(_name: &str) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
