//! A buffer whose memory begins at a multiple of a number, as direct I/O asks.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use super::{IoBuf, IoBufMut};

/// What every disk and page is content with.
const ALIGNMENT: usize = 4096;

/// Bytes in memory that is aligned and of a length that is a multiple of the alignment: what direct I/O (`O_DIRECT`) transfers.
///
/// Its capacity is fixed. As with a `Vec`, a read fills it up to its capacity and then its length says how far, and a
/// write takes what it holds.
///
/// # Examples
/// ```
/// use blitz_io_traits::AlignedBuf;
///
/// let mut block = AlignedBuf::new(1000);
/// assert_eq!((block.capacity(), block.len()), (4096, 0));
/// block.extend_from_slice(b"superblock");
/// block.resize(512, 0);
/// assert_eq!((&block[..10], block.len()), (&b"superblock"[..], 512));
/// assert_eq!(block.as_ptr() as usize % block.alignment(), 0);
/// ```
pub struct AlignedBuf {
    start: NonNull<u8>,
    /// Size and alignment of the memory.
    layout: Layout,
    len: usize,
}

// SAFETY: it owns its memory, as a `Vec` does.
unsafe impl Send for AlignedBuf {}
// SAFETY: as above: shared, it is only read.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// An empty buffer with room for `capacity` bytes, rounded up to a multiple of 4096, and at least that.
    ///
    /// # Panics
    /// If there can be no buffer of that size.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self::with_alignment(capacity, ALIGNMENT)
    }

    /// The same, with memory that begins at a multiple of `alignment` bytes and is a multiple of it long.
    ///
    /// # Panics
    /// If `alignment` is no power of two, or if there can be no buffer of that size.
    #[track_caller]
    pub fn with_alignment(capacity: usize, alignment: usize) -> Self {
        assert!(
            alignment.is_power_of_two(),
            "an alignment is a power of two, and {alignment} is none"
        );
        let layout = capacity
            .max(1)
            .checked_next_multiple_of(alignment)
            .and_then(|size| Layout::from_size_align(size, alignment).ok());
        let layout = layout.unwrap_or_else(|| panic!("there can be no buffer of {capacity} bytes"));
        // SAFETY: the size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self {
            start,
            layout,
            len: 0,
        }
    }

    /// How many bytes there is room for.
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// Its memory begins at a multiple of it.
    pub fn alignment(&self) -> usize {
        self.layout.align()
    }

    /// Makes it empty.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Forgets the bytes behind the first `len`, if there are more.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes it `len` bytes long; those that are new are `byte`.
    ///
    /// # Panics
    /// If there is not so much room.
    #[track_caller]
    pub fn resize(&mut self, len: usize, byte: u8) {
        self.check_room(len);
        let before = self.len;
        if before < len {
            self.room()[before..len].fill(byte);
        }
        self.len = len;
    }

    /// Adds `bytes` behind those that it holds.
    ///
    /// # Panics
    /// If there is not so much room.
    #[track_caller]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let (begin, end) = (self.len, self.len.saturating_add(bytes.len()));
        self.check_room(end);
        self.room()[begin..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// All of the memory.
    fn room(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are ours, and they were zeroed when they were allocated.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }

    #[track_caller]
    fn check_room(&self, len: usize) {
        let capacity = self.capacity();
        assert!(
            len <= capacity,
            "{len} bytes do not fit a buffer for {capacity}, which does not grow"
        );
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and not freed before.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes are ours, and they were zeroed when they were allocated.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        &mut self.room()[..len]
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .field("alignment", &self.alignment())
            .finish()
    }
}

// SAFETY: it owns its bytes, which stay on the heap; all up to the capacity are initialised.
unsafe impl IoBuf for AlignedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len
    }

    fn bytes_total(&self) -> usize {
        self.capacity()
    }
}

// SAFETY: as above; `&mut self` is the only handle on the bytes.
unsafe impl IoBufMut for AlignedBuf {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    unsafe fn set_init(&mut self, n: usize) {
        debug_assert!(n <= self.capacity());
        self.len = self.len.max(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_a_multiple_of_the_alignment_long() {
        for (capacity, alignment, rounded) in [
            (0, 512, 512),
            (1, 1, 1),
            (513, 512, 1024),
            (8192, 4096, 8192),
        ] {
            let buf = AlignedBuf::with_alignment(capacity, alignment);
            assert_eq!((buf.capacity(), buf.alignment()), (rounded, alignment));
            assert_eq!(buf.stable_ptr() as usize % alignment, 0);
            assert_eq!((buf.bytes_init(), buf.bytes_total()), (0, rounded));
        }
    }

    #[test]
    fn it_grows_to_its_capacity_and_keeps_what_it_holds() {
        let mut buf = AlignedBuf::with_alignment(8, 8);
        buf.extend_from_slice(b"abc");
        buf.resize(5, b'.');
        buf[0] = b'A';
        assert_eq!(&*buf, b"Abc..");
        buf.truncate(2);
        buf.truncate(4);
        buf.resize(8, 0);
        assert_eq!(&*buf, b"Ab\0\0\0\0\0\0");
        buf.clear();
        let n = buf.fill(|room| {
            room.put_slice(b"read");
            room.filled().len()
        });
        assert_eq!((n, &*buf), (4, &b"read"[..]));
    }

    #[test]
    #[should_panic(expected = "9 bytes do not fit a buffer for 8")]
    fn it_does_not_grow_beyond() {
        AlignedBuf::with_alignment(8, 8).extend_from_slice(&[0; 9]);
    }

    #[test]
    #[should_panic(expected = "3 is none")]
    fn an_alignment_is_a_power_of_two() {
        AlignedBuf::with_alignment(8, 3);
    }
}
