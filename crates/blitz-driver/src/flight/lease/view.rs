//! Received bytes, wherever they lie.

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use blitz_io_traits::IoBuf;
use bytes::Bytes;

use super::home::Home;

/// Bytes in a leased buffer: shared, cheap to clone and to split, sent home when the last view is dropped.
///
/// A view keeps its whole buffer from being used again. Keep it for as long as the bytes are worked on, and copy
/// what is to be kept for long.
///
/// # Examples
/// ```
/// use blitz_driver::completion::BufferPool;
///
/// let pool = BufferPool::new(1, 64);
/// let mut lease = pool.try_lease().unwrap();
/// lease.as_mut_slice()[..10].copy_from_slice(b"GET / HTTP");
/// let mut head = lease.freeze(10);
/// let rest = head.split_off(3);
/// assert_eq!((&head[..], &rest[..]), (&b"GET"[..], &b" / HTTP"[..]));
///
/// let bytes: bytes::Bytes = rest.into(); // no copy
/// drop(head);
/// assert!(pool.try_lease().is_none()); // the buffer is still out
/// drop(bytes);
/// assert!(pool.try_lease().is_some());
/// ```
pub struct BufferView {
    /// `None` for a view of no bytes, which holds no buffer.
    home: Option<Arc<Home>>,
    start: NonNull<u8>,
    /// Which of the home's buffers.
    number: u32,
    len: u32,
}

// SAFETY: the bytes are only read, for as long as this holder is counted; the home is `Send + Sync`.
unsafe impl Send for BufferView {}
// SAFETY: as above.
unsafe impl Sync for BufferView {}

impl BufferView {
    /// A view of no bytes: the end of a stream.
    pub const fn empty() -> Self {
        Self {
            home: None,
            start: NonNull::dangling(),
            number: 0,
            len: 0,
        }
    }

    /// The first `len` bytes of buffer `number`, which is out with one holder: this view.
    pub(super) fn new(home: Arc<Home>, number: u32, len: usize) -> Self {
        assert!(
            len <= home.size() as usize,
            "more bytes than the buffer has"
        );
        let view = Self {
            start: home.address(number),
            home: Some(home),
            number,
            len: len as u32,
        };
        if len == 0 { Self::empty() } else { view }
    }

    fn part(&self, at: usize, len: usize) -> Self {
        debug_assert!(at + len <= self.len());
        let Some(home) = self.home.as_ref().filter(|_| len > 0) else {
            return Self::empty();
        };
        home.hold(self.number);
        Self {
            home: Some(Arc::clone(home)),
            // SAFETY: `at` lies within our own bytes.
            start: unsafe { self.start.add(at) },
            number: self.number,
            len: len as u32,
        }
    }

    /// How many bytes there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// True if there are none: as a received view, the peer has ended.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Splits the first `at` bytes off and returns them; the rest stays.
    ///
    /// # Panics
    /// If there are fewer.
    #[track_caller]
    pub fn split_to(&mut self, at: usize) -> Self {
        assert!(at <= self.len(), "split_to({at}) of {} bytes", self.len);
        let front = self.part(0, at);
        self.advance(at);
        front
    }

    /// Splits off and returns what comes after the first `at` bytes; these stay.
    ///
    /// # Panics
    /// If there are fewer than `at`.
    #[track_caller]
    pub fn split_off(&mut self, at: usize) -> Self {
        assert!(at <= self.len(), "split_off({at}) of {} bytes", self.len);
        let rest = self.part(at, self.len() - at);
        self.truncate(at);
        rest
    }

    /// Drops the first `n` bytes.
    ///
    /// # Panics
    /// If there are fewer.
    #[track_caller]
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.len(), "advance({n}) of {} bytes", self.len);
        if n == self.len() {
            *self = Self::empty();
            return;
        }
        // SAFETY: `n` lies within our own bytes.
        self.start = unsafe { self.start.add(n) };
        self.len -= n as u32;
    }

    /// Keeps at most the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if len == 0 {
            *self = Self::empty();
        } else if len < self.len() {
            self.len = len as u32;
        }
    }
}

impl Deref for BufferView {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes are there (the block began as zeros), and nobody writes to them while
        // this holder is counted.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len()) }
    }
}

impl AsRef<[u8]> for BufferView {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Clone for BufferView {
    fn clone(&self) -> Self {
        self.part(0, self.len())
    }
}

impl Drop for BufferView {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.let_go(self.number);
        }
    }
}

impl Default for BufferView {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<BufferView> for Bytes {
    /// The same bytes, in place: the buffer goes home when the last `Bytes` is dropped.
    fn from(view: BufferView) -> Self {
        Bytes::from_owner(view)
    }
}

// SAFETY: the bytes stand in the home's block, which does not move and which the view keeps alive; they are
// initialised, and only read while a view is out.
unsafe impl IoBuf for BufferView {
    fn stable_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }

    fn bytes_total(&self) -> usize {
        self.len()
    }
}

impl PartialEq<[u8]> for BufferView {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl fmt::Debug for BufferView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferView")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
