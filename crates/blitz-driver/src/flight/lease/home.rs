//! The memory of equal buffers, and how many hold each.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::task::Waker;

use blitz_core::primitive::sync::Mutex;
use blitz_core::primitive::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use blitz_core::primitive::sync::atomic::{AtomicU32, AtomicUsize, fence};

use super::returns::Returns;

const PAGE: usize = 4096;

/// Equal buffers in one block, each with a count of its holders.
///
/// A buffer is *home* (count zero: the kernel's ring or the pool may use it), or *out* (count above zero: it
/// belongs to the holders and nobody writes to it, but a sole [`Lease`](super::Lease)).
pub(super) struct Home {
    memory: NonNull<u8>,
    layout: Layout,
    size: u32,
    holders: Box<[AtomicU32]>,
    returns: Returns,
    out: AtomicUsize,
    /// Those who wait for a buffer, first come first served.
    waiters: Mutex<Waiters>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Waiters {
    queue: VecDeque<(u64, Waker)>,
    last_ticket: u64,
}

// SAFETY: the block is plain memory; who may touch which buffer is said by the counts, which are atomic.
unsafe impl Send for Home {}
// SAFETY: as above.
unsafe impl Sync for Home {}

impl Home {
    /// `count` buffers of `size` bytes, all zero; the system gives the memory when it is first touched.
    pub(super) fn new(count: u32, size: u32) -> Self {
        let bytes = (count as usize)
            .checked_mul(size as usize)
            .filter(|bytes| *bytes > 0);
        let bytes = bytes.expect("a pool has at least one byte, and fewer than the address space");
        let layout =
            Layout::from_size_align(bytes, PAGE).expect("a pool is smaller than the address space");
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else {
            handle_alloc_error(layout)
        };
        Self {
            memory,
            layout,
            size,
            holders: (0..count).map(|_| AtomicU32::new(0)).collect(),
            returns: Returns::new(count),
            out: AtomicUsize::new(0),
            waiters: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.holders.len() as u32
    }

    /// How many buffers are out.
    pub(super) fn out(&self) -> usize {
        // ORDERING: Relaxed: a figure for people.
        self.out.load(Relaxed)
    }

    /// Where buffer `number` begins.
    #[inline]
    pub(super) fn address(&self, number: u32) -> NonNull<u8> {
        assert!(number < self.count(), "no such buffer");
        let offset = number as usize * self.size as usize;
        // SAFETY: the offset lies within the block.
        unsafe { self.memory.add(offset) }
    }

    /// The whole block: for registration.
    pub(super) const fn block(&self) -> (NonNull<u8>, usize) {
        (self.memory, self.layout.size())
    }

    /// Takes buffer `number`, which is home, for one holder.
    #[inline]
    pub(super) fn go_out(&self, number: u32) {
        // ORDERING: Relaxed: the buffer came home through `Returns`, which ordered it; nobody else counts it now.
        let before = self.holders[number as usize].swap(1, Relaxed);
        debug_assert_eq!(before, 0, "buffer {number} was out already");
        self.out.fetch_add(1, Relaxed);
    }

    /// One more holder of buffer `number`.
    #[inline]
    pub(super) fn hold(&self, number: u32) {
        // ORDERING: Relaxed: whoever adds a holder is one, so the count cannot reach zero meanwhile.
        let before = self.holders[number as usize].fetch_add(1, Relaxed);
        assert!(before < u32::MAX / 2, "too many views of one buffer");
    }

    /// One holder fewer; the last one sends the buffer home.
    #[inline]
    pub(super) fn let_go(&self, number: u32) {
        // ORDERING: Release pairs with the load below in the last holder: its sending home comes after
        // every holder's last look. A load, where a fence would do: ThreadSanitizer follows words and no fences.
        if self.holders[number as usize].fetch_sub(1, Release) != 1 {
            return;
        }
        self.holders[number as usize].load(Acquire);
        self.out.fetch_sub(1, Relaxed);
        self.returns.push(number);
        // ORDERING: pairs with the fence in `wait`, which counts itself waiting and then looks for returns; we
        // return and then look for waiters. One of us sees the other.
        fence(SeqCst);
        if self.waiting.load(Relaxed) != 0 {
            self.wake_one();
        }
    }

    /// True if buffers are on their way home.
    #[inline]
    pub(super) fn has_returns(&self) -> bool {
        !self.returns.is_empty()
    }

    /// Takes the numbers of all buffers that came home. By one thread at a time.
    #[inline]
    pub(super) fn take_returns(&self, each: impl FnMut(u32)) {
        self.returns.take(each);
    }

    /// Stands in line for a buffer; look again after it.
    pub(super) fn wait(&self, waker: Waker, ticket: &mut Option<u64>) {
        let mut waiters = self.waiters.lock();
        let place = ticket.and_then(|ticket| {
            waiters
                .queue
                .iter_mut()
                .find(|(number, _)| *number == ticket)
        });
        let replaced = match place {
            Some((_, stored)) => Some(std::mem::replace(stored, waker)),
            None => {
                waiters.last_ticket += 1;
                let number = waiters.last_ticket;
                *ticket = Some(number);
                waiters.queue.push_back((number, waker));
                None
            }
        };
        // ORDERING: Relaxed: written under the lock; the fences of `wait` and `let_go` order it against the returns.
        self.waiting.store(waiters.queue.len(), Relaxed);
        // ORDERING: pairs with the fence in `let_go`.
        fence(SeqCst);
        drop(waiters);
        drop(replaced);
    }

    /// Leaves the line. A wake that was meant for the leaver goes to the next, unless `served`.
    pub(super) fn leave(&self, ticket: &mut Option<u64>, served: bool) {
        let Some(ticket) = ticket.take() else { return };
        let mut waiters = self.waiters.lock();
        let place = waiters
            .queue
            .iter()
            .position(|(number, _)| *number == ticket);
        let removed = place.and_then(|place| waiters.queue.remove(place));
        // ORDERING: Relaxed: written under the lock; the fences of `wait` and `let_go` order it against the returns.
        self.waiting.store(waiters.queue.len(), Relaxed);
        drop(waiters);
        if removed.is_none() && !served {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(&self) {
        let mut waiters = self.waiters.lock();
        let next = waiters.queue.pop_front();
        // ORDERING: Relaxed: written under the lock; the fences of `wait` and `let_go` order it against the returns.
        self.waiting.store(waiters.queue.len(), Relaxed);
        drop(waiters);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; views and leases hold an `Arc` of us, so none is left, and
        // the kernel's ring was unregistered or we were leaked.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("count", &self.count())
            .field("size", &self.size)
            .field("out", &self.out())
            .finish()
    }
}
