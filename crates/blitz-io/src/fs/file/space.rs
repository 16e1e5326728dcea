//! Ranges of a file: room for them, what the system should know of their use, bringing them to the disk, copying them.

use std::io;
use std::sync::Arc;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion as ops;
use blitz_sys::descriptor::AsRawFd as _;
use blitz_sys::errno;
use blitz_sys::file::{self, Advice, FallocateMode, WriteBack, now};

use super::File;
use crate::context::call;
use crate::fs::job::{Job, on_pool};

/// So much is copied with one hop to the pool: between two of them a dropped copy ends.
const PIECE: u64 = 64 << 20;
/// So much is copied with one read and one write, where the kernel does not copy.
const CHUNK: usize = 256 << 10;

impl File {
    /// Reserves room for `len` bytes from `offset` on, or gives it back, or makes it zeros, as `mode` says.
    ///
    /// Room that is reserved is the file's: a write there does not fail for a full disk.
    ///
    /// # Cancel safety
    /// Not safe: whether a dropped call has done it is not known.
    ///
    /// # Errors
    /// Those of writes that were under way, and of `fallocate(2)`: `StorageFull` and `QuotaExceeded` if there is not so much room,
    /// `FileTooLarge`, `InvalidInput` for a `len` of zero or for ends that `mode` does not allow, and `Unsupported` where the system or
    /// the file system has no such thing.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("log");
    /// use blitz_io::fs::{FallocateMode, File};
    /// use std::io::ErrorKind::Unsupported;
    ///
    /// let file = File::create_new(&path).await?;
    /// match file.fallocate(FallocateMode::KeepSize, 0, 1 << 20).await {
    ///     Ok(()) => assert_eq!(file.metadata().await?.len(), 0),
    ///     // Not on every file system.
    ///     Err(error) => assert_eq!(error.kind(), Unsupported),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn fallocate(
        &self,
        mode: FallocateMode,
        offset: u64,
        len: u64,
    ) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::fallocate", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.settle().await?;
            // What was read ahead may be zeros, or stand elsewhere, after it.
            self.state.lock().unread_to_position(&self.std)?;
            Job::new("fs::File::fallocate", |driver| {
                ops::allocate(driver, self.std.clone(), mode.flags(), offset, len)
            })
            .await?
        })
    }

    /// Tells the system how `len` bytes from `offset` on will be used; a `len` of zero reaches to the end.
    ///
    /// # Cancel safety
    /// Safe: it changes nothing but what is cached.
    ///
    /// # Errors
    /// Those of `posix_fadvise(2)`: `NotSeekable` for a pipe; `Unsupported` where the system has no such call.
    #[track_caller]
    pub fn fadvise(
        &self,
        offset: u64,
        len: u64,
        advice: Advice,
    ) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::fadvise", Resource::None);
        call(&CALL, UNKNOWN, async move {
            let std = self.std.clone();
            match u32::try_from(len) {
                Ok(len) => {
                    Job::new("fs::File::fadvise", |driver| {
                        ops::advise(driver, std, offset, len, advice)
                    })
                    .await?
                }
                // Longer than an entry of the ring can say.
                Err(_) => {
                    on_pool("fs::File::fadvise", move || {
                        done(|| file::advise(std.as_raw_fd(), offset, len, advice))
                    })
                    .await
                }
            }
        })
    }

    /// Brings the content of `len` bytes from `offset` on to the disk, or does a part of that; a `len` of zero reaches to the end.
    ///
    /// It spreads the writing over time and makes nothing safe: neither the metadata that leads to the content nor the disk's own cache
    /// is written. What must outlive a power cut is for [`sync_data`](Self::sync_data).
    ///
    /// # Cancel safety
    /// Safe: to be called again.
    ///
    /// # Errors
    /// Those of writes that were under way, and of `sync_file_range(2)`: `StorageFull` and the disk's own, `EIO`, for what was written
    /// back and failed; `Unsupported` where the system has no such call.
    #[track_caller]
    pub fn sync_file_range(
        &self,
        offset: u64,
        len: u64,
        part: WriteBack,
    ) -> impl Future<Output = io::Result<()>> {
        static CALL: Site = Site::new("fs::File::sync_file_range", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.settle().await?;
            let std = self.std.clone();
            match u32::try_from(len) {
                Ok(len) => {
                    Job::new("fs::File::sync_file_range", |driver| {
                        ops::sync_range(driver, std, offset, len, part)
                    })
                    .await?
                }
                Err(_) => {
                    on_pool("fs::File::sync_file_range", move || {
                        done(|| file::sync_range(std.as_raw_fd(), offset, len, part.flags()))
                    })
                    .await
                }
            }
        })
    }

    /// Copies `len` bytes from `offset` on to `to_offset` of the file `to`, within the kernel where it can; returns how many.
    ///
    /// A file system that shares blocks between files copies none. Where the kernel does not copy between the two, they are read
    /// and written on the blocking pool. Neither file's own position has a part in it. Fewer bytes come at the end of this file, or
    /// when an error came after some: the next call meets it.
    ///
    /// # Cancel safety
    /// Not safe: how much a dropped call has copied is not known. It ends within 64 MiB.
    ///
    /// # Errors
    /// Those of writes that were under way on either file, and of `copy_file_range(2)`: `StorageFull` and the like; `InvalidInput` if the
    /// ranges overlap within one file; `EBADF` if `to` is opened for appending.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// use blitz_io::fs::{self, File};
    ///
    /// fs::write(dir.path().join("from"), "0123456789").await?;
    /// let from = File::open(dir.path().join("from")).await?;
    /// let to = File::create(dir.path().join("to")).await?;
    /// assert_eq!(from.copy_file_range(4, &to, 0, 100).await?, 6);
    /// assert_eq!(fs::read(dir.path().join("to")).await?, b"456789");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn copy_file_range(
        &self,
        offset: u64,
        to: &File,
        to_offset: u64,
        len: u64,
    ) -> impl Future<Output = io::Result<u64>> {
        static CALL: Site = Site::new("fs::File::copy_file_range", Resource::None);
        call(&CALL, UNKNOWN, async move {
            self.settle().await?;
            to.settle().await?;
            to.state.lock().unread_to_position(&to.std)?;
            let mut copied = 0;
            while copied < len {
                let piece = (len - copied).min(PIECE);
                let (from, to) = (Arc::clone(&self.std), Arc::clone(&to.std));
                let (offset, to_offset) = (plus(offset, copied)?, plus(to_offset, copied)?);
                let done = on_pool("fs::File::copy_file_range", move || {
                    copy_piece(&from, offset, &to, to_offset, piece as usize)
                });
                match done.await {
                    Ok(0) => break,
                    Ok(count) => copied += count as u64,
                    Err(error) if copied == 0 => return Err(error),
                    Err(_met_again_by_the_next_call) => break,
                }
            }
            Ok(copied)
        })
    }
}

fn plus(offset: u64, done: u64) -> io::Result<u64> {
    offset.checked_add(done).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the range ends behind the longest file that there can be",
        )
    })
}

/// The result of a call, made again for as long as signals interrupt it.
fn done(mut call: impl FnMut() -> i32) -> io::Result<()> {
    loop {
        let answer = call();
        if answer != -errno::EINTR {
            return errno::check(answer).map(drop);
        }
    }
}

/// Copies up to `len` bytes; zero only at the end of `from`.
fn copy_piece(
    from: &std::fs::File,
    offset: u64,
    to: &std::fs::File,
    to_offset: u64,
    len: usize,
) -> io::Result<usize> {
    let (from_fd, to_fd) = (from.as_raw_fd(), to.as_raw_fd());
    loop {
        let answer = file::copy_range(from_fd, offset, to_fd, to_offset, len);
        match errno::check(answer) {
            // Some file systems made of nothing (procfs) say so instead of copying.
            Ok(0) => break,
            Ok(count) => return Ok(count as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Two file systems, a kernel without the call, or a file that is none.
            Err(error)
                if errno::is_unsupported(&error)
                    || error.kind() == io::ErrorKind::CrossesDevices =>
            {
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let are_files = now::size(from_fd).is_some() && now::size(to_fd).is_some();
                if are_files {
                    return Err(error);
                }
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let mut bytes = vec![0; len.min(CHUNK)];
    let count = retried(|| file::read_at(from, &mut bytes, offset))?;
    let mut written = 0;
    while written < count {
        let rest = &bytes[written..count];
        match retried(|| file::write_at(to, rest, to_offset + written as u64)) {
            Ok(0) if written == 0 => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) if n > 0 => written += n,
            Err(error) if written == 0 => return Err(error),
            // The next piece begins there, and meets it.
            Ok(_) | Err(_) => break,
        }
    }
    Ok(written)
}

fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
