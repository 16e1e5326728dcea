//! Processors where the platform offers no call for them (or none is written yet).

use std::io;
use std::num::NonZeroUsize;

/// The processors that the calling thread may run on: not known here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn affinity() -> io::Result<Vec<usize>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Binds the calling thread to the processors given: not possible here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn set_affinity(_cpus: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn quota() -> Option<NonZeroUsize> {
    None
}
