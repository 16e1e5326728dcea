//! Thin calls on files: what the ring would do, done by the calling thread.
//!
//! Two families. Those of the first wait as long as the file system takes: they are for the blocking pool, and
//! answer as a ring's completion does, the result or a negative error number. Those of [`now`] never
//! wait for a disk: they do the work if it can be done at once and answer `EAGAIN` if not, so an executor's
//! thread may call them. `unix.rs` has what POSIX has, `linux.rs` or `plain.rs` the rest; `disabled.rs` has all of these names
//! where there is neither.

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io::{self, Write as _};

use bytes::BufMut;

use crate::descriptor::RawFd;
use crate::errno;

#[cfg(not(unix))]
#[path = "disabled.rs"]
mod imp;
#[cfg(unix)]
#[path = "unix.rs"]
mod imp;
#[cfg(linux)]
#[path = "linux.rs"]
mod special;
#[cfg(all(unix, not(linux)))]
#[path = "plain.rs"]
mod special;
#[cfg(not(unix))]
use imp as special;

#[cfg(unix)]
mod message;
#[cfg(unix)]
mod parts;
mod ways;

pub use imp::{
    AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, Message, Parts, adopt, is_append, is_direct, link,
    make_dir, message_flags, open, open_flags, open_with, read, read_at, receive, send,
    send_message, shutdown, socket_flags, symlink, sync, truncate, unlink, write, write_at,
};
pub use special::{
    STATX_BASIC, STATX_LEN, Statx, advice_number, advise, copy_range, direct_alignment, fallocate,
    now, read_vectored, rename, splice, statx, sync_range, write_vectored,
};
pub use ways::{Advice, FallocateMode, WriteBack};

/// The result of a call, or its negative error number, as a completion carries it.
pub type Answer = i32;

/// The longest transfer that one call is asked for; an [`Answer`] can count it.
pub const TRANSFER_MAX: usize = 0x7fff_f000;

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

/// Whether to open what this is of waits for nobody but a disk. A FIFO waits for its peer, and a device for whatever it is.
pub fn opens_alone(facts: &Metadata) -> bool {
    facts.is_file() || facts.is_dir() || special::is_memory_device(facts)
}

/// Opens `path` if every name on it is in the kernel's cache; `None` if that cannot be done at once.
pub fn open_now(path: &CStr, flags: i32) -> Option<io::Result<File>> {
    let answer = now::open(path, flags);
    if answer == -errno::EAGAIN {
        return None;
    }
    // SAFETY: the call made the descriptor for us.
    Some(errno::check(answer).map(|number| unsafe { adopt(number as RawFd) }))
}

/// Writes `bytes` if no disk must be waited for; answers as [`now::write`].
#[inline]
pub fn write_now(fd: RawFd, bytes: &[u8], offset: Option<u64>) -> Answer {
    // SAFETY: the bytes are borrowed for the call.
    unsafe { now::write(fd, bytes.as_ptr(), bytes.len(), offset) }
}

/// What a file that is opened for direct I/O asks of every transfer: each a power of two, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectAlignment {
    /// The address of the memory is a multiple of it.
    pub memory: usize,
    /// Offset and length are multiples of it.
    pub offset: usize,
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

#[cfg(all(test, unix))]
mod tests;
