//! A buffer that is filled step by step and may start uninitialised.
//!
//! A [`ReadBuf`] is what [`AsyncRead::poll_read`](crate::AsyncRead::poll_read) fills. It keeps two marks, so that
//! nobody reads a byte that nobody wrote, and no byte is zeroed twice:
//!
//! ```text
//!  0            filled        initialized        capacity
//!  | read data  |  old bytes  |  uninitialised   |
//!               |<------- remaining ------------>|
//! ```

use std::fmt;
use std::mem::MaybeUninit;

/// A slice of bytes of which a first part is filled and a longer first part is initialised.
///
/// `filled <= initialized <= capacity` always holds; the safe methods cannot break it.
///
/// # Examples
/// ```
/// use blitz_io_traits::ReadBuf;
/// use std::mem::MaybeUninit;
///
/// let mut memory = [MaybeUninit::uninit(); 8];
/// let mut buf = ReadBuf::uninit(&mut memory);
/// buf.put_slice(b"abc");
/// assert_eq!(buf.filled(), b"abc");
/// assert_eq!(buf.remaining(), 5);
/// ```
pub struct ReadBuf<'a> {
    memory: &'a mut [MaybeUninit<u8>],
    filled: usize,
    initialized: usize,
}

impl<'a> ReadBuf<'a> {
    /// Makes a buffer over initialised memory, nothing of it filled.
    #[inline]
    pub fn new(buf: &'a mut [u8]) -> ReadBuf<'a> {
        let initialized = buf.len();
        let memory: *mut [u8] = buf;
        // SAFETY: both types have one layout, and we hold the only borrow for 'a. Nobody can store
        // uninitialised bytes through it: the safe methods never do, `inner_mut` and `unfilled_mut`
        // forbid it to their callers.
        let memory = unsafe { &mut *(memory as *mut [MaybeUninit<u8>]) };
        ReadBuf {
            memory,
            filled: 0,
            initialized,
        }
    }

    /// Makes a buffer over memory that need not be initialised.
    ///
    /// If a part of it is, [`assume_init`](ReadBuf::assume_init) says so.
    #[inline]
    pub fn uninit(buf: &'a mut [MaybeUninit<u8>]) -> ReadBuf<'a> {
        ReadBuf {
            memory: buf,
            filled: 0,
            initialized: 0,
        }
    }

    /// Returns the length of the whole buffer.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Returns the filled part.
    #[inline]
    pub fn filled(&self) -> &[u8] {
        let part = &self.memory[..self.filled];
        // SAFETY: filled <= initialized, so each of these bytes was written.
        unsafe { part.assume_init_ref() }
    }

    /// Returns the filled part for writing.
    #[inline]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        let part = &mut self.memory[..self.filled];
        // SAFETY: filled <= initialized, so each of these bytes was written.
        unsafe { part.assume_init_mut() }
    }

    /// Returns a buffer over the first `n` bytes of the unfilled part, or all of it when it is shorter.
    ///
    /// What is filled there does not count here until [`advance`](ReadBuf::advance) says so, and what
    /// is initialised there only after [`assume_init`](ReadBuf::assume_init).
    #[inline]
    pub fn take(&mut self, n: usize) -> ReadBuf<'_> {
        let max = n.min(self.remaining());
        let known = (self.initialized - self.filled).min(max);
        let start = self.filled;
        ReadBuf {
            memory: &mut self.memory[start..start + max],
            filled: 0,
            initialized: known,
        }
    }

    /// Returns the initialised part, which begins with the filled one.
    #[inline]
    pub fn initialized(&self) -> &[u8] {
        let part = &self.memory[..self.initialized];
        // SAFETY: the mark says that each of these bytes was written.
        unsafe { part.assume_init_ref() }
    }

    /// Returns the initialised part for writing.
    #[inline]
    pub fn initialized_mut(&mut self) -> &mut [u8] {
        let part = &mut self.memory[..self.initialized];
        // SAFETY: the mark says that each of these bytes was written.
        unsafe { part.assume_init_mut() }
    }

    /// Returns the whole memory, whatever its state.
    ///
    /// # Safety
    /// The caller stores no uninitialised byte in the initialised part.
    #[inline]
    pub unsafe fn inner_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        self.memory
    }

    /// Returns the unfilled part, whatever its state.
    ///
    /// # Safety
    /// The caller stores no uninitialised byte in the part that is initialised already.
    #[inline]
    pub unsafe fn unfilled_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.memory[self.filled..]
    }

    /// Zeroes what of the unfilled part is not initialised, and returns the unfilled part.
    ///
    /// What is initialised already is not touched, so calling it in a loop costs nothing more.
    #[inline]
    pub fn initialize_unfilled(&mut self) -> &mut [u8] {
        self.initialize_unfilled_to(self.remaining())
    }

    /// Zeroes what is not initialised of the first `n` bytes of the unfilled part, and returns those `n` bytes.
    ///
    /// # Panics
    /// If fewer than `n` bytes remain.
    #[inline]
    #[track_caller]
    pub fn initialize_unfilled_to(&mut self, n: usize) -> &mut [u8] {
        assert!(
            n <= self.remaining(),
            "a ReadBuf with {} bytes left was asked for {n}",
            self.remaining()
        );
        let end = self.filled + n;
        if self.initialized < end {
            self.memory[self.initialized..end].fill(MaybeUninit::new(0));
            self.initialized = end;
        }
        let part = &mut self.memory[self.filled..end];
        // SAFETY: end <= initialized, as the branch above saw to.
        unsafe { part.assume_init_mut() }
    }

    /// Returns how many bytes may still be filled.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.capacity() - self.filled
    }

    /// Marks nothing as filled; what is initialised stays so.
    #[inline]
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Counts the next `n` bytes as filled.
    ///
    /// # Panics
    /// If they are not all initialised.
    #[inline]
    #[track_caller]
    pub fn advance(&mut self, n: usize) {
        let filled = self
            .filled
            .checked_add(n)
            .expect("the filled length overflows");
        self.set_filled(filled);
    }

    /// Sets the length of the filled part; it may also shrink.
    ///
    /// # Panics
    /// If `n` is more than is initialised.
    #[inline]
    #[track_caller]
    pub fn set_filled(&mut self, n: usize) {
        assert!(
            n <= self.initialized,
            "filled must not become larger than initialized ({n} > {})",
            self.initialized
        );
        self.filled = n;
    }

    /// Counts the first `n` bytes of the unfilled part as initialised; none becomes filled.
    ///
    /// Has no effect where more was initialised before.
    ///
    /// # Safety
    /// The first `n` bytes of the unfilled part were written.
    #[inline]
    pub unsafe fn assume_init(&mut self, n: usize) {
        let end = self.filled + n;
        debug_assert!(end <= self.capacity());
        self.initialized = self.initialized.max(end);
    }

    /// Appends `buf` and counts it as filled.
    ///
    /// # Panics
    /// If fewer bytes remain than `buf` has.
    #[inline]
    #[track_caller]
    pub fn put_slice(&mut self, buf: &[u8]) {
        assert!(
            buf.len() <= self.remaining(),
            "buf.len() must fit in remaining(); buf.len() = {}, remaining() = {}",
            buf.len(),
            self.remaining()
        );
        let end = self.filled + buf.len();
        self.memory[self.filled..end].write_copy_of_slice(buf);
        self.initialized = self.initialized.max(end);
        self.filled = end;
    }
}

// SAFETY: `chunk_mut` gives exactly the unfilled part, whose length is `remaining_mut`, and
// `advance_mut` moves the marks by what its caller vouches to have written.
unsafe impl bytes::BufMut for ReadBuf<'_> {
    fn remaining_mut(&self) -> usize {
        self.remaining()
    }

    unsafe fn advance_mut(&mut self, cnt: usize) {
        // SAFETY: our caller vouches that the next `cnt` bytes were written.
        unsafe { self.assume_init(cnt) };
        self.advance(cnt);
    }

    fn chunk_mut(&mut self) -> &mut bytes::buf::UninitSlice {
        // An `UninitSlice` is written, never given uninitialised bytes.
        bytes::buf::UninitSlice::uninit(&mut self.memory[self.filled..])
    }
}

impl fmt::Debug for ReadBuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuf")
            .field("filled", &self.filled)
            .field("initialized", &self.initialized)
            .field("capacity", &self.capacity())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_move_as_documented() {
        let mut memory = [MaybeUninit::uninit(); 10];
        let mut buf = ReadBuf::uninit(&mut memory);
        assert_eq!((buf.capacity(), buf.remaining()), (10, 10));
        assert!(buf.filled().is_empty());
        assert!(buf.initialized().is_empty());

        buf.initialize_unfilled_to(4).copy_from_slice(b"abcd");
        assert_eq!(buf.initialized(), b"abcd");
        buf.advance(2);
        assert_eq!(buf.filled(), b"ab");
        assert_eq!(buf.initialize_unfilled_to(2), b"cd");

        buf.put_slice(b"x");
        assert_eq!(buf.filled(), b"abx");
        assert_eq!(buf.initialized(), b"abxd");
        assert_eq!(buf.initialize_unfilled(), b"d\0\0\0\0\0\0");

        buf.clear();
        assert_eq!((buf.filled().len(), buf.initialized().len()), (0, 10));
        buf.set_filled(10);
        assert_eq!(buf.remaining(), 0);
    }

    #[test]
    fn take_knows_what_is_initialised_in_its_part_only() {
        let mut memory = [MaybeUninit::uninit(); 10];
        let mut buf = ReadBuf::uninit(&mut memory);
        buf.put_slice(b"ab");
        buf.initialize_unfilled_to(3);
        let part = buf.take(2);
        assert_eq!((part.capacity(), part.initialized().len()), (2, 2));
        let part = buf.take(usize::MAX);
        assert_eq!((part.capacity(), part.initialized().len()), (8, 3));
    }

    #[test]
    #[should_panic(expected = "filled must not become larger than initialized")]
    fn advance_over_uninitialised_bytes_panics() {
        let mut memory = [MaybeUninit::uninit(); 4];
        ReadBuf::uninit(&mut memory).advance(1);
    }

    #[test]
    #[should_panic(expected = "overflows")]
    fn advance_that_overflows_panics() {
        let mut memory = [0; 4];
        let mut buf = ReadBuf::new(&mut memory);
        buf.advance(1);
        buf.advance(usize::MAX);
    }

    #[test]
    #[should_panic(expected = "must fit in remaining")]
    fn put_slice_that_does_not_fit_panics() {
        let mut memory = [0; 4];
        ReadBuf::new(&mut memory).put_slice(b"abcde");
    }

    #[test]
    fn it_is_a_buf_mut() {
        use bytes::BufMut;
        let mut memory = [MaybeUninit::uninit(); 6];
        let mut buf = ReadBuf::uninit(&mut memory);
        buf.put_u32(0x61626364);
        assert_eq!(buf.filled(), b"abcd");
        assert_eq!(buf.remaining_mut(), 2);
    }
}
