//! What a runtime shows of itself: figures, histograms, tasks, traces, warnings, hooks.

mod awaits;
mod by_hand;
mod dump;
mod hooks;
mod metrics;
#[cfg(unix)]
mod sockets;
mod stuck_guards;
mod stuck_waits;
mod tasks;
mod warnings;

use std::time::{Duration, Instant};

use crate::harness::{GUARD, patient};

/// The same on a plain thread: for when the runtime's timers may be those of a worker that is stuck.
#[track_caller]
fn until_outside(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < patient(GUARD),
            "it never came to this: {what}"
        );
        std::thread::yield_now();
    }
}

/// Waits for `done`, which nobody tells of, and lets everything run meanwhile.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while !done() {
            assert!(
                begun.elapsed() < patient(GUARD),
                "{place}: it never came to this: {what}"
            );
            blitz_io::time::sleep(Duration::from_micros(200)).await;
        }
    }
}
