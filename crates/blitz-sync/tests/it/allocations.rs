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
    Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore, SetOnce, TaskTracker,
    UnfairMutex, WaiterQueue, broadcast, mpmc, mpsc, oneshot, watch,
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
        let held = rwlock.try_read().unwrap();
        drop(waits(rwlock.write(), || drop(held)));
        let held = semaphore.try_acquire().unwrap();
        drop(waits(semaphore.acquire(), || drop(held)).unwrap());
        // Who gives up.
        let _held = (mutex.try_lock().unwrap(), rwlock.try_write().unwrap());
        assert!(poll(pin!(mutex.lock())).is_pending());
        assert!(poll(pin!(rwlock.read())).is_pending());
    });
}

/// Guards that own their lock count on its `Arc`, and keep nothing else.
#[test]
fn a_wait_for_a_lock_that_its_guard_owns() {
    let (mutex, rwlock) = (Arc::new(Mutex::new(())), Arc::new(RwLock::new(())));
    let semaphore = Arc::new(Semaphore::new(1));
    allocates_nothing(|| {
        let held = mutex.try_lock().unwrap();
        drop(waits(Arc::clone(&mutex).lock_owned(), || drop(held)));
        let held = rwlock.try_write().unwrap();
        drop(waits(Arc::clone(&rwlock).read_owned(), || drop(held)));
        let held = semaphore.try_acquire().unwrap();
        let acquire = Arc::clone(&semaphore).acquire_owned();
        drop(waits(acquire, || drop(held)).unwrap());
    });
}

#[test]
fn a_wait_for_all_or_for_a_value() {
    let barrier = Barrier::new(2);
    allocates_nothing(|| {
        let mut second = pin!(barrier.wait());
        waits(barrier.wait(), || assert!(poll(second.as_mut()).is_ready()));
        let cell = OnceCell::new();
        let mut makes = pin!(cell.get_or_init(|| std::future::ready(5)));
        assert!(poll(makes.as_mut()).is_ready());
        let cell = SetOnce::new();
        let value = waits(cell.wait(), || cell.set(6).unwrap());
        assert_eq!(*value, 6);
    });
    // Who asks while another makes the value.
    let signal = Notify::new();
    allocates_nothing(|| {
        let cell = OnceCell::new();
        let mut makes = pin!(cell.get_or_init(async || {
            signal.notified().await;
            7
        }));
        assert!(poll(makes.as_mut()).is_pending());
        let asked = waits(cell.get_or_init(|| std::future::ready(8)), || {
            signal.notify_one();
            assert!(poll(makes.as_mut()).is_ready());
        });
        assert_eq!(*asked, 7);
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
    let (sender, mut receiver) = mpsc::channel(1);
    let (mut values, mut left) = (Vec::with_capacity(8), 0);
    sender.try_send(0).unwrap();
    allocates_nothing(|| {
        // Over the end of more than one block.
        for _ in 0..40 {
            waits(sender.send(1), || left = receiver.try_recv().unwrap()).unwrap();
            assert_eq!(receiver.try_recv(), Ok(1));
            let permit = sender.try_reserve().unwrap();
            let read = receiver.recv_many(&mut values, 8);
            assert_eq!(waits(read, || permit.send(2)), 1);
            values.clear();
            // Who waits for room and gives up, and who waits for more room than there is.
            sender.try_send(left).unwrap();
            assert!(poll(pin!(sender.reserve())).is_pending());
            drop(waits(sender.reserve(), || left = receiver.try_recv().unwrap()).unwrap());
            sender.try_send(left).unwrap();
        }
    });
    let (sender, mut receiver) = mpsc::unbounded_channel();
    allocates_nothing(|| {
        // Over the end of more than one block.
        for value in 0..100 {
            sender.send(value).unwrap();
            assert_eq!(receiver.try_recv(), Ok(value));
        }
        let received = waits(receiver.recv(), || sender.send(7).unwrap());
        assert_eq!(received, Some(7));
    });
}

/// The channel itself is a cell that the thread has kept from one before.
#[test]
fn a_channel_for_one_value() {
    allocates_nothing(|| {
        let (sender, receiver) = oneshot::channel();
        assert_eq!(waits(receiver, || sender.send(5).unwrap()), Ok(5));
        let (mut sender, receiver) = oneshot::channel::<u32>();
        waits(sender.closed(), || drop(receiver));
    });
}

#[test]
fn a_value_and_a_wait_in_a_channel_to_all() {
    let (sender, mut first) = broadcast::channel(4);
    let mut second = sender.subscribe();
    allocates_nothing(|| {
        for value in 0..10 {
            sender.send(value).unwrap();
            assert_eq!(first.try_recv(), Ok(value));
            assert_eq!(second.try_recv(), Ok(value));
        }
        {
            let mut waiting = pin!(second.recv());
            assert!(poll(waiting.as_mut()).is_pending());
            let received = waits(first.recv(), || assert_eq!(sender.send(7), Ok(2)));
            assert_eq!(received, Ok(7));
            assert_eq!(poll(waiting), Poll::Ready(Ok(7)));
        }
        // Who is overtaken.
        for value in 0..6 {
            sender.send(value).unwrap();
        }
        for receiver in [&mut first, &mut second] {
            assert!(receiver.try_recv().is_err(), "two are gone");
            (2..6).for_each(|value| assert_eq!(receiver.try_recv(), Ok(value)));
        }
    });
}

#[test]
fn a_value_and_a_wait_in_a_channel_of_the_last_value() {
    let (sender, mut receiver) = watch::channel(0);
    let mut is_more = receiver.clone();
    allocates_nothing(|| {
        receiver.mark_unchanged();
        is_more.mark_unchanged();
        waits(receiver.changed(), || sender.send(1).unwrap()).unwrap();
        assert_eq!(*receiver.borrow_and_update(), 1);
        let two = waits(is_more.wait_for(|value| *value == 2), || {
            sender.send(2).unwrap();
        });
        assert_eq!(*two.unwrap(), 2);
        receiver.mark_unchanged();
        // Who gives up.
        assert!(poll(pin!(receiver.changed())).is_pending());
        sender.send_replace(0);
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
