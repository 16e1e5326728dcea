//! Registered buffers: pages that the kernel has pinned once, for all reads and writes to come.

use std::fmt;
use std::io;
use std::sync::Arc;

use blitz_io_traits::{IoBuf, IoBufMut};
use blitz_sys::completion::{Opcode, Sqe};
use blitz_sys::file;

use super::file::{Descriptor, entry_len};
use super::op::{Op, Request};
use crate::flight::{BufferPool, Lease, Outcome};
use crate::readiness::shutting_down;
use crate::shared::Handle;

/// The one block of buffers that a driver registers.
const FIXED: u16 = 0;

/// A pool whose buffers are registered with one driver, until this is dropped.
///
/// What it saves is the pinning of pages at each operation: for direct reads of a disk that is measurable, for reads from the
/// page cache it is not (`docs/driver-checklist.md` has the numbers). The pages count as locked memory.
pub struct FixedPool {
    handle: Handle,
    pool: BufferPool,
}

impl FixedPool {
    /// Registers `pool` with `handle`'s ring; on the thread that holds the driver's core.
    ///
    /// # Errors
    /// `Unsupported` without a ring, `AlreadyExists` if another pool is registered, `ENOMEM` beyond the limit of locked memory.
    pub fn register(handle: &Handle, pool: &BufferPool) -> io::Result<Self> {
        handle.check_process()?;
        let mut submission = handle.submission();
        let submission = &mut *submission;
        if submission.ops.is_closed() {
            return Err(shutting_down());
        }
        if submission.ops.fixed.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let Some(ring) = &mut submission.ring else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let (start, len) = pool.block();
        // SAFETY: the block lives as long as the pool, of which the table keeps a clone until it is unregistered.
        unsafe { ring.register_buffer(start.as_ptr(), len) }?;
        submission.ops.fixed = Some(pool.clone());
        Ok(Self {
            handle: handle.clone(),
            pool: pool.clone(),
        })
    }

    /// The pool.
    pub const fn pool(&self) -> &BufferPool {
        &self.pool
    }
}

impl Drop for FixedPool {
    fn drop(&mut self) {
        if self.handle.check_process().is_err() {
            return;
        }
        let mut submission = self.handle.submission();
        let unregistered = match &mut submission.ring {
            Some(ring) => ring.unregister_buffers().is_ok(),
            None => true,
        };
        // Kept if the kernel would not let go (another thread's ring): then it stays until the ring is closed.
        let pool = if unregistered {
            submission.ops.fixed.take()
        } else {
            None
        };
        drop(submission);
        drop(pool);
    }
}

impl fmt::Debug for FixedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedPool")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// Reads into a leased buffer at `offset`; as a registered one if it is of `fixed`'s pool.
pub fn read_fixed<F: Descriptor>(
    fixed: &FixedPool,
    file: Arc<F>,
    lease: Lease,
    offset: u64,
) -> Op<ReadFixed<F>> {
    let is_fixed = fixed.pool.owns(&lease);
    Op::new(
        &fixed.handle,
        ReadFixed {
            file,
            lease,
            offset,
            is_fixed,
        },
    )
}

/// What [`read_fixed`] owns.
pub struct ReadFixed<F> {
    file: Arc<F>,
    lease: Lease,
    offset: u64,
    is_fixed: bool,
}

// SAFETY: the entry names the lease's bytes, which stay in place and are its own, and the file, which stays open
// with our `Arc`. If the pool is unregistered meanwhile the kernel refuses the entry.
unsafe impl<F: Descriptor> Request for ReadFixed<F> {
    type Output = (io::Result<usize>, Lease);
    const OPCODE: Opcode = Opcode::READ_FIXED;

    fn entry(&mut self) -> Sqe {
        let (fd, ptr) = (self.file.as_raw_fd(), self.lease.stable_mut_ptr());
        let len = entry_len(self.lease.bytes_total());
        if self.is_fixed {
            Sqe::read_fixed(fd, ptr, len, self.offset, FIXED)
        } else {
            Sqe::read(fd, ptr, len, self.offset)
        }
    }

    fn call(&mut self) -> i32 {
        let (ptr, len) = (self.lease.stable_mut_ptr(), self.lease.bytes_total());
        // SAFETY: the bytes are the lease's own.
        unsafe { file::read(self.file.as_raw_fd(), ptr, len, Some(self.offset)) }
    }

    fn finish(mut self, outcome: io::Result<Outcome>) -> Self::Output {
        let result = outcome.and_then(Outcome::check).map(|n| n as usize);
        if let Ok(n) = result {
            // SAFETY: the kernel has written so many bytes.
            unsafe { self.lease.set_init(n) };
        }
        (result, self.lease)
    }
}

/// Writes the filled bytes of a leased buffer at `offset`; as a registered one if it is of `fixed`'s pool.
pub fn write_fixed<F: Descriptor>(
    fixed: &FixedPool,
    file: Arc<F>,
    lease: Lease,
    offset: u64,
) -> Op<WriteFixed<F>> {
    let is_fixed = fixed.pool.owns(&lease);
    Op::new(
        &fixed.handle,
        WriteFixed {
            file,
            lease,
            offset,
            is_fixed,
        },
    )
}

/// What [`write_fixed`] owns.
pub struct WriteFixed<F> {
    file: Arc<F>,
    lease: Lease,
    offset: u64,
    is_fixed: bool,
}

// SAFETY: as for `ReadFixed`, and the kernel only reads.
unsafe impl<F: Descriptor> Request for WriteFixed<F> {
    type Output = (io::Result<usize>, Lease);
    const OPCODE: Opcode = Opcode::WRITE_FIXED;

    fn entry(&mut self) -> Sqe {
        let (fd, ptr) = (self.file.as_raw_fd(), self.lease.stable_ptr());
        let len = entry_len(self.lease.bytes_init());
        if self.is_fixed {
            Sqe::write_fixed(fd, ptr, len, self.offset, FIXED)
        } else {
            Sqe::write(fd, ptr, len, self.offset)
        }
    }

    fn call(&mut self) -> i32 {
        let (ptr, len) = (self.lease.stable_ptr(), self.lease.bytes_init());
        // SAFETY: the bytes are the lease's own and initialised.
        unsafe { file::write(self.file.as_raw_fd(), ptr, len, Some(self.offset)) }
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        (
            outcome.and_then(Outcome::check).map(|n| n as usize),
            self.lease,
        )
    }
}
