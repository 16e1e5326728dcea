//! The line of waiters, explored. Each test is named by what can never happen.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::thread;

use super::{Wait, WaiterQueue};

fn bounded_model(check: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(check);
}

/// A word, and those who wait until it is not zero.
struct Shared {
    word: AtomicUsize,
    queue: WaiterQueue,
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        word: AtomicUsize::new(0),
        queue: WaiterQueue::new(),
    })
}

/// Who looks at the word while it is changed is woken, or sees the change.
#[test]
fn no_wake_is_lost() {
    loom::model(|| {
        let shared = shared();
        let changing = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.word.store(1, Relaxed);
                shared.queue.wake_one();
            })
        };
        let is_zero = || shared.word.load(Relaxed) == 0;
        block_on(shared.queue.add_waiter_if(is_zero));
        assert_eq!(shared.queue.waiter_count(), 0);
        changing.join().unwrap();
    });
}

/// What was done before a wake is seen after it.
#[test]
fn no_wake_passes_what_came_before_it() {
    loom::model(|| {
        let shared = shared();
        let changing = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.word.store(1, Relaxed);
                while !shared.queue.wake_one() {
                    thread::yield_now();
                }
            })
        };
        assert!(block_on(shared.queue.add_waiter_if(|| true)));
        assert_eq!(shared.word.load(Relaxed), 1);
        changing.join().unwrap();
    });
}

/// Who was chosen and waits again uses its place anew: whoever chose it is done with it by then.
#[test]
fn no_place_is_used_again_under_who_chose_it() {
    loom::model(|| {
        let shared = shared();
        let waking = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.queue.wake_one())
        };
        let mut wait = pin!(Wait::new(&shared.queue));
        assert!(wait.as_mut().stand(Waker::noop(), || true));
        if wait.as_mut().is_turn(Waker::noop()) {
            assert!(wait.as_mut().stand(Waker::noop(), || true));
        }
        waking.join().unwrap();
    });
}

/// Two who take what there is once, one after the other: neither sleeps beside it.
#[test]
fn no_one_of_two_is_forgotten() {
    bounded_model(|| {
        let shared = shared();
        let taking = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let take = || shared.word.compare_exchange(1, 0, Acquire, Relaxed).is_ok();
                block_on(async {
                    while !take() {
                        let is_zero = || shared.word.load(Relaxed) == 0;
                        shared.queue.add_waiter_if(is_zero).await;
                    }
                });
                shared.word.store(1, Release);
                shared.queue.wake_one();
            })
        });
        shared.word.store(1, Release);
        shared.queue.wake_one();
        for thread in taking {
            thread.join().unwrap();
        }
    });
}

/// One who was woken and goes without looking passes the wake on.
#[test]
fn no_wake_goes_with_a_dropped_wait() {
    bounded_model(|| {
        let shared = shared();
        let giving_up = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let wait = pin!(shared.queue.add_waiter_if(|| true));
                let _ = wait.poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        let waking = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.word.store(1, Relaxed);
                shared.queue.wake_one();
            })
        };
        let is_zero = || shared.word.load(Relaxed) == 0;
        block_on(shared.queue.add_waiter_if(is_zero));
        waking.join().unwrap();
        giving_up.join().unwrap();
    });
}

/// Who looks at the word while it is changed is woken with all others, or sees the change.
#[test]
fn no_wake_of_all_is_lost() {
    loom::model(|| {
        let shared = shared();
        let changing = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.word.store(1, Relaxed);
                shared.queue.wake_all();
            })
        };
        let is_zero = || shared.word.load(Relaxed) == 0;
        block_on(shared.queue.add_waiter_if(is_zero));
        changing.join().unwrap();
    });
}

/// Who finds itself woken sees what was done before, also if nothing else told it.
#[test]
fn no_wake_is_found_before_what_led_to_it() {
    loom::model(|| {
        let shared = Arc::new((WaiterQueue::new(), UnsafeCell::new(0)));
        let mut cx = Context::from_waker(Waker::noop());
        let mut wait = pin!(shared.0.add_waiter_if(|| true));
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        let waking = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // SAFETY: nobody reads it before the wake.
                shared.1.with_mut(|value| unsafe { *value = 1 });
                assert!(shared.0.wake_one());
            })
        };
        if wait.as_mut().poll(&mut cx).is_ready() {
            // SAFETY: it was written before; loom objects if that is not seen.
            shared.1.with(|value| assert_eq!(unsafe { *value }, 1));
        }
        waking.join().unwrap();
    });
}

/// Who sees somebody in line sees what that one did before.
#[test]
fn no_one_is_counted_before_what_it_did() {
    loom::model(|| {
        let shared = Arc::new((WaiterQueue::new(), UnsafeCell::new(0)));
        let waiting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // SAFETY: nobody reads it before this one is in line.
                shared.1.with_mut(|value| unsafe { *value = 1 });
                let wait = pin!(shared.0.add_waiter_if(|| true));
                let _ = wait.poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        if shared.0.waiter_count() == 1 {
            // SAFETY: it was written before; loom objects if that is not seen.
            shared.1.with(|value| assert_eq!(unsafe { *value }, 1));
        }
        waiting.join().unwrap();
    });
}
