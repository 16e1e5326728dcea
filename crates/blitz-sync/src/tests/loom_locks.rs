//! Locks with a value and permits with a name, explored. Each test is named by what can never happen.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use crate::{Mutex, RwLock, Semaphore};

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// Two are never inside a mutex, and what one did is seen by the other.
#[test]
fn no_two_are_inside_a_mutex() {
    bounded_model(|| {
        let lock = Arc::new(Mutex::new(UnsafeCell::new(0)));
        let adds = |lock: &Mutex<UnsafeCell<i32>>| {
            let guard = block_on(lock.lock());
            // SAFETY: the lock is held.
            guard.with_mut(|value| unsafe { *value += 1 });
        };
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || adds(&lock))
        };
        adds(&lock);
        other.join().unwrap();
        let guard = lock.try_lock().unwrap();
        // SAFETY: the lock is held.
        guard.with(|value| assert_eq!(unsafe { *value }, 2));
    });
}

/// One who gives up, whenever that is, leaves the mutex to the next.
#[test]
fn no_mutex_stays_with_one_who_gave_up() {
    bounded_model(|| {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.try_lock().unwrap();
        let gives_up = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let wait = pin!(lock.lock());
                let _ = wait.poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        drop(held);
        drop(block_on(lock.lock()));
        gives_up.join().unwrap();
        assert!(lock.try_lock().is_ok());
    });
}

/// A reader sees all of a write or nothing of it.
#[test]
fn no_reader_is_inside_with_a_writer() {
    bounded_model(|| {
        let lock = Arc::new(RwLock::with_max_readers(UnsafeCell::new((0, 0)), 2));
        let writer = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let guard = block_on(lock.write());
                // SAFETY: the lock is held by this one alone.
                guard.with_mut(|value| unsafe { *value = (1, 1) });
            })
        };
        let guard = block_on(lock.read());
        // SAFETY: the lock is shared.
        guard.with(|value| assert!(matches!(unsafe { *value }, (0, 0) | (1, 1))));
        drop(guard);
        writer.join().unwrap();
        assert!(lock.try_write().is_ok());
    });
}

/// A writer that lets readers in keeps other writers out, and who waited to read gets in.
#[test]
fn no_writer_comes_in_by_a_downgrade() {
    bounded_model(|| {
        let lock = Arc::new(RwLock::with_max_readers(UnsafeCell::new(0), 2));
        let reader = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let guard = block_on(lock.read());
                // SAFETY: the lock is shared.
                guard.with(|value| assert!(matches!(unsafe { *value }, 0 | 1)));
            })
        };
        let guard = block_on(lock.write());
        // SAFETY: the lock is held by this one alone.
        guard.with_mut(|value| unsafe { *value = 1 });
        let guard = guard.downgrade();
        assert!(lock.try_write().is_err());
        // It ends, though this one still reads.
        reader.join().unwrap();
        drop(guard);
        assert!(lock.try_write().is_ok());
    });
}

/// Whoever waits for permits gets them or is told that there will be none.
#[test]
fn no_one_waits_at_a_closed_semaphore() {
    bounded_model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiter = {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || block_on(semaphore.acquire()).is_ok())
        };
        semaphore.add_permits(1);
        semaphore.close();
        let got = waiter.join().unwrap();
        // Also where it got one before it closed: that went back.
        assert_eq!(semaphore.available_permits(), 1, "got {got}");
    });
}
