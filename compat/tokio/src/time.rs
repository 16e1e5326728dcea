//! Timers: `blitz_io::time`, whose time stands still on the flavour `current_thread` alone, as tokio's does.

use crate::runtime::{Handle, RuntimeFlavor};

pub use blitz_io::time::{
    Duration, Instant, Interval, MissedTickBehavior, Sleep, Timeout, advance, interval,
    interval_at, resume, sleep, sleep_until, timeout, timeout_at,
};

/// What goes wrong with timers: `blitz_io::time::error`.
pub mod error {
    pub use blitz_io::time::error::{Elapsed, Error};
}

/// Stops the time of the current runtime: `blitz_io::time::pause`.
///
/// # Panics
/// If time is paused already, outside of a runtime, or on a flavour other than `current_thread`.
#[track_caller]
pub fn pause() {
    // Outside of a runtime the other one says so.
    if let Ok(runtime) = Handle::try_current() {
        assert!(
            runtime.runtime_flavor() == RuntimeFlavor::CurrentThread,
            "`time::pause` requires the `current_thread` flavor, as in tokio; `blitz_io::time::pause` works on every flavor"
        );
    }
    blitz_io::time::pause();
}
