//! A system whose calls have other numbers: those of Unix are the driver's own words here.

use std::io;

use super::Row;

pub(super) const ROWS: &[Row] = &[];

/// The error that a word of the driver is; the system would take its number for something else.
pub(super) fn error(number: i32) -> io::Error {
    let kind = match number {
        super::EAGAIN => io::ErrorKind::WouldBlock,
        super::EINTR => io::ErrorKind::Interrupted,
        super::EINVAL => io::ErrorKind::InvalidInput,
        super::ENOENT => io::ErrorKind::NotFound,
        super::ENOMEM => io::ErrorKind::OutOfMemory,
        super::EPERM => io::ErrorKind::PermissionDenied,
        super::ENOSYS | super::EOPNOTSUPP => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    };
    kind.into()
}
