//! What a task costs in memory: one allocation at most, and for an empty one no more than 192 bytes of the system allocator's.
//!
//! A binary of its own, since it counts every allocation of the process; one test, since tests run side by side.

use blitz_exec::task::{Header, Notified, OwnedTasks, Schedule, SpawnInfo};
use std::alloc::{GlobalAlloc, Layout, System};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Waker};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// What glibc's malloc takes for a request: a word of its own, in steps of 16, at least 32.
const fn malloc_takes(size: usize) -> usize {
    let size = (size + 8).next_multiple_of(16);
    if size < 32 { 32 } else { size }
}

// SAFETY: the system's allocator, which it counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // ORDERING: one thread counts.
        ALLOCATIONS.fetch_add(1, Relaxed);
        // Above 16 glibc searches for an aligned place in a larger one.
        let slack = if layout.align() > 16 {
            layout.align()
        } else {
            0
        };
        // ORDERING: as above.
        BYTES.fetch_add(malloc_takes(layout.size() + slack), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

struct Nowhere(OwnedTasks);

impl Schedule for Nowhere {
    fn schedule(&self, task: Notified) {
        drop(task);
    }

    fn release(&self, task: &Header) -> bool {
        self.0.remove(task)
    }
}

fn counted<R>(f: impl FnOnce() -> R) -> (R, usize, usize) {
    // ORDERING: one thread counts.
    let before = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
    let answer = f();
    // ORDERING: as above.
    (
        answer,
        ALLOCATIONS.load(Relaxed) - before.0,
        BYTES.load(Relaxed) - before.1,
    )
}

#[test]
fn a_task_is_one_allocation() {
    let scheduler = Arc::new(Nowhere(OwnedTasks::new(1)));
    let bind = |info| scheduler.0.bind(async { 1_u64 }, scheduler.clone(), info);
    drop(bind(SpawnInfo::here()));

    let ((mut handle, task), allocations, bytes) = counted(|| bind(SpawnInfo::here()));
    assert_eq!(allocations, 1, "an empty task");
    assert!(bytes <= 192, "an empty task takes {bytes} bytes");
    println!("an empty task: {bytes} bytes of malloc's");
    let (output, allocations, _) = counted(|| {
        // A joiner, the run, and the end allocate nothing.
        assert!(handle.set_join_waker(Waker::noop()));
        assert!(task.and_then(Notified::run).is_none());
        Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()))
    });
    assert!(output.is_ready());
    assert_eq!(allocations, 0, "a join");

    drop(handle);

    // Release builds spawn the next one into the memory of the last.
    let (_, allocations, _) = counted(|| bind(SpawnInfo::here()));
    assert_eq!(
        allocations,
        usize::from(cfg!(debug_assertions)),
        "a recycled task"
    );

    // A future that holds a few things, as most do.
    let state = [1_u64; 5];
    let future = async move {
        pending::<()>().await;
        state
    };
    let (pair, allocations, bytes) = counted(|| {
        scheduler
            .0
            .bind(future, scheduler.clone(), SpawnInfo::here())
    });
    assert_eq!(allocations, 1, "a task of 40 bytes");
    println!("a task that holds 40 bytes: {bytes} bytes of malloc's");
    assert!(bytes <= 224, "a task that holds 40 bytes takes {bytes}");
    drop(pair);
    scheduler.0.close_and_shutdown_all(0);
}
