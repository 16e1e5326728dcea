//! A Unix without Linux's own calls: POSIX's instead, or "cannot be done at once".

use std::ffi::CStr;
use std::fs::Metadata;

use super::imp::answer;
use super::{Advice, Answer, DirectAlignment, Parts};
use crate::descriptor::RawFd;
use crate::errno;

/// No: how devices are numbered is not known here.
pub(super) fn is_memory_device(_facts: &Metadata) -> bool {
    false
}

/// No fields here.
pub const STATX_BASIC: u32 = 0;

/// So many bytes would `statx` write.
pub const STATX_LEN: usize = 0;

/// What `statx` would tell; nothing here.
#[derive(Clone, Copy, Debug)]
pub struct Statx;

impl Statx {
    /// All zero.
    pub const fn zeroed() -> Self {
        Self
    }

    /// Zero: not known here.
    pub const fn size(&self) -> u64 {
        0
    }

    /// Zero: not known here.
    pub const fn mode(&self) -> u32 {
        0
    }

    /// Zero: not known here.
    pub const fn inode(&self) -> u64 {
        0
    }

    /// Zero: not known here.
    pub const fn links(&self) -> u32 {
        0
    }

    /// False: not known here.
    pub const fn is_file(&self) -> bool {
        false
    }

    /// False: not known here.
    pub const fn is_dir(&self) -> bool {
        false
    }

    /// Zero: not known here.
    pub const fn modified(&self) -> (i64, u32) {
        (0, 0)
    }
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn statx(_dir: RawFd, _path: &CStr, _flags: i32, _out: *mut u8) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn fallocate(_fd: RawFd, _mode: i32, _offset: u64, _len: u64) -> Answer {
    -errno::ENOSYS
}

/// Gives a file another name; `flags` must be zero.
pub fn rename(from: &CStr, to: &CStr, flags: u32) -> Answer {
    if flags != 0 {
        return -errno::EINVAL;
    }
    // SAFETY: both paths end in a zero.
    answer(unsafe { libc::rename(from.as_ptr(), to.as_ptr()) } as isize)
}

/// Refuses.
pub fn splice(
    _from: RawFd,
    _from_offset: Option<u64>,
    _to: RawFd,
    _to_offset: Option<u64>,
    _len: usize,
) -> Answer {
    -errno::ENOSYS
}

/// `advice` as the system numbers it: not at all.
pub const fn advice_number(_advice: Advice) -> i32 {
    0
}

/// Refuses.
pub fn advise(_fd: RawFd, _offset: u64, _len: u64, _advice: Advice) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn sync_range(_fd: RawFd, _offset: u64, _len: u64, _flags: u32) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn copy_range(
    _from: RawFd,
    _from_offset: u64,
    _to: RawFd,
    _to_offset: u64,
    _len: usize,
) -> Answer {
    -errno::ENOSYS
}

/// Not known here.
pub fn direct_alignment(_fd: RawFd) -> Option<DirectAlignment> {
    None
}

/// Reads into the parts, one after the other, at `offset`.
///
/// # Safety
/// The bytes that they name are the caller's to write.
pub unsafe fn read_vectored(fd: RawFd, parts: &Parts, offset: u64) -> Answer {
    one_by_one(parts, |start, len, done| {
        // SAFETY: a part; for its bytes, the caller's promise.
        unsafe { super::read(fd, start, len, Some(offset + done)) }
    })
}

/// Writes the parts, one after the other, at `offset`.
///
/// # Safety
/// The bytes that they name are initialised, and stay unchanged during the call.
pub unsafe fn write_vectored(fd: RawFd, parts: &Parts, offset: u64) -> Answer {
    one_by_one(parts, |start, len, done| {
        // SAFETY: a part; for its bytes, the caller's promise.
        unsafe { super::write(fd, start, len, Some(offset + done)) }
    })
}

/// Not every system has both calls, so each part is one: until one is done by half.
fn one_by_one(parts: &Parts, mut transfer: impl FnMut(*mut u8, usize, u64) -> Answer) -> Answer {
    let mut done = 0;
    for part in parts.vectors() {
        match transfer(part.iov_base.cast(), part.iov_len, done as u64) {
            error if error < 0 => return if done > 0 { done } else { error },
            count => {
                done += count;
                if (count as usize) < part.iov_len {
                    break;
                }
            }
        }
    }
    done
}

pub(super) fn data_sync(fd: RawFd) -> Answer {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::fsync(fd) } as isize)
}

/// Calls that never wait for a disk: none here.
pub mod now {
    use super::{Answer, CStr, Parts, RawFd};
    use crate::errno;

    /// Answers `EOPNOTSUPP`.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn read(_fd: RawFd, _buffer: *mut u8, _len: usize, _offset: Option<u64>) -> Answer {
        -errno::EOPNOTSUPP
    }

    /// Answers `EOPNOTSUPP`.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn write(
        _fd: RawFd,
        _buffer: *const u8,
        _len: usize,
        _offset: Option<u64>,
    ) -> Answer {
        -errno::EOPNOTSUPP
    }

    /// Answers `EOPNOTSUPP`.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn read_vectored(_fd: RawFd, _parts: &Parts, _offset: u64) -> Answer {
        -errno::EOPNOTSUPP
    }

    /// Answers `EOPNOTSUPP`.
    ///
    /// # Safety
    /// None is needed.
    pub unsafe fn write_vectored(_fd: RawFd, _parts: &Parts, _offset: u64) -> Answer {
        -errno::EOPNOTSUPP
    }

    /// Answers `EAGAIN`.
    pub fn open(_path: &CStr, _flags: i32) -> Answer {
        -errno::EAGAIN
    }

    /// Does not know.
    pub fn size(_fd: RawFd) -> Option<u64> {
        None
    }
}
