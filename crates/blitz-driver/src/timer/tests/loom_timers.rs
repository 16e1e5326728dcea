//! Firing against everything that can come in its way. Each test is named by what can never happen.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use crate::clock::{Clock, Sleeper};
use crate::timer::{Inserted, Reset, Timers};

/// Plain std inside, because what it counts is read after the threads are joined.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> (std::sync::Arc<Count>, Waker) {
    let count = std::sync::Arc::new(Count::default());
    (count.clone(), Waker::from(count))
}

fn key_of(inserted: Result<Inserted, crate::timer::Shutdown>) -> blitz_core::slab::Key {
    match inserted {
        Ok(Inserted::Pending { key, .. }) => key,
        other => panic!("{other:?}"),
    }
}

/// A task that registers while the driver fires sees it, by its waker or by its next poll.
#[test]
fn no_firing_is_lost() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let driver = timers.clone();
        let driver = thread::spawn(move || driver.fire(10));
        let mut key = None;
        block_on(poll_fn(|cx| match key {
            None => match timers.insert(10, cx.waker()) {
                Ok(Inserted::Elapsed) => Poll::Ready(()),
                Ok(Inserted::Pending { key: new, .. }) => {
                    key = Some(new);
                    // The driver may have been too early: its next turn.
                    timers.fire(10);
                    timers.poll(new, cx.waker()).map(|_| ())
                }
                Err(shutdown) => panic!("{shutdown}"),
            },
            Some(key) => timers.poll(key, cx.waker()).map(|_| ()),
        }));
        driver.join().unwrap();
    });
}

/// A new waker takes the old one's place while the driver fires: one of the two is woken, or the poll sees it.
#[test]
fn no_wake_goes_to_a_waker_that_was_replaced() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let (old, old_waker) = counter();
        let (new, new_waker) = counter();
        let key = key_of(timers.insert(10, &old_waker));
        let driver = timers.clone();
        let driver = thread::spawn(move || driver.fire(10));
        let polled = timers.poll(key, &new_waker);
        driver.join().unwrap();
        let (old, new) = (old.0.load(SeqCst), new.0.load(SeqCst));
        match polled {
            Poll::Pending => assert_eq!((old, new), (0, 1)),
            Poll::Ready(_) => assert_eq!((old, new), (1, 0)),
        }
    });
}

/// A cancelled timer leaves nothing behind, and is woken at most once.
#[test]
fn no_entry_survives_its_cancellation() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = counter();
        let key = key_of(timers.insert(10, &waker));
        let driver = timers.clone();
        let driver = thread::spawn(move || driver.fire(10));
        timers.remove(key);
        driver.join().unwrap();
        assert!(count.0.load(SeqCst) <= 1);
        assert!(timers.is_empty() && timers.next_deadline().is_none());
        drop(waker);
        assert_eq!(std::sync::Arc::strong_count(&count), 1, "no waker is kept");
    });
}

/// A reset to later either holds or learns that it came too late; it never does both, and fires once.
#[test]
fn no_reset_is_half_done() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = counter();
        let key = key_of(timers.insert(10, &waker));
        let driver = timers.clone();
        let driver = thread::spawn(move || driver.fire(10));
        let reset = timers.reset(key, 20_000_000);
        driver.join().unwrap();
        match reset {
            Reset::Pending { .. } => {
                assert_eq!(count.0.load(SeqCst), 0);
                assert_eq!(timers.next_deadline(), Some(20_000_000));
                assert_eq!(timers.fire(20_000_000), 1);
            }
            Reset::TooLate => assert_eq!(timers.next_deadline(), None),
            Reset::Fired => panic!("it lies ahead"),
        }
        assert_eq!(count.0.load(SeqCst), 1);
    });
}

/// Cancel, reset and fire at once, by three threads, of two timers.
#[test]
fn no_timer_disturbs_its_neighbour() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let (first, first_waker) = counter();
        let (second, second_waker) = counter();
        let a = key_of(timers.insert(2_000_000, &first_waker));
        let b = key_of(timers.insert(2_000_001, &second_waker));
        let threads = [
            thread::spawn({
                let timers = timers.clone();
                move || {
                    timers.fire(2_000_001);
                }
            }),
            thread::spawn({
                let timers = timers.clone();
                move || timers.remove(a)
            }),
        ];
        timers.reset(b, 2_000_000);
        for thread in threads {
            thread.join().unwrap();
        }
        timers.fire(2_000_001);
        assert!(first.0.load(SeqCst) <= 1);
        assert_eq!(second.0.load(SeqCst), 1);
        assert_eq!(timers.len(), 1);
    });
}

/// A timer from another thread is seen by the driver before it sleeps, or the other thread is told to unpark it.
#[test]
fn no_driver_sleeps_past_a_new_deadline() {
    loom::model(|| {
        let timers = Arc::new(Timers::new());
        let other = timers.clone();
        let other = thread::spawn(move || match other.insert(u64::MAX / 2, Waker::noop()) {
            Ok(Inserted::Pending { unpark, .. }) => unpark,
            other => panic!("{other:?}"),
        });
        let (clock, sleeper) = (Clock::new(), Sleeper::new());
        assert!(sleeper.fall_asleep());
        let wait = timers.begin_wait(&clock, &sleeper, None);
        let unpark = other.join().unwrap();
        assert!(wait.is_some() || unpark);
        sleeper.wake_up();
        timers.end_wait(&clock);
        assert_eq!(timers.next_deadline(), Some(u64::MAX / 2));
    });
}
