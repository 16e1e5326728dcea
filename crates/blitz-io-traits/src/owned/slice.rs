//! A range of an owned buffer, used in place of the whole.

use std::ops::{Bound, Deref, DerefMut, RangeBounds};

use super::{IoBuf, IoBufMut};

/// A range of an owned buffer; made by [`IoBuf::slice`].
///
/// It is a buffer itself, so it can be given to an operation and narrowed again. It dereferences to the initialised bytes within
/// the range.
///
/// # Examples
/// ```
/// use blitz_io_traits::IoBuf;
///
/// let mut line = Vec::with_capacity(64);
/// line.extend_from_slice(b"name: ");
/// let spare = line.slice(6..);
/// assert_eq!(spare.bytes_init(), 0);
/// assert_eq!(spare.bytes_total(), 58); // what a read would append
/// assert_eq!(spare.into_inner(), b"name: ");
/// ```
#[derive(Clone, Debug)]
pub struct Slice<B> {
    buf: B,
    begin: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    #[track_caller]
    pub(super) fn new(buf: B, range: impl RangeBounds<usize>) -> Self {
        let begin = match range.start_bound() {
            Bound::Included(&at) => at,
            Bound::Excluded(&at) => at.checked_add(1).expect("the range's start overflows"),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&at) => at.checked_add(1).expect("the range's end overflows"),
            Bound::Excluded(&at) => at,
            Bound::Unbounded => buf.bytes_total(),
        };
        let (init, total) = (buf.bytes_init(), buf.bytes_total());
        assert!(
            begin <= end && end <= total,
            "range {begin}..{end} does not fit a buffer of {total} bytes"
        );
        assert!(
            begin <= init,
            "range {begin}..{end} begins behind the {init} initialised bytes"
        );
        Slice { buf, begin, end }
    }

    /// Returns where the range begins in the whole buffer.
    pub fn begin(&self) -> usize {
        self.begin
    }

    /// Returns where the range ends in the whole buffer.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Returns the whole buffer.
    pub fn get_ref(&self) -> &B {
        &self.buf
    }

    /// Gives the whole buffer back.
    pub fn into_inner(self) -> B {
        self.buf
    }
}

// SAFETY: the address is the buffer's plus a fixed offset within it, as the constructor checked, and the initialised
// bytes of the range are those of the buffer behind that offset, cut at the range's end. The buffer can neither
// be reached for writing nor be replaced while it is in here, so it keeps its lengths.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn stable_ptr(&self) -> *const u8 {
        self.buf.stable_ptr().wrapping_add(self.begin)
    }

    fn bytes_init(&self) -> usize {
        self.buf
            .bytes_init()
            .min(self.end)
            .saturating_sub(self.begin)
    }

    fn bytes_total(&self) -> usize {
        self.end - self.begin
    }
}

// SAFETY: as above, with the buffer's own right to be written.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.buf.stable_mut_ptr().wrapping_add(self.begin)
    }

    unsafe fn set_init(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.begin);
        // SAFETY: our caller vouches for the first `n` bytes of the range; those before it are
        // initialised, as the constructor checked.
        unsafe { self.buf.set_init(self.begin + n) };
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.init_bytes()
    }
}

impl<B: IoBufMut> DerefMut for Slice<B> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let (ptr, len) = (self.stable_mut_ptr(), self.bytes_init());
        // SAFETY: the contract of `IoBufMut`: `len` initialised bytes are there, and with `self` borrowed
        // for writing they are ours.
        unsafe { std::slice::from_raw_parts_mut(ptr, len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_a_slice_counts_from_the_inner_one() {
        let part = b"0123456789".to_vec().slice(2..8).slice(1..=2);
        assert_eq!(&*part, b"34");
        assert_eq!((part.begin(), part.end()), (1, 3));
        assert_eq!(part.get_ref().begin(), 2);
        assert_eq!(part.into_inner().into_inner(), b"0123456789");
    }

    #[test]
    fn what_is_written_to_spare_room_is_appended() {
        let mut buf = Vec::with_capacity(16);
        buf.extend_from_slice(b"head");
        let mut spare = buf.slice(4..10);
        assert_eq!((spare.bytes_init(), spare.bytes_total()), (0, 6));
        let ptr = spare.stable_mut_ptr();
        // SAFETY: six bytes are allocated there.
        unsafe { ptr.write_bytes(b'x', 3) };
        // SAFETY: three were written.
        unsafe { spare.set_init(3) };
        spare[0] = b'-';
        assert_eq!(spare.into_inner(), b"head-xx");
    }

    #[test]
    #[should_panic(expected = "begins behind the 4 initialised bytes")]
    fn a_gap_panics() {
        let mut buf = Vec::with_capacity(16);
        buf.extend_from_slice(b"head");
        buf.slice(5..);
    }

    #[test]
    #[should_panic(expected = "does not fit a buffer of 3 bytes")]
    fn a_range_behind_the_end_panics() {
        Box::<[u8]>::from([1, 2, 3]).slice(..4);
    }
}
