//! Pipes, with a name (`fifo(7)`) and without: owned descriptors that do not block.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use bytes::BufMut;

use crate::descriptor::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use crate::errno;

/// A new pipe: the end to read from, the end to write to; neither blocks, both are closed on exec.
///
/// # Errors
/// Those of `pipe2(2)`.
#[cfg(accept4)]
pub fn make() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors that the call writes.
    let done = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) };
    if done != 0 {
        return Err(errno::last());
    }
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else knows.
    let read = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let write = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((read, write))
}

/// A new pipe: the end to read from, the end to write to; neither blocks, both are closed on exec.
///
/// # Errors
/// Those of `pipe(2)` and `fcntl(2)`.
#[cfg(not(accept4))]
pub fn make() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = std::io::pipe()?;
    let (read, write) = (OwnedFd::from(read), OwnedFd::from(write));
    set_blocking(&read, false)?;
    set_blocking(&write, false)?;
    Ok((read, write))
}

/// Opens the pipe called `path` for reading, writing or both, without waiting for the other end.
///
/// # Errors
/// Those of `open(2)`: `ENXIO` if it is to be written and nobody reads.
pub fn open(path: &Path, read: bool, write: bool) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options
        .read(read)
        .write(write)
        .custom_flags(libc::O_NONBLOCK);
    options.open(path).map(OwnedFd::from)
}

/// Whether the descriptor is that of a pipe.
///
/// # Errors
/// Those of `fstat(2)`.
pub fn is_pipe(fd: &OwnedFd) -> io::Result<bool> {
    Ok(lent(fd).metadata()?.file_type().is_fifo())
}

/// Whether a descriptor can be read and written.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn access(fd: &OwnedFd) -> io::Result<(bool, bool)> {
    let mode = flags(fd)? & libc::O_ACCMODE;
    Ok((mode != libc::O_WRONLY, mode != libc::O_RDONLY))
}

/// Sets whether calls on the pipe's end wait.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn set_blocking(fd: &OwnedFd, blocking: bool) -> io::Result<()> {
    let before = flags(fd)?;
    let after = if blocking {
        before & !libc::O_NONBLOCK
    } else {
        before | libc::O_NONBLOCK
    };
    if before == after {
        return Ok(());
    }
    // SAFETY: no memory is passed.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, after) } {
        -1 => Err(errno::last()),
        _ => Ok(()),
    }
}

fn flags(fd: &OwnedFd) -> io::Result<libc::c_int> {
    // SAFETY: no memory is passed.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(errno::last()),
        flags => Ok(flags),
    }
}

/// The descriptor as a file of std's, which does not close it.
fn lent(fd: &impl AsRawFd) -> ManuallyDrop<File> {
    // SAFETY: it is open for as long as it is borrowed, and `ManuallyDrop` leaves it to its owner.
    ManuallyDrop::new(unsafe { File::from_raw_fd(fd.as_raw_fd()) })
}

/// Reads into a buffer's next free bytes, and advances it by what came; zero is the end.
///
/// # Errors
/// Those of `read(2)`.
#[inline]
pub fn read_buf<B: BufMut + ?Sized>(fd: BorrowedFd<'_>, buf: &mut B) -> io::Result<usize> {
    // SAFETY: only initialised bytes are written to it.
    let free: &mut [MaybeUninit<u8>] = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let (start, len) = (free.as_mut_ptr(), free.len());
    let count = errno::restarted(|| {
        // SAFETY: those bytes are borrowed alone for the call.
        let answer = unsafe { libc::read(fd.as_raw_fd(), start.cast(), len) };
        usize::try_from(answer).map_err(|_| errno::last())
    })?;
    // SAFETY: the kernel has written that many bytes at the front of the chunk.
    unsafe { buf.advance_mut(count) };
    Ok(count)
}

/// Reads into plain bytes; zero is the end.
///
/// # Errors
/// Those of `read(2)`.
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    errno::restarted(|| (&*lent(&fd)).read(buf))
}

/// Reads into several buffers, the first filled first.
///
/// # Errors
/// Those of `readv(2)`.
pub fn read_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    errno::restarted(|| (&*lent(&fd)).read_vectored(bufs))
}

/// Writes what the pipe takes at once.
///
/// # Errors
/// Those of `write(2)`.
#[inline]
pub fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    errno::restarted(|| (&*lent(&fd)).write(buf))
}

/// Writes from several buffers, from the first 1,024 at most.
///
/// # Errors
/// Those of `writev(2)`.
pub fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    errno::restarted(|| (&*lent(&fd)).write_vectored(bufs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::AsFd;

    #[test]
    fn bytes_go_through_and_an_empty_pipe_would_block() {
        let (from, to) = make().unwrap();
        assert!(is_pipe(&from).unwrap());
        assert_eq!(access(&from).unwrap(), (true, false));
        assert_eq!(access(&to).unwrap(), (false, true));
        let nothing = read(from.as_fd(), &mut [0; 4]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        write(to.as_fd(), b"ab").unwrap();
        write_vectored(to.as_fd(), &[IoSlice::new(b"c"), IoSlice::new(b"d")]).unwrap();
        let mut buf = Vec::with_capacity(2);
        assert_eq!(read_buf(from.as_fd(), &mut (&mut buf).limit(2)).unwrap(), 2);
        assert_eq!(buf, b"ab");
        let mut two = [0; 2];
        read_vectored(from.as_fd(), &mut [IoSliceMut::new(&mut two)]).unwrap();
        assert_eq!(&two, b"cd");
        drop(to);
        assert_eq!(read(from.as_fd(), &mut two).unwrap(), 0);
    }

    #[test]
    fn a_file_is_no_pipe() {
        let file = OwnedFd::from(File::open("/").unwrap());
        assert!(!is_pipe(&file).unwrap());
    }
}
