//! The lock without an order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use blitz_sync::UnfairMutex;
use futures::executor::block_on;

use crate::harness::Hand;

#[test]
fn one_at_a_time() {
    let mut lock = UnfairMutex::new(1);
    let mut guard = lock.try_lock().unwrap();
    assert!(lock.try_lock().is_err());
    assert_eq!(format!("{lock:?}"), "UnfairMutex { data: <locked> }");
    *guard += 1;
    assert_eq!(format!("{guard:?} {guard}"), "2 2");
    drop(guard);
    assert_eq!(format!("{lock:?}"), "UnfairMutex { data: 2 }");
    *lock.get_mut() += 1;
    assert_eq!(*block_on(lock.lock()), 3);
    assert_eq!(*lock.blocking_lock(), 3);
    assert_eq!(lock.into_inner(), 3);
    assert_eq!(UnfairMutex::<u8>::default().into_inner(), 0);
    assert_eq!(UnfairMutex::from(5).into_inner(), 5);
}

#[test]
fn a_value_without_a_size_is_locked_too() {
    let lock: Arc<UnfairMutex<[u8]>> = Arc::new(UnfairMutex::new([1, 2, 3]));
    lock.try_lock().unwrap()[1] = 7;
    assert_eq!(*block_on(lock.lock()), [1, 7, 3]);
}

#[test]
fn who_waits_is_woken_in_turn_and_may_come_too_late() {
    let lock = UnfairMutex::new(0);
    let held = lock.try_lock().unwrap();
    let (mut first, mut second) = (Hand::new(lock.lock()), Hand::new(lock.lock()));
    first.waits();
    second.waits();
    drop(held);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    let faster = lock.try_lock().unwrap();
    first.waits();
    drop(faster);
    assert_eq!(
        (first.wakes(), second.wakes()),
        (2, 0),
        "it is the next again"
    );
    drop(first.done());
    assert_eq!(second.wakes(), 1);
    drop(second.done());
}

#[test]
fn a_panic_lets_go() {
    let lock = UnfairMutex::new(0);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.try_lock().unwrap();
        std::panic::resume_unwind(Box::new("its own affair"));
    }));
    assert!(result.is_err());
    assert!(lock.try_lock().is_ok());
}

/// A wait that is dropped after each number of polls, woken or not, lets the next in.
#[test]
fn a_dropped_wait_lets_the_next_in() {
    for polls in 0..3 {
        for release_at in 0..3 {
            let lock = UnfairMutex::new(0);
            let mut held = Some(lock.try_lock().unwrap());
            let (mut wait, mut behind) = (Hand::new(lock.lock()), Hand::new(lock.lock()));
            for poll in 0..3 {
                if poll == release_at {
                    held = None;
                }
                if poll < polls {
                    if wait.poll().is_ready() {
                        break;
                    }
                    behind.waits();
                }
            }
            drop(wait);
            drop(held);
            drop(behind.done());
            assert!(lock.try_lock().is_ok());
        }
    }
}

/// Threads and tasks under one lock, some of which give up.
#[test]
fn many_hands_count_right() {
    const ROUNDS: usize = 5_000;
    let lock = UnfairMutex::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    *lock.blocking_lock() += 1;
                }
            });
            scope.spawn(|| {
                block_on(async {
                    for round in 0..ROUNDS {
                        if round % 3 == 0 {
                            // It may have the lock for a moment.
                            let _ = Hand::new(lock.lock()).poll();
                        }
                        *lock.lock().await += 1;
                    }
                });
            });
        }
    });
    assert_eq!(lock.into_inner(), 4 * ROUNDS);
}
