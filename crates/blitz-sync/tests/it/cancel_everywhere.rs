//! Every wait, dropped after each number of polls: nothing is lost, and whoever comes after is served.

use std::sync::Arc;

use blitz_sync::{Mutex, RwLock, Semaphore};

use crate::harness::Hand;

/// `wait` is polled `polls` times and dropped, while the resource is held, let go, and wanted by another.
fn dropped_after(polls: usize, release_at: usize, semaphore: &Arc<Semaphore>, count: u32) {
    let all = semaphore.available_permits();
    let held = semaphore.try_acquire_many(all as u32).unwrap();
    let mut held = Some(held);
    let mut wait = Hand::new(semaphore.acquire_many(count));
    let mut behind = Hand::new(semaphore.acquire());
    for poll in 0..polls {
        if poll == release_at {
            held = None;
        }
        if wait.poll().is_ready() {
            break;
        }
        behind.waits();
    }
    drop(wait);
    drop(held);
    drop(behind.done().unwrap());
    assert_eq!(semaphore.available_permits(), all);
}

#[test]
fn a_dropped_acquire_takes_nothing_with_it() {
    let semaphore = Arc::new(Semaphore::new(4));
    for polls in 0..4 {
        for release_at in 0..4 {
            for count in 1..=4 {
                dropped_after(polls, release_at, &semaphore, count);
            }
        }
    }
}

#[test]
fn a_dropped_lock_lets_the_next_in() {
    for polls in 0..3 {
        let mutex = Mutex::new(0);
        let guard = mutex.try_lock().unwrap();
        let mut wait = Hand::new(mutex.lock());
        for _ in 0..polls {
            wait.waits();
        }
        let mut next = Hand::new(mutex.lock());
        next.waits();
        drop(guard);
        drop(wait);
        *next.done() += 1;
        drop(next);
        assert_eq!(mutex.into_inner(), 1);
    }
}

#[test]
fn a_dropped_read_or_write_lets_the_next_in() {
    for polls in 0..3 {
        let lock = RwLock::new(0);
        let writer = lock.try_write().unwrap();
        let mut read = Hand::new(lock.read());
        let mut write = Hand::new(lock.write());
        for _ in 0..polls {
            read.waits();
            write.waits();
        }
        let mut next = Hand::new(lock.read());
        next.waits();
        drop(writer);
        drop(write);
        drop(read);
        assert_eq!(*next.done(), 0);
        drop(next);
        assert!(lock.try_write().is_ok());
    }
}
