//! POSIX's calls, which every Unix has; what a system has beyond them stands in `linux.rs` or `plain.rs`.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

use super::{Answer, TRANSFER_MAX, special};
use crate::descriptor::{FromRawFd as _, OwnedFd, RawFd};
use crate::errno;

pub use super::message::{Message, send_message};
pub use super::parts::Parts;

#[cfg(not(linux))]
use libc::{ftruncate, off_t, pread, pwrite};
#[cfg(linux)]
use libc::{ftruncate64 as ftruncate, off64_t as off_t, pread64 as pread, pwrite64 as pwrite};

/// What the last call of this thread says: `result` if it is none, else its negative error number.
#[inline]
pub(super) fn answer(result: isize) -> Answer {
    if result >= 0 {
        // A transfer is cut to `TRANSFER_MAX`, every other result is a descriptor or zero.
        return result as Answer;
    }
    errno::last_answer()
}

/// Reads at `offset`, or at the file's own position if it is `None`.
///
/// # Safety
/// `len` bytes from `buffer` on are the caller's to write.
pub unsafe fn read(fd: RawFd, buffer: *mut u8, len: usize, offset: Option<u64>) -> Answer {
    let len = len.min(TRANSFER_MAX);
    let result = match offset {
        // SAFETY: the caller's promise.
        Some(offset) => unsafe { pread(fd, buffer.cast(), len, offset as off_t) },
        // SAFETY: the caller's promise.
        None => unsafe { libc::read(fd, buffer.cast(), len) },
    };
    answer(result)
}

/// Writes at `offset`, or at the file's own position if it is `None`.
///
/// # Safety
/// `len` initialised bytes from `buffer` on stay unchanged during the call.
pub unsafe fn write(fd: RawFd, buffer: *const u8, len: usize, offset: Option<u64>) -> Answer {
    let len = len.min(TRANSFER_MAX);
    let result = match offset {
        // SAFETY: the caller's promise.
        Some(offset) => unsafe { pwrite(fd, buffer.cast(), len, offset as off_t) },
        // SAFETY: the caller's promise.
        None => unsafe { libc::write(fd, buffer.cast(), len) },
    };
    answer(result)
}

/// Brings the file's data to the disk, and its metadata unless `data_only`.
pub fn sync(fd: RawFd, data_only: bool) -> Answer {
    if data_only {
        return special::data_sync(fd);
    }
    // SAFETY: no memory is passed.
    answer(unsafe { libc::fsync(fd) } as isize)
}

/// Cuts the file to `len`, or grows it with zeros.
pub fn truncate(fd: RawFd, len: u64) -> Answer {
    // SAFETY: no memory is passed.
    answer(unsafe { ftruncate(fd, len as off_t) } as isize)
}

/// Opens `path`, seen from the current directory if it is relative; close-on-exec is added to `flags`.
pub fn open(path: &CStr, flags: i32, mode: u32) -> Answer {
    // SAFETY: the path ends in a zero.
    answer(
        unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, mode as libc::c_uint) }
            as isize,
    )
}

/// True if each write goes to the end of the file, wherever its position is.
pub fn is_append(fd: RawFd) -> bool {
    // SAFETY: no memory is passed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_APPEND != 0
}

/// True if its transfers go past the page cache.
pub fn is_direct(fd: RawFd) -> bool {
    // SAFETY: no memory is passed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & open_flags::O_DIRECT != 0
}

/// Ends one direction of a connection, or both.
pub fn shutdown(fd: RawFd, how: i32) -> Answer {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::shutdown(fd, how) } as isize)
}

/// Removes a name, or an empty directory.
pub fn unlink(path: &CStr, is_dir: bool) -> Answer {
    let flags = if is_dir { AT_REMOVEDIR } else { 0 };
    // SAFETY: the path ends in a zero.
    answer(unsafe { libc::unlinkat(AT_FDCWD, path.as_ptr(), flags) } as isize)
}

/// Gives the file `original` one more name; a symbolic link is not followed.
pub fn link(original: &CStr, link: &CStr) -> Answer {
    let (original, link) = (original.as_ptr(), link.as_ptr());
    // SAFETY: both paths end in a zero.
    answer(unsafe { libc::linkat(AT_FDCWD, original, AT_FDCWD, link, 0) } as isize)
}

/// Makes the symbolic link `link`, which says `target`.
pub fn symlink(target: &CStr, link: &CStr) -> Answer {
    // SAFETY: both texts end in a zero.
    answer(unsafe { libc::symlink(target.as_ptr(), link.as_ptr()) } as isize)
}

/// Makes a directory.
pub fn make_dir(path: &CStr, mode: u32) -> Answer {
    // SAFETY: the path ends in a zero.
    answer(unsafe { libc::mkdir(path.as_ptr(), mode as libc::mode_t) } as isize)
}

/// "The current directory", where a call takes a directory's descriptor.
pub const AT_FDCWD: RawFd = libc::AT_FDCWD;
/// Makes `statx` tell of a link instead of what it points to.
pub const AT_SYMLINK_NOFOLLOW: i32 = libc::AT_SYMLINK_NOFOLLOW;
/// Makes [`unlink`] remove a directory.
pub const AT_REMOVEDIR: i32 = libc::AT_REMOVEDIR;

/// Flags of [`open`], in this platform's numbers.
pub mod open_flags {
    pub use libc::{
        O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
    };
    #[cfg(linux)]
    pub use libc::{O_DIRECT, O_LARGEFILE};
    /// Files are large here without being asked.
    #[cfg(not(linux))]
    pub const O_LARGEFILE: i32 = 0;
    /// Not known here.
    #[cfg(not(linux))]
    pub const O_DIRECT: i32 = 0;
}

/// Flags of new sockets, in this platform's numbers.
pub mod socket_flags {
    /// Non-blocking, and closed on exec.
    #[cfg(accept4)]
    pub const NEW: i32 = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    /// Such flags are not known here.
    #[cfg(not(accept4))]
    pub const NEW: i32 = 0;
}

/// Flags of `send` and `recv`, in this platform's numbers.
pub mod message_flags {
    /// Do not wait.
    pub const DONTWAIT: i32 = libc::MSG_DONTWAIT;
    /// All of it, or tell how much.
    pub const WAITALL: i32 = libc::MSG_WAITALL;
    /// No SIGPIPE; the error is enough.
    #[cfg(nosignal)]
    pub const NOSIGNAL: i32 = libc::MSG_NOSIGNAL;
    /// No SIGPIPE; here the socket itself is told so.
    #[cfg(not(nosignal))]
    pub const NOSIGNAL: i32 = 0;
}

/// Receives without waiting.
///
/// # Safety
/// `len` bytes from `buffer` on are the caller's to write.
pub unsafe fn receive(fd: RawFd, buffer: *mut u8, len: usize) -> Answer {
    let len = len.min(TRANSFER_MAX);
    // SAFETY: the caller's promise.
    answer(unsafe { libc::recv(fd, buffer.cast(), len, message_flags::DONTWAIT) })
}

/// Sends without waiting and without SIGPIPE.
///
/// # Safety
/// `len` initialised bytes from `buffer` on stay unchanged during the call.
pub unsafe fn send(fd: RawFd, buffer: *const u8, len: usize) -> Answer {
    let len = len.min(TRANSFER_MAX);
    let flags = message_flags::DONTWAIT | message_flags::NOSIGNAL;
    // SAFETY: the caller's promise.
    answer(unsafe { libc::send(fd, buffer.cast(), len, flags) })
}

/// The file of a number that a call or a completion has answered.
///
/// # Safety
/// It names an open file that nobody else closes.
pub unsafe fn adopt(number: RawFd) -> File {
    // SAFETY: the caller's promise.
    File::from(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Reads at `offset` into `bytes`, waiting for the device; the file's own position stays.
///
/// # Errors
/// Those of `pread(2)`.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

/// Writes `bytes` at `offset`, waiting for the device; the file's own position stays.
///
/// # Errors
/// Those of `pwrite(2)`.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

/// Tells std's options the permissions of a file that is made, and further flags of `open(2)`.
pub fn open_with(options: &mut std::fs::OpenOptions, mode: Option<u32>, flags: Option<i32>) {
    if let Some(mode) = mode {
        options.mode(mode);
    }
    if let Some(flags) = flags {
        options.custom_flags(flags);
    }
}
