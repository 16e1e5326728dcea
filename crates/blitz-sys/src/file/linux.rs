//! What Linux has beyond POSIX.

use std::ffi::CStr;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use super::imp::answer;
use super::{Advice, Answer, DirectAlignment, Parts};
use crate::descriptor::RawFd;

#[cfg(not(gnu))]
use libc::{preadv2, pwritev2};
/// With offsets of 64 bits on machines of 32 too, which glibc calls by another name.
#[cfg(gnu)]
use libc::{preadv64v2 as preadv2, pwritev64v2 as pwritev2};

/// Whether it is of `/dev/null`, `/dev/zero`, `/dev/urandom` and their kin: null(4), random(4).
pub(super) fn is_memory_device(facts: &Metadata) -> bool {
    facts.file_type().is_char_device() && libc::major(facts.rdev()) == 1
}

/// The fields that [`statx`] is asked for.
pub const STATX_BASIC: u32 = libc::STATX_BASIC_STATS;

/// So many bytes does the kernel write for `statx`.
pub const STATX_LEN: usize = size_of::<libc::statx>();

/// What `statx` tells of a file.
#[derive(Clone, Copy)]
pub struct Statx(libc::statx);

impl Statx {
    /// All zero.
    pub const fn zeroed() -> Self {
        // SAFETY: plain numbers, for which zero is a value.
        Self(unsafe { std::mem::zeroed() })
    }

    /// Size in bytes.
    pub const fn size(&self) -> u64 {
        self.0.stx_size
    }

    /// Type and permission bits.
    pub const fn mode(&self) -> u32 {
        self.0.stx_mode as u32
    }

    /// The inode's number.
    pub const fn inode(&self) -> u64 {
        self.0.stx_ino
    }

    /// How many names the file has.
    pub const fn links(&self) -> u32 {
        self.0.stx_nlink
    }

    /// True for a regular file.
    pub const fn is_file(&self) -> bool {
        self.mode() & libc::S_IFMT == libc::S_IFREG
    }

    /// True for a directory.
    pub const fn is_dir(&self) -> bool {
        self.mode() & libc::S_IFMT == libc::S_IFDIR
    }

    /// Last change of the content: seconds since 1970, and nanoseconds.
    pub const fn modified(&self) -> (i64, u32) {
        (self.0.stx_mtime.tv_sec, self.0.stx_mtime.tv_nsec)
    }
}

impl std::fmt::Debug for Statx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statx")
            .field("size", &self.size())
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}

/// Asks for the basic fields of `path`, or of `dir` itself if the path is empty.
///
/// # Safety
/// `out` points to [`STATX_LEN`] bytes for the call to write.
pub unsafe fn statx(dir: RawFd, path: &CStr, flags: i32, out: *mut u8) -> Answer {
    // SAFETY: the path ends in a zero; `out` is the caller's promise.
    answer(unsafe { libc::statx(dir, path.as_ptr(), flags, STATX_BASIC, out.cast()) } as isize)
}

/// Reserves room, or punches holes, as `mode` says.
pub fn fallocate(fd: RawFd, mode: i32, offset: u64, len: u64) -> Answer {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::fallocate64(fd, mode, offset as i64, len as i64) } as isize)
}

/// Gives a file another name, with the flags of `renameat2`.
pub fn rename(from: &CStr, to: &CStr, flags: u32) -> Answer {
    // SAFETY: both paths end in a zero.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            flags,
        )
    };
    answer(result as isize)
}

/// Moves bytes between a pipe and something else; an offset is for an end that has one.
pub fn splice(
    from: RawFd,
    from_offset: Option<u64>,
    to: RawFd,
    to_offset: Option<u64>,
    len: usize,
) -> Answer {
    let mut offsets = [from_offset, to_offset].map(|offset| offset.map(|offset| offset as i64));
    let [from_offset, to_offset] = &mut offsets;
    let place = |offset: &mut Option<i64>| {
        offset
            .as_mut()
            .map_or(std::ptr::null_mut(), std::ptr::from_mut)
    };
    let len = len.min(super::TRANSFER_MAX);
    // SAFETY: each offset is null or points to a number of ours.
    answer(unsafe { libc::splice(from, place(from_offset), to, place(to_offset), len, 0) })
}

/// Reads into the parts, one after the other, at `offset`.
///
/// # Safety
/// The bytes that they name are the caller's to write.
pub unsafe fn read_vectored(fd: RawFd, parts: &Parts, offset: u64) -> Answer {
    let vectors = parts.vectors();
    // SAFETY: the vectors are ours; for their bytes, the caller's promise.
    answer(unsafe { libc::preadv64(fd, vectors.as_ptr(), vectors.len() as i32, offset as i64) })
}

/// Writes the parts, one after the other, at `offset`.
///
/// # Safety
/// The bytes that they name are initialised, and stay unchanged during the call.
pub unsafe fn write_vectored(fd: RawFd, parts: &Parts, offset: u64) -> Answer {
    let vectors = parts.vectors();
    // SAFETY: the vectors are ours; for their bytes, the caller's promise.
    answer(unsafe { libc::pwritev64(fd, vectors.as_ptr(), vectors.len() as i32, offset as i64) })
}

/// `advice` as the system numbers it.
pub const fn advice_number(advice: Advice) -> i32 {
    match advice {
        Advice::Normal => libc::POSIX_FADV_NORMAL,
        Advice::Sequential => libc::POSIX_FADV_SEQUENTIAL,
        Advice::Random => libc::POSIX_FADV_RANDOM,
        Advice::WillNeed => libc::POSIX_FADV_WILLNEED,
        Advice::DontNeed => libc::POSIX_FADV_DONTNEED,
        Advice::NoReuse => libc::POSIX_FADV_NOREUSE,
    }
}

/// Says how the range will be used; a `len` of zero reaches to the end.
pub fn advise(fd: RawFd, offset: u64, len: u64, advice: Advice) -> Answer {
    // It answers with the error number itself.
    // SAFETY: no memory is passed.
    -unsafe { libc::posix_fadvise64(fd, offset as i64, len as i64, advice_number(advice)) }
}

/// Brings the range to the disk, as the flags of `sync_file_range` say; a `len` of zero reaches to the end.
pub fn sync_range(fd: RawFd, offset: u64, len: u64, flags: u32) -> Answer {
    #[cfg(not(android))]
    {
        // SAFETY: no memory is passed.
        answer(unsafe { libc::sync_file_range(fd, offset as _, len as _, flags) } as isize)
    }
    #[cfg(android)]
    {
        let _not_in_its_library = (fd, offset, len, flags);
        -crate::errno::ENOSYS
    }
}

/// Copies within the kernel, from one place of a file to another's; the files' own positions stay.
pub fn copy_range(from: RawFd, from_offset: u64, to: RawFd, to_offset: u64, len: usize) -> Answer {
    let (mut from_offset, mut to_offset) = (from_offset as i64, to_offset as i64);
    // SAFETY: both offsets are numbers of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_copy_file_range,
            from,
            &raw mut from_offset,
            to,
            &raw mut to_offset,
            len.min(super::TRANSFER_MAX),
            0,
        )
    };
    answer(result as isize)
}

/// What direct I/O on this file asks of memory and offsets, from Linux 6.1 on; `None` if the file system does not say.
pub fn direct_alignment(fd: RawFd) -> Option<DirectAlignment> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut facts: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is empty and ends in a zero; the call writes one `statx`.
    let result = unsafe {
        libc::statx(
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            &raw mut facts,
        )
    };
    let (memory, offset) = (facts.stx_dio_mem_align, facts.stx_dio_offset_align);
    let is_told = result == 0 && facts.stx_mask & libc::STATX_DIOALIGN != 0 && offset != 0;
    is_told.then_some(DirectAlignment {
        memory: memory as usize,
        offset: offset as usize,
    })
}

pub(super) fn data_sync(fd: RawFd) -> Answer {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::fdatasync(fd) } as isize)
}

/// Calls that never wait for a disk.
pub mod now {
    use super::{Answer, CStr, Parts, RawFd, answer};
    use crate::errno;

    /// Reads what the page cache holds at `offset` (`None`: at the file's own position).
    ///
    /// Answers `EAGAIN` if a disk would have to be waited for, `EOPNOTSUPP` if the file system cannot tell.
    ///
    /// # Safety
    /// `len` bytes from `buffer` on are the caller's to write.
    #[inline]
    pub unsafe fn read(fd: RawFd, buffer: *mut u8, len: usize, offset: Option<u64>) -> Answer {
        let vector = libc::iovec {
            iov_base: buffer.cast(),
            iov_len: len.min(super::super::TRANSFER_MAX),
        };
        let offset = offset.map_or(-1, |offset| offset as i64);
        // SAFETY: the vector names the caller's bytes.
        answer(unsafe { super::preadv2(fd, &vector, 1, offset, libc::RWF_NOWAIT) })
    }

    /// Writes at `offset` (`None`: at the file's own position) what can be taken at once.
    ///
    /// Answers `EAGAIN` if a disk would have to be waited for, `EOPNOTSUPP` if the file system cannot tell.
    ///
    /// # Safety
    /// `len` initialised bytes from `buffer` on stay unchanged during the call.
    #[inline]
    pub unsafe fn write(fd: RawFd, buffer: *const u8, len: usize, offset: Option<u64>) -> Answer {
        let vector = libc::iovec {
            iov_base: buffer.cast_mut().cast(),
            iov_len: len.min(super::super::TRANSFER_MAX),
        };
        let offset = offset.map_or(-1, |offset| offset as i64);
        // SAFETY: the vector names the caller's bytes, which the call only reads.
        answer(unsafe { super::pwritev2(fd, &vector, 1, offset, libc::RWF_NOWAIT) })
    }

    /// As [`read`], into several parts.
    ///
    /// # Safety
    /// The bytes that they name are the caller's to write.
    pub unsafe fn read_vectored(fd: RawFd, parts: &Parts, offset: u64) -> Answer {
        let vectors = parts.vectors();
        let (first, count) = (vectors.as_ptr(), vectors.len() as i32);
        // SAFETY: the vectors are ours; for their bytes, the caller's promise.
        answer(unsafe { super::preadv2(fd, first, count, offset as i64, libc::RWF_NOWAIT) })
    }

    /// As [`write()`], of several parts.
    ///
    /// # Safety
    /// The bytes that they name are initialised, and stay unchanged during the call.
    pub unsafe fn write_vectored(fd: RawFd, parts: &Parts, offset: u64) -> Answer {
        let vectors = parts.vectors();
        let (first, count) = (vectors.as_ptr(), vectors.len() as i32);
        // SAFETY: the vectors are ours; for their bytes, the caller's promise.
        answer(unsafe { super::pwritev2(fd, first, count, offset as i64, libc::RWF_NOWAIT) })
    }

    /// Opens `path` if every name on it is in the kernel's cache; close-on-exec is added to `flags`.
    ///
    /// Answers `EAGAIN` if a disk would have to be asked, and always for flags that create or cut.
    pub fn open(path: &CStr, flags: i32) -> Answer {
        if flags & (libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE) != 0 {
            return -errno::EAGAIN;
        }
        // SAFETY: plain numbers, for which zero is a value.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = (flags | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_CACHED;
        // SAFETY: the path ends in a zero, and `how` is as long as announced.
        let result = unsafe {
            libc::syscall(
                libc::SYS_openat2,
                libc::AT_FDCWD,
                path.as_ptr(),
                &how,
                size_of::<libc::open_how>(),
            )
        };
        match answer(result as isize) {
            // Before 5.6, before 5.12, or under a filter that does not know the call.
            code if code == -errno::ENOSYS || code == -errno::EINVAL || code == -errno::EPERM => {
                -errno::EAGAIN
            }
            code => code,
        }
    }

    /// Size of the file behind `fd`, if it is a regular one, from the inode in memory.
    pub fn size(fd: RawFd) -> Option<u64> {
        // SAFETY: plain numbers, for which zero is a value.
        let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
        // SAFETY: the call writes one `stat64`.
        let result = unsafe { libc::fstat64(fd, &mut stat) };
        (result == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFREG).then_some(stat.st_size as u64)
    }
}
