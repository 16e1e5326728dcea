//! A thread's own wait.

use std::sync::Arc;

use blitz_core::primitive::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use blitz_core::primitive::thread;

use crate::park::{NoWatch, ThreadParker};

/// Whoever unparks last, the owner sees what each did before. It sleeps for ever if a wake is lost.
#[test]
fn no_unpark_is_lost_and_each_is_seen() {
    loom::model(|| {
        let parker = ThreadParker::new(Arc::new(NoWatch));
        let events = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        for i in 0..2 {
            let (parker, events) = (Arc::clone(&parker), Arc::clone(&events));
            thread::spawn(move || {
                events[i].store(1, Relaxed);
                parker.unpark();
            });
        }
        while events
            .iter()
            .map(|event| event.load(Relaxed))
            .sum::<usize>()
            < 2
        {
            parker.park();
        }
    });
}
