//! Wakers collected under a lock, called after it.

use std::fmt;
use std::mem::{self, MaybeUninit};
use std::task::Waker;

use crate::quiet::quietly;

const BATCH_LEN: usize = 32;

/// Up to 32 wakers on their way out of a lock.
///
/// A waker is foreign code: it may take locks of its own, or ours again. So whoever delivers collects
/// wakers here, leaves the lock, and calls [`wake_all`](Self::wake_all). What is still inside when the
/// batch is dropped is woken, not lost.
///
/// # Examples
/// ```
/// use std::task::Waker;
/// use blitz_core::wake::WakeBatch;
///
/// let mut batch = WakeBatch::new();
/// batch.push(Waker::noop().clone());
/// assert!(!batch.is_full());
/// batch.wake_all();
/// assert!(batch.is_empty());
/// ```
pub struct WakeBatch {
    /// The first `len` are there. The rest is neither made nor looked at: most batches are of one.
    wakers: [MaybeUninit<Waker>; BATCH_LEN],
    len: usize,
}

impl WakeBatch {
    /// An empty batch.
    #[inline]
    pub const fn new() -> Self {
        Self {
            wakers: [const { MaybeUninit::uninit() }; BATCH_LEN],
            len: 0,
        }
    }

    /// Adds one.
    ///
    /// # Panics
    /// If the batch is full: ask [`is_full`](Self::is_full) and leave the lock first.
    #[inline]
    pub fn push(&mut self, waker: Waker) {
        assert!(
            self.len < BATCH_LEN,
            "a wake batch holds {BATCH_LEN} wakers"
        );
        self.wakers[self.len].write(waker);
        self.len += 1;
    }

    /// True if the next [`push`](Self::push) would panic.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len == BATCH_LEN
    }

    /// True if there is nobody to wake.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many wakers are inside.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Wakes them all, in the order they came, and leaves the batch empty.
    ///
    /// One that panics has told so by the panic hook: the rest are woken all the same.
    #[inline]
    pub fn wake_all(&mut self) {
        let len = mem::take(&mut self.len);
        let mut first = 0;
        while first < len {
            // Once for all of them: only a panic begins another round, behind the one that panicked.
            quietly(|| {
                while first < len {
                    let waker = &self.wakers[first];
                    first += 1;
                    // SAFETY: one of the first `len`, and nobody else reads it: `len` was taken, and `first` is past it.
                    unsafe { waker.assume_init_read() }.wake();
                }
            });
        }
    }
}

impl Default for WakeBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        self.wake_all();
    }
}

impl fmt::Debug for WakeBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeBatch").field("len", &self.len).finish()
    }
}
