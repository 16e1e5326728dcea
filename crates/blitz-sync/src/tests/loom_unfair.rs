//! The unfair lock, explored. Each test is named by what can never happen.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::UnfairMutex;

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// Two at once are never inside, and neither sleeps beside a free lock; what one did is seen by the other.
#[test]
fn no_two_are_inside_and_nobody_sleeps_outside() {
    bounded_model(|| {
        let lock = Arc::new(UnfairMutex::new(UnsafeCell::new(0)));
        let threads = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let guard = block_on(lock.lock());
                // SAFETY: the lock is held.
                guard.with_mut(|value| unsafe { *value += 1 });
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        let guard = lock.try_lock().unwrap();
        // SAFETY: the lock is held.
        guard.with(|value| assert_eq!(unsafe { *value }, 2));
    });
}

/// One who was woken for a free lock and goes without it wakes the next.
#[test]
fn no_wake_goes_with_a_dropped_wait() {
    bounded_model(|| {
        let lock = Arc::new(UnfairMutex::new(()));
        let held = lock.try_lock().unwrap();
        let giving_up = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let wait = pin!(lock.lock());
                let _ = wait.poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        let waiting = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || drop(block_on(lock.lock())))
        };
        drop(held);
        giving_up.join().unwrap();
        waiting.join().unwrap();
    });
}
