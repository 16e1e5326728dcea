//! Several buffers read or written by one operation on a file.

use std::io;
use std::sync::Arc;

use blitz_io_traits::{IoBuf, IoBufMut};
use blitz_sys::completion::{Opcode, Sqe};
use blitz_sys::file::{self, Parts, now};

use super::file::Descriptor;
use super::op::{Op, Request};
use crate::flight::Outcome;
use crate::shared::Handle;

/// Buffers to be read into, one after the other, and where they lie: both in one place, so that a call on the spot and an
/// operation of the ring name the same memory.
///
/// No more than 1,024 of them are used.
pub struct ToFill<B> {
    buffers: Vec<B>,
    /// The whole of each buffer.
    parts: Parts,
}

impl<B: IoBufMut> ToFill<B> {
    /// Takes the buffers.
    pub fn new(mut buffers: Vec<B>) -> Self {
        let parts = Parts::new(
            buffers
                .iter_mut()
                .map(|buffer| (buffer.stable_mut_ptr().cast_const(), buffer.bytes_total())),
        );
        Self { buffers, parts }
    }

    /// Reads what the page cache holds at `offset`; answers as [`now::read_vectored`].
    pub fn read_now<F: Descriptor>(&mut self, file: &F, offset: u64) -> i32 {
        // SAFETY: the parts are the buffers' own bytes, which we hold alone.
        let answer = unsafe { now::read_vectored(file.as_raw_fd(), &self.parts, offset) };
        self.count(answer);
        answer
    }

    /// Counts what was read into the buffers.
    fn count(&mut self, answer: i32) {
        let mut rest = usize::try_from(answer).unwrap_or(0);
        for buffer in &mut self.buffers {
            if rest == 0 {
                return;
            }
            let mine = rest.min(buffer.bytes_total());
            // SAFETY: the kernel fills each before the next, and has written that many bytes in all.
            unsafe { buffer.set_init(mine) };
            rest -= mine;
        }
    }

    /// Gives the buffers back.
    pub fn into_buffers(self) -> Vec<B> {
        self.buffers
    }
}

/// Buffers to be written, one after the other, and where they lie: as [`ToFill`].
pub struct ToWrite<B> {
    buffers: Vec<B>,
    /// The initialised bytes of each buffer.
    parts: Parts,
}

impl<B: IoBuf> ToWrite<B> {
    /// Takes the buffers.
    pub fn new(buffers: Vec<B>) -> Self {
        let parts = Parts::new(
            buffers
                .iter()
                .map(|buffer| (buffer.stable_ptr(), buffer.bytes_init())),
        );
        Self { buffers, parts }
    }

    /// Writes at `offset` what can be taken at once; answers as [`now::write_vectored`].
    pub fn write_now<F: Descriptor>(&self, file: &F, offset: u64) -> i32 {
        // SAFETY: the parts are the buffers' own bytes, which are initialised.
        unsafe { now::write_vectored(file.as_raw_fd(), &self.parts, offset) }
    }

    /// Gives the buffers back.
    pub fn into_buffers(self) -> Vec<B> {
        self.buffers
    }
}

/// Reads into the buffers at `offset`; the result counts the bytes.
pub fn read_vectored_at<F: Descriptor, B: IoBufMut>(
    handle: &Handle,
    file: Arc<F>,
    buffers: ToFill<B>,
    offset: u64,
) -> Op<ReadVectored<F, B>> {
    Op::new(
        handle,
        ReadVectored {
            file,
            buffers,
            offset,
        },
    )
}

/// What [`read_vectored_at`] owns.
pub struct ReadVectored<F, B> {
    file: Arc<F>,
    buffers: ToFill<B>,
    offset: u64,
}

// SAFETY: the entry names the parts, which stand on the heap, and they name the buffers' bytes, which `IoBufMut` keeps in
// place and to itself; the file stays open with our `Arc`.
unsafe impl<F: Descriptor, B: IoBufMut> Request for ReadVectored<F, B> {
    type Output = (io::Result<usize>, Vec<B>);
    const OPCODE: Opcode = Opcode::READV;

    fn entry(&mut self) -> Sqe {
        let parts = &self.buffers.parts;
        let (fd, count) = (self.file.as_raw_fd(), parts.count() as u32);
        Sqe::readv(fd, parts.as_ptr(), count, self.offset)
    }

    fn call(&mut self) -> i32 {
        // SAFETY: the parts are the buffers' own bytes, which we hold alone.
        unsafe { file::read_vectored(self.file.as_raw_fd(), &self.buffers.parts, self.offset) }
    }

    fn finish(mut self, outcome: io::Result<Outcome>) -> Self::Output {
        let result = outcome.and_then(Outcome::check);
        if let Ok(count) = result {
            self.buffers.count(count as i32);
        }
        (
            result.map(|count| count as usize),
            self.buffers.into_buffers(),
        )
    }
}

/// Writes the buffers' bytes at `offset`; the result counts them.
pub fn write_vectored_at<F: Descriptor, B: IoBuf>(
    handle: &Handle,
    file: Arc<F>,
    buffers: ToWrite<B>,
    offset: u64,
) -> Op<WriteVectored<F, B>> {
    Op::new(
        handle,
        WriteVectored {
            file,
            buffers,
            offset,
        },
    )
}

/// What [`write_vectored_at`] owns.
pub struct WriteVectored<F, B> {
    file: Arc<F>,
    buffers: ToWrite<B>,
    offset: u64,
}

// SAFETY: as for `ReadVectored`, and the kernel only reads.
unsafe impl<F: Descriptor, B: IoBuf> Request for WriteVectored<F, B> {
    type Output = (io::Result<usize>, Vec<B>);
    const OPCODE: Opcode = Opcode::WRITEV;

    fn entry(&mut self) -> Sqe {
        let parts = &self.buffers.parts;
        let (fd, count) = (self.file.as_raw_fd(), parts.count() as u32);
        Sqe::writev(fd, parts.as_ptr(), count, self.offset)
    }

    fn call(&mut self) -> i32 {
        // SAFETY: the parts are the buffers' own bytes, which are initialised.
        unsafe { file::write_vectored(self.file.as_raw_fd(), &self.buffers.parts, self.offset) }
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        let result = outcome.and_then(Outcome::check);
        (
            result.map(|count| count as usize),
            self.buffers.into_buffers(),
        )
    }
}
