//! The slot's word, explored whole. Each test is named by what can never happen.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use crate::wake::WakeSlot;

/// However two events meet one `register`, the task sees both. `block_on` fails a task that sleeps for ever.
///
/// Bounded: each poll that finds the slot busy adds a round, so the whole tree has no end worth waiting for.
#[test]
fn no_wake_is_lost() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let slot = Arc::new(WakeSlot::new());
        let events = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        for event in events.clone() {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                event.store(true, Relaxed);
                slot.wake();
            });
        }
        block_on(poll_fn(|cx| {
            slot.register(cx.waker());
            if events.iter().all(|e| e.load(Relaxed)) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
    });
}

/// Two takers never get one waker twice, and a waker that is taken is whole.
#[test]
fn no_waker_is_taken_twice() {
    loom::model(|| {
        let slot = Arc::new(WakeSlot::new());
        slot.register(Waker::noop());
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || usize::from(slot.take().is_some()))
        };
        let mine = usize::from(slot.take().is_some());
        assert_eq!(mine + other.join().unwrap(), 1);
    });
}

/// A task that registers anew while it is woken leaves no waker behind in a slot that is dropped.
#[test]
fn no_waker_outlives_the_slot() {
    loom::model(|| {
        let slot = Arc::new(WakeSlot::new());
        slot.register(Waker::noop());
        let driver = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.wake())
        };
        slot.register(Waker::noop());
        slot.register(Waker::noop());
        driver.join().unwrap();
    });
}

/// Two tasks that meet in `register` never reach the waker together, and one of them stays.
#[test]
fn no_two_tasks_store_at_once() {
    loom::model(|| {
        let slot = Arc::new(WakeSlot::new());
        let other = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.register(Waker::noop()))
        };
        slot.register(Waker::noop());
        other.join().unwrap();
        assert!(slot.take().is_some());
    });
}
