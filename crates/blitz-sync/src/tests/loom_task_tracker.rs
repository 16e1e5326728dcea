//! A tracker, explored. Each test is named by what can never happen.

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::TaskTracker;

/// Who waits goes on when the last has ended, and sees what it did.
#[test]
fn no_end_is_missed_and_nothing_done_before_it() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let tracker = TaskTracker::new();
        let done = Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]);
        let tasks = [0, 1].map(|index| {
            let (token, done) = (tracker.token(), Arc::clone(&done));
            thread::spawn(move || {
                // SAFETY: this thread alone writes it, and nobody reads before the token is gone.
                done[index].with_mut(|done| unsafe { *done = 1 });
                drop(token);
            })
        });
        tracker.close();
        block_on(tracker.wait());
        for done in done.iter() {
            // SAFETY: its writer has ended.
            done.with(|done| assert_eq!(unsafe { *done }, 1));
        }
        for task in tasks {
            task.join().unwrap();
        }
    });
}

/// A close and the end of the last, at once: one of them lets go on, and what both did before is seen.
#[test]
fn no_wait_outlasts_a_close() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let tracker = TaskTracker::new();
        let done = Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]);
        // SAFETY: each is written by one thread alone, and nobody reads before both have told.
        let write = |cell: &UnsafeCell<i32>| cell.with_mut(|cell| unsafe { *cell = 1 });
        let ending = {
            let (token, done) = (tracker.token(), Arc::clone(&done));
            thread::spawn(move || {
                write(&done[0]);
                drop(token);
            })
        };
        let closing = {
            let (tracker, done) = (tracker.clone(), Arc::clone(&done));
            thread::spawn(move || {
                write(&done[1]);
                tracker.close()
            })
        };
        block_on(tracker.wait());
        for done in done.iter() {
            // SAFETY: it was written before.
            done.with(|done| assert_eq!(unsafe { *done }, 1));
        }
        ending.join().unwrap();
        assert!(closing.join().unwrap());
    });
}
