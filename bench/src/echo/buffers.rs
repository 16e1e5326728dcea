//! Memory that the kernel fills by itself: a ring of provided buffers.

use io_uring::{IoUring, types};

/// The one group of buffers.
pub const GROUP: u16 = 1;
const BUFFERS: u16 = 4096;

/// A provided buffer ring and its memory, never freed: the server runs until it is killed.
pub struct Buffers {
    entries: *mut types::BufRingEntry,
    memory: *mut u8,
    length: usize,
    tail: u16,
}

impl Buffers {
    /// Buffers of `length` bytes each.
    pub fn new(ring: &IoUring, length: usize) -> Self {
        let bytes = usize::from(BUFFERS) * size_of::<types::BufRingEntry>();
        let map = |bytes: usize| {
            // SAFETY: a fresh anonymous mapping.
            unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    bytes,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            }
        };
        let entries = map(bytes).cast::<types::BufRingEntry>();
        let memory = map(usize::from(BUFFERS) * length).cast::<u8>();
        // SAFETY: the entries' memory is page-aligned, long enough, and never unmapped.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(entries as u64, BUFFERS, GROUP, 0)
        }
        .expect("a buffer ring");
        let mut buffers = Self {
            entries,
            memory,
            length,
            tail: 0,
        };
        for id in 0..BUFFERS {
            buffers.give_back(id);
        }
        buffers
    }

    /// The memory of one.
    pub fn at(&self, id: u16) -> *mut u8 {
        // SAFETY: `id` is below BUFFERS, so this stays inside the mapping.
        unsafe { self.memory.add(usize::from(id) * self.length) }
    }

    /// The kernel may fill it again.
    pub fn give_back(&mut self, id: u16) {
        let address = self.at(id) as u64;
        // SAFETY: the index is taken modulo the ring's length.
        let entry = unsafe { &mut *self.entries.add(usize::from(self.tail % BUFFERS)) };
        entry.set_addr(address);
        entry.set_len(self.length as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail stands in the first entry, as the kernel's layout has it.
        let tail = unsafe { types::BufRingEntry::tail(self.entries) }
            as *const std::sync::atomic::AtomicU16;
        // SAFETY: an aligned u16 in our mapping that only this thread writes.
        unsafe { (*tail).store(self.tail, std::sync::atomic::Ordering::Release) };
    }
}
