//! A bounded pool of buffers.

use std::fmt;
use std::future::poll_fn;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use blitz_core::primitive::sync::Mutex;
use blitz_io_traits::{IoBuf, IoBufMut};

use super::home::Home;
use super::view::BufferView;

/// A bounded pool of equal buffers, shared by all its clones.
///
/// It never holds more memory than it was made for; who finds it empty waits in line. The system gives the memory
/// when a buffer is first used.
///
/// # Examples
/// ```
/// use blitz_driver::completion::BufferPool;
///
/// let pool = BufferPool::new(2, 4096);
/// let first = pool.try_lease().unwrap();
/// let second = pool.try_lease().unwrap();
/// assert!(pool.try_lease().is_none());
/// assert_eq!((pool.in_use(), pool.capacity(), pool.buffer_len()), (2, 2, 4096));
/// drop(first);
/// assert_eq!(pool.in_use(), 1);
/// # drop(second);
/// ```
#[derive(Clone)]
pub struct BufferPool {
    home: Arc<Home>,
    free: Arc<Mutex<Free>>,
}

struct Free {
    numbers: Vec<u32>,
    /// Numbers from here on have never been out.
    fresh: u32,
}

impl BufferPool {
    /// A pool of `count` buffers of `size` bytes each.
    ///
    /// # Panics
    /// If either is zero, or there is no such memory.
    pub fn new(count: u32, size: u32) -> Self {
        let free = Free {
            numbers: Vec::new(),
            fresh: 0,
        };
        Self {
            home: Arc::new(Home::new(count, size)),
            free: Arc::new(Mutex::new(free)),
        }
    }

    /// How many buffers there are in all.
    pub fn capacity(&self) -> usize {
        self.home.count() as usize
    }

    /// How many are out.
    pub fn in_use(&self) -> usize {
        self.home.out()
    }

    /// How long each one is.
    pub fn buffer_len(&self) -> usize {
        self.home.size() as usize
    }

    /// A buffer, if one is there.
    pub fn try_lease(&self) -> Option<Lease> {
        let mut free = self.free.lock();
        if free.numbers.is_empty() && self.home.has_returns() {
            let Free { numbers, .. } = &mut *free;
            self.home.take_returns(|number| numbers.push(number));
        }
        let number = match free.numbers.pop() {
            Some(number) => number,
            None if free.fresh < self.home.count() => {
                free.fresh += 1;
                free.fresh - 1
            }
            None => return None,
        };
        drop(free);
        self.home.go_out(number);
        Some(Lease {
            home: Arc::clone(&self.home),
            number,
            init: 0,
        })
    }

    /// A buffer, as soon as one is there; first come, first served.
    ///
    /// # Cancel safety
    /// Safe. A dropped wait has taken nothing, and its turn goes to the next in line.
    pub async fn lease(&self) -> Lease {
        let mut ticket = Ticket {
            pool: self,
            number: None,
        };
        poll_fn(|cx| self.poll_lease(cx, &mut ticket.number)).await
    }

    /// As [`lease`](Self::lease), for callers with a place of their own for the ticket.
    pub(crate) fn poll_lease(&self, cx: &mut Context<'_>, ticket: &mut Option<u64>) -> Poll<Lease> {
        for step in 0..2 {
            if let Some(lease) = self.try_lease() {
                self.home.leave(ticket, true);
                return Poll::Ready(lease);
            }
            if step == 0 {
                self.home.wait(cx.waker().clone(), ticket);
            }
        }
        Poll::Pending
    }

    pub(crate) fn leave(&self, ticket: &mut Option<u64>) {
        self.home.leave(ticket, false);
    }

    /// The whole block: for registration.
    pub(crate) fn block(&self) -> (NonNull<u8>, usize) {
        self.home.block()
    }

    /// True if `lease` is one of this pool's.
    pub(crate) fn owns(&self, lease: &Lease) -> bool {
        Arc::ptr_eq(&self.home, &lease.home)
    }
}

struct Ticket<'a> {
    pool: &'a BufferPool,
    number: Option<u64>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.pool.leave(&mut self.number);
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("capacity", &self.capacity())
            .field("in_use", &self.in_use())
            .field("buffer_len", &self.buffer_len())
            .finish()
    }
}

/// A buffer of a [`BufferPool`], to be filled: by the owner, or by a read that it is given to.
///
/// Dropped, it goes back; [`freeze`](Self::freeze) makes a [`BufferView`] of it.
pub struct Lease {
    home: Arc<Home>,
    number: u32,
    init: usize,
}

impl Lease {
    /// All its bytes, to be written; they hold what the last user left, or zeros.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let len = self.home.size() as usize;
        let start = self.home.address(self.number).as_ptr();
        // SAFETY: the buffer is ours alone while this lease is its one holder; the block began as zeros, so its
        // bytes are initialised.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }

    /// The first `len` bytes, to be read and shared.
    ///
    /// # Panics
    /// If the buffer is shorter.
    pub fn freeze(self, len: usize) -> BufferView {
        let home = Arc::clone(&self.home);
        home.hold(self.number);
        BufferView::new(home, self.number, len)
    }

    /// How many bytes from the front were filled by the last read.
    pub const fn filled(&self) -> usize {
        self.init
    }
}

// SAFETY: the buffer stands in the home's block, which does not move; its bytes are initialised from the start; `init`
// of them count as read; nobody else holds it.
unsafe impl IoBuf for Lease {
    fn stable_ptr(&self) -> *const u8 {
        self.home.address(self.number).as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.init
    }

    fn bytes_total(&self) -> usize {
        self.home.size() as usize
    }
}

// SAFETY: as above, and this lease is the buffer's one holder.
unsafe impl IoBufMut for Lease {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.home.address(self.number).as_ptr()
    }

    unsafe fn set_init(&mut self, n: usize) {
        debug_assert!(n <= self.home.size() as usize);
        self.init = self.init.max(n);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.home.let_go(self.number);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("number", &self.number)
            .field("filled", &self.init)
            .finish_non_exhaustive()
    }
}
