//! Buffers, kept by each thread for the connections that have something to read or write just now.
//!
//! A connection takes one when bytes come and gives it back when they are used up, so ten thousand that wait own none.

use bytes::BytesMut;
use std::cell::RefCell;

/// What a read is offered.
pub(crate) const SIZE: usize = 16 * 1024;
/// Buffers that a thread keeps.
const KEPT: usize = 64;

thread_local! {
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of at least [`SIZE`].
pub(crate) fn take() -> BytesMut {
    // A thread that is ending has no buffers any more.
    let kept = BUFFERS.try_with(|kept| kept.borrow_mut().pop());
    kept.ok()
        .flatten()
        .unwrap_or_else(|| BytesMut::with_capacity(SIZE))
}

/// An empty buffer of at least so much, which is no more than is kept.
pub(crate) fn take_of(size: usize) -> BytesMut {
    let buffer = take();
    if buffer.capacity() >= size {
        return buffer;
    }
    give(buffer);
    BytesMut::with_capacity(size.next_multiple_of(4096).min(2 * SIZE))
}

/// Gives a buffer back, unless pieces of it are still in use or it has grown.
pub(crate) fn give(mut buffer: BytesMut) {
    buffer.clear();
    let capacity = buffer.capacity();
    // What lacks something at its front may have it back.
    let is_whole = capacity >= SIZE || (capacity > 0 && buffer.try_reclaim(SIZE));
    if !is_whole || buffer.capacity() > 2 * SIZE {
        return;
    }
    // As above.
    let _ = BUFFERS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}
