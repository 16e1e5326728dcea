//! Buffers that an operation owns while the kernel works on them.
//!
//! A ring that completes operations reads or writes memory at a time of its own choosing, also after the future
//! that asked has gone. So the operation takes the buffer by value and gives it back with its result. [`IoBuf`] says
//! "my bytes stay where they are while I am moved", [`IoBufMut`] adds "and they may be written"; [`Slice`]
//! narrows either to a range.

mod aligned;
mod slice;

pub use aligned::AlignedBuf;
pub use slice::Slice;

use std::mem::MaybeUninit;
use std::ops::RangeBounds;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::ReadBuf;

/// A buffer whose bytes can be handed to the kernel.
///
/// It is `Send`: when its operation is cancelled, the thread that sees the last completion drops it.
///
/// # Safety
/// From the moment the value is given to an operation until it comes back, no method of this trait is
/// called on it except by the operation, and for that time:
///
/// - [`stable_ptr`](IoBuf::stable_ptr) returns one and the same address, also after the value was moved;
/// - [`bytes_total`](IoBuf::bytes_total) bytes from there are allocated, the first [`bytes_init`](IoBuf::bytes_init) of them are
///   initialised, and `bytes_init() <= bytes_total()`;
/// - nobody else writes to them.
pub unsafe trait IoBuf: Unpin + Send + 'static {
    /// Returns where the bytes begin; not to be read from when [`bytes_init`](IoBuf::bytes_init) is zero.
    fn stable_ptr(&self) -> *const u8;

    /// Returns how many bytes, from the front, are initialised.
    fn bytes_init(&self) -> usize;

    /// Returns how many bytes there are, initialised or not.
    fn bytes_total(&self) -> usize;

    /// Returns the initialised bytes.
    fn init_bytes(&self) -> &[u8] {
        let (ptr, len) = (self.stable_ptr(), self.bytes_init());
        // SAFETY: the contract of this trait: `len` initialised bytes are there, and with `self` borrowed nobody
        // writes to them. A vector without memory gives a dangling, aligned pointer and zero.
        unsafe { std::slice::from_raw_parts(ptr, len) }
    }

    /// Narrows the buffer to `range`, which the next operation then uses instead of the whole.
    ///
    /// The range may reach to [`bytes_total`](IoBuf::bytes_total), so `buf.slice(len..)` appends to a `Vec` with spare
    /// capacity.
    ///
    /// # Panics
    /// If the range begins behind the initialised bytes (there would be a gap), ends before it begins, or ends behind
    /// [`bytes_total`](IoBuf::bytes_total).
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::IoBuf;
    ///
    /// let part = b"GET / HTTP/1.1".to_vec().slice(4..5);
    /// assert_eq!(part.init_bytes(), b"/");
    /// assert_eq!(part.into_inner().len(), 14);
    /// ```
    #[track_caller]
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::new(self, range)
    }
}

/// A buffer that the kernel may write into.
///
/// # Safety
/// As for [`IoBuf`], with [`stable_mut_ptr`](IoBufMut::stable_mut_ptr) returning the same address as
/// [`stable_ptr`](IoBuf::stable_ptr), valid for writes of [`bytes_total`](IoBuf::bytes_total) bytes, and nobody else
/// reading or writing them.
pub unsafe trait IoBufMut: IoBuf {
    /// Returns where the bytes begin, for writing.
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// Counts the first `n` bytes as initialised, if fewer were; it never shortens the buffer.
    ///
    /// An operation that wrote `n` bytes calls it before it gives the buffer back, so a `Vec` grows to what
    /// was read into it.
    ///
    /// # Safety
    /// The first `n <= bytes_total()` bytes were written.
    unsafe fn set_init(&mut self, n: usize);

    /// Lends the whole buffer to `read`, nothing of it filled, and counts what was filled as a completed read would.
    ///
    /// This is how an operation that is done on the spot, by a call that does not outlive this one, uses an owned buffer.
    ///
    /// # Panics
    /// If `read` puts another [`ReadBuf`] in the place of this one.
    ///
    /// # Examples
    /// ```
    /// use blitz_io_traits::IoBufMut;
    ///
    /// let mut buf = Vec::with_capacity(16);
    /// buf.fill(|room| room.put_slice(b"hello"));
    /// assert_eq!(buf, b"hello");
    /// ```
    fn fill<T>(&mut self, read: impl FnOnce(&mut ReadBuf<'_>) -> T) -> T
    where
        Self: Sized,
    {
        let (init, total) = (self.bytes_init(), self.bytes_total());
        let memory = self.stable_mut_ptr().cast::<MaybeUninit<u8>>();
        // SAFETY: the contract of this trait: `total` bytes are allocated there, and with `self` borrowed for writing
        // they are ours. Without memory the pointer dangles, aligned, and `total` is zero.
        let memory = unsafe { std::slice::from_raw_parts_mut(memory, total) };
        let mut buf = ReadBuf::uninit(memory);
        // SAFETY: the contract of this trait: so many of them are initialised.
        unsafe { buf.assume_init(init) };
        let before = buf.filled().as_ptr();
        let answer = read(&mut buf);
        assert_eq!(
            before,
            buf.filled().as_ptr(),
            "another ReadBuf stands in the place of ours"
        );
        let filled = buf.filled().len();
        // SAFETY: the buffer is the one over our bytes, and says that so many were written.
        unsafe { self.set_init(filled) };
        answer
    }
}

macro_rules! fixed_buf {
    ($($type:ty),+ $(,)?) => {$(
        // SAFETY: the bytes stand on the heap or in static memory, do not move with the value, are all
        // initialised, and nobody can write to them while they are shared.
        unsafe impl IoBuf for $type {
            fn stable_ptr(&self) -> *const u8 {
                self.as_ptr()
            }
            fn bytes_init(&self) -> usize {
                self.len()
            }
            fn bytes_total(&self) -> usize {
                self.len()
            }
        }
    )+};
}

fixed_buf!(
    &'static [u8],
    &'static str,
    String,
    Box<[u8]>,
    Box<str>,
    Arc<[u8]>,
    Bytes
);

// SAFETY: a boxed slice owns its bytes, which are all initialised and stay on the heap.
unsafe impl IoBufMut for Box<[u8]> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, n: usize) {
        debug_assert!(n <= self.len());
    }
}

// SAFETY: a boxed array owns its bytes, which are all initialised and stay on the heap.
unsafe impl<const N: usize> IoBuf for Box<[u8; N]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        N
    }

    fn bytes_total(&self) -> usize {
        N
    }
}

// SAFETY: as above; the box is the only owner.
unsafe impl<const N: usize> IoBufMut for Box<[u8; N]> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, n: usize) {
        debug_assert!(n <= N);
    }
}

macro_rules! growing_buf {
    ($($type:ty),+ $(,)?) => {$(
        // SAFETY: the bytes stand on the heap and move only when a method of the owner makes them; up to the
        // length they are initialised, up to the capacity allocated.
        unsafe impl IoBuf for $type {
            fn stable_ptr(&self) -> *const u8 {
                self.as_ptr()
            }

            fn bytes_init(&self) -> usize {
                self.len()
            }

            fn bytes_total(&self) -> usize {
                self.capacity()
            }
        }

        // SAFETY: as above; `&mut self` is the only handle on the bytes, spare ones included.
        unsafe impl IoBufMut for $type {
            fn stable_mut_ptr(&mut self) -> *mut u8 {
                self.as_mut_ptr()
            }

            unsafe fn set_init(&mut self, n: usize) {
                if self.len() < n {
                    // SAFETY: our caller vouches that the first `n <= capacity` bytes were written.
                    unsafe { self.set_len(n) };
                }
            }
        }
    )+};
}

growing_buf!(Vec<u8>, BytesMut);

#[cfg(test)]
mod tests {
    use super::*;

    fn describe<B: IoBuf>(buf: &B) -> (&[u8], usize) {
        (buf.init_bytes(), buf.bytes_total())
    }

    #[test]
    fn fixed_buffers_are_initialised_whole() {
        assert_eq!(describe(&&b"abc"[..]), (&b"abc"[..], 3));
        assert_eq!(describe(&"abc"), (&b"abc"[..], 3));
        assert_eq!(describe(&String::from("abc")), (&b"abc"[..], 3));
        assert_eq!(describe(&Bytes::from_static(b"abc")), (&b"abc"[..], 3));
        assert_eq!(describe(&Arc::<[u8]>::from(&b"abc"[..])), (&b"abc"[..], 3));
        assert_eq!(describe(&Box::new([1, 2])), (&[1, 2][..], 2));
        assert_eq!(describe(&Box::<[u8]>::default()), (&[][..], 0));
    }

    #[test]
    fn growing_buffers_grow_to_what_was_written_and_never_shrink() {
        fn check<B: IoBufMut>(mut buf: B) {
            assert!(buf.bytes_total() >= 8);
            assert_eq!(buf.bytes_init(), 0);
            let (at, moved_at) = (buf.stable_ptr(), {
                let ptr = buf.stable_mut_ptr();
                // SAFETY: eight bytes are allocated there and `buf` is ours.
                unsafe { ptr.write_bytes(7, 8) };
                // SAFETY: they were written just now.
                unsafe { buf.set_init(8) };
                let moved = Box::new(buf);
                let at = moved.stable_ptr();
                buf = *moved;
                at
            });
            assert_eq!(at, moved_at);
            // SAFETY: as above.
            unsafe { buf.set_init(3) };
            assert_eq!(buf.init_bytes(), [7; 8]);
        }
        check(Vec::with_capacity(8));
        check(BytesMut::with_capacity(8));
    }
}
