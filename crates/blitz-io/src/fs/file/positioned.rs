//! Transfers at a position that is given, with buffers that are owned: the file's own position has no part in them.

use std::future::poll_fn;
use std::io;

use blitz_core::waiting::{Resource, Site, UNKNOWN};
use blitz_driver::completion as ops;
use blitz_io_traits::{IoBuf, IoBufMut};
use blitz_sys::descriptor::AsRawFd as _;
use blitz_sys::errno;
use blitz_sys::file::{DirectAlignment, direct_alignment, read_now, write_now};

use super::{File, direct};
use crate::context::call;
use crate::fs::job::on_ring_or_pool;

impl File {
    /// Reads into `buffer` at `offset`, wherever the file's position is, and returns the buffer with the count.
    ///
    /// Fewer bytes than there is room for come at the end of the file, and when the rest would have to be waited for.
    ///
    /// # Cancel safety
    /// Safe for the file; the buffer is lost.
    ///
    /// # Errors
    /// Those of `pread(2)`; `InvalidInput` for an offset that no file can have.
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("table");
    /// use blitz_io::fs::File;
    ///
    /// let file = File::create_new(&path).await?;
    /// let (written, _) = file.write_at(b"0123456789".to_vec(), 0).await;
    /// assert_eq!(written?, 10);
    /// let (read, buffer) = file.read_at(Vec::with_capacity(4), 3).await;
    /// assert_eq!((read?, &buffer[..]), (4, &b"3456"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn read_at<B: IoBufMut>(
        &self,
        mut buffer: B,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, B)> {
        static CALL: Site = Site::new("fs::File::read_at", Resource::None);
        call(&CALL, UNKNOWN, async move {
            if let Err(error) = check(offset) {
                return (Err(error), buffer);
            }
            let coop = poll_fn(blitz_core::budget::poll_proceed).await;
            // Past the cache it would wait for the disk here.
            if !self.is_direct {
                let fd = self.std.as_raw_fd();
                let answer = buffer.fill(|room| {
                    room.clear();
                    read_now(fd, room, usize::MAX, Some(offset))
                });
                if !must_wait(answer) {
                    coop.made_progress();
                    return (errno::check(answer).map(|n| n as usize), buffer);
                }
            }
            drop(coop);
            let std = self.std.clone();
            let (read, buffer) = on_ring_or_pool("fs::File::read_at", |driver| {
                ops::read_at(driver, std, buffer, Some(offset))
            })
            .await;
            let read = read.map_err(|error| self.say(error, offset, [filled(&buffer)].into_iter()));
            (read, buffer)
        })
    }

    /// Writes `buffer`'s bytes at `offset`, wherever the file's position is, and returns the buffer with the count.
    ///
    /// # Cancel safety
    /// Not safe: whether a dropped call has written is not known.
    ///
    /// # Errors
    /// Those of `pwrite(2)`: `StorageFull`, `QuotaExceeded` and `FileTooLarge` among them; `InvalidInput` for an offset that no file can have. What did not fit was not written: the count
    /// of the call before says how far it came.
    #[track_caller]
    pub fn write_at<B: IoBuf>(
        &self,
        buffer: B,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, B)> {
        static CALL: Site = Site::new("fs::File::write_at", Resource::None);
        call(&CALL, UNKNOWN, async move {
            if let Err(error) = check(offset) {
                return (Err(error), buffer);
            }
            let coop = poll_fn(blitz_core::budget::poll_proceed).await;
            if self.state.lock().may_write_now {
                let answer = write_now(self.std.as_raw_fd(), buffer.init_bytes(), Some(offset));
                if self.is_done(answer) {
                    coop.made_progress();
                    return (errno::check(answer).map(|n| n as usize), buffer);
                }
            }
            drop(coop);
            let std = self.std.clone();
            let (written, buffer) = on_ring_or_pool("fs::File::write_at", |driver| {
                ops::write_at(driver, std, buffer, Some(offset))
            })
            .await;
            let written =
                written.map_err(|error| self.say(error, offset, [held(&buffer)].into_iter()));
            (written, buffer)
        })
    }

    /// Reads into `buffers`, one after the other, at `offset`, as one transfer; returns them with the count of all.
    ///
    /// Each buffer is filled whole before the next is begun, wherever the file's position is. The first 1,024 are used. Fewer
    /// bytes than there is room for come as with [`read_at`](Self::read_at).
    ///
    /// # Cancel safety
    /// Safe for the file; the buffers are lost.
    ///
    /// # Errors
    /// Those of `preadv(2)`, as for [`read_at`](Self::read_at).
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("records");
    /// use blitz_io::fs::File;
    ///
    /// let file = File::create_new(&path).await?;
    /// let (written, _) = file.write_vectored_at(vec!["head", "body"], 0).await;
    /// assert_eq!(written?, 8);
    /// let (head, body) = (Vec::with_capacity(4), Vec::with_capacity(100));
    /// let (read, buffers) = file.read_vectored_at(vec![head, body], 0).await;
    /// assert_eq!((read?, &buffers[0][..], &buffers[1][..]), (8, &b"head"[..], &b"body"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn read_vectored_at<B: IoBufMut>(
        &self,
        buffers: Vec<B>,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        static CALL: Site = Site::new("fs::File::read_vectored_at", Resource::None);
        call(&CALL, UNKNOWN, async move {
            if let Err(error) = check(offset) {
                return (Err(error), buffers);
            }
            let coop = poll_fn(blitz_core::budget::poll_proceed).await;
            let mut buffers = ops::ToFill::new(buffers);
            if !self.is_direct {
                let answer = buffers.read_now(&*self.std, offset);
                if !must_wait(answer) {
                    coop.made_progress();
                    let read = errno::check(answer).map(|n| n as usize);
                    return (read, buffers.into_buffers());
                }
            }
            drop(coop);
            let std = self.std.clone();
            let (read, buffers) = on_ring_or_pool("fs::File::read_vectored_at", |driver| {
                ops::read_vectored_at(driver, std, buffers, offset)
            })
            .await;
            let read = read.map_err(|error| self.say(error, offset, buffers.iter().map(filled)));
            (read, buffers)
        })
    }

    /// Writes the bytes of `buffers`, one after the other, at `offset`, as one transfer; returns them with the count of all.
    ///
    /// The first 1,024 are used.
    ///
    /// # Cancel safety
    /// Not safe: whether a dropped call has written is not known.
    ///
    /// # Errors
    /// Those of `pwritev(2)`, as for [`write_at`](Self::write_at).
    #[track_caller]
    pub fn write_vectored_at<B: IoBuf>(
        &self,
        buffers: Vec<B>,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        static CALL: Site = Site::new("fs::File::write_vectored_at", Resource::None);
        call(&CALL, UNKNOWN, async move {
            if let Err(error) = check(offset) {
                return (Err(error), buffers);
            }
            let coop = poll_fn(blitz_core::budget::poll_proceed).await;
            let buffers = ops::ToWrite::new(buffers);
            if self.state.lock().may_write_now {
                let answer = buffers.write_now(&*self.std, offset);
                if self.is_done(answer) {
                    coop.made_progress();
                    let written = errno::check(answer).map(|n| n as usize);
                    return (written, buffers.into_buffers());
                }
            }
            drop(coop);
            let std = self.std.clone();
            let (written, buffers) = on_ring_or_pool("fs::File::write_vectored_at", |driver| {
                ops::write_vectored_at(driver, std, buffers, offset)
            })
            .await;
            let written =
                written.map_err(|error| self.say(error, offset, buffers.iter().map(held)));
            (written, buffers)
        })
    }

    /// What direct I/O on this file asks of memory and offsets, if the file system says it (Linux from 6.1 on).
    ///
    /// It asks for the same whether this handle is opened for it or not; see [`OpenOptions::direct`](super::super::OpenOptions::direct).
    pub fn direct_alignment(&self) -> Option<DirectAlignment> {
        direct_alignment(self.std.as_raw_fd())
    }

    /// Whether a write on the spot has ended; if not, it is for the ring or the pool.
    fn is_done(&self, answer: i32) -> bool {
        if answer == -errno::EOPNOTSUPP {
            self.state.lock().may_write_now = false;
        }
        !must_wait(answer)
    }

    fn say(
        &self,
        error: io::Error,
        offset: u64,
        parts: impl Iterator<Item = (usize, usize)>,
    ) -> io::Error {
        if self.is_direct {
            direct::say(error, &self.std, offset, parts)
        } else {
            error
        }
    }
}

/// No file is longer, and what is beyond means the file's own position to some calls.
fn check(offset: u64) -> io::Result<()> {
    if i64::try_from(offset).is_ok() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the offset is behind the longest file that there can be",
    ))
}

/// Address and length of what is read into.
fn filled<B: IoBuf>(buffer: &B) -> (usize, usize) {
    (buffer.stable_ptr() as usize, buffer.bytes_total())
}

/// Address and length of what is written.
fn held<B: IoBuf>(buffer: &B) -> (usize, usize) {
    (buffer.stable_ptr() as usize, buffer.bytes_init())
}

/// Whether a call on the spot says that it is for the ring or the pool.
fn must_wait(answer: i32) -> bool {
    answer == -errno::EAGAIN || answer == -errno::EOPNOTSUPP || answer == -errno::EINTR
}
