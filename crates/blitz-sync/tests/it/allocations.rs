//! What waits, and what goes through a channel in steady state, allocates nothing.
//!
//! The allocator counts for each thread by itself, so other tests of this program do not disturb.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use blitz_sync::{
    CancellationToken, Mutex, Notify, RwLock, Semaphore, TaskTracker, UnfairMutex, WaiterQueue,
    mpmc, mpsc,
};

struct Counted;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may have no cell any more, and nobody who asks.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: everything is the system's; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Does `work` once to warm up, and then so often that it must not allocate.
#[track_caller]
fn allocates_nothing(mut work: impl FnMut()) {
    work();
    let before = CALLS.get();
    for _ in 0..100 {
        work();
    }
    assert_eq!(CALLS.get() - before, 0, "it allocated");
}

/// Polls once, for a task that nobody wakes.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a wait that `end` ends.
fn waits<T>(wait: impl Future<Output = T>, end: impl FnOnce()) -> T {
    let mut wait = pin!(wait);
    assert!(poll(wait.as_mut()).is_pending());
    end();
    match poll(wait) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it should be ready"),
    }
}

#[test]
fn the_allocator_counts() {
    let before = CALLS.get();
    drop(Box::new(5));
    assert_eq!(CALLS.get() - before, 1);
}

#[test]
fn a_wait_for_a_lock() {
    let (mutex, unfair, rwlock) = (Mutex::new(()), UnfairMutex::new(()), RwLock::new(()));
    let semaphore = Semaphore::new(1);
    allocates_nothing(|| {
        let held = mutex.try_lock().unwrap();
        drop(waits(mutex.lock(), || drop(held)));
        let held = unfair.try_lock().unwrap();
        drop(waits(unfair.lock(), || drop(held)));
        let held = rwlock.try_write().unwrap();
        drop(waits(rwlock.read(), || drop(held)));
        let held = semaphore.try_acquire().unwrap();
        drop(waits(semaphore.acquire(), || drop(held)).unwrap());
    });
}

#[test]
fn a_wait_for_a_signal() {
    let (notify, queue) = (Notify::new(), WaiterQueue::new());
    let (root, tracker) = (CancellationToken::new(), TaskTracker::new());
    allocates_nothing(|| {
        waits(notify.notified(), || notify.notify_one());
        assert!(waits(queue.add_waiter_if(|| true), || {
            queue.wake_one();
        }));
        // A wait that is given up.
        assert!(poll(pin!(root.cancelled())).is_pending());
        let token = tracker.token();
        tracker.close();
        waits(tracker.wait(), || drop(token));
        tracker.reopen();
    });
    // A token is one allocation, and its end none.
    let children: Vec<_> = (0..2).map(|_| root.child_token()).collect();
    let before = CALLS.get();
    for child in &children {
        waits(child.cancelled(), || child.cancel());
    }
    drop(children);
    assert_eq!(CALLS.get() - before, 0);
    drop(root.child_token());
    assert_eq!(CALLS.get() - before, 1);
}

#[test]
fn a_value_and_a_wait_in_a_channel_with_many_receivers() {
    for (sender, receiver) in [mpmc::channel(4), mpmc::unbounded_channel()] {
        allocates_nothing(|| {
            // Over the end of more than one block.
            for value in 0..100 {
                sender.try_send(value).unwrap();
                sender.try_send(value).unwrap();
                assert_eq!(receiver.try_recv(), Ok(value));
                assert_eq!(receiver.try_recv(), Ok(value));
            }
            let received = waits(receiver.recv(), || sender.try_send(7).unwrap());
            assert_eq!(received, Some(7));
            assert!(poll(pin!(receiver.recv())).is_pending());
        });
    }
    let (sender, receiver) = mpmc::channel(1);
    sender.try_send(0).unwrap();
    allocates_nothing(|| {
        waits(sender.send(0), || assert_eq!(receiver.try_recv(), Ok(0))).unwrap();
        assert!(poll(pin!(sender.send(0))).is_pending());
    });
}

#[test]
fn a_value_and_a_wait_in_a_channel_with_one_receiver() {
    let (sender, mut receiver) = mpsc::channel(4);
    allocates_nothing(|| {
        for value in 0..100 {
            sender.try_send(value).unwrap();
            assert_eq!(receiver.try_recv(), Ok(value));
        }
        let received = waits(receiver.recv(), || sender.try_send(7).unwrap());
        assert_eq!(received, Some(7));
    });
}

/// A thread that waits allocates once in its life.
#[test]
fn a_wait_of_a_thread() {
    let queue = Arc::new(WaiterQueue::new());
    let waking = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || {
            for _ in 0..101 {
                while !queue.wake_one() {
                    std::thread::yield_now();
                }
            }
        })
    };
    allocates_nothing(|| assert!(queue.blocking_wait_if(|| true)));
    waking.join().unwrap();
}
