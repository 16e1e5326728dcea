//! Numbers of buffers on their way home, pushed by any thread, taken all at once by one.

use blitz_core::primitive::sync::atomic::AtomicU32;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const NONE: u32 = u32::MAX;

/// A stack of buffer numbers. A number is inside at most once, and is taken only with all others: so no
/// taker can mistake one visit of a number for the next.
///
/// ```text
///  head: NONE, or the number pushed last
///  next[n]: the number pushed before n; written by n's pusher, read by the taker of n
///
///  move    head                 who
///  push    h -> n (next[n]=h)   the thread that dropped the last view of n
///  take    h -> NONE            the driver's turn, or the pool's taker, under their lock
/// ```
pub(super) struct Returns {
    head: AtomicU32,
    next: Box<[AtomicU32]>,
}

impl Returns {
    /// For numbers below `count`.
    pub(super) fn new(count: u32) -> Self {
        Self {
            head: AtomicU32::new(NONE),
            next: (0..count).map(|_| AtomicU32::new(NONE)).collect(),
        }
    }

    /// Sends `number` home.
    pub(super) fn push(&self, number: u32) {
        // ORDERING: Relaxed: a first guess, which the exchange below checks.
        let mut head = self.head.load(Relaxed);
        loop {
            // ORDERING: Relaxed, published by the exchange below.
            self.next[number as usize].store(head, Relaxed);
            // ORDERING: Release pairs with the Acquire in `take`: the taker sees `next`, and the reader's last
            // look at the buffer comes before its next use. Relaxed if it fails: only the number is used.
            match self
                .head
                .compare_exchange_weak(head, number, Release, Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// True if nothing is on its way.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // ORDERING: a hint; `take` orders.
        self.head.load(Relaxed) == NONE
    }

    /// Takes all numbers that have come, the last one first.
    pub(super) fn take(&self, mut each: impl FnMut(u32)) {
        // ORDERING: Acquire pairs with the Release in `push`; pushes are read-modify-writes, so the last one
        // carries those below it along.
        let mut number = self.head.swap(NONE, Acquire);
        while number != NONE {
            let next = self.next[number as usize].load(Relaxed);
            each(number);
            number = next;
        }
    }
}
