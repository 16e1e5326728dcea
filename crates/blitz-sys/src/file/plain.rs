//! A Unix without Linux's own calls: POSIX's instead, or "cannot be done at once".

use std::ffi::CStr;

use super::Answer;
use super::imp::answer;
use crate::descriptor::RawFd;
use crate::errno;

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

pub(super) fn data_sync(fd: RawFd) -> Answer {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::fsync(fd) } as isize)
}

/// Calls that never wait for a disk: none here.
pub mod now {
    use super::{Answer, CStr, RawFd};
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

    /// Answers `EAGAIN`.
    pub fn open(_path: &CStr, _flags: i32) -> Answer {
        -errno::EAGAIN
    }

    /// Does not know.
    pub fn size(_fd: RawFd) -> Option<u64> {
        None
    }
}
