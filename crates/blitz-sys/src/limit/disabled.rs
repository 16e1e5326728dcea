//! There are no such limits.

use std::io;

use super::Limit;

pub(super) fn open_files() -> io::Result<Limit> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn locked_memory() -> io::Result<Limit> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn raise_open_files() -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}
