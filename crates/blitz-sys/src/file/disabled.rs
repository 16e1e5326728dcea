//! No such calls here: each refuses, as a system without them would. Files are read and written through std alone.

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::windows::fs::FileExt as _;
use std::os::windows::io::FromRawHandle as _;

use super::{Advice, Answer, DirectAlignment};
use crate::descriptor::RawFd;
use crate::errno;

/// The file of a handle.
///
/// # Safety
/// It names an open file that nobody else closes.
pub unsafe fn adopt(number: RawFd) -> File {
    // SAFETY: the caller's promise; the sign is extended as the system does.
    unsafe { File::from_raw_handle(number as isize as *mut _) }
}

/// No: there are none here.
pub(super) fn is_memory_device(_facts: &Metadata) -> bool {
    false
}

/// Reads at `offset` into `bytes`; **the file's own position moves**, as it does with every call here.
///
/// # Errors
/// Those of `ReadFile`.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(bytes, offset)
}

/// Writes `bytes` at `offset`; **the file's own position moves**, as it does with every call here.
///
/// # Errors
/// Those of `WriteFile`.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

/// Nothing: neither permissions nor flags of this kind are known.
pub fn open_with(_options: &mut std::fs::OpenOptions, _mode: Option<u32>, _flags: Option<i32>) {}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn read(_fd: RawFd, _buffer: *mut u8, _len: usize, _offset: Option<u64>) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn write(_fd: RawFd, _buffer: *const u8, _len: usize, _offset: Option<u64>) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn receive(_fd: RawFd, _buffer: *mut u8, _len: usize) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn send(_fd: RawFd, _buffer: *const u8, _len: usize) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn statx(_dir: RawFd, _path: &CStr, _flags: i32, _out: *mut u8) -> Answer {
    -errno::ENOSYS
}

/// The parts of one message, which nothing sends here.
#[derive(Debug)]
pub struct Message(());

impl Message {
    /// Forgets the parts.
    pub fn new(_parts: impl IntoIterator<Item = (*const u8, usize)>) -> Self {
        Self(())
    }

    /// Null.
    pub fn as_ptr(&self) -> *const u8 {
        std::ptr::null()
    }
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn send_message(_fd: RawFd, _message: &Message) -> Answer {
    -errno::ENOSYS
}

/// Several buffers, which nothing transfers here.
#[derive(Debug)]
pub struct Parts(());

impl Parts {
    /// Forgets the parts.
    pub fn new(_parts: impl IntoIterator<Item = (*const u8, usize)>) -> Self {
        Self(())
    }

    /// Null.
    pub fn as_ptr(&self) -> *const u8 {
        std::ptr::null()
    }

    /// None.
    pub fn count(&self) -> usize {
        0
    }
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn read_vectored(_fd: RawFd, _parts: &Parts, _offset: u64) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
///
/// # Safety
/// None is needed.
pub unsafe fn write_vectored(_fd: RawFd, _parts: &Parts, _offset: u64) -> Answer {
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

/// Refuses.
pub fn link(_original: &CStr, _link: &CStr) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn symlink(_target: &CStr, _link: &CStr) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn sync(_fd: RawFd, _data_only: bool) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn truncate(_fd: RawFd, _len: u64) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn open(_path: &CStr, _flags: i32, _mode: u32) -> Answer {
    -errno::ENOSYS
}

/// False: not known here.
pub fn is_append(_fd: RawFd) -> bool {
    false
}

/// False: not known here.
pub fn is_direct(_fd: RawFd) -> bool {
    false
}

/// Refuses.
pub fn shutdown(_fd: RawFd, _how: i32) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn unlink(_path: &CStr, _is_dir: bool) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn make_dir(_path: &CStr, _mode: u32) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn fallocate(_fd: RawFd, _mode: i32, _offset: u64, _len: u64) -> Answer {
    -errno::ENOSYS
}

/// Refuses.
pub fn rename(_from: &CStr, _to: &CStr, _flags: u32) -> Answer {
    -errno::ENOSYS
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

/// Stands for nothing here.
pub const AT_FDCWD: RawFd = -100;
/// Stands for nothing here.
pub const AT_SYMLINK_NOFOLLOW: i32 = 0;
/// Stands for nothing here.
pub const AT_REMOVEDIR: i32 = 0;

/// Flags that stand for nothing here, told apart all the same.
#[allow(missing_docs, reason = "documented where there is such a thing")]
pub mod open_flags {
    pub const O_RDONLY: i32 = 0;
    pub const O_WRONLY: i32 = 1;
    pub const O_RDWR: i32 = 2;
    pub const O_ACCMODE: i32 = 3;
    pub const O_APPEND: i32 = 1 << 3;
    pub const O_CREAT: i32 = 1 << 4;
    pub const O_EXCL: i32 = 1 << 5;
    pub const O_TRUNC: i32 = 1 << 6;
    pub const O_CLOEXEC: i32 = 0;
    pub const O_LARGEFILE: i32 = 0;
    pub const O_DIRECT: i32 = 0;
}

/// Flags of new sockets: none here.
pub mod socket_flags {
    /// None.
    pub const NEW: i32 = 0;
}

/// Flags of `send` and `recv`: none here.
pub mod message_flags {
    /// None.
    pub const WAITALL: i32 = 0;
    /// None.
    pub const DONTWAIT: i32 = 0;
    /// None.
    pub const NOSIGNAL: i32 = 0;
}

/// No fields here.
pub const STATX_BASIC: u32 = 0;

/// So many bytes would `statx` write.
pub const STATX_LEN: usize = 0;

/// What `statx` would tell; nothing here.
#[derive(Clone, Copy, Debug)]
pub struct Statx;

#[allow(missing_docs, reason = "documented where there is such a thing")]
impl Statx {
    pub const fn zeroed() -> Self {
        Self
    }
    pub const fn size(&self) -> u64 {
        0
    }
    pub const fn mode(&self) -> u32 {
        0
    }
    pub const fn inode(&self) -> u64 {
        0
    }
    pub const fn links(&self) -> u32 {
        0
    }
    pub const fn is_file(&self) -> bool {
        false
    }
    pub const fn is_dir(&self) -> bool {
        false
    }
    pub const fn modified(&self) -> (i64, u32) {
        (0, 0)
    }
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
