//! An allocator that counts, while it is asked to, how often it is called, and for how much.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static COUNTS: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// What was allocated.
#[derive(Clone, Copy, Debug)]
pub struct Allocations {
    pub calls: u64,
    /// Of memory that was made larger, what came to it.
    pub bytes: u64,
}

impl Allocations {
    /// So many calls and bytes for each of so many operations.
    pub fn per(self, operations: usize) -> (f64, f64) {
        let per = |count: u64| count as f64 / operations as f64;
        (per(self.calls), per(self.bytes))
    }
}

fn count(bytes: usize) {
    if COUNTS.load(Relaxed) {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
}

/// The system's allocator. Not asked to count, it costs one load more.
pub struct Counted;

// SAFETY: everything is the system's; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: as the caller says.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Counts from now on, from nothing.
pub fn begin() {
    CALLS.store(0, Relaxed);
    BYTES.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
}

/// Counts no more; returns what there was.
pub fn end() -> Allocations {
    COUNTS.store(false, Relaxed);
    Allocations {
        calls: CALLS.load(Relaxed),
        bytes: BYTES.load(Relaxed),
    }
}
