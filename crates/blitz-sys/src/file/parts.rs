//! Several buffers read or written by one call, as `preadv` and a ring's entry name them.

use std::fmt;

use super::TRANSFER_MAX;

/// So many parts one call takes, on every system that is served here.
pub(super) const PARTS_MAX: usize = 1024;

/// Where several buffers lie. The kernel reads it, so it stands on the heap and does not move.
pub struct Parts(Box<[libc::iovec]>);

// SAFETY: plain addresses and lengths; who hands them to the kernel promises that they are valid.
unsafe impl Send for Parts {}

impl Parts {
    /// The parts, address and length each: the first 1,024 of them, and no more bytes than one call takes.
    pub fn new(parts: impl IntoIterator<Item = (*const u8, usize)>) -> Self {
        Self(cut(parts))
    }

    /// Where the first of them is described: the same for as long as this lives.
    pub fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn vectors(&self) -> &[libc::iovec] {
        &self.0
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

/// What one call takes of `parts`.
pub(super) fn cut(parts: impl IntoIterator<Item = (*const u8, usize)>) -> Box<[libc::iovec]> {
    let mut room = TRANSFER_MAX;
    let parts = parts.into_iter().take(PARTS_MAX).map(|(start, len)| {
        let len = len.min(room);
        room -= len;
        libc::iovec {
            iov_base: start.cast_mut().cast(),
            iov_len: len,
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_to_what_one_call_takes() {
        let byte = [0u8; 1];
        let parts = Parts::new(std::iter::repeat_n((byte.as_ptr(), usize::MAX / 2), 3));
        let lens: Vec<usize> = parts.vectors().iter().map(|part| part.iov_len).collect();
        assert_eq!(lens, [TRANSFER_MAX, 0, 0]);
        let parts = Parts::new(std::iter::repeat_n((byte.as_ptr(), 1), 5000));
        assert_eq!(parts.count(), PARTS_MAX);
    }
}
