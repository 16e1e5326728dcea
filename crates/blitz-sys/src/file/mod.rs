//! Thin calls on files: what the ring would do, done by the calling thread.
//!
//! Two families. Those of the first wait as long as the file system takes: they are for the blocking pool, and
//! answer as a ring's completion does, the result or a negative error number. Those of [`now`] never
//! wait for a disk: they do the work if it can be done at once and answer `EAGAIN` if not, so an executor's
//! thread may call them.

use std::ffi::CStr;
use std::io::{self, Write as _};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use bytes::BufMut;

use crate::errno;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "linux.rs"]
mod special;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "disabled.rs"]
mod special;

mod message;

pub use message::{Message, send_message};
pub use special::{STATX_BASIC, STATX_LEN, Statx, fallocate, now, rename, splice, statx};

/// The result of a call, or its negative error number, as a completion carries it.
pub type Answer = i32;

/// The longest transfer that one call is asked for; an [`Answer`] can count it.
pub const TRANSFER_MAX: usize = 0x7fff_f000;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use libc::{ftruncate, off_t, pread, pwrite};
#[cfg(any(target_os = "linux", target_os = "android"))]
use libc::{ftruncate64 as ftruncate, off64_t as off_t, pread64 as pread, pwrite64 as pwrite};

/// What the last call of this thread says: `result` if it is none, else its negative error number.
#[inline]
fn answer(result: isize) -> Answer {
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
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub use libc::O_LARGEFILE;
    pub use libc::{
        O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
    };
    /// Files are large here without being asked.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub const O_LARGEFILE: i32 = 0;
}

/// Flags of new sockets, in this platform's numbers.
pub mod socket_flags {
    /// Non-blocking, and closed on exec.
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    pub const NEW: i32 = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    /// Such flags are not known here.
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    pub const NEW: i32 = 0;
}

/// Flags of `send` and `recv`, in this platform's numbers.
pub mod message_flags {
    /// Do not wait.
    pub const DONTWAIT: i32 = libc::MSG_DONTWAIT;
    /// No SIGPIPE; the error is enough.
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    pub const NOSIGNAL: i32 = libc::MSG_NOSIGNAL;
    /// No SIGPIPE; here the socket itself is told so.
    #[cfg(any(target_os = "macos", target_os = "ios"))]
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

/// Reads into a buffer's next free bytes what the page cache holds at `offset`, at most `max`, and advances it.
///
/// Answers as [`now::read`].
#[inline]
pub fn read_now<B: BufMut + ?Sized>(
    fd: RawFd,
    buffer: &mut B,
    max: usize,
    offset: Option<u64>,
) -> Answer {
    let free = buffer.chunk_mut();
    let (ptr, len) = (free.as_mut_ptr(), free.len().min(max));
    // SAFETY: the chunk is the buffer's free memory, which we borrow alone; only initialised bytes are written.
    let answer = unsafe { now::read(fd, ptr, len, offset) };
    if answer > 0 {
        // SAFETY: the kernel has written that many bytes at the front of the chunk.
        unsafe { buffer.advance_mut(answer as usize) };
    }
    answer
}

/// Opens `path` if every name on it is in the kernel's cache; `None` if that cannot be done at once.
pub fn open_now(path: &CStr, flags: i32) -> Option<io::Result<OwnedFd>> {
    let answer = now::open(path, flags);
    if answer == -errno::EAGAIN {
        return None;
    }
    // SAFETY: the call made the descriptor for us.
    Some(errno::check(answer).map(|number| unsafe { OwnedFd::from_raw_fd(number as RawFd) }))
}

/// Writes `bytes` if no disk must be waited for; answers as [`now::write`].
#[inline]
pub fn write_now(fd: RawFd, bytes: &[u8], offset: Option<u64>) -> Answer {
    // SAFETY: the bytes are borrowed for the call.
    unsafe { now::write(fd, bytes.as_ptr(), bytes.len(), offset) }
}

/// The last resort for `len` bytes that were taken, and that nobody waits for: a line on the standard error stream.
pub fn report_loss(len: usize, error: &io::Error) {
    if len > 0 {
        // Where that is closed there is nobody left to tell: a drop must not panic for it.
        let _ = writeln!(
            io::stderr(),
            "blitz-io: {len} bytes were given to a file that was dropped without a flush, and are lost: {error}"
        );
    }
}

#[cfg(test)]
mod tests;
