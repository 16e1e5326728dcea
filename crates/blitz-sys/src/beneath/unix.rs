//! The walk: name by name, each opened from the one before, and no symbolic link followed.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

#[cfg(not(linux))]
use super::Names;
use super::Purpose;
use crate::descriptor::RawFd;
use crate::errno;
use crate::file::adopt;

#[cfg(linux)]
const LOOK: i32 = libc::O_PATH;
#[cfg(not(linux))]
const LOOK: i32 = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;

pub(super) fn flags(purpose: Purpose) -> i32 {
    let flags = match purpose {
        Purpose::Read => libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY,
        Purpose::Look => LOOK,
    };
    flags | libc::O_CLOEXEC
}

/// What was opened without waiting is read with it, whatever the ring thinks of files that are not to wait.
pub(super) fn made(number: RawFd) -> File {
    // SAFETY: the caller's call made the descriptor for us.
    let file = unsafe { adopt(number) };
    // SAFETY: no memory is passed.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
    if flags >= 0 && flags & libc::O_NONBLOCK != 0 {
        // SAFETY: no memory is passed.
        let _set = unsafe { libc::fcntl(number, libc::F_SETFL, flags & !libc::O_NONBLOCK) };
        // If that fails, reads may find nothing at once, and say so.
    }
    file
}

pub(super) fn open(root: &File, path: &CStr, purpose: Purpose) -> io::Result<File> {
    let names: Vec<&[u8]> = path.to_bytes().split(|byte| *byte == b'/').collect();
    let mut here: Option<File> = None;
    for (index, name) in names.iter().enumerate() {
        let is_last = index + 1 == names.len();
        let flags = if is_last {
            flags(purpose)
        } else {
            flags(Purpose::Look) | libc::O_DIRECTORY
        };
        let dir = here.as_ref().unwrap_or(root);
        // They stood in a path that ends in a zero, so they have none.
        let name = CString::new(*name).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the name ends in a zero.
        let number =
            unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags | libc::O_NOFOLLOW) };
        if number < 0 {
            return Err(errno::last());
        }
        here = Some(made(number as RawFd));
    }
    here.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Not known here.
#[cfg(not(linux))]
pub(super) fn open_now(_: &File, _: &CStr, _: Purpose) -> Option<io::Result<File>> {
    None
}

/// Not read here.
#[cfg(not(linux))]
pub(super) fn names(_: &File, _: usize) -> io::Result<Names> {
    Err(io::ErrorKind::Unsupported.into())
}
