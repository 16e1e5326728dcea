//! The error numbers that the driver looks at.

use std::io;

pub use libc::{
    EAGAIN, EBADF, ECANCELED, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOBUFS, ENOENT, ENOMEM, ENOSPC,
    ENOSYS, EOPNOTSUPP, EPERM,
};

/// A completion's result as std has it: a count, or an error.
///
/// # Errors
/// If `answer` is a negative error number.
#[inline]
pub fn check(answer: i32) -> io::Result<u32> {
    if answer >= 0 {
        Ok(answer as u32)
    } else {
        Err(io::Error::from_raw_os_error(-answer))
    }
}
