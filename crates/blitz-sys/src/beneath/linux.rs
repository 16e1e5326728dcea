//! `openat2`, and the walk where it is not; `getdents64`.

use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;

use super::{Names, Purpose, walk};
use crate::descriptor::RawFd;
use crate::errno;

/// A rename at the same moment makes the kernel ask for another try.
const TRIES: usize = 16;

pub(super) fn open(root: &File, path: &CStr, purpose: Purpose) -> io::Result<File> {
    for _ in 0..TRIES {
        match openat2(root, path, purpose, 0) {
            // Before 5.6, or under a filter that does not know the call.
            code if code == -errno::ENOSYS || code == -errno::EPERM => {
                return walk::open(root, path, purpose);
            }
            code if code == -errno::EAGAIN => {}
            code => return errno::check(code).map(|number| walk::made(number as RawFd)),
        }
    }
    Err(errno::error(errno::EAGAIN))
}

pub(super) fn open_now(root: &File, path: &CStr, purpose: Purpose) -> Option<io::Result<File>> {
    match openat2(root, path, purpose, libc::RESOLVE_CACHED) {
        // EINVAL: before 5.12.
        code if [errno::ENOSYS, errno::EPERM, errno::EAGAIN, errno::EINVAL].contains(&-code) => {
            None
        }
        code => Some(errno::check(code).map(|number| walk::made(number as RawFd))),
    }
}

fn openat2(root: &File, path: &CStr, purpose: Purpose, resolve: u64) -> i32 {
    // SAFETY: plain numbers, for which zero is a value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = walk::flags(purpose) as u64;
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS | resolve;
    // SAFETY: the path ends in a zero, and `how` is as long as announced.
    let result = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &how,
            size_of::<libc::open_how>(),
        )
    };
    if result < 0 {
        errno::last_answer()
    } else {
        result as i32
    }
}

/// Where a record has its length, and where its name begins.
const LENGTH_AT: usize = 16;
const NAME_AT: usize = 19;

pub(super) fn names(dir: &File, max: usize) -> io::Result<Names> {
    let mut found = Names::default();
    let mut buffer = vec![0u8; 32 * 1024];
    loop {
        // SAFETY: the kernel writes into the buffer, no more than its length.
        let read = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                dir.as_raw_fd(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        };
        let Ok(read) = usize::try_from(read) else {
            return Err(errno::last());
        };
        if read == 0 {
            return Ok(found);
        }
        let mut rest = &buffer[..read];
        while rest.len() > NAME_AT {
            let length = u16::from_ne_bytes([rest[LENGTH_AT], rest[LENGTH_AT + 1]]);
            let (record, behind) = rest.split_at(usize::from(length).clamp(NAME_AT, rest.len()));
            rest = behind;
            let name = record[NAME_AT..].split(|byte| *byte == 0).next();
            let name = name.unwrap_or_default();
            if name == b"." || name == b".." {
                continue;
            }
            if found.names.len() == max {
                found.more = true;
                return Ok(found);
            }
            found.names.push(OsString::from_vec(name.to_vec()));
        }
    }
}
