//! Who watches the workers falls asleep while one of them wakes.

use std::sync::Arc;

use blitz_core::primitive::sync::atomic::{AtomicBool, Ordering::Relaxed};
use blitz_core::primitive::thread;

use crate::scheduler::Alarm;

/// No worker is awake with its watcher asleep and no bell rung.
#[test]
fn nobody_works_unwatched() {
    loom::model(|| {
        let (rests, rung) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(false)),
        );
        let rings = Arc::clone(&rung);
        let alarm = Arc::new(Alarm::new(move || rings.store(true, Relaxed)));
        // The watcher is awake at first.
        alarm.check();
        rung.store(false, Relaxed);
        let worker = {
            let (rests, alarm) = (Arc::clone(&rests), Arc::clone(&alarm));
            thread::spawn(move || {
                rests.store(false, Relaxed);
                alarm.check();
            })
        };
        let asleep = alarm.sleep(|| rests.load(Relaxed));
        worker.join().unwrap();
        assert!(!asleep || rung.load(Relaxed));
    });
}
