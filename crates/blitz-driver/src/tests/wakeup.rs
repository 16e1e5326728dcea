//! What interrupts a ring for one thread: what was asked for, where the kernel has it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

fn ring(wakeup: RingWakeup) -> Option<Driver> {
    let config = Config {
        backend: Some(Backend::IoUring),
        ring: RingUse::SingleThread,
        wakeup,
        ..Config::default()
    };
    match Driver::new(config) {
        Ok(driver) => Some(driver),
        Err(error) => {
            eprintln!("not tested: {error}");
            None
        }
    }
}

#[test]
fn a_word_where_it_was_asked_for_and_is_there() {
    for wakeup in [RingWakeup::EventFd, RingWakeup::Futex] {
        let Some(driver) = ring(wakeup) else { return };
        let is_word = matches!(driver.handle.0.door, Door::Ring(Knocker::Word(_)));
        let has_futex = driver.handle.capabilities().has("futex wait");
        assert_eq!(is_word, wakeup == RingWakeup::Futex && has_futex);
    }
}

/// However an unpark meets a turn, the turn ends; and what was done before it is seen after.
#[test]
fn no_unpark_is_lost() {
    const ROUNDS: usize = 500;
    let guard = Duration::from_secs(60);
    for wakeup in [RingWakeup::EventFd, RingWakeup::Futex] {
        let Some(mut driver) = ring(wakeup) else {
            return;
        };
        let (asked, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let handle = driver.handle().clone();
        driver.bind();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    asked.store(round, SeqCst);
                    handle.unpark();
                    let begun = Instant::now();
                    while seen.load(SeqCst) != round {
                        assert!(begun.elapsed() < 2 * guard, "the driver is gone");
                        thread::yield_now();
                    }
                }
            });
            for round in 1..=ROUNDS {
                let begun = Instant::now();
                while asked.load(SeqCst) != round {
                    driver.turn(Some(guard));
                    assert!(begun.elapsed() < guard, "{wakeup:?}: an unpark was lost");
                }
                seen.store(round, SeqCst);
            }
        });
    }
}
