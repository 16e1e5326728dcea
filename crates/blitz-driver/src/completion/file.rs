//! Operations on open files.

use std::io;
use std::sync::Arc;

use blitz_io_traits::{IoBuf, IoBufMut};
use blitz_sys::completion::{CURRENT_POSITION, Opcode, Sqe};
use blitz_sys::descriptor::{AsRawFd, IntoRawFd, OwnedFd};
use blitz_sys::errno::{self, ECANCELED};
use blitz_sys::file::{self, Advice, TRANSFER_MAX, WriteBack};

use super::op::{Op, Request};
use crate::flight::Outcome;
use crate::shared::Handle;

/// An open file or socket that operations share: it stays open until the last of them is over.
pub trait Descriptor: AsRawFd + std::marker::Send + std::marker::Sync + 'static {}
impl<T: AsRawFd + std::marker::Send + std::marker::Sync + 'static> Descriptor for T {}

/// `len` as an entry has it: longer transfers are cut, as by the system calls.
pub(super) fn entry_len(len: usize) -> u32 {
    len.min(TRANSFER_MAX) as u32
}

fn entry_offset(offset: Option<u64>) -> u64 {
    offset.unwrap_or(CURRENT_POSITION)
}

/// Reads into `buffer` at `offset`, or at the file's own position if it is `None`.
///
/// The result counts the bytes, fewer than asked for at the file's end or when a disk is slow to give the rest.
pub fn read_at<F: Descriptor, B: IoBufMut>(
    handle: &Handle,
    file: Arc<F>,
    buffer: B,
    offset: Option<u64>,
) -> Op<ReadAt<F, B>> {
    Op::new(
        handle,
        ReadAt {
            file,
            buffer,
            offset,
        },
    )
}

/// What [`read_at`] owns.
pub struct ReadAt<F, B> {
    file: Arc<F>,
    buffer: B,
    offset: Option<u64>,
}

// SAFETY: the entry names the buffer's bytes, which `IoBufMut` keeps in place and to itself, and the file, which
// stays open with our `Arc`.
unsafe impl<F: Descriptor, B: IoBufMut> Request for ReadAt<F, B> {
    type Output = (io::Result<usize>, B);
    const OPCODE: Opcode = Opcode::READ;

    fn entry(&mut self) -> Sqe {
        let len = entry_len(self.buffer.bytes_total());
        let (fd, offset) = (self.file.as_raw_fd(), entry_offset(self.offset));
        Sqe::read(fd, self.buffer.stable_mut_ptr(), len, offset)
    }

    fn call(&mut self) -> i32 {
        let (ptr, len) = (self.buffer.stable_mut_ptr(), self.buffer.bytes_total());
        // SAFETY: the bytes are the buffer's own, which we hold alone.
        unsafe { file::read(self.file.as_raw_fd(), ptr, len, self.offset) }
    }

    fn finish(mut self, outcome: io::Result<Outcome>) -> Self::Output {
        let result = outcome.and_then(Outcome::check).map(|n| n as usize);
        if let Ok(n) = result {
            // SAFETY: the kernel has written so many bytes.
            unsafe { self.buffer.set_init(n) };
        }
        (result, self.buffer)
    }
}

/// Writes `buffer`'s bytes at `offset`, or at the file's own position if it is `None`.
///
/// The result counts the bytes, which may be fewer than there are when the disk fills up. Then say where (`offset`): after a
/// write in parts at the file's own position the kernel may not have moved it (seen on 6.18), and a retry at `None`
/// would write over the first part.
pub fn write_at<F: Descriptor, B: IoBuf>(
    handle: &Handle,
    file: Arc<F>,
    buffer: B,
    offset: Option<u64>,
) -> Op<WriteAt<F, B>> {
    Op::new(
        handle,
        WriteAt {
            file,
            buffer,
            offset,
        },
    )
}

/// What [`write_at`] owns.
pub struct WriteAt<F, B> {
    file: Arc<F>,
    buffer: B,
    offset: Option<u64>,
}

// SAFETY: as for `ReadAt`, and the kernel only reads.
unsafe impl<F: Descriptor, B: IoBuf> Request for WriteAt<F, B> {
    type Output = (io::Result<usize>, B);
    const OPCODE: Opcode = Opcode::WRITE;

    fn entry(&mut self) -> Sqe {
        let len = entry_len(self.buffer.bytes_init());
        let (fd, offset) = (self.file.as_raw_fd(), entry_offset(self.offset));
        Sqe::write(fd, self.buffer.stable_ptr(), len, offset)
    }

    fn call(&mut self) -> i32 {
        let (ptr, len) = (self.buffer.stable_ptr(), self.buffer.bytes_init());
        // SAFETY: the bytes are the buffer's own and initialised.
        unsafe { file::write(self.file.as_raw_fd(), ptr, len, self.offset) }
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        (
            outcome.and_then(Outcome::check).map(|n| n as usize),
            self.buffer,
        )
    }

    /// Writes the rest here, and says what could not be written: nobody else will.
    fn detached(self, outcome: Outcome) {
        let len = self.buffer.bytes_init();
        let mut written = 0;
        let mut answer = outcome.result;
        // What the ring could not do at this moment, a call may.
        let mut is_rings = true;
        loop {
            match answer {
                n if n > 0 => written += n as usize,
                n if errno::is_undone(n) => {}
                n if n < 0 && is_rings && errno::class(-n).is_recoverable() => {}
                error => {
                    let error = errno::error(-error);
                    return file::report_loss(len - written, &error);
                }
            }
            if written >= len {
                return;
            }
            is_rings = false;
            let offset = self.offset.map(|offset| offset + written as u64);
            let ptr = self.buffer.stable_ptr().wrapping_add(written);
            // SAFETY: the rest of the buffer's own bytes, which are initialised.
            answer = unsafe { file::write(self.file.as_raw_fd(), ptr, len - written, offset) };
        }
    }
}

/// Declares an operation that owns plain values and resolves to `io::Result<()>`.
macro_rules! plain {
    ($(#[$doc:meta])* $type:ident<F> { $($field:ident: $kind:ty),* } $opcode:ident, $this:ident => $entry:expr, $call:expr) => {
        $(#[$doc])*
        pub struct $type<F> {
            file: Arc<F>,
            $($field: $kind,)*
        }

        // SAFETY: the entry names no memory, and the file stays open with our `Arc`.
        unsafe impl<F: Descriptor> Request for $type<F> {
            type Output = io::Result<()>;
            const OPCODE: Opcode = Opcode::$opcode;

            fn entry(&mut self) -> Sqe {
                let $this = self;
                $entry
            }

            fn call(&mut self) -> i32 {
                let $this = self;
                $call
            }

            fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
                outcome.and_then(Outcome::check).map(drop)
            }
        }
    };
}

plain! {
    /// What [`sync`] owns.
    Sync<F> { data_only: bool } FSYNC,
    this => Sqe::fsync(this.file.as_raw_fd(), this.data_only), file::sync(this.file.as_raw_fd(), this.data_only)
}

plain! {
    /// What [`truncate`] owns.
    Truncate<F> { len: u64 } FTRUNCATE,
    this => Sqe::ftruncate(this.file.as_raw_fd(), this.len), file::truncate(this.file.as_raw_fd(), this.len)
}

plain! {
    /// What [`allocate`] owns.
    Allocate<F> { mode: i32, offset: u64, len: u64 } FALLOCATE,
    this => Sqe::fallocate(this.file.as_raw_fd(), this.mode, this.offset, this.len),
    file::fallocate(this.file.as_raw_fd(), this.mode, this.offset, this.len)
}

plain! {
    /// What [`advise`] owns.
    Advise<F> { offset: u64, len: u32, advice: Advice } FADVISE,
    this => Sqe::fadvise(this.file.as_raw_fd(), this.offset, this.len, file::advice_number(this.advice)),
    file::advise(this.file.as_raw_fd(), this.offset, u64::from(this.len), this.advice)
}

plain! {
    /// What [`sync_range`] owns.
    SyncRange<F> { offset: u64, len: u32, part: WriteBack } SYNC_FILE_RANGE,
    this => Sqe::sync_file_range(this.file.as_raw_fd(), this.offset, this.len, this.part.flags()),
    file::sync_range(this.file.as_raw_fd(), this.offset, u64::from(this.len), this.part.flags())
}

/// Says how the range will be used; a `len` of zero reaches to the end. An entry of a ring names no longer range.
pub fn advise<F: Descriptor>(
    handle: &Handle,
    file: Arc<F>,
    offset: u64,
    len: u32,
    advice: Advice,
) -> Op<Advise<F>> {
    Op::new(
        handle,
        Advise {
            file,
            offset,
            len,
            advice,
        },
    )
}

/// Brings the content of the range to the disk, or does a part of that; a `len` of zero reaches to the end. An entry of a ring
/// names no longer range.
pub fn sync_range<F: Descriptor>(
    handle: &Handle,
    file: Arc<F>,
    offset: u64,
    len: u32,
    part: WriteBack,
) -> Op<SyncRange<F>> {
    Op::new(
        handle,
        SyncRange {
            file,
            offset,
            len,
            part,
        },
    )
}

/// Brings the file's data to the disk, and its metadata unless `data_only`.
pub fn sync<F: Descriptor>(handle: &Handle, file: Arc<F>, data_only: bool) -> Op<Sync<F>> {
    Op::new(handle, Sync { file, data_only })
}

/// Cuts the file to `len` bytes, or grows it with zeros.
pub fn truncate<F: Descriptor>(handle: &Handle, file: Arc<F>, len: u64) -> Op<Truncate<F>> {
    Op::new(handle, Truncate { file, len })
}

/// Reserves room for `len` bytes from `offset` on, as the `mode` of `fallocate(2)` says.
pub fn allocate<F: Descriptor>(
    handle: &Handle,
    file: Arc<F>,
    mode: i32,
    offset: u64,
    len: u64,
) -> Op<Allocate<F>> {
    Op::new(
        handle,
        Allocate {
            file,
            mode,
            offset,
            len,
        },
    )
}

/// Closes a file and reports what its file system has kept back until now.
///
/// Dropped, it closes the file without waiting.
pub fn close(handle: &Handle, file: OwnedFd) -> Op<Close> {
    Op::new(
        handle,
        Close {
            file: Some(file),
            number: -1,
        },
    )
}

/// What [`close`] owns.
pub struct Close {
    file: Option<OwnedFd>,
    /// The number, once the kernel is to close it.
    number: i32,
}

// SAFETY: the entry names no memory. From `entry` on the descriptor is the kernel's to close: we own it no more and it is
// named by this operation alone.
unsafe impl Request for Close {
    type Output = io::Result<()>;
    const OPCODE: Opcode = Opcode::CLOSE;

    fn entry(&mut self) -> Sqe {
        if let Some(file) = self.file.take() {
            self.number = file.into_raw_fd();
        }
        Sqe::close(self.number)
    }

    fn is_undone(&mut self, result: i32) -> bool {
        // Interrupted, it is closed all the same: a second try would close whoever has the number by now.
        result == -ECANCELED
    }

    fn call(&mut self) -> i32 {
        // Whatever it says, the descriptor is gone; and if it was interrupted nobody must try again.
        drop(self.file.take());
        0
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        // Refused by the driver: as if cancelled before it began.
        let outcome = outcome.unwrap_or(Outcome::of(-ECANCELED));
        self.settle(outcome).check().map(drop)
    }

    fn orphan(self, outcome: Outcome) {
        self.settle(outcome);
    }
}

impl Close {
    /// A close that was cancelled has not happened: the number is ours again.
    fn settle(&self, outcome: Outcome) -> Outcome {
        use blitz_sys::descriptor::FromRawFd;
        if outcome.result != -ECANCELED {
            return outcome;
        }
        if self.number >= 0 {
            // SAFETY: we gave it to the kernel in `entry`, and it has not closed it.
            drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        }
        Outcome::of(0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use blitz_sys::errno::EINTR;

    use super::*;

    /// The descriptor is gone after it, so that the second try would close another's.
    #[test]
    fn an_interrupted_close_is_not_tried_again() {
        let mut close = Close {
            file: None,
            number: -1,
        };
        assert!(!close.is_undone(-EINTR));
        assert!(close.is_undone(-ECANCELED));
        let mut sync = Sync {
            file: Arc::new(std::fs::File::open("/dev/null").unwrap()),
            data_only: false,
        };
        assert!(sync.is_undone(-EINTR));
    }
}
