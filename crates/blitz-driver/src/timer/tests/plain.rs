//! What one thread can see of the timers of a driver that does not run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use blitz_core::slab::Key;

use crate::clock::{Clock, Sleeper};
use crate::timer::{Inserted, Reset, Shutdown, Timers};

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

fn insert(timers: &Timers, deadline: u64, waker: &Waker) -> Key {
    match timers.insert(deadline, waker) {
        Ok(Inserted::Pending { key, .. }) => key,
        other => panic!("{deadline}: {other:?}"),
    }
}

#[test]
fn fires_once_and_not_before() {
    let timers = Timers::new();
    let (count, waker) = counter();
    let key = insert(&timers, 1_000_001, &waker);
    assert_eq!(timers.fire(1_000_000), 0);
    assert_eq!(timers.poll(key, &waker), Poll::Pending);
    assert_eq!(timers.fire(1_000_001), 1);
    assert_eq!(timers.fire(u64::MAX - 1), 0);
    assert_eq!(count.0.load(SeqCst), 1);
    assert_eq!(timers.poll(key, &waker), Poll::Ready(Ok(())));
    assert!(timers.is_elapsed(key));
    timers.remove(key);
    assert!(timers.is_empty());
    assert_eq!(timers.insert(5, &waker), Ok(Inserted::Elapsed));
}

#[test]
fn the_last_waker_is_woken() {
    let timers = Timers::new();
    let (first, first_waker) = counter();
    let (second, second_waker) = counter();
    let key = insert(&timers, 10, &first_waker);
    assert_eq!(timers.poll(key, &second_waker), Poll::Pending);
    timers.fire(10);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
    assert_eq!(Arc::strong_count(&first), 2, "the old waker was let go");
}

#[test]
fn reset_moves_wakes_or_comes_too_late() {
    let timers = Timers::new();
    let (count, waker) = counter();
    let key = insert(&timers, 10, &waker);
    assert_eq!(timers.reset(key, 50), Reset::Pending { unpark: false });
    assert_eq!(timers.fire(49), 0);
    assert_eq!(timers.reset(key, 20), Reset::Fired, "20 has passed");
    assert_eq!(count.0.load(SeqCst), 1);
    assert_eq!(timers.reset(key, 90), Reset::TooLate);
    assert!(timers.is_elapsed(key));
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn thousands_due_at_once_all_fire_in_order() {
    struct Note(u64, std::sync::mpsc::Sender<u64>);
    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.send(self.0).unwrap();
        }
    }
    let timers = Timers::new();
    let (send, receive) = std::sync::mpsc::channel();
    for n in 0..5_000u64 {
        // Every deadline of a range, in a mixed order.
        let deadline = 1 + n * 7_919 % 5_000;
        let waker = Waker::from(Arc::new(Note(deadline, send.clone())));
        insert(&timers, deadline * 1_000, &waker);
    }
    assert_eq!(timers.fire(u64::MAX - 1), 5_000);
    let woken: Vec<u64> = receive.try_iter().collect();
    assert!(woken.iter().copied().eq(1..=5_000));
}

/// A waker may come back for the timers while it is woken, cloned or dropped: no lock is held then.
#[test]
fn wakers_run_without_the_lock() {
    struct Back(Arc<Timers>);
    impl Wake for Back {
        fn wake(self: Arc<Self>) {
            assert!(self.0.len() < 10);
            let _ = self.0.insert(77_000_000, Waker::noop());
        }
    }
    impl Drop for Back {
        fn drop(&mut self) {
            assert!(self.0.len() < 10);
        }
    }
    let timers = Arc::new(Timers::new());
    let back = || Waker::from(Arc::new(Back(timers.clone())));
    let key = insert(&timers, 10, &back());
    assert_eq!(timers.poll(key, &back()), Poll::Pending);
    assert_eq!(timers.fire(10), 1);
    let key = insert(&timers, 20, &back());
    timers.remove(key);
    let key = insert(&timers, 20, &back());
    assert_eq!(timers.reset(key, 1), Reset::Fired);
}

#[test]
fn after_the_shutdown_everyone_is_told() {
    let timers = Timers::new();
    let (count, waker) = counter();
    let key = insert(&timers, 10, &waker);
    let far = insert(&timers, u64::MAX, &waker);
    timers.shutdown();
    assert_eq!(count.0.load(SeqCst), 2);
    assert_eq!(timers.poll(key, &waker), Poll::Ready(Err(Shutdown)));
    assert_eq!(timers.poll(far, &waker), Poll::Ready(Err(Shutdown)));
    assert_eq!(timers.insert(10, &waker), Err(Shutdown));
    timers.remove(key);
    timers.remove(far);
    assert!(timers.is_empty());
}

#[test]
fn only_a_deadline_before_the_end_of_the_wait_unparks() {
    let (timers, clock, sleeper) = (Timers::new(), Clock::new(), Sleeper::new());
    let unparks = |deadline| match timers.insert(deadline, Waker::noop()) {
        Ok(Inserted::Pending { unpark, .. }) => unpark,
        other => panic!("{other:?}"),
    };
    let hour = 3_600_000_000_000;
    let now = clock.now_ns();
    assert!(!unparks(now + 3 * hour), "it is awake");
    assert!(sleeper.fall_asleep());
    let wait = timers.begin_wait(&clock, &sleeper, None).unwrap();
    assert!(wait > Duration::from_secs(2 * 3600) && wait <= Duration::from_secs(3 * 3600));
    assert!(!unparks(now + 4 * hour));
    assert!(unparks(now + 2 * hour));
    assert!(!unparks(now + hour), "it has been unparked already");
    sleeper.wake_up();
    timers.end_wait(&clock);
    assert!(!unparks(now + hour / 2), "it is awake");
    let limit = Some(Duration::from_millis(1));
    assert_eq!(timers.begin_wait(&clock, &sleeper, limit), limit);
}
