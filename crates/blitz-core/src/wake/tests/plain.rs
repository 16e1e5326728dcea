//! What one thread can see of a slot and of a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Wake, Waker};

use crate::wake::{WakeBatch, WakeSlot, in_turn, is_in_turn};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

#[test]
fn wakes_the_last_registered_once() {
    let (first, first_waker) = counter();
    let (second, second_waker) = counter();
    let slot = WakeSlot::new();
    slot.wake();
    slot.register(&first_waker);
    slot.register(&second_waker);
    slot.wake();
    slot.wake();
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
    assert_eq!(
        Arc::strong_count(&second),
        2,
        "the slot keeps no waker that it called"
    );
}

#[test]
fn a_dropped_slot_drops_its_waker() {
    let (count, waker) = counter();
    let slot = WakeSlot::new();
    slot.register(&waker);
    drop(slot);
    assert_eq!((count.0.load(SeqCst), Arc::strong_count(&count)), (0, 2));
}

#[test]
fn a_batch_wakes_in_order_and_when_dropped() {
    let (count, waker) = counter();
    let mut batch = WakeBatch::new();
    while !batch.is_full() {
        batch.push(waker.clone());
    }
    assert_eq!(batch.len(), 32);
    batch.wake_all();
    assert!(batch.is_empty());
    assert_eq!(count.0.load(SeqCst), 32);
    batch.push(waker);
    drop(batch);
    assert_eq!(count.0.load(SeqCst), 33);
}

#[test]
fn a_waker_that_panics_costs_the_others_nothing() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker's own panic");
        }
    }
    let (count, waker) = counter();
    let mut batch = WakeBatch::new();
    batch.push(waker.clone());
    batch.push(Waker::from(Arc::new(Panics)));
    batch.push(waker);
    batch.wake_all();
    assert_eq!(count.0.load(SeqCst), 2);
    assert!(batch.is_empty());
}

#[test]
fn only_wakes_inside_are_in_turn() {
    assert!(!is_in_turn());
    in_turn(|| {
        in_turn(|| assert!(is_in_turn()));
        assert!(is_in_turn());
    });
    assert!(!is_in_turn());
    let panicked = std::panic::catch_unwind(|| in_turn(|| panic!("a waker's own panic")));
    assert!(panicked.is_err());
    assert!(!is_in_turn());
}
